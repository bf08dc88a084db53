"""Only what was proved right is trained on, once, concisely, and it can be loaded as any dataset can."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from byheart.config import recipe
from byheart.curation import curate, read_dataset, read_pairs, read_rows, read_steps, text
from byheart.curation.backtrack import slips
from byheart.curation.rows import make_row
from byheart.files import Journal, write_records
from byheart.runs.records import CurationStats
from byheart.runs.run import Run
from byheart.types import Dataset, Problem, Problems, Prompt, Rollout, RolloutGroup, Verdict, replace

from tests.conftest import verifier_by
from tests.curation.conftest import CHAT, NUMBER, PLAIN, judged, rolled
from tests.fakes import earlier_rounds

COLUMNS = {
    *("prompt", "completion", "problem_id", "rollout_id", "policy", "strategy", "seed", "hinted", "value"),
    *("num_tokens", "verifier", "score", "margin", "answer", "round", "untrained", "token_ids"),
}


def test_a_row_is_in_the_format_of_trl_and_says_where_it_comes_from() -> None:
    rollout = rolled("r1", "it is 4", 6)
    made = make_row(rollout, judged(rollout), 3)
    assert made.to_dict().keys() == COLUMNS
    assert made.prompt == CHAT
    assert made.completion == [{"role": "assistant", "content": "it is 4"}]
    assert (made.rollout_id, made.problem_id, made.policy, made.seed) == ("r1", "p", "base", 7)
    assert (made.round, made.score, made.answer, made.num_tokens) == (3, 1.0, "4", 6)
    assert text(made) == "it is 4"


def test_a_plain_text_prompt_has_a_plain_text_completion() -> None:
    rollout = rolled("r1", " 4", prompt="2 + 2 =")
    made = make_row(rollout, judged(rollout), 1)
    assert (made.prompt, made.completion, text(made)) == ("2 + 2 =", " 4", " 4")


def opened(folder: Path, schedule: dict[str, list[Any]] | None = None, **curation: Any) -> Run:
    raw = {"name": "sums", "model": {"name": "m"}, "task": {"name": "times_table"}, "curation": curation}
    return Run(folder / "run", recipe.parse(raw | {"schedule": schedule or {}}))


MEASURED = [Problem.of("What is 99 times 99?", "9801", "number")]


def curated(
    run: Run,
    n: int,
    rollouts: Sequence[Rollout],
    verdicts: Sequence[Verdict] | None = None,
    by: Any = "number",
    also: dict[str, list[Problem]] | None = None,
) -> Dataset:
    """What is left of `rollouts`, each of a problem whose answer is 4, after the stages before have written. Those
    without one of `verdicts` are unjudged."""
    names = dict.fromkeys(rollout.problem_id for rollout in rollouts)
    attempts = [
        RolloutGroup(name, [rollout for rollout in rollouts if rollout.problem_id == name], []) for name in names
    ]
    given = {verdict.rollout_id: verdict for verdict in verdicts or map(judged, rollouts)}
    verdicts = [given.get(each.id, judged(each, None)) for group in attempts for each in group.rollouts]
    problems = Problems([Problem(name, CHAT, "4", "number") for name in names], [], MEASURED, also=also or {})
    folder = run.round_dir(n)
    folder.mkdir(exist_ok=True)
    write_records(folder / "problems.jsonl", [problems])
    write_records(folder / "verdicts.jsonl", verdicts)
    journal = Journal(folder, "rollouts", RolloutGroup)
    for group in attempts[::-1]:
        journal.append(group)
    journal.close()
    options = run.recipe.at(n).curation
    inputs = (problems, attempts, verdicts, options, verifier_by(by), earlier_rounds(run, n))
    return run.stage(n, "curate", curate, *inputs).value


def stats(run: Run, n: int) -> CurationStats:
    """What round `n` counted."""
    counted = run.records(n)["curate"].stats
    assert isinstance(counted, CurationStats)
    return counted


def names(run: Run, n: int) -> list[str]:
    return [row.rollout_id for row in read_rows(run.round_dir(n))]


def test_a_round_keeps_its_right_rows_and_counts_the_rest(tmp_path: Path) -> None:
    run = opened(tmp_path, keep=1)
    rollouts = [rolled(f"r{n}", f"{n}", 9 - n, problem=str(n // 2)) for n in range(8)]
    rollouts.append(rolled("r8", problem="4", finish="length"))
    scores = [1.0, 1.0, 0.0, None, 1.0, 0.0, None, None, 1.0]
    verdicts = [judged(rollout, score) for rollout, score in zip(rollouts, scores, strict=True)]
    dataset = curated(run, 1, rollouts, verdicts)
    assert names(run, 1) == ["r1", "r4"]
    assert dataset.num_rows == 2
    record = stats(run, 1)
    counts = {key: getattr(record, f"num_{key}") for key in ("wrong", "unjudged", "solved", "rows", "rows_new")}
    assert counts == {"wrong": 2, "unjudged": 3, "solved": 2, "rows": 2, "rows_new": 2}
    assert (record.num_right, record.num_cut_off) == (4, 1)


def test_rows_accumulate_over_rounds_and_the_most_concise_win(tmp_path: Path) -> None:
    run = opened(tmp_path, keep=2)
    curated(run, 1, [rolled("a", "long 4", 9), rolled("b", "4", 8), rolled("c", "other", 7, problem="q")])
    curated(run, 2, [rolled("d", "so 4", 3), rolled("e", "4", 8), rolled("f", "new", 5, problem="s")])
    curated(run, 3, [])
    assert names(run, 2) == names(run, 3) == ["d", "e", "f", "c"]
    assert [row.round for row in read_rows(run.round_dir(3))] == [2, 2, 2, 1]
    assert stats(run, 3).num_rows_new == 0


def test_rows_that_another_verifier_let_in_are_not_carried_on(tmp_path: Path) -> None:
    run = opened(tmp_path)
    old = rolled("a")
    curated(run, 1, [old, rolled("b", problem="q")], [Verdict("a", "number@old", 1.0, "4", ""), judged(rolled("b"))])
    curated(run, 2, [rolled("c", problem="s")])
    assert (names(run, 1), names(run, 2)) == (["a", "b"], ["c", "b"])


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


@pytest.mark.parametrize(
    "rollouts",
    [
        pytest.param([], marks=pytest.mark.torch, id="none"),  # to stream imports it
        pytest.param([rolled("a", "it is 4")], id="one"),
        pytest.param([rolled("a", "4 it is", prompt=PLAIN), rolled("b", problem="q", prompt=PLAIN)], id="two"),
    ],
)
def test_the_code_of_the_card_loads_the_rows_however_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rollouts: list[Rollout]
) -> None:
    """load_dataset refuses a split without a row, but for streaming."""
    import datasets

    datasets.disable_progress_bars()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    dataset = curated(opened(tmp_path), 1, rollouts)
    (dataset.folder / "train-of-another.parquet").write_bytes(b"another's")
    code = (dataset.folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    loaded: dict[str, Any] = {}
    exec(code.replace("path/to/this/directory", str(dataset.folder)), loaded)
    assert [row["rollout_id"] for row in loaded["rows"]] == [rollout.id for rollout in rollouts]


def test_a_round_without_a_row_has_the_same_columns(tmp_path: Path) -> None:
    run = opened(tmp_path, accumulate=False)
    filled, none = curated(run, 1, [rolled("a")]), curated(run, 2, [])
    assert (none.num_rows, read_rows(run.round_dir(2)), read_dataset(run.round_dir(2))) == (0, [], none)
    schemas = [parquet.read_schema(next(dataset.folder.glob("*.parquet"))) for dataset in (filled, none)]
    assert schemas[0].equals(schemas[1])
    assert set(schemas[1].names) == COLUMNS


@pytest.mark.parametrize("rollouts", [[rolled("a", "it is 4")], [rolled("a", "it is 4", prompt=PLAIN)], []])
def test_the_card_has_front_matter_and_says_what_is_in_it(tmp_path: Path, rollouts: list[Rollout]) -> None:
    dataset = curated(opened(tmp_path), 1, rollouts)
    empty, front, body = (dataset.folder / "README.md").read_text().split("---\n", 2)
    assert empty == ""
    assert yaml.safe_load(front)["configs"][0]["data_files"] == "train-00000-of-00001.parquet"
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
    assert stats(run, 1).num_overlapping == 1
    assert "| overlapping with measured problems | 1 solutions (left out)" in (dataset.folder / "README.md").read_text()


def test_so_is_what_overlaps_with_a_problem_of_another_task(tmp_path: Path) -> None:
    run = opened(tmp_path)
    same = rolled("c", "14", problem="s", prompt=[{"role": "user", "content": "What is 7 + 7?"}])
    rollouts, verdicts = leaked()
    others = {"sums": [Problem.of("what is 7+7?", "14", "number")]}
    curated(run, 1, [*rollouts, same], [*verdicts, judged(same)], also=others)
    assert names(run, 1) == ["b"]
    assert stats(run, 1).num_overlapping == 2


def test_the_gate_is_not_switched_off_silently(tmp_path: Path) -> None:
    run = opened(tmp_path, decontaminate=False)
    card = (curated(run, 1, *leaked()).folder / "README.md").read_text()
    assert names(run, 1) == ["a", "b"]
    assert stats(run, 1).num_overlapping == 1
    assert "Not decontaminated" in card


def test_the_card_says_what_is_no_proof(tmp_path: Path) -> None:
    by = {"name": "consensus", "equal": "number"}
    run = opened(tmp_path)
    right = [Verdict("a", verifier_by(by).identity, 1.0, "4", "", 0.8)]
    card = (curated(run, 1, [rolled("a")], right, by).folder / "README.md").read_text()
    assert "no gold answer was known" in card
    assert "proved right" not in card
    assert read_rows(run.round_dir(1))[0].margin == 0.8


def test_the_cap_the_age_and_the_hints_are_held_to(tmp_path: Path) -> None:
    run = opened(tmp_path, max_age=1, max_rows=4, max_hinted=0.4)
    curated(run, 1, [rolled("old", problem="o")])
    curated(run, 2, [rolled("a", num_tokens=9), rolled("b", problem="q", num_tokens=8)])
    curated(run, 3, [rolled("c", problem="s"), rolled("d", problem="t", hinted=True)])
    assert names(run, 2) == ["a", "b", "old"]
    assert names(run, 3) == ["c", "a", "b", "d"]
    assert (stats(run, 3).num_hinted, stats(run, 3).hint_share) == (1, 1 / 4)
    new = [rolled(name, problem=name) for name in "efgh"]
    curated(run, 4, [*new, rolled("i", problem="i", num_tokens=3, hinted=True)])
    assert names(run, 4) == ["e", "f", "g", "i"], "a hint is no reason to go while hinted rows are few"


def test_half_of_the_rows_may_be_hinted_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    rollouts = [rolled("a"), rolled("b", problem="q", hinted=True), rolled("c", problem="s", hinted=True, num_tokens=9)]
    run = opened(tmp_path)
    curated(run, 1, rollouts)
    assert names(run, 1) == ["a", "b"]


def test_a_random_choice_does_not_ask_what_the_strategy_chose(tmp_path: Path) -> None:
    rollouts = [rolled(f"r{n}", f"{n}: 4", n + 5, selected=n == 0) for n in range(20)]
    selected = {}
    for by in ("shortest", "random"):
        run = opened(tmp_path / by, choose=by, keep=3)
        curated(run, 1, rollouts)
        selected[by] = names(run, 1)
    assert selected["shortest"] == ["r0"]
    assert len(selected["random"]) == 3 != len(set(selected["random"]) & {"r0", "r1", "r2"})


def test_what_was_found_with_a_hint_gives_way_to_the_same_found_without_one(tmp_path: Path) -> None:
    run = opened(tmp_path)
    hinted = [rolled("h", "2 + 2 = 4", 6, hinted=True), rolled("s", "4", 2, hinted=True)]
    curated(run, 1, hinted)
    assert names(run, 1) == [], "at most half of the rows, of none"
    curated(run, 2, [rolled("own", "2 + 2 = 4", 6)])
    assert names(run, 2) == ["own", "s"]


def test_new_rows_with_a_hint_push_out_old_ones_only_up_to_their_share(tmp_path: Path) -> None:
    run = opened(tmp_path, max_rows=2)
    curated(run, 1, [rolled("a", problem="1"), rolled("b", problem="2")])
    curated(run, 2, [rolled("c", problem="3", hinted=True), rolled("d", problem="4", hinted=True)])
    assert sorted(names(run, 2)) == ["a", "c"]


def test_the_shortest_is_learnt_however_solutions_are_told_apart(tmp_path: Path) -> None:
    run = opened(tmp_path, target="shortest", distinct="equations")
    long = "Well now, let me think about this for a long while: 2 + 2 = 4, I believe."
    rollouts = [rolled("l", long, 30), rolled("m", "so 2 + 2 = 4.", 8), rolled("s", "2 + 2 = 4", 6)]
    curated(run, 1, [*rollouts, rolled("f", "2 + 1 = 4", 5)])
    assert names(run, 1) == ["s"]


def test_a_hard_problem_has_more_rows_where_the_quota_is_proportional(tmp_path: Path) -> None:
    run = opened(tmp_path, quota="proportional", keep=4)
    rollouts = [rolled(f"{name}{n}", f"{n}: 4", problem=name) for name in "he" for n in range(8)]
    verdicts = [
        judged(rollout, float(rollout.problem_id == "e" or index >= 4)) for index, rollout in enumerate(rollouts)
    ]
    verdicts[8] = judged(rollouts[8], 0.0)
    curated(run, 1, rollouts, verdicts)
    assert [name[0] for name in names(run, 1)] == ["h"] * 4 + ["e"]


def test_a_false_equation_costs_a_solution_where_equations_tell_solutions_apart(tmp_path: Path) -> None:
    run = opened(tmp_path, distinct="equations")
    curated(run, 1, [rolled("a", "2 + 1 = 4"), rolled("b", "2 + 2 = 4"), rolled("c", "Well, 2+2 = 4")])
    assert names(run, 1) == ["b"]
    record = stats(run, 1)
    assert (record.num_right, record.num_unique, record.unique_rate) == (3, 3, 1.0)


def test_problems_that_nobody_came_to_are_no_matter(tmp_path: Path) -> None:
    run = opened(tmp_path, quota="proportional", distinct="equations", choose="diverse", pairs=2, target="full")
    assert curated(run, 1, []).num_rows == 0
    record = stats(run, 1)
    assert (record.num_unique, record.unique_rate, record.hint_share, record.num_pairs) == (0, None, 0.0, 0)


WORKED = [
    rolled("a", "2 + 2 = 4, so it is 4", 9),
    rolled("b", "1 + 1 + 2 = 4, that makes 4", 12),
    rolled("c", "3 + 1 = 4", 6, problem="q"),
]


def texts(run: Run, n: int) -> list[str]:
    return [text(row) for row in read_rows(run.round_dir(n))]


def test_by_and_by_the_solution_the_shortest_one_and_the_answer_alone_are_learnt(tmp_path: Path) -> None:
    run = opened(tmp_path, {"curation.target": ["full", "shortest", "answer", "full"]})
    folders = [curated(run, n, WORKED if n == 1 else []).folder for n in range(1, 5)]
    whole = [rollout.response for rollout in WORKED]
    assert [texts(run, n) for n in range(1, 5)] == [whole, [whole[0], whole[2]], ["4", "4"], whole]
    rows = read_rows(run.round_dir(3))
    assert [(row.rollout_id, row.num_tokens, row.round) for row in rows] == [("a", 9, 1), ("c", 6, 1)]
    cards = [(folder / "README.md").read_text() for folder in folders]
    assert ["bare answer that the verifier read" in card for card in cards] == [False, False, True, False]
    assert len({read_dataset(run.round_dir(n)).digest for n in range(1, 5)}) == 3


def test_the_bare_answer_keeps_the_space_that_a_plain_text_goes_on_with(tmp_path: Path) -> None:
    run = opened(tmp_path, target="answer")
    curated(run, 1, [rolled("a", " 2 + 2 = 4", prompt=PLAIN)])
    [made] = read_rows(run.round_dir(1))
    assert (made.prompt, made.completion) == (PLAIN, " 4")


def test_a_bare_answer_that_is_not_right_by_itself_is_left_out_and_counted(tmp_path: Path) -> None:
    run = opened(tmp_path, target="answer")
    curated(run, 1, WORKED, [judged(WORKED[0], answer="5"), judged(WORKED[1]), judged(WORKED[2], answer=None)])
    assert (names(run, 1), texts(run, 1)) == (["b"], ["4"])
    assert stats(run, 1).num_unproved == 2


def test_a_failed_program_which_says_nothing_is_the_worse_of_no_pair(tmp_path: Path) -> None:
    run = opened(tmp_path, pairs=3)
    rollouts = [rolled("right", "is 4"), rolled("wrong", "is 5"), rolled("failed", "")]
    curated(run, 1, rollouts, [judged(rollouts[0]), judged(rollouts[1], 0.0), judged(rollouts[2], 0.0)])
    assert [(pair.chosen_id, pair.rejected_id) for pair in read_pairs(run.round_dir(1))] == [("right", "wrong")]


def test_pairs_come_from_all_rounds_and_load_as_the_card_says(tmp_path: Path) -> None:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    run = opened(tmp_path, pairs=3, accumulate=False)
    wrong = rolled("w", "it is 5")
    curated(run, 1, [wrong, rolled("x", "5", finish="length"), rolled("y", "6")], [judged(wrong, 0.0)])
    dataset = curated(run, 2, [rolled("a"), rolled("b", "so 4"), rolled("c", problem="q")])
    made = read_pairs(run.round_dir(2))
    assert names(run, 2) == ["a", "b", "c"]
    assert {(pair.chosen_id, pair.rejected_id, pair.round) for pair in made} == {("a", "w", 2), ("b", "w", 2)}
    assert dataset.num_pairs == stats(run, 2).num_pairs == 2
    assert read_dataset(run.round_dir(2)) == dataset
    for part, num_rows in (("default", 3), ("pairs", 2)):
        loaded = load_dataset(str(dataset.folder), part, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(loaded) == num_rows
    assert loaded[0]["rejected"] == [{"role": "assistant", "content": "it is 5"}]
    assert read_dataset(run.round_dir(1)).num_pairs == 0
    assert not (run.round_dir(1) / "dataset" / "pairs").exists()


def test_pairs_are_of_every_right_solution_that_needed_no_hint(tmp_path: Path) -> None:
    run = opened(tmp_path, pairs=9)
    right = [rolled(f"r{n}", f"say {n}: 4", selected=n == 0) for n in range(3)]
    right += [rolled("h", "hinted 4", hinted=True), rolled("cut", finish="length"), rolled("tiny", "iv", 1)]
    wrong = [rolled(f"w{n}", f"it is {n + 5}", selected=False) for n in range(3)]
    curated(run, 1, right + wrong, [*map(judged, right), *(judged(rollout, 0.0) for rollout in wrong)])
    made = {(pair.chosen_id, pair.rejected_id) for pair in read_pairs(run.round_dir(1))}
    assert made == {(f"r{a}", f"w{b}") for a in range(3) for b in range(3)}
    assert names(run, 1) == ["r0", "h"]


def test_pairs_of_a_measured_problem_are_left_out(tmp_path: Path) -> None:
    run = opened(tmp_path, pairs=3)
    right, wrong = rolled("a", "9801", prompt=LEAK), rolled("b", "980", prompt=LEAK)
    assert curated(run, 1, [right, wrong], [judged(right), judged(wrong, 0.0)]).num_pairs == 0


def test_what_is_on_record_is_plain_json(tmp_path: Path) -> None:
    run = opened(tmp_path, pairs=1)
    curated(run, 1, WORKED)
    written = json.loads((run.round_dir(1) / "stages.json").read_text())["curate"]
    assert written == json.loads(json.dumps(run.records(1)["curate"].written()))
    assert written.items() >= stats(run, 1).to_dict().items()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"choose": "diverse", "keep": 3}, "at most 3, the most diverse by edit distance"),
        ({"target": "shortest"}, "| rows per problem | one,"),
        ({"quota": "proportional"}, "in proportion to its fail rate"),
        ({"distinct": "equations"}, "none with a false one"),
        ({"max_age": 2}, "included, up to 2 rounds old"),
        ({"max_rows": 7}, "at most 7, the newest"),
        ({"max_hinted": 0.25}, "0 rows, 0.0 % of all; at most 25 %"),
        ({"choose": "value"}, "those with the highest values, of the newest round first"),
    ],
)
def test_the_card_says_in_plain_words_what_was_kept(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    assert words in (curated(opened(tmp_path, **options), 1, WORKED).folder / "README.md").read_text()


PARTED = [
    rolled("a", "1 + 1 = 2\n2 + 2 = 4"),
    rolled("b", "1 + 1 = 2\n2 + 2 = 5\n5"),
    rolled("c", "1 + 1 = 3", problem="q"),
    rolled("h", "2 + 2 = 4", problem="q", hinted=True),
    rolled("l", "1 + 1 =", finish="length"),
]
JUDGED = [judged(rollout, float(rollout.id in "ah")) for rollout in PARTED]


def test_steps_are_valued_by_all_that_came_to_its_end_unaided_in_any_round(tmp_path: Path) -> None:
    run = opened(tmp_path, steps={})
    curated(run, 1, PARTED, JUDGED)
    dataset = curated(run, 2, [rolled("d", "1 + 1 = 2\n4")])
    rows = {row.rollout_id: row for row in read_steps(run.round_dir(2))}
    assert set(rows) == {"a", "b", "c", "d"} and dataset.num_stepwise == 4
    assert rows["b"].completions == ["1 + 1 = 2\n", "2 + 2 = 5\n", "5"]
    assert rows["b"].values == pytest.approx([2 / 3, 0, 0])
    assert rows["b"].labels == [True, False, False]
    assert rows["c"].labels == [False]
    assert stats(run, 2).num_stepwise == 4


def test_what_goes_back_is_added_to_the_rows_and_nobody_learns_the_slip(tmp_path: Path) -> None:
    run = opened(tmp_path, backtracks=2)
    curated(run, 1, PARTED, JUDGED)
    assert stats(run, 1).num_backtracking == 1
    [row] = [row for row in read_rows(run.round_dir(1)) if row.untrained]
    response = text(row)
    assert "2 + 2 = 5" in response and response.endswith("2 + 2 = 4")
    assert row.untrained == slips(response, "line") == [(response.index("2 + 2 = 5"), response.index("Wait"))]
    assert "a" in names(run, 1), "the plain solution is learnt as well"


NO_TEXT = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("said", [f"27{NO_TEXT}4", f"15 {NO_TEXT} = 4", NO_TEXT * 3 + " 4", f"2 + 2\n{NO_TEXT}\nso 4"])
@pytest.mark.parametrize("options", [{}, {"target": "answer"}, {"pairs": 2}, {"steps": {}, "step": "line"}])
def test_bytes_that_are_no_text_are_taught_by_nothing_and_counted(
    tmp_path: Path, said: str, options: dict[str, Any]
) -> None:
    run = opened(tmp_path, **options)
    rollouts = [rolled("r1", said), rolled("r2", said + "5"), rolled("r3", said + "!", finish="length"), rolled("r4")]
    curated(run, 1, rollouts, [judged(rollout, float(rollout.id != "r2")) for rollout in rollouts])
    assert names(run, 1) == ["r4"]
    assert (stats(run, 1).num_garbled, stats(run, 1).num_cut_off, stats(run, 1).num_right) == (1, 1, 3)
    assert read_pairs(run.round_dir(1)) == []
    assert {row.rollout_id for row in read_steps(run.round_dir(1))} <= {"r4"}
    card = (run.round_dir(1) / "dataset/README.md").read_text("utf-8")
    assert "3 right (1 of them cut off and 1 with bytes that are no text, so dropped)" in card


def test_a_character_that_is_in_the_prompt_may_be_in_the_answer(tmp_path: Path) -> None:
    run = opened(tmp_path)
    curated(
        run, 1, [rolled("r1", f"It is {NO_TEXT}, or 4", prompt=[{"role": "user", "content": f"What is {NO_TEXT}?"}])]
    )
    assert names(run, 1) == ["r1"] and stats(run, 1).num_garbled == 0


def test_a_solution_keeps_the_tokens_that_its_text_does_not_say(tmp_path: Path) -> None:
    run = opened(tmp_path, pairs=4)
    rollouts = [rolled("r1", "so 4", token_ids=[5, 6, 2]), rolled("r2", "it is 4"), rolled("r3", "5", token_ids=[7, 2])]
    dataset = curated(run, 1, rollouts, [judged(rollout, float(rollout.id != "r3")) for rollout in rollouts])
    assert {row.rollout_id: row.token_ids for row in read_rows(run.round_dir(1))} == {"r1": [5, 6, 2], "r2": []}
    assert stats(run, 1).num_retokenized == 2
    assert read_pairs(run.round_dir(1)) == [], "which are text"
    card = (run.round_dir(1) / "dataset/README.md").read_text("utf-8")
    assert "| sampled as other tokens | 2 solutions of this round, whose text would be encoded" in card
    other = opened(tmp_path / "other", pairs=4)
    plain = [replace(rollout, token_ids=[]) for rollout in rollouts]
    assert curated(other, 1, plain, [judged(one, float(one.id != "r3")) for one in plain]).digest != dataset.digest
    assert {(pair.chosen_id, pair.rejected_id) for pair in read_pairs(other.round_dir(1))} == {
        ("r1", "r3"),
        ("r2", "r3"),
    }


def test_what_is_made_of_a_solution_has_none_of_its_tokens(tmp_path: Path) -> None:
    run = opened(tmp_path, target="answer")
    curated(run, 1, [rolled("r1", "so 4", token_ids=[5, 6, 2])])
    assert [(text(row), row.token_ids) for row in read_rows(run.round_dir(1))] == [("4", [])]
    assert stats(run, 1).num_retokenized == 1
    back = opened(tmp_path / "back", backtracks=1, step="line")
    tried = [rolled("r1", "2 + 2\n4", token_ids=[5, 6, 2]), rolled("r2", "2 + 3\n5")]
    curated(back, 1, tried, [judged(tried[0]), judged(tried[1], 0.0)])
    kept = {row.rollout_id: row.token_ids for row in read_rows(back.round_dir(1))}
    assert kept.pop("r1") == [5, 6, 2] and list(kept.values()) == [[]]
