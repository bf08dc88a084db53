"""Only what was proved right is trained on, once, concisely, and it can be loaded as any dataset can."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import recipe
from pipeline.curation import concise, correct, curate, distinct, example, read_dataset, read_rows, text
from pipeline.run import Run
from pipeline.types import Attempts, Dataset, Example, FinishReason, Problem, Problems, Prompt, Rollout, Verdict
from tests.conftest import judge_by

NUMBER = judge_by().identity
settled = settings(deadline=None, max_examples=100)
COLUMNS = {
    "prompt",
    "completion",
    "problem_id",
    "rollout_id",
    "policy",
    "strategy",
    "seed",
    "hinted",
    "num_tokens",
    "verifier",
    "score",
    "margin",
    "answer",
    "round",
}
CHAT: Prompt = [{"role": "user", "content": "2 + 2"}]


def rolled(
    name: str,
    response: str = "4",
    num_tokens: int = 5,
    problem: str = "p",
    finish: FinishReason = "stop",
    prompt: Prompt = CHAT,
) -> Rollout:
    return Rollout(name, problem, "direct", prompt, response, finish, num_tokens, 7, "base")


def judged(rollout: Rollout, score: float | None = 1.0) -> Verdict:
    return Verdict(rollout.id, NUMBER, score, "4", "")


def row(name: str, response: str = "4", num_tokens: int = 5, problem: str = "p") -> Example:
    rollout = rolled(name, response, num_tokens, problem)
    return example(rollout, judged(rollout), 1)


rows = st.lists(
    st.tuples(
        st.sampled_from(["4", "so 4", "So  4", "2 + 2 = 4", "1 + 3 = 4", "x"]),
        st.integers(1, 6),
        st.sampled_from("pqr"),
    ),
    max_size=25,
).map(lambda drawn: [row(f"r{n}", *one) for n, one in enumerate(drawn)])


@settled
@given(
    st.lists(
        st.tuples(st.sampled_from([1.0, 0.0, 0.5, None, "missing"]), st.sampled_from(["stop", "length"])), max_size=20
    )
)
def test_only_what_is_right_and_came_to_its_end_is_kept_in_order(kinds: list[tuple[Any, FinishReason]]) -> None:
    rollouts = [rolled(f"r{n}", finish=finish) for n, (_, finish) in enumerate(kinds)]
    verdicts = [judged(one, score) for one, (score, _) in zip(rollouts, kinds, strict=True) if score != "missing"]
    kept = correct(rollouts, reversed(verdicts))
    assert [one for one, _ in kept] == [one for one, kind in zip(rollouts, kinds, strict=True) if kind == (1.0, "stop")]
    assert all(verdict.rollout_id == one.id for one, verdict in kept)


def test_a_row_is_in_the_format_of_trl_and_says_where_it_comes_from() -> None:
    rollout = rolled("r1", "it is 4", 6)
    made = example(rollout, judged(rollout), 3)
    assert made.keys() == COLUMNS
    assert made["prompt"] == CHAT
    assert made["completion"] == [{"role": "assistant", "content": "it is 4"}]
    assert (made["rollout_id"], made["problem_id"], made["policy"], made["seed"]) == ("r1", "p", "base", 7)
    assert (made["round"], made["score"], made["answer"], made["num_tokens"]) == (3, 1.0, "4", 6)
    assert text(made) == "it is 4"


def test_a_plain_text_prompt_has_a_plain_text_completion() -> None:
    rollout = rolled("r1", " 4", prompt="2 + 2 =")
    made = example(rollout, judged(rollout), 1)
    assert (made["prompt"], made["completion"], text(made)) == ("2 + 2 =", " 4", " 4")


def test_rows_that_read_alike_but_for_case_and_spacing_are_one() -> None:
    alike = [row("a", "So 2 + 2 = 4"), row("b", "so  2 + 2\n= 4 "), row("c", "SO 2 + 2 = 4")]
    assert distinct(alike) == alike[:1]


def test_rows_that_differ_in_a_number_a_step_or_the_problem_stay_apart() -> None:
    apart = [row("a", "4"), row("b", "4.0"), row("c", "-4"), row("d", "2 + 2 = 4"), row("e", "1 + 3 = 4")]
    apart += [row("f", "4", problem="q"), row("g", "2+2 = 4"), row("h", "14"), row("i", "1 4")]
    assert distinct(apart) == apart


@settled
@given(rows)
def test_distinct_keeps_the_first_of_each_in_order_and_is_idempotent(found: list[Example]) -> None:
    kept = distinct(found)
    marks = [(one["problem_id"], " ".join(text(one).lower().split())) for one in found]
    assert kept == [one for place, one in enumerate(found) if marks.index(marks[place]) == place]
    assert distinct(kept) == kept


@settled
@given(rows, st.integers(1, 5), st.integers(1, 4))
def test_concise_keeps_the_shortest_of_each_problem_above_the_floor(
    found: list[Example], keep: int, floor: int
) -> None:
    kept = concise(found, keep, floor)
    for problem in "pqr":
        sizes = sorted(one["num_tokens"] for one in found if one["problem_id"] == problem)
        mine = [one["num_tokens"] for one in kept if one["problem_id"] == problem]
        assert mine == [size for size in sizes if size >= floor][:keep]
    assert {one["rollout_id"] for one in kept} <= {one["rollout_id"] for one in found}
    assert len({one["rollout_id"] for one in kept}) == len(kept)
    assert concise(kept, keep, floor) == kept


@settled
@given(rows, st.randoms())
def test_which_rows_are_concise_does_not_depend_on_the_order_they_came_in(found: list[Example], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    names = Counter(one["rollout_id"] for one in concise(found, 2, 2))
    assert Counter(one["rollout_id"] for one in concise(shuffled, 2, 2)) == names


def opened(folder: Path, **curation: Any) -> Run:
    raw = {"name": "sums", "model": {"name": "m"}, "task": {"name": "times_table"}, "curation": curation}
    return Run(folder / "run", recipe.parse(raw))


MEASURED = [Problem.of("What is 99 times 99?", "9801", "number")]


def curated(
    run: Run, n: int, rollouts: Sequence[Rollout], verdicts: Sequence[Verdict] | None = None, by: Any = "number"
) -> Dataset:
    attempts = [Attempts(one.problem_id, [one], []) for one in rollouts]
    verdicts = [judged(one) for one in rollouts] if verdicts is None else verdicts
    problems = Problems([], [], MEASURED)
    return run.stage(n, "curate", curate, problems, attempts, verdicts, run.recipe.curation, judge_by(by))


def names(run: Run, n: int) -> list[str]:
    return [one["rollout_id"] for one in read_rows(run.round_dir(n))]


def test_a_round_keeps_its_right_rows_and_counts_the_rest(tmp_path: Path) -> None:
    run = opened(tmp_path, keep=1)
    rollouts = [rolled(f"r{n}", f"{n}", 9 - n, problem=str(n // 2)) for n in range(8)]
    rollouts.append(rolled("r8", problem="4", finish="length"))
    scores = [1.0, 1.0, 0.0, None, 1.0, 0.0, None, None, 1.0]
    verdicts = [judged(one, score) for one, score in zip(rollouts, scores, strict=True)]
    dataset = curated(run, 1, rollouts, verdicts)
    assert names(run, 1) == ["r1", "r4"]
    assert dataset.num_rows == 2
    record = run.records(1)["curate"]
    counts = {key: record[f"num_{key}"] for key in ("wrong", "unjudged", "solved", "rows", "rows_new")}
    assert counts == {"wrong": 2, "unjudged": 3, "solved": 2, "rows": 2, "rows_new": 2}
    assert (record["num_right"], record["num_cut_off"]) == (4, 1)


def test_rows_accumulate_over_rounds_and_the_most_concise_win(tmp_path: Path) -> None:
    run = opened(tmp_path, keep=2)
    curated(run, 1, [rolled("a", "long 4", 9), rolled("b", "4", 8), rolled("c", "other", 7, problem="q")])
    curated(run, 2, [rolled("d", "so 4", 3), rolled("e", "4", 8), rolled("f", "new", 5, problem="s")])
    curated(run, 3, [])
    assert names(run, 2) == names(run, 3) == ["d", "b", "c", "f"]
    assert [one["round"] for one in read_rows(run.round_dir(3))] == [2, 1, 1, 2]
    assert run.records(3)["curate"]["num_rows_new"] == 0


def test_rows_that_another_verifier_let_in_are_not_carried_on(tmp_path: Path) -> None:
    run = opened(tmp_path)
    old = rolled("a")
    curated(run, 1, [old, rolled("b", problem="q")], [Verdict("a", "number@old", 1.0, "4", ""), judged(rolled("b"))])
    curated(run, 2, [rolled("c", problem="s")])
    assert (names(run, 1), names(run, 2)) == (["a", "b"], ["b", "c"])


def test_without_accumulation_a_round_stands_alone(tmp_path: Path) -> None:
    run = opened(tmp_path, accumulate=False)
    curated(run, 1, [rolled("a")])
    curated(run, 2, [rolled("b", problem="q")])
    assert (names(run, 1), names(run, 2)) == (["a"], ["b"])


def test_a_dataset_on_record_is_read_again_as_it_was(tmp_path: Path) -> None:
    run = opened(tmp_path)
    made = curated(run, 1, [rolled("a"), rolled("b", problem="q")])
    assert read_dataset(run.round_dir(1)) == made
    assert made.digest != curated(run, 2, [rolled("c", problem="s")]).digest


PLAIN: Prompt = "2 + 2 ="


@pytest.mark.parametrize(
    ("rollouts", "first"),
    [
        ([rolled("a", "it is 4"), rolled("b", problem="q")], (CHAT, [{"role": "assistant", "content": "it is 4"}])),
        ([rolled("a", " 4", prompt=PLAIN)], (PLAIN, " 4")),
    ],
    ids=["chat", "plain text"],
)
def test_the_dataset_loads_as_its_card_says(tmp_path: Path, rollouts: list[Rollout], first: tuple[Any, Any]) -> None:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    run = opened(tmp_path)
    dataset = curated(run, 1, rollouts)
    loaded = load_dataset(str(dataset.folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert set(loaded.column_names) == COLUMNS
    assert len(loaded) == dataset.num_rows == len(rollouts)
    assert (loaded[0]["prompt"], loaded[0]["completion"]) == first
    assert (loaded[0]["score"], loaded[0]["round"], loaded[0]["hinted"]) == (1.0, 1, False)


def test_a_round_without_a_row_has_the_same_columns(tmp_path: Path) -> None:
    """load_dataset itself refuses a split without a row, so this one is read by pyarrow."""
    run = opened(tmp_path, accumulate=False)
    some, none = curated(run, 1, [rolled("a")]), curated(run, 2, [])
    assert (none.num_rows, read_rows(run.round_dir(2)), read_dataset(run.round_dir(2))) == (0, [], none)
    schemas = [parquet.read_schema(next(one.folder.glob("*.parquet"))) for one in (some, none)]
    assert schemas[0].equals(schemas[1])
    assert set(schemas[1].names) == COLUMNS


@pytest.mark.parametrize("rollouts", [[rolled("a", "it is 4")], [rolled("a", "it is 4", prompt=PLAIN)], []])
def test_the_card_has_front_matter_and_says_what_is_in_it(tmp_path: Path, rollouts: list[Rollout]) -> None:
    dataset = curated(opened(tmp_path), 1, rollouts)
    empty, front, body = (dataset.folder / "README.md").read_text().split("---\n", 2)
    assert empty == ""
    assert yaml.safe_load(front)["configs"][0]["data_files"] == "*.parquet"
    assert f"{len(rollouts)} solutions" in body
    assert ("it is 4" in body) is bool(rollouts)


def test_a_dataset_that_was_begun_before_is_replaced_whole(tmp_path: Path) -> None:
    run = opened(tmp_path)
    folder = run.round_dir(1) / "dataset"
    for torn in (folder, folder.with_name("dataset.part")):
        torn.mkdir(parents=True)
        (torn / "left-over.parquet").write_text("torn")
    curated(run, 1, [rolled("a")])
    assert not list(run.round_dir(1).rglob("left-over.parquet"))
    assert names(run, 1) == ["a"]


LEAK: Prompt = [{"role": "user", "content": "What is 99 times 99?"}]


def leaked() -> tuple[list[Rollout], list[Verdict]]:
    """A right solution of a measured problem, and one of another."""
    same, other = rolled("a", "9801", prompt=LEAK), rolled("b", problem="q")
    return [same, other], [Verdict("a", NUMBER, 1.0, "9801", ""), judged(other)]


def test_what_overlaps_with_a_measured_problem_is_left_out_counted_and_said(tmp_path: Path) -> None:
    run = opened(tmp_path)
    dataset = curated(run, 1, *leaked())
    assert names(run, 1) == ["b"]
    assert run.records(1)["curate"]["num_overlapping"] == 1
    assert "| overlapping with measured problems | 1 solutions (left out)" in (dataset.folder / "README.md").read_text()


def test_the_gate_is_not_switched_off_silently(tmp_path: Path) -> None:
    run = opened(tmp_path, decontaminate=False)
    card = (curated(run, 1, *leaked()).folder / "README.md").read_text()
    assert names(run, 1) == ["a", "b"]
    assert run.records(1)["curate"]["num_overlapping"] == 1
    assert "Not decontaminated" in card


def test_the_card_says_what_is_no_proof(tmp_path: Path) -> None:
    by = {"name": "consensus", "equal": "number"}
    run = opened(tmp_path)
    right = [Verdict("a", judge_by(by).identity, 1.0, "4", "", 0.8)]
    card = (curated(run, 1, [rolled("a")], right, by).folder / "README.md").read_text()
    assert "no gold answer was known" in card
    assert "proved right" not in card
    assert read_rows(run.round_dir(1))[0]["margin"] == 0.8
