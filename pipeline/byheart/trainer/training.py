"""The train stage: hands a dataset to an objective in a child process that `accelerate launch` starts.

A separate process frees its memory when it ends, can be spread over GPUs by accelerate, and can be killed. It reports
each step as a line of JSON on its standard output; everything else that it prints goes to train.log of the round. It
ends when its parent ends, for whatever reason.
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
from pathlib import Path
from typing import Any

from byheart.contracts import Arguments, Job, Objective, Session
from byheart.errors import TrainError
from byheart.files import read_json, write_json, write_text
from byheart.models import checkpoint, weights
from byheart.progress import console
from byheart.runs.records import TrainStats
from byheart.runs.stages import Stage, stage
from byheart.templates import render_card
from byheart.trainer import launch
from byheart.trainer.launch import Launcher
from byheart.types import Dataset, Policy

_REPORT = "byheart "
"""The beginning of each line of the child's output that is a report."""


def read_policy(folder: Path) -> Policy:
    """The policy that the train stage in this round's directory made, or left as it was."""
    row = read_json(folder / "policy.json", {})
    adapter, scorer = (folder.parent / row[name] if row.get(name) else None for name in ("adapter", "scorer"))
    return Policy(row["base"], adapter, row["id"], scorer)


@stage(read_policy)
def train(
    work: Stage,
    dataset: Dataset,
    policy: Policy,
    model: checkpoint.ModelOptions,
    objective: Objective,
    arguments: Arguments,
    launcher: Launcher,
    engine: Session,
) -> Policy:
    """A new policy trained on `dataset`; `policy` itself where there is not one row to learn from, or the objective
    trains nothing. It keeps the scorer that the policy has, unless another is trained. The `engine` sleeps meanwhile.

    Raises TrainError, with the end of the child's log, where the child fails.
    """
    if not objective.trains or dataset.num_rows == 0:
        if objective.trains:
            console.print(f"round {work.round} train: no solution is left to learn from; the report says why")
        _record(work, policy)
        return policy
    job = Job(
        objective=objective.model_dump(mode="json"),
        base=checkpoint.fetch(model),
        adapter=policy.adapter,
        dataset=dataset.folder,
        scratch=work.dir / f"checkpoints-{dataset.digest}",
        out=work.dir / "adapter",
        seed=work.seed,
        allow_pickle=model.allow_pickle,
        trainer_args=arguments.trainer | launcher.trainer_args,
        lora_args=arguments.lora,
        folders=tuple(folder.absolute() for folder in objective.folders),
    )
    write_json(work.dir / "job.json", job.written())
    if status := engine.sleep():
        console.print(f"round {work.round} train: the engine releases the GPU's memory; {status}", markup=False)
    shutil.rmtree(job.scorer.parent, ignore_errors=True)  # of a training that was not finished
    logged: dict[str, Any] = {}
    for report in _child(work, launch.command(launcher.config, objective), work.dir / "job.json"):
        work.trained_seconds = report.get("train_seconds", work.trained_seconds)
        logged |= report.get("notes", {})
    work.stats = stats = TrainStats.of(logged)
    scorer = job.scorer if job.scorer.is_dir() else policy.scorer
    new = Policy(policy.base, job.out, weights.name(job.out, scorer), scorer)
    _card(work, dataset, new, objective, arguments, stats, job.out)
    if scorer == job.scorer:
        _card(work, dataset, new, objective, arguments, stats, job.scorer)
    _record(work, new)
    shutil.rmtree(job.scratch, ignore_errors=True)
    return new


def _child(work: Stage, command: list[str], job: Path) -> Iterator[dict[str, Any]]:
    """Run the child and yield its reports. The child and all that it started are killed if this process is stopped."""
    log = work.dir / "train.log"
    with log.open("w", encoding="utf-8") as errors:
        child = subprocess.Popen(
            [*command, "byheart.trainer.training", str(job)],
            stdin=subprocess.PIPE,  # closed when this process ends, whereupon the child ends too
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
                    if not line.startswith(_REPORT):
                        errors.write(line)
                        continue
                    report = json.loads(line.removeprefix(_REPORT))
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
                os.killpg(child.pid, signal.SIGTERM)  # a launcher for several machines ends it on each
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
    if code and "No space left on device" in _tail(log):
        raise OSError(errno.ENOSPC, "no space left while training", str(work.dir))  # run.stage explains what to do
    if code:
        raise TrainError(
            f"training failed (exit code {code}); earlier stages are kept. Its log, {log}, ends:\n{_tail(log)}"
        )


def _record(work: Stage, policy: Policy) -> None:
    adapter, scorer = (
        str(path.relative_to(work.run_dir)) if path else None for path in (policy.adapter, policy.scorer)
    )
    row = {"base": policy.base, "adapter": adapter, "id": policy.id, "scorer": scorer}
    write_json(work.dir / "policy.json", row)


def _card(
    work: Stage,
    dataset: Dataset,
    policy: Policy,
    objective: Objective,
    arguments: Arguments,
    stats: TrainStats,
    adapter: Path,
) -> None:
    card = render_card(
        "model_card.md",
        about=work.about,
        round=work.round,
        dataset=dataset,
        policy=policy,
        objective=objective,
        targets=arguments.targets,
        stats=stats,
        scores=adapter == policy.scorer,
        environments=work.environments,
    )
    write_text(adapter / "README.md", card)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])


# In the child


def tell(**report: Any) -> None:
    """Send a report to the parent, from the first process only."""
    if os.environ.get("RANK", "0") == "0":
        print(_REPORT + json.dumps(report), flush=True)


_LOGGED = {"loss": "loss", "rewards/accuracies": "accuracy"}
"""What trl logs -> its name in the stage's statistics."""


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
                loss = {"loss": self.logged["loss"]} if "loss" in self.logged else {}
                tell(doing=doing, step=state.global_step, steps=state.max_steps, notes=notes, **loss)

    return Reporter()


def _end_with_parent() -> None:
    """End this process when its standard input is closed."""

    def wait() -> None:
        while os.read(0, 1024):  # empty once the other end is closed
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(path: Path) -> None:
    """Do the job in the JSON file `path`; called in each training process."""
    _end_with_parent()
    if os.environ.get("RANK", "0") != "0":
        os.dup2(2, 1)  # to the log: on standard output it could break a line of the first process
    job = Job.read(path)
    seconds = Objective.parse(job.objective, job.folders).fit(job)
    tell(train_seconds=seconds, notes={"num_processes": int(os.environ.get("WORLD_SIZE", "1"))})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
