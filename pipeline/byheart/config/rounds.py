"""How many rounds a run does."""

from __future__ import annotations

from pydantic import Field

from byheart.plugins.plugin import Options


class Rounds(Options):
    """Rounds until nothing is gained any more: `{most: 10, patience: 2}`."""

    most: int = Field(ge=1, description="the last round at the latest")
    patience: int = Field(
        ge=1,
        description="the run ends after this many rounds in a row whose policy is not significantly better on dev than "
        "the best before it",
    )
