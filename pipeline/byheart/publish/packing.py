"""The folders that are published of a round: its adapter or the merged model, and what it was trained on, each with a
card; round-001/published/model and .../dataset.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.errors import InputError, ModelError
from byheart.files import dump_yaml, read_json, write_json
from byheart.models import checkpoint, lora, portable
from byheart.models.weights import GENERATION, SIGNS, plain
from byheart.publish.manifest import Manifest
from byheart.publish.places import without_places
from byheart.report import figures, peers
from byheart.report.data import SPLITS, Round, RunView, measured
from byheart.runs.run import check_weights, first_weights
from byheart.templates import render_card
from byheart.types import Environment

ADAPTER = (lora.CONFIG, lora.WEIGHTS, SIGNS)
"""Files of an adapter's folder that are published; not training_args.bin, which is a pickle."""

MERGED = ("*.safetensors", "*.safetensors.index.json", "config.json", GENERATION)
"""Files of a merged model's folder that are published, beside the base model's tokenizer."""


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

    @property
    def adapter(self) -> Path:
        """The adapter that the round trained."""
        return self.finished.folder / "adapter"


def pack(
    run: Path,
    n: int | Literal["best"] | None,
    to: str,
    base: str | None = None,
    license: str | None = None,
    merged: bool = False,
) -> list[Parcel]:
    """Make the folders to publish of round `n`, or of the one that made the best policy; by default of the one whose
    policy the next round would start from.

    `base` is the base model's name on the hub, where the recipe names a directory; `license` is that of the base model,
    where the hub does not know it. Raises InputError where there is nothing to publish, or it may not be published.
    """
    for option, name in (("--to", to), ("--base", base or to)):
        _check_name(option, name)
    view = measured(run)
    if view.first_look:
        raise InputError(
            f"{run} is {view.first_look}: do the recipe without --limit, in a run of its own, and publish that"
        )
    finished = _round(view, n)
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
    parcels = [Parcel("model", to, folder / "model"), Parcel("dataset", to, folder / "dataset")]
    for parcel in parcels:
        Manifest.of(parcel.folder).write(parcel.folder)
    return parcels


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


def _check_name(option: str, name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # not in its __all__

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"{option} {name}: {error}") from None
    if name.count("/") != 1:
        raise InputError(f"{option} {name}: OWNER/NAME is expected, such as me/llama-that-adds")


def _round(run: RunView, n: int | Literal["best"] | None) -> Round:
    """The round to publish."""
    chosen = run.best if n == "best" else run.next_starts_from if n is None else n
    with_adapter = {round_.n: round_ for round_ in run.finished if (round_.folder / "adapter" / lora.WEIGHTS).is_file()}
    if chosen not in with_adapter:
        problem = f"round {chosen} is not finished, or made no adapter"
        if chosen == 0:
            of_best = n == "best" or run.continues_from_best
            problem = "its best policy is the one that it began with" if of_best else "no policy of it was promoted"
        if any(round_.n == chosen and (round_.folder / "adapter").is_dir() for round_ in run.finished):
            problem = f"the weights of round {chosen} are missing: it has no adapter/{lora.WEIGHTS}"
        rounds = ", ".join(map(str, with_adapter)) or "none"
        raise InputError(f"{run.folder}: {problem}; rounds with an adapter: {rounds} (--round N)")
    return with_adapter[chosen]


def _pack_model(folder: Path, publication: _Publication) -> None:
    finished, chosen, base, to = publication.finished, publication.recipe, publication.base, publication.to
    scorer = finished.folder / "scorer/adapter"
    if publication.merged:
        model = checkpoint.fetch(chosen.model)
        now = Environment({}, "", None, *checkpoint.identity(chosen.model))
        check_weights(publication.run.folder, first_weights(publication.run.folder), now)
        _copy(plain(model, publication.adapter), folder, MERGED)
        portable.rewrite_config(folder)
        portable.copy_tokenizer(model, folder)
    else:
        _copy_adapter(publication.adapter, folder, publication)
    if scorer.is_dir():
        _copy_adapter(scorer, folder / "scorer", publication)
        text = _with_base((scorer / "README.md").read_text("utf-8"), chosen.model.name, base)
        (folder / "scorer/README.md").write_text(text.replace("path/to/this/directory", f"{to}/scorer"), "utf-8")
    _write_card(folder / "README.md", publication)
    shutil.copy(finished.folder / "metrics.json", folder)
    (folder / "recipe.yaml").write_text(dump_yaml(_public_recipe(publication)), "utf-8")


def _write_card(path: Path, publication: _Publication) -> None:
    from huggingface_hub import EvalResult, ModelCard

    finished, chosen, to = publication.finished, publication.recipe, publication.to
    card = ModelCard(
        render_card(
            "published.md",
            recipe=chosen,
            finished=finished,
            steps=finished.stages.train.steps if finished.stages.train else None,
            lora=lora.Lora.read(publication.adapter),
            first=publication.run.finished[0].metrics.splits,
            kinds=publication.run.greedy,
            splits=SPLITS,
            figures=figures,
            peers=peers,
            controls=peers.rows(finished.metrics, publication.run.greedy),
            environments=finished.environments,
            builtin=checkpoint.BUILTIN.get(chosen.model.name),
            is_local=publication.is_local,
            base=publication.base,
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
    card.save(path)


def _public_recipe(publication: _Publication) -> dict[str, Any]:
    """The recipe, without what it says of the machines of the run."""
    raw = publication.recipe.resolved()
    if publication.is_local:
        raw["model"]["name"] = publication.base
    raw["executor"] = {"name": publication.recipe.executor.name}  # its options say which machines compute, and how many
    public: dict[str, Any] = without_places(raw)
    return public


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
    card.text = _with_base(text, chosen.model.name, publication.base)
    card.save(folder / "README.md")


def _with_base(card: str, model: str, base: str) -> str:
    """The card of a round with `base` where it names the `model` of the recipe, which may be any word."""
    return re.sub(rf"(base_model: |`|solutions by ){re.escape(model)}(?=\n|`| itself)", rf"\g<1>{base}", card)


def _copy_adapter(source: Path, folder: Path, publication: _Publication) -> None:
    _copy(source, folder, ADAPTER)
    file = folder / lora.CONFIG
    write_json(file, read_json(file, {}) | {"base_model_name_or_path": publication.base})
    try:
        model = checkpoint.find(publication.recipe.model)
    except ModelError:  # its directory is no longer there
        model = None
    portable.copy_tokenizer(model or source, folder)


def _copy(source: Path, folder: Path, patterns: tuple[str, ...]) -> None:
    """Copy the files of `source` that match one of `patterns`."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in patterns:
        for path in source.glob(pattern):
            shutil.copy(path, folder)
