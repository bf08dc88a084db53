"""Verifiers as a service: the one a recipe names is asked, wherever it has to run."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from byheart import verifiers
from byheart.contracts import Verifier
from byheart.errors import PluginError, RecipeError
from byheart.types import Judgement, Problem, Verdict, Verify
from byheart.verifiers.all import AllOf
from byheart.verifiers.any import AnyOf
from byheart.verifiers.core import service
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.number import Number

from tests.conftest import verdicts_by, verifier_by

SUM = Problem.of("2 + 2", "4", "number")


def asked(verifier_service: service.VerifierService, *responses: str) -> list[Verdict]:
    ticket = verifier_service.submit(Verify(SUM, responses))
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for answered, verdicts in verifier_service.poll():
            assert answered == ticket
            return verdicts
        time.sleep(0.001)
    raise AssertionError("no verdicts")


def test_each_request_is_answered_once_under_its_ticket() -> None:
    verifier_service = verifier_by()
    assert verifier_service.poll() == []
    tickets = {
        verifier_service.submit(Verify(SUM, [text])): score for text, score in [("4", 1.0), ("5", 0.0), ("4.0", 1.0)]
    }
    assert len(tickets) == 3
    assert {ticket: verdicts[0].score for ticket, verdicts in verifier_service.poll()} == tickets
    assert verifier_service.poll() == []


def test_verdicts_come_in_the_order_of_the_responses() -> None:
    assert [verdict.score for verdict in asked(verifier_by(), "4", "5", "none", "is 4")] == [1.0, 0.0, 0.0, 1.0]
    assert asked(verifier_by()) == []


PLUGIN = """
from byheart.contracts import ProcessVerifier, Verifier
from byheart.types import Judgement

judged = []

class Plugin({base}):
    score: float = 1.0

    def verify(self, problem, response):
        judged.append(response)
        if response == "broken":
            raise RuntimeError("oh no")
        return Judgement(self.score, response)
"""
HERE, ELSEWHERE = PLUGIN.format(base="Verifier"), PLUGIN.format(base="ProcessVerifier")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a verifier, which a test writes."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(verifiers.REGISTRY, "plugin", "byheart_test_plugin:Plugin")
    yield tmp_path / "byheart_test_plugin.py"
    sys.modules.pop("byheart_test_plugin", None)


def test_what_says_the_same_is_judged_once(plugin: Path) -> None:
    plugin.write_text(HERE)
    assert [verdict.answer for verdict in asked(verifier_by("plugin"), "a", "b", "a")] == ["a", "b", "a"]
    assert sys.modules["byheart_test_plugin"].judged == ["a", "b"]


def test_a_verifier_that_may_be_slow_is_asked_in_another_process_and_still_in_order(plugin: Path) -> None:
    plugin.write_text(ELSEWHERE)
    verifier_service = verifier_by("plugin")
    verdicts = asked(verifier_service, "a", "broken", "c")
    verifier_service.close()
    assert [verdict.score for verdict in verdicts] == [1.0, None, 1.0]
    assert [verdict.answer for verdict in verdicts] == ["a", None, "c"]
    assert "oh no" in verdicts[1].reason


def test_a_verifier_that_fails_here_is_unjudged_too(plugin: Path) -> None:
    plugin.write_text(HERE)
    broken, fine = asked(verifier_by("plugin"), "broken", "fine")
    assert (broken.score, fine.score) == (None, 1.0)
    assert "RuntimeError: oh no" in broken.reason


OPINION = {"name": "model_judge"}
SERVER = {"name": "remote_judge", "url": "http://127.0.0.1:1/v1", "model": "m"}


@pytest.mark.parametrize(
    "by",
    [OPINION, SERVER, {"name": "any", "of": ["number", OPINION]}, {"name": "all", "of": [OPINION, SERVER]}],
)
def test_an_opinion_never_decides_alone_unless_the_recipe_says_so(by: Any) -> None:
    with pytest.raises(RecipeError, match="alone: true"):
        service.check(Verifier.parse(by))


class Hunch(Verifier):
    """Proves nothing."""

    asks_policy: ClassVar[bool] = True

    def proves(self) -> bool:
        return False


def test_alone_is_offered_only_where_it_is_an_option() -> None:
    for by in (Hunch(name="hunch"), AnyOf(of=[Hunch(name="hunch"), Number()])):
        with pytest.raises(RecipeError) as raised:
            service.check(by)
        assert str(raised.value) == (
            "verifier: hunch proves nothing, and it can't stand alone; combine it by `all` with a verifier that proves"
        )
    service.check(AllOf(of=[Hunch(name="hunch"), Number()]))


def test_the_verifier_that_asks_the_policy_is_named() -> None:
    with pytest.raises(RecipeError, match=r"task\.verifier: .* its own answers; give hunch as `verifier`"):
        service.check(AllOf(of=[Number(), Hunch(name="hunch")]), measures=True)


class Says(Verifier):
    """Returns what it is given, from both methods."""

    returns: Any = None

    def verify(self, problem: Problem, response: str) -> Any:
        return self.returns

    def interact(self, problem: Problem, responses: Sequence[str]) -> Any:
        return self.returns if isinstance(self.returns, list) else None


def test_an_unsound_judgement_is_unjudged_and_says_what_is_wrong() -> None:
    [verdict] = asked(service.VerifierService(Says(returns=True), Pool()), "4")
    assert (verdict.score, verdict.answer) == (None, None)
    assert verdict.reason == "the verifier failed: verify returned a bool, not a Judgement"


def test_a_reason_may_be_missing() -> None:
    reason: Any = None
    [verdict] = asked(service.VerifierService(Says(returns=Judgement(1.0, "4", reason)), Pool()), "4")
    assert (verdict.score, verdict.answer, verdict.reason) == (1.0, "4", "")


def test_interact_gives_a_generator_or_none() -> None:
    says = service.VerifierService(Says(returns=[Judgement(1.0, "4")]), Pool())
    with pytest.raises(PluginError) as raised:
        says.interaction(Verify(SUM, ["4"]))
    assert str(raised.value) == (
        f"Says.interact (problem {SUM.id}) has no yield: it returned a list, neither a generator that yields lists of "
        "requests nor None"
    )
    assert verifier_by().interaction(Verify(SUM, ["4"])) is None


def test_a_policy_never_marks_what_it_is_measured_by() -> None:
    for by in (OPINION | {"alone": True}, {"name": "all", "of": ["number", OPINION]}):
        with pytest.raises(RecipeError, match="its own answers"):
            service.check(Verifier.parse(by), measures=True)
    service.check(Verifier.parse(SERVER | {"alone": True}), measures=True)


@pytest.mark.parametrize("by", [OPINION | {"alone": True}, {"name": "all", "of": ["number", OPINION]}, "number"])
def test_an_opinion_beside_a_proof_or_by_name_is_let_through(by: Any) -> None:
    service.check(Verifier.parse(by))


def test_caveats_of_every_part_are_said() -> None:
    by = {"name": "all", "of": [{"name": "consensus", "equal": "number"}, OPINION]}
    agreement, opinion = verifier_by(by).caveats
    assert "no gold answer" in agreement
    assert "opinion" in opinion
    assert verifier_by("number").caveats == []
    assert verifier_by(by).asks_policy
    assert verifier_by(by).by_agreement
    assert not verifier_by().asks_policy
    assert not verifier_by().by_agreement


@pytest.mark.sandbox
def test_half_a_character_in_a_reason_can_be_written_to_a_file() -> None:
    code = "def f(x): raise ValueError(chr(0xd800) + chr(27))"
    problem = Problem("", "", None, "code", {"tests": [{"assert": "assert f(3) == 7"}]})
    [verdict] = verdicts_by("code", problem, [f"```python\n{code}\n```"])
    assert verdict.score == 0.0
    assert "ud800" in verdict.reason
    assert verdict.reason.encode()
    assert verdict.reason.isprintable()


THOUGHT = "<think>It is 4."
"""A response without an end."""
ANSWERED = "<think>It is 5.</think>4"


@pytest.mark.parametrize(
    "by",
    [
        "number",
        "math",
        "exact",
        {"name": "regex", "pattern": r"\d"},
        {"name": "first", "of": ["number", "math"]},
        {"name": "all", "of": ["number", "exact"]},
        {"name": "any", "of": ["number", "exact"]},
    ],
    ids=str,
)
def test_a_thought_is_not_the_answer_and_one_without_an_end_is_unjudged(by: Any) -> None:
    problem = Problem.of("2 + 2", "4", "number")
    verdicts = verdicts_by(by, problem, [THOUGHT, ANSWERED, THOUGHT])
    assert [verdict.score for verdict in verdicts] == [None, 1.0, None]
    assert "within a thought" in verdicts[0].reason
    assert [verdict.score for verdict in verdicts_by(by, problem, [THOUGHT])] == [None]
