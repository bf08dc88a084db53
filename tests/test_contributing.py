"""The examples of CONTRIBUTING.md do what it says: the smallest member of each family, in at most twenty lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import CONTRACTS, Engine, Job, Objective, Strategy, Task
from byheart.errors import RecipeError
from byheart.models import checkpoint
from byheart.tasks.core.splits import source, split
from byheart.types import Generate, Policy, Problem

from tests.conftest import ROOT, verdicts_by
from tests.fakes import SUM, FakeEngine, attempts, in_turn, saying, text

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
EXAMPLES = dict(re.findall(r"```python\n# pipeline/byheart/(\w+/\w+)\.py\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each example as a module under its file's name, registered as the text says."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for location, code in EXAMPLES.items():
        family, key = location.split("/")
        (tmp_path / f"example_{key}.py").write_text(code)
        line = re.search(rf'`"{key}": "byheart\.{family}\.{key}:(\w+)"`', TEXT)
        assert line, f"the registry line of {key} is not in the text"
        monkeypatch.setitem(import_module(f"byheart.{family}").REGISTRY, key, f"example_{key}:{line[1]}")
    yield
    for location in EXAMPLES:
        sys.modules.pop(f"example_{location.split('/')[1]}", None)


def test_each_family_has_one_and_it_is_short() -> None:
    families = [location.split("/")[0] for location in EXAMPLES]
    assert sorted(set(families)) == ["engines", "objectives", "strategies", "tasks", "verifiers"]
    for code in EXAMPLES.values():
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 20


def test_every_trait_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+\.\w+)` \| `(.+?)` \|", TEXT, re.MULTILINE))
    traits = {
        f"{contract.__name__}.{name}": str(value)
        for contract in CONTRACTS.values()
        for name, value in vars(contract).items()
        if isinstance(value, int | tuple | None) and name not in ("family", "necessary") and not name.startswith("_")
    }
    assert rows == traits


def test_the_task() -> None:
    task = Task.parse({"name": "squares", "highest": 5})
    problems = list(islice(source(task, 0), 10))
    assert sorted(int(problem.answer or "") for problem in problems) == [0, 1, 4, 9, 16, 25]
    for problem in problems:
        right, wrong = verdicts_by("number", problem, [f"It is {problem.answer}", f"It is {problem.answer}1"])
        assert (right.score, wrong.score) == (1.0, 0.0)


def test_the_recipe(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n# mine\.yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    chosen = recipe.read(tmp_path / "mine.yaml")
    validation.check(chosen)
    splits = split(source(chosen.task, chosen.seed), chosen.task, 1).splits()
    assert {name: len(part) for name, part in splits.items()} == {"train": 40, "dev": 20, "held_out": 20}


def test_the_strategy() -> None:
    assert Strategy.parse("second_thought").model_dump() == {"name": "second_thought", "max_tokens": 64}
    engine = in_turn("it is 5", "it is 4")
    group = attempts(SUM, engine, {"name": "second_thought"})
    assert [rollout.response for rollout in group.rollouts] == ["it is 5", "it is 4"]
    assert [verdict.score for verdict in group.verdicts] == [0.0, 1.0]
    assert [request.temperature for request in engine.taken] == [0.5, 1.0]
    assert len(attempts(SUM, in_turn("it is 4"), {"name": "second_thought"}).rollouts) == 1


def test_the_strategy_with_branches() -> None:
    engine = FakeEngine(lambda request: "a plan" if "Plan" in text(request.prompt) else "it is 4", choose=newest)
    group = attempts(SUM, engine, {"name": "two_minds"})
    assert [rollout.response for rollout in group.rollouts] == ["it is 4", "it is 4"]
    assert [request.max_tokens for request in engine.taken] == [64, 32, 64]
    assert text(engine.taken[-1].prompt).endswith("ASSISTANT: a plan")


def newest(waiting: list[tuple[int, Any]]) -> list[int]:
    """What has been asked last is answered first, so that the branch without a plan has to wait."""
    return [waiting[-1][0]]


def test_the_verifier() -> None:
    verdicts = verdicts_by("palindrome", Problem.of("?", "5", "palindrome"), ["Level!", "apple", "noon"])
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 0.0]
    [unjudged] = verdicts_by("palindrome", Problem.of("?", "five", "palindrome"), ["level"])
    assert unjudged.score is None


def test_a_strategy_is_tested_without_a_model() -> None:
    [code] = re.findall(r"```python\n# tests/strategies/test_second_thought\.py\n(.*?)```", TEXT, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code.replace("byheart.strategies.second_thought", "example_second_thought"), scope)
    scope["test_it_samples_again_what_was_wrong"]()


def test_the_verifier_that_asks() -> None:
    policy = saying(lambda prompt: "Yes." if "4" in str(prompt) else "no")
    verdicts = verdicts_by("second_opinion", Problem.of("2 + 2?", None, "second_opinion"), ["4", "5"], policy)
    assert [(verdict.score, verdict.reason) for verdict in verdicts] == [(1.0, "Yes."), (0.0, "no")]
    alone = {"name": "t", "model": {"name": "m"}, "task": {"name": "squares"}, "verifier": "second_opinion"}
    with pytest.raises(RecipeError, match="second_opinion proves nothing"):
        validation.check(recipe.parse(alone))
    both = {"name": "all", "of": ["number", "second_opinion"]}
    assert recipe.parse(alone | {"verifier": both}).train_verifier.proves()


def test_the_engine(tmp_path: Path) -> None:
    session = Engine.parse("parrot").start(tmp_path, checkpoint.ModelOptions(name="m"), tmp_path / "log")
    first, second = session.submit(Generate("x", n=2, seed=7)), session.submit(Generate("y"))
    replies = dict(session.poll())
    assert [(reply.text, reply.policy, reply.seed) for reply in replies[first]] == [
        ("I do not know.", "base", 7),
        ("I do not know.", "base", 8),
    ]
    session.load(Policy("m", tmp_path, "adapter-1"))
    assert [reply.policy for reply in replies[second]] == ["base"]
    session.submit(Generate("z"))
    [(_, [reply])] = session.poll()
    assert reply.policy == "adapter-1"


@pytest.mark.train
def test_the_objective(tiny: Path, tmp_path: Path) -> None:
    from peft import PeftConfig

    objective = Objective.parse({"name": "fresh", "lora_r": 4})
    job = Job(objective.model_dump(), tiny, None, tmp_path, tmp_path / "scratch", tmp_path / "adapter", 0, False)
    assert objective.fit(job) == 0.0
    assert PeftConfig.from_pretrained(job.out).r == objective.adapter_rank() == 4
