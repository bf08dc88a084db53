"""Curation makes what it made when it held everything in memory: recorded.json has digests of all values of the
datasets of three rounds, as of commit c242b37, for one case of options a line."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.curation import curate, read_dataset, read_pairs, read_rows, read_steps
from byheart.files import Journal, write_records
from byheart.runs.run import Run
from byheart.strategies.core.sampling import read_rollouts
from byheart.strategies.core.verifying import read_verdicts
from byheart.text import BACK
from byheart.types import Problem, Problems, Prompt, Record, Rollout, RolloutGroup, Verdict, digest

from tests.conftest import verifier_by
from tests.curation.conftest import NUMBER, rolled
from tests.fakes import earlier_rounds

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())

CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "one round": {"accumulate": False},
    "newest two rounds": {"max_age": 1},
    "diverse": {"choose": "diverse", "keep": 2},
    "valued": {"choose": "value", "keep": 3},
    "random": {"choose": "random", "keep": 2},
    "proportional": {"quota": "proportional", "keep": 6},
    "proportional to few": {"quota": "proportional", "keep": 5, "distinct": "equations", "max_age": 1},
    "equations": {"distinct": "equations"},
    "diverse equations": {"distinct": "equations", "choose": "diverse", "keep": 2, "accumulate": False},
    "shortest": {"target": "shortest"},
    "shortest equations": {"target": "shortest", "distinct": "equations"},
    "answer": {"target": "answer"},
    "answer, equations": {"target": "answer", "distinct": "equations", "quota": "proportional"},
    "answer of one round": {"target": "answer", "accumulate": False},
    "few rows": {"max_rows": 17, "max_hinted": 0.1},
    "few rows, most hinted": {"max_rows": 40, "max_hinted": 0.8},
    "no hints": {"max_hinted": 0.0},
    "only hints": {"max_hinted": 1.0, "max_rows": 23, "min_tokens": 6},
    "contaminated": {"decontaminate": False, "pairs": 2, "steps": {}},
    "all that overlaps": {"overlap": 0.4, "ngram": 3, "pairs": 2, "steps": {}},
    "backtracks": {"backtracks": 2},
    "backtracks of few": {"backtracks": 3, "keep": 1, "max_rows": 30, "max_hinted": 0.2, "distinct": "equations"},
    "pairs": {"pairs": 3},
    "pairs of equations": {"pairs": 4, "distinct": "equations", "accumulate": False, "min_tokens": 7},
    "siblings": {"pairs": 3, "pair_by": "siblings"},
    "siblings by sentence": {"pairs": 9, "pair_by": "siblings", "step": "sentence", "max_age": 1},
    "steps": {"steps": {}},
    "few steps": {"steps": {"target": "rest_mcts", "keep": 3}, "accumulate": False, "max_age": 1},
    "everything": {
        "quota": "proportional",
        "choose": "diverse",
        "max_rows": 45,
        "pairs": 2,
        "pair_by": "siblings",
        "steps": {"target": "fitted_q"},
        "backtracks": 1,
    },
}

LEAK = "Nora has 12 red marbles and 7 green ones and loses 5 of them on her way to school"
STEPS = ["2 + 2 = 4", "1 + 3 = 4", "Two and two.", "2 + 2 = 5", "half of 8", f"{BACK}so", "So,  two. And two.", LEAK]


def rollout(draw: random.Random, name: str, problem: str, prompt: Prompt) -> Rollout:
    steps = draw.choices(STEPS, [9, 6, 6, 6, 4, 1, 3, 0.4], k=draw.randint(0, 3))
    response = "\n".join([*steps, draw.choice(["4", "it is 4", "So it is 4", "It is  4", "5", "it is 5", "", "none"])])
    return rolled(
        name,
        response,
        draw.randint(1, 4) + len(response) // 4,
        problem,
        "length" if draw.random() < 0.1 else "stop",
        prompt,
        hinted=draw.random() < 0.2,
        selected=draw.random() < 0.75,
        value=draw.choice([None, -2.0, -1.0, -0.5]),
    )


def verdict(draw: random.Random, of: Rollout) -> Verdict:
    """Mostly right where the solution ends in 4, and mostly with that as the answer."""
    ends, chance = of.response[-1:], draw.random()
    score = None if chance < 0.08 else float((ends == "4") != (chance > 0.95))
    verifier = "number@old" if draw.random() < 0.05 else NUMBER
    answer = draw.choice([ends, ends, "7"]) if ends in ("4", "5") else None
    return Verdict(of.id, verifier, score, answer, "", draw.choice([None, 0.75]))


def prompt_of(number: int, plain: bool) -> Prompt:
    asked = LEAK if number == 3 else f"What is {number} halves of 8 / {number}?"
    return asked if plain else [{"role": "user", "content": asked}]


def write_round(folder: Path, n: int, plain: bool, measured: Problem) -> Problems:
    """Write what was sampled and verified in round `n`: attempts at 22 of 30 problems, finished in another order than
    that of the problems; a few have none."""
    draw = random.Random(n)
    train = [Problem(f"p{number}", prompt_of(number, plain), "4", "number") for number in draw.sample(range(30), k=22)]
    problems = Problems(train, [measured], [])
    groups, verdicts = [], []
    for problem in train:
        count = draw.randint(0, 9)
        made = [rollout(draw, f"{n}-{problem.id}-{i}", problem.id, problem.prompt) for i in range(count)]
        if draw.random() < 0.9:
            groups.append(RolloutGroup(problem.id, made, []))
            verdicts += [verdict(draw, each) for each in made]
    folder.mkdir(parents=True)
    write_records(folder / "problems.jsonl", [problems])
    write_records(folder / "verdicts.jsonl", verdicts)
    draw.shuffle(groups)
    for part in (groups[:7], groups[7:]):
        journal = Journal(folder, "rollouts", RolloutGroup)
        for group in part:
            journal.append(group)
        journal.close()
    return problems


def values(records: Sequence[Record]) -> list[Any]:
    """How many there are, and the digest of all but the verifier's version and what was added since and is empty."""
    dicts = [record.to_dict() for record in records]
    assert not any(row.pop("token_ids", []) for row in dicts)
    return [len(dicts), digest([{key: value for key, value in row.items() if key != "verifier"} for row in dicts])]


def curated(folder: Path, options: dict[str, Any], plain: bool) -> list[dict[str, Any]]:
    """What is recorded of each round."""
    raw = {"name": "r", "model": {"name": "m"}, "task": {"name": "times_table"}, "curation": options}
    measured = Problem.of(LEAK, "14", "number")
    results = []
    with Run(folder, recipe.parse(raw)) as run:
        for n in (1, 2, 3):
            problems, at = write_round(run.round_dir(n), n, plain, measured), run.round_dir(n)
            inputs = problems, read_rollouts(at), read_verdicts(at), run.recipe.at(n).curation, verifier_by()
            dataset = run.stage(n, "curate", curate, *inputs, earlier_rounds(run, n)).value
            assert read_dataset(at) == dataset
            counted = run.records(n)["curate"].stats
            assert counted
            stats = counted.to_dict()
            assert not (stats.pop("num_garbled") or stats.pop("num_retokenized")), "which were counted later"
            contents = {"rows": values(read_rows(at)), "pairs": values(read_pairs(at)), "steps": values(read_steps(at))}
            results.append({"dataset": dataset.digest, **contents, "stats": list(stats.values())[:-1]})
    return results


@pytest.mark.parametrize("case", CASES)
def test_a_dataset_is_what_it_was(tmp_path: Path, case: str) -> None:
    assert curated(tmp_path / "run", CASES[case], plain=case == "default") == RECORDED[case]
