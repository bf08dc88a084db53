"""The figures that README, docs, recipe headers and cards state, and where each of them comes from.

A figure is a number with a decimal point, with thousands set off by commas, or with a unit of time or a percent sign.
Options in code spans, code blocks that show no output (none of their lines begins with "$ "), versions and the numbers
of papers are none, nor is what stands in a part of a recipe's header that says it was estimated or not run.
evidence/figures.yaml accounts for all others, block by block: a block is a paragraph, an item, a row of a table, a code
block, or a part of a recipe's header.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from byheart.files import load_yaml, read_json

NUMBER = re.compile(r"(?<![\w.])(?<![A-Za-z]-)(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![.,]?\d|\w)")
PAPER = re.compile(r"\d{4}\.\d{5}")
VERSION = re.compile(r"(?:Llama|Python|transformers) $")
SIZE = re.compile(r" \d+B\b")
"""After the version of a model: "3.2 1B"."""

CODE = re.compile(r"`[^`]*`|\]\([^)]*\)|https?://\S+|'[a-z_]+=[^']*'|\{[{%].*?[%}]\}")
"""Code spans, links, overrides in quotes, and what a template fills in."""

UNIT = re.compile(r"\s?(%(?! interval)|(?:seconds?|s|minutes?|min|hours?|h|ms)\b)")
UNITS = {"seconds": "s", "second": "s", "minutes": "min", "minute": "min", "hours": "h", "hour": "h"}
SCALE = {"": 1.0, "%": 100.0, "s": 1.0, "min": 1 / 60, "h": 1 / 3600, "ms": 1000.0}
"""What a number of a record, a share or in seconds, is multiplied by to be in the unit of a figure."""

LIST = re.compile(r"(?:,|, then| and| to| or|–|-| →)? ?")
"""Between two numbers that share the unit of the second."""

ELSEWHERE = re.compile(r"\(estimated|^Expect not run(?:;|$)")
"""A block of a recipe's header that says so holds no figure of ours."""


class Figure(NamedTuple):
    """A number as it is written, "0.760", and its unit, "" where it has none."""

    number: str
    unit: str

    @property
    def text(self) -> str:
        """As an entry names it: "0.760", "279s", "6.4%"."""
        return self.number + self.unit

    def agrees(self, value: float) -> bool:
        """Whether it is `value`, rounded to as many digits, whatever the sign."""
        digits = len(self.number.partition(".")[2])
        stated = float(self.number.replace(",", ""))
        return abs(abs(value) * SCALE[self.unit] - stated) <= 0.5 * 10.0**-digits + 1e-9


def figures(text: str) -> list[Figure]:
    """The figures of a block, in order."""
    text = CODE.sub(lambda match: "~" * len(match[0]), text)
    stated: list[Figure] = []
    unit, start = "", len(text)
    for match in reversed(list(NUMBER.finditer(text))):
        own = UNIT.match(text, match.end())
        if own:
            unit = UNITS.get(own[1], own[1])
        elif not LIST.fullmatch(text, match.end(), start):
            unit = ""
        start = match.start()
        named = VERSION.search(text, 0, start) or SIZE.match(text, match.end()) or PAPER.fullmatch(match[0])
        if not named and (unit or "." in match[0] or "," in match[0]):
            stated.append(Figure(match[0], unit))
    return stated[::-1]


# Where figures stand


def texts(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The files of the checkout in `root` that state figures, each with its blocks."""
    cards = root.glob("pipeline/byheart/templates/*.md")
    for path in [root / "README.md", *sorted(root.glob("docs/**/*.md")), *sorted(cards)]:
        yield path.relative_to(root).as_posix(), list(_page(path.read_text("utf-8").splitlines()))
    for path in sorted(root.glob("recipes/*.yaml")):
        header = list(_header(path.read_text("utf-8").splitlines()))
        yield path.relative_to(root).as_posix(), [block for block in header if not ELSEWHERE.search(block)]


def _page(lines: Iterable[str]) -> Iterator[str]:
    """The blocks of Markdown."""
    block: list[str] = []
    code = False
    for line in [*lines, ""]:
        fence = line.lstrip().startswith("```")
        if fence or not (code or (line.strip() and not line.startswith(("|", "- ", "#")))):
            output = not code or any(inside.startswith("$ ") for inside in block)
            if block and output:
                yield " ".join(" ".join(block).split())
            block = []
        if fence:
            code = not code
        elif line.strip():
            block.append(line)


def _header(lines: Iterable[str]) -> Iterator[str]:
    """The blocks of the comment at the top of a recipe."""
    block: list[str] = []
    for line in lines:
        if not line.startswith("#"):
            break
        words = line[1:].strip()
        if block and (not words or re.match(r" \w+ {3,}", line[1:])):
            yield " ".join(block)
            block = []
        block += words.split()
    if block:
        yield " ".join(block)


# Where they come from


@dataclass(frozen=True)
class Entry:
    """What accounts for the figures of the block of `file` that begins with `at`: see evidence/figures.yaml."""

    file: str
    at: str
    recorded: tuple[str, ...] = ()
    unrecorded: str = ""
    given: str = ""
    why: str = "measured before there were records"

    def wrong(self, block: str, root: Path) -> Iterator[str]:
        """What does not fit `block`, if anything."""
        stated = figures(block)
        referred = [item.partition(" = ")[::2] for item in self.recorded]
        listed = Counter([figure for figure, _ in referred]) + Counter(f"{self.unrecorded} {self.given}".split())
        left = Counter(figure.text for figure in stated)
        if gone := listed - left:
            yield f"it no longer says {_joined(gone)}, which the entry accounts for"
        if others := left - listed:
            yield f"nothing accounts for {_joined(others)}"
        for text, reference in referred:
            known = next((figure for figure in stated if figure.text == text), None)
            if known and not known.agrees(result := float(value(root, reference))):
                yield f"it says {text}, {reference} is {result * SCALE[known.unit]:g}"


REDUCE: dict[str, Callable[[list[float]], float]] = {"mean": statistics.fmean, "lowest": min, "highest": max}
"""What may be said of the same value of several records."""


def value(root: Path, reference: str) -> Any:
    """What a reference names: "addition-0 rounds.1.held_out.after.fast.accuracy", or of several records "mean
    addition-* rounds...". Raises LookupError where there is none."""
    *reduce, records, path = reference.split()
    files = sorted((root / "evidence").glob(f"{records}.json"))
    values = [_at(read_json(file, None), path, f"{file.name}: {path}") for file in files]
    if not values or (len(values) > 1 and not reduce):
        raise LookupError(f"{reference}: {len(values)} records are called so")
    return REDUCE[reduce[0]](values) if reduce else values[0]


def _at(record: Any, path: str, where: str) -> Any:
    for key in path.split("."):
        if not isinstance(record, Mapping) or key not in record:
            raise LookupError(f"{where}: there is no {key!r}")
        record = record[key]
    return record


def _joined(texts: Iterable[str]) -> str:
    return " ".join(Counter(texts).elements())


# All of them


def entries(root: Path) -> list[Entry]:
    """What evidence/figures.yaml says."""
    listed: dict[str, list[dict[str, Any]]] = load_yaml((root / "evidence/figures.yaml").read_text("utf-8"))
    return [
        Entry(file, **raw | {"recorded": tuple(raw.get("recorded", ()))})
        for file, raws in listed.items()
        for raw in raws
    ]


def wrong(root: Path) -> list[str]:
    """Each figure without an entry, each that does not agree with its record, and each entry without its block."""
    lines: list[str] = []
    listed = entries(root)
    known = dict(texts(root))
    lines += [f"{entry.file}: there is no such text" for entry in listed if entry.file not in known]
    for file, blocks in known.items():
        accounted: set[str] = set()
        for entry in [entry for entry in listed if entry.file == file]:
            matching = [block for block in blocks if block.startswith(entry.at)]
            accounted.update(matching)
            if len(matching) != 1:
                lines.append(f"{file}: {len(matching)} blocks begin with {entry.at!r}")
                continue
            try:
                lines += [f"{file}, {entry.at!r}: {line}" for line in entry.wrong(matching[0], root)]
            except LookupError as error:
                lines.append(f"{file}, {entry.at!r}: {error}")
        for block in blocks:
            if block not in accounted and (stated := figures(block)):
                lines.append(f"{file}, {block[:40]!r}: nothing accounts for {_joined(f.text for f in stated)}")
    return lines


def unrecorded(root: Path) -> dict[str, int]:
    """How many figures of each text were measured and have no record."""
    counts = Counter[str]()
    for entry in entries(root):
        counts[entry.file] += len(entry.unrecorded.split())
    return dict(+counts)
