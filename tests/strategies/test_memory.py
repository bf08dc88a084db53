"""What a run remembers of itself, and shows to a teacher."""

from pathlib import Path
from typing import Any

from byheart import recipe
from byheart.files import Journal, write_records
from byheart.run import Run, Stage
from byheart.strategies import memory
from byheart.strategies.memory import Memory
from byheart.types import Attempts, Completion, FinishReason, Problem, Recall, Rollout, Verdict, WorkedExample
from hypothesis import given
from hypothesis import strategies as st

texts = st.text("78 *x?", max_size=8)


@given(st.lists(texts, max_size=8), texts, st.integers(1, 6), st.booleans(), st.integers(0, 7))
def test_a_problem_recalls_others_only_at_most_n_each_once_and_the_same_again(
    known: list[str], asked: str, n: int, nearest: bool, own: int
) -> None:
    examples = [(f"p{place}", WorkedExample(text, f"solution {place}")) for place, text in enumerate(known)]
    request = Recall(Problem(f"p{own}", asked, None, "number"), n, nearest)
    found = Memory(examples)(request)
    others = [one for name, one in examples if name != f"p{own}" and memory.words(one.prompt) != memory.words(asked)]
    assert len(found) == min(n, len(others))
    assert len({one.response for one in found}) == len(found)
    assert all(one in others for one in found)
    assert Memory(iter(examples))(request) == found


def test_the_nearest_comes_first_and_a_sign_or_a_digit_counts() -> None:
    known = Memory((name, WorkedExample(name, "x")) for name in ("What is 7 + 3?", "What is 7 * 3?", "What is 7 * 8?"))
    found = known(Recall(Problem("p", "What is 8 * 7?", None, "number"), 3, nearest=True))
    assert [one.prompt for one in found] == ["What is 7 * 8?", "What is 7 * 3?", "What is 7 + 3?"]


def test_a_chat_is_the_same_problem_as_its_words() -> None:
    known = Memory([("other id", WorkedExample([{"role": "user", "content": "What  is 7 * 8?"}], "56"))])
    assert known(Recall(Problem("p", "what is 7 * 8?", None, "number"), 1)) == []


def test_different_problems_recall_different_examples() -> None:
    known = Memory([(str(n), WorkedExample(str(n), "x")) for n in range(50)])
    recalled = [known(Recall(Problem(f"p{n}", f"p{n}", None, "number"), 3)) for n in range(10)]
    assert len({tuple(one.prompt for one in examples) for examples in recalled}) == 10


PROBLEMS = {name: Problem(name, f"problem {name}", "4", "number") for name in "abcde"}


def rollout(name: str, text: str, seed: int, finish: FinishReason = "stop", **rest: Any) -> Rollout:
    made = Completion(text, [1] * len(text), finish, "base", seed)
    return Rollout.of(PROBLEMS[name], made, "direct", **rest)


def write_round(folder: Path, rollouts: list[Rollout], wrong: str = "5") -> None:
    journal = Journal(folder, "rollouts", Attempts)
    for one in rollouts:
        journal.append(Attempts(one.problem_id, [one], []))
    journal.close()
    scores = [(one.id, None if "?" in one.response else float(wrong not in one.response)) for one in rollouts]
    write_records(folder / "verdicts.jsonl", [Verdict(name, "v", score, None, "") for name, score in scores])


def recalled(known: Memory) -> dict[str, str]:
    found = known(Recall(Problem("asks", "asks", None, "number"), 100))
    return {str(one.prompt): one.response for one in found}


def test_a_run_remembers_the_shortest_right_solution_of_each_problem_of_the_rounds_before(tmp_path: Path) -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    run = Run(tmp_path / "run", recipe.parse(raw))
    known = memory.of_run(Stage(run, 3, "sample"))  # nothing is read before it is asked for
    write_round(run.round_dir(1), [rollout("a", "long 4", 0), rollout("b", "so 4", 1), rollout("c", "it is 5", 2)])
    write_round(
        run.round_dir(2),
        [
            rollout("a", "is 4", 3),
            rollout("a", "a longer 4", 4),
            rollout("b", "4", 5, finish="length"),
            rollout("c", "4?", 6),
            rollout("d", "4", 7, hinted=True),
            rollout("e", "4", 8, chosen=False),
        ],
    )
    write_round(run.round_dir(3), [rollout("c", "4", 9)])
    assert recalled(known) == {"problem a": "is 4", "problem b": "so 4"}
    assert recalled(memory.of_run(Stage(run, 1, "sample"))) == {}
    run.close()
