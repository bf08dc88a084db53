"""Workers are started for their first work, and told of a policy only when it is another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart import executors
from byheart.config import recipe, validation
from byheart.contracts import Engine, Executor, Workers
from byheart.engines.scripted import Scripted, ScriptedSession
from byheart.errors import EngineError, PluginError, RecipeError
from byheart.executors.core.lazy import Lazy
from byheart.executors.local import Local
from byheart.models import checkpoint
from byheart.strategies.core.work import Solving
from byheart.types import Generate, Policy, Problem, Rollout, Score, Solver

from tests.conftest import verifier_by

SUM = Problem.of("1 + 1?", "2", "number")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"1 + 1?": ["2", "3", "two"], "score: 2": -0.5}))
    return path


def lazy(script: Path, model: Path) -> Lazy:
    options = checkpoint.ModelOptions(name=str(model))
    return Lazy(Local(), Scripted(script=str(script)), options, script.with_name("engine.log"))


def session(script: Path, model: Path) -> ScriptedSession:
    return Scripted(script=str(script)).start(model, checkpoint.ModelOptions(name="m"), script.with_name("engine.log"))


def twice(problem: Problem) -> Solver:
    [completions] = yield [Generate(problem.prompt, n=2)]
    return [Rollout.of(problem, completion, "twice") for completion in completions]


def test_nothing_is_started_until_there_is_work(script: Path, tmp_path: Path) -> None:
    with lazy(script, tmp_path / "no such model") as workers:
        workers.load(Policy("m"))
        assert workers.sleep() == ""
        assert workers.start_seconds == workers.seconds == 0.0


def test_a_policy_is_loaded_once_until_another_is_wanted(
    script: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    real = ScriptedSession.load

    def spy(engine: ScriptedSession, policy: Policy) -> None:
        loaded.append(policy.id)
        real(engine, policy)

    monkeypatch.setattr(ScriptedSession, "load", spy)
    with lazy(script, tiny) as workers:
        for wanted in ("base", "base", "adapter-1", "adapter-1", "base"):
            workers.load(Policy("m", None, wanted))
            [group] = workers.map([SUM], Solving(twice, verifier_by()))
            assert {rollout.policy for rollout in group.rollouts} == {wanted}
    assert loaded == ["adapter-1", "base"], "it starts with the base model"


def test_the_script_answers_by_seed_and_greedily_with_its_first(script: Path, tiny: Path) -> None:
    engine = session(script, tiny)
    engine.submit(Generate("1 + 1?", n=3, seed=1))
    engine.submit(Generate("1 + 1?", temperature=0, seed=1))
    sampled, greedy = (completions for _, completions in engine.poll())
    assert [one.text for one in sampled] == ["3", "two", "2"]
    assert [one.text for one in greedy] == ["2"]
    engine.submit(Generate("2 + 2?"))
    with pytest.raises(EngineError, match=r"has no answers to '2 \+ 2\?'"):
        engine.poll()


def test_the_script_scores_for_a_policy_with_a_scorer(script: Path, tiny: Path) -> None:
    engine = session(script, tiny)
    for policy, expected in (
        (Policy("m"), [None, None]),
        (Policy("m", None, "adapter-1", script.parent / "scorer"), [-0.5, None]),
    ):
        engine.load(policy)
        ticket = engine.submit(Score("1 + 1?", ["2", "3"]))
        assert engine.poll() == [(ticket, expected)]


def failing(problem: Problem) -> Solver:
    yield [Generate(problem.prompt), Generate(problem.prompt)]
    raise KeyError("mine")


def test_the_next_work_after_one_that_was_given_up_gets_its_own_answers(script: Path, tiny: Path) -> None:
    with lazy(script, tiny) as workers:
        for give_up in (False, True):
            groups = workers.map([SUM, Problem.of("1 + 1?", "3", "number")], Solving(interrupted, verifier_by()))
            next(groups)
            if give_up:
                with pytest.raises(KeyError, match="mine"):
                    list(workers.map([SUM], Solving(failing, verifier_by())))
            else:
                groups.close()  # type: ignore[attr-defined]  # a generator, though the contract says an iterator
            [group] = workers.map([SUM], Solving(twice, verifier_by()))
            assert len(group.rollouts) == 2


def interrupted(problem: Problem) -> Solver:
    """The second problem still waits when the first has ended."""
    for _ in range(1 if problem.answer == "2" else 5):
        yield [Generate(problem.prompt)]
    return []


def test_an_engine_is_checked_whatever_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(executors.REGISTRY, "nobody", "tests.executors.core.test_lazy:Nobody")
    raw = {"name": "r", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}, "executor": "nobody"}
    with pytest.raises(RecipeError, match=r"16 is more than engine.max_lora_rank, 8"):
        validation.check(recipe.parse(raw | {"engine": {"name": "vllm", "max_lora_rank": 8}}))


class Nobody(Executor):
    """Starts something that is no workers."""

    def start(self, engine: Engine, base: Path, model: checkpoint.ModelOptions, log: Path) -> Workers:
        nothing: Any = engine
        return nothing  # type: ignore[no-any-return]


class NoSession(Engine):
    """Starts something that is no session."""

    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> Any:
        return base


def test_what_starts_something_else_is_named(script: Path, tiny: Path) -> None:
    model, log = checkpoint.ModelOptions(name=str(tiny)), script.with_name("engine.log")
    scripted = Scripted(script=str(script))
    with pytest.raises(PluginError, match=r"^start of the executor test_lazy returned a Scripted, not Workers$"):
        next(Lazy(Nobody(), scripted, model, log).map([SUM], Solving(twice, verifier_by())))
    with pytest.raises(PluginError, match=r"^start of the engine test_lazy returned a \w+Path, not a Session$"):
        next(Lazy(Local(), NoSession(), model, log).map([SUM], Solving(twice, verifier_by())))
