"""Publish a round: its adapter or the merged model as a model repository of the hub, and what it was trained on as a
dataset repository of the same name.

`pack` makes the two folders, round-001/published/model and .../dataset, which is all that a dry run does; `push` sends
each as one commit and tags it with the round. New repositories are private. After an interruption the same command
continues: files that were uploaded are not sent again, and none is visible before the commit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.errors import HubError, InputError
from byheart.files import dump_yaml, read_json, write_json
from byheart.models import checkpoint
from byheart.models.weights import SIGNS, plain
from byheart.report.data import SPLITS, Round, RunView, measured
from byheart.runs.run import read_state
from byheart.templates import render_card

ADAPTER = ("adapter_config.json", "adapter_model.safetensors", SIGNS)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
"""Files of an adapter's folder that are published beside it; not training_args.bin, which is a pickle."""

REPLACED = (".safetensors", ".parquet", ".safetensors.index.json", "config.json", SIGNS)
"""Endings of files that the commit deletes if this round has none of that name; other files stay."""


@dataclass(frozen=True)
class Parcel:
    """The contents of `folder`, to be pushed to the repository `to` ("owner/name") of this kind."""

    kind: Literal["model", "dataset"]
    to: str
    folder: Path


@dataclass(frozen=True)
class _Publication:
    """What both repositories are made of: a round of a run with its recipe, to be published as `to`. `base` is the base
    model's name on the hub; `is_local`: the recipe names a directory instead."""

    run: RunView
    finished: Round
    recipe: Recipe
    to: str
    base: str
    is_local: bool
    license: str
    merged: bool


def pack(
    run: Path, n: int | None, to: str, base: str | None = None, license: str | None = None, merged: bool = False
) -> list[Parcel]:
    """Make the folders to publish of round `n`, by default the one whose policy the run ended with.

    `base` is the base model's name on the hub, where the recipe names a directory; `license` is that of the base model,
    where the hub does not know it. Raises InputError where there is nothing to publish, or it may not be published.
    """
    for option, name in (("--to", to), ("--base", base or to)):
        _check_name(option, name)
    view = measured(run)
    finished = _round(run, view.finished, n)
    chosen = recipe.parse(view.recipe).at(finished.n)
    recorded = finished.environments[-1].hub if finished.environments else checkpoint.hub_name(chosen.model)
    base = base or recorded
    if base is None:
        raise InputError(
            f"{run}: the base model {chosen.model.name} is a directory of this machine: give its name on the hub with "
            "--base OWNER/NAME"
        )
    license = inherited(base, license or checkpoint.license(base), to)
    folder = finished.folder / "published"
    shutil.rmtree(folder, ignore_errors=True)
    publication = _Publication(view, finished, chosen, to, base, recorded is None, license, merged)
    _pack_model(folder / "model", publication)
    _pack_dataset(folder / "dataset", publication)
    return [Parcel("model", to, folder / "model"), Parcel("dataset", to, folder / "dataset")]


def inherited(base: str, license: str | None, to: str) -> str:
    """The license of a model derived from `base`. Raises InputError where that of `base` is unknown, forbids
    derivatives, or demands another name than `to`."""
    if license is None:
        raise InputError(f"{base}: the hub knows no license of it; if you do, say --license NAME")
    _permitted(base, license)
    if license.startswith("llama3") and not to.partition("/")[2].lower().startswith("llama"):
        raise InputError(
            f"{base} is under {license}: the name of a derived model has to begin with Llama, e.g. "
            f"--to {to.partition('/')[0]}/Llama-{to.partition('/')[2]}"
        )
    return license


def _permitted(name: str, license: str | None) -> None:
    if license and "-nd" in license:  # no derivatives
        raise InputError(f"{name} is under {license}, which forbids publishing derivatives")


def push(parcels: list[Parcel], tag: str, public: bool = False) -> Iterator[str]:
    """Push each parcel as one commit with the tag `tag`, remove its folder, and yield its address. Raises HubError,
    with what to do, where that fails."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    hub = HfApi(library_name="byheart")
    for parcel in parcels:
        files = {
            str(path.relative_to(parcel.folder)): path for path in sorted(parcel.folder.rglob("*")) if path.is_file()
        }
        with _explained(parcel):
            hub.create_repo(parcel.to, repo_type=parcel.kind, private=not public, exist_ok=True)
            present = hub.list_repo_files(parcel.to, repo_type=parcel.kind)
            stale = [path for path in present if path not in files and path.endswith(REPLACED)]
            changes = [CommitOperationAdd(path, file) for path, file in files.items()]
            commit = hub.create_commit(
                parcel.to,
                [*changes, *(CommitOperationDelete(path) for path in stale)],
                commit_message=tag,
                repo_type=parcel.kind,
            )
            _tag(hub, parcel, tag, commit.oid)
        shutil.rmtree(parcel.folder)
        yield f"{hub.endpoint}/{'datasets/' if parcel.kind == 'dataset' else ''}{parcel.to}/tree/{tag}"


def _tag(hub: Any, parcel: Parcel, tag: str, commit: str) -> None:
    refs = hub.list_repo_refs(parcel.to, repo_type=parcel.kind)
    known = {ref.name: ref.target_commit for ref in refs.tags}
    if known.get(tag, commit) != commit:
        raise HubError(
            f"{parcel.to} has a {tag} already, another one, which stays; what was pushed now is its newest commit: "
            "name another repository with --to, or delete that tag and run the same command again"
        )
    if tag not in known:
        hub.create_tag(parcel.to, tag=tag, revision=commit, repo_type=parcel.kind)


STATUSES = {
    401: "you are not logged in to the hub: `hf auth login`, or set HF_TOKEN",
    403: "your token may not write there: make one that may, or name a repository of your own with --to",
    409: "somebody else pushed at the same time: try again",
    429: "the hub limits the rate of requests: try again in some minutes",
}
"""HTTP status -> what it means here, and what to do."""


@contextmanager
def _explained(parcel: Parcel) -> Iterator[None]:
    """Turn any error into a HubError that says what to do."""
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
        text = " ".join(str(cause).split())[:200]
        what = STATUSES.get(status, "the connection or the hub failed: the same command continues the upload")
        raise HubError(f"{parcel.kind} {parcel.to} is not published: {what} ({text})") from error


def _check_name(option: str, name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not in its __all__

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{option} {name}: {error}") from None
    if name.count("/") != 1:
        raise InputError(f"{option} {name}: OWNER/NAME is expected, such as me/llama-that-adds")


def _round(run: Path, finished: list[Round], n: int | None) -> Round:
    """The round to publish."""
    ends = read_state(run).rounds
    if n is None and ends and (ends[-1].adapter or "").startswith("round-"):
        n = int(Path(ends[-1].adapter or "").parts[0].removeprefix("round-"))
    with_adapter = {
        round_.n: round_ for round_ in finished if (round_.folder / "adapter/adapter_model.safetensors").is_file()
    }
    if n not in with_adapter:
        problem = "no policy of it was promoted" if n is None else f"round {n} is not finished, or made no adapter"
        if any(round_.n == n and (round_.folder / "adapter").is_dir() for round_ in finished):
            problem = f"the weights of round {n} are missing: it has no adapter/adapter_model.safetensors"
        rounds = ", ".join(map(str, with_adapter)) or "none"
        raise InputError(f"{run}: {problem}; rounds with an adapter: {rounds} (--round N)")
    return with_adapter[n]


def _pack_model(folder: Path, publication: _Publication) -> None:
    from huggingface_hub import EvalResult, ModelCard

    finished, chosen, base, to = publication.finished, publication.recipe, publication.base, publication.to
    adapter, scorer = finished.folder / "adapter", finished.folder / "scorer/adapter"
    if publication.merged:
        _copy(plain(checkpoint.fetch(chosen.model), adapter), folder, None)
    else:
        _copy_adapter(adapter, folder, base)
    if scorer.is_dir():
        _copy_adapter(scorer, folder / "scorer", base)
        text = (scorer / "README.md").read_text("utf-8").replace(chosen.model.name, base)
        (folder / "scorer/README.md").write_text(text.replace("path/to/this/directory", f"{to}/scorer"), "utf-8")
    card = ModelCard(
        render_card(
            "published.md",
            recipe=chosen,
            finished=finished,
            steps=finished.stages.train.steps if finished.stages.train else None,
            first=publication.run.finished[0].metrics.splits,
            kinds=publication.run.greedy,
            splits=SPLITS,
            environments=finished.environments,
            base=base,
            to=to,
            license=publication.license,
            merged=publication.merged,
        )
    )
    after = finished.metrics.held_out.after
    accuracies = {kind: after.fast if kind == "fast" else after.worked for kind in publication.run.greedy}
    card.data["eval_results"] = [
        EvalResult(
            task_type="text-generation",
            dataset_type=to,
            dataset_name=chosen.task.name,
            dataset_split="held out",
            metric_type="accuracy",
            metric_name=f"{kind}, 95 % {row.low:.3f}-{row.high:.3f}",
            metric_value=round(row.accuracy, 4),
        )
        for kind, row in accuracies.items()
        if row.accuracy is not None
    ]
    card.data["model_name"] = to.partition("/")[2]
    card.save(folder / "README.md")
    shutil.copy(finished.folder / "metrics.json", folder)
    raw = chosen.resolved()
    if publication.is_local:
        raw["model"]["name"] = base  # and no directory of this machine
    (folder / "recipe.yaml").write_text(dump_yaml(raw), "utf-8")


def _pack_dataset(folder: Path, publication: _Publication) -> None:
    from huggingface_hub import DatasetCard

    chosen = publication.recipe
    shutil.copytree(publication.finished.folder / "dataset", folder)
    card = DatasetCard.load(folder / "README.md")
    source = chosen.task.source()
    if source:
        card.data.source_datasets = [source]
        card.data.license = checkpoint.license(source, "dataset")
        _permitted(source, card.data.license)
    text = card.text.replace("path/to/this/directory", publication.to)
    card.text = text.replace(chosen.model.name, publication.base)
    card.save(folder / "README.md")


def _copy_adapter(source: Path, folder: Path, base: str) -> None:
    _copy(source, folder, (*ADAPTER, *TOKENIZER))
    file = folder / "adapter_config.json"
    write_json(file, read_json(file, {}) | {"base_model_name_or_path": base})


def _copy(source: Path, folder: Path, names: tuple[str, ...] | None) -> None:
    """Copy the files called `names`, or all files, of `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file() and (names is None or path.name in names):
            shutil.copy(path, folder)
