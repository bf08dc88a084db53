"""Ways to think slowly. Each is a generator for one problem; driver.py keeps thousands of them going at once."""

REGISTRY = {
    "backtrack": "byheart.strategies.backtrack:solve",
    "beam": "byheart.strategies.beam:solve",
    "best_of": "byheart.strategies.best_of:solve",
    "decompose": "byheart.strategies.decompose:solve",
    "direct": "byheart.strategies.direct:solve",
    "few_shot": "byheart.strategies.few_shot:solve",
    "mcts": "byheart.strategies.mcts:solve",
    "mixture": "byheart.strategies.mixture:solve",
    "program": "byheart.strategies.program:solve",
    "q_star": "byheart.strategies.q_star:solve",
    "rationalize": "byheart.strategies.rationalize:solve",
    "reflect": "byheart.strategies.reflect:solve",
    "self_ask": "byheart.strategies.self_ask:solve",
}
