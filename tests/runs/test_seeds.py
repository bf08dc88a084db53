"""Which seeds a command names, where their runs live, and what each is still to do."""

from __future__ import annotations

import pytest
from byheart.config.rounds import Rounds
from byheart.errors import InputError
from byheart.runs.records import RoundEnd, RunState
from byheart.runs.seeds import place, remaining, seeds


@pytest.mark.parametrize(
    ("text", "named"),
    [("0..2", [0, 1, 2]), ("0,3,7", [0, 3, 7]), ("5", [5]), ("0..1, 7,1", [0, 1, 7]), ("3..3", [3])],
)
def test_seeds_are_named_by_ranges_and_one_by_one(text: str, named: list[int]) -> None:
    assert seeds(text) == named


@pytest.mark.parametrize("text", ["", "2..0", "a", "-1", "0,", "0...2", "0..", "1.5"])
def test_what_names_no_seed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="names no seed; give 0"):
        seeds(text)


def test_each_seed_has_a_place_of_its_own() -> None:
    assert place("runs/addition", 3) == "runs/addition-seed-3"
    assert place("s3://bucket/x/", 0) == "s3://bucket/x-seed-0"


def test_rounds_are_counted_in_all_and_end_where_nothing_is_gained() -> None:
    gains = [True, False, False]
    state = RunState([RoundEnd(f"adapter-{n}", gained=gained) for n, gained in enumerate(gains)], target=3)
    assert [remaining(state, wanted) for wanted in (5, 3, 2)] == [2, 0, 0]
    assert remaining(state, Rounds(most=10, patience=2)) == 0
    assert remaining(state, Rounds(most=10, patience=3)) == 7
