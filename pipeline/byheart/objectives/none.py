"""Train nothing: every round samples from the model as it is. The control, best-of-N alone, that a trained model has to
beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byheart import recipe

if TYPE_CHECKING:
    from byheart.objectives.training import Job


class Options(recipe.Choice):
    """There is nothing to set."""


def fit(job: Job, options: Options) -> float:
    """Leaves the policy as it is; the train stage starts no process for that."""
    return 0.0
