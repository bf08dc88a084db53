"""Notes in what is built from a checkout which commit it was; all else about building is in pyproject.toml."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist


def note_commit(package: Path) -> None:
    """Write the file COMMIT into the folder of the package, where this is a checkout."""
    words = ["describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=, modified"]
    if Path(".git").exists():
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        if not done.returncode:
            (package / "COMMIT").write_text(done.stdout.strip())


class Build(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install is the checkout itself, which git knows
            note_commit(Path(self.build_lib, "byheart"))


class Archive(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        note_commit(Path(base_dir, "pipeline/byheart"))


setup(cmdclass={"build_py": Build, "sdist": Archive})
