"""The contract of a verifier: it judges whether a response solves a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from byheart.plugins.plugin import Plugin
from byheart.types import Interaction, Judgement, Problem


class Verifier(Plugin):
    """Judges responses. The smallest verifier has `verify` alone. It runs in the main process, so it has to be fast for
    any input; one that some input could make slow derives from ProcessVerifier.

    A verifier that needs other verdicts, or a model's opinion, has `interact` instead of `verify`.
    """

    family: ClassVar[str] = "verifiers"
    necessary: ClassVar[tuple[str, ...]] = ("verify", "interact")

    version: ClassVar[int] = 1
    """To be raised with every change that changes a verdict: responses are then judged again."""
    needs_gold: ClassVar[bool] = True
    """Whether it can't judge without the problem's gold answer."""
    needs_meta: ClassVar[tuple[str, ...]] = ()
    """The keys of a problem's meta without which it can't judge."""
    asks_policy: ClassVar[bool] = False
    """Whether it asks the policy itself for its opinion, so that it may not measure."""
    by_agreement: ClassVar[bool] = False
    """Whether a verdict depends on the problem's other responses: all of them are judged together."""
    compares: ClassVar[bool] = False
    """Whether it can tell if two answers are equal: it has `extract`, and goes by the problem's gold answer alone."""
    reads_answers: ClassVar[bool] = False
    """Whether it judges the answer that it reads in a response, so that a judgement without one says there is none."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions that its verdicts depend on: with another version of any, responses are judged again."""

    def verify(self, problem: Problem, response: str) -> Judgement:
        """The judgement of one response: score 1.0 right, 0.0 wrong, None where it can't be judged. An exception makes
        the response unjudged, with the error as the reason."""
        raise NotImplementedError

    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction | None:
        """A generator that yields requests, is sent as many replies, and returns a judgement for each of `responses`,
        in order; None where `verify` is to be called for each."""
        return None

    def unreadable(self, problem: Problem) -> str | None:
        """Why the gold answer of `problem`, or what else it is judged by, can't be read, so that its solutions would be
        unjudged; None where it can. It only reads, thousands of problems a second, before anything is sampled."""
        return None

    def extract(self, problem: Problem, response: str) -> str | None:
        """The answer that `response` gives, in a form by which answers are compared; None where it gives none."""
        return None

    def found(self, response: str) -> str:
        """Where in `response` the answer was read, in words: "the last box"; "" where there is nothing to say."""
        return ""

    def requires_gold(self) -> bool:
        """Whether this verifier, with all that it is made of, can't judge any response without a gold answer."""
        return self.needs_gold

    def proves(self) -> bool:
        """Whether its verdict alone may select a solution for training; the policy's opinion may not, unless the recipe
        says so."""
        return not self.asks_policy

    def caveat(self) -> str | None:
        """What has to be said wherever its verdicts count, such as that they are no proof."""
        return None

    def check(self) -> None:
        """Raises RecipeError or SandboxError where it can't work on this machine or with these options. Loads no
        model."""


class ProcessVerifier(Verifier):
    """A verifier that runs in worker processes. A worker that takes too long for a response is killed, and the response
    is unjudged."""

    time_limit: float = Field(default=10.0, gt=0, description="seconds for one response")
    memory: float = Field(default=2.0, gt=0, description="GiB of memory for one response")
    workers: int | None = Field(default=None, ge=1, description="worker processes; default: one for each core")
