"""Machines that are all this one: an `ssh` and an `srun` that run their command here, and Slurm's `scontrol`."""

from __future__ import annotations

import os
from pathlib import Path

PROGRAMS = {
    "ssh": 'exec bash -c "${*: -1}"',
    "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "scontrol": '[ "$*" = "show hostnames n[1-3]" ] && printf "%s\\n" n1 n2 n3',
}


def pretend(folder: Path) -> str:
    """A PATH that finds these programs first, which are written into `folder`."""
    for name, line in PROGRAMS.items():
        program(folder / "programs" / name, line)
    return f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"


def program(path: Path, line: str) -> None:
    """A program that is one line of bash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{line}\n")
    path.chmod(0o755)
