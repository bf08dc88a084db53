"""Adapters and scorers, as the engines' tests have them."""

from tests.engines.conftest import adapter, scorer

__all__ = ["adapter", "scorer"]
