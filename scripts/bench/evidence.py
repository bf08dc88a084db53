"""The runs behind the figures of README, docs and recipes, each recorded in evidence/ as soon as it is finished.

usage: make evidence [EVIDENCE_MINUTES=150] [DATA=FOLDER]      EVIDENCE_MINUTES=0 only lists

evidence/plan.yaml says what is run, and in which order. Where a run has a record it is skipped, unless its recipe has
changed: then the record is stale. Runs are done one after another by the command line, in build/evidence, on a machine
that is idle otherwise. A call takes EVIDENCE_MINUTES: it does the runs that fit in what is left of them, and where none
does the first, as far as it comes. A run that is interrupted then, or by hand, is resumed by the next call.

Says at last what is missing still, and how many figures have no record. Exits with 1 if a run failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from byheart.models import machine
from rich.console import Console

from scripts.bench.checkout import ROOT, environment
from scripts.bench.figures import unrecorded
from scripts.bench.ledger import Ledger, Planned


def show(ledger: Ledger, console: Console) -> None:
    """Where each run of the plan stands, below what it proves; then what is missing in all."""
    proves, missing = "", []
    for run in ledger.plan:
        if run.proves != proves:
            proves = run.proves
            console.print(proves[0].upper() + proves[1:], style="bold")
        state = ledger.state(run)
        left = f"about {ledger.minutes(run):.0f} min" if state.due else ""
        rounds = f"{run.rounds} round{'s' * (run.rounds > 1)}"
        line = f"  {run.key:<18}{rounds:<11}{state.word:<14}{left:<15}{state.note}"
        console.print(line.rstrip(), markup=False, soft_wrap=True)
        missing += [] if state.word == "recorded" else [ledger.minutes(run) if state.due else 0.0]
    if missing:
        hours = f"about {sum(missing) / 60:.1f} hours on {machine.hardware()}, {ledger.pace:.2f} times as planned"
        console.print(f"{len(missing)} of {len(ledger.plan)} runs missing, {hours}")
    else:
        console.print("nothing missing")


def work(ledger: Ledger, minutes: float, console: Console) -> list[str]:
    """Do what fits in `minutes`; the keys of the runs that failed."""
    end, failed = time.monotonic() + 60 * minutes, []
    due = [run for run in ledger.plan if ledger.state(run).due]
    chosen = next((run for run in due if ledger.minutes(run) <= minutes), due[0] if due and minutes else None)
    while chosen:
        due.remove(chosen)
        console.print(f"{time.strftime('%H:%M')} {chosen.key}: about {ledger.minutes(chosen):.0f} minutes")
        try:
            finished = advance(ledger, chosen, end - time.monotonic())
            ended = f"recorded, {ledger.write(chosen).name}" if finished else "time is up; the next call resumes it"
        except (RuntimeError, ValueError) as error:
            failed.append(chosen.key)
            ended = str(error)
        console.print(f"{time.strftime('%H:%M')} {chosen.key}: {ended}", markup=False)
        left = (end - time.monotonic()) / 60
        chosen = next((run for run in due if ledger.minutes(run) <= left), None)
    return failed


def advance(ledger: Ledger, run: Planned, seconds: float) -> bool:
    """Go on with a run, for at most so long; whether it is finished. Raises RuntimeError where it fails."""
    left = run.rounds - ledger.finished(run)
    if left <= 0:
        return True
    words = [word.replace("$DATA", str(Path(os.environ.get("DATA", "")).absolute())) for word in run.words]
    folder = ledger.folder(run)
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [str(ledger.root / ".venv/bin/byheart"), *words, "--rounds", str(left), "--run-dir", str(folder)]
    process = subprocess.Popen(
        command, cwd=ledger.root, env=environment(), stdin=subprocess.DEVNULL, preexec_fn=interruptible
    )
    try:
        if code := process.wait(max(0.0, seconds)):
            raise RuntimeError(f"byheart {' '.join(run.words)} failed with exit code {code}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return False
    finally:
        process.wait()  # also where this was interrupted by hand: so was byheart, which tidies up
    return True


def interruptible() -> None:
    """For a child that is sent Ctrl-C, which a shell has its background processes ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main(root: Path = ROOT) -> None:
    """List, run, and list again."""
    minutes, console = float(os.environ.get("EVIDENCE_MINUTES", "150")), Console(highlight=False, soft_wrap=True)
    ledger = Ledger(root)
    show(ledger, console)
    failed: list[str] = []
    if minutes and any(ledger.state(run).due for run in ledger.plan):
        console.print(f"Now what fits in {minutes:g} minutes. Nothing else should run on this machine meanwhile.")
        if (load := os.getloadavg()[0]) > 0.5:
            console.print(f"Something does (load {load:.1f}): the seconds of these runs will be no figures.")
        failed = work(ledger, minutes, console)
        show(Ledger(root), console)
    if counts := unrecorded(root):
        listed = ", ".join(f"{count} in {file}" for file, count in counts.items())
        console.print(f"figures without a record (evidence/figures.yaml says why): {listed}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
