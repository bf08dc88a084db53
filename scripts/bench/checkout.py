"""A commit of this repository with an environment of its own, to hold another commit against.

Its worktree and environment lie in build/checkouts/COMMIT, which git ignores. They are made by that commit's own
`make setup`, once: about 90 seconds where uv has the packages in its cache. Commits before 47c5a06 check no hashes, and
their set-up installs bubblewrap without being told to where it is missing and apt-get is allowed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOREIGN = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Environment variables of the calling process that must not reach another checkout."""


@dataclass(frozen=True)
class Checkout:
    """The files of `commit` in `folder`, with its environment in `folder`/.venv."""

    commit: str
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ".venv/bin/python"

    @property
    def byheart(self) -> Path:
        return self.folder / ".venv/bin/byheart"


def checkout(revision: str, root: Path = ROOT) -> Checkout:
    """The commit that `revision` names in the repository at `root`, checked out and set up under its build/.

    Ends the program with a message if git does not know the revision, the worktree was edited, or set-up fails.
    """
    full = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if full is None:
        sys.exit(f"{revision}: git knows no such commit here; in a shallow clone, git fetch --unshallow brings it")
    commit = full[:12]
    folder = root / "build/checkouts" / commit
    if not folder.exists():
        _git(root, "worktree", "prune")  # forget worktrees whose folders `make clean` has removed
        _git(root, "worktree", "add", "--detach", str(folder), commit)
    if _git(folder, "status", "--porcelain", "--untracked-files=no") != "":
        sys.exit(f"{folder} is no clean checkout of {commit}: git worktree remove --force {folder}, then try again")
    if subprocess.run(["make", "--silent", "setup"], cwd=folder, env=environment(), check=False).returncode:
        sys.exit(f"the environment of {commit} could not be set up; `make setup` in {folder} says why")
    return Checkout(commit, folder)


def environment() -> dict[str, str]:
    """The variables of this process, without those that belong to its own environment."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None if it fails."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()
