"""Where problems come from, one task a file. A task yields problems in an order that its seed decides."""

REGISTRY = {
    "aime": "byheart.tasks.aime:AIME",
    "arc": "byheart.tasks.arc:ARC",
    "arithmetic": "byheart.tasks.arithmetic:Arithmetic",
    "commonsense_qa": "byheart.tasks.commonsense_qa:CommonsenseQA",
    "countdown": "byheart.tasks.countdown:Countdown",
    "file": "byheart.tasks.file:FileTask",
    "gsm8k": "byheart.tasks.gsm8k:GSM8K",
    "hub": "byheart.tasks.hub:HubTask",
    "humaneval": "byheart.tasks.humaneval:HumanEval",
    "math": "byheart.tasks.math:MATH",
    "mbpp": "byheart.tasks.mbpp:MBPP",
    "reasoning_gym": "byheart.tasks.reasoning_gym:ReasoningGym",
    "times_table": "byheart.tasks.times_table:TimesTable",
}
