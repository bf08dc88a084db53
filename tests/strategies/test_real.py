"""Every strategy with the real vLLM and SmolLM2-135M: a small model, but what it writes is its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Strategy
from byheart.plugins import registry

from tests.conftest import ROOT

pytestmark = pytest.mark.engine

FACTS = [(2, 3), (5, 5), (7, 8)]
SMALL = {"samples": 2, "max_tokens": 24}
SHOTS = [{"prompt": f"What is {a} times {b}?", "response": f"{a} times {b} is {a * b}."} for a, b in ((2, 4), (3, 6))]

STEPS = {"width": 2, "step_tokens": 24, "max_nodes": 12, "max_depth": 4}

OPTIONS: dict[str, dict[str, Any]] = {
    "backtrack": SMALL,
    "beam": STEPS | {"beams": 2},
    "best_of": SMALL | {"temperatures": [0.5, 1.0], "choose": "majority"},
    "decompose": SMALL | {"divide_tokens": 48, "width": 2},
    "direct": SMALL | {"max_samples": 4},
    "few_shot": SMALL | {"max_samples": 2, "examples": SHOTS, "shots": 2, "choose": "nearest"},
    "mcts": STEPS | {"simulations": 4},
    "mixture": {"parts": [{"name": "direct", "max_samples": 1, **SMALL}, {"name": "reflect", **SMALL}]},
    "program": SMALL | {"max_tokens": 96},
    "q_star": STEPS | {"solutions": 2},
    "rationalize": SMALL
    | {"of": {"name": "direct", "samples": 1, "max_samples": 1, "temperature": 0, "max_tokens": 4}},
    "reflect": SMALL | {"critique_tokens": 24},
    "self_ask": SMALL | {"questions": 3, "test_tokens": 64, "answer_tokens": 24},
}

# One engine for all of them, in a process of its own, as in use; all at once through one driver, as in a mixture.
CHILD = """
import json, sys
from pathlib import Path
from byheart.models import checkpoint
from byheart.contracts import Strategy, Verifier
from byheart.engines.vllm import VLLM, VLLMSession
from byheart.strategies.core.driver import drive
from byheart.types import Generate, Problem
from byheart.verifiers.core.service import VerifierService
from byheart.verifiers.core.pool import Pool

if __name__ == "__main__":
    facts, options, log = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
    model = checkpoint.ModelOptions(name="smollm2-135m", max_context=1024)
    engine = VLLMSession(VLLM(max_num_seqs=32), checkpoint.fetch(model), model, log)
    long = [f"{n} " + "and so on, " * 50 for n in range(30)]  # more tokens than vLLM reads in one step
    waiting = {engine.submit(Generate(text, temperature=1.0, max_tokens=2, seed=n)) for n, text in enumerate(long)}
    while waiting:
        waiting -= {ticket for ticket, _ in engine.poll()}
    solvers = []
    for name, rest in options.items():
        strategy = Strategy.parse({"name": name, **rest})
        for a, b in facts:
            prompt = [{"role": "user", "content": f"What is {a} times {b}?"}]
            problem = Problem(f"{name} {a} {b}", prompt, str(a * b), "number")
            solvers.append((problem, strategy.solve(problem)))
    with Pool() as pool:
        for group in drive(solvers, engine, VerifierService(Verifier.parse("number"), pool), "0"):
            print("RESULT " + json.dumps(group.to_dict()), flush=True)
"""


def test_every_strategy_is_in_this_story() -> None:
    assert OPTIONS.keys() | {"gold"} == registry.known("strategies").keys()


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory, smollm: Path) -> dict[str, list[dict[str, Any]]]:
    """Strategy -> what it came to for each fact."""
    folder = tmp_path_factory.mktemp("real")
    script = folder / "child.py"  # a file, since the workers that verify import the main module again
    script.write_text(CHILD, "utf-8")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(FACTS), json.dumps(OPTIONS), str(folder / "engine.log")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=290,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in OPTIONS}
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            row = json.loads(line.removeprefix("RESULT "))
            groups[row["problem_id"].split()[0]].append(row)
    return groups


@pytest.mark.parametrize("name", OPTIONS)
def test_it_works_with_a_real_engine(name: str, attempts: dict[str, list[dict[str, Any]]]) -> None:
    rows = attempts[name]
    assert len(rows) == len(FACTS)
    members = {part.get("name", name) for part in OPTIONS[name].get("parts", [{}])} | {name, "direct"}
    for row in rows:
        assert row["failure"] is None
        assert row["num_tokens"] > 0
        assert row["rollouts"] or row["tree"]
        assert {verdict["rollout_id"] for verdict in row["verdicts"]} >= {
            rollout["id"] for rollout in row["rollouts"] if rollout["note"] != "failed"
        }
        for rollout in row["rollouts"]:
            assert rollout["strategy"] in members
            assert [turn["content"] for turn in rollout["prompt"]] == [
                f"What is {' times '.join(row['problem_id'].split()[1:])}?"
            ]
            assert rollout["policy"] == "base"


def test_a_search_keeps_its_tree(attempts: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in attempts.items():
        assert all(bool(row["tree"]) == (name in ("beam", "mcts", "q_star")) for row in rows)
        for row in rows:
            # A search expands several nodes at once, the beams or all children of a node, and ends after that.
            assert len(row["tree"]) < STEPS["max_nodes"] + STEPS["width"] ** 2
            selected = [rollout["response"] for rollout in row["rollouts"] if rollout["selected"]]
            path = "".join(branch["text"] for branch in row["tree"] if branch["selected"])
            assert not row["tree"] or selected == ([path] if path else [])


def test_among_so_many_attempts_some_are_right(attempts: dict[str, list[dict[str, Any]]]) -> None:
    right = {
        name
        for name, rows in attempts.items()
        if any(verdict["score"] == 1.0 for row in rows for verdict in row["verdicts"])
    }
    assert {"direct", "best_of", "few_shot"} <= right


def test_options_of_the_story_are_sound() -> None:
    for name, rest in OPTIONS.items():
        assert Strategy.parse({"name": name, **rest}).name == name
