"""What was tried on a problem comes together from all rounds, and only what is fit to be learnt is right."""

from typing import Any

import pytest
from byheart.curation.attempts import Attempt, History, JudgedRound
from byheart.errors import RunError
from byheart.types import FinishReason, Rollout, RolloutGroup, Verdict
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import NUMBER, judged, rolled, row, settled


def attempts(rollouts: list[Rollout], scores: list[float | None]) -> list[Attempt]:
    verdicts = [judged(rollout, score) for rollout, score in zip(rollouts, scores, strict=True)]
    return JudgedRound(1, [RolloutGroup("p", rollouts, [])], verdicts).attempts("p")


def names(attempts: list[Attempt]) -> list[str]:
    return [attempt.rollout.id for attempt in attempts]


@settled
@given(st.lists(st.tuples(st.sampled_from([1.0, 0.0, 0.5, None]), st.sampled_from(["stop", "length"])), max_size=20))
def test_only_what_is_right_and_came_to_its_end_is_kept_in_order(kinds: list[tuple[Any, FinishReason]]) -> None:
    tried = attempts(
        [rolled(f"r{n}", finish=finish) for n, (_, finish) in enumerate(kinds)], [kind[0] for kind in kinds]
    )
    expected = [f"r{n}" for n, kind in enumerate(kinds) if kind == (1.0, "stop")]
    assert names([attempt for attempt in tried if attempt.right()]) == expected
    expected = [f"r{n}" for n, (score, finish) in enumerate(kinds) if finish == "stop" and score is not None]
    assert names([attempt for attempt in tried if attempt.unaided]) == expected


def test_what_the_strategy_did_not_choose_is_not_learnt_and_what_was_hinted_is_no_mistake() -> None:
    kinds: list[dict[str, Any]] = [{}, {"selected": False}, {"selected": False, "hinted": True}, {"hinted": True}]
    tried = attempts([rolled(name, **kind) for name, kind in zip("abcd", kinds, strict=True)], [1.0] * 4)
    assert names([attempt for attempt in tried if attempt.right()]) == ["a", "d"]
    assert names([attempt for attempt in tried if attempt.right(every=True)]) == ["a", "b", "d"]
    assert names([attempt for attempt in tried if attempt.unaided]) == ["a", "b"]


def tried_in(n: int, problems: str, verifier: str | None = None) -> JudgedRound:
    """A round with two rollouts for each of `problems`, the second of which another verifier judged."""
    groups = [RolloutGroup(name, [rolled(f"{n}{name}{i}", problem=name) for i in "ab"], []) for name in problems]
    verdicts = [
        Verdict(rollout.id, NUMBER if rollout.id.endswith("a") else "number@old", 1.0, "4", "")
        for group in groups
        for rollout in group.rollouts
    ]
    return JudgedRound(n, groups, verdicts, verifier)


def test_the_history_of_a_problem_is_that_of_all_rounds_and_each_problem_comes_once() -> None:
    history = History([tried_in(1, "pq"), tried_in(3, "rqs")])
    assert [names(tried) for tried in history] == [
        ["1pa", "1pb"],
        ["1qa", "1qb", "3qa", "3qb"],
        ["3ra", "3rb"],
        ["3sa", "3sb"],
    ]
    assert names(history.attempts("s")) == ["3sa", "3sb"] and history.attempts("t") == []


def test_what_another_verifier_said_does_not_count_where_one_is_named() -> None:
    assert names(tried_in(1, "pq", NUMBER).attempts("q")) == ["1qa"]
    assert names(tried_in(1, "pq").attempts("q")) == ["1qa", "1qb"]


def test_problems_are_sorted_by_their_first_row() -> None:
    history = History([tried_in(1, "pq"), tried_in(2, "sq")])
    rows = [row("a", n=1), row("b", problem="q", n=1), row("c", problem="q", n=2), row("d", problem="s", n=2)]
    hinted = row("h", problem="s", n=2, hinted=True)
    ordered = sorted([*rows, hinted], key=history.newest_first)
    assert [each.rollout_id for each in ordered] == ["d", "c", "a", "b", "h"]
    assert [each.rollout_id for each in sorted(rows, key=history.oldest_first)] == ["a", "b", "d", "c"]


@pytest.mark.parametrize("verdicts", [[], ["b", "a"], ["a"], ["a", "c"]], ids=str)
def test_verdicts_of_other_rollouts_are_refused(verdicts: list[str]) -> None:
    given = [Verdict(name, NUMBER, 1.0, "4", "") for name in verdicts]
    judged_round = JudgedRound(2, [RolloutGroup("p", [rolled("a"), rolled("b")], [])], given)
    with pytest.raises(RunError, match=r"round 2: the verdicts are not one for each rollout.*--redo-from 2"):
        judged_round.attempts("p")
