"""What says whether a solution is right. One verifier a file: a function of a problem and a response, and its options.

judge.py asks them, pool.py runs those that could be slow in processes that can be killed.
"""

REGISTRY = {
    "number": "pipeline.verifiers.number:verify",
    "exact": "pipeline.verifiers.exact:verify",
    "regex": "pipeline.verifiers.regex:verify",
    "choice": "pipeline.verifiers.choice:verify",
    "math": "pipeline.verifiers.math:verify",
    "code": "pipeline.verifiers.code:verify",
    "procedural": "pipeline.verifiers.procedural:verify",
    "consensus": "pipeline.verifiers.consensus:solve",
    "model_judge": "pipeline.verifiers.model_judge:solve",
    "remote_judge": "pipeline.verifiers.remote_judge:verify",
    "all": "pipeline.verifiers.all:solve",
    "any": "pipeline.verifiers.any:solve",
    "first": "pipeline.verifiers.first:solve",
    "execution": "pipeline.verifiers.execution:verify",
}
