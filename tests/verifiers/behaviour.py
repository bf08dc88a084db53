"""What each verifier says of its corpus, on record in behaviour.json, so that no verdict moves unnoticed: those of
earlier runs stand as long as the verifier's version does.

    python -m tests.verifiers.behaviour

judges the corpora again and writes the record, unless a verdict moved under an unchanged version. It needs bubblewrap
and reasoning-gym.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from byheart.contracts import Verifier
from byheart.plugins import registry
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify, digest
from byheart.verifiers import REGISTRY
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

from tests.fakes import FakeEngine, text
from tests.verifiers import served
from tests.verifiers.corpora import CORPORA, Case

RECORD = Path(__file__).with_suffix(".json")
COMMAND = "python -m tests.verifiers.behaviour"
SIGNS = {1.0: "+", 0.0: "-", None: "?"}


class Row(NamedTuple):
    """A case, or the default of an option, in words; the versions of the verifiers that decide it, by key; and what
    comes of it: a sign for each response, right (+), wrong (-) or unjudged (?), and the digest of the answers."""

    case: str
    versions: dict[str, int]
    outcome: str


class Recorded(NamedTuple):
    """Of one verifier: its version and the outcome of each row."""

    version: int
    rows: dict[str, str]


def kind(key: str) -> type[Verifier]:
    """The class of the verifier `key`."""
    found: type[Verifier] = registry.resolve("verifiers", key)
    return found


def observed(key: str) -> dict[str, Row]:
    """The rows of the verifier `key`, as they are now, by an id that depends on the case alone."""
    with served.judge(served.votes) as (url, _):
        server = {"url": url, "model": "m", "workers": 2} if "url" in kind(key).model_fields else {}
        cases = CORPORA[key]()
        verifiers = [Verifier.parse({"name": key, **server, **case.options}) for case in cases]
        verdicts = judged(cases, verifiers)
    rows = {
        f"default of {name}": Row(f"the default of {name}", {key: kind(key).version}, digest(field.default)[:8])
        for name, field in kind(key).model_fields.items()
        if name != "name" and not field.is_required()
    }
    for case, verifier, replies in zip(cases, verifiers, verdicts, strict=True):
        parts = {part.name: part.version for part in verifier.walk() if isinstance(part, Verifier)}
        signs = "".join(SIGNS[verdict.score] for verdict in replies)
        answers = digest([(verdict.answer, verdict.margin) for verdict in replies])[:8]
        rows[digest(case.problem.to_dict(), case.responses, case.options)[:8]] = Row(
            str(case), parts, f"{signs} {answers}"
        )
    return rows


def judged(cases: list[Case], verifiers: list[Verifier]) -> list[list[Verdict]]:
    """The verdicts on each case, asked for as in a run."""
    collected: list[list[Verdict]] = []

    def asks() -> Solver:
        replies = yield [Verify(case.problem, case.responses, by) for case, by in zip(cases, verifiers, strict=True)]
        collected.extend(replies)
        return []

    service = VerifierService(verifiers[0], Pool())
    engine = FakeEngine(lambda request: served.votes(text(request.prompt)))
    try:
        list(drive([(Problem.of("the corpus", None, ""), asks())], engine, service))
    finally:
        service.close()
    return collected


def moved(key: str, rows: Mapping[str, Row], record: Mapping[str, Recorded]) -> str:
    """Which outcomes of `rows` are others than on record though no version that they depend on was raised, and what to
    do; "" where there are none."""
    before = record[key].rows if key in record else {}
    versions = {part: entry.version for part, entry in record.items()}
    changed = [
        (row, before[name])
        for name, row in rows.items()
        if before.get(name, row.outcome) != row.outcome
        and all(version <= versions.get(part, 0) for part, version in row.versions.items())
    ]
    if not changed:
        return ""
    parts = dict.fromkeys(part for row, _ in changed for part in row.versions)
    raised = " or ".join(f"{kind(part).__name__}.version to {kind(part).version + 1}" for part in parts)
    return "\n".join(
        [
            f"{key}: {len(changed)} of {len(rows)} outcomes moved and the version did not. Where that is meant, raise "
            f"{raised}, so that earlier verdicts are judged again, and run: {COMMAND}",
            *(f"  {row.case}: {outcome} became {row.outcome}" for row, outcome in changed[:20]),
        ]
    )


def recorded(key: str, rows: Mapping[str, Row]) -> Recorded:
    """What is to be on record of the verifier `key`."""
    return Recorded(kind(key).version, {name: row.outcome for name, row in sorted(rows.items())})


def read(path: Path = RECORD) -> dict[str, Recorded]:
    """The record, by key."""
    return {key: Recorded(**entry) for key, entry in json.loads(path.read_text("utf-8")).items()}


def save(record: Mapping[str, Recorded], path: Path = RECORD) -> None:
    entries = {key: record[key]._asdict() for key in sorted(record)}
    path.write_text(json.dumps(entries, indent=1) + "\n", "utf-8")


def write(keys: list[str], path: Path = RECORD) -> list[str]:
    """Bring the record of `keys` up to date. Returns what moved under an unchanged version: nothing is written then."""
    record, rows = read(path), {key: observed(key) for key in keys}
    refused = [message for key in keys if (message := moved(key, rows[key], record))]
    if not refused:
        save(record | {key: recorded(key, rows[key]) for key in keys}, path)
    return refused


if __name__ == "__main__":
    sys.exit("\n".join(write(list(REGISTRY))) or None)
