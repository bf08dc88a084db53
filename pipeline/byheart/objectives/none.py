"""Train nothing: every round samples from the model as it is. The control, best-of-N alone, that training has to
beat."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from byheart.contracts import Job, Objective


class NoTraining(Objective):
    """Trains nothing."""

    trains: ClassVar[bool] = False

    @override
    def outlook(self) -> tuple[str, str]:
        return "nothing is trained", ""

    @override
    def fit(self, job: Job) -> float:
        raise NotImplementedError("the train stage starts no process for this objective")
