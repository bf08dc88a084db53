"""The page, from run directories that Run, Journal and compare really wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.evaluation import Answer, Measure, compare, read_measure
from pipeline.files import Journal, write_records
from pipeline.recipe import Recipe, parse
from pipeline.report.page import MAX_MOVED, MAX_PROBLEMS, MAX_SOLUTIONS, clip, write_page
from pipeline.run import Run, Stage, stage
from pipeline.strategies.sampling import read_rollouts
from pipeline.tasks.splits import read_problems
from pipeline.types import Attempts, Completion, Policy, Problem, Problems, Rollout, Verdict, replace
from pipeline.verifiers import number

EVIL = "<script>alert('x')</script><img src=https://evil.example/x.png>"
VOID = {"meta", "img", "br", "input", "link", "hr"}


def recipe(samples: int = 0) -> Recipe:
    return parse(
        {
            "name": "tiny",
            "model": {"name": "some/model"},
            "task": {"name": "arithmetic", "num_train": 12, "num_dev": 40, "num_held_out": 40},
            "engine": {"name": "scripted", "script": "none.json"},
            "evaluation": {"num_train": 12, "samples": samples},
        }
    )


def make_problems() -> Problems:
    every = [Problem.of([{"role": "user", "content": f"What is {n} + 1?"}], str(n + 1), "number") for n in range(92)]
    return Problems(every[:12], every[12:52], every[52:])


def measure(problems: Problems, policy: str, right: float, samples: int = 0, unjudged: int = 0) -> Measure:
    """A policy that solves the first `right` of each split; the last `unjudged` could not be judged."""

    def answer(problem: Problem, solved: bool, judged: bool) -> Answer:
        response = str(problem.answer) if solved else EVIL
        return Answer(problem.id, solved if judged else None, 3, response, samples, samples // 2 if solved else 0)

    def answers(part: Sequence[Problem]) -> list[Answer]:
        solved, judged = round(right * len(part)), len(part) - unjudged
        return [answer(problem, place < solved, place < judged) for place, problem in enumerate(part)]

    return Measure(policy, {name: answers(part) for name, part in problems.splits().items()})


@stage(read_problems)
def load(work: Stage) -> Problems:
    problems = make_problems()
    write_records(work.dir / "problems.jsonl", [problems])
    return problems


@stage(read_measure("baseline"))
def baseline(work: Stage, measured: Measure) -> Measure:
    write_records(work.dir / "baseline.jsonl", [measured])
    return measured


@stage(read_measure("evaluate"))
def evaluate(work: Stage, measured: Measure) -> Measure:
    write_records(work.dir / "evaluate.jsonl", [measured])
    return measured


def verdict(problem: Problem, one: Rollout) -> Verdict:
    return Verdict(one.id, "number", *number.verify(problem, one.response, number.Options(name="number")))


@stage(read_rollouts)
def sample(work: Stage, problems: Problems, responses: Sequence[str]) -> list[Attempts]:
    """Every problem is answered with each of `responses`; the verifier is said to have run out of time over "404"."""
    journal = Journal(work.dir, "rollouts", Attempts)
    for problem in problems.train:
        said = [text.replace("ANSWER", str(problem.answer)) for text in responses]
        completions = [Completion(text, [1, 2], "stop", "base", seed) for seed, text in enumerate(said)]
        rollouts = [Rollout.of(problem, one, "direct") for one in completions]
        verdicts = [verdict(problem, one) for one in rollouts]
        late: dict[str, Any] = {"score": None, "answer": None, "reason": "the verifier ran out of time"}
        verdicts = [replace(one, **late) if one.answer == "404" else one for one in verdicts]
        journal.append(Attempts(problem.id, rollouts, verdicts))
    journal.close()
    return journal.read()


def nothing(folder: Path) -> None:
    pass


@stage(nothing)
def curate(work: Stage) -> None:
    work.notes["num_rows"] = 1234


RESPONSES = ("so ANSWER", "404", EVIL)


def begin(folder: Path, responses: Sequence[str] = RESPONSES) -> Path:
    """A run whose first round was sampled and no more."""
    run = Run(folder, recipe())
    problems = run.stage(1, "load", load)
    run.stage(1, "sample", sample, problems, responses)
    run.close()
    return folder


def finish(folder: Path, rights: Sequence[float], samples: int = 0, unjudged: int = 0) -> Path:
    """A run with a round for each of `rights` after the first, which is the base model's."""
    run = Run(folder, recipe(samples))
    policy, now = Policy("some/model"), rights[0]
    for n, right in enumerate(rights[1:], 1):
        problems = run.stage(n, "load", load)
        before = run.stage(n, "baseline", baseline, measure(problems, policy.id, now, samples, unjudged))
        run.stage(n, "sample", sample, problems, RESPONSES)
        run.stage(n, "curate", curate)
        after = run.stage(n, "evaluate", evaluate, measure(problems, f"adapter-{n}", right, samples, unjudged))
        metrics = compare(before, after, run.recipe.evaluation)
        if metrics["promoted"]:
            policy, now = Policy("some/model", run.round_dir(n) / "adapter", f"adapter-{n}"), right
        run.finish(n, policy, metrics)
    run.close()
    return folder


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


def test_it_lies_in_the_run_directory_whole_and_alone(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8])
    assert write_page(folder) == folder / "report.html"
    assert not list(folder.glob("*.part"))
    with pytest.raises(InputError, match="not a run directory"):
        write_page(tmp_path)


@pytest.mark.parametrize("make", [lambda at: begin(at), lambda at: finish(at, [0.2, 0.5, 0.1, 0.8], samples=4)])
def test_opening_it_needs_no_network_and_runs_nothing(tmp_path: Path, make: Any) -> None:
    read = page(make(tmp_path / "run"))
    for tag, attrs in read.tags:
        assert tag not in {"script", "img", "link", "iframe", "object", "embed", "base"}
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"}:
                assert value is not None and value.startswith("#")
    assert not re.search(r"url\((?!#)|@import", read.source)
    policy = next(one for one in read.named("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")


def test_it_is_well_formed_for_every_reader(tmp_path: Path) -> None:
    read = page(finish(tmp_path / "run", [0.2, 0.5, 0.1, 0.8], samples=4))
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


def test_what_models_wrote_is_text(tmp_path: Path) -> None:
    read = page(finish(tmp_path / "run", [0.2, 0.8]))
    assert read.words.count(EVIL) >= 2  # among the answers, and among the solutions
    assert "<script" not in read.source and "<img" not in read.source


def test_a_round_that_is_not_finished_says_so(tmp_path: Path) -> None:
    read = page(begin(tmp_path / "run"))
    assert "No round of some/model is finished yet" in read.words
    assert "Round 1 is not finished: it has been through the stage sample" in read.words
    assert not read.named("svg")
    assert "12 problems: 12 solutions right, 12 wrong, 12 unjudged" in read.words


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path: Path) -> None:
    Run(tmp_path / "run", recipe()).close()
    assert "Nothing yet." in page(tmp_path / "run").words
    (tmp_path / "run" / "round-001").mkdir()
    assert "Round 1 is not finished: it has only begun" in page(tmp_path / "run").words


def test_an_unfinished_round_stands_beside_finished_ones(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8])
    run = Run(folder, recipe())
    run.stage(2, "load", load)
    run.close()
    read = page(folder)
    assert "in 1 round." in read.words
    assert "Round 2 is not finished: it has been through the stage load" in read.words
    assert "What was sampled in round 1" in read.words


@pytest.mark.parametrize("rights", [[0.2, 0.8], [0.2, 0.5, 0.6, 0.7, 0.75, 0.8]])
def test_its_numbers_are_those_of_metrics_json(tmp_path: Path, rights: list[float]) -> None:
    folder = finish(tmp_path / "run", rights)
    read, n = page(folder), len(rights) - 1
    first, last = metrics(folder, 1)["splits"]["held_out"], metrics(folder, n)["splits"]["held_out"]

    def said(row: dict[str, float]) -> str:
        return f"{row['accuracy']:.2f} ({row['low']:.2f}–{row['high']:.2f})"

    assert (
        f"On 40 held-out problems some/model went from {said(first['before'])} to {said(last['after'])}" in read.words
    )
    assert ("in 1 round." if n == 1 else f"in {n} rounds.") in read.words
    for one in range(1, n + 1):
        for split in metrics(folder, one)["splits"].values():
            moved = split["paired"]
            assert f"{moved['change']:+.3f} ({moved['low']:+.2f} to {moved['high']:+.2f})" in read.words
            assert f"{split['after']['accuracy']:.3f}" in read.words
    assert "1234 rows" in read.words
    assert f"Newly solved, held out: {len(last['paired']['gained'])}" in read.words
    assert "Newly lost, held out: 0 None." in read.words


def test_a_round_that_was_not_promoted_is_seen_to_be(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.5, 0.8, 0.3])
    assert [metrics(folder, n)["promoted"] for n in (1, 2)] == [True, False]
    read = page(folder)
    kept = metrics(folder, 1)["splits"]["held_out"]["after"]["accuracy"]
    assert f"to {kept:.2f} (" in read.words and "in 2 rounds, of which 1 was promoted." in read.words
    assert "Round 1 promoted" in read.words and "Round 2 not promoted worse on development" in read.words
    hollow = [str(attrs["id"]) for attrs in read.named("g") if "not-promoted" in str(attrs.get("id"))]
    assert {name.rpartition("-")[2] for name in hollow} == {"2"}
    assert any("held-out" in name for name in hollow)


def test_a_run_without_a_promotion_stays_where_it_was(tmp_path: Path) -> None:
    read = page(finish(tmp_path / "run", [0.8, 0.2]))
    assert "some/model stays at 0.80" in read.words and "after 1 round no new policy was promoted" in read.words


def test_unjudged_answers_are_counted_apart(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.6], unjudged=3)
    assert metrics(folder, 1)["splits"]["held_out"]["after"]["unjudged"] == 3
    read = page(folder)
    assert "3 unjudged" in read.words
    assert "unjudged 404 the verifier ran out of time" in read.words


def test_a_run_of_which_nothing_could_be_judged_has_no_accuracy(tmp_path: Path) -> None:
    assert "an accuracy that could not be judged" in page(finish(tmp_path / "run", [0.2, 0.6], unjudged=40)).words


def test_sampled_accuracy_is_there_when_it_was_measured(tmp_path: Path) -> None:
    without, with_it = page(finish(tmp_path / "a", [0.2, 0.8])), page(finish(tmp_path / "b", [0.2, 0.8], samples=4))
    assert (len(without.named("svg")), len(with_it.named("svg"))) == (2, 3)
    assert "pass@" not in without.words
    row = metrics(tmp_path / "b", 1)["splits"]["held_out"]["after"]["pass@4"]
    assert f"{row['rate']:.3f} ({row['low']:.2f}–{row['high']:.2f})" in with_it.words
    assert "held out, pass@4" in with_it.source


def test_it_stays_short(tmp_path: Path) -> None:
    folder = begin(tmp_path / "a", [f"no {n}" for n in range(30)])
    read = page(folder)
    assert f"the first {MAX_SOLUTIONS} of 30 solutions" in read.words
    assert len(read.named("h3")) == MAX_PROBLEMS
    folder = finish(tmp_path / "b", [0.1, 1.0])
    gained = metrics(folder, 1)["splits"]["held_out"]["paired"]["gained"]
    assert len(gained) > MAX_MOVED
    assert f"Newly solved, held out: {len(gained)} (the first {MAX_MOVED})" in page(folder).words


def test_a_long_text_keeps_its_ends() -> None:
    assert clip("short") == "short"
    assert clip("a" * 5000 + "the answer").endswith("the answer")
    assert len(clip("a" * 5000)) < 1300


def test_it_ends_with_the_recipe(tmp_path: Path) -> None:
    folder = finish(tmp_path / "run", [0.2, 0.8])
    assert "num_held_out: 40" in page(folder).words
    order = ["How it went", "Round by round", "Problems that moved", "What was sampled", "Where the time went"]
    places = [page(folder).words.index(words) for words in [*order, "The recipe"]]
    assert places == sorted(places)
