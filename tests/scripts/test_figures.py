"""Figures in README, docs, recipes and cards: which numbers are some, and that each is held to a record, or marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.bench import figures
from scripts.bench.checkout import ROOT


def test_every_figure_is_accounted_for_and_is_what_its_record_says() -> None:
    """What is wrong is said as evidence/figures.yaml wants it."""
    assert figures.wrong(ROOT) == []


# Which numbers are figures


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("base 0.230 (0.18–0.29), then 1.76", "0.230 0.18 0.29 1.76"),
        ("greedy 0.52 (0.47-0.57), +0.035 (−0.01 to 0.09)", "0.52 0.47 0.57 0.035 0.01 0.09"),
        ("356, 311 and 348 s; 7.3, then 4.0 %", "356s 311s 348s 7.3% 4.0%"),
        ("6 to 7 minutes, 8 ms, 2 hours, 12 seconds, 100 %", "6min 7min 8ms 2h 12s 100%"),
        ("No better since round 11; 83 minutes", "83min"),
        ("44,234 tokens", "44,234"),
        ("| 4.2 s | 0.2 h |", "4.2s 0.2h"),
        ("200 held-out sums in 4 rounds of 2 digits, 8B, 135M", ""),
        ("STaR 2203.14465, byheart 0.1.0, Python 3.11, Llama 3.2 1B and 3.1 8B, llama-3.2-1b", ""),
        ("`objective.learning_rate=0.001`, [0.5](https://example.org/0.25), 1e-4", "0.5"),
        ("with 'strategy={temperature: 0.7}', in 95 % intervals", ""),
        ("{{ '%.1f' % (1.5) }} of {% if x > 1.5 %}them", ""),
    ],
)
def test_what_is_a_figure(text: str, stated: str) -> None:
    assert [figure.text for figure in figures.figures(text)] == stated.split()


@pytest.mark.parametrize(
    ("text", "value", "agrees"),
    [
        ("0.760", 0.76, True),
        ("0.760", 0.7604, True),
        ("0.760", 0.7606, False),
        ("0.76", 0.755, True),
        ("0.035", -0.035, True),
        ("6.4 %", 0.0643, True),
        ("6.4 %", 0.0646, False),
        ("7 minutes", 401.2, True),
        ("7 minutes", 480, False),
        ("1.5 hours", 5400, True),
        ("44,234 tokens", 44234, True),
        ("44,234 tokens", 44235, False),
    ],
)
def test_a_figure_is_a_rounded_value(text: str, value: float, agrees: bool) -> None:
    [figure] = figures.figures(text)
    assert figure.agrees(value) == agrees


# A checkout with a README and two records

README = """# Sums

Held out it comes from 0.215 to 0.760 (0.70–0.81), in 7 minutes.

| what | figure |
|---|---|
| over seeds | 0.750 (0.740 to 0.760) |
| by hand | 3.5 s |

```yaml
strategy: {temperature: 0.7}
```

```
$ make iterate
│ fast │ 0.215 │ 0.760 (0.70–0.81) │
set up in 40 s
```
"""
ENTRIES = """
README.md:
- at: Held out
  recorded:
  - 0.215 = sums-0 rounds.1.held_out.before
  - 0.760 = sums-0 rounds.1.held_out.after
  - 0.70 = sums-0 rounds.1.held_out.low
  - 0.81 = sums-0 rounds.1.held_out.high
  - 7min = sums-0 seconds
- at: "| over seeds"
  recorded:
  - 0.750 = mean sums-* rounds.1.held_out.after
  - 0.740 = lowest sums-* rounds.1.held_out.after
  - 0.760 = highest sums-* rounds.1.held_out.after
- {at: "| by hand", unrecorded: 3.5s, why: timed by hand}
- at: $ make iterate
  recorded:
  - 0.215 = sums-0 rounds.1.held_out.before
  - 0.760 = sums-0 rounds.1.held_out.after
  - 0.70 = sums-0 rounds.1.held_out.low
  - 0.81 = sums-0 rounds.1.held_out.high
  unrecorded: 40s
"""
HEADER = """# Sums of two digits.
#
# Time       about 6 minutes a round
# Expect     not run; the model is reported at 0.44
name: sums
model: {temperature: 0.25}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "recipes/sums.yaml").write_text(HEADER)
    recipe = "recipes/sums.yaml:\n- {at: Time, unrecorded: 6min}\n"
    (tmp_path / "evidence/figures.yaml").write_text(ENTRIES + recipe)
    for seed, after in ((0, 0.76), (1, 0.74)):
        held_out = {"before": 0.215, "after": after, "low": 0.6964, "high": 0.8137}
        record = {"seconds": 401.2, "rounds": {"1": {"held_out": held_out}}}
        (tmp_path / f"evidence/sums-{seed}.json").write_text(json.dumps(record))
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_is_accounted_for_passes_and_what_has_no_record_is_counted(root: Path) -> None:
    assert figures.wrong(root) == []
    assert figures.unrecorded(root) == {"README.md": 2, "recipes/sums.yaml": 1}


def test_prose_may_change(root: Path) -> None:
    edit(root / "README.md", "it comes from 0.215 to", "accuracy rises from 0.215 in a round to")
    edit(root / "README.md", "# Sums", "# Sums of 2 digits\n\nA paragraph without figures, of 200 sums.")
    assert figures.wrong(root) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("README.md", "0.760 (0.70", "0.770 (0.70", "nothing accounts for 0.770"),
        ("README.md", "in 7 minutes", "in 7 minutes, of which 6.4 % are ours", "nothing accounts for 6.4%"),
        ("README.md", "# Sums", "# Sums\n\nThree digits: 0.333.", "'Three digits: 0.333.': nothing accounts for 0.333"),
        ("README.md", "│ 0.215 │", "│ 0.220 │", "nothing accounts for 0.220"),
        ("README.md", ", in 7 minutes", "", "it no longer says 7min"),
        ("README.md", "| over seeds", "| in the mean", "0 blocks begin with '| over seeds'"),
        ("README.md", "| by hand |", "| over seeds |", "2 blocks begin with '| over seeds'"),
        ("recipes/sums.yaml", "6 minutes", "8 minutes", "nothing accounts for 8min"),
        ("recipes/sums.yaml", "not run; the model is reported at 0.44", "0.44", "nothing accounts for 0.44"),
        ("recipes/sums.yaml", "not run;", "not run as a whole, of which", "nothing accounts for 0.44"),
        ("evidence/sums-1.json", "0.74", "0.72", "it says 0.750, mean sums-* rounds.1.held_out.after is 0.74"),
        ("evidence/sums-0.json", "401.2", "501.2", "it says 7min, sums-0 seconds is 8.35333"),
        ("evidence/sums-0.json", '"after"', '"later"', "sums-0.json: rounds.1.held_out.after: there is no 'after'"),
        ("evidence/figures.yaml", "sums-0 seconds", "sums-7 seconds", "sums-7 seconds: 0 records are called so"),
        ("evidence/figures.yaml", "mean sums-*", "sums-*", "2 records are called so"),
        ("evidence/figures.yaml", "recipes/sums", "recipes/none", "recipes/none.yaml: there is no such text"),
    ],
)
def test_what_does_not_agree_is_refused(root: Path, file: str, old: str, new: str, message: str) -> None:
    edit(root / file, old, new)
    assert any(message in line for line in figures.wrong(root)), figures.wrong(root)


def test_cards_are_read_as_well(root: Path) -> None:
    card = root / "pipeline/byheart/templates/model_card.md"
    card.parent.mkdir(parents=True)
    card.write_text("Right in {{ '%.3f' % share }} of the cases, as a rule 0.75.\n")
    [line] = figures.wrong(root)
    assert line.startswith("pipeline/byheart/templates/model_card.md") and line.endswith("nothing accounts for 0.75")
