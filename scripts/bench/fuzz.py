"""Damaged recipes, rows, models and runs, each handed to a command: none may end in a traceback, or without a line that
says what is wrong. tests/test_fuzz.py tries fewer of the same; one in a hundred is here a process of its own.

usage: make bench [FUZZ_INPUTS=10000]

Prints each kind of failure once, with the input that showed it, and how many inputs were tried in how many seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.fuzzing import Input, Outcome, inputs, lay, make_world, tried, wrong  # noqa: E402

INPUTS = int(os.environ.get("FUZZ_INPUTS", "10000"))
APART = 100
"""One in so many is tried in a process of its own."""


def main() -> None:
    failures: dict[str, tuple[Input, str]] = {}
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        world = make_world(Path(name, "world"))

        @settings(
            max_examples=INPUTS,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs(world))
        def every(case: Input) -> None:
            counts["all"] += 1
            outcome = _apart(world, case) if counts["all"] % APART == 0 else tried(world, case)
            counts[f"exit code {outcome.code}"] += 1
            if why := wrong(case, outcome):
                failures.setdefault(_kind(why), (case, why))

        every()
    for case, why in failures.values():
        shown = "\n".join([*why.splitlines()[:1], *why.splitlines()[-12:]])
        print(f"\nbyheart {' '.join(case.arguments)}\n{case.damages}\n{shown}")
    print(f"{counts.pop('all')} inputs in {time.monotonic() - began:.0f} s; {dict(sorted(counts.items()))}")
    sys.exit(1 if failures else 0)


def _kind(why: str) -> str:
    """What failures of one kind have in common: where the traceback ends, and in what."""
    frames = [line for line in why.splitlines() if line.lstrip().startswith("File ") and "/byheart/" in line]
    return f"{frames[-1] if frames else ''} {why.strip().splitlines()[-1].partition(':')[0]}"


def _apart(world: Path, case: Input) -> Outcome:
    """What the command does in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "byheart.cli", *case.arguments]
        done = subprocess.run(
            command, cwd=lay(world, case, Path(name)), capture_output=True, text=True, errors="replace", check=False
        )
    return Outcome(done.returncode, done.stdout, done.stderr)


if __name__ == "__main__":
    main()
