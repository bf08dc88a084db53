"""What a policy can do, with an interval on every number, and whether a new one may replace the old.

    fast       one greedy answer a problem, the answer alone, within a small budget
    worked     one greedy answer with room to reason
    slow       what the recipe's own strategy comes to, before training
    pass@k     the chance that one of k samples is right
    maj@k      the chance that the commonest answer of k samples is right
    by heart   fast accuracy after training / slow accuracy before: 1 where the fast answer has caught up

measuring.py asks the policy, statistics.py knows the estimators, and comparing.py makes of two measures what
metrics.json says. Two policies are compared problem by problem, on the same problems.
"""

from byheart.evaluation.comparing import compare, promoted
from byheart.evaluation.measuring import Answer, Measure, Options, Outcome, baseline, evaluate, read_measure
from byheart.evaluation.statistics import maj_at_k, pass_at_k

__all__ = [
    "Answer",
    "Measure",
    "Options",
    "Outcome",
    "baseline",
    "compare",
    "evaluate",
    "maj_at_k",
    "pass_at_k",
    "promoted",
    "read_measure",
]
