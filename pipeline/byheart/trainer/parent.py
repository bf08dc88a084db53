"""The train stage: hands a dataset to an objective in a child process, shows its progress, and records what it made.

A separate process frees its memory when it ends, can be spread over GPUs by accelerate, and can be killed. What it
reports is read from its standard output; everything else that it prints goes to train.log of the round.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from byheart import watch
from byheart.contracts import Arguments, Job, Objective, Workers
from byheart.errors import TrainError
from byheart.files import read_json, write_json, write_text
from byheart.models import checkpoint, weights
from byheart.models.lora import CONFIG, Lora
from byheart.progress import console
from byheart.runs.records import TrainStats
from byheart.runs.stages import Stage, stage
from byheart.templates import render_card
from byheart.trainer import launch
from byheart.trainer.child import Report
from byheart.trainer.launch import Launcher
from byheart.types import Dataset, Policy


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
    workers: Workers,
) -> Policy:
    """A new policy trained on `dataset`; `policy` itself where there are fewer rows than the objective trains on, or it
    trains nothing. It keeps the scorer that the policy has, unless another is trained. The `workers` sleep meanwhile.

    Raises TrainError, with the cause and where the child's log is, where the child fails or the training diverges.
    """
    fewest = max(1, objective.fewest_rows())
    if not objective.trains or dataset.num_rows < fewest:
        if objective.trains:
            console.print(f"round {work.round} train: {_too_few(dataset.num_rows, fewest)}; the policy stays as it is")
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
        today=model.date,
    )
    if status := workers.sleep():
        console.print(f"round {work.round} train: the engine releases the GPU's memory; {status}")
    stats = _fit(work, job, launcher, objective)
    scorer = job.scorer if job.scorer.is_dir() else policy.scorer
    new = Policy(policy.base, job.out, weights.name(job.out, scorer), scorer)
    for adapter in (job.out, job.scorer) if scorer == job.scorer else (job.out,):
        _card(work, dataset, new, objective, stats, adapter)
    _record(work, new)
    shutil.rmtree(job.scratch, ignore_errors=True)
    return new


def _fit(work: Stage, job: Job, launcher: Launcher, objective: Objective) -> TrainStats:
    """Have the job done by a child, and leave in `work` what it counted."""
    path = work.dir / "job.json"
    write_json(path, job.written())
    shutil.rmtree(job.scorer.parent, ignore_errors=True)  # of a training that was not finished
    notes: dict[str, JsonValue] = {}
    command, environment = launch.command(launcher.config, objective, path), launch.environment(launcher.config)
    with contextlib.closing(reports(command, environment, work)) as received:
        for report in _shown(work, received):
            notes |= report.notes
            if report.train_seconds is not None:
                work.trained_seconds = report.train_seconds
    work.stats = stats = TrainStats.of(notes)
    return stats


def _too_few(num_rows: int, fewest: int) -> str:
    """Why nothing is trained."""
    if num_rows == 0:
        return "no solution is left to learn from (the report says why)"
    rows = "1 row is" if num_rows == 1 else f"{num_rows} rows are"
    return f"{rows} too few to train on: objective.min_rows is {fewest}"


def reports(
    command: list[str], environment: Mapping[str, str], work: Stage, silence: float = watch.LIMIT
) -> Generator[Report]:
    """Run the child and yield what it reports. It and all that it started are killed if this process is stopped. After
    so many seconds of `silence` that is said. Raises TrainError where it fails."""
    log, failed = work.dir / "train.log", ""
    with log.open("w", encoding="utf-8") as rest:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closed when this process ends, whereupon the child ends too
            stdout=subprocess.PIPE,
            stderr=rest,
            text=True,
            start_new_session=True,
            env=environment,
        )
        assert child.stdin and child.stdout
        try:
            with watch.Watch(f"round {work.round} train", child.pid, log, silence) as listening:
                for line in child.stdout:
                    listening.heard()
                    report = Report.read(line)
                    if report is None:
                        rest.write(line)
                    elif report.failed:
                        failed = failed or report.failed
                    else:
                        yield report
                code = child.wait()
        finally:
            child.stdin.close()
            _kill(child)
    if code:
        raise _failure(code, failed, log, work.round)


def _failure(code: int, failed: str, log: Path, n: int) -> Exception:
    """What a child's exit `code` comes of in round `n`: what it said that it `failed` of, else the end of its log."""
    written = log.read_text("utf-8", "replace")
    end = "\n".join(_without_launcher(written).splitlines()[-15:])
    if "No space left on device" in failed + end:
        return OSError(errno.ENOSPC, "no space left while training", str(log.parent))  # run.stage explains what to do
    begun_anew = f"to go on with a changed recipe, add --redo-from {n}"
    if failed:
        return TrainError(f"training failed: {failed}\nEarlier stages are kept; {begun_anew}. Its log is {log}")
    killed = "; it was killed, as the system does where memory runs out" if KILLED in written else ""
    return TrainError(
        f"training failed (exit code {code}{killed}); earlier stages are kept, and {begun_anew}. Its log, {log}, "
        f"ends:\n{end}"
    )


KILLED = "SIGKILL"
TRACEBACK = "Traceback (most recent call last):"
LAUNCHER = ("CalledProcessError:", "ChildFailedError:")
"""What accelerate and torchrun raise where a process that they started has failed."""


def _without_launcher(log: str) -> str:
    """`log` without the traceback at its end of the launcher, which knows only that the child failed."""
    before, _, after = log.rpartition(TRACEBACK)
    return before if any(error in after for error in LAUNCHER) else log


def _kill(child: subprocess.Popen[str]) -> None:
    if child.poll() is not None:
        return
    os.killpg(child.pid, signal.SIGTERM)  # a launcher for several machines ends it on each
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _shown(work: Stage, received: Iterable[Report]) -> Iterator[Report]:
    """The reports, each shown as it passes: what the child says, and a progress bar for each thing that it does."""
    with contextlib.ExitStack() as bars:
        bar, doing, done = None, "", 0
        for report in received:
            if report.say:
                console.print(f"round {work.round} train: {report.say}")
            if report.step:
                if bar is None or report.doing != doing:
                    bars.close()
                    doing, done = report.doing, 0
                    bar = bars.enter_context(work.progress(report.steps, doing, "steps"))
                bar.advance(report.step - done, "" if report.loss is None else f"loss {report.loss:.3f}")
                done = report.step
            yield report


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
        lora=Lora.read(adapter) if (adapter / CONFIG).is_file() else None,
        stats=stats,
        scores=adapter == policy.scorer,
        environments=work.environments,
    )
    write_text(adapter / "README.md", card)
