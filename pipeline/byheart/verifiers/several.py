"""What `all`, `any` and `first` share: a list of verifiers, asked one after another about what is left to ask."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pydantic import Field

from byheart import recipe
from byheart.types import Judgement, Problem, Request, Verify


class Options(recipe.Choice):
    of: list[recipe.choice("verifiers")] = Field(min_length=2)  # type: ignore[valid-type]

    @property
    def together(self) -> bool:
        """Whether one of them goes by how far the responses agree."""
        return any(getattr(one, "together", False) for one in self.of)


def ask(
    problem: Problem, responses: Sequence[str], by: Any, places: Sequence[int]
) -> Generator[Sequence[Request], Any, dict[int, Judgement]]:
    """What `by` says of the responses at `places`. Where it goes by agreement it is shown all of them."""
    if not places:
        return {}
    shown = range(len(responses)) if getattr(by, "together", False) else places
    [verdicts] = yield [Verify(problem, [responses[place] for place in shown], by)]
    found = {place: verdict.judgement for place, verdict in zip(shown, verdicts, strict=True)}
    return {place: found[place] for place in places}
