"""`byheart run --dry-run`: the resolved recipe, what each stage would do, and what it would take. Nothing is loaded.

Tokens are counted from the problems with the model's own tokenizer; bytes from the headers of its weights. Both are
estimates and say so: how many samples an adaptive strategy takes is only known afterwards.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from tokenizers import Tokenizer

from byheart import estimate, machine, models, soundness
from byheart.errors import RunError
from byheart.files import read_json
from byheart.recipe import Recipe
from byheart.run import STAGES, changes, round_dir
from byheart.tasks.splits import source, split
from byheart.types import Problems


def plan(recipe: Recipe, folder: Path, rounds: int) -> dict[str, Any]:
    """What `rounds` more rounds in `folder` would be. Raises what a real run would of the recipe, the problems and the
    model's files; prompts are held against the context only by a real run, which loads the model's tokenizer."""
    soundness.check(recipe)
    if changed := changes(folder, recipe):
        raise RunError(f"{folder} was made with another recipe: {'; '.join(changed)}; name a new run with --run-dir")
    done = len(read_json(folder / "state.json", {"rounds": []})["rounds"])
    n = done + 1
    recipe = recipe.at(n)
    problems = split(source(recipe.task, recipe.seed), recipe.task, n)
    path = models.find(recipe.model)
    records = read_json(round_dir(folder, n) / "stages.json", {})
    would = _would(recipe, problems, path)
    stages = [
        (
            name,
            "nothing, it is done" if records.get(name, {}).get("status") == "done" else would[name][0],
            would[name][1],
        )
        for name in STAGES
    ]
    last = f" to {done + rounds}" if rounds > 1 else ""
    return {
        "recipe": yaml.safe_dump(recipe.resolved(), sort_keys=False),
        "title": f"round {n}{last} in {folder}, estimated",
        "stages": stages,
        "notes": [*_memory(recipe, path, problems), f"nothing was done; without --dry-run this begins at round {n}"],
    }


def _would(recipe: Recipe, problems: Problems, path: Path | None) -> dict[str, tuple[str, str]]:
    sizes = {name: len(part) for name, part in problems.splits().items()}
    length = _prompt_tokens(problems, path)
    strategy, asked, curated, objective = recipe.strategy, recipe.evaluation, recipe.curation, recipe.objective
    measured = sizes["held_out"] + sizes["dev"] + min(sizes["train"], asked.num_train)
    greedy = {(one.prompt, one.max_tokens) for one in (asked.fast, asked.worked)}
    answers = measured * (len(greedy) + asked.samples)
    longest = measured * (sum(most for _, most in greedy) + asked.samples * asked.worked.max_tokens)
    thought = min(sizes["dev"], asked.num_slow) + min(sizes["held_out"], asked.num_slow)
    samples = getattr(strategy, "max_samples", None)
    most = f"at most {sizes['train'] * samples} samples" if samples else "samples as the strategy wants"
    tokens = f"at most {sizes['train'] * samples * strategy.max_tokens:,} tokens" if samples else ""
    if recipe.sample_tokens:
        tokens = f"about {recipe.sample_tokens:,} tokens at most"
    prompt = f", prompts of about {length} tokens" if length else ""
    splits = f"{sizes['train']} problems to train on, {sizes['dev']} development, {sizes['held_out']} held out"
    keep = curated.keep if curated.target == "full" else 1
    trained, steps = "nothing is trained", ""
    if objective.name != "none":
        trained = f"{objective.name} from {objective.start}"
        steps = f"{objective.min_steps} to {objective.max_steps} steps of {objective.batch_size} rows"
    return {
        "load": (splits, ""),
        "baseline": (
            f"{answers} answers of the policy as it is{prompt}; {strategy.name} on {thought} problems",
            f"at most {longest:,} tokens, and the strategy's",
        ),
        "sample": (f"{strategy.name}: {most}", tokens),
        "verify": (f"with the verifier {recipe.judge.name}", ""),
        "curate": (f"at most {keep} right solutions a problem", f"at most {sizes['train'] * keep} new rows"),
        "train": (trained, steps),
        "evaluate": (f"{answers} answers of the new policy", f"at most {longest:,} tokens"),
    }


def _prompt_tokens(problems: Problems, path: Path | None) -> int | None:
    """Mean tokens of a prompt's words, without what the chat template adds; None where the tokenizer is not here."""
    if path is None or not (path / "tokenizer.json").is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    texts = [
        one.prompt if isinstance(one.prompt, str) else "".join(turn["content"] for turn in one.prompt)
        for one in problems.held_out[:50]
    ]
    return round(mean(len(one.ids) for one in tokenizer.encode_batch(texts)))


def _memory(recipe: Recipe, path: Path | None, problems: Problems) -> list[str]:
    model, gpus = estimate.shape(recipe.model), machine.gpus()
    said = [
        f"model: {path}" if path else f"model: {recipe.model.name} is not on this machine yet; the run would get it"
    ]
    if model is None:
        return [*said, "what it would take of memory is not known before"]
    said[0] += f"; {model.parameters / 1e6:,.0f} M parameters"
    if not gpus:
        return [*said, estimate.without_gpu(recipe, model)]
    sizes = {name: len(part) for name, part in problems.splits().items()}
    return [*said, *estimate.said(recipe, model, gpus, sizes, _prompt_tokens(problems, path) or 100)]
