"""Runs compared problem by problem: which differences are more than chance, and which runs can't be compared."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from byheart.cli import app
from byheart.errors import InputError
from byheart.evaluation.metrics import Paired
from byheart.evaluation.statistics import mcnemar
from byheart.report.comparison import Difference, compare, holm
from byheart.report.figures import Figure
from byheart.report.page import write_comparison
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from tests.report.runs import begin, finish


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 1 / 16), (0, 5, 1 / 16), (3, 3, 1.0), (8, 1, 10 / 256)]
)
def test_mcnemar_asks_how_uneven_the_moved_problems_are(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(p)


def differences(*ps: float) -> list[Difference]:
    changes = Paired(9, 0.1, 0.0, 0.2, ["x"], [], 1.0)
    return [Difference("b", "a", "fast", changes, p) for p in ps]


def test_holm_is_the_textbook_example() -> None:
    corrected = [difference.holm for difference in holm(differences(0.01, 0.04, 0.03, 0.005))]
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    corrected = [difference.holm for difference in holm(differences(*ps))]
    assert all(p <= holm_p <= min(1.0, p * len(ps)) + 1e-12 for p, holm_p in zip(ps, corrected, strict=True))
    in_order = [holm_p for _, holm_p in sorted(zip(ps, corrected, strict=True))]
    assert in_order == sorted(in_order)


def test_the_better_run_is_named_whichever_comes_first(tmp_path: Path) -> None:
    good, bad = finish(tmp_path / "good", [0.2, 0.9]), finish(tmp_path / "bad", [0.2, 0.5])
    for folders in ([good, bad], [bad, good]):
        comparison = compare(folders)
        assert [difference.better for difference in comparison.differences] == ["good", "good"]
        assert {difference.words for difference in comparison.differences} == {"good is better than bad"}
        assert abs(comparison.differences[0].paired.change) == pytest.approx(0.4)


def test_a_small_difference_is_not_significant(tmp_path: Path) -> None:
    comparison = compare([finish(tmp_path / "a", [0.2, 0.5]), finish(tmp_path / "b", [0.2, 0.6])])
    fast = comparison.differences[0]
    assert (len(fast.paired.gained), len(fast.paired.lost), fast.p, fast.holm) == (4, 0, 1 / 8, 1 / 4)
    assert fast.better is None and fast.words == "b and a: no significant difference"


def test_the_interval_of_a_difference_agrees_with_the_test_that_decides(tmp_path: Path) -> None:
    """4 gained, 0 lost of 40: p is 0.125. And at the level that Holm's method tests with, whatever that is."""
    a, b = (finish(tmp_path / name, [0.2, right], same=True) for name, right in (("a", 0.5), ("b", 0.6)))
    (difference,) = compare([a, b]).differences
    assert difference.better is None and difference.change == Figure("+0.100", "(0.00 to +0.23)")
    for lost, total in ((5, 1), (6, 1), (6, 2), (6, 4), (9, 4)):
        changes = Paired(40, -lost / 40, 0.0, 0.0, [], [str(n) for n in range(lost)], 1.0)
        others = [Difference("c", "a", "fast", changes, 1.0)] * (total - 1)
        tested = holm([Difference("b", "a", "fast", changes, mcnemar(0, lost)), *others])[0]
        low, high = re.findall(r"[+-]?[0-9.]+", tested.change.interval)[:2]
        assert (float(high) < 0) == (tested.better == "a"), (lost, total, low, high)
        assert ("97.5 %" in tested.change.interval) == (total == 2)


def seeds(folder: Path, name: str, rights: Sequence[float], temperature: float = 1.0, shift: int = 0) -> list[Path]:
    """Runs of one recipe with the seeds 0, 1, ..., each with problems of its own, the first of which is `shift`ed."""
    runs = [
        finish(folder / f"{name}-seed-{seed}", [0.2, right], same=True, seed=seed, first=100 * seed + shift)
        for seed, right in enumerate(rights)
    ]
    for run in runs:
        path = run / "recipe.yaml"
        path.write_text(path.read_text().replace("temperature: 1.0", f"temperature: {temperature}"))
    return runs


def test_seeds_of_one_recipe_are_taken_together(tmp_path: Path) -> None:
    comparison = compare(seeds(tmp_path, "a", [0.6, 0.7, 0.8]))
    (pool,) = comparison.pools
    assert (pool.name, list(pool.seeds), comparison.differences) == ("a", [0, 1, 2], [])
    together, *alone = comparison.over_seeds().rows
    known = stats.ttest_1samp([0.4, 0.5, 0.6], 0.0).confidence_interval(0.95)  # no problem is in two of them
    assert together[:3] == ["a", "fast", "0, 1, 2"]
    assert together[5] == Figure("+0.500", f"(+{known.low:.2f} to +{known.high:.2f})")
    assert [figure[0] for figure in together[3:5]] == ["0.200", "0.700"]
    assert [row[0] for row in alone] == ["a-seed-0", "a-seed-1", "a-seed-2"]
    assert [row[4].value for row in alone if isinstance(row[4], Figure)] == ["0.600", "0.700", "0.800"]


def test_seeds_are_taken_together_whenever_and_by_whatever_engine_they_were_computed(tmp_path: Path) -> None:
    first, second = seeds(tmp_path, "a", [0.6, 0.7])
    raw = yaml.safe_load((second / "recipe.yaml").read_text())
    raw["model"]["date"], raw["engine"] = "2026-01-02", {"name": "transformers"}
    (second / "recipe.yaml").write_text(yaml.safe_dump(raw))
    assert len(compare([first, second]).pools) == 1


def test_over_seeds_only_the_problems_count_that_are_compared(tmp_path: Path) -> None:
    """The runs of a seed share 30 of 40 problems: those of a but for the first ten, which it solved."""
    a, b = seeds(tmp_path, "a", [0.8, 0.8]), seeds(tmp_path, "b", [0.8, 0.8], temperature=0.5, shift=10)
    rows = compare([*a, *b]).over_seeds().rows
    accuracies = [(row[0], row[4].value) for row in rows if isinstance(row[4], Figure)]
    assert accuracies[:4] == [("a", "0.733"), ("a-seed-0", "0.733"), ("a-seed-1", "0.733"), ("b", "1.000")]


def test_recipes_are_compared_by_the_seeds_that_both_have(tmp_path: Path) -> None:
    a, b = seeds(tmp_path, "a", [0.5, 0.55, 0.5, 0.6]), seeds(tmp_path, "b", [0.8, 0.9, 0.8], temperature=0.5)
    comparison = compare([*a, *b])
    (difference,) = comparison.differences
    assert (difference.run, difference.first, difference.seeds, difference.paired.problems) == ("b", "a", 3, 120)
    assert difference.words == "b is better than a" and difference.paired.change == pytest.approx(0.95 / 3)
    assert comparison.notes == [
        "b differs from a in evaluation.temperature: 1.0 -> 0.5; strategy.temperature: 1.0 -> 0.5.",
        "b and a are compared by the seeds that both have, without 3.",
    ]
    uneven = compare([*a[:2], *seeds(tmp_path / "c", "c", [0.55, 0.85], temperature=0.4)]).differences[0]
    assert uneven.better is None, "two seeds, of which one is much better, could be chance"
    assert mcnemar(len(uneven.paired.gained), len(uneven.paired.lost)) < 0.001, "whatever their problems say"


def test_one_seed_against_several_is_one_seed(tmp_path: Path) -> None:
    a, b = seeds(tmp_path, "a", [0.5, 0.55]), seeds(tmp_path, "b", [0.8], temperature=0.5)
    (difference,) = compare([*a, *b]).differences
    assert (difference.seeds, difference.mean, difference.p) == (1, None, mcnemar(12, 0))
    with pytest.raises(InputError, match="a and c-seed-2 have no seed in common; run both with the same"):
        compare([*a[:1], a[1], seeds(tmp_path / "c", "c", [0.1] * 3, temperature=0.4)[2]])


def test_the_same_recipe_with_the_same_seed_is_another_run(tmp_path: Path) -> None:
    comparison = compare([finish(tmp_path / name, [0.2, 0.5]) for name in "ab"])
    assert comparison.pools == [] and len(comparison.differences) == 2


def test_seeds_are_shown_in_the_terminal_and_on_the_page(tmp_path: Path) -> None:
    runs = [*seeds(tmp_path, "a", [0.4, 0.4, 0.5]), *seeds(tmp_path, "b", [0.8, 0.9, 0.9], temperature=0.5)]
    path = tmp_path / "seeds.html"
    done = CliRunner().invoke(app, ["compare", *map(str, runs), "--page", str(path)])
    assert done.exit_code == 0, done.output
    for words in ("over seeds and problems", "against a, problem by problem, seed by seed", "b is better than a"):
        assert words in done.output and words in path.read_text().replace("Over", "over").replace("Against", "against")
    assert "6 runs of 2 recipes on 120 held-out problems" in path.read_text()
    alone = CliRunner().invoke(app, ["compare", *map(str, runs[:3]), "--page", str(path)])
    assert alone.exit_code == 0 and "significant" not in alone.output + path.read_text()


def test_more_comparisons_ask_for_more_evidence(tmp_path: Path) -> None:
    a, b, c, d = (
        finish(tmp_path / name, [0.2, right]) for name, right in zip("abcd", (0.5, 0.675, 0.5, 0.5), strict=True)
    )
    assert [difference.better for difference in compare([a, b]).differences] == ["b", "b"]  # 7 to 0: p 0.016, twice
    assert {difference.better for difference in compare([a, b, c, d]).differences} == {None}


def test_a_run_is_what_it_ended_with_and_paid_for_all_its_rounds(tmp_path: Path) -> None:
    folder = finish(tmp_path / "a", [0.2, 0.7, 0.3])  # the second round is not promoted
    comparison = compare([folder, finish(tmp_path / "b", [0.2, 0.7])], split="dev")
    stands = [
        (row.run.name, row.stand.n, row.stand.num_tokens, row.accuracies.fast.accuracy) for row in comparison.rows(True)
    ]
    assert stands == [
        ("a", 0, 0, 0.2), ("b", 0, 0, 0.2), ("a", 1, 4321, 0.7), ("b", 1, 4321, 0.7), ("a", 2, 8642, 0.7),
    ]  # fmt: skip
    assert comparison.differences[0].paired.change == 0
    assert comparison.notes == ["Not at equal cost: b sampled 4,321 tokens and a 8,642."]


def test_what_decides_a_run_and_is_not_the_same_is_named(tmp_path: Path) -> None:
    a, b = finish(tmp_path / "a", [0.2, 0.7]), finish(tmp_path / "b", [0.2, 0.7])
    recipe = b / "recipe.yaml"
    recipe.write_text(
        recipe.read_text().replace("max_tokens: 16", "max_tokens: 4").replace("name: tiny", "name: other")
    )
    differs, measured = compare([a, b]).notes
    assert differs == "b differs from a in evaluation.fast.max_tokens: 16 -> 4."
    assert measured == "b was measured in another way than a: their numbers are not comparable."


def test_of_two_strategies_what_only_one_of_them_has_is_left_out(tmp_path: Path) -> None:
    a, b = finish(tmp_path / "a", [0.2, 0.7]), finish(tmp_path / "b", [0.2, 0.7])
    recipe = yaml.safe_load((b / "recipe.yaml").read_text())
    recipe["strategy"] |= {"name": "reflect", "times": 1, "temperature": 0.5}
    (b / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    name, temperature = "strategy.name: 'direct' -> 'reflect'", "strategy.temperature: 1.0 -> 0.5"
    assert compare([a, b]).notes == [f"b differs from a in {name}; {temperature}."]


def test_a_scheduled_measure_is_a_measure_that_differs(tmp_path: Path) -> None:
    a, b = finish(tmp_path / "a", [0.2, 0.7]), finish(tmp_path / "b", [0.2, 0.7])
    path = b / "recipe.yaml"
    path.write_text(path.read_text().replace("schedule: {}", "schedule: {evaluation.fast.max_tokens: [4]}"))
    assert "b was measured in another way than a: their numbers are not comparable." in compare([a, b]).notes


def test_fast_and_worked_are_one_test_where_they_ask_the_same(tmp_path: Path) -> None:
    a, b = (finish(tmp_path / name, [0.2, right], same=True) for name, right in (("a", 0.5), ("b", 0.65)))
    (only,) = compare([a, b]).differences
    assert (only.kind, len(only.paired.gained), len(only.paired.lost)) == ("fast", 6, 0)
    assert only.holm == only.p == 1 / 32 and only.words == "b is better than a"
    other = finish(tmp_path / "c", [0.2, 0.5])  # asks them otherwise
    assert [difference.kind for difference in compare([a, other]).differences] == ["fast", "worked"]


def test_runs_are_compared_on_the_problems_they_share_if_these_are_most(tmp_path: Path) -> None:
    a, b = finish(tmp_path / "a", [0.2, 0.5]), finish(tmp_path / "b", [0.2, 0.5], first=10)
    comparison = compare([a, b])
    assert {row.accuracies.fast.problems for row in comparison.rows(False)} == {30}
    assert comparison.notes[0] == "Only the 30 held-out problems that all runs share are compared, of up to 40."
    with pytest.raises(InputError, match="share 15 of 40 held-out problems, too few to compare"):
        compare([a, finish(tmp_path / "c", [0.2, 0.5], first=25)])


def test_what_is_no_second_run_is_refused(tmp_path: Path) -> None:
    a = finish(tmp_path / "a", [0.2, 0.5])
    for folders in ([a], [a, a], [a, tmp_path / "x" / ".." / "a"]):
        with pytest.raises(InputError, match="two or more different runs"):
            compare(folders)
    with pytest.raises(InputError, match="no finished round"):
        compare([a, begin(tmp_path / "begun")])
    with pytest.raises(InputError, match="not a run directory"):
        compare([a, tmp_path])
    with pytest.raises(InputError, match="--split is held_out or dev, not 'train'"):
        compare([a, a], split="train")


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    a = finish(tmp_path / "a", [0.2, 0.5])
    same = shutil.copytree(a, tmp_path / "elsewhere" / "a")
    assert [run.name for run in compare([a, same]).runs] == ["a", "elsewhere/a"]


def test_the_command_shows_it_and_writes_its_page(tmp_path: Path) -> None:
    runs = [str(finish(tmp_path / name, rights)) for name, rights in (("a", [0.2, 0.5]), ("b", [0.2, 0.4, 0.9]))]
    path = tmp_path / "both.html"
    done = CliRunner().invoke(app, ["compare", *runs, "--split", "dev", "--by-round", "--page", str(path)])
    assert done.exit_code == 0, done.output
    assert "fast: b is better than a" in done.output and str(path) in done.output.replace("\n", "")
    assert "development" in done.output and "held out" not in done.output
    assert "2 runs on 40 development problems" in path.read_text()


def test_a_page_that_can_be_no_file_is_refused(tmp_path: Path) -> None:
    comparison = compare([finish(tmp_path / name, [0.2, 0.5]) for name in "ab"])
    with pytest.raises(InputError, match=r"is a folder; the page is a file, e\.g\. .*comparison\.html"):
        write_comparison(comparison, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="File exists"):
        write_comparison(comparison, tmp_path / "file" / "page.html")


def test_groups_are_those_of_the_recipe(tmp_path: Path) -> None:
    comparison = compare([finish(tmp_path / name, [0.2, 0.5], by="digits") for name in "ab"])
    assert {name: len(ids) for name, ids in comparison.groups.items()} == {"": 40, "1": 20, "2": 20}
    assert comparison.group_by == "digits"
