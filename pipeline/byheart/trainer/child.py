"""What runs in a training process, `python -m byheart.trainer.child JOB`: it reads the job, lets its objective train,
and reports each step, and what it failed of, as a line of JSON on its standard output. It ends when its parent ends,
for whatever reason.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import JsonValue

from byheart.contracts import Job, Objective
from byheart.errors import ByheartError, TrainError
from byheart.models import weights
from byheart.types import Record

_PREFIX = "byheart "
"""The beginning of each line that is a report: libraries print to standard output too."""
_LOGGED = {"loss": "loss", "rewards/accuracies": "accuracy"}
"""What trl logs -> its name in the stage's statistics."""
_FINITE = {"loss": "loss", "grad_norm": "gradient norm", "train_loss": "mean loss"}
"""What trl logs and is a number in every training that went well -> what it is called."""


@dataclass(frozen=True, slots=True)
class Report(Record):
    """What the parent is told: a sentence to `say`; the `step` of `steps` that is done of what the child is `doing`,
    and the last `loss`; what the stage's statistics note by name; the seconds of training at its end; and the error
    that it `failed` of."""

    _sparse: ClassVar[bool] = True

    say: str = ""
    doing: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    notes: dict[str, JsonValue] = field(default_factory=dict)
    train_seconds: float | None = None
    failed: str = ""

    def written(self) -> str:
        """The line, for `read`."""
        return _PREFIX + json.dumps(self.to_dict())

    @classmethod
    def read(cls, line: str) -> Self | None:
        """The report in a line of the child's output; None where the line is none."""
        try:
            return cls.from_dict(json.loads(line.removeprefix(_PREFIX))) if line.startswith(_PREFIX) else None
        except (ValueError, TypeError):  # a library says something that begins so
            return None


def tell(report: Report) -> None:
    """Send a report to the parent, from the first process only."""
    if os.environ.get("RANK", "0") == "0":
        print(report.written(), flush=True)


def progress_callback(doing: str = "train", prefix: str = "") -> Any:
    """A transformers callback that reports every step of the main process; `prefix` begins the names of its figures.
    It raises TrainError where the training diverges."""
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is imported here only
        def __init__(self) -> None:
            self.logged: dict[str, float] = {}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if wrong := diverged(logs or {}):
                raise TrainError(
                    f"the training diverged: {wrong} at step {state.global_step} of {state.max_steps} ({doing}); lower "
                    f"objective.{prefix}learning_rate"
                )
            self.logged |= {name: float(logs[key]) for key, name in _LOGGED.items() if key in (logs or {})}
            losses = [float(row["loss"]) for row in state.log_history if "loss" in row]  # of a checkpoint's steps too
            self.logged |= {"first_loss": losses[0]} if losses else {}

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                loss, notes = self.logged.get("loss"), self.notes(state)
                tell(Report(doing=doing, step=state.global_step, steps=state.max_steps, loss=loss, notes=notes))

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                tell(Report(notes=self.notes(state)))  # what the last step came to is logged after its end

        def notes(self, state: Any) -> dict[str, JsonValue]:
            return {f"{prefix}{name}": value for name, value in {**self.logged, "steps": state.max_steps}.items()}

    return Reporter()


def diverged(logs: Mapping[str, Any]) -> str:
    """Which figure that trl logged is no number any more, such as "the loss is nan"; "" where all are."""
    for key, name in _FINITE.items():
        if key in logs and not math.isfinite(figure := float(logs[key])):
            return f"the {name} is {figure}"
    return ""


def main(path: Path) -> None:
    """Do the job in the JSON file `path`; called in each training process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    output = os.dup(1)
    if os.environ.get("RANK", "0") != "0":
        os.dup2(2, 1)  # to the log: on standard output it could break a line of the first process
    try:
        seconds = _trained(Job.read(path))
    except Exception as error:
        text = str(error) if isinstance(error, ByheartError) else "".join(traceback.format_exception_only(error))
        os.write(output, f"{Report(failed=text.strip()).written()}\n".encode())
        raise
    tell(Report(train_seconds=seconds, notes={"num_processes": int(os.environ.get("WORLD_SIZE", "1"))}))


def _trained(job: Job) -> float:
    """The seconds that the job took. Raises TrainError where the weights that it left are of no use."""
    seconds = Objective.parse(job.objective, job.folders).fit(job)
    for adapter in (job.out, job.scorer):
        if adapter.is_dir() and not weights.finite(adapter):
            raise TrainError(
                f"the training diverged: after its last step not all weights in {adapter} are numbers; lower the "
                "learning rates of the objective"
            )
    return seconds


def _end_with_parent() -> None:
    while os.read(0, 1024):  # empty once the other end of standard input is closed
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
