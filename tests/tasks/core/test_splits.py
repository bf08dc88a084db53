"""The splits of a round: exact sizes, nothing shared, fresh training problems while there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle, islice, repeat
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

import pytest
from byheart.config import recipe
from byheart.contracts import Task, Verifier
from byheart.errors import RecipeError, TaskError
from byheart.files import write_records
from byheart.models.checkpoint import ModelOptions
from byheart.runs.stages import About, Stage
from byheart.tasks.core.splits import also, check_gold, check_same, check_some, load, read_problems, source, split
from byheart.types import Message, Problem, Problems, digest, replace
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

settled = settings(deadline=None, max_examples=25)
sizes = st.fixed_dictionaries({name: st.integers(1, 20) for name in ("num_train", "num_dev", "num_held_out")})


class Given(Task):
    """A task that is given its problems, those of an official test split too."""

    _train: ClassVar[Iterable[Problem]] = ()
    _test: ClassVar[list[Problem] | None] = None

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        yield from self._train

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return None if self._test is None else iter(self._test)


def given_task(**options: Any) -> Given:
    return Given.model_validate({"verifier": "number"} | options)


def counted(count: int) -> Iterator[Problem]:
    return (Problem.of(f"{n} + 1", str(n + 1), "number") for n in range(count))


def yielding(make: Callable[[int], Any], finite: bool = False, has_gold: bool = True, **options: Any) -> Given:
    """A task whose problems are what `make` makes of the seed."""

    class Yielding(Given):
        @override
        def problems(self, seed: int) -> Iterator[Problem]:
            made: Iterator[Problem] = make(seed)
            return made

    Yielding.finite, Yielding.has_gold = finite, has_gold
    return Yielding.model_validate({"name": "mine", "verifier": "number"} | options)


def counted_splits(count: int, n: int, **sizes: Any) -> Problems:
    options = yielding(lambda _: counted(count), **sizes)
    return split(source(options, 0), options, n)


def taken(task: dict[str, Any], n: int, seed: int = 0) -> Problems:
    options = recipe.parse({"name": "t", "model": {"name": "m"}, "task": task}).task
    return split(source(options, seed), options, n)


TASKS = [{"name": "arithmetic"}, {"name": "arithmetic", "digits": 9, "chat": False}, {"name": "times_table"}]


@pytest.mark.parametrize("task", TASKS, ids=str)
@settings(deadline=None, max_examples=15)
@given(sizes=sizes, n=st.integers(1, 4), seed=st.integers(0, 99))
def test_splits_share_nothing_and_have_the_sizes_asked_for(
    task: dict[str, Any], sizes: dict[str, int], n: int, seed: int
) -> None:
    parts = taken(task | sizes, n, seed).splits()
    assert {f"num_{name}": len(part) for name, part in parts.items()} == sizes
    every = [problem for part in parts.values() for problem in part]
    assert len({problem.id for problem in every}) == len(every)
    assert len({digest(problem.prompt) for problem in every}) == len(every)


@settled
@given(sizes=sizes, n=st.integers(1, 6), seed=st.integers(0, 99))
def test_what_measures_is_the_same_in_every_round(sizes: dict[str, int], n: int, seed: int) -> None:
    task = {"name": "times_table"} | sizes
    first, later = taken(task, 1, seed), taken(task, n, seed)
    assert (first.dev, first.held_out) == (later.dev, later.held_out)


@settled
@given(pool=st.integers(1, 60), size=st.integers(1, 15), rounds=st.integers(1, 9))
def test_training_problems_are_fresh_until_the_pool_is_used_up_and_then_come_again_in_turn(
    pool: int, size: int, rounds: int
) -> None:
    size = min(size, pool)
    sizes = {"num_train": size, "num_dev": 2, "num_held_out": 3}
    met = [one.id for n in range(1, rounds + 1) for one in counted_splits(pool + 5, n, **sizes).train]
    everything = [problem.id for problem in counted(pool + 5)][5:]
    assert met == [everything[place % pool] for place in range(rounds * size)]


@settled
@given(n=st.integers(1, 5))
def test_no_training_problem_of_any_round_is_ever_measured(n: int) -> None:
    parts = taken({"name": "times_table", "num_train": 40, "num_dev": 30, "num_held_out": 30}, n)
    assert {one.id for one in parts.train} & {one.id for one in parts.dev + parts.held_out} == set()


@pytest.mark.parametrize(
    ("count", "key", "left"),
    [(0, "num_held_out", 0), (4, "num_held_out", 4), (7, "num_dev", 2), (10, "num_train", 2), (11, "num_train", 3)],
)
@pytest.mark.parametrize("n", [1, 3])
def test_too_few_problems_are_refused_with_the_key(count: int, key: str, left: int, n: int) -> None:
    with pytest.raises(TaskError, match=rf"task\.{key} asks for \d problems and mine has {left} left for it; ask"):
        counted_splits(count, n, num_train=4, num_dev=3, num_held_out=5)


CURRICULUM = {"name": "arithmetic", "digits": [2, 3], "num_train": 40, "num_dev": 30, "num_held_out": 30}


@pytest.mark.parametrize("only", [[2], [3], [2, 3]], ids=str)
def test_only_what_the_recipe_lets_in_is_trained_on_and_what_measures_stays_the_same(only: list[int]) -> None:
    whole, some = taken(CURRICULUM, 1), taken(CURRICULUM | {"only": {"digits": only}}, 1)
    assert {problem.meta["digits"] for problem in some.train} == set(only)
    assert (some.dev, some.held_out) == (whole.dev, whole.held_out)
    assert {problem.meta["digits"] for problem in some.dev} == {2, 3}


def test_each_round_meets_fresh_problems_among_those_that_are_let_in() -> None:
    met = [one.id for n in (1, 2, 3) for one in taken(CURRICULUM | {"only": {"digits": [3]}}, n).train]
    assert len(set(met)) == 3 * 40
    few = CURRICULUM | {"digits": [1, 2], "num_dev": 1, "num_held_out": 1, "only": {"digits": [1]}}
    again = [one.id for n in (1, 2) for one in taken(few, n).train]
    assert len(again) == 80
    assert 53 <= len(set(again)) <= 55  # there are 55 sums of one digit, and two problems are kept to measure


def test_a_problem_has_to_be_let_in_by_everything_that_only_says() -> None:
    task = {"name": "arithmetic", "operations": ["+", "-"], "only": {"op": ["-"], "a": [*range(10, 20)]}}
    met = taken(task, 1).train
    assert {problem.meta["op"] for problem in met} == {"-"}
    assert {problem.meta["a"] for problem in met} == set(range(10, 20))


@pytest.mark.parametrize(
    ("task", "only", "there"),
    [
        (CURRICULUM, {"digits": [4]}, r"admits no problem to train on; arithmetic has digits: 2, 3"),
        ({"name": "arithmetic", "digits": 9}, {"digits": [4]}, r"arithmetic has digits: 9"),
        (CURRICULUM, {"digit": [2]}, r"arithmetic has digit: not in their meta, which has a, b, digits, op, solution$"),
    ],
    ids=["no such value", "an endless source", "no such key"],
)
def test_what_lets_nothing_in_is_refused_with_what_there_is(
    task: dict[str, Any], only: dict[str, Any], there: str
) -> None:
    with pytest.raises(TaskError, match=there):
        taken(task | {"only": only}, 1)


def levelled(*levels: Any) -> Given:
    """A task whose problems have these levels, in turns."""
    return yielding(
        lambda _: (Problem.of(f"{n}", "1", "number", {"level": levels[n % len(levels)]}) for n in range(40)),
        num_train=4, num_dev=1, num_held_out=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "only", "words"),
    [
        (["1", "2"], [1], r"level is '1' \(str\) in the problems, and not 1 \(int\)"),
        (["1", "2"], ["2", 1], r"level is '1' \(str\) in the problems, and not 1 \(int\)"),
        ([1, 2], ["2"], r"level is 2 \(int\) in the problems, and not '2' \(str\)"),
        ([True, False], ["True"], r"level is True \(bool\) in the problems, and not 'True' \(str\)"),
        ([0.5, 1.5], ["1.5"], r"level is 1\.5 \(float\) in the problems, and not '1\.5' \(str\)"),
        (["1", "2"], ["one"], r"admits no problem to train on; mine has level: '1', '2'$"),
    ],
)
def test_a_value_of_another_type_than_in_the_problems_is_refused(
    levels: list[Any], only: list[Any], words: str
) -> None:
    task = levelled(*levels).model_copy(update={"only": {"level": only}})
    with pytest.raises(TaskError, match=rf"^task\.only:? {words}"):
        split(source(task, 0), task, 1)


def test_a_value_that_is_equal_is_of_the_right_type() -> None:
    task = levelled(1.0, "2").model_copy(update={"only": {"level": [1]}})
    assert {problem.meta["level"] for problem in split(source(task, 0), task, 1).train} == {1.0}


def test_exactly_enough_problems_are_enough() -> None:
    parts = counted_splits(12, 1, num_train=4, num_dev=3, num_held_out=5)
    assert [len(part) for part in parts.splits().values()] == [4, 3, 5]


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Given]:
    """Makes a task with these prompts to train on, and these as its official test split."""

    def make(train: Iterable[str], test: list[str] | None = None, finite: bool = True, **sizes: int) -> Given:
        monkeypatch.setattr(Given, "_train", (Problem.of(prompt, "1", "number") for prompt in train))
        official_test = None if test is None else [Problem.of(prompt, "1", "number") for prompt in test]
        monkeypatch.setattr(Given, "_test", official_test)
        monkeypatch.setattr(Given, "finite", finite)
        return given_task(name="given", **sizes)

    return make


def prompts(found: Iterable[Problem]) -> list[Any]:
    return [problem.prompt for problem in found]


def test_what_came_before_is_passed_over_case_and_spacing_aside(official: Callable[..., Given]) -> None:
    everything = source(official(["2 + 2", "What is  2 + 2?", "what is\n2 + 2? ", "2 + 3", "2 + 2"]), 0)
    assert prompts(everything) == ["2 + 2", "What is  2 + 2?", "2 + 3"]
    assert everything.passed_over == 2


def test_the_official_test_split_is_held_out_and_none_of_it_is_trained_on(official: Callable[..., Given]) -> None:
    sizes = {"num_held_out": 2, "num_dev": 1, "num_train": 2}
    options = official(["b", "A", "x", "c ", "y", "z"], ["a", "b", "a", "c"], **sizes)
    everything = source(options, 0)
    parts = split(everything, options, 1)
    assert prompts(parts.held_out) == ["a", "b"]
    assert prompts(parts.dev + parts.train) == ["x", "y", "z"]
    assert everything.passed_over == 4


def test_an_official_test_split_that_is_too_small_is_refused(official: Callable[..., Given]) -> None:
    options = official(["x", "y", "z"], ["a", "b"], num_held_out=3)
    with pytest.raises(TaskError, match=r"task\.num_held_out asks for 3 problems and given has 2 left"):
        next(source(options, 0))


def test_a_task_may_say_that_it_has_no_official_test_split(official: Callable[..., Given]) -> None:
    assert prompts(source(official(["x", "y"], None), 0)) == ["x", "y"]


def test_an_endless_source_of_few_problems_comes_to_an_end(official: Callable[..., Given]) -> None:
    assert prompts(source(official(cycle(["x", "y"]), finite=False), 0)) == ["x", "y"]


def test_a_finite_source_may_repeat_itself_for_long(official: Callable[..., Given]) -> None:
    assert prompts(source(official(["x"] * 5000 + ["y"]), 0)) == ["x", "y"]


def test_one_id_for_two_problems_is_refused(official: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
    options = official([])
    monkeypatch.setattr(Given, "_train", [Problem("a", "x", "1", "number"), Problem("a", "y", "1", "number")])
    with pytest.raises(TaskError, match="two problems have the id 'a'"):
        list(source(options, 0))


PROBLEM = Problem.of("2 + 2", "4", "number")
CHAT = [Message(role="user", content="2 + 2")]


def like(**wrong: Any) -> Problem:
    return replace(PROBLEM, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prompt": "2 + 2"}, r"it is \{'prompt': '2 \+ 2'\} \(dict\) and no Problem; yield Problem\.of\("),
        (like(id=3), r", id 3: its id is 3 \(int\); give text"),
        (like(prompt=" \n"), r"its prompt is ' \\n' \(str\); give text, or a list of messages"),
        (like(prompt=[]), r"its prompt is \[\] \(list\)"),
        (like(prompt=None), r"its prompt is None \(NoneType\)"),
        (like(prompt=["2 + 2"]), r"its prompt is a list with the message '2 \+ 2' \(str\); give a dict whose role"),
        (like(prompt=[*CHAT, {"role": "user"}]), r"its prompt is a list with the message \{'role': 'user'\}"),
        (like(prompt=[*CHAT, {"role": "assistant", "content": "4"}]), r"its prompt ends with the assistant's message"),
        (like(prompt=[{"role": "gpt", "content": "2 + 2"}]), r"its prompt has a message of 'gpt'; the roles are"),
        (
            like(answer=4),
            rf", id '{PROBLEM.id}': its answer is 4 \(int\); give text, str\(answer\), or None",
        ),
        (
            like(answer=None),
            r"its answer is None, and the verifier 'number' needs one; .*has_gold.* = False",
        ),
        (like(verifier=None), r"its verifier is None \(NoneType\); give the name of one, self\.verifier\.name"),
        (like(meta=["a"]), r"its meta is \['a'\] \(list\); give a dict"),
    ],
)
def test_what_is_no_problem_is_refused_with_its_place_and_what_to_do(wrong: Any, words: str) -> None:
    everything = source(yielding(lambda _: iter([Problem.of("1 + 1", "2", "number"), wrong])), 0)
    with pytest.raises(TaskError, match=rf"^task mine, problem 2 of problems\(seed\).*{words}"):
        list(everything)


def test_an_official_test_split_is_checked_too(official: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
    options = official(["x"])
    monkeypatch.setattr(Given, "_test", [like(answer=4)])
    with pytest.raises(TaskError, match=r"^task given, problem 1 of held_out\(seed\), id .*: its answer is 4"):
        next(source(options, 0))


@pytest.mark.parametrize("unanswered", [{"has_gold": False}, {"verifier": "consensus"}], ids=str)
def test_a_problem_may_go_unanswered_where_the_task_or_its_verifier_says_so(unanswered: dict[str, Any]) -> None:
    riddle = Problem.of(CHAT, None, "number")
    assert list(source(yielding(lambda _: [riddle], **unanswered), 0)) == [riddle]


@pytest.mark.parametrize("returned", [None, PROBLEM, 7], ids=repr)
def test_a_task_that_yields_nothing_is_refused(returned: object) -> None:
    words = rf"^problems\(seed\) of task mine returned {type(returned).__name__}; it has to yield problems$"
    with pytest.raises(TaskError, match=words):
        next(source(yielding(lambda _: returned), 0))


def test_what_a_task_raises_names_it() -> None:
    def read(seed: int) -> Iterator[Problem]:
        yield PROBLEM
        raise ValueError("three columns")

    with pytest.raises(ValueError, match="three columns") as raised:
        list(source(yielding(read), 0))
    assert raised.value.__notes__ == ["raised in the problems of task mine"]


@pytest.mark.parametrize("lazily", [True, False])
def test_a_file_that_a_task_cannot_read_is_named(tmp_path: Path, lazily: bool) -> None:
    def read(seed: int) -> list[Problem]:
        return [Problem.of(line, "1", "number") for line in (tmp_path / "none.txt").read_text().split()]

    def read_later(seed: int) -> Iterator[Problem]:
        yield from read(seed)

    with pytest.raises(TaskError, match=r"^task mine can't read its problems: \S+/none\.txt: No such file"):
        next(source(yielding(read_later if lazily else read), 0))


def test_an_error_without_a_file_is_told_as_it_is() -> None:
    def refuse(seed: int) -> Iterator[Problem]:
        raise ConnectionError("nobody answers")

    with pytest.raises(TaskError, match=r"^task mine can't read its problems: nobody answers; "):
        next(source(yielding(refuse), 0))


def test_a_finite_source_that_repeats_itself_without_end_is_refused() -> None:
    everything = source(yielding(lambda _: repeat(PROBLEM), finite=True), 0)
    assert next(everything) == PROBLEM
    with pytest.raises(TaskError, match=r"task mine: problems\(seed\) yielded 100,001 problems in a row .* to an end"):
        next(everything)


def test_a_shortage_says_how_many_problems_were_passed_over() -> None:
    options = yielding(lambda _: [PROBLEM] * 38, num_held_out=2)
    words = r"mine has 1 left for it \(37 problems that say the same as another were passed over\); ask for fewer"
    with pytest.raises(TaskError, match=words):
        split(source(options, 0), options, 1)


def test_a_prompt_that_is_the_same_for_every_problem_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"prompt uses none of \{expression\}, \{a\}, \{b\} and \{op\}"):
        taken({"name": "arithmetic", "prompt": "What is it?"}, 1)


def test_the_problems_on_record_are_read_again_as_they_were(tmp_path: Path) -> None:
    parts = taken({"name": "times_table", "num_train": 40, "num_dev": 30, "num_held_out": 30}, 1)
    write_records(tmp_path / "problems.jsonl", [parts])
    assert read_problems(tmp_path) == parts


UNREADABLE = [Problem.of("2 + 2", "4", "number"), Problem.of("3 + 3", "six", "number"), Problem.of("4", "?", "number")]


class Published(Given):
    """A task whose problems come from the hub."""

    _train: ClassVar[Iterable[Problem]] = UNREADABLE

    @override
    def source(self) -> str:
        return "me/sums"


def test_what_the_verifier_cannot_read_is_refused_with_how_many_there_are_and_why() -> None:
    first = UNREADABLE[1].id
    words = (
        rf"mine: number can't read what 2 of 3 problems are judged by, such as {first}: .* 'six' is not a number; corr"
    )
    with pytest.raises(TaskError, match=words):
        check_gold(UNREADABLE, given_task(name="mine"), [])
    assert check_gold(UNREADABLE, given_task(name="mine", verifier="exact"), []) == []


def test_the_verifier_that_selects_is_asked_too() -> None:
    exact = given_task(name="mine", verifier="exact")
    with pytest.raises(TaskError, match="mine: choice can't read what 3 of 3 problems are judged by"):
        check_gold(UNREADABLE, exact, [Verifier.parse("choice")])
    several = Verifier.parse({"name": "first", "of": ["choice", "exact"]})
    assert check_gold(UNREADABLE, exact, [several, exact.verifier]) == []


def test_what_cannot_be_read_of_a_published_data_set_is_said_unless_it_is_all() -> None:
    task = Published.model_validate({"name": "sums", "verifier": "number"})
    [line] = check_gold(UNREADABLE, task, [])
    assert line.startswith("sums: number can't read what 2 of 3 problems are judged by, such as ")
    with pytest.raises(TaskError, match="number can't read what 2 of 2 problems are judged by"):
        check_gold(UNREADABLE[1:], task, [])


@pytest.mark.parametrize("place", [0, 5, 11, 29])
@pytest.mark.parametrize("selects", [False, True])
def test_load_finds_it_before_the_model_is_looked_for_in_whatever_split_it_is(
    tmp_path: Path, place: int, selects: bool
) -> None:
    problems = [*counted(place), Problem.of("?", "six", "number"), *list(counted(30))[place + 1 :]]
    sizes: dict[str, Any] = {"num_train": 4, "num_dev": 3, "num_held_out": 5}
    task = yielding(lambda _: problems, finite=True, verifier="exact" if selects else "number", **sizes)
    work = Stage(tmp_path, tmp_path, 1, "load", 0, About("t", "m", "mine", "direct", "line", None))
    with pytest.raises(TaskError, match=r"number can't read what 1 of 30 problems are judged by, .* 'six'"):
        load(work, ModelOptions(name="none"), task, [], verifiers=[Verifier.parse("number")] if selects else [])
    with pytest.raises(TaskError, match=r"number can't read what 1 of 30 problems are judged by, .* 'six'"):
        check_some(source(task, 0), task, [Verifier.parse("number")])


def test_of_an_endless_source_only_the_problems_of_the_splits_are_looked_at() -> None:
    task = yielding(lambda _: (Problem.of(f"{n}", "1" if n < 9 else "?", "number") for n in count()), num_train=2)
    everything = source(task, 0)
    list(islice(everything, 9))
    assert check_some(everything, task, []) == []
    assert len(everything.taken) == 9


def test_of_a_huge_data_set_a_dry_run_says_that_it_looked_at_a_part() -> None:
    task = yielding(lambda _: counted(20_000), finite=True, verifier="exact")
    everything = source(task, 0)
    next(everything)
    assert check_some(everything, task, []) == ["the first 8,001 problems were looked at; the run looks at all"]


def test_numbers_are_read_fast_enough_for_any_data_set() -> None:
    problems = [Problem("", "?", f"{n / 7:.3f}" if n % 2 else f"{n:,}", "number") for n in range(20_000)]
    began = process_time()
    assert check_gold(problems, given_task(), [Verifier.parse("exact")]) == []
    assert len(problems) / (process_time() - began) > 5_000


def test_a_worked_solution_is_no_part_of_what_measured_problems_are() -> None:
    """An older version knew none of them, and its runs go on."""
    now = taken(CURRICULUM, 1)

    def without(key: str) -> Problems:
        parts = [
            [
                replace(problem, meta={name: value for name, value in problem.meta.items() if name != key})
                for problem in part
            ]
            for part in now.splits().values()
        ]
        return Problems(*parts)

    assert without("solution") != now
    check_same(now, without("solution"))
    with pytest.raises(TaskError, match="are not those of the round before"):
        check_same(now, without("digits"))


def test_of_another_task_the_held_out_problems_are_measured() -> None:
    first, last = yielding(lambda _: counted(9), num_held_out=3), yielding(lambda _: counted(2), num_held_out=4)
    assert also({"first": first}, 0) == {"first": list(counted(3))}
    with pytest.raises(TaskError, match=r"^evaluation\.also\.last: task\.num_held_out asks for 4 .* has 2 left"):
        also({"first": first, "last": last}, 0)


@pytest.mark.torch
def test_load_says_which_task_has_what_can_not_be_read(tmp_path: Path) -> None:
    own: dict[str, Any] = {"num_train": 2, "num_dev": 2, "num_held_out": 2}
    task = yielding(lambda _: counted(9), **own)
    other = yielding(lambda _: [Problem.of("?", "six", "number")], num_held_out=1)
    work = Stage(tmp_path, tmp_path, 1, "load", 0, About("t", "m", "mine", "direct", "line", None))
    words = r"^evaluation\.also\.odd: .* can't read what 1 of 1 problems are judged by, .* 'six'"
    with pytest.raises(TaskError, match=words):
        load(work, ModelOptions(name="smollm2-135m"), task, [], {"odd": other})


def test_problems_of_other_tasks_are_the_same_in_every_round() -> None:
    now = replace(taken(CURRICULUM, 1), also={"sums": list(counted(3))})
    check_same(now, now)
    with pytest.raises(TaskError, match="are not those of the round before"):
        check_same(now, replace(now, also={"sums": [*counted(2), *list(counted(4))[3:]]}))
    assert "also" not in replace(now, also={}).to_dict() and Problems.from_dict(now.to_dict()) == now
