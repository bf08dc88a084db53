"""What proves a solution right. One verifier a file: a function of the gold answer and the response."""

REGISTRY = {
    "number": "pipeline.verifiers.number:verify",
    "exact": "pipeline.verifiers.exact:verify",
}
