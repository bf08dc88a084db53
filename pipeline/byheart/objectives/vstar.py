"""V-STaR (2402.06457): a generator by fine-tuning on right solutions, and from it a verifier by DPO on pairs of a right
and a wrong solution of all rounds, which curation accumulates.

The verifier is a second adapter, the policy's scorer: best_of chooses by it, and nothing is ever sampled from it. Its
score for a solution is the log-likelihood of the solution, not the ratio to the generator's that DPO trains.
"""

from __future__ import annotations

from dataclasses import replace

from byheart.objectives import preference, sft
from byheart.objectives.training import Job, tell


class Options(preference.Options):
    """Those of `sft` for the generator, those of `preference` for the verifier."""


check = preference.check_pairs


def fit(job: Job, options: Options) -> float:
    """Train in this process and leave the generator in `job.out`, the verifier in `job.scorer`, their merged weights
    beside them; seconds of training."""
    seconds = sft.fit(replace(job, scratch=job.scratch / "sft"), options)
    if not job.pairs.is_file():
        tell(say="no problem has a right and a wrong solution yet, so there is no pair to learn a verifier from")
        return seconds
    verifier = replace(job, adapter=job.out, scratch=job.scratch / "pairs", out=job.scorer)
    return seconds + preference.prefer(verifier, options)
