"""A run ends at rounds.most, or after rounds.patience rounds without a gain; then only --rounds does more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from byheart.config.recipe import parse
from byheart.errors import RecipeError
from byheart.runs.records import RoundEnd, RunState
from byheart.runs.run import Run, read_state
from byheart.types import Policy, replace

from tests.fakes import NO_METRICS

UNTIL = {"most": 6, "patience": 2}


def opened(folder: Path, rounds: Any = UNTIL, only: str | None = None) -> Run:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "rounds": rounds}
    return Run(folder / "run", parse(raw), only)


def ended(folder: Path, gains: Sequence[bool | None], rounds: Any = UNTIL, asked: int | None = None) -> RunState:
    """The state after a command that did as many rounds as it had `gains`; where it is stopped in between, the loop
    would have gone on."""
    run = opened(folder, rounds)
    target = run.target(asked)
    for n, gained in enumerate(gains, run.finished + 1):
        assert n <= target and not run.stalled(), "the loop would have ended before"
        run.round_dir(n).mkdir()
        run.finish(n, Policy("m"), replace(NO_METRICS, measured=gained is not None, gained=bool(gained)))
    run.close()
    return read_state(run.dir)


def test_it_ends_after_so_many_rounds_without_a_gain(tmp_path: Path) -> None:
    state = ended(tmp_path, [True, False, True, False])
    assert (state.left, state.stalled, state.ended) == (2, False, "")
    state = ended(tmp_path, [False])
    assert state.stalled and state.left == 0
    assert state.ended == (
        "Ended after round 5: no significant gain over the best in the last 2 rounds (rounds.patience)."
    )
    assert ended(tmp_path, []) == state, "the same command does no more"


def test_it_ends_at_most(tmp_path: Path) -> None:
    state = ended(tmp_path, [True] * 6)
    assert state.ended == "Ended after round 6, as many as rounds.most allows."
    assert ended(tmp_path, []) == state


def test_rounds_that_are_asked_for_are_done_whatever_they_gain(tmp_path: Path) -> None:
    ended(tmp_path, [False, False])
    ended(tmp_path, [False], asked=2)  # interrupted
    state = ended(tmp_path, [False])
    assert state.target == 4 and state.ended == "Ended after round 4, as many as were asked for."
    assert ended(tmp_path, []).stalled, "and then the recipe holds again"


def test_what_is_asked_now_holds_where_it_is_less_than_was_interrupted(tmp_path: Path) -> None:
    ended(tmp_path, [True], 1, asked=4)  # interrupted
    assert ended(tmp_path, [], 1).target == ended(tmp_path, [], 1, asked=4).target == 4, "the same command goes on"
    assert ended(tmp_path, [True], 1, asked=1).target == 2
    ended(tmp_path, [True])  # interrupted
    state = ended(tmp_path, [False], asked=1)
    assert (state.target, state.patience) == (4, None)


def test_patience_may_change(tmp_path: Path) -> None:
    ended(tmp_path, [False, False])
    assert ended(tmp_path, [False], {"most": 6, "patience": 3}).stalled
    assert (
        ended(tmp_path, [], {"most": 2, "patience": 9}).ended == "Ended after round 3, as many as rounds.most allows."
    )
    assert ended(tmp_path, [False], 1).ended == "Ended after round 4, as many as were asked for."


def test_rounds_that_could_not_be_measured_are_not_without_a_gain(tmp_path: Path) -> None:
    assert not ended(tmp_path, [None, None, None]).stalled
    older = RunState([RoundEnd("a"), RoundEnd("b")], 2, patience=2)
    assert not older.stalled


def test_a_stage_alone_is_done_whatever_was_gained(tmp_path: Path) -> None:
    ended(tmp_path, [False, False])
    run = opened(tmp_path, only="load")
    assert run.target() == 3 and not run.stalled()
    run.close()


def test_a_state_that_does_not_say_so_is_written_as_before(tmp_path: Path) -> None:
    end = {"policy": "base", "adapter": None, "scorer": None, "best": 0}
    assert RunState([RoundEnd("base", best=0)], 1).to_dict() == {"rounds": [end], "target": 1}


@pytest.mark.parametrize(
    ("rounds", "words"),
    [
        (0, "rounds: input should be greater than or equal to 1"),
        ({"most": 3}, "rounds.patience is missing"),
        ({"most": 0, "patience": 1}, "rounds.most: input should be greater"),
    ],
)
def test_what_is_no_number_of_rounds_is_refused(rounds: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse({"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "rounds": rounds})
