"""Where problems come from, one source a file. A source yields distinct problems in an order its seed decides."""

REGISTRY = {
    "arithmetic": "pipeline.tasks.arithmetic:problems",
    "times_table": "pipeline.tasks.times_table:problems",
    "file": "pipeline.tasks.file:problems",
}
