"""A recipe is one YAML file that says everything about a run: which problems, which model, how to think, what to keep.

    name: addition
    model: {name: smollm2-135m}
    task: {name: arithmetic, digits: 2, num_train: 400}
    strategy: {name: direct, max_samples: 8}

It becomes a frozen `Recipe`. A section's options live beside the code that uses them and are found through the
section's `name`; an unknown key, a missing one or a wrong type is a RecipeError that says which, before anything runs.

A relative path in a recipe is looked for beside the recipe's file, then in the working directory. What is recorded of a
run is the path as written, so a run does not depend on the folder that its recipe lies in.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from byheart.config.limit import limited
from byheart.config.rounds import Rounds
from byheart.contracts import Arguments, Engine, Executor, Objective, Strategy, Task, Verifier
from byheart.curation import CurationOptions
from byheart.errors import RecipeError
from byheart.evaluation import EvaluationOptions
from byheart.files import load_yaml
from byheart.models.checkpoint import ModelOptions
from byheart.plugins import registry
from byheart.plugins.plugin import SHIPPED, Member, Mistake, Mistakes, Options, kind_of, mistakes, named
from byheart.trainer.launch import Launcher, configured
from byheart.types import digest

SCHEDULED = ("task.only", "task.num_train", "strategy.", "curation.", "objective.", "evaluation.")
"""What may differ from round to round, beside the strategy as a whole: not what is measured, nor who judges, nor which
objective trains."""

UNDECIDING = ("rounds", "accelerate", "engine", "executor")
"""Sections that decide no result: a run begun on a laptop may go on on a cluster, for as many rounds as one likes."""

HOW_FAST = {
    "trainer_args": (
        "dataloader_num_workers",
        "dataloader_pin_memory",
        "dataloader_prefetch_factor",
        "logging_steps",
        "report_to",
        "run_name",
        "save_steps",
        "torch_compile",
    ),
    "engine_args": (
        "cpu_offload_gb",
        "disable_log_stats",
        "enforce_eager",
        "max_num_batched_tokens",
        "swap_space",
    ),
}
"""Of the arguments that are handed through, those that say only where or how fast something is computed."""

DEFAULTS = {"strategy": "direct", "engine": "vllm", "executor": "local", "objective": "sft"}

NAMED = (*DEFAULTS, "model", "task", "verifier")
"""Sections that have a name: a text alone is that."""

RENAMED = {
    "objective": {
        "rank": "lora_r",
        "alpha": "lora_alpha",
        "batch_size": "global_batch_size",
        "accumulation": "gradient_accumulation_steps",
        "quantized": "load_in_4bit",
        "min_steps": "min_optimizer_steps",
        "max_steps": "max_optimizer_steps",
    },
    "engine": {
        "max_sequences": "max_num_seqs",
        "tensor_parallel": "tensor_parallel_size",
        "data_parallel": "data_parallel_size",
        "gpu_memory": "gpu_memory_utilization",
    },
    "evaluation": {"by": "group_by"},
    "strategy": {"visits": "simulations", "explore": "exploration", "mend": "retry_prompt"},
}
"""Section -> key of an older version -> what it is called now."""

RAY = (
    "'ray' is an executor now: say executor: {name: ray, num_workers: ...}, and engine: what was worker_engine, by "
    "default vllm"
)
"""What is said of a recipe of an older version in which Ray is the engine."""

RENAMED_VALUES = {("curation", "pair_by", "lot"): "random"}
"""(section, key, value of an older version) -> what the value is called now."""

ADDED: dict[str, dict[str, Any]] = {"evaluation": {"continue_from": "last"}}
"""Section -> keys that older versions did not have, with the value that says what they did."""


class Recipe(Options):
    """Everything that decides a run."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="the recipe's name, and that of the run's directory in runs/",
    )
    seed: int = Field(default=0, description="decides the problems' order, every sample and the training")
    rounds: Annotated[int, Field(ge=1)] | Rounds = Field(
        default=1,
        description="rounds that `byheart run` does at each call, or {most: 10, patience: 2}: that many in all, fewer "
        "where no more is gained",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="a first look before a long run: at most N problems in every stage; no figure is a result",
    )
    accelerate: str | None = Field(
        default=None,
        description="how training is spread over processes: a config file of accelerate's, or the name of a shipped "
        "one (recipes/accelerate); without it there is one on each GPU of this machine",
    )
    model: ModelOptions = Field(description="the model to teach")
    task: Member[Task] = Field(description="where problems come from")
    verifier: Member[Verifier] | None = Field(
        default=None, description="lets in what is trained on; by default the task's own, which always measures"
    )
    sample_tokens: int | None = Field(
        default=None,
        ge=1,
        description="a round begins no more problems, 32 at a time, once so many tokens were generated: the control "
        "that compares two strategies at equal cost",
    )
    schedule: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="options that change, round by round, the last one for all that follow: "
        "{curation.target: [full, shortest, answer]}",
    )
    strategy: Member[Strategy] = named("direct", "how to think about a problem")
    engine: Member[Engine] = named("vllm", "what computes completions and scores; decides no result")
    executor: Member[Executor] = named("local", "where the engine runs, or many of it; decides no result")
    curation: CurationOptions = Field(default_factory=CurationOptions, description="which solutions are trained on")
    objective: Member[Objective] = named("sft", "how the policy is trained")
    evaluation: EvaluationOptions = Field(default_factory=EvaluationOptions, description="what is measured")
    trainer_args: dict[str, JsonValue] = Field(
        default_factory=dict, description="further options of trl's config, such as {weight_decay: 0.01}"
    )
    lora_args: dict[str, JsonValue] = Field(
        default_factory=dict, description="further options of peft's LoraConfig, such as {lora_dropout: 0.05}"
    )
    engine_args: dict[str, JsonValue] = Field(
        default_factory=dict, description="further options of vLLM's engine, such as {kv_cache_dtype: fp8}"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_names(cls, raw: Any) -> Any:
        """A section of a family that has a default member need not name it."""
        if not isinstance(raw, dict):
            return raw
        unnamed = {key: raw[key] for key in DEFAULTS if isinstance(raw.get(key), dict) and "name" not in raw[key]}
        return raw | {key: {"name": DEFAULTS[key], **section} for key, section in unnamed.items()}

    @field_validator("schedule")
    @classmethod
    def _changeable(cls, schedule: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Raises Mistakes where a key can't change, or has no value."""
        wrong = []
        for key, values in schedule.items():
            unchangeable = not key.startswith(SCHEDULED) or key.endswith(".name") or key.startswith("evaluation.also")
            if key != "strategy" and unchangeable:
                known = "task.only, task.num_train, the strategy and the options of strategy, curation, objective and "
                wrong.append(Mistake((), f"{key!r} can't change; {known}evaluation can, but for evaluation.also"))
            elif not values:
                wrong.append(Mistake((), f"{key!r} has no value for any round"))
        if wrong:
            raise Mistakes(wrong)
        return schedule

    @property
    def train_verifier(self) -> Verifier:
        """The verifier that lets in what is trained on."""
        return self.verifier or self.task.verifier

    @property
    def arguments(self) -> Arguments:
        """What is handed through to training and decides its result."""
        fast = HOW_FAST["trainer_args"]
        return Arguments({key: value for key, value in self.trainer_args.items() if key not in fast}, self.lora_args)

    @property
    def serving(self) -> Engine:
        """The engine, with what is handed through to it."""
        return self.engine.with_args(self.engine_args)

    @property
    def setting(self) -> dict[str, Any]:
        """What decides completions and scores, beside policy and request: the `setting` of workers."""
        fast = HOW_FAST["engine_args"]
        arguments = {key: value for key, value in self.engine_args.items() if key not in fast}
        return self.model.model_dump() | ({"engine_args": arguments} if arguments else {})

    @property
    def launcher(self) -> Launcher:
        """How training is started. Raises RecipeError where accelerate's config is not there."""
        fast = HOW_FAST["trainer_args"]
        return Launcher(configured(self), {key: value for key, value in self.trainer_args.items() if key in fast})

    @property
    def num_different(self) -> int:
        """How many rounds the schedule tells apart; those that follow are like the last of them."""
        return max(map(len, self.schedule.values()), default=1)

    def at(self, n: int) -> Recipe:
        """The recipe of round `n` (from 1): this one, with what `schedule` says of that round, and within `limit`."""
        scheduled = _scheduled(self, n, "recipe") if self.schedule else self
        return scheduled if self.limit is None else limited(scheduled, self.limit)

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults filled in: what recipe.yaml of a run holds."""
        return self.model_dump(mode="json")

    def deciding(self) -> dict[str, Any]:
        """What decides the result, flat: {"task.digits": 2, ...}."""
        return deciding(self.resolved())

    def digest(self) -> str:
        """A name for what decides the result."""
        return digest(self.deciding())


def read(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `path`, with `overrides` such as "task.digits=3" put over it. They hold in all rounds, in
    the place of what its schedule says of the same keys.

    Raises RecipeError where the file is missing, is not YAML, or does not fit.
    """
    raw, folders = read_raw(path)
    for override in overrides:
        raw = _overridden(raw, override)
    return parse(raw, str(path), folders)


def read_raw(path: Path) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """What the file `path` says, merged by key over the recipe that it `extends`, if any; and the folders in which its
    paths are looked for. Raises RecipeError where a file is missing, is no YAML mapping, or extends itself."""
    raw, folders, seen = _mapping(path), [path.absolute().parent], [path.resolve()]
    while "extends" in raw:
        base = _base(raw.pop("extends"), folders[-1], path, seen)
        seen.append(base.resolve())
        folders.append(base.absolute().parent)
        raw = merged(_mapping(base), raw)
    return raw, tuple(dict.fromkeys(folders))


def _base(name: Any, folder: Path, where: Path, seen: Sequence[Path]) -> Path:
    if not isinstance(name, str):
        raise RecipeError(f"{where}: extends: the name of a recipe is wanted, this is {kind_of(name)}")
    candidates = (folder / name, folder / f"{name}.yaml", SHIPPED / f"{name}.yaml")
    existing = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in existing:
        if candidate.resolve() not in seen:  # so that one's own addition.yaml may extend the shipped one
            return candidate
    if existing:
        raise RecipeError(f"{where}: extends: {existing[0]} extends itself")
    near = registry.nearest(name, shipped())
    raise RecipeError(f"{where}: extends: no recipe {name!r}{near}; looked in {folder} and among those of byheart")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` put over it key by key. A section that names another member than in `base` has none of its
    options."""
    result = dict(base)
    for key, value in over.items():
        below = base.get(key)
        if key in NAMED:
            below, value = _with_name(below), _with_name(value)
            if isinstance(below, dict) and key in DEFAULTS:
                below = {"name": DEFAULTS[key]} | below
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            renamed = "name" in value and "name" in below and value["name"] != below["name"]
            other = renamed and key != "model"  # whose name says no class
            result[key] = dict(value) if other else merged(below, value)
        else:
            result[key] = value
    return result


def _with_name(section: Any) -> Any:
    """A section that is a text alone, as the mapping that it means."""
    return {"name": section} if isinstance(section, str) else section


def shipped() -> dict[str, Path]:
    """The recipes that come with byheart, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def parse(raw: dict[str, Any], where: str = "recipe", folders: tuple[Path, ...] = ()) -> Recipe:
    """The frozen Recipe that the mapping `raw` says; paths in it are looked for in `folders` first. Raises RecipeError
    naming every key that is wrong, in any of the rounds that its schedule tells apart."""
    recipe = _parsed(raw, where, folders)
    wrong = []
    for n in range(1, recipe.num_different + 1):
        try:
            _scheduled(recipe, n, where)
        except RecipeError as error:
            wrong.append(str(error))
    if wrong:
        raise RecipeError("\n".join(wrong))
    return recipe


def _scheduled(recipe: Recipe, n: int, where: str) -> Recipe:
    raw = recipe.resolved()
    for key, values in recipe.schedule.items():
        _put(raw, key, values[min(n, len(values)) - 1])
    return _parsed(raw, f"{where}: schedule, round {n}", recipe.folders)


def _parsed(raw: dict[str, Any], where: str, folders: tuple[Path, ...]) -> Recipe:
    try:
        return Recipe.model_validate(raw, context=folders)
    except ValidationError as error:
        lines = [f"{where}: {_renamed(mistake, raw)}" for mistake in mistakes(error, Recipe)]
        raise RecipeError("\n".join(lines)) from None


def _renamed(mistake: Mistake, raw: Mapping[str, Any]) -> Mistake:
    """With what a key, or a value, of an older version is called now."""
    if mistake.keys == ("engine", "name") and _with_name(raw["engine"])["name"] == "ray":
        return mistake._replace(text=RAY)
    if mistake.kind == "unknown" and (new := RENAMED.get(mistake.keys[0], {}).get(mistake.keys[-1])):
        return mistake._replace(text=f"; it is called {new!r} now")
    for (section, key, old), new in RENAMED_VALUES.items():
        if mistake.keys == (section, key) and raw[section][key] == old:
            return mistake._replace(text=f"{old!r} is called {new!r} now")
    return mistake


def translated(raw: dict[str, Any]) -> dict[str, Any]:
    """The resolved recipe `raw` of a run with keys of an older version called what they are now, and those added."""
    renamed = {section: _translated(value, RENAMED.get(section, {})) for section, value in _with_executor(raw).items()}
    schedule: dict[str, Any] = {}
    for key, values in renamed.get("schedule", {}).items():
        section, _, option = key.partition(".")
        names = RENAMED.get(section, {})
        schedule[f"{section}.{names.get(option, option)}" if option else section] = _translated(values, names)
    for (section, option, old), new in RENAMED_VALUES.items():
        if renamed.get(section, {}).get(option) == old:
            renamed[section] = renamed[section] | {option: new}
        if (key := f"{section}.{option}") in schedule:
            schedule[key] = [new if value == old else value for value in schedule[key]]
    added = {section: ADDED[section] | renamed[section] for section in ADDED.keys() & renamed.keys()}
    return renamed | added | {"schedule": schedule}


def _with_executor(raw: dict[str, Any]) -> dict[str, Any]:
    """With Ray as the executor, where it was the engine in an older version, and what each worker had as the engine."""
    engine = raw.get("engine")
    if not isinstance(engine, dict) or engine.get("name") != "ray":
        return raw
    options = {{"workers": "num_workers"}.get(key, key): value for key, value in engine.items()}
    own = [options.pop(key) for key in ("worker_engine", "each") if key in options]
    return raw | {"executor": options, "engine": own[0] if own else {"name": DEFAULTS["engine"]}}


def _translated(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_translated(item, names) for item in value]
    if isinstance(value, dict):
        return {names.get(key, key): _translated(item, names) for key, item in value.items()}
    return value


def deciding(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the result of a `resolved` recipe, flat."""
    sections = {key: value for key, value in resolved.items() if key not in UNDECIDING}
    for section, free in HOW_FAST.items():
        sections[section] = {key: value for key, value in sections.get(section, {}).items() if key not in free}
    return flatten(sections)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: leaf
        for name, branch in tree.items()
        for key, leaf in flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The flat keys whose values differ, as 'key: old -> new'."""
    keys = sorted(old.keys() | new.keys())
    return [f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = load_yaml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; `byheart recipes` lists those that come with byheart") from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder; a recipe is a YAML file, or one that `byheart recipes` lists") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        where, why = str(path), str(error)
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            where = f"{path}, line {error.problem_mark.line + 1}"
            why = " ".join(filter(None, (error.context, error.problem)))
        raise RecipeError(f"{where}: not a readable YAML file: {' '.join(why.split())}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a YAML mapping, this is {kind_of(raw)}")
    return raw


def _overridden(raw: dict[str, Any], override: str) -> dict[str, Any]:
    """`raw` with one override, such as "task.digits=3", put over it."""
    key, equals, text = override.partition("=")
    if not equals:
        raise RecipeError(f"{override!r}: an override is key=value, such as task.digits=3")
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        why = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise RecipeError(f"{override!r}: the value is not YAML ({' '.join(str(why).split())})") from None
    if isinstance(raw.get("schedule"), dict):
        raw["schedule"] = _unscheduled(raw["schedule"], key, value)
    section = key.removesuffix(".name")
    if section in NAMED and isinstance(value, str):
        return merged(raw, {section: value})
    _put(raw, key, value)
    return raw


def _unscheduled(schedule: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """`schedule` without what would undo that `key` has this `value`: without the key and those below it. Where the
    schedule names whole sections, the key is set in each of them."""
    changed: dict[str, Any] = {}
    for other, values in schedule.items():
        if f"{other}.".startswith(f"{key.removesuffix('.name')}."):
            continue
        if key.startswith(f"{other}.") and isinstance(values, list):
            values = [_with_option(section, key.removeprefix(f"{other}."), value) for section in values]
        changed[other] = values
    return changed


def _with_option(section: Any, key: str, value: Any) -> Any:
    section = copy.deepcopy(_with_name(section))
    if isinstance(section, dict):
        _put(section, key, value)
    return section


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set what "task.digits" names in the mapping `raw` to `value`."""
    *parents, leaf = key.split(".")
    branch = raw
    for parent in parents:
        inner = branch.setdefault(parent, {})
        if isinstance(inner, str) and branch is raw and parent in NAMED:
            inner = branch[parent] = {"name": inner}
        branch = inner
        if isinstance(branch, list):
            raise RecipeError(f"{key}: {parent} is a list, which is given as a whole: {parent}=[...]")
        if not isinstance(branch, dict):
            raise RecipeError(f"{key}: {parent} holds a value, not a section")
    branch[leaf] = value
