"""What a run remembers of itself, and shows to a teacher."""

from typing import Any

import pytest
from byheart.runs.stages import Earlier, Made
from byheart.strategies.core.example_store import ExampleStore, verified_examples, words
from byheart.types import Completion, FinishReason, Problem, Retrieve, Rollout, RolloutGroup, Verdict, WorkedExample
from hypothesis import given
from hypothesis import strategies as st

texts = st.text("78 *x?", max_size=8)


@given(st.lists(texts, max_size=8), texts, st.integers(1, 6), st.booleans(), st.integers(0, 7))
def test_a_problem_recalls_others_only_at_most_n_each_once_and_the_same_again(
    known: list[str], asked: str, n: int, nearest: bool, own: int
) -> None:
    examples = [(f"p{place}", WorkedExample(text, f"solution {place}")) for place, text in enumerate(known)]
    request = Retrieve(Problem(f"p{own}", asked, None, "number"), n, nearest)
    found = ExampleStore(examples)(request)
    others = [one for name, one in examples if name != f"p{own}" and words(one.prompt) != words(asked)]
    assert len(found) == min(n, len(others))
    assert len({one.response for one in found}) == len(found)
    assert all(one in others for one in found)
    assert ExampleStore(iter(examples))(request) == found


def test_the_nearest_comes_first_and_a_sign_or_a_digit_counts() -> None:
    known = ExampleStore(
        (name, WorkedExample(name, "x")) for name in ("What is 7 + 3?", "What is 7 * 3?", "What is 7 * 8?")
    )
    found = known(Retrieve(Problem("p", "What is 8 * 7?", None, "number"), 3, nearest=True))
    assert [one.prompt for one in found] == ["What is 7 * 8?", "What is 7 * 3?", "What is 7 + 3?"]


def test_a_chat_is_the_same_problem_as_its_words() -> None:
    known = ExampleStore([("other id", WorkedExample([{"role": "user", "content": "What  is 7 * 8?"}], "56"))])
    assert known(Retrieve(Problem("p", "what is 7 * 8?", None, "number"), 1)) == []


def test_different_problems_recall_different_examples() -> None:
    known = ExampleStore([(str(n), WorkedExample(str(n), "x")) for n in range(50)])
    recalled = [known(Retrieve(Problem(f"p{n}", f"p{n}", None, "number"), 3)) for n in range(10)]
    assert len({tuple(one.prompt for one in examples) for examples in recalled}) == 10


PROBLEMS = {name: Problem(name, f"problem {name}", "4", "number") for name in "abcde"}


def rollout(name: str, text: str, seed: int, finish: FinishReason = "stop", **rest: Any) -> Rollout:
    made = Completion(text, [1] * len(text), finish, "base", seed)
    return Rollout.of(PROBLEMS[name], made, "direct", **rest)


def finished(n: int, rollouts: list[Rollout], wrong: str = "5") -> Earlier:
    """A finished round with these rollouts: unjudged where there is a question mark, wrong where `wrong` is in it."""
    groups = [RolloutGroup(rollout.problem_id, [rollout], []) for rollout in rollouts]
    scores = {
        rollout.id: None if "?" in rollout.response else float(wrong not in rollout.response) for rollout in rollouts
    }
    verdicts = [Verdict(name, "v", score, None, "") for name, score in scores.items()]
    unread: Any = Made("", unreadable)
    return Earlier(n, unread, unread, Made("", lambda: groups), Made("", lambda: verdicts))


def unreadable() -> None:
    raise AssertionError("nothing is read before it is asked for")


def retrieved(store: ExampleStore) -> dict[str, str]:
    examples = store(Retrieve(Problem("asks", "asks", None, "number"), 100))
    return {str(example.prompt): example.response for example in examples}


def test_of_each_problem_of_earlier_rounds_the_shortest_right_solution_is_retrieved() -> None:
    first = [rollout("a", "long 4", 0), rollout("b", "so 4", 1), rollout("c", "it is 5", 2)]
    second = [
        rollout("a", "is 4", 3),
        rollout("a", "a longer 4", 4),
        rollout("b", "4", 5, finish="length"),
        rollout("c", "4?", 6),
        rollout("d", "4", 7, hinted=True),
        rollout("e", "4", 8, selected=False),
    ]
    store = verified_examples([finished(1, first), finished(2, second)])
    assert retrieved(store) == {"problem a": "is 4", "problem b": "so 4"}
    assert retrieved(verified_examples([])) == {}


def test_nothing_is_read_before_an_example_is_asked_for() -> None:
    unread: Any = Made("", unreadable)
    store = verified_examples([Earlier(1, unread, unread, unread, unread)])
    with pytest.raises(AssertionError, match="nothing is read"):
        retrieved(store)
