"""Local copies of public data sets in the format of the hub: problems of our own in data/, and more made by rule."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe

DATA = Path(__file__).parent / "data"
Row = dict[str, Any]


def gsm8k(rng: random.Random) -> Row:
    a, b = rng.randint(2, 99), rng.randint(2, 999)
    question = f"A depot has {a} shelves with {b} boxes each. How many boxes does it have?"
    return {"question": question, "answer": f"It has {a} * {b} = <<{a}*{b}={a * b}>>{a * b} boxes.\n#### {a * b:,}"}


def math(rng: random.Random) -> Row:
    a, b, c = rng.randint(2, 60), rng.randint(2, 60), rng.randint(61, 97)
    problem, answer = rng.choice(
        [
            (f"How far is it from $({a},{b})$ to $({a + c},{b + c})$?", rf"{c}\sqrt{{2}}"),
            (f"What part of the numbers from 1 to {c} is {a}?", rf"\frac{{{a}}}{{{c}}}"),
            (f"Where is $({a}-x)({a + b}-x)$ negative?", f"({a},{a + b})"),
            (f"What is the product of {a} and ${-c}$?", str(-a * c)),
        ]
    )
    return {"problem": problem, "level": "Level 2", "type": "Algebra", "solution": rf"It is $\boxed{{{answer}}}$."}


def math_500(rng: random.Random) -> Row:
    row = math(rng)
    answer = row["solution"].removeprefix(r"It is $\boxed{").removesuffix("}$.")
    return {"problem": row["problem"], "solution": row["solution"], "answer": answer, "subject": "Algebra", "level": 2}


def aime_2024(rng: random.Random) -> Row:
    n = rng.randint(0, 999)
    return {"ID": str(n), "Problem": f"What does {n} + {n * 1000} leave, divided by 1000?", "Solution": "", "Answer": n}


def aime_2025(rng: random.Random) -> Row:
    n = rng.randint(0, 999)
    return {"id": str(n), "problem": f"Which are the last three digits of {n + 4000}?", "answer": f"{n:03}"}


def mbpp(rng: random.Random) -> Row:
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    code = f"def line_{a}_{b}(x):\n    return {a} * x + {b}"
    tests = [f"assert line_{a}_{b}({x}) == {a * x + b}" for x in (0, 5)]
    text = f"Write a function for the line with slope {a} through {b} at 0."
    return {"source_file": "", "task_id": 0, "prompt": text, "code": code, "test_imports": [], "test_list": tests}


def mbpp_full(rng: random.Random) -> Row:
    row = mbpp(rng)
    code = row["code"].replace("\n", "\r\n")
    return {"text": row["prompt"], "code": code, "task_id": 0, "test_setup_code": "", "test_list": row["test_list"]}


def choice(rng: random.Random) -> Row:
    labels = rng.choice(["ABCD", "ABCDE", "1234"])
    numbers = rng.sample(range(100, 10_000), len(labels))
    return {
        "id": str(numbers[0]),
        "question": f"Which number follows {numbers[1] - 1}?",
        "choices": {"label": list(labels), "text": [f"the number {number}" for number in numbers]},
        "answerKey": labels[1],
    }


def svamp(rng: random.Random) -> Row:
    a, b = rng.randint(2, 999), rng.randint(2, 999)
    return {"question_concat": f"Jan has {a} nuts and finds {b}. How many has he?", "Answer": f"{a + b}.0"}


MADE: dict[str, tuple[Callable[[random.Random], Row], int]] = {
    "gsm8k/train": (gsm8k, 2400),
    "gsm8k/test": (gsm8k, 1500),
    "math/train": (math, 4600),
    "math/test": (math_500, 600),
    "aime/train": (aime_2024, 40),
    "aime/test": (aime_2025, 40),
    "mbpp/train": (mbpp, 140),
    "mbpp/validation": (mbpp, 60),
    "mbpp/test": (mbpp, 280),
    "mbpp_full/train": (mbpp_full, 400),
    "mbpp_full/validation": (mbpp_full, 100),
    "mbpp_full/test": (mbpp_full, 440),
    "commonsense_qa/train": (choice, 3600),
    "commonsense_qa/validation": (choice, 1500),
    "arc/train": (choice, 1600),
    "arc/validation": (choice, 100),
    "arc/test": (choice, 1500),
    "svamp/train": (svamp, 650),
    "svamp/test": (svamp, 310),
}


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a local copy for each task, named by it."""
    folder = tmp_path_factory.mktemp("copies") / "data"
    shutil.copytree(DATA, folder)
    for name, (make, count) in MADE.items():
        rng = random.Random(name)
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(make(rng)) + "\n" for _ in range(count))
    return folder


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No hub, and caches with nothing in them."""
    import datasets
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    yield tmp_path


@pytest.fixture(scope="session")
def options() -> Callable[..., Any]:
    """The options of a task, as a recipe with these keys would give them."""
    return lambda **task: recipe.parse({"name": "t", "model": {"name": "m"}, "task": task}).task
