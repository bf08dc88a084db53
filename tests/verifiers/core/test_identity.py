"""A verdict is named by what it depends on: the verifier's key, options and version, and those of its parts."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.types import Problem, Verify
from byheart.verifiers import REGISTRY
from byheart.verifiers.core.identity import identity
from pydantic import Field

from tests.conftest import verdicts_by, verifier_by


class First(Verifier):
    """Of the first version."""

    inner: Member[Verifier] = named("exact")


class Second(First):
    """With everything as before, and judged again."""

    version: ClassVar[int] = 2


class Extended(First):
    """With an option more."""

    limit: int = Field(default=3, description="it changes no verdict as long as it is not given")


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The identity of what a recipe says, where "plugin" is the class."""

    def of(by: Any, plugin: type[Verifier] = First) -> str:
        monkeypatch.setitem(REGISTRY, "plugin", f"{__name__}:{plugin.__name__}")
        return identity(Verifier.parse(by))

    return of


NESTED = {"name": "all", "of": ["exact", {"name": "any", "of": ["plugin", "number"]}]}


def test_it_is_the_key_and_eight_digits() -> None:
    assert identity(Verifier.parse("number")).partition("@")[0] == "number"
    assert len(identity(Verifier.parse("number"))) == len("number@1a2b3c4d")
    [verdict] = verdicts_by("exact", Problem.of("?", "4", ""), ["4"])
    assert verdict.verifier == verifier_by("exact").identity == identity(Verifier.parse("exact"))


@pytest.mark.parametrize("by", ["plugin", NESTED])
def test_another_version_is_another_verifier_alone_or_as_a_part(name: Any, by: Any) -> None:
    assert name(by, Second) != name(by) == name(by, First)


def test_an_option_counts_where_it_is_not_the_default() -> None:
    same = ["number", {"name": "number", "tolerance": 0.0}]
    other = [{"name": "number", "tolerance": 0.1}, "exact"]
    assert len({identity(Verifier.parse(by)) for by in same}) == 1
    assert len({identity(Verifier.parse(by)) for by in [*same, *other]}) == 3
    assert len({identity(Verifier.parse({"name": "all", "of": ["exact", by]})) for by in same}) == 1
    assert len({identity(Verifier.parse({"name": "all", "of": ["exact", by]})) for by in [*same, *other]}) == 3


@pytest.mark.parametrize("by", ["plugin", NESTED])
def test_a_new_option_leaves_verdicts_as_they_are_until_it_is_given(name: Any, by: Any) -> None:
    assert name(by, Extended) == name(by)
    given = {"name": "plugin", "limit": 4}
    assert name(given, Extended) != name("plugin")
    assert name({"name": "plugin", "limit": 3}, Extended) == name("plugin")


def test_how_parts_are_put_together_counts() -> None:
    inner = {"name": "all", "of": ["number", "exact"]}
    wider = {"name": "all", "of": ["number", "exact", "math"]}
    one, other = ({"name": "any", "of": [*parts, "choice"]} for parts in ([inner, "math"], [wider]))
    assert identity(Verifier.parse(one)) != identity(Verifier.parse(other))


def test_a_verdict_by_a_part_has_the_name_of_the_part() -> None:
    service, part = verifier_by("exact"), Verifier.parse("number")
    ticket = service.submit(Verify(Problem.of("?", "4", ""), ["4"], part))
    assert [(ticket, identity(part))] == [(answered, verdict.verifier) for answered, [verdict] in service.poll()]


def test_the_version_of_a_library_that_decides_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verifiers = [Verifier.parse(by) for by in ("math", {"name": "consensus", "equal": "math"}, "number")]
    before = [identity(verifier) for verifier in verifiers]
    (tmp_path / "sympy-99.dist-info").mkdir()
    (tmp_path / "sympy-99.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: sympy\nVersion: 99\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    changed = [identity(verifier) != name for verifier, name in zip(verifiers, before, strict=True)]
    assert changed == [True, True, False]
