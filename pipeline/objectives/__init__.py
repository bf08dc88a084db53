"""How a dataset changes a policy, one objective a file: thin over trl, in a process that accelerate launches."""

REGISTRY = {
    "sft": "pipeline.objectives.sft:fit",
}
