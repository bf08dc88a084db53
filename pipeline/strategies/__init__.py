"""Ways to think slowly. Each is a generator for one problem; driver.py keeps thousands of them going at once."""

REGISTRY = {
    "direct": "pipeline.strategies.direct:solve",
}
