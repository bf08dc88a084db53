"""What a policy can do, with an interval on every number, and whether a new one may replace the old.

Greedy accuracy is one answer a problem at temperature 0. pass@k is the chance that one of k samples is right, by the
unbiased estimator of 2107.03374 (equation 1). Two policies are compared problem by problem on the same problems: the
paired difference with its interval, and the exact form of McNemar's test on the problems that moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from pydantic import Field
from scipy import stats

from pipeline import recipe
from pipeline.files import Journal, read_records, write_records
from pipeline.run import Stage, stage
from pipeline.strategies import direct
from pipeline.strategies.sampling import attempt
from pipeline.strategies.verifying import judged
from pipeline.types import Attempts, Engine, Policy, Problems, Record, Rollout, Verdict, digest
from pipeline.verifiers.judge import Judge


class Options(recipe.Options):
    """`num_train` of the round's training problems are measured too. With `samples`, each problem is also sampled so
    often at `temperature`, for pass@k. A new policy that is worse on the development split, with less than `alpha`
    chance of so much bad luck, is not promoted."""

    num_train: int = Field(default=100, ge=0)
    max_tokens: int = Field(default=64, ge=1)
    samples: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """How a policy did on one problem. `right` is None where the greedy answer could not be judged; `samples` of
    which `samples_right` were right are those that could be judged."""

    problem_id: str
    right: bool | None
    num_tokens: int
    response: str
    samples: int = 0
    samples_right: int = 0


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """The answers of one policy to the problems of each split."""

    policy: str
    splits: dict[str, list[Answer]]


def read_measure(name: str) -> Any:
    return lambda folder: read_records(folder / f"{name}.jsonl", Measure)[0]


@stage(read_measure("baseline"))
def baseline(
    work: Stage, problems: Problems, policy: Policy, options: Options, engine: Engine, judge: Judge
) -> Measure:
    """Measure the policy that the round starts from."""
    return _measured(work, problems, policy, options, engine, judge)


@stage(read_measure("evaluate"))
def evaluate(
    work: Stage, problems: Problems, policy: Policy, options: Options, engine: Engine, judge: Judge
) -> Measure:
    """Measure the policy that the round made."""
    return _measured(work, problems, policy, options, engine, judge)


def _measured(
    work: Stage, problems: Problems, policy: Policy, options: Options, engine: Engine, judge: Judge
) -> Measure:
    """What was asked of this policy in an earlier round, or before an interruption, is not asked again."""
    splits = problems.splits() | {"train": problems.train[: options.num_train]}
    every = [problem for part in splits.values() for problem in part]
    engine.load(policy)
    kinds = {
        "greedy": direct.Options(name="direct", samples=1, max_samples=1, temperature=0, max_tokens=options.max_tokens)
    }
    if options.samples:
        kinds["sampled"] = direct.Options(
            name="direct",
            samples=options.samples,
            enough=options.samples + 1,
            max_samples=options.samples,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
        )
    answers: dict[str, dict[str, list[tuple[Rollout, Verdict]]]] = {}
    for kind, asked in kinds.items():
        how = digest(work.recipe.model.model_dump(), work.recipe.engine.model_dump(), asked.model_dump())[:6]
        journal = Journal(work.run_dir / "measures", f"{policy.id}-{kind}-{how}", Attempts)
        seed = f"{work.seed} measure {policy.id}"
        solve = lambda problem, asked=asked: direct.solve(problem, asked)
        attempts = attempt(work, journal, every, solve, engine, judge, seed, f"{work.name} ({kind})")
        verdicts = iter(judged(work, every, attempts, engine, judge))
        answers[kind] = {one.problem_id: list(zip(one.rollouts, verdicts, strict=False)) for one in attempts}
    measure = Measure(
        policy.id,
        {
            name: [
                _answer(one.id, answers["greedy"][one.id], answers.get("sampled", {}).get(one.id, [])) for one in part
            ]
            for name, part in splits.items()
        },
    )
    write_records(work.dir / f"{work.name}.jsonl", [measure])
    return measure


def _answer(name: str, greedy: list[tuple[Rollout, Verdict]], sampled: list[tuple[Rollout, Verdict]]) -> Answer:
    if not greedy:
        return Answer(name, None, 0, "(the engine refused the prompt)")
    [(rollout, verdict)] = greedy
    scores = [one for _, one in sampled if one.score is not None]
    return Answer(
        problem_id=name,
        right=None if verdict.score is None else verdict.correct,
        num_tokens=rollout.num_tokens,
        response=rollout.response,
        samples=len(scores),
        samples_right=sum(one.correct for one in scores),
    )


# Numbers


def accuracy(answers: Sequence[Answer]) -> dict[str, Any]:
    """Greedy accuracy with its 95 % Wilson interval; unjudged answers are in a count of their own."""
    judged = [answer.right for answer in answers if answer.right is not None]
    row: dict[str, Any] = {"problems": len(answers), "unjudged": len(answers) - len(judged)}
    if judged:
        low, high = stats.binomtest(sum(judged), len(judged)).proportion_ci(method="wilson")
        row |= {"accuracy": sum(judged) / len(judged), "low": float(low), "high": float(high)}
        row["tokens"] = float(numpy.mean([answer.num_tokens for answer in answers]))
    return row


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them right, hold a right one: 1 - C(n-c, k) / C(n, k).

    Source: 2107.03374, equation 1. Raises ValueError where k is not in 1..n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k must be in 1..{n}, this is {k}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def sampled(answers: Sequence[Answer], k: int) -> dict[str, float] | None:
    """Mean pass@k over problems with a 95 % bootstrap interval that draws problems, not samples; None without any."""
    rates = [pass_at_k(one.samples, one.samples_right, k) for one in answers if one.samples >= k]
    if not rates:
        return None
    low, high = _bootstrap(rates, 0.0)
    return {"k": k, "rate": float(numpy.mean(rates)), "low": low, "high": high}


def paired(before: Sequence[Answer], after: Sequence[Answer]) -> dict[str, Any]:
    """How the same problems moved: mean change of greedy accuracy with its 95 % bootstrap interval, the ids gained and
    lost, and `p_worse`, the chance of so many losses against gains or more if neither policy were better (one-sided
    exact McNemar test)."""
    old = {answer.problem_id: answer.right for answer in before}
    both = [
        (answer.problem_id, old[answer.problem_id], answer.right)
        for answer in after
        if answer.right is not None and old.get(answer.problem_id) is not None
    ]
    gained = [name for name, was, now in both if now and not was]
    lost = [name for name, was, now in both if was and not now]
    moved = len(gained) + len(lost)
    p_worse = stats.binomtest(len(lost), moved, alternative="greater").pvalue if moved else 1.0
    changes = [float(bool(now)) - float(bool(was)) for _, was, now in both]
    low, high = _bootstrap(changes, -1.0)
    return {
        "problems": len(both),
        "change": float(numpy.mean(changes)) if changes else 0.0,
        "low": low,
        "high": high,
        "gained": gained,
        "lost": lost,
        "p_worse": float(p_worse),
    }


def compare(before: Measure, after: Measure, options: Options) -> dict[str, Any]:
    """Both measures side by side, split by split, and whether the new policy is `promoted`: if it is not worse on the
    development split by the paired test, and never for what the held-out split says. Where no development problem could
    be judged, before or after, nothing is `measured`, and the new policy is promoted as it is: no gold answer is known.
    """
    ks = sorted({1, options.samples} - {0}) if options.samples else []
    splits = {
        name: {
            side: accuracy(measure.splits[name])
            | {f"pass@{k}": rate for k in ks if (rate := sampled(measure.splits[name], k))}
            for side, measure in (("before", before), ("after", after))
        }
        | {"paired": paired(before.splits[name], after.splits[name])}
        for name in before.splits
    }
    new, dev = before.policy != after.policy, splits["dev"]["paired"]
    measured = any(answer.right is not None for side in (before, after) for answer in side.splits["dev"])
    return {
        "before": before.policy,
        "after": after.policy,
        "measured": measured,
        "promoted": bool(new and ((dev["problems"] and dev["p_worse"] >= options.alpha) or not measured)),
        "splits": splits,
    }


def _bootstrap(values: Sequence[float], lowest: float) -> tuple[float, float]:
    """A 95 % interval of the mean of `values`, which lie in `lowest`..1; where all are equal, 3/n either way (the rule
    of three for what was not seen in n trials)."""
    if not values:
        return lowest, 1.0
    if len(set(values)) == 1:
        return max(lowest, values[0] - 3 / len(values)), min(1.0, values[0] + 3 / len(values))
    rng = numpy.random.default_rng(0)
    drawn = stats.bootstrap((values,), numpy.mean, method="percentile", n_resamples=4000, rng=rng)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
