"""Publish a round: its adapter, or the merged model, in a model repository of a hub, and what it was trained on in a
data set repository of the same name.

`pack` makes the two folders, round-001/published/model and .../dataset, which is all that a dry run does; `push` sends
each as one commit and tags it with the round. A repository that is made is private. What broke off is begun again by
the same command: files that had arrived are not sent anew, and nothing can be seen of them before the commit.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from byheart import models, recipe, registry
from byheart.errors import HubError, InputError
from byheart.files import read_json, write_json
from byheart.report.data import SPLITS, Round, measured
from byheart.templates import render_card
from byheart.weights import SIGNS, plain

ADAPTER = ("adapter_config.json", "adapter_model.safetensors", SIGNS)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
"""What of an adapter's folder is published; not training_args.bin, which is a pickle."""

REPLACED = (".safetensors", ".parquet", ".safetensors.index.json", "config.json", SIGNS)
"""What of another round goes with the commit of this one; whatever else is in the repository stays."""


@dataclass(frozen=True)
class Parcel:
    """What goes to the repository `to` ("user/name") of the hub: all that is in `folder`. `kind` is "model" or
    "dataset"."""

    kind: str
    to: str
    folder: Path


def pack(
    run: Path, n: int | None, to: str, base: str | None = None, licence: str | None = None, merged: bool = False
) -> list[Parcel]:
    """Make the folders to publish of round `n`, by default the one whose policy the run ended with.

    `base` is the base model's name on the hub, where the recipe names a directory; `licence` is that of the base model,
    where the hub does not say it. Raises InputError where there is nothing to publish or it may not be.
    """
    for option, name in (("--to", to), ("--base", base or to)):
        _checked(option, name)
    view = measured(run)
    one = _round(run, view.finished, n)
    chosen = recipe.parse(view.recipe).at(one.n)
    recorded = one.environments[-1].hub if one.environments else models.hub_name(chosen.model)
    base = base or recorded
    if base is None:
        raise InputError(
            f"{run}: the base model {chosen.model.name} is a directory, which nobody else has: name it as it is on the "
            "hub with --base OWNER/NAME"
        )
    licence = inherited(base, licence or models.licence(base), to)
    folder = one.folder / "published"
    shutil.rmtree(folder, ignore_errors=True)
    known = {
        "one": one,
        "environments": one.environments,
        "is_local": recorded is None,
        "first": view.finished[0].numbers["splits"],
        "ways": view.greedy,
        "splits": SPLITS,
        "base": base,
        "licence": licence,
        "to": to,
        "merged": merged,
    }
    _pack_model(folder / "model", chosen, known)
    _pack_dataset(folder / "dataset", chosen, known)
    return [Parcel("model", to, folder / "model"), Parcel("dataset", to, folder / "dataset")]


def inherited(base: str, licence: str | None, to: str) -> str:
    """The licence of a model that is made of `base`. Raises InputError where that of `base` is unknown, forbids it, or
    wants another name."""
    if licence is None:
        raise InputError(f"{base}: the hub knows no licence of it, so nobody may pass it on; if you do, --licence NAME")
    _permitted(base, licence)
    if licence.startswith("llama3") and not to.partition("/")[2].lower().startswith("llama"):
        raise InputError(
            f"{base} is under {licence}: the name of what is made of it has to begin with Llama, as "
            f"--to {to.partition('/')[0]}/Llama-{to.partition('/')[2]}"
        )
    return licence


def _permitted(name: str, licence: str | None) -> None:
    if licence and "-nd" in licence:  # no derivatives
        raise InputError(f"{name} is under {licence}, which forbids to publish what is derived from it")


def push(parcels: list[Parcel], tag: str, public: bool = False) -> Iterator[str]:
    """Push each in one commit under `tag`, remove its folder, and yield its address. Raises HubError, with what to do,
    where that fails."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    hub = HfApi(library_name="byheart")
    for parcel in parcels:
        files = {
            str(path.relative_to(parcel.folder)): path for path in sorted(parcel.folder.rglob("*")) if path.is_file()
        }
        with _said(parcel):
            hub.create_repo(parcel.to, repo_type=parcel.kind, private=not public, exist_ok=True)
            there = hub.list_repo_files(parcel.to, repo_type=parcel.kind)
            stale = [path for path in there if path not in files and path.endswith(REPLACED)]
            changes = [CommitOperationAdd(path, file) for path, file in files.items()]
            commit = hub.create_commit(
                parcel.to,
                [*changes, *(CommitOperationDelete(path) for path in stale)],
                commit_message=tag,
                repo_type=parcel.kind,
            )
            _tagged(hub, parcel, tag, commit.oid)
        shutil.rmtree(parcel.folder)
        yield f"{hub.endpoint}/{'datasets/' if parcel.kind == 'dataset' else ''}{parcel.to}/tree/{tag}"


def _tagged(hub: Any, parcel: Parcel, tag: str, commit: str) -> None:
    refs = hub.list_repo_refs(parcel.to, repo_type=parcel.kind)
    known = {one.name: one.target_commit for one in refs.tags}
    if known.get(tag, commit) != commit:
        raise HubError(
            f"{parcel.to} has a {tag} already, another one, which stays; what was pushed now is its newest commit: "
            "name another repository with --to, or delete that tag and come again"
        )
    if tag not in known:
        hub.create_tag(parcel.to, tag=tag, revision=commit, repo_type=parcel.kind)


MEANT = {
    401: "the hub does not know who you are: `hf auth login`, or set HF_TOKEN",
    403: "your token may not write there: make one that may, or name a repository of your own with --to",
    409: "somebody else pushed at the same time: come again",
    429: "the hub was asked too often: come again in some minutes",
}


@contextmanager
def _said(parcel: Parcel) -> Iterator[None]:
    """Makes a HubError, which says what to do, of whatever went wrong."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HubError:
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ and not isinstance(cause, HfHubHTTPError):
            cause = cause.__cause__
        status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else 0
        said = " ".join(str(cause).split())[:200]
        what = MEANT.get(status, "the connection or the hub failed: the same command goes on from what has arrived")
        raise HubError(f"{parcel.kind} {parcel.to} is not published: {what} ({said})") from error


def _checked(option: str, name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{option} {name}: {error}") from None
    if name.count("/") != 1:
        raise InputError(f"{option} {name}: OWNER/NAME is wanted, such as me/llama-that-adds")


def _round(run: Path, finished: list[Round], n: int | None) -> Round:
    """The round to publish."""
    state = read_json(run / "state.json", {"rounds": []})["rounds"]
    if n is None and state and str(state[-1]["adapter"]).startswith("round-"):
        n = int(Path(state[-1]["adapter"]).parts[0].removeprefix("round-"))
    found = {one.n: one for one in finished if (one.folder / "adapter/adapter_model.safetensors").is_file()}
    if n not in found:
        asked = "no policy of it was promoted" if n is None else f"round {n} is not finished, or made no adapter"
        if any(one.n == n and (one.folder / "adapter").is_dir() for one in finished):
            asked = f"the weights of round {n} are missing: it has no adapter/adapter_model.safetensors"
        known = ", ".join(map(str, found)) or "none"
        raise InputError(f"{run}: {asked}; rounds with an adapter: {known} (--round N)")
    return found[n]


def _pack_model(folder: Path, chosen: recipe.Recipe, known: dict[str, Any]) -> None:
    from huggingface_hub import EvalResult, ModelCard

    one, base, to = known["one"], known["base"], known["to"]
    adapter, scorer = one.folder / "adapter", one.folder / "scorer/adapter"
    if known["merged"]:
        _copied(plain(models.fetch(chosen.model), adapter), folder, None)
    else:
        _adapter(adapter, folder, base)
    if scorer.is_dir():
        _adapter(scorer, folder / "scorer", base)
        text = (scorer / "README.md").read_text("utf-8").replace(chosen.model.name, base)
        (folder / "scorer/README.md").write_text(text.replace("path/to/this/directory", f"{to}/scorer"), "utf-8")
    card = ModelCard(render_card("published.md", recipe=chosen, **known))
    results = one.numbers["splits"]["held_out"]["after"]
    card.data["eval_results"] = [
        EvalResult(
            task_type="text-generation",
            dataset_type=to,
            dataset_name=chosen.task.name,
            dataset_split="held out",
            metric_type="accuracy",
            metric_name=f"{way}, 95 % {results[way]['low']:.3f}-{results[way]['high']:.3f}",
            metric_value=round(results[way]["accuracy"], 4),
        )
        for way in known["ways"]
    ]
    card.data["model_name"] = to.partition("/")[2]
    card.save(folder / "README.md")
    shutil.copy(one.folder / "metrics.json", folder)
    raw = chosen.resolved()
    if known["is_local"]:
        raw["model"]["name"] = base  # and no directory of this machine
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), "utf-8")


def _pack_dataset(folder: Path, chosen: recipe.Recipe, known: dict[str, Any]) -> None:
    from huggingface_hub import DatasetCard

    shutil.copytree(known["one"].folder / "dataset", folder)
    card = DatasetCard.load(folder / "README.md")
    source = getattr(sys.modules[registry.resolve("tasks", chosen.task.name).__module__], "HUB", None)
    named = source.dataset if source else chosen.task.dataset if chosen.task.name == "hub" else None
    if named:
        card.data.source_datasets = [named]
        card.data.license = models.licence(named, "dataset")
        _permitted(named, card.data.license)
    card.text = card.text.replace("path/to/this/directory", known["to"]).replace(chosen.model.name, known["base"])
    card.save(folder / "README.md")


def _adapter(source: Path, folder: Path, base: str) -> None:
    _copied(source, folder, (*ADAPTER, *TOKENIZER))
    file = folder / "adapter_config.json"
    write_json(file, read_json(file, {}) | {"base_model_name_or_path": base})


def _copied(source: Path, folder: Path, names: tuple[str, ...] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and (names is None or path.name in names):
            shutil.copy(path, folder)
