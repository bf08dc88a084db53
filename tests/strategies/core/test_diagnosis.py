"""How samples came out, and the one thing to change where there is little to learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Strategy
from byheart.runs.records import VerifyStats
from byheart.runs.stages import About, Stage
from byheart.strategies.core.diagnosis import FirstSamples, advice, counted, num_out_of_context, said, shares
from byheart.types import FinishReason, Problem, Rollout, RolloutGroup, Verdict

from tests.conftest import verifier_by

SCORES = {"+": 1.0, "-": 0.0, "#": 0.0, "?": None, "~": 0.0, "!": 1.0}
DIRECT = Strategy.parse({"name": "direct", "max_tokens": 10})


def group(marks: str, problem: str = "p", tokens: int = 10) -> RolloutGroup:
    """'+' right, '-' wrong, '#' wrong as no answer is read, '?' unjudged; cut off: '~', '!' with the right answer, and
    '.' without a verdict; ',' ended and has none."""
    rollouts, verdicts = [], []
    for n, mark in enumerate(marks):
        finish: FinishReason = "length" if mark in "~!." else "stop"
        rollouts.append(Rollout(f"{problem}-{n}", problem, "direct", "1 + 1", "2", finish, tokens, n, "base"))
        if mark in SCORES:
            answer = "2" if mark in "+-" else None
            verdicts.append(Verdict(f"{problem}-{n}", "v", SCORES[mark], answer, ""))
    return RolloutGroup(problem, rollouts, verdicts, num_tokens=tokens * max(1, len(marks)))


def stats(*problems: str, tokens: int = 10, reads_answers: bool = True) -> VerifyStats:
    groups = [group(marks, f"p{n}", tokens) for n, marks in enumerate(problems)]
    return counted(groups, [verdict for each in groups for verdict in each.verdicts], reads_answers)


def test_each_sample_is_counted_once_as_what_it_came_to() -> None:
    assert stats("++", "+-", "#?", "~!", "") == VerifyStats(
        num_all_right=1,
        num_some_right=1,
        num_none_right=3,
        num_samples=8,
        num_judged=8,
        samples_right=3,
        samples_cut_off=2,
        samples_unjudged=1,
        samples_unread=1,
        num_unsampled=1,
    )
    assert stats("++", "+-", "#?", "~!").num_problems == 4


def test_a_problem_for_which_nothing_was_generated_was_not_sampled() -> None:
    solutions = group("++", tokens=0)
    assert counted([solutions], solutions.verdicts, True).num_problems == 0


def test_a_problem_that_failed_on_the_way_is_not_counted_whatever_was_generated_for_it() -> None:
    failed = RolloutGroup("p", [], [], failure="too long", num_tokens=30)
    assert counted([failed], [], True).num_problems == 0


def test_the_shares_are_said() -> None:
    assert shares(stats("++", "+-", "#?", "~!")) == (
        "4 problems (all samples right in 1, some in 1, none in 2), 8 samples (3 right, 2 cut off, 1 without a "
        "readable answer, 1 unjudged)"
    )
    assert shares(stats(",", "..")) == "3 samples (2 cut off, none judged yet)"
    assert shares(stats("+", "", "")) == (
        "3 problems (all samples right in 1, some in 0, none in 2, no complete sample in 2), 1 samples (1 right, 0 cut "
        "off, 0 without a readable answer, 0 unjudged)"
    )


@pytest.mark.parametrize(
    ("verifier", "reads_answers"),
    [
        ({"name": "number"}, True),
        ({"name": "code"}, True),
        ({"name": "regex", "pattern": "= (.+)"}, True),
        ({"name": "consensus", "equal": "number"}, True),
        ({"name": "any", "of": ["number", "exact"]}, True),
        ({"name": "remote_judge", "url": "http://localhost:1/v1", "model": "m"}, False),
        ({"name": "all", "of": ["number", "model_judge"]}, False),
    ],
)
def test_only_of_a_verifier_that_reads_answers_it_is_said_that_there_are_none(
    verifier: dict[str, Any], reads_answers: bool
) -> None:
    assert verifier_by(verifier).reads_answers == reads_answers


def test_what_an_opinion_finds_wrong_is_not_taken_for_unreadable() -> None:
    counts = stats("####", "#+##", reads_answers=False)
    assert counts.samples_unread is None and advice(counts, 0) == ""
    assert shares(counts).endswith("8 samples (1 right, 0 cut off, 0 unjudged)")
    assert "the strategy few_shot" in advice(stats("####", reads_answers=False), 0)


@pytest.mark.parametrize(
    ("problems", "out_of_context", "change"),
    [
        (["~~~~", "+~~-"], 0, "raise strategy.max_tokens"),
        (["~~~~", "+~~-"], 5, "raise model.max_context"),
        (["~~~~", "+~~-"], 2, "raise strategy.max_tokens"),
        (["....", ",.."], 0, "raise strategy.max_tokens"),
        (["????", "?+--"], 0, "another task.verifier"),
        (["####", "#+--"], 0, "the prompt has to say"),
        (["----", "-~#-"], 0, "easier problems, more samples, or the strategy few_shot"),
        (["", "", "--"], 0, "raise the limits of the strategy"),
        (["++", "++"], 0, "harder problems"),
        (["+-", "++"], 0, ""),
        (["~~--", "++--"], 0, ""),
        ([",,", ",."], 0, ""),
    ],
)
def test_where_something_stands_in_the_way_the_one_thing_to_change_is_said(
    problems: list[str], out_of_context: int, change: str
) -> None:
    counts = stats(*problems)
    found = advice(counts, out_of_context)
    assert change in found and bool(found) == bool(change)
    assert said(counts, out_of_context) == f"{shares(counts)}. {found}".rstrip()


@pytest.mark.parametrize(
    ("tokens", "strategy", "number"),
    [
        (10, {"name": "direct", "max_tokens": 10}, 0),
        (7, {"name": "direct", "max_tokens": 10}, 2),
        (7, {"name": "best_of", "max_tokens": 8}, 2),
        (7, {"name": "mcts"}, 0),  # which says nothing of what a sample may cost
    ],
)
def test_what_ended_before_its_budget_was_cut_off_by_the_context(
    tokens: int, strategy: dict[str, Any], number: int
) -> None:
    assert num_out_of_context([group("~+.", tokens=tokens)], Strategy.parse(strategy)) == number


@pytest.mark.parametrize(("marks", "problems"), [("~" * 8, 8), ("~", 32), ("~" * 100, 1)])
def test_it_is_said_once_after_the_first_dozens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], marks: str, problems: int
) -> None:
    first = FirstSamples(
        Stage(tmp_path, tmp_path, 2, "sample", 0, About("r", "m", "t", "s", "line", None)), DIRECT, True
    )
    for n in range(problems - 1):
        first.add(group(marks, f"p{n}"))
    assert capsys.readouterr().err == ""
    first.add(group(marks, "last"))
    num = len(marks) * problems
    text = " ".join(capsys.readouterr().err.split())
    assert text.startswith(f"round 2 sample, so far: {problems} problems (all samples right in 0")
    assert f"{num} samples (0 right, {num} cut off" in text and text.endswith("raise strategy.max_tokens.")
    first.add(group(marks * 100, "more"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("failure", ["too long", None])
def test_a_problem_for_which_nothing_was_generated_is_no_word_on_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failure: str | None
) -> None:
    first = FirstSamples(
        Stage(tmp_path, tmp_path, 2, "sample", 0, About("r", "m", "t", "s", "line", None)), DIRECT, True
    )
    for n in range(40):
        first.add(RolloutGroup(Problem.of(str(n), "1", "number").id, [], [], failure))
    assert capsys.readouterr().err == ""
