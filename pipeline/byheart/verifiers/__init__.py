"""Verifiers, a file each: they judge whether a response solves a problem.

service.py answers Verify requests by them; pool.py runs those that could be slow in processes that can be killed.
"""

REGISTRY = {
    "number": "byheart.verifiers.number:Number",
    "exact": "byheart.verifiers.exact:Exact",
    "regex": "byheart.verifiers.regex:Regex",
    "choice": "byheart.verifiers.choice:Choice",
    "math": "byheart.verifiers.math:Math",
    "code": "byheart.verifiers.code:Code",
    "procedural": "byheart.verifiers.procedural:Procedural",
    "consensus": "byheart.verifiers.consensus:Consensus",
    "model_judge": "byheart.verifiers.model_judge:ModelJudge",
    "remote_judge": "byheart.verifiers.remote_judge:RemoteJudge",
    "all": "byheart.verifiers.all:AllOf",
    "any": "byheart.verifiers.any:AnyOf",
    "first": "byheart.verifiers.first:FirstOf",
    "execution": "byheart.verifiers.execution:Execution",
}
