"""How a dataset changes a policy, one objective a file: a thin layer over trl, in a process that accelerate starts."""

REGISTRY = {
    "none": "byheart.objectives.none:NoTraining",
    "preference": "byheart.objectives.preference:Preference",
    "sft": "byheart.objectives.sft:SFT",
    "step_value": "byheart.objectives.step_value:StepValue",
    "vstar": "byheart.objectives.vstar:VStar",
}
