"""The contract of each family of plugins: what a task, a strategy, a verifier, an engine, an
executor and an objective are.

A member is one frozen class: its options are fields, its behaviour the methods below, what is to be known of it its
traits, which have defaults. CONTRIBUTING.md shows the smallest member of each family.
"""

from byheart.contracts.engine import Engine, Session
from byheart.contracts.executor import Executor, Work, Workers
from byheart.contracts.objective import Arguments, Job, Objective
from byheart.contracts.strategy import AnswerTokens, Budget, OneAnswer, Strategy, Tuning
from byheart.contracts.task import Task
from byheart.contracts.verifier import ProcessVerifier, Verifier
from byheart.plugins.plugin import Plugin

CONTRACTS: dict[str, type[Plugin]] = {
    contract.family: contract for contract in (Task, Strategy, Verifier, Engine, Executor, Objective)
}
"""Family -> its contract."""

__all__ = [
    "CONTRACTS",
    "AnswerTokens",
    "Arguments",
    "Budget",
    "Engine",
    "Executor",
    "Job",
    "Objective",
    "OneAnswer",
    "ProcessVerifier",
    "Session",
    "Strategy",
    "Task",
    "Tuning",
    "Verifier",
    "Work",
    "Workers",
]
