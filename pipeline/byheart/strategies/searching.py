"""What all searches do alike: write next steps and value them, keep to a budget, return the whole solutions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.errors import PromptError, RecipeError
from byheart.recipe import Recipe
from byheart.steps import UNTIL, Kind, alike, first, split
from byheart.strategies.asking import put, template
from byheart.strategies.several import Work, together
from byheart.strategies.tree import Node, add, close, nodes
from byheart.types import (
    Branch,
    Completion,
    Generate,
    Keep,
    Problem,
    Rollout,
    Score,
    Solver,
    Step,
    Verify,
    digest,
    replace,
)
from byheart.wording import goes_back


class Options(recipe.Choice):
    """At a node, `width` next steps are sampled, each a `step` of at most `step_tokens`.

    A search ends when `max_nodes`, `max_tokens` (all that is generated for the problem) or `max_seconds` are spent.
    A branch is closed that is `max_depth` steps long and not whole, or worth less than `min_value` (0..1).

    One whole solution is chosen `among` those that verify, or among `all`, as where no gold answer is at hand.

    While the policy has no value model, as in the first round, all steps count alike: schedule another strategy for it.
    """

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    step: Kind = "line"
    width: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    step_tokens: int = Field(default=64, ge=1)
    max_depth: int = Field(default=16, ge=1)
    max_nodes: int = Field(default=256, ge=1)
    max_tokens: int = Field(default=8192, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    min_value: float = Field(default=0.0, ge=0, le=1)
    among: Literal["right", "all"] = "right"


def check(recipe: Recipe) -> None:
    """Raises RecipeError where nothing would say what steps are worth, or something that learnt other steps."""
    if recipe.objective.name != "step_value":
        raise RecipeError(
            f"strategy: {recipe.strategy.name}: it goes by a value model of steps, and the objective "
            f"{recipe.objective.name!r} trains none; say objective: step_value"
        )
    check_step(recipe)


def check_step(recipe: Recipe) -> None:
    """Raises RecipeError where the strategy takes another piece of text for a step than curation does."""
    mine, learnt = recipe.strategy.step, recipe.curation.step
    kinds = recipe.curation.steps or recipe.curation.backtracks or recipe.curation.pair_by == "siblings"
    if kinds and mine != learnt:
        raise RecipeError(
            f"strategy: {recipe.strategy.name}: it goes by step: {mine}, and curation.step is {learnt}: say the same "
            "in both"
        )


DEAD_ENDS = ("taken back", "cut off", "too deep", "too long")
"""Why a branch is closed to which nothing whole belongs."""


class Search:
    """One problem's tree and what growing it has cost so far."""

    def __init__(self, problem: Problem, options: Options) -> None:
        self.problem, self.options, self.root = problem, options, Node()
        self.num_nodes = self.num_tokens = 0
        self._played: list[Node] = []
        self._policy = ""
        self._began = time.monotonic()

    @property
    def spent(self) -> bool:
        """Whether a budget is used up."""
        limit = self.options.max_seconds
        return (
            self.num_nodes >= self.options.max_nodes
            or self.num_tokens >= self.options.max_tokens
            or (limit is not None and time.monotonic() - self._began >= limit)
        )

    def grow(self, leaves: Sequence[Node], width: int | None = None) -> Work[None]:
        """Write next steps after each of `leaves`, all at once, and value them. What no longer fits the model's context
        is closed; raises PromptError where that is the problem itself."""
        leaves = [leaf for leaf in leaves if not (leaf.closed or leaf.ended or leaf.children)]
        works = [self._written(leaf, width or self.options.width) for leaf in leaves]
        fresh: list[tuple[Node, Completion]] = []
        for leaf, some in zip(leaves, (yield from together(works)), strict=True):
            for one in some:
                known = len(leaf.children)
                ended = one.finish_reason == "stop"
                step = one.text if ended else first(one.text, self.options.step) or one.text
                same = partial(alike, kind=self.options.step)
                child = add(leaf, step, ended, len(one.tokens), one.logprob or 0.0, one.seed, same)
                if len(leaf.children) > known:
                    fresh.append((child, one))
        self.num_nodes += len(fresh)
        yield from self._value([child for child, _ in fresh])
        for child, one in fresh:
            if goes_back(child.step):
                close(child, "taken back")  # by the policy itself; what else was written after the same steps stays
            elif one.finish_reason == "length":
                close(child, "cut off")
            elif not child.ended and len(child.path) >= self.options.max_depth:
                close(child, "too deep")
            elif child.value is not None and child.value < self.options.min_value:
                close(child, "hopeless")

    def _written(self, leaf: Node, n: int) -> Work[list[Completion]]:
        """So many next steps after `leaf`. Where a mark that mostly ends a step does not, as in "1. Add" or within
        brackets, it is written on."""
        ask = Generate(
            put(self.problem.prompt, self.options.prompt),
            n=n,
            temperature=self.options.temperature,
            top_p=self.options.top_p,
            max_tokens=self.options.step_tokens,
            prefix=leaf.text,
            until=UNTIL[self.options.step],
            logprob=True,
        )
        whole: list[Completion] = []
        try:
            [begun] = yield [ask]
            while begun:
                whole += [one for one in begun if not self._begun(one)]
                begun = [one for one in begun if self._begun(one)]
                if begun:
                    room = self.options.step_tokens
                    more = yield [
                        replace(ask, n=1, max_tokens=room - len(one.tokens), prefix=leaf.text + one.text)
                        for one in begun
                    ]
                    begun = [_joined(one, rest) for one, [rest] in zip(begun, more, strict=True)]
        except PromptError:
            if not leaf.parent:
                raise
            close(leaf, "too long")
        for one in whole:
            self._policy, self.num_tokens = one.policy, self.num_tokens + len(one.tokens)
        return [] if leaf.closed else whole

    def _begun(self, one: Completion) -> bool:
        """Whether this is a part of a step, and there is room for more of it."""
        room = len(one.tokens) < self.options.step_tokens
        return one.finish_reason == "step" and room and first(one.text, self.options.step) is None

    def play(self, leaf: Node, n: int, max_tokens: int) -> Work[list[Node]]:
        """Solutions that go on from `leaf` to their end in one go; they are whole, but no part of the tree."""
        options = self.options
        prompt, prefix = put(self.problem.prompt, options.prompt), leaf.text
        try:
            [written] = yield [Generate(prompt, n, options.temperature, options.top_p, max_tokens, prefix=prefix)]
        except PromptError:  # it no longer fits the model's context
            return []
        self.num_tokens += sum(len(one.tokens) for one in written)
        ends = [
            Node(one.text, leaf, True, len(one.tokens), seed=one.seed) for one in written if one.finish_reason == "stop"
        ]
        self._played += ends
        return ends

    def judged(self, found: Sequence[Node]) -> Work[list[float]]:
        """What each of `found` is worth, in 0..1: a whole solution what the verifier says, where it may be asked and
        can tell; else the value."""
        scores: list[float | None] = [None] * len(found)
        if self.options.among == "right" and any(node.ended for node in found):
            [verdicts] = yield [Verify(self.problem, [node.text for node in found])]
            scores = [verdict.score if node.ended else None for node, verdict in zip(found, verdicts, strict=True)]
        yield from self._value([node for node, score in zip(found, scores, strict=True) if score is None])
        return [worth(node) if score is None else score for node, score in zip(found, scores, strict=True)]

    def _value(self, some: Sequence[Node]) -> Work[None]:
        """Ask what those are worth that have no value yet."""
        unknown = [node for node in some if node.value is None]
        if unknown:
            [values] = yield [Score(self.problem.prompt, [node.text for node in unknown])]
            for node, value in zip(unknown, values, strict=True):
                node.value = value

    def whole(self) -> list[Node]:
        """The solutions that came to their end: those of the tree in its order, then those that were played."""
        return [*(node for node in nodes(self.root) if node.ended), *self._played]

    def rollouts(
        self, worth: Callable[[Node], float], scores: Callable[[Node], dict[str, float]] = lambda _: {}
    ) -> Solver:
        """A rollout of each whole solution; chosen is the one worth most, of those that may be chosen. The tree is
        kept, with the `scores` of its nodes."""
        whole = self.whole()
        eligible = whole
        if self.options.among == "right" and whole:
            [verdicts] = yield [Verify(self.problem, [node.text for node in whole])]
            eligible = [node for node, verdict in zip(whole, verdicts, strict=True) if verdict.correct]
        yield from self._value(eligible)
        best = max(eligible, key=worth, default=None)
        yield [Keep(self._tree(best.path if best else [], scores))]
        return [self._rollout(node, node is best) for node in whole]

    def _tree(self, chosen: list[Node], scores: Callable[[Node], dict[str, float]]) -> list[Branch]:
        places: dict[Node, int] = {self.root: -1}
        tree: list[Branch] = []
        for node in nodes(self.root):
            if node.parent:
                places[node] = len(tree)
                tree.append(
                    Branch(
                        parent=places[node.parent],
                        text=node.step,
                        ended=node.ended,
                        count=node.count,
                        visits=node.visits,
                        mean=node.mean if node.visits else None,
                        value=node.value,
                        closed=node.closed,
                        chosen=node in chosen,
                        scores=scores(node),
                    )
                )
        return tree

    def _rollout(self, node: Node, chosen: bool) -> Rollout:
        problem, name, text = self.problem, self.options.name, node.text
        steps = split(text, self.options.step)
        known = {one.text: one for one in node.path}
        found = [known.get(begun, Node()) for begun in accumulate(steps)]
        return Rollout(
            id=digest(problem.id, name, self._policy, node.seed, text),
            problem_id=problem.id,
            strategy=name,
            prompt=problem.prompt,
            response=text,
            finish_reason="stop",
            num_tokens=sum(one.num_tokens for one in node.path),
            seed=node.seed,
            policy=self._policy,
            steps=[Step(step, one.value, one.visits, one.count) for step, one in zip(steps, found, strict=True)],
            chosen=chosen,
            value=node.value,
        )


def worth(node: Node) -> float:
    """The value of a node; while there is no value model, all are alike."""
    return 0.5 if node.value is None else node.value


def _joined(begun: Completion, rest: Completion) -> Completion:
    """One completion of two, the second of which goes on from the first."""
    return replace(
        rest,
        text=begun.text + rest.text,
        tokens=[*begun.tokens, *rest.tokens],
        seed=begun.seed,
        logprob=(begun.logprob or 0.0) + (rest.logprob or 0.0),
    )
