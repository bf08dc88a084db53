"""What says whether a solution is right. One verifier a file: a function of a problem and a response, and its options.

judge.py asks them, pool.py runs those that could be slow in processes that can be killed.
"""

REGISTRY = {
    "number": "byheart.verifiers.number:verify",
    "exact": "byheart.verifiers.exact:verify",
    "regex": "byheart.verifiers.regex:verify",
    "choice": "byheart.verifiers.choice:verify",
    "math": "byheart.verifiers.math:verify",
    "code": "byheart.verifiers.code:verify",
    "procedural": "byheart.verifiers.procedural:verify",
    "consensus": "byheart.verifiers.consensus:solve",
    "model_judge": "byheart.verifiers.model_judge:solve",
    "remote_judge": "byheart.verifiers.remote_judge:verify",
    "all": "byheart.verifiers.all:solve",
    "any": "byheart.verifiers.any:solve",
    "first": "byheart.verifiers.first:solve",
    "execution": "byheart.verifiers.execution:verify",
}
