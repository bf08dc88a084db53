"""Tables for the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rich.table import Table as RichTable
from rich.text import Text
from rich.tree import Tree

from byheart.console import Console, styled
from byheart.errors import InputError
from byheart.evaluation.metrics import Kind
from byheart.report import elsewhere, figures, form, peers
from byheart.report.comparison import Comparison
from byheart.report.data import (
    SPLITS,
    Round,
    RunView,
    branch_facts,
    clip,
    cost_table,
    gold,
    matches,
    measured,
    question,
    verdict_word,
    view,
)
from byheart.report.figures import Figure, Table
from byheart.types import Problem, Rollout, Verdict

if TYPE_CHECKING:
    from byheart.planning.dry_run import Plan

console = Console()
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = 120

VERDICTS = {"right": "green", "wrong": "red", "unjudged": "yellow"}
"""Verdict in a word -> its colour."""

INDENT = " " * 11
"""Before all lines of a solution but the first, so that they stand below that."""


def show_result(folder: Path) -> None:
    """The table that ends a command: what changed, what it cost, where things are, what to type next."""
    run = measured(folder)
    last = run.finished[-1]
    metrics, curated, kind = last.metrics, last.curation, run.decided_by(last)
    console.print(_results(last, run.greedy, run.first_look))
    for name, words in SPLITS.items():
        paired = metrics.splits[name].paired.kind(kind)
        moved = f", {kind}: {len(paired.gained)} newly solved, {len(paired.lost)} newly lost"
        console.print(styled((words, "bold"), moved))
        for ids, how in ((paired.gained, "solved"), (paired.lost, "lost")):
            if ids:
                console.print(f"  {how}, e.g. {_examples(last, ids)}", style="dim")
    if heart := metrics.held_out.by_heart:
        console.print(styled(("By heart", "bold"), f", held out: {figures.by_heart_text(heart)}"))
    if text := peers.text(metrics, kind):
        console.print(styled(("Controls", "bold"), f", held out, {kind}: {text}"))
    if metrics.gains:
        console.print(styled(("Form and substance", "bold"), f", held out, {kind}: {form.text(metrics.gains)}"))
    if superficial := form.superficial(metrics, kind):
        console.print(styled((superficial, "bold")))
    for heading, text in figures.sentences(metrics):
        console.print(styled((heading, "bold"), f", held out: {text}"))
    if text := elsewhere.text(metrics):
        console.print(styled(("Elsewhere", "bold"), f", which decides nothing: {text}"))
    if run.decontaminates and curated.num_overlapping:
        console.print(f"{curated.num_overlapping} right solutions overlap with measured problems and were left out.")
    for caveat in curated.caveats:
        console.print(styled(("Note", "bold"), f": {caveat}"))
    title = f"{last.seconds:.0f} seconds, and what was neither generating nor training"
    console.print(_table(cost_table([last]), title))
    if any(record.resumed for record in last.stages.records.values()):
        console.print("A stage was resumed after an interruption; the time before that is not counted.")
    if sampled := figures.sampling(last.stages):
        console.print(styled(("Sampled", "bold"), f": {sampled}"))
    console.print(_decision(run, last))
    made = f"{last.folder / 'adapter'}" if last.promoted else f"{last.folder / 'adapter'} (not promoted)"
    for what, where in (
        ("adapter", "none" if run.untrained(last) else made),
        ("best", _best(run)),
        ("dataset", f"{last.folder / 'dataset'}"),
        ("report", f"{folder / 'report.html'}"),
        ("next", f"{_next(run)};  byheart show {quote(str(folder))}  shows what it wrote"),
    ):
        console.print(f"{what:8} {where}", soft_wrap=True)


def _next(run: RunView) -> str:
    """What to type for a further round, and after rounds.patience or rounds.most why that is not the same command."""
    if run.ends_itself:
        return f"{run.ended}  --rounds N does N more"
    return f"the same command does round {run.finished[-1].n + 1}"


def _titled(title: str, first_look: str) -> str:
    return f"{title}; {first_look}" if first_look else title


def _best(run: RunView) -> str:
    policy = f"the policy of round {run.best}" if run.best else "the policy that the run began with"
    return f"{policy}; the next round starts from {'it' if run.continues_from_best else 'the last one promoted'}"


def show_status(folder: Path) -> None:
    """A row a round, with accuracies on the held-out problems, and on those of other tasks that are measured. Then the
    versions, the hardware and the weights that the run started with, and each later change of them."""
    run = measured(folder)
    kinds = (*run.greedy, "slow")
    also = list(dict.fromkeys(name for round_ in run.finished for name in round_.metrics.also))
    rows: list[list[Figure | str]] = []
    for round_ in run.rounds:
        stage = "finished" if round_.finished else f"after {round_.done[-1]}" if round_.done else "started"
        measured_: list[Figure | str] = [""] * (len(kinds) + 2 + len(also))
        if round_.finished:
            split = round_.metrics.held_out
            fast, *others = (split.before.slow if kind == "slow" else split.after.kind(kind) for kind in kinds)
            shares = [figures.accuracy(row).value for row in others]
            apart = [figures.accuracy(round_.metrics.also[name].after).value for name in also]
            measured_ = [figures.accuracy(fast), *shares, figures.ratio(split.by_heart), figures.tokens(fast), *apart]
        curated = str(round_.stages.curate.num_rows) if round_.stages.curate else ""
        promoted = ("yes" if round_.promoted else "no") if round_.finished else ""
        promoted += ", best" if round_.finished and round_.n == run.best else ""
        rows.append([str(round_.n), stage, *measured_, curated, f"{round_.seconds:.0f}", promoted])
    numbers = (*kinds, "by heart", "tokens", *also, "rows", "seconds")
    table = Table(("round", "stage", *numbers, "promoted"), frozenset({"round", *numbers}), rows)
    console.print(_table(table, _titled(f"{run.name}: {run.model}, task {run.task}", run.first_look)))
    if run.ended:
        console.print(run.ended, soft_wrap=True)
    for n, facts in run.environments():
        text = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        console.print(f"from round {n}: {text}", soft_wrap=True)


def show_comparison(comparison: Comparison, by_round: bool) -> None:
    """Runs side by side, as they ended or `by_round`, and how certain their differences are."""
    title = f"accuracy with 95 % intervals{', round by round' if by_round else ''}"
    console.print(_table(comparison.standings(by_round), title))
    if comparison.pools:
        title = f"{SPLITS[comparison.split]}, over seeds and problems, with 95 % intervals"
        console.print(_table(comparison.over_seeds(), title))
    if comparison.differences:
        console.print(_table(comparison.changes(), f"{SPLITS[comparison.split]}, {comparison.how}"))
    for difference in comparison.differences:
        console.print(styled(f"{difference.kind}: ", (difference.words, "bold")))
    for note in comparison.notes:
        console.print(styled(("Note", "bold"), f": {note}"))


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
        console.print()
        console.print(_heading(asked), soft_wrap=True)
        for _, rollout, judged in picked:
            console.print(_solution(rollout, judged), soft_wrap=True)
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
    top = Tree(_heading(asked))
    nodes: list[Tree] = []
    for branch in group.tree:
        parent = top if branch.parent < 0 else nodes[branch.parent]
        style = "green" if branch.selected else "dim" if branch.closed and not branch.ended else "none"
        text = branch.text.strip() or "(nothing)"
        nodes.append(parent.add(styled((text, style), (f"  {branch_facts(branch)}", "dim"))))
    console.print(top)
    console.print(styled(("green", "green"), " is what was selected"), style="dim")


def show_plan(plan: Plan) -> None:
    """The resolved recipe and what each stage would do."""
    console.print(plan.recipe, soft_wrap=True)
    table = RichTable(title=plan.title)
    for heading in ("stage", "would", "estimate"):
        table.add_column(heading)
    for row in plan.stages:
        table.add_row(*row)
    console.print(table)
    for line in plan.notes:
        console.print(line, soft_wrap=True)


def _sampled_round(folder: Path, n: int | None) -> Round:
    """Round `n`, or the last one that was sampled. Raises InputError where there is none."""
    rounds = [round_ for round_ in view(folder).rounds if (round_.n == n if n else round_.sampling)]
    if not rounds:
        raise InputError(f"{folder}: {f'there is no round {n}' if n else 'nothing was sampled yet'}")
    return rounds[-1]


def _solution(rollout: Rollout, judged: Verdict) -> Text:
    """A solution, its lines below each other, with its verdict before it and what else is known of it after it."""
    word = verdict_word(judged)
    facts = [f"{rollout.num_tokens} tokens"]
    facts += ["cut off"] if rollout.finish_reason == "length" else []
    facts += [] if rollout.selected else ["not selected"]
    facts += [rollout.note] if rollout.note else []
    why = f"  ({judged.reason})" if judged.reason else ""
    text = rollout.response.strip().replace("\n", "\n" + INDENT)
    return styled("  ", (f"{word:8}", VERDICTS[word]), f" {text}", (f"{why}  {', '.join(facts)}", "dim"))


def _cell(cell: Figure | str, between: str = " ") -> Text:
    """A figure, with `between` it and its note."""
    value, interval, note = Figure(cell) if isinstance(cell, str) else cell
    parts: list[str | tuple[str, str]] = [value]
    parts += [(f" {interval}", "dim")] if interval else []
    parts += [between, (note, "dim")] if note else []
    return styled(*parts)


def _table(table: Table, title: str) -> RichTable:
    made = RichTable(title=title)
    for heading in table.headings:
        made.add_column(heading, justify="right" if heading in table.numbers else "left", overflow="fold")
    for row in table.rows:
        made.add_row(*map(_cell, row))
    return made


def _results(finished: Round, kinds: Sequence[Kind], first_look: str) -> RichTable:
    table = RichTable(title=_titled(f"round {finished.n}: accuracy with 95 % intervals", first_look))
    for heading in ("problems", "answer", "before", "after", "change", "tokens an answer"):
        table.add_column(heading)
    for name, words in SPLITS.items():
        split = finished.metrics.splits[name]
        table.add_section()
        table.add_row(f"{words} ({split.after.problems})")
        controls = peers.rows(finished.metrics, kinds) if name == "held_out" else []
        for row in [*figures.results(split, kinds), *controls]:
            answer = row.answer if row.problems is None else f"{row.answer} ({row.problems})"
            cells = (_cell(figure, between="\n") for figure in (row.before, row.after, row.change))
            table.add_row("", answer, *cells, row.tokens)
    if finished.metrics.also:
        table.add_section()
        table.add_row("elsewhere")
    for row in elsewhere.rows(finished.metrics):
        cells = (_cell(figure, between="\n") for figure in (row.before, row.after, row.change))
        table.add_row("", f"{row.answer} ({row.problems})", *cells, row.tokens)
    return table


def _decision(run: RunView, finished: Round) -> Text:
    """Whether the new policy is promoted, by what and why."""
    metrics = finished.metrics
    if why := run.untrained(finished):
        return styled(f"{why} There is ", ("no new policy", "bold"), ".")
    decision = styled("")
    if metrics.measured:
        kind = run.decided_by(finished)
        decision += styled(f"The {kind} answers to the development problems decide: ")
        decision += _cell(figures.deciding(metrics.dev.paired.kind(kind), metrics.alpha), between=", ") + styled(".\n")
        if metrics.against_best:
            decision += styled("Against the best so far: ")
            decision += _cell(figures.deciding(metrics.against_best, metrics.alpha), between=", ") + styled(".\n")
    return decision + styled((figures.decision(metrics), "bold"))


def _examples(finished: Round, ids: Sequence[str]) -> str:
    problems = finished.problems()
    asked = [question(finished.found(problems, name)) for name in islice(ids, 2)]
    return "; ".join(clip(" ".join(text.split()), 20, 60) for text in asked)


def _heading(asked: Problem) -> Text:
    return styled((question(asked), "bold"), f"  answer {gold(asked)}  ", (asked.id, "dim"))
