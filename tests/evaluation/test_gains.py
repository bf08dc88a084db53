"""Form against substance."""

from byheart.evaluation import Answer, Outcome
from byheart.evaluation.gains import gains
from byheart.evaluation.metrics import Causes, Gains
from byheart.types import replace
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from tests.evaluation.marks import settled

MARKS = {
    "+": Outcome(True, 3, "4"),
    "-": Outcome(False, 3, "5", mentioned=False),
    "o": Outcome(False, 3, "4\n5", mentioned=True),  # in another form
    "c": Outcome(False, 3, "two and", cut_off=True, mentioned=False),
    "C": Outcome(False, 3, "4, beca", cut_off=True, mentioned=True),
    "u": Outcome(False, 3, "well", unread=True, mentioned=False),
    "U": Outcome(False, 3, "4 or five", unread=True, mentioned=True),
    "x": Outcome(False, 3, "well, wel", cut_off=True, unread=True, mentioned=False),
    "?": Outcome(None, 3, "unjudged"),
    "~": Outcome(False, 3, "5"),  # of an older version
}


def answers(marks: str) -> list[Answer]:
    return [Answer(f"p{n}", worked=MARKS[mark]) for n, mark in enumerate(marks)]


def known(before: str, after: str) -> Gains | None:
    return gains(answers(before), answers(after), "worked")


def of(before: str, after: str) -> Gains:
    found = known(before, after)
    assert found is not None
    return found


def test_each_problem_is_counted_by_its_answer_that_is_not_right() -> None:
    found = of("-ocCuUx-+?++", "++++++++-+?C")
    assert found.gained == Causes(cut_off=3, unread=2, other_form=1, wrong=2, cut_off_right=1, unread_right=1)
    assert found.lost == Causes(cut_off=1, unread=0, other_form=0, wrong=1, cut_off_right=1, unread_right=0)
    assert (found.gained.total, found.lost.total) == (8, 2)


def test_the_change_is_that_by_form_and_that_by_substance() -> None:
    found = of("-oc++u--++", "++++-u+c+c")  # gained: 2 by form, 2 by substance; lost: 1 of each
    assert found.form.change == found.substance.change == approx(0.1)
    assert found.form.low <= 0.1 <= found.form.high


def test_where_both_answers_are_readable_form_can_change_nothing() -> None:
    found = of("cCuUo-+-?", "++++++--+")
    assert found.readable is not None
    assert (found.readable.problems, found.readable.before, found.readable.after) == (4, 0.25, 0.5)
    assert found.readable.change.change == approx(0.25)
    assert of("ccu", "+++").readable is None


def test_nothing_is_said_where_nothing_moved() -> None:
    assert known("+-c?", "+-u-") is None
    assert gains([], answers("+"), "worked") is None


def test_where_nothing_could_be_looked_for_is_counted() -> None:
    looked = {before + after: known(before, after) for before, after in (("~c", "++"), ("+c", "~+"), ("~c", "~+"))}
    assert {marks: gains and gains.unlooked for marks, gains in looked.items()} == {"~c++": 1, "+c~+": 1, "~c~+": 0}


def test_only_answers_of_the_kind_count() -> None:
    before = [replace(answer, fast=MARKS["c"]) for answer in answers("-")]
    after = [replace(answer, fast=MARKS["+"]) for answer in answers("-")]
    assert gains(before, after, "worked") is None
    fast = gains(before, after, "fast")
    assert fast and fast.gained.cut_off == 1


@settled
@given(st.lists(st.tuples(*[st.sampled_from("+-ocCuUx?")] * 2), min_size=1, max_size=40))
def test_form_and_substance_add_up(marks: list[tuple[str, str]]) -> None:
    before, after = ("".join(side) for side in zip(*marks, strict=True))
    judged = [(was == "+", now == "+") for was, now in marks if "?" not in (was, now)]
    gained, lost = sum(now > was for was, now in judged), sum(now < was for was, now in judged)
    found = known(before, after)
    assert (found is None) == (gained + lost == 0)
    if found:
        assert (found.gained.total, found.lost.total) == (gained, lost)
        assert found.form.change + found.substance.change == approx((gained - lost) / len(judged))


def test_mentioned_is_not_written_where_it_is_unknown() -> None:
    assert "mentioned" not in MARKS["+"].to_dict() and MARKS["-"].to_dict()["mentioned"] is False
    assert Outcome.from_dict(MARKS["~"].to_dict()) == MARKS["~"]
