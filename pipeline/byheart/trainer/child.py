"""What runs in a training process, `python -m byheart.trainer.child JOB`: it reads the job, lets its objective train,
and reports each step as a line of JSON on its standard output. It ends when its parent ends, for whatever reason.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import JsonValue

from byheart.contracts import Job, Objective
from byheart.types import Record

_PREFIX = "byheart "
"""The beginning of each line that is a report: libraries print to standard output too."""
_LOGGED = {"loss": "loss", "rewards/accuracies": "accuracy"}
"""What trl logs -> its name in the stage's statistics."""


@dataclass(frozen=True, slots=True)
class Report(Record):
    """What the parent is told: a sentence to `say`; the `step` of `steps` that is done of what the child is `doing`,
    and the last `loss`; what the stage's statistics note by name; and the seconds of training at its end."""

    _sparse: ClassVar[bool] = True

    say: str = ""
    doing: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    notes: dict[str, JsonValue] = field(default_factory=dict)
    train_seconds: float | None = None

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
    """A transformers callback that reports every step of the main process; `prefix` begins the names of its figures."""
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is imported here only
        def __init__(self) -> None:
            self.logged: dict[str, float] = {}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            self.logged |= {name: float(logs[key]) for key, name in _LOGGED.items() if key in (logs or {})}

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                notes = {f"{prefix}{name}": value for name, value in {**self.logged, "steps": state.max_steps}.items()}
                loss = self.logged.get("loss")
                tell(Report(doing=doing, step=state.global_step, steps=state.max_steps, loss=loss, notes=notes))

    return Reporter()


def main(path: Path) -> None:
    """Do the job in the JSON file `path`; called in each training process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if os.environ.get("RANK", "0") != "0":
        os.dup2(2, 1)  # to the log: on standard output it could break a line of the first process
    job = Job.read(path)
    seconds = Objective.parse(job.objective, job.folders).fit(job)
    tell(Report(train_seconds=seconds, notes={"num_processes": int(os.environ.get("WORLD_SIZE", "1"))}))


def _end_with_parent() -> None:
    while os.read(0, 1024):  # empty once the other end of standard input is closed
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
