"""V-STaR (2402.06457): a generator by fine-tuning on right solutions, and from it a verifier by DPO on pairs of a right
and a wrong solution of all rounds, which curation accumulates.

The verifier is a second adapter, the policy's scorer: best_of selects by it, and nothing is ever sampled from it. Its
score of a solution is the solution's log-likelihood, not the ratio to the generator's likelihood that DPO trains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from typing_extensions import override

from byheart.contracts import Job
from byheart.objectives import preference, sft
from byheart.trainer.child import Report, tell

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class VStar(preference.Preference):
    """Fine-tunes a generator, and trains a verifier from it by DPO; the options of pairs are those of the verifier."""

    trains_scorer: ClassVar[Literal["solutions", "steps"] | None] = "solutions"

    @override
    def check(self, recipe: Recipe) -> None:
        super(preference.Preference, self).check(recipe)  # its pairs teach the verifier alone, whatever the target

    @override
    def fit(self, job: Job) -> float:
        seconds = sft.fine_tune(replace(job, scratch=job.scratch / "sft"), self)
        if not job.pairs.is_file():
            tell(Report("no problem has a right and a wrong solution yet, so no verifier is trained"))
            return seconds
        verifier = replace(job, adapter=job.out, scratch=job.scratch / "pairs", out=job.scorer)
        return seconds + preference.prefer(verifier, self)
