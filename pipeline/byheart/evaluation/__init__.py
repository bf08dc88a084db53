"""What a policy can do, with a 95 % interval on every number, and whether a new policy replaces the old one.

    fast       one greedy answer per problem, the answer alone, within a small budget
    worked     one greedy answer with room to reason
    slow       what the recipe's own strategy comes to, before training
    pass@k     the chance that one of k samples is right
    maj@k      the chance that the most frequent answer of k samples is right
    by heart   fast accuracy after training / slow accuracy before: 1 where the fast answer has caught up

measuring.py is the two stages, measurements.py what they measure, subject.py the policy that is asked, controls.py what
the base comes to without training. statistics.py has the estimators, comparing.py makes the metrics (metrics.py) of two
measures. Two policies are compared problem by problem, on the same problems.
"""

from byheart.evaluation.comparing import compare, promoted
from byheart.evaluation.controls import check_context, controls, read_controls
from byheart.evaluation.measure import Answer, Measure, Outcome, read_measure
from byheart.evaluation.measuring import EvaluationOptions, baseline, evaluate
from byheart.evaluation.metrics import RoundMetrics
from byheart.evaluation.statistics import maj_at_k, pass_at_k

__all__ = [
    "Answer",
    "EvaluationOptions",
    "Measure",
    "Outcome",
    "RoundMetrics",
    "baseline",
    "check_context",
    "compare",
    "controls",
    "evaluate",
    "maj_at_k",
    "pass_at_k",
    "promoted",
    "read_controls",
    "read_measure",
]
