"""Tables for the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from byheart.errors import InputError
from byheart.report.comparison import Comparison
from byheart.report.data import (
    SPLITS,
    Round,
    asked,
    believed,
    caught_up,
    clip,
    fits,
    gold,
    measured,
    measures,
    ratio,
    sampled,
    view,
    went_back,
    word,
)

console = Console(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 120


def show_result(folder: Path) -> None:
    """The table that ends a command: what changed, what it cost, where things are, what to type next."""
    run = measured(folder)
    last = run.finished[-1]
    kind = run.decided_by(last)
    console.print(_accuracies(last, run.greedy))
    for name, words in SPLITS.items():
        moved = last.numbers["splits"][name]["paired"][kind]
        console.print(
            f"[bold]{words}[/], {kind}: {len(moved['gained'])} newly solved, {len(moved['lost'])} newly lost"
            + _examples(last, moved["gained"], "solved")
            + _examples(last, moved["lost"], "lost")
        )
    if heart := last.numbers["splits"]["held_out"].get("by_heart"):
        console.print(f"[bold]By heart[/], held out: {caught_up(heart)}")
    after = last.numbers["splits"]["held_out"]["after"]
    if values := after.get("values"):
        kept = "promoted" if last.numbers["scorer_promoted"] else "[bold]not promoted[/]"
        console.print(f"[bold]Values of steps[/], held out: {believed(values)}. The value model is {kept}.")
    if back := after.get("back"):
        console.print(f"[bold]Going back[/], held out: {went_back(back)}.")
    curated = last.numbers["curation"]
    if run.recipe["curation"].get("decontaminate") and curated.get("num_overlapping"):
        console.print(f"{curated['num_overlapping']} right solutions overlap with measured problems and were left out.")
    for caveat in curated.get("caveats", []):
        console.print(f"[bold]Note[/]: {escape(caveat)}")
    console.print(_costs(last))
    if any(record.get("resumed") for record in last.stages.values()):
        console.print("A stage was resumed after an interruption; the time before that is not counted.")
    adapter = f"{last.folder / 'adapter'}"
    dev = last.numbers["splits"]["dev"]["paired"][kind]
    decided = f"The {kind} answers to the development problems decide: {_change(dev)}, p worse {_p(dev['p_worse'])}."
    if why := run.untrained(last):
        console.print(f"{why} There is [bold]no new policy[/].")
        adapter = "none"
    elif not last.numbers["measured"]:
        console.print("No development problem could be judged: the new policy is promoted [bold]unmeasured[/].")
    elif last.promoted:
        console.print(f"{decided}\nThe new policy is promoted: the next round starts from it.")
    else:
        console.print(f"{decided}\nThe new policy is worse and [bold]not promoted[/].")
        adapter += " (not promoted)"
    for what, where in (
        ("adapter", adapter),
        ("dataset", f"{last.folder / 'dataset'}"),
        ("report", f"{folder / 'report.html'}"),
        ("next", f"the same command does round {last.n + 1};  byheart show {folder}  shows what it wrote"),
    ):
        console.print(f"{what:8} {where}", markup=False, soft_wrap=True)


def show_status(folder: Path) -> None:
    """One line a round; accuracies are of the held-out problems. Then the versions, the hardware and the weights that
    the run began with, and those that changed from some round on."""
    run = measured(folder)
    table = Table(title=f"{run.recipe['name']}: {run.recipe['model']['name']}, task {run.recipe['task']['name']}")
    kinds = (*run.greedy, "slow")
    for heading in ("round", "stage", *kinds, "by heart", "tokens", "rows", "seconds", "promoted"):
        table.add_column(heading, justify="left" if heading in ("stage", "promoted") else "right")
    for one in run.rounds:
        done = [name for name, record in one.stages.items() if record["status"] == "done"]
        seconds = f"{sum(row['seconds'] for row in one.costs()):.0f}"
        rows = str(one.stages.get("curate", {}).get("num_rows", ""))
        if one.metrics:
            split = one.metrics["splits"]["held_out"]
            table.add_row(
                str(one.n), "finished", _rate(split["after"]["fast"]),
                *(_share(split["after"][kind]) for kind in run.greedy[1:]), _share(split["before"].get("slow", {})),
                _ratio(split.get("by_heart")), _tokens(split["after"]["fast"]), rows, seconds,
                "yes" if one.promoted else "no",
            )  # fmt: skip
        else:
            unknown = [""] * len((*kinds, "by heart", "tokens"))
            table.add_row(str(one.n), f"after {done[-1]}" if done else "begun", *unknown, rows, seconds, "")
    console.print(table)
    for n, facts in run.environments():
        said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        console.print(f"from round {n}: {said}", markup=False, soft_wrap=True)


def show_comparison(found: Comparison, by_round: bool) -> None:
    """Runs side by side, each by its last policy or `by_round`, and how sure one can be of their differences."""
    table = Table(title=f"accuracy with 95 % intervals{', round by round' if by_round else ''}")
    for heading in ("problems", "", "round", "run", *found.kinds, "tokens an answer", "tokens sampled"):
        right = heading in ("", "round", "tokens sampled")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in found.rows(by_round):
        numbers = [getattr(row, kind) for kind in found.kinds]
        table.add_row(
            SPLITS[row.split], str(row.fast["problems"]), str(row.stand.n), escape(row.run.name), *map(_rate, numbers),
            ", ".join(map(_tokens, numbers)), f"{row.stand.num_tokens:,}",
        )  # fmt: skip
    console.print(table)
    table = Table(title=f"{SPLITS[found.split]}, against {escape(found.runs[0].name)}, problem by problem")
    for heading in ("run", "answer", "problems", "change", "only it", "only the first", "p", "p, Holm"):
        left = heading in ("run", "answer", "change")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for one in found.differences:
        table.add_row(
            escape(one.run), one.kind, str(one.problems), _change(asdict(one)), str(one.gained), str(one.lost),
            _p(one.p), _p(one.holm),
        )  # fmt: skip
    console.print(table)
    for one in found.differences:
        console.print(f"{one.kind}: [bold]{escape(one.words)}[/]")
    for note in found.notes:
        console.print(f"[bold]Note[/]: {escape(note)}")


def show_rollouts(folder: Path, n: int | None, problem: str | None, verdict: str | None, limit: int) -> None:
    """Sampled solutions, problem by problem, with their verdicts."""
    if verdict not in (None, "right", "wrong", "unjudged"):
        raise InputError(f"--verdict is right, wrong or unjudged, not {verdict!r}")
    rounds = [one for one in view(folder).rounds if (one.n == n if n else "sample" in one.stages)]
    if not rounds:
        raise InputError(f"{folder}: {f'there is no round {n}' if n else 'nothing was sampled yet'}")
    shown = 0
    groups = groupby(rounds[-1].solutions(), key=lambda row: row[0])
    for one, rows in groups:
        picked = [row for row in rows if verdict in (None, word(row[2]))]
        if not picked or (problem and not fits(one, problem)):
            continue
        if shown == limit:
            console.print("... more with --limit", style="dim")
            break
        shown += 1
        console.print(f"\n[bold]{escape(asked(one))}[/]  answer {escape(gold(one))}  [dim]{one.id}[/]")
        for _, rollout, said in picked:
            says = word(said)
            style = {"right": "green", "wrong": "red", "unjudged": "yellow"}[says]
            why = f"  ({said.reason})" if said.reason else ""
            cut = ", cut off" if rollout.finish_reason == "length" else ""
            text = escape(" ".join(rollout.response.split()))
            console.print(f"  [{style}]{says:8}[/] {text}[dim]{escape(why)}  {rollout.num_tokens} tokens{cut}[/]")
    if not shown:
        console.print("nothing fits what you asked for")


def show_tree(folder: Path, n: int | None, problem: str) -> None:
    """The tree that the strategy searched for one problem: its steps, what they were worth, and why it stopped
    there."""
    rounds = [one for one in view(folder).rounds if (one.n == n if n else "sample" in one.stages)]
    if not rounds:
        raise InputError(f"{folder}: {f'there is no round {n}' if n else 'nothing was sampled yet'}")
    found = next((one for one in rounds[-1].trees() if fits(one[0], problem)), None)
    if found is None:
        raise InputError(
            f"{folder}, round {rounds[-1].n}: no tree was searched for a problem whose id begins with {problem!r} or "
            "that says so; only q_star, mcts and beam search one, for the problems that they were given"
        )
    asked_, attempts = found
    top = Tree(f"[bold]{escape(asked(asked_))}[/]  answer {escape(gold(asked_))}  [dim]{asked_.id}[/]")
    places: list[Tree] = []
    for branch in attempts.tree:
        above = top if branch.parent < 0 else places[branch.parent]
        style = "green" if branch.chosen else "dim" if branch.closed and not branch.ended else "none"
        text = escape(" ".join(branch.text.split())) or "(nothing)"
        places.append(above.add(f"[{style}]{text}[/]  [dim]{measures(branch)}[/]"))
    console.print(top)
    console.print("[green]green[/] is what was chosen", style="dim")


def show_recipes(paths: list[Path]) -> None:
    """The shipped recipes with the first line of their headers."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for path in paths:
        first = next((line[1:].strip() for line in path.read_text("utf-8").splitlines() if line.startswith("#")), "")
        table.add_row(path.stem, first)
    console.print(table)


def show_plan(plan: dict[str, Any]) -> None:
    """The resolved recipe and what each stage would do."""
    console.print(plan["recipe"], markup=False)
    table = Table(title=plan["title"])
    for heading in ("stage", "would", "estimate"):
        table.add_column(heading)
    for row in plan["stages"]:
        table.add_row(*row)
    console.print(table)
    for line in plan["notes"]:
        console.print(line, markup=False)


def _accuracies(one: Round, kinds: Sequence[str]) -> Table:
    table = Table(title=f"round {one.n}: accuracy with 95 % intervals")
    for heading in ("problems", "answer", "before", "after", "change", "tokens an answer"):
        table.add_column(heading)
    for name, words in SPLITS.items():
        split = one.numbers["splits"][name]
        before, after = split["before"], split["after"]
        table.add_section()
        table.add_row(f"{words} ({after['fast']['problems']})")
        for kind in kinds:
            table.add_row(
                "", kind, _rate(before[kind]), _rate(after[kind]), _change(split["paired"][kind]),
                f"{_tokens(before[kind])} → {_tokens(after[kind])}",
            )  # fmt: skip
            if before[kind]["unjudged"] or after[kind]["unjudged"]:
                table.add_row("", "  unjudged", str(before[kind]["unjudged"]), str(after[kind]["unjudged"]))
        if slow := before.get("slow"):
            table.add_row("", f"slow ({slow['problems']})", _rate(slow), "", "", _tokens(slow))
        if heart := split.get("by_heart"):
            table.add_row("", "by heart", "", _ratio(heart))
        for key in sampled(after):
            table.add_row("", key, _interval(before.get(key)), _interval(after[key]))
    return table


def _costs(one: Round) -> Table:
    rows = one.costs()
    total = sum(row["seconds"] for row in rows)
    table = Table(title=f"{total:.0f} seconds, and what was neither generating nor training")
    for heading in ("stage", "seconds", "generating", "training", "engine start", "own overhead", "of the round"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in [*rows, {"stage": "all", **{key: sum(row[key] for row in rows) for key in rows[0] if key != "stage"}}]:
        table.add_row(
            row["stage"], *(f"{row[key]:.1f}" for key in ("seconds", "generating", "training", "start", "overhead")),
            f"{(row['overhead'] + row['start']) / total:.1%}" if total else "",
        )  # fmt: skip
    return table


def _examples(one: Round, ids: list[str], how: str) -> str:
    problems = one.problems()
    names = "; ".join(clip(" ".join(asked(problems[name]).split()), 20, 60) for name in islice(ids, 2))
    return f"\n  [dim]{how}, e.g. {escape(names)}[/]" if names else ""


def _rate(row: dict[str, Any]) -> str:
    return f"{row['accuracy']:.3f} [dim]({row['low']:.2f}-{row['high']:.2f})[/]" if "accuracy" in row else "unjudged"


def _interval(row: dict[str, Any] | None) -> str:
    return f"{row['rate']:.3f} [dim]({row['low']:.2f}-{row['high']:.2f})[/]" if row else ""


def _share(row: dict[str, Any]) -> str:
    return f"{row['accuracy']:.3f}" if "accuracy" in row else ""


def _ratio(row: dict[str, Any] | None) -> str:
    return ratio(row).replace(" (", " [dim](").replace("–", "-") + "[/]" if row else ""


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _change(row: dict[str, Any]) -> str:
    return f"{row['change']:+.3f} [dim]({row['low']:+.2f} to {row['high']:+.2f})[/]"


def _tokens(row: dict[str, Any]) -> str:
    return f"{row['tokens']:.1f}" if "tokens" in row else "-"
