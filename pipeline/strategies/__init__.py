"""Ways to think slowly. Each is a generator for one problem; driver.py keeps thousands of them going at once."""

REGISTRY = {
    "backtrack": "pipeline.strategies.backtrack:solve",
    "beam": "pipeline.strategies.beam:solve",
    "best_of": "pipeline.strategies.best_of:solve",
    "decompose": "pipeline.strategies.decompose:solve",
    "direct": "pipeline.strategies.direct:solve",
    "few_shot": "pipeline.strategies.few_shot:solve",
    "mcts": "pipeline.strategies.mcts:solve",
    "mixture": "pipeline.strategies.mixture:solve",
    "program": "pipeline.strategies.program:solve",
    "q_star": "pipeline.strategies.q_star:solve",
    "rationalize": "pipeline.strategies.rationalize:solve",
    "reflect": "pipeline.strategies.reflect:solve",
    "self_ask": "pipeline.strategies.self_ask:solve",
}
