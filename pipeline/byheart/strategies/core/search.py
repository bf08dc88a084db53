"""What all searches share: expand and value steps, keep to a budget, return the whole solutions as rollouts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy
from byheart.errors import PromptError, RecipeError
from byheart.strategies.core.prompting import put, template
from byheart.strategies.core.steps import UNTIL, Kind, alike, first, split
from byheart.strategies.core.tree import Node, add, close, nodes
from byheart.text import goes_back
from byheart.types import (
    Branch,
    Completion,
    Generate,
    Parallel,
    Part,
    Problem,
    RecordTree,
    Rollout,
    Score,
    Solver,
    Step,
    Verify,
    digest,
    replace,
)

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Searching(Strategy):
    """Base of the searches over steps. While the policy has no value model, as in the first round, all steps have the
    same value: schedule another strategy for that round."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="prompt for the teacher; never trained on"
    )
    step: Kind = Field(default="line", description="what a step is; the same as curation.step")
    width: int = Field(default=4, ge=1, description="next steps sampled after a step")
    temperature: float = Field(default=1.0, gt=0, description="sampling temperature of a step")
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling: probability mass to sample from")
    step_tokens: AnswerTokens = Field(default=64, ge=1, description="most tokens of a step")
    max_depth: int = Field(default=16, ge=1, description="most steps of a solution; a longer branch is closed")
    max_nodes: int = Field(default=256, ge=1, description="steps in the tree at which the search ends")
    max_tokens: int = Field(default=8192, ge=1, description="tokens generated for the problem at which the search ends")
    max_seconds: float | None = Field(
        default=None, gt=0, description="seconds after which the search ends; default: no limit"
    )
    min_value: float = Field(default=0.0, ge=0, le=1, description="value, in 0..1, under which a branch is closed")
    among: Literal["right", "all"] = Field(
        default="right",
        description="solutions to select from: those that verify, or all, as where there is no gold answer",
    )

    @override
    def check(self, recipe: Recipe) -> None:
        if recipe.objective.trains_scorer != "steps":
            raise RecipeError(
                f"strategy: {self.name}: it needs a value model of steps, and the objective "
                f"{recipe.objective.name!r} trains none; say objective: step_value"
            )
        check_step(self, self.step, recipe)


def check_step(strategy: Strategy, step: Kind, recipe: Recipe) -> None:
    """Raises RecipeError where the `step` of `strategy` is not what curation takes for a step."""
    curated = recipe.curation.step
    steps_matter = recipe.curation.steps or recipe.curation.backtracks or recipe.curation.pair_by == "siblings"
    if steps_matter and step != curated:
        raise RecipeError(
            f"strategy: {strategy.name}: its step is {step} and curation.step is {curated}; give both the same value"
        )


DEAD_ENDS = ("taken back", "cut off", "too deep", "too long")
"""Reasons to close a branch that mean that no whole solution goes through it."""


class Search:
    """One problem's tree, and what expanding it has cost so far."""

    def __init__(self, problem: Problem, options: Searching) -> None:
        """A tree with nothing but its root."""
        self.problem, self.options, self.root = problem, options, Node()
        self.num_nodes = self.num_tokens = 0
        self._playouts: list[Node] = []
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

    def expand(self, leaves: Sequence[Node], width: int | None = None) -> Part[None]:
        """Sample `width` next steps after each of `leaves`, all at once, and value them. A leaf that no longer fits the
        model's context is closed; raises PromptError where the problem itself does not fit."""
        leaves = [leaf for leaf in leaves if not (leaf.closed or leaf.ended or leaf.children)]
        [samples] = yield [Parallel([self._sample(leaf, width or self.options.width) for leaf in leaves])]
        fresh: list[tuple[Node, Completion]] = []
        for leaf, completions in zip(leaves, samples, strict=True):
            for completion in completions:
                known = len(leaf.children)
                ended = completion.finish_reason == "stop"
                step = completion.text if ended else first(completion.text, self.options.step) or completion.text
                same = partial(alike, kind=self.options.step)
                num_tokens, logprob = len(completion.tokens), completion.logprob or 0.0
                child = add(leaf, step, ended, num_tokens, logprob, completion.seed, same)
                if len(leaf.children) > known:
                    fresh.append((child, completion))
        self.num_nodes += len(fresh)
        yield from self._value([child for child, _ in fresh])
        for child, completion in fresh:
            if goes_back(child.step):
                close(child, "taken back")  # by the policy itself; other steps after the same steps stay open
            elif completion.finish_reason == "length":
                close(child, "cut off")
            elif not child.ended and len(child.path) >= self.options.max_depth:
                close(child, "too deep")
            elif child.value is not None and child.value < self.options.min_value:
                close(child, "hopeless")

    def _sample(self, leaf: Node, n: int) -> Part[list[Completion]]:
        """`n` next steps after `leaf`. Where a text that usually ends a step does not, as in "1. Add" or within
        brackets, the step is continued."""
        request = Generate(
            put(self.problem.prompt, self.options.prompt),
            n=n,
            temperature=self.options.temperature,
            top_p=self.options.top_p,
            max_tokens=self.options.step_tokens,
            prefill=leaf.text,
            step_stop=UNTIL[self.options.step],
            logprob=True,
        )
        whole: list[Completion] = []
        try:
            [partial_steps] = yield [request]
            while partial_steps:
                whole += [completion for completion in partial_steps if not self._unfinished(completion)]
                partial_steps = [completion for completion in partial_steps if self._unfinished(completion)]
                if partial_steps:
                    replies = yield [
                        replace(
                            request,
                            n=1,
                            max_tokens=self.options.step_tokens - len(completion.tokens),
                            prefill=leaf.text + completion.text,
                        )
                        for completion in partial_steps
                    ]
                    partial_steps = [
                        _joined(completion, rest) for completion, [rest] in zip(partial_steps, replies, strict=True)
                    ]
        except PromptError:
            if not leaf.parent:
                raise
            close(leaf, "too long")
        for completion in whole:
            self._policy, self.num_tokens = completion.policy, self.num_tokens + len(completion.tokens)
        return [] if leaf.closed else whole

    def _unfinished(self, completion: Completion) -> bool:
        """Whether this is a part of a step, and there is room for more of it."""
        room = len(completion.tokens) < self.options.step_tokens
        return completion.finish_reason == "step" and room and first(completion.text, self.options.step) is None

    def simulate(self, leaf: Node, n: int, max_tokens: int) -> Part[list[Node]]:
        """`n` playouts from `leaf` to the end, those that were cut off left out. They are whole solutions, but no part
        of the tree."""
        options = self.options
        prompt, prefix = put(self.problem.prompt, options.prompt), leaf.text
        try:
            [playouts] = yield [Generate(prompt, n, options.temperature, options.top_p, max_tokens, prefill=prefix)]
        except PromptError:  # it no longer fits the model's context
            return []
        self.num_tokens += sum(len(completion.tokens) for completion in playouts)
        ends = [
            Node(completion.text, leaf, True, len(completion.tokens), seed=completion.seed)
            for completion in playouts
            if completion.finish_reason == "stop"
        ]
        self._playouts += ends
        return ends

    def judged(self, ends: Sequence[Node]) -> Part[list[float]]:
        """What each of `ends` is worth, in 0..1: the verifier's score of a whole solution, where the verifier may be
        asked and can judge it; else the value."""
        scores: list[float | None] = [None] * len(ends)
        if self.options.among == "right" and any(node.ended for node in ends):
            [verdicts] = yield [Verify(self.problem, [node.text for node in ends])]
            scores = [verdict.score if node.ended else None for node, verdict in zip(ends, verdicts, strict=True)]
        yield from self._value([node for node, score in zip(ends, scores, strict=True) if score is None])
        return [worth(node) if score is None else score for node, score in zip(ends, scores, strict=True)]

    def _value(self, steps: Sequence[Node]) -> Part[None]:
        """Ask the value model for the values of those of `steps` that have none yet."""
        unknown = [node for node in steps if node.value is None]
        if unknown:
            [values] = yield [Score(self.problem.prompt, [node.text for node in unknown])]
            for node, value in zip(unknown, values, strict=True):
                node.value = value

    def whole(self) -> list[Node]:
        """The solutions that came to their end: those of the tree in its order, then the playouts."""
        return [*(node for node in nodes(self.root) if node.ended), *self._playouts]

    def rollouts(
        self, worth: Callable[[Node], float], scores: Callable[[Node], dict[str, float]] = lambda _: {}
    ) -> Solver:
        """A rollout of each whole solution; selected is the eligible one of greatest `worth`. The tree is recorded,
        with the `scores` of its nodes."""
        whole = self.whole()
        eligible = whole
        if self.options.among == "right" and whole:
            [verdicts] = yield [Verify(self.problem, [node.text for node in whole])]
            eligible = [node for node, verdict in zip(whole, verdicts, strict=True) if verdict.correct]
        yield from self._value(eligible)
        best = max(eligible, key=worth, default=None)
        yield [RecordTree(self._tree(best.path if best else [], scores))]
        return [self._rollout(node, node is best) for node in whole]

    def _tree(self, path: list[Node], scores: Callable[[Node], dict[str, float]]) -> list[Branch]:
        """The tree as it is recorded, in which the nodes of `path` are selected."""
        indices: dict[Node, int] = {self.root: -1}
        tree: list[Branch] = []
        for node in nodes(self.root):
            if node.parent:
                indices[node] = len(tree)
                tree.append(
                    Branch(
                        parent=indices[node.parent],
                        text=node.step,
                        ended=node.ended,
                        count=node.count,
                        visits=node.visits,
                        mean=node.mean if node.visits else None,
                        value=node.value,
                        closed=node.closed,
                        selected=node in path,
                        scores=scores(node),
                    )
                )
        return tree

    def _rollout(self, node: Node, selected: bool) -> Rollout:
        problem, name, text = self.problem, self.options.name, node.text
        steps = split(text, self.options.step)
        by_text = {before.text: before for before in node.path}
        path = [by_text.get(prefix, Node()) for prefix in accumulate(steps)]
        return Rollout(
            id=digest(problem.id, name, self._policy, node.seed, text),
            problem_id=problem.id,
            strategy=name,
            prompt=problem.prompt,
            response=text,
            finish_reason="stop",
            num_tokens=sum(before.num_tokens for before in node.path),
            seed=node.seed,
            policy=self._policy,
            steps=[Step(step, at.value, at.visits, at.count) for step, at in zip(steps, path, strict=True)],
            selected=selected,
            value=node.value,
        )


def worth(node: Node) -> float:
    """The value of a node; 0.5 while there is no value model."""
    return 0.5 if node.value is None else node.value


def _joined(start: Completion, rest: Completion) -> Completion:
    """One completion of two, the second of which continues the first."""
    return replace(
        rest,
        text=start.text + rest.text,
        tokens=[*start.tokens, *rest.tokens],
        seed=start.seed,
        logprob=(start.logprob or 0.0) + (rest.logprob or 0.0),
    )
