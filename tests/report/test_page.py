"""The pages, as a browser reads them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import InputError
from byheart.evaluation.metrics import ByHeart, Paired
from byheart.files import dump_yaml, load_yaml
from byheart.report import figures
from byheart.report.comparison import compare
from byheart.report.data import clip
from byheart.report.figures import by_heart_text
from byheart.report.page import MAX_MOVED, MAX_PROBLEMS, MAX_SOLUTIONS, write_comparison, write_page
from byheart.report.series import MAX_GROUPS
from byheart.report.terminal import show_result, show_rollouts, show_status
from byheart.runs.run import Run

from tests.report.runs import EVIL, TREE, begin, counts, finish, load, recipe

VOID = {"meta", "img", "br", "input", "link", "hr"}


@dataclass
class Page(HTMLParser):
    """The page as a browser reads it: its tags, its headings, and its words outside style and pictures."""

    path: Path
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.source = self.path.read_text()
        self.feed(self.source)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        self.words += " " if tag in {"p", "td", "th", "h2", "h3"} else ""

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self.open):
            self.words += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(folder: Path) -> Page:
    return Page(write_page(folder))


def metrics(folder: Path, n: int) -> Any:
    return json.loads((folder / f"round-{n:03d}" / "metrics.json").read_text())


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of a run of one round."""
    return page(finish(tmp_path_factory.mktemp("once") / "run", [0.2, 0.8]))


@pytest.fixture(scope="module")
def often(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of a run of three rounds that was sampled several times."""
    return page(finish(tmp_path_factory.mktemp("often") / "run", [0.2, 0.5, 0.1, 0.8], samples=4))


def test_it_lies_in_the_run_directory_whole_and_alone(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8])
    assert write_page(folder) == folder / "report.html"
    assert not list(folder.glob("*.part"))
    with pytest.raises(InputError, match="not a run directory"):
        write_page(tmp_path)


@pytest.mark.parametrize("finished", [False, True])
def test_opening_it_needs_no_network_and_runs_nothing(tmp_path: Path, often: Page, finished: bool) -> None:
    read = often if finished else page(begin(tmp_path / "run"))
    for tag, attrs in read.tags:
        assert tag not in {"script", "img", "link", "iframe", "object", "embed", "base"}
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                assert value is not None and value.startswith("#")
    assert not re.search(r"url\((?!#)|@import", read.source)
    policy = next(meta for meta in read.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")


def test_it_is_well_formed_for_every_reader(often: Page) -> None:
    read = often
    assert not read.open  # every tag is closed, in order; handle_endtag saw to the rest
    assert read.named("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids)), "two charts share an id"
    pointed = {str(value)[1:] for _, attrs in read.tags for name, value in attrs.items() if name == "xlink:href"}
    pointed |= set(re.findall(r"url\(#([^)]+)\)", read.source))
    assert pointed and pointed <= set(ids)
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in read.named("svg"))


def test_what_models_wrote_is_text(once: Page) -> None:
    assert once.words.count(EVIL) >= 2  # among the answers, and among the solutions
    assert "<script" not in once.source and "<img" not in once.source


def test_a_round_that_is_not_finished_says_so(tmp_path: Path) -> None:
    read = page(begin(tmp_path / "run"))
    assert "No round of some/model is finished yet" in read.words
    assert "Round 1 is not finished: its last stage done is sample" in read.words
    assert not read.named("svg")
    assert "12 problems: 12 solutions right, 12 wrong, 12 unjudged" in read.words


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path: Path) -> None:
    Run(tmp_path / "run", recipe()).close()
    assert "Nothing yet." in page(tmp_path / "run").words
    (tmp_path / "run" / "round-001").mkdir()
    assert "Round 1 is not finished: no stage is done" in page(tmp_path / "run").words


def test_an_unfinished_round_stands_beside_finished_ones(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8])
    run = Run(folder, recipe())
    run.stage(2, "load", load)
    run.close()
    read = page(folder)
    assert "in 1 round." in read.words
    assert "Round 2 is not finished: its last stage done is load" in read.words
    assert "What was sampled in round 1" in read.words


@pytest.mark.parametrize(
    "rights", [[0.2, 0.8], pytest.param([0.2, 0.5, 0.6, 0.7, 0.75, 0.8], marks=pytest.mark.slow)], ids=len
)
def test_its_numbers_are_those_of_metrics_json(tmp_path: Path, rights: list[float]) -> None:
    folder = finish(tmp_path / "run", rights)
    read, n = page(folder), len(rights) - 1
    first, last = metrics(folder, 1)["splits"]["held_out"], metrics(folder, n)["splits"]["held_out"]

    def span(row: dict[str, Any]) -> str:
        return f"{row['fast']['accuracy']:.2f} ({row['fast']['low']:.2f}–{row['fast']['high']:.2f})"

    went = f"went from {span(first['before'])} right to {span(last['after'])}"
    assert f"On 40 held-out problems the fast answers of some/model {went}" in read.words
    assert ("in 1 round." if n == 1 else f"in {n} rounds.") in read.words
    for number in range(1, n + 1):
        for split in metrics(folder, number)["splits"].values():
            for kind, moved in split["paired"].items():
                assert " ".join(figures.change(Paired.from_dict(moved))[:2]) in read.words
                assert f"{split['after'][kind]['accuracy']:.3f}" in read.words
    assert (
        "1 4,321 0 0 0 – 1234 25 % 0" in read.words
    )  # tokens, rows and their share with a hint; of no right solution none is different
    assert f"Newly solved, held out, worked: {len(last['paired']['worked']['gained'])}" in read.words
    assert "Newly lost, held out, worked: 0 None." in read.words


@pytest.mark.parametrize(
    ("ratio", "low", "high", "words"),
    [
        (0.57, 0.39, 0.76, "The fast answer has not caught up with the slow one yet: it is right 0.57 times as often"),
        (
            0.53,
            0.21,
            1.0,
            "50 problems can't tell whether the fast answer has caught up with the slow one: it is right",
        ),
        (0.5, 0.2, None, "50 problems can't tell whether the fast answer has caught up with the slow one"),
        (
            1.0,
            0.9,
            1.1,
            "The fast answer has caught up with the slow one: it is right 1.00 times as often (0.90–1.10).",
        ),
        (8.0, 2.5, None, "The fast answer has overtaken the slow one: it is right 8.00 times as often (2.50–)."),
    ],
)
def test_it_says_whether_the_fast_answer_caught_up(ratio: float, low: float, high: float | None, words: str) -> None:
    assert by_heart_text(ByHeart(ratio, low, high, 50)).startswith(words)


def test_a_ratio_without_an_upper_end_has_a_chart_all_the_same(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.0, 0.4], slow=0.05)
    heart = metrics(folder, 1)["splits"]["held_out"]["by_heart"]
    assert heart["high"] is None
    read = page(folder)
    assert by_heart_text(ByHeart(**heart)) in read.words
    assert str(read.named("svg")[2]["aria-label"]).startswith("By heart: over slow before from 8.00")


@pytest.mark.slow
def test_what_was_not_measured_has_no_chart(tmp_path: Path) -> None:
    def charts(read: Page) -> list[str]:
        return [str(svg["aria-label"]).partition(":")[0] for svg in read.named("svg")]

    least = ["Accuracy by round", "Tokens an answer by round"]
    assert charts(page(finish(tmp_path / "least", [0.2, 0.8], slow=None))) == least
    most = finish(tmp_path / "most", [0.2, 0.8], samples=4, by="digits")
    read = page(most)
    more = ["By heart", "Sampled several times", "Fast accuracy by digits", "Worked accuracy by digits"]
    assert charts(read) == [*least, *more]
    row = metrics(most, 1)["splits"]["held_out"]["after"]["pass@4"]
    assert f"{row['rate']:.3f} ({row['low']:.2f}–{row['high']:.2f})" in read.words


def test_the_first_charts_show_every_way_to_answer(tmp_path: Path) -> None:
    accuracy, tokens, *_ = page(finish(tmp_path / "run", [0.2, 0.5, 0.8], slow=0.7)).named("svg")
    assert accuracy["aria-label"] == (
        "Accuracy by round: fast from 0.20 to 0.80; worked from 0.30 to 0.90; slow from 0.70 to 0.70"
    )
    assert tokens["aria-label"] == "Tokens an answer by round: fast from 3.00 to 3.00; worked from 26.00 to 14.00"


def test_a_round_that_was_not_promoted_is_seen_to_be(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.5, 0.8, 0.3])
    assert [metrics(folder, n)["promoted"] for n in (1, 2)] == [True, False]
    read = page(folder)
    accuracy = metrics(folder, 1)["splits"]["held_out"]["after"]["fast"]["accuracy"]
    assert f"to {accuracy:.2f} (" in read.words and "in 2 rounds, of which 1 was promoted." in read.words
    assert "Round 1 promoted best" in read.words
    assert "Round 2 not promoted The new policy is worse and not promoted. The old policy stays." in read.words
    hollow = [str(attrs["id"]) for attrs in read.named("g") if "not-promoted" in str(attrs.get("id"))]
    assert {name.rpartition("-")[2] for name in hollow} == {"2"}
    assert any("-fast-" in name for name in hollow)


def test_what_is_said_of_the_run_is_said_of_the_last_policy_that_was_promoted(tmp_path: Path) -> None:
    words = page(finish(tmp_path / "run", [0.2, 0.7, 0.1])).words
    assert "Round 2 not promoted" in words
    assert "Form and substance, round 1: Of 20 newly solved problems" in words
    assert "Form and substance, round 2" not in words


def test_a_run_without_a_promotion_stays_where_it_was(tmp_path: Path) -> None:
    read = page(finish(tmp_path / "run", [0.8, 0.2]))
    assert (
        "the fast answers of some/model stay at 0.80" in read.words
        and "after 1 round no new policy was promoted" in read.words
    )


def test_unjudged_answers_are_counted_apart(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.6], unjudged=3)
    assert metrics(folder, 1)["splits"]["held_out"]["after"]["fast"]["unjudged"] == 3
    read = page(folder)
    assert "3 unjudged" in read.words
    assert "unjudged 404 the verifier ran out of time" in read.words


def test_a_run_of_which_nothing_could_be_judged_has_no_accuracy(tmp_path: Path) -> None:
    assert "an accuracy that could not be judged" in page(finish(tmp_path / "run", [0.2, 0.6], unjudged=40)).words


def test_a_search_shows_its_tree_and_how_far_its_values_can_be_believed(tmp_path: Path, once: Page) -> None:
    page = Page(write_page(finish(tmp_path / "r", [0.2, 0.5], stepwise=True)))
    assert len(page.named("ul")) == 2 and len(page.named("li")) == len(TREE), (
        "the two below the first in a list of theirs"
    )
    assert (
        "2 + 3 = 5 f 1.25, g 0.75, h 0.50, value 0.75" in page.words
        and "or [bold]6[/] value 0.04, hopeless" in page.words
    )
    assert "Values of steps, round 1: Brier" in page.words and "AUC 0.50" in page.words and "(80 steps)" in page.words
    assert "Going back, round 1: 40 of 40 worked answers go back, of which 24 come out right" in page.words
    assert "where that is forbidden, accuracy is 0.250" in page.words
    assert "Values of steps and what came of them" in page.words
    assert not once.named("ul") and "Going back" not in once.words and "Values of steps" not in once.words


def test_it_stays_short(tmp_path: Path) -> None:
    folder = begin(tmp_path / "a", [f"no {n}" for n in range(30)])
    read = page(folder)
    assert f"the first {MAX_SOLUTIONS} of 30 solutions" in read.words
    assert len(read.named("h3")) == MAX_PROBLEMS
    folder = finish(tmp_path / "b", [0.1, 1.0])
    gained = metrics(folder, 1)["splits"]["held_out"]["paired"]["worked"]["gained"]
    assert len(gained) > MAX_MOVED
    assert f"Newly solved, held out, worked: {len(gained)} (the first {MAX_MOVED})" in page(folder).words


def test_a_long_text_keeps_its_ends() -> None:
    assert clip("short") == "short"
    assert clip("a" * 5000 + "the answer").endswith("the answer")
    assert len(clip("a" * 5000)) < 1300


def test_it_ends_with_the_recipe(once: Page) -> None:
    words = once.words
    assert "num_held_out: 40" in words
    order = ["Results by round", "Round by round", "Problems that moved", "What was sampled", "Where the time went"]
    places = [words.index(heading) for heading in [*order, "The recipe"]]
    assert places == sorted(places)


LEFT_OUT = counts(num_right=9, num_cut_off=4, num_overlapping=3)


@pytest.mark.parametrize("show", [write_page, show_result])
@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("none", "Nothing was trained, as the recipe says: the control."),
        ("sft", "No solution is left to learn from: 9 right, 3 overlapping with measured problems, 4 cut off."),
    ],
)
def test_a_round_that_trained_nothing_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], show: Any, objective: str, words: str
) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.2], objective=objective, untrained=LEFT_OUT)
    shown = show(folder)
    shown_text = Page(shown).words if shown else " ".join(capsys.readouterr().out.split())
    assert words in shown_text and "no solution was right" not in shown_text.lower()


@pytest.mark.parametrize("show", [write_page, show_result, show_status, show_rollouts])
def test_a_run_is_read_without_the_packages_that_its_plugins_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], show: Any
) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.2], untrained=LEFT_OUT)
    resolved = load_yaml((folder / "recipe.yaml").read_text())
    for section in ("task", "engine", "strategy", "verifier", "objective"):
        resolved[section] = {"name": f"{section}_gone", "its_option": 1}
    (folder / "recipe.yaml").write_text(dump_yaml(resolved))
    shown = show(folder, *((None, None, None, 1) if show is show_rollouts else ()))
    shown_text = Page(shown).words if shown else " ".join(capsys.readouterr().out.split())
    words = {write_page: "task_gone", show_status: "task task_gone", show_rollouts: "What is 0 + 1?"}
    assert words.get(show, "No solution is left to learn from: 9 right") in shown_text


@pytest.mark.slow
def test_what_is_asked_twice_in_the_same_way_is_shown_once(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8], same=True, by="digits")
    read = page(folder)
    before_the_recipe = read.words.partition("The recipe")[0].replace("what had to be worked out", "")
    assert "worked" not in before_the_recipe
    assert "Newly solved, held out, fast: 24" in read.words and "the fast answers to the development" in read.words
    titles = [str(svg["aria-label"]).partition(":")[0] for svg in read.named("svg")]
    assert titles == ["Accuracy by round", "Tokens an answer by round", "By heart", "Fast accuracy by digits"]
    assert "worked" not in str(read.named("svg")[0]["aria-label"])
    other = finish(tmp_path / "other", [0.2, 0.9], same=True)
    both = Page(write_comparison(compare([folder, other]), tmp_path / "both.html"))
    assert "worked" not in both.words
    assert len(both.named("svg")) == 3  # of all problems, and of both groups


def test_a_problem_without_an_answer_says_so_wherever_it_stands(tmp_path: Path) -> None:
    read = page(finish(tmp_path / "run", [0.2, 0.8], gold=False))
    moved = read.words.partition("Newly solved")[2].partition("Newly lost")[0]
    assert moved.count(" not known ") == MAX_MOVED


@pytest.mark.slow
def test_more_groups_than_a_chart_can_hold_are_cut_short_and_said_to_be(tmp_path: Path) -> None:
    groups = [str(n) for n in range(20)]
    folders = [finish(tmp_path / name, [0.2, 0.8], by="digits", groups=groups) for name in "ab"]
    read = page(folders[0])
    label = str(read.named("svg")[3]["aria-label"])
    assert label.startswith("Fast accuracy by digits: 0 from") and label.count(";") == MAX_GROUPS - 1
    assert f"A line for each value of digits, the first {MAX_GROUPS} of 20. Bars" in read.words
    both = Page(write_comparison(compare(folders), tmp_path / "both.html"))
    assert len(both.named("svg")) == 2 * (1 + MAX_GROUPS)
    assert f"Of the 20 groups by digits the first {MAX_GROUPS} are shown." in both.words


def test_a_long_name_may_break_anywhere_in_running_text(tmp_path: Path) -> None:
    source = page(begin(tmp_path / "run")).source
    breaking = re.findall(r"^([^{}\n]+) \{[^}]*overflow-wrap: anywhere", source, re.MULTILINE)
    assert {"p", "li", "h3", "dd"} <= {name.strip() for names in breaking for name in names.split(",")}


@pytest.mark.slow
def test_groups_that_are_no_words_have_charts_of_their_own(tmp_path: Path) -> None:
    folders = [finish(tmp_path / name, [0.2, 0.8, 0.1], by="digits", groups=["+", "-"]) for name in "ab"]
    for read in (page(folders[0]), Page(write_comparison(compare(folders), tmp_path / "both.html"))):
        ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
        assert len(ids) == len(set(ids)) > 100


def old(folder: Path) -> Path:
    """The run as a version wrote it that measured one greedy answer and no other."""
    path = folder / "round-001" / "metrics.json"
    written = json.loads(path.read_text())
    for split in written["splits"].values():
        split.update({side: split[side]["worked"] for side in ("before", "after")}, paired=split["paired"]["worked"])
    path.write_text(json.dumps(written))
    return folder


@pytest.mark.parametrize("show", [write_page, show_status, show_result])
def test_a_run_of_an_older_version_is_refused_in_a_line(tmp_path: Path, show: Any) -> None:
    with pytest.raises(InputError, match="was made by another version of byheart"):
        show(old(finish(tmp_path / "run", [0.2, 0.8])))


@pytest.mark.slow
def test_the_page_of_a_comparison_stands_alone_and_says_what_is_better(tmp_path: Path) -> None:
    folders = [finish(tmp_path / name, rights, by="digits") for name, rights in (("a", [0.2, 0.5]), ("b", [0.2, 0.9]))]
    path = tmp_path / "made" / "both.html"
    read = Page(write_comparison(compare(folders), path))
    assert not read.open and "<script" not in read.source
    assert "2 runs on 40 held-out problems fast: b is better than a" in read.words
    titles = [str(svg["aria-label"]).partition(":")[0] for svg in read.named("svg")]
    assert titles == [
        f"{kind} accuracy{group}" for group in ("", ", digits 1", ", digits 2") for kind in ("Fast", "Worked")
    ]
    assert str(read.named("svg")[0]["aria-label"]).endswith("a from 0.20 to 0.50; b from 0.20 to 0.90")
