"""Other tasks that are measured with each round: whether what was learned carries over to problems of another
distribution, and whether what was known before is forgotten.

Of each, the held-out problems get one greedy answer, which the task's own verifier judges. They decide nothing, and
nothing that overlaps with them is trained on (curation/contamination.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from byheart.contracts import Strategy
from byheart.evaluation.measure import Answer
from byheart.evaluation.measurements import Greedy
from byheart.evaluation.metrics import Kind
from byheart.evaluation.subject import Subject
from byheart.types import Problem, replace
from byheart.verifiers.core.service import VerifierService

KIND: Kind = "worked"
"""The kind of greedy answers that these are kept as: there is one kind only, with as much room as the recipe gives."""


def measure_also(
    subject: Subject,
    problems: Mapping[str, Sequence[Problem]],
    strategies: Mapping[str, Strategy],
    verifiers: Mapping[str, VerifierService],
) -> dict[str, list[Answer]]:
    """The answers of the policy of `subject`, which is loaded, to the `problems` of each other task, by its name: what
    its greedy strategy comes to, as its verifier judges it."""
    answers: dict[str, list[Answer]] = {}
    for name, part in problems.items():
        other = replace(subject, splits={"also": part}, verifier=verifiers[name], asked={}, of=name)
        by_id = Greedy(KIND, strategies[name]).measure(other, {problem.id: Answer(problem.id) for problem in part})
        answers[name] = [by_id[problem.id] for problem in part]
    return answers
