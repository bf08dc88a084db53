"""What the verifiers say of rows that they were not made with.

usage: python -m scripts.bench.outside [FILE.jsonl | FOLDER ...] [--show]

By default the rows are those of tests/verifiers/outside/open.jsonl. A row has `verifier`, `answer` or what else that
judges by, `response` and `expected`; see tests/verifiers/outside/README.md. A FOLDER is `tests` of math-verify's source
archive: the gold answers, responses and verdicts that its tests are parametrized with. --show prints each row that is
off.
"""

from __future__ import annotations

import ast
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from byheart.contracts import Verifier
from byheart.plugins import registry
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

OPEN = Path(__file__).parents[2] / "tests/verifiers/outside/open.jsonl"
ALLOWED: dict[object, set[float | None]] = {
    1: {1.0},
    0: {0.0, None},
    None: {None},
    "right_or_null": {1.0, None},
    "unjudged_ok": {0.0, None},
}
"""What is expected of a row -> the scores that fit."""

Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    """The rows of a file, or of a folder of math-verify's tests."""
    if path.is_dir():
        return [row for file in sorted(path.glob("test_*.py")) for row in _parametrized(file)]
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _parametrized(file: Path) -> Iterator[Row]:
    for test in ast.walk(ast.parse(file.read_text("utf-8"))):
        for call in test.decorator_list if isinstance(test, ast.FunctionDef) else []:
            match call:
                case ast.Call(args=[ast.Constant(str(names)), ast.List(cases)]) if "pred" in names and "gold" in names:
                    for case in cases:
                        value = dict(zip(names.replace(" ", "").split(","), _evaluated(case), strict=True))
                        row = {"id": f"{file.stem}:{case.lineno}", "kind": file.stem, "verifier": "math"}
                        row |= {"answer": value["gold"], "response": value["pred"]}
                        yield row | {"expected": int(bool(value.get("expected", value.get("result"))))}


def _evaluated(case: ast.expr) -> Any:
    """A tuple of literals and f-strings of numbers, as the tests of a pinned release have them."""
    return eval(compile(ast.Expression(case), "tests", "eval"), {"math": math})


def judged(rows: list[Row]) -> list[Verdict]:
    """The verdict on each row, in order."""
    verdicts: dict[int, Verdict] = {}

    def solve(index: int, problem: Problem, by: Verifier) -> Solver:
        [[verdicts[index]]] = yield [Verify(problem, [rows[index]["response"]], by)]
        return []

    solvers = []
    for index, row in enumerate(rows):
        options = registry.resolve("verifiers", row["verifier"]).model_fields
        by = Verifier.parse({"name": row["verifier"]} | {key: row[key] for key in options if key in row})
        meta: Row = {key: row[key] for key in ("choices", "tests", "entry_point") if key in row}
        problem = Problem(str(index), "", row.get("answer"), by.name, meta)
        solvers.append((problem, solve(index, problem, by)))
    with Pool() as pool:
        for _ in drive(solvers, None, VerifierService(Verifier.parse("exact"), pool)):
            pass
    return [verdicts[index] for index in range(len(rows))]


def main() -> None:
    show, paths = "--show" in sys.argv, [Path(name) for name in sys.argv[1:] if name != "--show"]
    for path in paths or [OPEN]:
        rows = rows_of(path)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row, verdict in zip(rows, judged(rows), strict=True):
            expected, score = row["expected"], verdict.score
            off = score not in ALLOWED[expected]
            outcome = {"right": expected == 1, "said right": expected == 1 and score == 1.0, "off": off}
            outcome |= {"wrong": expected in (0, None, "unjudged_ok")}
            outcome |= {"passed": outcome["wrong"] and score == 1.0}
            for group in (row["kind"], "all"):
                counts[group].update(name for name, holds in outcome.items() if holds)
            if off and show:
                print(f"{row['id']} {row['verifier']}: expected {expected}, got {score} ({verdict.reason})")
                print(f"    gold {row.get('answer')!r}, read {verdict.answer!r}, in {row['response'][-300:]!r}")
        print(f"{path.name}: {len(rows)} rows")
        for group, count in sorted(counts.items(), key=lambda item: item[0] == "all"):
            rights = f"{count['said right']} of {count['right']} rights right"
            print(f"  {group:<32}{rights}, {count['passed']} of {count['wrong']} others passed, {count['off']} off")


if __name__ == "__main__":
    main()
