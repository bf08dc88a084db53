"""Tables for the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from byheart.errors import InputError
from byheart.evaluation.metrics import Accuracy, ByHeart, Kind, Paired, Rate
from byheart.report.comparison import Comparison, Difference
from byheart.report.data import (
    SPLITS,
    Cost,
    Round,
    back_text,
    branch_facts,
    by_heart_text,
    clip,
    gold,
    main_rates,
    matches,
    measured,
    question,
    ratio_text,
    reliability_text,
    verdict_word,
    view,
)

if TYPE_CHECKING:
    from byheart.planning.dry_run import Plan

console = Console(highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 120

VERDICTS = {"right": "green", "wrong": "red", "unjudged": "yellow"}
"""Verdict in a word -> its colour."""


def show_result(folder: Path) -> None:
    """The table that ends a command: what changed, what it cost, where things are, what to type next."""
    run = measured(folder)
    last = run.finished[-1]
    metrics, curated, kind = last.metrics, last.curation, run.decided_by(last)
    console.print(_accuracies(last, run.greedy))
    for name, words in SPLITS.items():
        moved = metrics.splits[name].paired.kind(kind)
        console.print(
            f"[bold]{words}[/], {kind}: {len(moved.gained)} newly solved, {len(moved.lost)} newly lost"
            + _examples(last, moved.gained, "solved")
            + _examples(last, moved.lost, "lost")
        )
    if heart := metrics.held_out.by_heart:
        console.print(f"[bold]By heart[/], held out: {by_heart_text(heart)}")
    if values := metrics.held_out.after.values:
        promoted = "promoted" if metrics.scorer_promoted else "[bold]not promoted[/]"
        console.print(f"[bold]Values of steps[/], held out: {reliability_text(values)}. The value model is {promoted}.")
    if back := metrics.held_out.after.back:
        console.print(f"[bold]Going back[/], held out: {back_text(back)}.")
    if run.decontaminates and curated.num_overlapping:
        console.print(f"{curated.num_overlapping} right solutions overlap with measured problems and were left out.")
    for caveat in curated.caveats:
        console.print(f"[bold]Note[/]: {escape(caveat)}")
    console.print(_costs(last))
    if any(record.resumed for record in last.stages.records.values()):
        console.print("A stage was resumed after an interruption; the time before that is not counted.")
    adapter = f"{last.folder / 'adapter'}"
    dev = metrics.dev.paired.kind(kind)
    decision = f"The {kind} answers to the development problems decide: {_change(dev)}, p worse {_p(dev.p_worse)}."
    if why := run.untrained(last):
        console.print(f"{why} There is [bold]no new policy[/].")
        adapter = "none"
    elif not metrics.measured:
        console.print("No development problem could be judged: the new policy is promoted [bold]unmeasured[/].")
    elif last.promoted:
        console.print(f"{decision}\nThe new policy is promoted: the next round starts from it.")
    else:
        console.print(f"{decision}\nThe new policy is worse and [bold]not promoted[/].")
        adapter += " (not promoted)"
    for what, where in (
        ("adapter", adapter),
        ("dataset", f"{last.folder / 'dataset'}"),
        ("report", f"{folder / 'report.html'}"),
        ("next", f"the same command does round {last.n + 1};  byheart show {folder}  shows what it wrote"),
    ):
        console.print(f"{what:8} {where}", markup=False, soft_wrap=True)


def show_status(folder: Path) -> None:
    """A row a round, with accuracies on the held-out problems. Then the versions, the hardware and the weights that the
    run started with, and each later change of them."""
    run = measured(folder)
    table = Table(title=f"{run.name}: {run.model}, task {run.task}")
    kinds = (*run.greedy, "slow")
    for heading in ("round", "stage", *kinds, "by heart", "tokens", "rows", "seconds", "promoted"):
        table.add_column(heading, justify="left" if heading in ("stage", "promoted") else "right")
    for round_ in run.rounds:
        seconds = f"{sum(cost.seconds for cost in round_.costs()):.0f}"
        rows = str(round_.stages.curate.num_rows) if round_.stages.curate else ""
        if round_.finished:
            split = round_.metrics.held_out
            table.add_row(
                str(round_.n), "finished", _accuracy(split.after.fast),
                *(_share(split.after.kind(kind)) for kind in run.greedy[1:]), _share(split.before.slow),
                _ratio(split.by_heart), _tokens(split.after.fast), rows, seconds, "yes" if round_.promoted else "no",
            )  # fmt: skip
        else:
            unknown = [""] * len((*kinds, "by heart", "tokens"))
            table.add_row(
                str(round_.n), f"after {round_.done[-1]}" if round_.done else "started", *unknown, rows, seconds, ""
            )
    console.print(table)
    for n, facts in run.environments():
        text = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        console.print(f"from round {n}: {text}", markup=False, soft_wrap=True)


def show_comparison(comparison: Comparison, by_round: bool) -> None:
    """Runs side by side, as they ended or `by_round`, and how certain their differences are."""
    table = Table(title=f"accuracy with 95 % intervals{', round by round' if by_round else ''}")
    for heading in ("problems", "", "round", "run", *comparison.kinds, "tokens an answer", "tokens sampled"):
        right = heading in ("", "round", "tokens sampled")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in comparison.rows(by_round):
        accuracies = [row.kind(kind) for kind in comparison.kinds]
        table.add_row(
            SPLITS[row.split], str(row.fast.problems), str(row.stand.n), escape(row.run.name),
            *map(_accuracy, accuracies), ", ".join(map(_tokens, accuracies)), f"{row.stand.num_tokens:,}",
        )  # fmt: skip
    console.print(table)
    table = Table(title=f"{SPLITS[comparison.split]}, against {escape(comparison.runs[0].name)}, problem by problem")
    for heading in ("run", "answer", "problems", "change", "only it", "only the first", "p", "p, Holm"):
        left = heading in ("run", "answer", "change")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for difference in comparison.differences:
        table.add_row(
            escape(difference.run), difference.kind, str(difference.problems), _change(difference),
            str(difference.gained), str(difference.lost), _p(difference.p), _p(difference.holm),
        )  # fmt: skip
    console.print(table)
    for difference in comparison.differences:
        console.print(f"{difference.kind}: [bold]{escape(difference.words)}[/]")
    for note in comparison.notes:
        console.print(f"[bold]Note[/]: {escape(note)}")


def show_rollouts(folder: Path, n: int | None, problem: str | None, verdict: str | None, limit: int) -> None:
    """Sampled solutions of round `n`, by default the last, with their verdicts: those of at most `limit` problems, and
    only those that `problem` (see data.matches) and `verdict` ask for."""
    if verdict not in (None, *VERDICTS):
        raise InputError(f"--verdict is right, wrong or unjudged, not {verdict!r}")
    shown = 0
    for asked, solutions in groupby(_sampled_round(folder, n).solutions(), key=lambda solution: solution[0]):
        picked = [solution for solution in solutions if verdict in (None, verdict_word(solution[2]))]
        if not picked or (problem and not matches(asked, problem)):
            continue
        if shown == limit:
            console.print("... more with --limit", style="dim")
            break
        shown += 1
        console.print(f"\n{_heading(asked.id, question(asked), gold(asked))}")
        for _, rollout, judged in picked:
            word = verdict_word(judged)
            why = f"  ({judged.reason})" if judged.reason else ""
            facts = [f"{rollout.num_tokens} tokens"]
            facts += ["cut off"] if rollout.finish_reason == "length" else []
            facts += [] if rollout.selected else ["not selected"]
            facts += [rollout.note] if rollout.note else []
            text = escape(" ".join(rollout.response.split()))
            console.print(f"  [{VERDICTS[word]}]{word:8}[/] {text}[dim]{escape(why)}  {escape(', '.join(facts))}[/]")
    if not shown:
        console.print("nothing matches")


def show_tree(folder: Path, n: int | None, problem: str) -> None:
    """The tree that the strategy searched for one problem of round `n`, by default the last: its steps, their values,
    and why the search stopped there."""
    searched = _sampled_round(folder, n)
    tree = next(((asked, group) for asked, group in searched.trees() if matches(asked, problem)), None)
    if tree is None:
        raise InputError(
            f"{folder}, round {searched.n}: no tree was searched for a problem whose id begins with {problem!r} or "
            "whose question contains it; only strategies such as q_star, mcts and beam search trees"
        )
    asked, group = tree
    top = Tree(_heading(asked.id, question(asked), gold(asked)))
    nodes: list[Tree] = []
    for branch in group.tree:
        parent = top if branch.parent < 0 else nodes[branch.parent]
        style = "green" if branch.selected else "dim" if branch.closed and not branch.ended else "none"
        text = escape(" ".join(branch.text.split())) or "(nothing)"
        nodes.append(parent.add(f"[{style}]{text}[/]  [dim]{branch_facts(branch)}[/]"))
    console.print(top)
    console.print("[green]green[/] is what was selected", style="dim")


def show_plan(plan: Plan) -> None:
    """The resolved recipe and what each stage would do."""
    console.print(plan.recipe, markup=False)
    table = Table(title=plan.title)
    for heading in ("stage", "would", "estimate"):
        table.add_column(heading)
    for row in plan.stages:
        table.add_row(*row)
    console.print(table)
    for line in plan.notes:
        console.print(line, markup=False)


def _sampled_round(folder: Path, n: int | None) -> Round:
    """Round `n`, or the last one that was sampled. Raises InputError where there is none."""
    rounds = [round_ for round_ in view(folder).rounds if (round_.n == n if n else round_.sampling)]
    if not rounds:
        raise InputError(f"{folder}: {f'there is no round {n}' if n else 'nothing was sampled yet'}")
    return rounds[-1]


def _accuracies(finished: Round, kinds: Sequence[Kind]) -> Table:
    table = Table(title=f"round {finished.n}: accuracy with 95 % intervals")
    for heading in ("problems", "answer", "before", "after", "change", "tokens an answer"):
        table.add_column(heading)
    for name, words in SPLITS.items():
        split = finished.metrics.splits[name]
        table.add_section()
        table.add_row(f"{words} ({split.after.fast.problems})")
        for kind in kinds:
            before, after = split.before.kind(kind), split.after.kind(kind)
            assert before and after, "greedy answers are always measured"
            table.add_row(
                "", kind, _accuracy(before), _accuracy(after), _change(split.paired.kind(kind)),
                f"{_tokens(before)} → {_tokens(after)}",
            )  # fmt: skip
            if before.unjudged or after.unjudged:
                table.add_row("", "  unjudged", str(before.unjudged), str(after.unjudged))
        if slow := split.before.slow:
            table.add_row("", f"slow ({slow.problems})", _accuracy(slow), "", "", _tokens(slow))
        if heart := split.by_heart:
            table.add_row("", "by heart", "", _ratio(heart))
        for rate in main_rates(split.after):
            table.add_row("", rate, _rate(split.before.sampled.get(rate)), _rate(split.after.sampled[rate]))
    return table


def _costs(finished: Round) -> Table:
    costs = finished.costs()
    total = Cost.total("all", costs)
    table = Table(title=f"{total.seconds:.0f} seconds, and what was neither generating nor training")
    for heading in ("stage", "seconds", "generating", "training", "engine start", "own overhead", "of the round"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for cost in [*costs, total]:
        seconds = (cost.seconds, cost.generating, cost.training, cost.start, cost.overhead)
        share = f"{(cost.overhead + cost.start) / total.seconds:.1%}" if total.seconds else ""
        table.add_row(cost.stage, *(f"{number:.1f}" for number in seconds), share)
    return table


def _examples(finished: Round, ids: list[str], how: str) -> str:
    problems = finished.problems()
    questions = "; ".join(clip(" ".join(question(problems[name]).split()), 20, 60) for name in islice(ids, 2))
    return f"\n  [dim]{how}, e.g. {escape(questions)}[/]" if questions else ""


def _heading(name: str, asked: str, answer: str) -> str:
    return f"[bold]{escape(asked)}[/]  answer {escape(answer)}  [dim]{name}[/]"


def _accuracy(row: Accuracy) -> str:
    return "unjudged" if row.accuracy is None else f"{row.accuracy:.3f} [dim]({row.low:.2f}-{row.high:.2f})[/]"


def _rate(row: Rate | None) -> str:
    return f"{row.rate:.3f} [dim]({row.low:.2f}-{row.high:.2f})[/]" if row else ""


def _share(row: Accuracy | None) -> str:
    return "" if row is None or row.accuracy is None else f"{row.accuracy:.3f}"


def _ratio(heart: ByHeart | None) -> str:
    return ratio_text(heart).replace(" (", " [dim](").replace("–", "-") + "[/]" if heart else ""


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _change(row: Paired | Difference) -> str:
    return f"{row.change:+.3f} [dim]({row.low:+.2f} to {row.high:+.2f})[/]"


def _tokens(row: Accuracy) -> str:
    return "-" if row.tokens is None else f"{row.tokens:.1f}"
