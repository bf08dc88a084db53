"""Where a file lies says what it is: a member of a family under its key, a family's machinery, or a noun of a room."""

from collections import Counter
from pathlib import Path

import byheart
import pytest
from byheart.contracts import CONTRACTS
from byheart.plugins import registry

PACKAGE = Path(byheart.__file__).parent
MACHINERY = ("core", "mathematics", "sandbox")
"""Folders within a family's, which hold no members."""


def files() -> list[Path]:
    """Every module of the package but the `__init__.py` of its folders, relative to the package."""
    paths = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return [path for path in paths if path.name != "__init__.py"]


@pytest.mark.parametrize("family", CONTRACTS)
def test_each_file_of_a_family_is_a_member_under_its_key(family: str) -> None:
    members = {path.stem for path in files() if path.parent == Path(family)}
    own = {key: target for key, target in registry.known(family).items() if target.startswith("byheart.")}
    assert own.keys() == members
    assert all(target.partition(":")[0] == f"byheart.{family}.{key}" for key, target in own.items())


def test_no_two_files_of_one_name_mean_different_things() -> None:
    named = [path.stem for path in files() if path.parent.name not in {"core", *CONTRACTS}]
    assert [name for name, count in Counter(named).items() if count > 1] == []


@pytest.mark.parametrize("family", CONTRACTS)
def test_the_machinery_of_a_family_is_in_folders_of_its_own(family: str) -> None:
    folders = {path.parts[1] for path in files() if path.parts[0] == family and len(path.parts) > 2}
    assert folders <= set(MACHINERY)
