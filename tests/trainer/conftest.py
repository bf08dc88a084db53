"""What is trained here is the job of the objectives' tests."""

from tests.objectives.conftest import job

__all__ = ["job"]
