"""How a dataset changes a policy, one objective a file: thin over trl, in a process that accelerate launches."""

REGISTRY = {
    "none": "pipeline.objectives.none:fit",
    "preference": "pipeline.objectives.preference:fit",
    "sft": "pipeline.objectives.sft:fit",
    "step_value": "pipeline.objectives.step_value:fit",
    "vstar": "pipeline.objectives.vstar:fit",
}
