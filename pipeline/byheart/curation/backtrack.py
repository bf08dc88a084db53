"""Solutions that take a wrong step, say so and go back: what teaches a model to notice its own slips.

Made of the tree of what was tried on a problem (strategies/outcomes.py): where a right solution and a wrong one part,
the wrong one's step, after which nothing tried came out right, is written first; then the mark (wording.BACK); then the
right solution goes on. There is no loss on the wrong step, so that to write it is not learnt, only to leave it
(Self-Backtracking, 2502.04404; Physics of Language Models 2.2, 2408.16293). Nor is there on a wrong step that the model
has taken back by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from byheart.curation.rows import by_problem, text
from byheart.steps import Kind, alike, split
from byheart.strategies.outcomes import grown, hard
from byheart.strategies.tree import Node
from byheart.types import Example, Rollout, Verdict, digest
from byheart.wording import BACK, goes_back


def backtracking(
    rows: Iterable[Example],
    tried: Mapping[str, list[tuple[Rollout, Verdict]]],
    kind: Kind,
    most: int,
    seed: int,
) -> list[Example]:
    """At most so many rows a problem, made of right `rows` and of what was `tried` by problem id; each has a name of
    its own for a rollout, of which it is none."""
    made: list[Example] = []
    for name, group in by_problem(rows).items():
        root, ends = grown(tried.get(name, []), kind)
        possible = hard(root)
        found = [
            _mended(row, depth, wrong, kind)
            for row in group
            if row["rollout_id"] in ends
            for depth, right in enumerate(ends[row["rollout_id"]].path)
            for wrong in (right.parent.children if right.parent else [])
            if not (possible[wrong] or _same(wrong, right, kind) or goes_back(wrong.step))
        ]
        made += sorted(found, key=lambda row: digest(seed, row["rollout_id"]))[:most]
    return made


def slips(said: str, kind: Kind) -> list[list[int]]:
    """From which letter to which there stand steps that are taken back."""
    steps = split(said, kind)
    ends = [0, *accumulate(map(len, steps))]
    return [[ends[place - 1], ends[place]] for place, step in enumerate(steps) if place and goes_back(step)]


def _same(wrong: Node, right: Node, kind: Kind) -> bool:
    """Whether they say the same, and the wrong one only ended too early."""
    return alike(wrong.step, kind) == alike(right.step, kind)


def _mended(row: Example, depth: int, wrong: Node, kind: Kind) -> Example:
    whole = text(row)
    good = "".join(split(whole, kind)[:depth])
    slip = wrong.step + ("" if wrong.step[-1:].isspace() else "\n")
    said = good + slip + BACK + whole[len(good) :]
    chat = not isinstance(row["completion"], str)
    return row | {
        "completion": [{"role": "assistant", "content": said}] if chat else said,
        "rollout_id": digest(row["rollout_id"], said),
        "num_tokens": round(row["num_tokens"] * len(said) / len(whole)),
    }
