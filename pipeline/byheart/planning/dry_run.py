"""`byheart run --dry-run`: the resolved recipe, what each stage would do, and what it would take. No model is loaded.

Tokens are counted from the problems with the model's own tokenizer; bytes from the headers of its weights. Both are
labelled as estimates: the number of samples of an adaptive strategy is only known afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from tokenizers import Tokenizer

from byheart import STAGES
from byheart.config import validation
from byheart.config.recipe import Recipe
from byheart.config.rounds import Rounds
from byheart.evaluation import EvaluationOptions
from byheart.evaluation.measuring import check_groups
from byheart.files import dump_yaml
from byheart.models import checkpoint, machine
from byheart.models.folder import few
from byheart.planning import estimate
from byheart.runs.records import RunState, Stages
from byheart.runs.run import check_redo, check_weights, first_weights, read_stage_records, read_state, refusal
from byheart.runs.stages import round_dir
from byheart.tasks.core.splits import also, check_gold, check_some, of_another, source, split
from byheart.types import Environment, Problems, replace


class Would(NamedTuple):
    """What a stage would do, and what it would take, in words."""

    stage: str
    would: str
    estimate: str


class Plan(NamedTuple):
    """A dry run: the resolved recipe as YAML, a title, a line for each stage, and what else is to be said."""

    recipe: str
    title: str
    stages: list[Would]
    notes: list[str]


def plan(recipe: Recipe, folder: Path, rounds: int | None = None, redo_from: int | None = None) -> Plan:
    """What `rounds` more rounds in `folder`, by default as many as `recipe` says, would do, round `redo_from` and all
    after it being done anew. Raises the errors of a real run about the recipe, the problems and the model's files,
    except that prompts are not compared with the context. That `folder` has a run of another recipe is a note."""
    validation.check(recipe)
    validation.check_model(recipe)
    if redo_from:
        check_redo(folder, recipe, redo_from)
    refused = "" if redo_from else refusal(folder, recipe)
    ends = read_state(folder).rounds
    state = RunState(ends[: redo_from - 1] if redo_from else ends)
    n, wanted = len(state.rounds) + 1, rounds or recipe.rounds
    if isinstance(wanted, Rounds):
        state = state.until(wanted.most, wanted.patience)
    else:
        state = state.until(len(state.rounds) + wanted, None)
    recipe = recipe.at(n)
    everything = source(recipe.task, recipe.seed)
    others = recipe.evaluation.other_tasks
    problems = replace(split(everything, recipe.task, n), also=also(others, recipe.seed))
    check_groups(problems, recipe.evaluation)
    looked = check_some(everything, recipe.task, [recipe.train_verifier])
    for name, part in problems.also.items():
        with of_another(name):
            looked += check_gold(part, others[name], ())
    path = checkpoint.find(recipe.model)
    if path:
        if redo_from != 1 and (began := first_weights(folder)):
            check_weights(folder, began, Environment({}, "", None, *checkpoint.identity(recipe.model)))
        checkpoint.check(path, [problem.prompt for part in problems.splits().values() for problem in part])
        for name, part in problems.also.items():
            with of_another(name):
                checkpoint.check(path, [problem.prompt for problem in part])
    records = Stages({} if redo_from or refused else read_stage_records(round_dir(folder, n)))
    would = _would(recipe, problems, path, n)
    stages = [
        Would(name, "nothing, it is done" if records.done(name) else would[name][0], would[name][1]) for name in STAGES
    ]
    last = f" to {n + state.left - 1}{' at most' if state.patience else ''}" if state.left > 1 else ""
    begins = f"this begins at round {n}" if state.left else f"nothing would be: {state.ended} --rounds N does N more"
    if refused:
        begins = f"this is refused: {refused}"
    return Plan(
        recipe=dump_yaml(recipe.resolved()),
        title=f"round {n}{last} in {folder}, estimated",
        stages=stages,
        notes=[*looked, *_memory(recipe, path, problems, n), f"nothing was done; without --dry-run {begins}"],
    )


def _would(recipe: Recipe, problems: Problems, path: Path | None, n: int) -> dict[str, tuple[str, str]]:
    sizes = {name: len(part) for name, part in problems.splits().items()}
    length = _prompt_tokens(problems, path)
    strategy, evaluation, curation, objective = recipe.strategy, recipe.evaluation, recipe.curation, recipe.objective
    measured = sizes["held_out"] + sizes["dev"] + min(sizes["train"], evaluation.num_train)
    greedy = {(answer.prompt, answer.max_tokens) for answer in (evaluation.fast, evaluation.worked)}
    answers = measured * (len(greedy) + evaluation.samples)
    longest = measured * (sum(most for _, most in greedy) + evaluation.samples * evaluation.worked.max_tokens)
    answers += sum(map(len, problems.also.values()))
    longest += sum(len(part) * evaluation.also[name].max_tokens for name, part in problems.also.items())
    num_slow = min(sizes["dev"], evaluation.num_slow) + min(sizes["held_out"], evaluation.num_slow)
    budget = strategy.budget()
    most = f"at most {sizes['train'] * budget.most} samples" if budget else "samples as the strategy wants"
    tokens = f"at most {sizes['train'] * budget.most * budget.max_tokens:,} tokens" if budget else ""
    if recipe.sample_tokens:
        tokens = f"about {recipe.sample_tokens:,} tokens at most"
    prompt = f", prompts of about {length} tokens" if length else ""
    splits = f"{sizes['train']} problems to train on, {sizes['dev']} development, {sizes['held_out']} held out"
    if problems.also:
        splits += f", {', '.join(f'{len(part)} of {name}' for name, part in problems.also.items())} elsewhere"
    keep = curation.keep if curation.target == "full" else 1
    trained, steps = objective.outlook()
    return {
        "load": (splits, ""),
        "baseline": (
            f"{answers} answers of the policy as it is{prompt}; {strategy.name} on {num_slow} problems",
            f"at most {longest:,} tokens, and the strategy's",
        ),
        "sample": (f"{strategy.name}: {most}", tokens),
        "verify": (f"with the verifier {recipe.train_verifier.name}", ""),
        "curate": (f"at most {keep} right solutions a problem", f"at most {sizes['train'] * keep} new rows"),
        "controls": _controls(evaluation, sizes, n),
        "train": (trained, steps),
        "evaluate": (f"{answers} answers of the new policy", f"at most {longest:,} tokens"),
    }


def _controls(evaluation: EvaluationOptions, sizes: Mapping[str, int], n: int) -> tuple[str, str]:
    asked, kinds = evaluation.controls, 1 if evaluation.one_kind else 2
    answers = sizes["held_out"] * (asked.num_greedy * kinds + asked.majority) + sizes["dev"] * len(asked.prompts)
    if not answers:
        return "nothing: evaluation.controls asks for none", ""
    most = max(evaluation.fast.max_tokens, evaluation.worked.max_tokens)
    known = "" if n == 1 else ", but for those that an earlier round has"
    return f"{answers} answers of the model that the run began with{known}", f"at most {answers * most:,} tokens"


def _prompt_tokens(problems: Problems, path: Path | None) -> int | None:
    """Mean tokens of a prompt, without what the chat template adds; None if the tokenizer is not on this machine."""
    if path is None or not (path / "tokenizer.json").is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    texts = [
        problem.prompt if isinstance(problem.prompt, str) else "".join(turn["content"] for turn in problem.prompt)
        for problem in problems.held_out[:50]
    ]
    return round(mean(len(encoding.ids) for encoding in tokenizer.encode_batch(texts)))


def _absent(model: checkpoint.ModelOptions) -> str:
    """What is said of a model that is not on this machine, or not all of it."""
    if missing := checkpoint.missing(model):
        return f"model: {model.name}: not all of it is here yet; the run would get {few(missing)} too"
    return f"model: {model.name} is not on this machine yet; the run would get it"


def _memory(recipe: Recipe, path: Path | None, problems: Problems, n: int) -> list[str]:
    model, gpus = estimate.shape(recipe.model), machine.gpus()
    about = f"model: {path}" if path else _absent(recipe.model)
    if path and (own := checkpoint.context_length(path)) < recipe.model.max_context:
        about += f"; its own context, {own:,} tokens, is shorter than model.max_context and is what counts"
    if model is None:
        return [about, "the memory that it would take is not known before"]
    about += f"; {model.parameters / 1e6:,.0f} M parameters"
    if not gpus:
        return [about, estimate.without_gpu(recipe, model)]
    sizes = {name: len(part) for name, part in problems.splits().items()}
    return [about, *estimate.lines(recipe, model, gpus, sizes, _prompt_tokens(problems, path) or 100, n)]
