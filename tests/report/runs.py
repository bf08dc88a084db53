"""Run directories that Run, Journal and compare really wrote, of answers made up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from byheart.config.recipe import Recipe, parse
from byheart.evaluation import Answer, Measure, Outcome, compare, read_measure
from byheart.evaluation.values import Valued
from byheart.files import Journal, write_records
from byheart.runs.records import CurationStats, LoadStats, SampleStats
from byheart.runs.run import Run
from byheart.runs.stages import Stage, stage
from byheart.strategies.core.sampling import read_rollouts
from byheart.tasks.core.splits import read_problems
from byheart.text import BACK
from byheart.types import Branch, Completion, Policy, Problem, Problems, Rollout, RolloutGroup, Verdict, replace
from byheart.verifiers.number import Number

EVIL = "<script>alert('x')</script><img src=https://evil.example/x.png>"


def recipe(
    samples: int = 0, by: str | None = None, same: bool = False, objective: str = "sft", seed: int = 0
) -> Recipe:
    """With `same`, fast and worked ask the very same thing."""
    worked = {"worked": {"prompt": "{problem}", "max_tokens": 8}, "fast": {"prompt": "{problem}", "max_tokens": 8}}
    return parse(
        {
            "name": "tiny",
            "seed": seed,
            "model": {"name": "some/model"},
            "task": {"name": "arithmetic", "num_train": 12, "num_dev": 40, "num_held_out": 40},
            "engine": {"name": "scripted", "script": "none.json"},
            "objective": {"name": objective},
            "evaluation": {"num_train": 12, "samples": samples, "group_by": by} | (worked if same else {}),
        }
    )


def make_problems(
    first: int = 0, wording: str = "{asked}", groups: Sequence[str] = ("1", "2"), gold: bool = True
) -> Problems:
    """Problems about the numbers from `first` on, which go to the `groups` in turn; without `gold`, unanswered."""

    def problem(n: int) -> Problem:
        asked = wording.format(asked=f"What is {n} + 1?")
        meta = {"digits": groups[n % len(groups)]}
        return Problem.of([{"role": "user", "content": asked}], str(n + 1) if gold else None, "number", meta)

    every = [problem(n) for n in range(first, first + 92)]
    return Problems(every[:12], every[12:52], every[52:])


def measure(
    problems: Problems,
    policy: str,
    right: float,
    samples: int = 0,
    unjudged: int = 0,
    slow: float | None = None,
    base: float | None = None,
    same: bool = False,
    stepwise: bool = False,
) -> Measure:
    """A policy that solves the first `right` of each split at once, a tenth more of them when it may reason (or, with
    `same`, is not asked otherwise), and `slow` of them by thinking slowly, where that is measured; the last `unjudged`
    could not be judged. `base` is what the base model solved slowly. Where it is `stepwise`, the steps of what it wrote
    have values, and it goes back in what it writes."""

    def answer(problem: Problem, position: float, judged: bool) -> Answer:
        def outcome(share: float, num_tokens: int) -> Outcome:
            solved = position < share
            response = str(problem.answer) if solved else EVIL
            text = f"9\n{BACK}{response}" if stepwise else response
            return Outcome(solved if judged else None, num_tokens, text, mentioned=None if solved else False)

        half = samples // 2
        return Answer(
            problem.id,
            fast=outcome(right, 3),
            worked=outcome(right, 3) if same else outcome(round(right + 0.1, 9), 30 - round(20 * right)),
            slow=None if slow is None or problem in problems.train else outcome(slow, 160),
            group=str(problem.meta["digits"]),
            classes=[]
            if not samples
            else [(half, True), (samples - half, False)]
            if position < right
            else [(samples, False)],
            distinct=1 if samples and position < right else 0,
            valued=[Valued([0.25, 0.75], None, [True, position < right], position < right)] if stepwise else [],
            straight=outcome(right / 2, 3) if stepwise else None,
        )

    splits = {
        name: [
            answer(problem, position / len(part), position < len(part) - unjudged)
            for position, problem in enumerate(part)
        ]
        for name, part in problems.splits().items()
    }
    measured = [problem for name in ("dev", "held_out") for problem in problems.splits()[name]]
    known: dict[str, bool | None] = (
        {} if base is None else {problem.id: position % 40 < base * 40 for position, problem in enumerate(measured)}
    )
    return Measure(policy, splits, known)


@stage(read_problems)
def load(
    work: Stage, first: int = 0, wording: str = "{asked}", groups: Sequence[str] = ("1", "2"), gold: bool = True
) -> Problems:
    problems = make_problems(first, wording, groups, gold)
    write_records(work.dir / "problems.jsonl", [problems])
    work.stats = LoadStats(len(problems.train), len(problems.dev), len(problems.held_out), 0)
    return problems


@stage(read_measure("baseline"))
def baseline(work: Stage, measured: Measure) -> Measure:
    write_records(work.dir / "baseline.jsonl", [measured])
    return measured


@stage(read_measure("evaluate"))
def evaluate(work: Stage, measured: Measure) -> Measure:
    write_records(work.dir / "evaluate.jsonl", [measured])
    return measured


def verdict(problem: Problem, rollout: Rollout) -> Verdict:
    return Verdict(rollout.id, "number", *Number().verify(problem, rollout.response))


@stage(read_rollouts)
def sample(
    work: Stage, problems: Problems, responses: Sequence[str], tree: Sequence[Branch] = ()
) -> list[RolloutGroup]:
    """Every problem is answered with each of `responses`; the verifier is said to have run out of time over "404". For
    the first of them `tree` was searched."""
    journal = Journal(work.dir, "rollouts", RolloutGroup)
    for problem in problems.train:
        texts = [text.replace("ANSWER", str(problem.answer)) for text in responses]
        completions = [Completion(text, [1, 2], "stop", "base", seed) for seed, text in enumerate(texts)]
        rollouts = [Rollout.of(problem, completion, "direct") for completion in completions]
        verdicts = [verdict(problem, rollout) for rollout in rollouts] if problem.answer else []
        late: dict[str, Any] = {"score": None, "answer": None, "reason": "the verifier ran out of time"}
        verdicts = [replace(verdict_, **late) if verdict_.answer == "404" else verdict_ for verdict_ in verdicts]
        searched = list(tree) if problem == problems.train[0] else []
        journal.append(RolloutGroup(problem.id, rollouts, verdicts, tree=searched))
    journal.close()
    num = len(problems.train)
    work.stats = SampleStats(num, num * len(responses), num * len(responses), 0, {}, num_tokens=4321, num_failed=0)
    return journal.read()


def nothing(folder: Path) -> None:
    pass


@stage(nothing)
def curate(work: Stage, counts: CurationStats) -> None:
    work.stats = counts


def counts(**known: Any) -> CurationStats:
    """What a round curated: nothing but what is `known`."""
    nothing: dict[str, Any] = {field.name: 0 for field in fields(CurationStats)}
    return CurationStats(**nothing | {"unique_rate": None, "caveats": []} | known)


ROWS = counts(num_rows=1234, hint_share=0.25)
RESPONSES = ("so ANSWER", "404", EVIL)
TREE = [
    Branch(-1, "2 + 3 = 5", visits=3, mean=0.5, value=0.75, scores={"f": 1.25, "g": 0.75, "h": 0.5}, selected=True),
    Branch(0, "so 5", ended=True, count=2, value=0.9, selected=True),
    Branch(0, "or [bold]6[/]", closed="hopeless", value=0.04),
    Branch(-1, "hm", closed="too deep"),
]


def begin(folder: Path, responses: Sequence[str] = RESPONSES, tree: Sequence[Branch] = ()) -> Path:
    """A run whose first round was sampled and no more."""
    run = Run(folder, recipe())
    problems = run.stage(1, "load", load).value
    run.stage(1, "sample", sample, problems, responses, tree)
    run.close()
    return folder


def finish(
    folder: Path,
    rights: Sequence[float],
    samples: int = 0,
    unjudged: int = 0,
    slow: float | None = 0.7,
    by: str | None = None,
    first: int = 0,
    wording: str = "{asked}",
    groups: Sequence[str] = ("1", "2"),
    gold: bool = True,
    same: bool = False,
    objective: str = "sft",
    untrained: CurationStats | None = None,
    stepwise: bool = False,
    seed: int = 0,
) -> Path:
    """A run with a round for each of `rights` after the first, which is the base model's. Where `untrained` is what
    curation counted, there was nothing to learn, and each round keeps its policy."""
    run = Run(folder, recipe(samples, by, same, objective, seed))
    policy, now = Policy("some/model"), rights[0]
    for n, right in enumerate(rights[1:], 1):
        problems = run.stage(n, "load", load, first, wording, groups, gold).value
        measured = measure(problems, policy.id, now, samples, unjudged, slow, same=same)
        before = run.stage(n, "baseline", baseline, measured).value
        run.stage(n, "sample", sample, problems, RESPONSES, TREE if stepwise else ())
        run.stage(n, "curate", curate, ROWS if untrained is None else untrained)
        name = f"adapter-{n}" if untrained is None else policy.id
        measured = measure(problems, name, right, samples, unjudged, base=slow, same=same, stepwise=stepwise)
        after = run.stage(n, "evaluate", evaluate, measured).value
        metrics = compare(before, after, run.recipe.evaluation, n=n)
        if metrics.promoted:
            policy, now = Policy("some/model", run.round_dir(n) / "adapter", f"adapter-{n}"), right
        run.finish(n, policy, metrics)
    run.close()
    return folder
