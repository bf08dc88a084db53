"""The options of curation, and which of them go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from byheart.curation.steps import StepOptions
from byheart.errors import RecipeError
from byheart.plugins.plugin import Options
from byheart.strategies.core.steps import Kind
from byheart.verifiers.core.service import asks_policy, by_agreement

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class CurationOptions(Options):
    """Which solutions are trained on.

    Rows are right solutions; pairs are for preference training, and valued steps for a value model.
    """

    target: Literal["full", "shortest", "answer"] = Field(
        default="full",
        description="what a row teaches: the solution as written (full), the shortest solution of each problem "
        "(shortest), or only the answer read in that, if it is right by itself (answer)",
    )
    distinct: Literal["text", "equations"] = Field(
        default="text",
        description="what makes two solutions of a problem the same: equal text but for case and spacing, or the same "
        "equations; with equations, solutions with a false one are dropped",
    )
    choose: Literal["shortest", "diverse", "value", "random"] = Field(
        default="shortest",
        description="which solutions of a problem are kept: the shortest, the most diverse, those with the highest "
        "value, or random ones, whatever the strategy selected",
    )
    keep: int = Field(default=4, ge=1, description="most rows per problem")
    quota: Literal["uniform", "proportional"] = Field(
        default="uniform",
        description="whether every problem may have `keep` rows, or only the hardest one, and others in proportion to "
        "their fail rates",
    )
    min_tokens: int = Field(
        default=2,
        ge=0,
        description="fewest tokens of a solution, its end token included; shorter ones are often guesses",
    )
    accumulate: bool = Field(default=True, description="whether rows of earlier rounds are kept")
    max_age: int | None = Field(
        default=None, ge=0, description="most rounds back from which rows, pairs and steps are taken; by default all"
    )
    max_rows: int | None = Field(
        default=None, ge=1, description="most rows of all rounds together, newest first; by default no limit"
    )
    max_hinted: float = Field(default=0.5, ge=0, le=1, description="most rows that were found with a hint, as a share")
    pairs: int = Field(
        default=0,
        ge=0,
        description="most pairs of a right and a wrong solution per problem, from all rounds up to max_age, whatever "
        "the strategy selected; solutions found with a hint are in none",
    )
    pair_by: Literal["random", "siblings"] = Field(
        default="random",
        description="how pairs are drawn: at random, or of solutions that diverge at one decisive step (siblings)",
    )
    step: Kind = Field(
        default="line",
        description="what a step is, for steps, backtracks and siblings; the same as that of a strategy that searches",
    )
    steps: StepOptions | None = Field(
        default=None, description="how steps are valued, for a value model; by default they are not"
    )
    backtracks: int = Field(
        default=0,
        ge=0,
        description="most extra rows per problem in which a right solution first makes a wrong step, untrained, and "
        "retracts it",
    )
    decontaminate: bool = Field(
        default=True,
        description="whether rows that overlap with a dev or held-out problem are dropped; else they are counted, and "
        "the dataset's card says that they were trained on",
    )
    ngram: int = Field(default=5, ge=1, description="length in words of the runs that overlaps are made of")
    overlap: float = Field(
        default=0.8, gt=0, le=1, description="share of a measured problem's words that makes a row overlap with it"
    )


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the options of curation contradict each other, or the verifier of the training data."""
    options, verifier = recipe.curation, recipe.train_verifier
    unprovable = asks_policy(verifier) or by_agreement(verifier)
    if options.backtracks and options.step not in ("line", "sentence"):
        raise RecipeError(
            f"curation.backtracks: the words that take a step back are no step by {options.step}; say curation.step: "
            "line, or sentence"
        )
    if options.backtracks and (options.target == "answer" or unprovable):
        raise RecipeError(
            "curation.backtracks: solutions that go back are made of whole ones and proved right again: that wants "
            "target: full or shortest, and a verifier that neither asks a model nor counts agreement"
        )
    if options.target != "full" and options.choose != "shortest":
        raise RecipeError(
            f"curation.choose: {options.choose}: there is nothing to choose where curation.target: {options.target} "
            "learns from the most concise solution of each problem; take choose: shortest, or target: full (a schedule "
            "can set both)"
        )
    if options.target == "answer" and unprovable:
        raise RecipeError(
            f"curation.target: answer: the verifier {verifier.name!r} asks a model or counts agreement, so it can't "
            "prove a bare answer right by itself; take the target shortest, or another verifier"
        )
