"""For the tests of plugins: plays a strategy, or a verifier's interaction, with prepared replies, without a model."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import count
from typing import Any, TypeVar

from byheart.errors import PluginError, PromptError
from byheart.strategies.core.driver import advance
from byheart.strategies.core.protocol import no_generator, qualified, wrong_reply, wrong_requests
from byheart.types import (
    Completion,
    FinishReason,
    Generate,
    Parallel,
    RecordTree,
    Request,
    Retrieve,
    Score,
    Verdict,
    Verify,
)

Result = TypeVar("Result")


def play(
    solver: Generator[Sequence[Request], Any, Result], replies: Iterable[Sequence[Any]]
) -> tuple[list[Sequence[Request]], Result]:
    """Send `solver` the prepared `replies`, one list for each list of requests that it yields. Returns the lists of
    requests, and what the solver returned.

        solver = Direct(samples=2, max_samples=2).solve(problem)
        requests, rollouts = play(solver, [[["it is 4", "it is 5"]], [[1.0, 0.0]]])
        [[generate], [verify]] = requests
        assert generate.n == 2
        assert [rollout.response for rollout in rollouts] == verify.responses == ["it is 4", "it is 5"]

    A reply is what the request's class says. In the reply to a Generate a text stands for a Completion by the policy
    "base", with a token for each word and one for its end; a text that ends in "~" was cut off. In the reply to a
    Verify a score stands for a Verdict. A PromptError as the reply to a Generate or a Score refuses its prompt. The
    reply to a Parallel is a list of what its branches return; each of them is a generator that can be played by itself.

    Raises AssertionError where there are too few replies, or too many, or a reply does not fit its request, and
    PluginError where it is no generator or yields anything but a list of requests.
    """
    if wrong := no_generator(solver):
        raise PluginError(f"solve {wrong}")
    name, prepared, seeds = qualified(solver), list(replies), count()
    played: list[Sequence[Request]] = []
    sent: list[Any] | None = None
    while True:
        try:
            requests = advance(solver, sent)
        except StopIteration as end:
            _expect(len(prepared) == len(played), f"{name} yielded {len(played)} times, for {len(prepared)} replies")
            result: Result = end.value
            return played, result
        if wrong := wrong_requests(requests):
            raise PluginError(f"{name} yielded {wrong}")
        played.append(requests)
        _expect(len(prepared) >= len(played), f"no reply is left for yield {len(played)} of {name}: {requests}")
        reply = prepared[len(played) - 1]
        where = f"yield {len(played)} of {name}"
        _expect(len(reply) == len(requests), f"{where}: {len(reply)} replies for {len(requests)} requests: {requests}")
        sent = [_reply(request, item, seeds, where) for request, item in zip(requests, reply, strict=True)]


def _reply(request: Request, reply: Any, seeds: Iterable[int], where: str) -> Any:
    """`reply` with texts made Completions and scores made Verdicts."""
    if isinstance(reply, PromptError):
        return reply
    _expect(isinstance(reply, list), f"{where}: the reply to a {type(request).__name__} is a list, not {reply!r}")
    shorter = isinstance(request, Retrieve | Parallel)  # few examples so far, or a branch whose prompt was refused
    fits = len(reply) <= _size(request) if shorter else len(reply) == _size(request)
    _expect(fits, f"{where}: a reply of {len(reply)} items does not fit {request}")
    if isinstance(request, Generate):
        reply = [
            _completion(item, seed) if isinstance(item, str) else item for item, seed in zip(reply, seeds, strict=False)
        ]
    if isinstance(request, Generate | Score):
        wrong = wrong_reply(request, reply)
        _expect(not wrong, f"{where}: the reply is {wrong}")
    if isinstance(request, Verify):
        return [item if isinstance(item, Verdict) else Verdict("", "prepared", item, None, "") for item in reply]
    return reply


def _size(request: Request) -> int:
    if isinstance(request, Generate | Retrieve):
        return request.n
    if isinstance(request, Parallel):
        return len(request.branches)
    return 0 if isinstance(request, RecordTree) else len(request.responses)


def _completion(text: str, seed: int) -> Completion:
    finish_reason: FinishReason = "length" if text.endswith("~") else "stop"
    return Completion(text.removesuffix("~"), list(range(len(text.split()) + 1)), finish_reason, "base", seed)


def _expect(fits: bool, text: str) -> None:
    if not fits:
        raise AssertionError(text)
