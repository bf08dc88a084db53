"""What it is worth to think slowly with a run's last policy and its scorer, at equal tokens, on held-out problems.

usage: make bench-slow RUN=runs/q_star [SLOW_PROBLEMS=200]

No way to answer is shown what is right. All that go by samples are counted on the same 32 of each problem, over all
draws of k of them: one; the commonest of k; the likeliest of k under the policy; the best of k by the scorer, and where
it values steps, by the last, the lowest or the product of their values; any of k, which nobody could choose without
knowing. With a scorer of steps come the searches: Q* by either reward, beam search and its diverse kind, and MCTS by
each of its rules. Each is held against all these ways to choose among samples for as many tokens, problem by problem.

And for 64 problems searched at once by Q*: tokens per second against plain sampling with the same engine (wanted: at
least 0.8), against samples whose steps are valued, against one search at a time, and against the same engine with one
sequence at a time (wanted: 10); and the share of the tokens to be valued that came from the prefix cache (wanted: at
least 0.9), as the problems are, and with worked examples before each.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from byheart import models, recipe, weights
from byheart.engines.vllm import VLLM, at_once
from byheart.evaluation.statistics import best_at_k, maj_at_k, mean_interval, pass_at_k
from byheart.evaluation.values import auc
from byheart.report.data import view
from byheart.run import Run
from byheart.steps import AGGREGATE
from byheart.strategies import best_of
from byheart.strategies.asking import begin, put
from byheart.strategies.driver import drive
from byheart.types import Attempts, Generate, Policy, Problem, Rollout, Solver, Verdict, Verify, replace
from byheart.verifiers.consensus import comparing, grouped
from byheart.verifiers.judge import Judge
from byheart.verifiers.pool import Pool
from rich.console import Console
from rich.table import Column, Table

SAMPLES = 32
KS = (1, 4, 8, 16, SAMPLES)
CUT_OFF = -1e9  # less than any score
TOGETHER, ALONE, SHOWN = 64, 4, 8
"""How many problems are searched at once, and how many one at a time; worked examples before a long problem."""


def searches(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ways to search by the values of steps, with these options in common."""
    mcts = {"name": "mcts", "visits": 64, "width": 4}
    ways: dict[str, dict[str, Any]] = {
        "Q*": {"name": "q_star", "width": 4, "solutions": 4},
        "Q*, first solution": {"name": "q_star", "width": 4, "solutions": 1},
        "Q*, by probability": {"name": "q_star", "width": 4, "solutions": 4, "reward": "probability"},
        "beam": {"name": "beam", "beams": 4, "width": 4},
        "beam, diverse": {"name": "beam", "beams": 4, "width": 4, "diverse": True},
        "MCTS, ReST-MCTS*": mcts | {"rule": "rest_mcts"},
        "MCTS, PUCT": mcts | {"rule": "puct"},
        "MCTS, UCT": mcts | {"rule": "uct"},
        "MCTS, rStar": mcts | {"rule": "rstar"},
    }
    return {name: options | way for name, way in ways.items()}


def main() -> None:
    if "RUN" not in os.environ:
        sys.exit("name a run whose last policy has a scorer: make bench-slow RUN=runs/q_star")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # each search is shown as it ends
    folder, most = Path(os.environ["RUN"]), int(os.environ.get("SLOW_PROBLEMS", "200"))
    chosen = recipe.parse(yaml.safe_load((folder / "recipe.yaml").read_text("utf-8")))
    last = view(folder).finished[-1]
    run = Run(folder, chosen)
    policy = run.policy(last.n)
    run.close()
    if policy.scorer is None:
        sys.exit(
            f"{folder}: the policy of round {last.n} has no scorer; one is trained by objective: vstar, step_value"
        )
    problems = [last.problems()[one.problem_id] for one in last.measure("evaluate").splits["held_out"]][:most]
    engine = started(chosen, chosen.engine, policy)
    with Pool() as pool:
        Bench(engine, Judge(chosen.task.verifier, pool), chosen, policy, problems).run()


class Counting(VLLM):
    """vLLM, and how much of what was to be valued it had in its cache."""

    tokens = cached_tokens = 0

    def _take(self, output: Any) -> None:
        if not isinstance(self._open[output.request_id], Generate):
            self.tokens += len(output.prompt_token_ids)
            self.cached_tokens += output.num_cached_tokens
        super()._take(output)


def started(chosen: recipe.Recipe, options: Any, policy: Policy) -> Counting:
    """An engine that has loaded `policy`, with room for worked examples before a problem."""
    model = chosen.model.model_copy(update={"max_context": 2 * chosen.model.max_context})
    engine = Counting(options, models.fetch(model), model, Path(tempfile.mkdtemp()) / "engine.log")
    engine.load(policy)
    return engine


class Bench:
    def __init__(
        self, engine: Counting, judge: Judge, chosen: recipe.Recipe, policy: Policy, problems: list[Problem]
    ) -> None:
        self.engine, self.judge, self.problems = engine, judge, problems
        self.recipe, self.policy = chosen, policy
        self.steps = weights.signs(policy) is not None
        budget, warm = chosen.evaluation.worked.max_tokens, chosen.evaluation.temperature
        self.direct = {"name": "direct", "enough": SAMPLES + 1, "max_tokens": budget, "temperature": warm}
        self.search = {
            "step": chosen.curation.step,
            "step_tokens": budget // 2,
            "temperature": warm,
            "among": "all",
            "max_tokens": SAMPLES * budget // 2,
        }
        self.aggregates = ("last", "min", "product") if self.steps else ("last",)

    def run(self) -> None:
        sampled = self.samples()
        greedy, _ = self.tried(self.problems, self.direct | {"samples": 1, "max_samples": 1, "temperature": 0})
        each, ways = _tokens(sampled) / SAMPLES, self.ways(sampled)
        print(f"{len(self.problems)} held-out problems; 95 % intervals; {each:.1f} tokens a sample")
        first = [float(_right(one)[0]) for one in greedy]
        print(f"greedy: {_mean(first, 0.0)}, {_tokens(greedy):.1f} tokens")
        table = Table("of k samples", *(Column(f"k = {k}", justify="right") for k in KS))
        for name, by_k in ways.items():
            table.add_row(name, *(_mean(by_k[k - 1], 0.0) for k in KS))
        Console(width=130).print(table)
        most = ways["the commonest"][KS[-2] - 1]
        for name, by_k in ways.items():
            if name.startswith("the best"):
                print(f"{name} less the commonest, of {KS[-2]}: {_less(by_k[KS[-2] - 1], most)}")
        if self.steps:
            self.together()
            others = {name: by_k for name, by_k in ways.items() if not name.startswith("any")}
            for name, options in searches(self.search).items():
                attempts, _ = self.tried(self.problems, options)
                right, k = self.chosen(attempts), _tokens(attempts) / each
                none = statistics.mean(not one.rollouts for one in attempts)
                print(
                    f"{name}: {_mean(right, 0.0)}, {_tokens(attempts):.0f} tokens, as many as {k:.1f} samples have; no "
                    f"solution found for {none:.1%}"
                )
                for other, by_k in others.items():
                    less = _less(right, _between(by_k, k)) if k <= SAMPLES else "it has more tokens than all samples"
                    print(f"    less {other}: {less}")

    def samples(self) -> list[Attempts]:
        """So many of each problem, the value of each its log-likelihood under the policy (nats)."""
        budget, warm = self.direct["max_tokens"], self.direct["temperature"]

        def ask(problem: Problem) -> Solver:
            [written] = yield [Generate(problem.prompt, SAMPLES, warm, max_tokens=budget, logprob=True)]
            yield [Verify(problem, [one.text for one in written])]
            return [Rollout.of(problem, one, "bench", value=one.logprob) for one in written]

        return self.drive([(problem, ask(problem)) for problem in self.problems])

    def tried(self, problems: Sequence[Problem], strategy: dict[str, Any]) -> tuple[list[Attempts], float]:
        """All attempts in the order of the problems, and the seconds they took."""
        options = recipe.chosen("strategies", strategy)
        for llm in self.engine._llms.values():
            llm.reset_prefix_cache()
        began = time.perf_counter()
        return self.drive([(one, begin(one, options)) for one in problems]), time.perf_counter() - began

    def ways(self, attempts: list[Attempts]) -> dict[str, list[list[float]]]:
        """By name and k, from 1, how often a way to choose of k samples is right on each problem."""
        rights, classes = [_right(one) for one in attempts], self.classes(attempts)
        every = range(1, SAMPLES + 1)
        ways = {"the commonest": [[maj_at_k(one, k) for one in classes] for k in every]}
        for name, scores in self.scores(attempts).items():
            scored = [list(zip(*both, strict=True)) for both in zip(scores, rights, strict=True)]
            ways[name] = [[best_at_k(one, k) for one in scored] for k in every]
            flat = [(score, right) for one in scored for score, right in one if score > CUT_OFF]
            good, bad = ([score for score, right in flat if right is wanted] for wanted in (True, False))
            print(f"AUC of {name}: {auc(good, bad):.3f} ({len(good)} right and {len(bad)} wrong samples)")
        return ways | {"any": [[pass_at_k(SAMPLES, sum(one), k) for one in rights] for k in every]}

    def classes(self, attempts: list[Attempts]) -> list[list[tuple[int, bool]]]:
        """Of each problem, the samples by their answers: how many, and whether they are right. One that was cut off, or
        in which no answer was read, is in a class of its own and wrong."""
        found: dict[str, list[tuple[int, bool]]] = {}

        def group(problem: Problem, one: Attempts) -> Solver:
            said = [
                (verdict.answer, right)
                for verdict, right, rollout in zip(one.verdicts, _right(one), one.rollouts, strict=True)
                if verdict.answer is not None and rollout.finish_reason == "stop"
            ]
            same = yield from grouped(problem, [answer for answer, _ in said], comparing(self.judge.by))
            named = {answer: some[0] for some in same for answer in some}
            sizes = Counter((named[str(answer)], right) for answer, right in said)
            silent = len(one.verdicts) - len(said)
            found[problem.id] = [(n, right) for (_, right), n in sizes.items()] + [(1, False)] * silent
            return []

        self.drive([(problem, group(problem, one)) for problem, one in zip(self.problems, attempts, strict=True)])
        return [found[one.id] for one in self.problems]

    def scores(self, attempts: list[Attempts]) -> dict[str, list[list[float]]]:
        """By the name of a way to choose, what every sample scores, of which the greatest is chosen."""
        likely = [
            [one.value if one.value is not None and one.finish_reason == "stop" else CUT_OFF for one in some.rollouts]
            for some in attempts
        ]
        values = self.values(attempts)
        return {"the best by likelihood": likely} | {
            f"the best by {how} value" if self.steps else "the best": [
                [AGGREGATE[how](value) if value else CUT_OFF for value in some] for some in values
            ]
            for how in self.aggregates
        }

    def values(self, attempts: list[Attempts]) -> list[list[list[float]]]:
        """What the scorer says of every sample, after each of its steps where it values steps; nothing of one that did
        not come to its end."""
        step = self.search["step"] if self.steps else None
        found: dict[str, list[list[float]]] = {}

        def ask(problem: Problem, rollouts: Sequence[Rollout]) -> Solver:
            values = yield from best_of.step_values(problem, rollouts, step)
            pairs = zip(rollouts, values, strict=True)
            found[problem.id] = [value if rollout.finish_reason == "stop" else [] for rollout, value in pairs]
            return []

        self.drive(
            [(problem, ask(problem, one.rollouts)) for problem, one in zip(self.problems, attempts, strict=True)]
        )
        return [found[one.id] for one in self.problems]

    def chosen(self, attempts: list[Attempts]) -> list[float]:
        """Whether the solution chosen for each problem is right, which no strategy here was told."""
        found = dict.fromkeys((one.problem_id for one in attempts), 0.0)

        def judged(problem: Problem, response: str) -> Solver:
            [[verdict]] = yield [Verify(problem, [response])]
            found[problem.id] = float(verdict.correct)
            return []

        self.drive(
            [
                (problem, judged(problem, rollout.response))
                for problem, one in zip(self.problems, attempts, strict=True)
                for rollout in one.rollouts
                if rollout.chosen
            ]
        )
        return list(found.values())

    def drive(self, solvers: list[tuple[Problem, Solver]]) -> list[Attempts]:
        """What the problems came to, in their order."""
        done = {one.problem_id: one for one in drive(solvers, self.engine, self.judge, "bench")}
        return [done[problem.id] for problem, _ in solvers]

    def together(self) -> None:
        """Print how fast many searches are at once, and how much of what is valued was cached."""
        engine, many = self.engine, self.problems[:TOGETHER]
        search = searches(self.search)["Q*"]
        sampling = self.direct | {"samples": 16, "max_samples": 16}
        valued = {
            "name": "best_of", "samples": 16, "temperatures": [self.direct["temperature"]], "among": "all",
            "max_tokens": self.direct["max_tokens"], "choose": "score", "aggregate": "min", "step": self.search["step"],
        }  # fmt: skip
        rates = {
            name: self.rate(many, strategy)
            for name, strategy in (("plain sampling", sampling), ("samples, valued", valued), ("search", search))
        }
        cached = engine.cached_tokens / engine.tokens
        rates["one search at a time"] = self.alone(many[:ALONE], search)
        for llm in engine._llms.values():
            llm.llm_engine.engine_core.engine_core.scheduler.max_num_active_reqs = 1
        rates["one sequence at a time"] = self.alone(many[:ALONE], search)
        for llm in engine._llms.values():
            llm.llm_engine.engine_core.engine_core.scheduler.max_num_active_reqs = at_once(self.recipe.engine, False)
        for name, rate in rates.items():
            print(
                f"{name}: {rate:.1f} tokens/s; {len(many)} searches at once are {rates['search'] / rate:.2f} times it"
            )
        print(f"tokens to be valued that came from the prefix cache: {cached:.1%}")
        greedy, _ = self.tried(self.problems, self.direct | {"samples": 1, "max_samples": 1, "temperature": 0})
        shown = [
            problem.prompt + one.rollouts[0].response
            for problem, one in zip(self.problems, greedy, strict=True)
            if isinstance(problem.prompt, str)
        ]
        if shown:
            before = "\n\n".join(shown[-SHOWN:]) + "\n\n"
            longer = [replace(one, prompt=put(one.prompt, before + "{problem}")) for one in many]
            self.rate(longer, search)
            print(f"the same with {SHOWN} worked examples before each: {engine.cached_tokens / engine.tokens:.1%}")

    def alone(self, problems: Sequence[Problem], search: dict[str, Any]) -> float:
        """Tokens a second where one problem is searched after the other."""
        done = [self.tried([problem], search) for problem in problems]
        return sum(one.num_tokens for [one], _ in done) / sum(seconds for _, seconds in done)

    def rate(self, problems: Sequence[Problem], strategy: dict[str, Any]) -> float:
        """Tokens a second."""
        self.engine.tokens = self.engine.cached_tokens = 0
        attempts, seconds = self.tried(problems, strategy)
        return sum(one.num_tokens for one in attempts) / seconds


def _right(attempts: Attempts) -> list[bool]:
    """Of each rollout, whether it came to its end and is right."""
    by_id: dict[str, Verdict] = {one.rollout_id: one for one in attempts.verdicts}
    return [by_id[one.id].correct and one.finish_reason == "stop" for one in attempts.rollouts]


def _tokens(attempts: list[Attempts]) -> float:
    """Tokens generated a problem."""
    return statistics.mean(one.num_tokens for one in attempts)


def _between(by_k: list[list[float]], k: float) -> list[float]:
    """What k samples come to, also where k is no whole number: in between those next to it."""
    low = max(1, int(k))
    part = min(1.0, max(0.0, k - low))
    high = by_k[min(low, len(by_k) - 1)]
    return [one + part * (two - one) for one, two in zip(by_k[low - 1], high, strict=True)]


def _mean(values: list[float], lowest: float) -> str:
    low, high = mean_interval(values, lowest)
    return f"{statistics.mean(values):.3f} ({low:.2f}-{high:.2f})"


def _less(right: list[float], other: list[float]) -> str:
    change = [one - two for one, two in zip(right, other, strict=True)]
    low, high = mean_interval(change, -1.0)
    return f"{statistics.mean(change):+.3f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    main()
