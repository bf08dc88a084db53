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
from byheart.config import recipe
from byheart.contracts import Strategy
from byheart.engines.vllm import VLLMSession
from byheart.evaluation.statistics import best_at_k, maj_at_k, mean_interval, pass_at_k
from byheart.evaluation.values import auc
from byheart.models import checkpoint, weights
from byheart.report.data import view
from byheart.runs.run import Run
from byheart.strategies import best_of
from byheart.strategies.core.driver import drive
from byheart.strategies.core.prompting import put
from byheart.strategies.core.steps import AGGREGATE
from byheart.types import Generate, Policy, Problem, Rollout, RolloutGroup, Solver, Verdict, Verify, replace
from byheart.verifiers.consensus import comparing, grouped
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService
from rich.console import Console
from rich.table import Column, Table

SAMPLES = 32
KS = (1, 4, 8, 16, SAMPLES)
CUT_OFF = -1e9  # less than any score
TOGETHER, ALONE, SHOWN = 64, 4, 8
"""How many problems are searched at once, and how many one at a time; worked examples before a long problem."""


def searches(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ways to search by the values of steps, with these options in common."""
    mcts = {"name": "mcts", "simulations": 64, "width": 4}
    own: dict[str, dict[str, Any]] = {
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
    return {name: options | strategy for name, strategy in own.items()}


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
    problems = [last.problems()[answer.problem_id] for answer in last.measure("evaluate").splits["held_out"]][:most]
    engine = started(chosen, chosen.engine, policy)
    with Pool() as pool:
        Bench(engine, VerifierService(chosen.task.verifier, pool), chosen, policy, problems).run()


class Counting(VLLMSession):
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
    engine = Counting(options, checkpoint.fetch(model), model, Path(tempfile.mkdtemp()) / "engine.log")
    engine.load(policy)
    return engine


class Bench:
    def __init__(
        self,
        engine: Counting,
        verifier: VerifierService,
        chosen: recipe.Recipe,
        policy: Policy,
        problems: list[Problem],
    ) -> None:
        self.engine, self.verifier, self.problems = engine, verifier, problems
        self.recipe, self.policy = chosen, policy
        self.steps = weights.signs(policy) is not None
        budget, warm = chosen.evaluation.worked.max_tokens, chosen.evaluation.temperature
        self.direct: dict[str, Any] = {
            "name": "direct",
            "enough": SAMPLES + 1,
            "max_tokens": budget,
            "temperature": warm,
        }
        self.search: dict[str, Any] = {
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
        each, choices = _tokens(sampled) / SAMPLES, self.choices(sampled)
        print(f"{len(self.problems)} held-out problems; 95 % intervals; {each:.1f} tokens a sample")
        first = [float(_right(group)[0]) for group in greedy]
        print(f"greedy: {_mean(first, 0.0)}, {_tokens(greedy):.1f} tokens")
        table = Table("of k samples", *(Column(f"k = {k}", justify="right") for k in KS))
        for name, by_k in choices.items():
            table.add_row(name, *(_mean(by_k[k - 1], 0.0) for k in KS))
        Console(width=130).print(table)
        most = choices["the commonest"][KS[-2] - 1]
        for name, by_k in choices.items():
            if name.startswith("the best"):
                print(f"{name} less the commonest, of {KS[-2]}: {_less(by_k[KS[-2] - 1], most)}")
        if self.steps:
            self.together()
            others = {name: by_k for name, by_k in choices.items() if not name.startswith("any")}
            for name, options in searches(self.search).items():
                groups, _ = self.tried(self.problems, options)
                right, k = self.chosen(groups), _tokens(groups) / each
                none = statistics.mean(not group.rollouts for group in groups)
                print(
                    f"{name}: {_mean(right, 0.0)}, {_tokens(groups):.0f} tokens, as many as {k:.1f} samples have; no "
                    f"solution found for {none:.1%}"
                )
                for other, by_k in others.items():
                    less = _less(right, _between(by_k, k)) if k <= SAMPLES else "it has more tokens than all samples"
                    print(f"    less {other}: {less}")

    def samples(self) -> list[RolloutGroup]:
        """So many of each problem, the value of each its log-likelihood under the policy (nats)."""
        budget, warm = self.direct["max_tokens"], self.direct["temperature"]

        def ask(problem: Problem) -> Solver:
            [written] = yield [Generate(problem.prompt, SAMPLES, warm, max_tokens=budget, logprob=True)]
            yield [Verify(problem, [completion.text for completion in written])]
            return [Rollout.of(problem, completion, "bench", value=completion.logprob) for completion in written]

        return self.drive([(problem, ask(problem)) for problem in self.problems])

    def tried(self, problems: Sequence[Problem], strategy: dict[str, Any]) -> tuple[list[RolloutGroup], float]:
        """The rollout groups in the order of the problems, and the seconds that they took."""
        options = Strategy.parse(strategy)
        for llm in self.engine._llms.values():
            llm.reset_prefix_cache()
        began = time.perf_counter()
        return self.drive([(problem, options.solve(problem)) for problem in problems]), time.perf_counter() - began

    def choices(self, groups: list[RolloutGroup]) -> dict[str, list[list[float]]]:
        """By name and k, from 1, how often a method to choose among k samples is right on each problem."""
        rights, classes = [_right(group) for group in groups], self.classes(groups)
        every = range(1, SAMPLES + 1)
        choices = {"the commonest": [[maj_at_k(sizes, k) for sizes in classes] for k in every]}
        for name, scores in self.scores(groups).items():
            scored = [list(zip(*both, strict=True)) for both in zip(scores, rights, strict=True)]
            choices[name] = [[best_at_k(pairs, k) for pairs in scored] for k in every]
            flat = [(score, right) for pairs in scored for score, right in pairs if score > CUT_OFF]
            good, bad = ([score for score, right in flat if right is wanted] for wanted in (True, False))
            print(f"AUC of {name}: {auc(good, bad):.3f} ({len(good)} right and {len(bad)} wrong samples)")
        return choices | {"any": [[pass_at_k(SAMPLES, sum(right), k) for right in rights] for k in every]}

    def classes(self, groups: list[RolloutGroup]) -> list[list[tuple[int, bool]]]:
        """Of each problem, the samples by their answers: how many, and whether they are right. One that was cut off, or
        in which no answer was read, is in a class of its own and wrong."""
        classes: dict[str, list[tuple[int, bool]]] = {}

        def classify(problem: Problem, group: RolloutGroup) -> Solver:
            answers = [
                (verdict.answer, right)
                for verdict, right, rollout in zip(group.verdicts, _right(group), group.rollouts, strict=True)
                if verdict.answer is not None and rollout.finish_reason == "stop"
            ]
            same = yield from grouped(problem, [answer for answer, _ in answers], comparing(self.verifier.verifier))
            named = {answer: members[0] for members in same for answer in members}
            sizes = Counter((named[str(answer)], right) for answer, right in answers)
            silent = len(group.verdicts) - len(answers)
            classes[problem.id] = [(n, right) for (_, right), n in sizes.items()] + [(1, False)] * silent
            return []

        self.drive([(problem, classify(problem, group)) for problem, group in zip(self.problems, groups, strict=True)])
        return [classes[problem.id] for problem in self.problems]

    def scores(self, groups: list[RolloutGroup]) -> dict[str, list[list[float]]]:
        """By the name of a method to choose, what every sample scores, of which the greatest is chosen."""
        likely = [
            [
                rollout.value if rollout.value is not None and rollout.finish_reason == "stop" else CUT_OFF
                for rollout in group.rollouts
            ]
            for group in groups
        ]
        values = self.values(groups)
        return {"the best by likelihood": likely} | {
            f"the best by {how} value" if self.steps else "the best": [
                [AGGREGATE[how](value) if value else CUT_OFF for value in samples] for samples in values
            ]
            for how in self.aggregates
        }

    def values(self, groups: list[RolloutGroup]) -> list[list[list[float]]]:
        """What the scorer says of every sample, after each of its steps where it values steps; nothing of one that did
        not come to its end."""
        step = self.search["step"] if self.steps else None
        by_problem: dict[str, list[list[float]]] = {}

        def ask(problem: Problem, rollouts: Sequence[Rollout]) -> Solver:
            values = yield from best_of.step_values(problem, rollouts, step)
            pairs = zip(rollouts, values, strict=True)
            by_problem[problem.id] = [value if rollout.finish_reason == "stop" else [] for rollout, value in pairs]
            return []

        self.drive(
            [(problem, ask(problem, group.rollouts)) for problem, group in zip(self.problems, groups, strict=True)]
        )
        return [by_problem[problem.id] for problem in self.problems]

    def chosen(self, groups: list[RolloutGroup]) -> list[float]:
        """Whether the solution chosen for each problem is right, which no strategy here was told."""
        right = dict.fromkeys((group.problem_id for group in groups), 0.0)

        def judged(problem: Problem, response: str) -> Solver:
            [[verdict]] = yield [Verify(problem, [response])]
            right[problem.id] = float(verdict.correct)
            return []

        self.drive(
            [
                (problem, judged(problem, rollout.response))
                for problem, group in zip(self.problems, groups, strict=True)
                for rollout in group.rollouts
                if rollout.selected
            ]
        )
        return list(right.values())

    def drive(self, solvers: list[tuple[Problem, Solver]]) -> list[RolloutGroup]:
        """What the problems came to, in their order."""
        done = {group.problem_id: group for group in drive(solvers, self.engine, self.verifier, "bench")}
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
            llm.llm_engine.engine_core.engine_core.scheduler.max_num_active_reqs = self.recipe.engine.at_once(gpu=False)
        for name, rate in rates.items():
            print(
                f"{name}: {rate:.1f} tokens/s; {len(many)} searches at once are {rates['search'] / rate:.2f} times it"
            )
        print(f"tokens to be valued that came from the prefix cache: {cached:.1%}")
        greedy, _ = self.tried(self.problems, self.direct | {"samples": 1, "max_samples": 1, "temperature": 0})
        shown = [
            problem.prompt + group.rollouts[0].response
            for problem, group in zip(self.problems, greedy, strict=True)
            if isinstance(problem.prompt, str)
        ]
        if shown:
            before = "\n\n".join(shown[-SHOWN:]) + "\n\n"
            longer = [replace(problem, prompt=put(problem.prompt, before + "{problem}")) for problem in many]
            self.rate(longer, search)
            print(f"the same with {SHOWN} worked examples before each: {engine.cached_tokens / engine.tokens:.1%}")

    def alone(self, problems: Sequence[Problem], search: dict[str, Any]) -> float:
        """Tokens a second where one problem is searched after the other."""
        done = [self.tried([problem], search) for problem in problems]
        return sum(group.num_tokens for [group], _ in done) / sum(seconds for _, seconds in done)

    def rate(self, problems: Sequence[Problem], strategy: dict[str, Any]) -> float:
        """Tokens a second."""
        self.engine.tokens = self.engine.cached_tokens = 0
        groups, seconds = self.tried(problems, strategy)
        return sum(group.num_tokens for group in groups) / seconds


def _right(group: RolloutGroup) -> list[bool]:
    """Of each rollout, whether it came to its end and is right."""
    by_id: dict[str, Verdict] = {verdict.rollout_id: verdict for verdict in group.verdicts}
    return [by_id[rollout.id].correct and rollout.finish_reason == "stop" for rollout in group.rollouts]


def _tokens(groups: list[RolloutGroup]) -> float:
    """Tokens generated a problem."""
    return statistics.mean(group.num_tokens for group in groups)


def _between(by_k: list[list[float]], k: float) -> list[float]:
    """What k samples come to, also where k is no whole number: in between those next to it."""
    low = max(1, int(k))
    part = min(1.0, max(0.0, k - low))
    high = by_k[min(low, len(by_k) - 1)]
    return [below + part * (above - below) for below, above in zip(by_k[low - 1], high, strict=True)]


def _mean(values: list[float], lowest: float) -> str:
    low, high = mean_interval(values, lowest)
    return f"{statistics.mean(values):.3f} ({low:.2f}-{high:.2f})"


def _less(right: list[float], other: list[float]) -> str:
    change = [ours - theirs for ours, theirs in zip(right, other, strict=True)]
    low, high = mean_interval(change, -1.0)
    return f"{statistics.mean(change):+.3f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    main()
