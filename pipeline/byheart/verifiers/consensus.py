"""Agreement instead of a gold answer: right is what most samples say (maj@k; self-consistency, 2203.11171).

The answers of the samples fall into classes of equal ones, equal by another verifier and not by their letters. The
margin is the share of the largest class less that of the next; too small a margin, or too few samples, and all of them
are unjudged. It is no proof: a model that is sure and wrong agrees with itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, ClassVar, cast

from pydantic import Field

from byheart import recipe
from byheart.errors import RecipeError
from byheart.types import Hearing, Judgement, Problem, Request, Verify, replace
from byheart.verifiers.tags import module, tree


class Options(recipe.Choice):
    """`equal` is the verifier that reads the answers (one with an `extract`) and says which are equal. Of at least
    `min_samples` with an answer, the largest class must lead by `margin` of them."""

    together: ClassVar[bool] = True

    equal: recipe.choice("verifiers") = Field(default="math", validate_default=True)  # type: ignore[valid-type]
    min_samples: int = Field(default=4, ge=2)
    margin: float = Field(default=0.25, gt=0, le=1)


def check(options: Options) -> None:
    """Raises RecipeError where `equal` can't read an answer."""
    reader(options)


def caveat(options: Options) -> str:
    return (
        "Right by agreement: where the verifier `consensus` stands, no gold answer was known, and a solution counts as "
        "right because most samples of its problem gave the same answer."
    )


def solve(problem: Problem, responses: Sequence[str], options: Options) -> Hearing:
    read = reader(options)
    answers = [read(problem, response) for response in responses]
    votes = Counter(answer for answer in answers if answer is not None)
    classes = yield from grouped(problem, votes.elements(), options.equal)
    sizes = sorted((sum(votes[answer] for answer in one) for one in classes), reverse=True)
    num_votes = sum(sizes)
    if num_votes < options.min_samples:
        return [Judgement(None, answer, f"only {num_votes} samples have an answer") for answer in answers]
    margin = (sizes[0] - sum(sizes[1:2])) / num_votes
    if margin < options.margin:
        return [
            Judgement(None, answer, f"the samples do not agree (margin {margin:.2f})", margin) for answer in answers
        ]
    won = max(classes, key=lambda one: sum(votes[answer] for answer in one))
    agreed = f"{sizes[0]} of {num_votes} samples answer {won[0][:40]!r}"
    return [
        Judgement(1.0, answer, agreed, margin) if answer in won else Judgement(0.0, answer, agreed, margin)
        for answer in answers
    ]


def reader(options: Options) -> Callable[[Problem, str], str | None]:
    """The function beside `equal` that reads an answer."""
    if not _compares(options.equal):
        raise RecipeError(f"consensus: equal: the verifier {options.equal.name!r} reads no answers to compare")
    return cast(Callable[[Problem, str], str | None], module(options.equal).extract)


def grouped(
    problem: Problem, answers: Iterable[str], equal: recipe.Choice | None
) -> Generator[Sequence[Request], Any, list[list[str]]]:
    """The different ones of `answers` in classes of equal ones, each class with its commonest answer first.

    Which are equal the verifier `equal` is asked, as though the first of a class were the gold answer; the real one it
    never sees. Without one, none are.
    """
    classes: list[list[str]] = []
    left = [answer for answer, _ in Counter(answers).most_common()]
    while left:
        named, *others = left
        same: list[str] = []
        if equal is not None and others:
            [verdicts] = yield [Verify(replace(problem, answer=named), others, equal)]
            same = [other for other, verdict in zip(others, verdicts, strict=True) if verdict.correct]
        classes.append([named, *same])
        left = [other for other in others if other not in same]
    return classes


def comparing(by: recipe.Choice) -> recipe.Choice | None:
    """Of the verifiers that `by` is made of, the first that can tell whether two answers are equal."""
    return next((one for one in tree(by) if _compares(one)), None)


def _compares(by: recipe.Choice) -> bool:
    """Whether it reads an answer and goes by the problem's `answer` alone, as none does that runs tests."""
    beside = module(by)
    return hasattr(beside, "extract") and not getattr(beside, "BY_META", False)
