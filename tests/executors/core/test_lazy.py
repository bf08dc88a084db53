"""An engine is started when it is first needed, and told of a policy only when it is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from byheart.engines.core.lazy import Lazy
from byheart.engines.scripted import Scripted, ScriptedSession
from byheart.errors import EngineError
from byheart.models import checkpoint
from byheart.types import Generate, Policy, Score


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"1 + 1?": ["2", "3", "two"], "score: 2": -0.5}))
    return path


def lazy(script: Path, model: Path) -> Lazy:
    options = Scripted(script=str(script))
    return Lazy(options, checkpoint.ModelOptions(name=str(model)), script.with_name("engine.log"))


def test_nothing_is_started_until_something_is_asked(script: Path, tmp_path: Path) -> None:
    with lazy(script, tmp_path / "no such model") as engine:
        engine.load(Policy("m"))
        assert engine.start_seconds == engine.seconds == 0.0


def test_a_policy_is_loaded_once_until_another_is_wanted(
    script: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    real = ScriptedSession.load

    def spy(engine: ScriptedSession, policy: Policy) -> None:
        loaded.append(policy.id)
        real(engine, policy)

    monkeypatch.setattr(ScriptedSession, "load", spy)
    with lazy(script, tiny) as engine:
        for wanted in ("base", "base", "adapter-1", "adapter-1", "base"):
            engine.load(Policy("m", None, wanted))
            ticket = engine.submit(Generate("1 + 1?", n=2, seed=7))
            [(answered, completions)] = engine.poll()
            assert answered == ticket
            assert {one.policy for one in completions} == {wanted}
    assert loaded == ["adapter-1", "base"], "it starts with the base model"


def test_the_script_answers_by_seed_and_greedily_with_its_first(script: Path, tiny: Path) -> None:
    with lazy(script, tiny) as engine:
        engine.submit(Generate("1 + 1?", n=3, seed=1))
        engine.submit(Generate("1 + 1?", temperature=0, seed=1))
        sampled, greedy = (completions for _, completions in engine.poll())
        assert [one.text for one in sampled] == ["3", "two", "2"]
        assert [one.text for one in greedy] == ["2"]
        engine.submit(Generate("2 + 2?"))
        with pytest.raises(EngineError, match=r"has no answers to '2 \+ 2\?'"):
            engine.poll()


def test_the_script_scores_for_a_policy_with_a_scorer(script: Path, tiny: Path) -> None:
    with lazy(script, tiny) as engine:
        for policy, expected in (
            (Policy("m"), [None, None]),
            (Policy("m", None, "adapter-1", script.parent / "scorer"), [-0.5, None]),
        ):
            engine.load(policy)
            ticket = engine.submit(Score("1 + 1?", ["2", "3"]))
            assert engine.poll() == [(ticket, expected)]
