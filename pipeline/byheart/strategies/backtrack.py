"""Just try, as `direct` does, with a policy that was taught to go back (curation/backtrack.py).

Where it writes the mark, what stands before it is really taken back: the wrong step and the mark are struck out, and it
goes on from the last good step (the search of Self-Backtracking, 2502.04404, on one branch). Or the solution is left as
it is written, slips and all; or to go back is forbidden, which tells what it is good for. A note says what came of
going back: "mended" or "stuck".
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.steps import Kind, split
from byheart.strategies.asking import put, template
from byheart.strategies.searching import check_step
from byheart.strategies.several import Work, together
from byheart.types import Completion, Generate, Problem, Rollout, Solver, Verify, replace
from byheart.wording import BACK


class Options(recipe.Choice):
    """`samples` of at most `max_tokens` each, those struck out included. What stands before a mark is `struck` out, at
    most `max_backs` times; or `left`; or the mark is `forbidden`."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    samples: int = Field(default=8, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)
    step: Kind = "line"
    slips: Literal["struck", "left", "forbidden"] = "struck"
    max_backs: int = Field(default=4, ge=1)

    @property
    def max_samples(self) -> int:
        return self.samples


check = check_step


def solve(problem: Problem, options: Options) -> Solver:
    written = yield from together(_sample(problem, options) for _ in range(options.samples))
    rollouts = [Rollout.of(problem, one, options.name) for one, _ in written]
    [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
    notes = [
        ("mended" if verdict.correct else "stuck") if backs else ""
        for (_, backs), verdict in zip(written, verdicts, strict=True)
    ]
    return [replace(rollout, note=note) for rollout, note in zip(rollouts, notes, strict=True)]


def _sample(problem: Problem, options: Options) -> Work[tuple[Completion, int]]:
    """One solution, and how often it went back. Its tokens are those of its last piece and, as far as their letters
    tell, those of the earlier ones that still stand."""
    prompt = put(problem.prompt, options.prompt)
    written, tokens = "", list[int]()
    room, backs = options.max_tokens, 0
    while True:
        strike = options.slips == "struck" and backs < options.max_backs
        [[one]] = yield [
            Generate(
                prompt,
                temperature=options.temperature,
                top_p=options.top_p,
                max_tokens=room,
                prefix=written,
                until=(BACK,) if strike else (),
                forbid=(BACK.split()[0].strip(","),) if options.slips == "forbidden" else (),
            )
        ]
        room -= len(one.tokens)
        whole = replace(one, text=written + one.text, tokens=[*tokens, *one.tokens])
        if one.finish_reason != "step":
            return whole, backs + one.text.count(BACK)
        backs += 1
        written = "".join(split(whole.text.partition(BACK)[0], options.step)[:-1])
        tokens = whole.tokens[: round(len(whole.tokens) * len(written) / len(whole.text))]
        if room <= 0:
            return replace(whole, text=written, tokens=tokens, finish_reason="length"), backs
