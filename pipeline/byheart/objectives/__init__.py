"""How a dataset changes a policy, one objective a file: thin over trl, in a process that accelerate launches."""

REGISTRY = {
    "none": "byheart.objectives.none:fit",
    "preference": "byheart.objectives.preference:fit",
    "sft": "byheart.objectives.sft:fit",
    "step_value": "byheart.objectives.step_value:fit",
    "vstar": "byheart.objectives.vstar:fit",
}
