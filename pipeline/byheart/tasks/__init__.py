"""Where problems come from, one source a file. A source yields problems in an order that its seed decides."""

REGISTRY = {
    "aime": "byheart.tasks.aime:problems",
    "arc": "byheart.tasks.arc:problems",
    "arithmetic": "byheart.tasks.arithmetic:problems",
    "commonsense_qa": "byheart.tasks.commonsense_qa:problems",
    "countdown": "byheart.tasks.countdown:problems",
    "file": "byheart.tasks.file:problems",
    "gsm8k": "byheart.tasks.gsm8k:problems",
    "hub": "byheart.tasks.hub:problems",
    "humaneval": "byheart.tasks.humaneval:problems",
    "math": "byheart.tasks.math:problems",
    "mbpp": "byheart.tasks.mbpp:problems",
    "reasoning_gym": "byheart.tasks.reasoning_gym:problems",
    "times_table": "byheart.tasks.times_table:problems",
}
