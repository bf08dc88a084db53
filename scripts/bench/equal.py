"""Whether the last commit computes what a reference commit computed: small rounds of some recipes run by both, then
compared value by value, adapters included. All must be exactly equal, apart from times and the verifier's fingerprint.
Recipes whose strategy has branches are compared with a later commit, the first with today's seeds for these.

usage: scripts/equal [REFERENCE]

Each commit runs in a checkout with an environment of its own. Each run is pinned to one core and so single-threaded,
which makes float32 arithmetic repeatable, also on a busy machine; as many runs as there are cores (and 7 GiB of free
memory each) go on at once. Runs are kept in build/equal/COMMIT; a finished one is not repeated, and an interrupted one
is resumed. Prints what was equal and leaves the same table in build/equal. Exits with 1 if anything differs, or if a
technique did nothing, so that there was nothing to compare.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy
import psutil
import pyarrow.parquet
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file

from scripts.bench.checkout import ROOT, Checkout, checkout, environment

REFERENCE = "9c20583"
REFERENCE_OF_BRANCHES = "b25cd6f"

RENAMED: dict[str, str] = {
    "engine.max_sequences": "engine.max_num_seqs",
    "objective.min_steps": "objective.min_optimizer_steps",
    "objective.max_steps": "objective.max_optimizer_steps",
    "rollouts.chosen": "selected",
    "num_chosen": "num_selected",
    "mended": "fixed",
    "stuck": "unsolved",
}
"""Name in the reference commit -> name now: of a recipe's options ("objective.rank"), of keys in what a run records
("num_right"; "rollouts.chosen" for those of one of PARTS only), of notes, and of files in a round's directory
("verdicts.jsonl", as in PARTS)."""

ADDED: frozenset[str] = frozenset(
    {
        *("cut_off", "unread", "token_ids", "num_garbled", "num_retokenized"),
        *("decision", "best", "against_best", "alpha", "gained"),
        *("controls", "solution"),
        *("gains", "mentioned"),
        *("first_loss", "pair_first_loss", "value_first_loss", "num_out_of_context"),
        *("num_all_right", "num_some_right", "num_none_right", "num_samples", "num_judged"),
        *("samples_right", "samples_cut_off", "samples_unread", "samples_unjudged", "num_unsampled"),
        "also",
    }
)
"""Keys of what a run records that have been added since the reference commit."""

UNCOMPARED = frozenset({"status", "digest", "made", "resumed", "num_processes"})
"""Keys that say how a stage was run, not what it computed, beside those that end in "seconds"."""

PARTS = {
    "problems": "problems.jsonl",
    "rollouts": "rollouts-*.jsonl",
    "verdicts": "verdicts.jsonl",
    "rows": "dataset/*.parquet",
    "pairs": "dataset/pairs/*.parquet",
    "valued steps": "dataset/steps/*.parquet",
    "answers before": "baseline.jsonl",
    "answers after": "evaluate.jsonl",
    "stages": "stages.json",
    "metrics": "metrics.json",
    "adapter": "adapter/adapter_model.safetensors",
    "scorer": "scorer/adapter/adapter_model.safetensors",
}
"""What is compared -> its files in the directory of a round."""

SMALL = {
    "model.dtype": "float32",
    "engine.max_sequences": 32,
    "task.num_train": 24,
    "task.num_dev": 6,
    "task.num_held_out": 6,
    "evaluation.num_slow": 2,
    "evaluation.num_train": 2,
    "objective.min_steps": 6,
    "objective.max_steps": 8,
}
"""Options of every run: enough for each technique to act, few enough for minutes a round on one core."""


@dataclass(frozen=True)
class Case:
    """`rounds` of a recipe, with `options` beside those of SMALL. Each count of COUNTS named in `acts` must be above 0
    in some round, or the technique was not exercised. `branches`: compare with REFERENCE_OF_BRANCHES."""

    rounds: int
    options: dict[str, Any]
    acts: tuple[str, ...]
    branches: bool = False

    @property
    def reference(self) -> str:
        """The commit that it is compared with."""
        return REFERENCE_OF_BRANCHES if self.branches else REFERENCE


CASES = {
    "addition": Case(1, {}, ()),
    "times_table": Case(
        1,
        {"task.num_train": 16, "strategy.samples": 8, "strategy.enough": 8, "strategy.max_samples": 8},
        (),
    ),
    "preference": Case(1, {"objective.max_pair_steps": 6}, ("pairs",)),
    "vstar": Case(2, {"task.num_train": 16, "objective.max_pair_steps": 6}, ("pairs", "scored")),
    "backtrack": Case(2, {"task.num_train": 12, "objective.epochs": 6}, ("backtracks", "went back"), branches=True),
    "q_star": Case(
        3,
        {"task.num_train": 12, "evaluation.samples": 2, "objective.max_value_steps": 6},
        ("valued steps", "trees", "scored"),
        branches=True,
    ),
    "decompose": Case(1, {"task.num_train": 12}, (), branches=True),
}
"""The recipes to run. The techniques of some begin only in their second or third round."""

COUNTS = ("rollouts", "right", "went back", "scored", "trees", "rows", "backtracks", "pairs", "valued steps", "tensors")
ALWAYS = ("right", "rows", "tensors")
"""What every case must have, beside what it names."""


# Runs


def command(side: Checkout, recipe: str) -> list[str]:
    """The words that run a case in a checkout; the run directory is to follow."""
    names = {} if side.commit.startswith(REFERENCE) else RENAMED
    overrides = [f"{names.get(key, key)}={json.dumps(value)}" for key, value in (SMALL | CASES[recipe].options).items()]
    return [str(side.byheart), "run", recipe, *overrides, "--rounds", str(CASES[recipe].rounds), "--run-dir"]


def done(words: list[str], folder: Path, core: int) -> None:
    """Do the run in `folder` on one core, unless it was finished before. Raises RuntimeError if it fails."""
    finished, log = folder.with_suffix(".done"), folder.with_suffix(".log")
    if finished.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    pinned = ["taskset", "--cpu-list", str(core), *words, str(folder)]
    with log.open("ab") as output:
        ended = subprocess.run(
            pinned, cwd=folder.parent, env=environment(), stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    if ended.returncode:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        raise RuntimeError(f"{' '.join(words[1:])} failed in {words[0]}; its log, {log}, ends:\n{tail}")
    for merged in folder.glob("round-*/**/merged"):  # half a gigabyte each, and made from the adapters again if need be
        shutil.rmtree(merged)
    finished.touch()


def run_all(sides: dict[str, list[Checkout]]) -> dict[str, list[Path]]:
    """By recipe, the run directories of its sides, in their order. Ends the program with a message if a run fails."""
    cores = sorted(os.sched_getaffinity(0))
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in cores[: max(1, psutil.virtual_memory().available // (7 * 2**30))]:
        free.put(core)

    def work(job: tuple[list[str], Path]) -> None:
        words, folder = job
        core, began = free.get(), time.monotonic()
        try:
            done(words, folder, core)
        finally:
            free.put(core)
        print(f"{time.strftime('%H:%M:%S')}  {folder.relative_to(ROOT)}: {time.monotonic() - began:.0f} s", flush=True)

    folders: dict[str, list[Path]] = {recipe: [] for recipe in CASES}
    jobs = []
    for recipe in CASES:
        for side in sides[recipe]:
            words = command(side, recipe)
            key = sha256(json.dumps(words[1:]).encode()).hexdigest()[:6]  # other options are another run
            folders[recipe].append(ROOT / "build/equal" / side.commit / f"{recipe}-{key}")
            jobs.append((words, folders[recipe][-1]))
    with ThreadPoolExecutor(free.qsize()) as pool:
        try:
            list(pool.map(work, jobs))
        except RuntimeError as error:
            sys.exit(str(error))
    return folders


# What they recorded


def rounds(run: Path) -> list[Path]:
    return sorted(run.glob("round-*"))


def read(folder: Path, pattern: str) -> Any:
    """What the files that `pattern` names in the directory of a round say; None if there are none."""
    contents = [_content(path) for path in sorted(folder.glob(pattern))]
    if not contents:
        return None
    if pattern.startswith("rollouts"):  # journals: the order in which problems were finished is nobody's promise
        return sorted((row for rows in contents for row in rows), key=lambda row: str(row["problem_id"]))
    return contents[0] if len(contents) == 1 else contents


def _content(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    if path.suffix == ".safetensors":
        return load_file(path)
    text = path.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def compared(value: Any, renamed: dict[str, str] | None = None, added: frozenset[str] = frozenset()) -> Any:
    """`value` without what is not compared, its keys and notes `renamed`: a verifier is its name without its
    fingerprint."""
    names = renamed or {}
    if isinstance(value, list):
        return [compared(item, names, added) for item in value]
    if not isinstance(value, dict):
        return value
    items: dict[str, Any] = {}
    for key, item in value.items():
        if key in UNCOMPARED or key in added or key.endswith("seconds"):
            continue
        if key == "verifier" and isinstance(item, str):
            items[key] = item.partition("@")[0]
        elif key == "note":
            items[key] = RENAMED.get(item, item)
        else:
            items[names.get(key) or key] = compared(item, names, added)
    return items


def differences(there: Any, here: Any, where: str = "") -> Iterator[str]:
    """Each place where two values differ, as "rows[3].answer: '12' there, '13' here"."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in [*there, *(key for key in here if key not in there)]:
            if key not in here or key not in there:
                yield f"{where}.{key}: only {'there' if key in there else 'here'}"
            else:
                yield from differences(there[key], here[key], f"{where}.{key}")
    elif isinstance(there, list) and isinstance(here, list):
        if len(there) != len(here):
            yield f"{where}: {len(there)} there, {len(here)} here"
        for index, (old, new) in enumerate(zip(there, here, strict=False)):
            yield from differences(old, new, f"{where}[{index}]")
    elif isinstance(there, numpy.ndarray) and isinstance(here, numpy.ndarray):
        if there.dtype != here.dtype or there.shape != here.shape:
            yield f"{where}: {there.dtype} {there.shape} there, {here.dtype} {here.shape} here"
        elif not numpy.array_equal(there, here):
            yield f"{where}: they differ by up to {numpy.abs(there - here).max():.3g}"
    elif type(there) is not type(here) or (there != here and not (_is_nan(there) and _is_nan(here))):
        yield f"{where}: {there!r} there, {here!r} here"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def parts(there: Path, here: Path) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of each part that a round on either side has, as they are to be compared."""
    for name, pattern in PARTS.items():
        old, new = read(there, pattern), read(here, RENAMED.get(pattern, pattern))
        if old is not None or new is not None:
            own = {key.removeprefix(f"{name}."): now for key, now in RENAMED.items() if key.startswith(f"{name}.")}
            yield name, compared(old, RENAMED | own), compared(new, added=ADDED)


def counts(folder: Path) -> dict[str, int]:
    """How much of each of COUNTS a round of the reference commit made."""
    made = {name: read(folder, pattern) or [] for name, pattern in PARTS.items()}
    rollouts = [rollout for group in made["rollouts"] for rollout in group["rollouts"]]
    return {
        "rollouts": len(rollouts),
        "right": sum(verdict["score"] == 1 for verdict in made["verdicts"]),
        "went back": sum(rollout["note"] in ("mended", "stuck", "fixed", "unsolved") for rollout in rollouts),
        "scored": sum(rollout["value"] is not None for rollout in rollouts),
        "trees": sum(bool(group["tree"]) for group in made["rollouts"]),
        "rows": len(made["rows"]),
        "backtracks": sum(bool(row["untrained"]) for row in made["rows"]),
        "pairs": len(made["pairs"]),
        "valued steps": len(made["valued steps"]),
        "tensors": len(made["adapter"]) + len(made["scorer"]),
    }


# The verdict


def compare(recipe: str, there: Path, here: Path, table: Table) -> list[str]:
    """What is wrong with a case, if anything; adds its rounds to the table."""
    wrong, total = [], dict.fromkeys(COUNTS, 0)
    case = CASES[recipe]
    for n in range(1, case.rounds + 1):
        pair = [rounds(run)[n - 1 : n] for run in (there, here)]
        if not all(pair):
            wrong.append(f"{recipe}: round {n} is missing {'there' if not pair[0] else 'here'}")
            continue
        [[old], [new]] = pair
        counted, equal, differing = counts(old), 0, []
        for name, before, after in parts(old, new):
            first = next(differences(before, after, name), None)
            equal += first is None
            differing += [] if first is None else [first]
        wrong += [f"{recipe}, round {n}: {first}" for first in differing]
        total = {name: total[name] + counted[name] for name in COUNTS}
        outcome = (
            f"{equal} parts equal" if not differing else f"{len(differing)} of {equal + len(differing)} parts differ"
        )
        table.add_row(recipe, str(n), *(str(counted[name] or "") for name in COUNTS), outcome)
    idle = [name for name in dict.fromkeys((*ALWAYS, *case.acts)) if not total[name]]
    return wrong + [f"{recipe}: nothing to compare: no {name} in {case.rounds} round(s)" for name in idle]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/equal", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "reference", nargs="?", help=f"a commit  [default: {REFERENCE}, and {REFERENCE_OF_BRANCHES} for branches]"
    )
    given, here = parser.parse_args().reference, checkout("HEAD")
    named = {recipe: given or case.reference for recipe, case in CASES.items()}
    there = {reference: checkout(reference) for reference in dict.fromkeys(named.values())}
    if here in there.values():
        sys.exit(f"the last commit is {here.commit} itself: there is nothing to compare it with")
    if subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", "pipeline", "recipes"]).returncode:
        print("the working tree has changes that are not committed: they are not compared")
    runs = run_all({recipe: [there[reference], here] for recipe, reference in named.items()})
    table = Table("recipe", "round", *COUNTS, "")
    wrong = [line for recipe, (old, new) in runs.items() for line in compare(recipe, old, new, table)]
    console = Console(width=150, record=True)
    console.print(table)
    commits = ", ".join(side.commit for side in there.values())
    console.print(f"{commits} there, {here.commit} here, on {os.cpu_count()} cores of {_processor()}")
    console.print("\n".join(wrong) or "All of it is equal.", markup=False, soft_wrap=True)
    console.save_text(str(ROOT / f"build/equal/{commits.replace(', ', '-')}-{here.commit}.txt"))
    sys.exit(bool(wrong))


def _processor() -> str:
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return named[0].partition(":")[2].strip() if named else platform.machine()


if __name__ == "__main__":
    main()
