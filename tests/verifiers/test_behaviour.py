"""No verdict moves unnoticed: what a verifier says of its corpus is what is on record, or its version was raised."""

from pathlib import Path

import pytest
from byheart.verifiers import REGISTRY
from byheart.verifiers.exact import Exact
from byheart.verifiers.number import Number

from tests.verifiers import behaviour
from tests.verifiers.behaviour import Recorded, Row
from tests.verifiers.corpora import CORPORA

MARKS = {
    "math": pytest.mark.corpus,
    "procedural": pytest.mark.corpus,
    "code": pytest.mark.sandbox,
    "execution": pytest.mark.sandbox,
}


@pytest.mark.parametrize("key", [pytest.param(key, marks=MARKS.get(key, ())) for key in REGISTRY])
def test_verdicts_move_only_with_the_version(key: str) -> None:
    record, rows = behaviour.read(), behaviour.observed(key)
    assert not (moved := behaviour.moved(key, rows, record)), moved
    fresh = record.get(key) == behaviour.recorded(key, rows)
    assert fresh, f"{key}: its corpus, its options or its version changed; run: {behaviour.COMMAND}"


def test_every_verifier_has_a_corpus_of_right_and_wrong_and_unjudged_responses() -> None:
    record = behaviour.read()
    assert CORPORA.keys() == record.keys() == REGISTRY.keys()
    for key in REGISTRY:
        outcomes = "".join(outcome.partition(" ")[0] for outcome in record[key].rows.values())
        counts = [outcomes.count(sign) for sign in "+-?"]
        assert min(counts) >= 1, key
        assert sum(counts) >= 24, key


@pytest.fixture(scope="module")
def exact() -> dict[str, Row]:
    return behaviour.observed("exact")


NOW = Exact.version


def changed(rows: dict[str, Row], version: int) -> dict[str, Recorded]:
    """The record, had `exact` been of this version and found "It is Paris" right."""
    record = behaviour.read()
    outcomes = {name: "+ 00000000" for name, row in rows.items() if "'Paris' answered by 'It is Paris'" in row.case}
    return record | {"exact": Recorded(version, record["exact"].rows | outcomes)}


def test_what_moved_is_named_with_what_to_do(exact: dict[str, Row]) -> None:
    first, moved = behaviour.moved("exact", exact, changed(exact, NOW)).splitlines()
    assert first.startswith(f"exact: 1 of {len(exact)} outcomes moved and the version did not.")
    assert f"raise Exact.version to {NOW + 1}" in first
    assert behaviour.COMMAND in first
    assert moved.startswith("  'Paris' answered by 'It is Paris': + 00000000 became - ")


def test_verdicts_may_move_with_a_version_that_was_raised_and_not_with_one_that_was_lowered(
    exact: dict[str, Row],
) -> None:
    moved = [bool(behaviour.moved("exact", exact, changed(exact, version))) for version in (NOW - 1, NOW, NOW + 1)]
    assert moved == [False, True, True]


def test_a_new_case_has_not_moved(exact: dict[str, Row]) -> None:
    record = behaviour.read()
    record["exact"].rows.popitem()
    assert not behaviour.moved("exact", exact, record)


def test_the_version_of_a_part_is_that_of_the_whole() -> None:
    rows = behaviour.observed("all")
    record = behaviour.read()
    name = next(name for name, row in rows.items() if row.versions.keys() == {"all", "number", "exact"})
    record["all"].rows[name] = "+++ 00000000"
    said = behaviour.moved("all", rows, record)
    raised = f"raise AllOf.version to 2 or Number.version to {Number.version + 1} or Exact.version to {NOW + 1}"
    assert raised in said
    assert not behaviour.moved("all", rows, record | {"exact": record["exact"]._replace(version=0)})
    assert behaviour.moved("all", rows, record | {"math": record["math"]._replace(version=0)}) == said


def test_the_record_is_not_written_over_what_moved_unless_the_version_was_raised(
    exact: dict[str, Row], tmp_path: Path
) -> None:
    path = tmp_path / "behaviour.json"
    behaviour.save(changed(exact, NOW), path)
    before = path.read_text()
    assert behaviour.write(["exact"], path) == [behaviour.moved("exact", exact, changed(exact, NOW))]
    assert path.read_text() == before
    behaviour.save(changed(exact, NOW - 1), path)
    assert behaviour.write(["exact"], path) == []
    assert path.read_text() == behaviour.RECORD.read_text()
