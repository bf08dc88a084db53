"""Samples as `direct` does, of a policy that was taught to go back (curation/backtrack.py).

Where the policy writes the mark, the step before it is really taken back: the wrong step and the mark are struck out,
and the policy continues from the last good step (the search of Self-Backtracking, 2502.04404, on one branch). Other
settings leave the solution as written, or forbid going back, which measures what it is worth. The note of a rollout
that went back is "fixed" where it is right, else "unsolved".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Budget, Strategy
from byheart.strategies.core.prompting import put, template
from byheart.strategies.core.search import check_step
from byheart.strategies.core.steps import Kind, split
from byheart.text import BACK
from byheart.types import Completion, Generate, Parallel, Part, Problem, Rollout, Solver, Verify, replace

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Backtrack(Strategy):
    """Samples that take back their wrong steps."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="prompt for the teacher; never trained on"
    )
    samples: int = Field(default=8, ge=1, description="samples per problem")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling: probability mass to sample from")
    max_tokens: AnswerTokens = Field(
        default=256, ge=1, description="most tokens of a sample, those struck out included"
    )
    step: Kind = Field(default="line", description="what a step is; the same as curation.step")
    slips: Literal["struck", "left", "forbidden"] = Field(
        default="struck",
        description="struck: wrong steps and marks are removed; left: they stay; forbidden: the mark is never written",
    )
    max_backs: int = Field(default=4, ge=1, description="most times that a sample's steps are struck out")

    @override
    def check(self, recipe: Recipe) -> None:
        check_step(self, self.step, recipe)

    @override
    def budget(self) -> Budget:
        return Budget(self.samples, self.samples, self.max_tokens)

    @override
    def solve(self, problem: Problem) -> Solver:
        [samples] = yield [Parallel([_sample(problem, self) for _ in range(self.samples)])]
        rollouts = [Rollout.of(problem, completion, self.name) for completion, _ in samples]
        [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
        notes = [
            ("fixed" if verdict.correct else "unsolved") if backs else ""
            for (_, backs), verdict in zip(samples, verdicts, strict=True)
        ]
        return [replace(rollout, note=note) for rollout, note in zip(rollouts, notes, strict=True)]


def _sample(problem: Problem, options: Backtrack) -> Part[tuple[Completion, int]]:
    """One solution, and how often it went back. Its tokens are those of its last piece and, in proportion to their
    characters, those of the earlier pieces that still stand."""
    prompt = put(problem.prompt, options.prompt)
    written, tokens = "", list[int]()
    room, backs = options.max_tokens, 0
    while True:
        strike = options.slips == "struck" and backs < options.max_backs
        [[piece]] = yield [
            Generate(
                prompt,
                temperature=options.temperature,
                top_p=options.top_p,
                max_tokens=room,
                prefill=written,
                step_stop=(BACK,) if strike else (),
                bad_words=(BACK.split()[0].strip(","),) if options.slips == "forbidden" else (),
            )
        ]
        room -= len(piece.tokens)
        whole = replace(piece.saying(written + piece.text), tokens=[*tokens, *piece.tokens])
        if piece.finish_reason != "step":
            return whole, backs + piece.text.count(BACK)
        backs += 1
        written = "".join(split(whole.text.partition(BACK)[0], options.step)[:-1])
        tokens = whole.tokens[: round(len(whole.tokens) * len(written) / len(whole.text))]
        if room <= 0:
            return replace(whole.saying(written), tokens=tokens, finish_reason="length"), backs
