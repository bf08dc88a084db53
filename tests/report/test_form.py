"""Form against substance as text, on the page and in the terminal."""

from pathlib import Path

import pytest
from byheart.evaluation.metrics import AlsoMetrics, Causes, Change, Gains, Paired, PairedKinds, Readable
from byheart.report import form, terminal
from byheart.report.data import measured
from byheart.report.page import write_page
from byheart.types import replace

from tests.report.runs import finish
from tests.report.test_figures import words

NONE = Causes(0, 0, 0, 0, 0, 0)
GAINS = Gains(
    gained=Causes(cut_off=61, unread=20, other_form=3, wrong=28, cut_off_right=12, unread_right=1),
    lost=Causes(cut_off=0, unread=0, other_form=0, wrong=1, cut_off_right=0, unread_right=0),
    form=Change(0.42, 0.3, 0.5),
    substance=Change(0.135, 0.08, 0.2),
    readable=Readable(91, 0.5, 0.8, Change(0.3, 0.2, 0.4)),
)


def test_the_sentences_give_each_cause_and_the_change_where_all_could_be_read() -> None:
    assert form.text(GAINS) == (
        "Of 112 newly solved problems, by the answer before: 61 cut off (12 already with the right answer), 20 without "
        "an answer that could be read (1 already with the right answer), 3 right in another form, 28 wrong. "
        "Of 1 newly lost problem, by the answer now: 1 wrong. "
        "Form: +0.420 (+0.30 to +0.50) of the change of accuracy comes from answers that were cut off, could not be "
        "read or are right in another form. Substance: +0.135 (+0.08 to +0.20) comes from answers that were wrong. "
        "Where both answers are complete and could be read (91 problems), accuracy went from 0.500 to 0.800: "
        "+0.300 (+0.20 to +0.40)."
    )


def test_what_is_not_there_is_not_mentioned() -> None:
    text = form.text(Gains(NONE, GAINS.lost, GAINS.form, GAINS.substance, None))
    assert text.startswith("Of 1 newly lost problem") and "newly solved" not in text and "Where both" not in text
    assert "can't be looked for" not in text
    assert "In 3 of them right answers in another form can't be looked for." in form.text(replace(GAINS, unlooked=3))


@pytest.mark.parametrize(
    ("own", "others", "lost"),
    [
        ((0.1, 0.3), {"three_digits": (-0.2, -0.1), "facts": (-0.1, 0.1)}, "three_digits"),
        ((0.1, 0.3), {"three_digits": (-0.2, -0.1), "facts": (-0.3, -0.2)}, "three_digits, facts"),
        ((0.1, 0.3), {"three_digits": (-0.2, 0.0)}, ""),
        ((0.0, 0.3), {"three_digits": (-0.2, -0.1)}, ""),
        ((0.1, 0.3), {}, ""),
    ],
)
def test_a_gain_with_a_loss_elsewhere_is_superficial(
    tmp_path: Path, own: tuple[float, float], others: dict[str, tuple[float, float]], lost: str
) -> None:
    metrics = measured(finish(tmp_path / "run", [0.2, 0.5])).finished[-1].metrics

    def paired(low: float, high: float) -> Paired:
        return replace(metrics.held_out.paired.fast, low=low, high=high)

    held_out = replace(metrics.held_out, paired=PairedKinds(paired(*own), paired(-1, 1)))
    side = metrics.held_out.before.fast
    also = {name: AlsoMetrics(side, side, side, paired(*ends), paired(*ends)) for name, ends in others.items()}
    metrics = replace(metrics, splits=metrics.splits | {"held_out": held_out}, also=also)
    text = f"The round gained on its own task, and {lost} fell: a superficial improvement (2503.02103)."
    assert form.superficial(metrics, "fast") == (text if lost else "")
    assert form.superficial(metrics, "worked") == ""
    slowly = {name: replace(task, paired=paired(-0.1, 0.1)) for name, task in also.items()}
    assert form.superficial(replace(metrics, also=slowly), "fast") == (text if lost else ""), "since the base"


def test_the_table_has_a_row_for_each_round_with_gains() -> None:
    lost = Causes(cut_off=2, unread=0, other_form=0, wrong=1, cut_off_right=1, unread_right=0)
    table = form.table([(1, GAINS), (2, None), (3, Gains(NONE, lost, GAINS.form, GAINS.substance, None))])
    assert [row[:5] for row in table.rows] == [
        ["1", "+61 (12)", "+20 (1)", "+3", "+28, \u22121"],
        ["3", "\u22122 (1)", "", "", "\u22121"],
    ]
    assert table.rows[0][-1] == ("+0.300", "(+0.20 to +0.40)", "91 problems")


def test_page_and_terminal_show_it_round_by_round_and_from_the_first_to_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.5, 0.8])
    last = measured(folder).finished[-1].metrics
    assert last.gains is not None and last.gains.gained.wrong == 12
    terminal.show_result(folder)
    assert f"Form and substance, held out, {last.decided_by}: {form.text(last.gains)}" in words(capsys.readouterr().out)
    page = words(write_page(folder).read_text("utf-8"))
    assert form.text(last.gains) in page and "Form against substance" in page
    assert "Of 24 newly solved problems, by the answer before: 24 wrong." in page, "of both rounds, in the headline"
