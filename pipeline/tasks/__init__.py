"""Where problems come from, one source a file. A source yields problems in an order that its seed decides."""

REGISTRY = {
    "aime": "pipeline.tasks.aime:problems",
    "arc": "pipeline.tasks.arc:problems",
    "arithmetic": "pipeline.tasks.arithmetic:problems",
    "commonsense_qa": "pipeline.tasks.commonsense_qa:problems",
    "countdown": "pipeline.tasks.countdown:problems",
    "file": "pipeline.tasks.file:problems",
    "gsm8k": "pipeline.tasks.gsm8k:problems",
    "hub": "pipeline.tasks.hub:problems",
    "humaneval": "pipeline.tasks.humaneval:problems",
    "math": "pipeline.tasks.math:problems",
    "mbpp": "pipeline.tasks.mbpp:problems",
    "reasoning_gym": "pipeline.tasks.reasoning_gym:problems",
    "times_table": "pipeline.tasks.times_table:problems",
}
