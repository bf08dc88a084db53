"""Solvers and interactions that are played with prepared replies."""

from collections.abc import Generator, Sequence
from typing import Any

import pytest
from byheart.contracts import Verifier
from byheart.errors import PluginError, PromptError
from byheart.strategies.best_of import BestOf
from byheart.strategies.direct import Direct
from byheart.testing import play
from byheart.types import (
    Branch,
    Completion,
    Generate,
    Interaction,
    Judgement,
    Parallel,
    Part,
    Problem,
    RecordTree,
    Retrieve,
    Score,
    Solver,
    Verdict,
    Verify,
    WorkedExample,
)

SUM = Problem("sum", "2 + 2", "4", "number")


def test_direct_samples_until_it_has_enough() -> None:
    solver = Direct(samples=2, max_samples=4, enough=1).solve(SUM)
    requests, rollouts = play(solver, [[["5", "it is~"]], [[0.0, None]], [["it is 4", "6"]], [[1.0, 0.0]]])
    generate, verify = Generate("2 + 2", n=2), [Verify(SUM, ["5", "it is"]), Verify(SUM, ["it is 4", "6"])]
    assert requests == [[generate], [verify[0]], [generate], [verify[1]]]
    assert [(rollout.response, rollout.finish_reason, rollout.num_tokens) for rollout in rollouts] == [
        ("5", "stop", 2),
        ("it is", "length", 3),
        ("it is 4", "stop", 4),
        ("6", "stop", 2),
    ]
    assert {rollout.policy for rollout in rollouts} == {"base"}
    assert [rollout.seed for rollout in rollouts] == [0, 1, 2, 3]


def test_best_of_selects_the_shortest_that_is_right_or_the_best_by_score() -> None:
    texts = ["so it is 4", "it is 4", "5"]
    _, rollouts = play(BestOf(samples=3).solve(SUM), [[texts], [[1.0, 1.0, 0.0]]])
    assert [rollout.selected for rollout in rollouts] == [False, True, False]
    requests, rollouts = play(
        BestOf(samples=3, choose="score").solve(SUM), [[texts], [[1.0, 1.0, 0.0]], [[-0.5, -1.0]]]
    )
    assert requests[2] == [Score("2 + 2", texts[:2])]
    assert [(rollout.selected, rollout.value) for rollout in rollouts] == [(True, -0.5), (False, -1.0), (False, None)]


class Second(Verifier):
    """Asks the policy about each response, and another verifier about all."""

    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        *opinions, verdicts = yield [*(Generate(response) for response in responses), Verify(problem, responses)]
        return [
            verdict.judgement if completions[0].text == "yes" else Judgement(None, None, "no")
            for completions, verdict in zip(opinions, verdicts, strict=True)
        ]


def test_a_verifier_is_played_as_a_strategy_is() -> None:
    requests, judgements = play(Second().interact(SUM, ["4", "5"]), [[["yes"], ["no"], [1.0, 0.0]]])
    assert requests == [[Generate("4"), Generate("5"), Verify(SUM, ["4", "5"])]]
    assert judgements == [Judgement(1.0, None), Judgement(None, None, "no")]


def test_the_example_of_the_docstring_holds() -> None:
    solver = Direct(samples=2, max_samples=2).solve(SUM)
    requests, rollouts = play(solver, [[["it is 4", "it is 5"]], [[1.0, 0.0]]])
    [[generate], [verify]] = requests
    assert isinstance(generate, Generate) and isinstance(verify, Verify)
    assert generate.n == 2
    assert [rollout.response for rollout in rollouts] == verify.responses == ["it is 4", "it is 5"]


def asking(*requests: Any) -> Generator[Any, Any, Any]:
    """Yields `requests`, and returns the replies in place of rollouts."""
    return (yield list(requests))


def test_whole_replies_are_sent_as_they_are() -> None:
    completion, verdict = Completion("x", [1], "step", "other", 7), Verdict("", "v", 0.0, "5", "no")
    shots, tree = [WorkedExample("1 + 1", "2")], RecordTree([Branch(-1, "a")])
    requests = [Generate("x", n=2), Verify(SUM, ["5"]), Retrieve(SUM, 3), tree, Score("x", ["4"])]
    _, replies = play(asking(*requests), [[[completion, "y"], [verdict], shots, [], [None]]])
    assert replies == [[completion, Completion("y", [0, 1], "stop", "base", 1)], [verdict], shots, [], [None]]


def test_a_prompt_can_be_refused() -> None:
    with pytest.raises(PromptError, match="too long"):
        play(Direct().solve(SUM), [[PromptError("too long")]])

    def modest() -> Solver:
        try:
            yield [Generate("a"), Generate("b")]
        except PromptError as refused:
            assert str(refused) == "too long"
        return []

    assert play(modest(), [[PromptError("too long"), ["x"]]])[1] == []


def test_branches_are_played_one_by_one() -> None:
    def branch(name: str) -> Part[str]:
        [[completion]] = yield [Generate(name)]
        return f"{name}: {completion.text}"

    requests, replies = play(asking(Parallel([branch("a"), branch("b")])), [[["a: x"]]])
    assert replies == [["a: x"]], "the prompt of the other was refused"
    [[side_by_side]] = requests
    assert isinstance(side_by_side, Parallel)
    assert [play(part, [[["x"]]])[1] for part in side_by_side.branches] == ["a: x", "b: x"]


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([], r"no reply is left for yield 1 of asking: \[Generate"),
        ([[["x"]], [["y"]]], "asking yielded 1 times, for 2 replies"),
        ([[["x"], ["y"]]], "yield 1 of asking: 2 replies for 1 requests"),
        ([[["x", "y"]]], "yield 1 of asking: a reply of 2 items does not fit Generate"),
        ([["x"]], "yield 1 of asking: the reply to a Generate is a list, not 'x'"),
        ([[[1.0]]], "yield 1 of asking: the reply is a list with a float for a Generate"),
    ],
)
def test_replies_have_to_fit_their_requests(replies: list[Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        play(asking(Generate("x")), replies)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (Verify(SUM, ["4", "5"]), [1.0]),
        (Score("x", ["4"]), [0.1, 0.2]),
        (Retrieve(SUM, 1), [WorkedExample("a", "b")] * 2),
        (RecordTree([]), [None]),
        (Parallel([]), [None]),
    ],
)
def test_each_kind_of_reply_has_its_number(request_: Any, reply: list[Any]) -> None:
    with pytest.raises(AssertionError, match="does not fit"):
        play(asking(request_), [[reply]])


def test_what_the_driver_would_refuse_is_refused() -> None:
    with pytest.raises(PluginError, match=r"^asking yielded a list with a str; the requests are"):
        play(asking("x"), [])
    nothing: Any = []
    with pytest.raises(PluginError, match=r"^solve has no yield: it returned a list"):
        play(nothing, [])
