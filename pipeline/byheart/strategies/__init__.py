"""Strategies, a file each. `solve` is a generator for one problem; driver.py runs thousands of them at once."""

REGISTRY = {
    "backtrack": "byheart.strategies.backtrack:Backtrack",
    "beam": "byheart.strategies.beam:Beam",
    "best_of": "byheart.strategies.best_of:BestOf",
    "decompose": "byheart.strategies.decompose:Decompose",
    "direct": "byheart.strategies.direct:Direct",
    "few_shot": "byheart.strategies.few_shot:FewShot",
    "gold": "byheart.strategies.gold:Gold",
    "mcts": "byheart.strategies.mcts:MCTS",
    "mixture": "byheart.strategies.mixture:Mixture",
    "program": "byheart.strategies.program:Program",
    "q_star": "byheart.strategies.q_star:QStar",
    "rationalize": "byheart.strategies.rationalize:Rationalize",
    "reflect": "byheart.strategies.reflect:Reflect",
    "self_ask": "byheart.strategies.self_ask:SelfAsk",
}
