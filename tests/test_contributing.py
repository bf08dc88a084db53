"""The examples of CONTRIBUTING.md do what it says."""

import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from byheart import recipe, tasks, verifiers
from byheart.tasks.splits import source
from byheart.types import Problem

from tests.conftest import ROOT, verdicts_by


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Each example as a module under its file's name, registered as the text says."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    blocks = dict(re.findall(r"```python\n# pipeline/byheart/(\w+/\w+)\.py\n(.*?)```", text, re.DOTALL))
    monkeypatch.syspath_prepend(str(tmp_path))
    for place, code in blocks.items():
        family, key = place.split("/")
        (tmp_path / f"example_{key}.py").write_text(code)
        registered = re.search(rf'`"{key}": "byheart\.{family}\.{key}:(\w+)"`', text)
        assert registered, f"the registry line of {key} is not in the text"
        registry = {"tasks": tasks, "verifiers": verifiers}[family].REGISTRY
        monkeypatch.setitem(registry, key, f"example_{key}:{registered[1]}")
    yield blocks
    for place in blocks:
        sys.modules.pop(f"example_{place.split('/')[1]}", None)


def test_the_task(examples: dict[str, str]) -> None:
    options = recipe.chosen("tasks", {"name": "squares", "highest": 5})
    problems = list(islice(source(options, 0), 10))
    assert sorted(int(problem.answer or "") for problem in problems) == [0, 1, 4, 9, 16, 25]
    for problem in problems:
        right, wrong = verdicts_by("number", problem, [f"It is {problem.answer}", f"It is {problem.answer}1"])
        assert (right.score, wrong.score) == (1.0, 0.0)


def test_the_verifier_is_twenty_lines_and_works(examples: dict[str, str]) -> None:
    assert sum(bool(line.strip()) for line in examples["verifiers/palindrome"].splitlines()) <= 20
    found = verdicts_by("palindrome", Problem.of("?", "5", "palindrome"), ["Level!", "apple", "noon"])
    assert [verdict.score for verdict in found] == [1.0, 0.0, 0.0]
    [unjudged] = verdicts_by("palindrome", Problem.of("?", "five", "palindrome"), ["level"])
    assert unjudged.score is None
