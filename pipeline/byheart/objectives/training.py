"""The train stage: hands a dataset to an objective in a child process that `accelerate launch` starts.

A process of its own gives its memory back when it ends, can be spread over GPUs by accelerate, and can be killed. It
reports each step as a line of JSON on its standard output; all else that it prints is in train.log of the round. It
ends when the process that started it does, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from byheart import models, registry, weights
from byheart.errors import TrainError
from byheart.files import read_json, write_json, write_text
from byheart.objectives import launch
from byheart.progress import console
from byheart.run import Stage, stage
from byheart.templates import render_card
from byheart.types import Dataset, Engine, Policy

_MARK = "byheart "
"""Begins each line that the child means for us."""


@dataclass(frozen=True)
class Job:
    """What the child is to do: train `base` (from `adapter`, if any) on `dataset` and leave an adapter in `out`."""

    objective: str
    options: dict[str, Any]
    base: Path
    adapter: Path | None
    dataset: Path
    scratch: Path
    out: Path
    seed: int
    allow_pickle: bool
    folder: Path = Path()  # that of the recipe, for the paths in its options

    @property
    def rows(self) -> Path:
        """The Parquet file with the solutions to learn."""
        return self.dataset / "train-00000-of-00001.parquet"

    @property
    def pairs(self) -> Path:
        """The Parquet file with pairs of a right and a wrong solution; it is there only where there is one."""
        return self.dataset / "pairs/train-00000-of-00001.parquet"

    @property
    def steps(self) -> Path:
        """The Parquet file with solutions whose steps have values; it is there only where there are any."""
        return self.dataset / "steps/train-00000-of-00001.parquet"

    @property
    def scorer(self) -> Path:
        """Where the adapter of a scorer is left, by an objective that trains one."""
        return self.out.parent / "scorer/adapter"

    @classmethod
    def read(cls, path: Path) -> Job:
        row = json.loads(path.read_text("utf-8"))
        paths = {name: Path(row[name]) if row[name] else None for name in _PATHS}
        return cls(**row | paths)


_PATHS = ("base", "adapter", "dataset", "scratch", "out", "folder")


def read_policy(folder: Path) -> Policy:
    """The policy that the train stage in this round's directory made, or left as it was."""
    row = read_json(folder / "policy.json", {})
    adapter, scorer = (folder.parent / row[name] if row.get(name) else None for name in ("adapter", "scorer"))
    return Policy(row["base"], adapter, row["id"], scorer)


@stage(read_policy)
def train(work: Stage, dataset: Dataset, policy: Policy, options: Any, engine: Engine) -> Policy:
    """A new policy trained on `dataset`; `policy` itself where there is not one row to learn from, or the objective is
    `none`. It keeps the scorer that the policy has, unless another is trained. The `engine` rests meanwhile.

    Raises TrainError, with the end of the child's log, where the child fails.
    """
    if options.name == "none" or dataset.num_rows == 0:
        if options.name != "none":
            console.print(f"round {work.round} train: no solution is left to learn from; the report says why")
        _record(work, policy)
        return policy
    job = Job(
        objective=options.name,
        options=options.model_dump(mode="json"),
        base=models.fetch(work.recipe.model),
        adapter=policy.adapter,
        dataset=dataset.folder,
        scratch=work.dir / f"checkpoints-{dataset.digest}",
        out=work.dir / "adapter",
        seed=work.seed,
        allow_pickle=work.recipe.model.allow_pickle,
        folder=options.folder.absolute(),
    )
    write_json(
        work.dir / "job.json",
        {key: str(value) if isinstance(value, Path) else value for key, value in asdict(job).items()},
    )
    if said := engine.rest():
        console.print(f"round {work.round} train: the engine hands the GPU's memory over; {said}", markup=False)
    shutil.rmtree(job.scorer.parent, ignore_errors=True)  # of a training that was not finished
    for report in _child(work, work.dir / "job.json"):
        work.trained_seconds = report.get("train_seconds", work.trained_seconds)
        work.notes |= report.get("notes", {})
    scorer = job.scorer if job.scorer.is_dir() else policy.scorer
    new = Policy(policy.base, job.out, weights.name(job.out, scorer), scorer)
    _card(work, dataset, new, options, job.out)
    if scorer == job.scorer:
        _card(work, dataset, new, options, job.scorer)
    _record(work, new)
    shutil.rmtree(job.scratch, ignore_errors=True)
    return new


def _child(work: Stage, job: Path) -> Iterator[dict[str, Any]]:
    """Run the child and yield its reports; kills it, and whatever it started, if we are stopped."""
    log = work.dir / "train.log"
    with log.open("w", encoding="utf-8") as errors:
        child = subprocess.Popen(
            [
                *launch.command(launch.configured(work.recipe), work.recipe.objective),
                "byheart.objectives.training",
                str(job),
            ],
            stdin=subprocess.PIPE,  # closed by the system when we end; the child ends then too
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert child.stdin and child.stdout
        try:
            with contextlib.ExitStack() as bars:
                bar, doing, done = None, "", 0
                for line in child.stdout:
                    if not line.startswith(_MARK):
                        errors.write(line)
                        continue
                    report = json.loads(line.removeprefix(_MARK))
                    if "say" in report:
                        console.print(f"round {work.round} train: {report['say']}")
                    if "step" in report:
                        if bar is None or report["doing"] != doing:
                            bars.close()
                            doing, done = report["doing"], 0
                            bar = bars.enter_context(work.progress(report["steps"], doing, "steps"))
                        bar.advance(report["step"] - done, f"loss {report['loss']:.3f}" if "loss" in report else "")
                        done = report["step"]
                    yield report
            code = child.wait()
        finally:
            child.stdin.close()
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)  # whatever starts it on other machines ends it there
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
    if code and "No space left on device" in _tail(log):
        raise OSError(errno.ENOSPC, "no space left while training", str(work.dir))  # run.stage says what to do
    if code:
        raise TrainError(
            f"training failed (exit code {code}); all before it is kept. Its log, {log}, ends:\n{_tail(log)}"
        )


def _record(work: Stage, policy: Policy) -> None:
    adapter, scorer = (
        str(path.relative_to(work.run_dir)) if path else None for path in (policy.adapter, policy.scorer)
    )
    row = {"base": policy.base, "adapter": adapter, "id": policy.id, "scorer": scorer}
    write_json(work.dir / "policy.json", row)


def _card(work: Stage, dataset: Dataset, policy: Policy, options: Any, adapter: Path) -> None:
    known = {"recipe": work.recipe, "round": work.round, "notes": work.notes, "options": options}
    known["environments"] = work.environments
    scores = adapter == policy.scorer
    card = render_card("model_card.md", dataset=dataset, policy=policy, scores=scores, **known)
    write_text(adapter / "README.md", card)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])


# In the child


def tell(**report: Any) -> None:
    if os.environ.get("RANK", "0") == "0":  # one process speaks for all
        print(_MARK + json.dumps(report), flush=True)


_NOTED = {"loss": "loss", "rewards/accuracies": "accuracy"}
"""What trl logs -> what the stage notes of it."""


def Report(doing: str = "train", prefix: str = "") -> Any:
    """A transformers callback that reports every step of the main process; `prefix` begins the names of its notes."""
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is imported here only
        def __init__(self) -> None:
            self.logged: dict[str, float] = {}

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            self.logged |= {name: float(logs[key]) for key, name in _NOTED.items() if key in (logs or {})}

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                notes = {f"{prefix}{name}": value for name, value in {**self.logged, "steps": state.max_steps}.items()}
                loss = {"loss": self.logged["loss"]} if "loss" in self.logged else {}
                tell(doing=doing, step=state.global_step, steps=state.max_steps, notes=notes, **loss)

    return Reporter()


def _end_with_parent() -> None:
    def wait() -> None:
        while os.read(0, 1024):  # empty once the other end is closed
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(path: Path) -> None:
    _end_with_parent()
    if os.environ.get("RANK", "0") != "0":
        os.dup2(2, 1)  # to the log: on standard output it could come within a line of the first process
    job = Job.read(path)
    options = registry.options("objectives", job.objective).model_validate(job.options, context=job.folder)
    seconds = registry.resolve("objectives", job.objective)(job, options)
    tell(train_seconds=seconds, notes={"num_processes": int(os.environ.get("WORLD_SIZE", "1"))})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
