"""Real vLLM on a tiny Llama: what it is prompted with, what it samples, and that a swapped policy is a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import chat, models
from pipeline.engines.vllm import VLLM
from pipeline.strategies.driver import drive
from pipeline.types import Generate, Message, Policy, Problem, Solver
from tests.conftest import ROOT, judge_by
from tests.engines.conftest import log_likelihood

RESPONSES = ["8", "3 + 5 = 8, and that is all there is to say.", "", "word " * 200]

# Each engine has a process of its own, as in use; it prints one line of JSON a measure.
CHILD = """
import json, sys
from pathlib import Path
from pipeline import models
from pipeline.engines.vllm import Options, VLLM
from pipeline.types import Generate, Policy, Score

base, adapter, scorer, log = sys.argv[1:]
model = models.Options(name=base, max_context=128)
engine = VLLM(Options(name="vllm", max_sequences=8), Path(base), model, Path(log))
prompts = [[{"role": "user", "content": f"What is {a} + {b}?"}] for a in (3, 14) for b in (5, 26)]

def say(value):
    print("RESULT " + json.dumps(value), flush=True)

def wait(tickets, until=lambda replies: False):
    replies = {}
    while len(replies) < len(tickets) and not until(replies):
        replies.update(engine.poll())
    return replies

def ask(**options):
    tickets = [engine.submit(Generate(prompt, max_tokens=12, **options)) for prompt in prompts]
    replies = wait(tickets)
    say([[one.to_dict() for one in replies[ticket]] for ticket in tickets])

ask(temperature=0)
ask(temperature=1.0, n=3, seed=11)
ask(temperature=1.0, n=3, seed=11)
if adapter:
    engine.load(Policy(base, Path(adapter), "adapter-1"))
    ask(temperature=0)
    engine.load(Policy(base))
    ask(temperature=0)
if scorer:
    responses = json.loads(sys.stdin.read())
    completing = [Generate(prompt, max_tokens=12, temperature=0) for prompt in prompts]
    scoring = [Score(prompt, responses) for prompt in prompts]
    engine.load(Policy(base, Path(adapter), "adapter-2", Path(scorer)))
    tickets = [engine.submit(request) for pair in zip(completing, scoring) for request in pair]
    replies = wait(tickets, until=lambda replies: len(replies) > 4)  # the first of a wave of scores is there
    late = engine.submit(completing[0])  # while others of it are under way, or at least the scorer's weights are in
    replies |= wait([ticket for ticket in [*tickets, late] if ticket not in replies])
    say([[one.to_dict() for one in replies[ticket]] for ticket in [*tickets[::2], late]])
    say([replies[ticket] for ticket in tickets[1::2]])
    say([list(replies).index(ticket) for ticket in tickets])
    engine.load(Policy(base))
    say(wait([engine.submit(scoring[0])]).popitem()[1])
assert engine.seconds > 0
engine.close()
engine.close()
"""


def run(base: Path, log: Path, adapter: Path | str = "", scorer: Path | str = "", typed: str = "") -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(base), str(adapter), str(scorer), str(log)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=typed,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    noise = [line for line in done.stdout.splitlines() if line and not line.startswith("RESULT ")]
    assert not noise, "vLLM's own output belongs in its log"
    return [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines()]


def tokens(rows: list[list[dict[str, Any]]]) -> list[list[list[int]]]:
    return [[one["tokens"] for one in row] for row in rows]


@pytest.fixture(scope="module")
def said(tiny: Path, adapter: Path, scorer: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """All that one engine says in CHILD."""
    log = tmp_path_factory.mktemp("log") / "a.log"
    found = run(tiny, log, adapter, scorer, json.dumps(RESPONSES))
    assert log.stat().st_size > 0
    return found


def test_a_swapped_policy_answers_as_a_fresh_engine_does(said: list[Any], adapter: Path, tmp_path: Path) -> None:
    base, sampled, again, swapped, back, *_ = said
    fresh, *_ = run(adapter.parent / "merged", tmp_path / "b.log")
    assert tokens(swapped) == tokens(fresh)
    assert tokens(swapped) != tokens(base)  # else the adapter, or the test, does nothing
    assert tokens(back) == tokens(base)
    assert {one["policy"] for row in swapped for one in row} == {"adapter-1"}
    assert tokens(sampled) == tokens(again), "the same seeds give the same samples"
    assert [[one["seed"] for one in row] for row in sampled] == [[11, 12, 13]] * 4
    assert all(len({tuple(one["tokens"]) for one in row}) == 3 for row in sampled)


def test_scores_are_the_scorers_and_completions_the_policys_in_whatever_order_they_are_asked_for(
    said: list[Any], scorer: Path
) -> None:
    *_, swapped, _, completed, scores, places, unscored = said
    assert tokens(completed) == [*tokens(swapped), tokens(swapped)[0]], "the late one waited for the policy's weights"
    assert sorted(places[::2]) == [0, 1, 2, 3] and sorted(places[1::2]) == [4, 5, 6, 7], "scores come in one wave"
    for (a, b), row in zip([(a, b) for a in (3, 14) for b in (5, 26)], scores, strict=True):
        prompt = [Message(role="user", content=f"What is {a} + {b}?")]
        for response, score in zip(RESPONSES[:-1], row[:-1], strict=True):
            assert score == pytest.approx(log_likelihood(scorer, prompt, response), abs=1e-3)
        assert row[-1] is None, "a response that doesn't fit the context can't be scored"
    assert unscored == [None] * len(RESPONSES), "a policy without a scorer has no opinion"


@pytest.mark.parametrize("waited", [False, True])
def test_a_prompt_that_vllm_itself_refuses_costs_its_problem_whenever_its_turn_comes(
    waited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No vLLM is started: what it would do stands in its place."""

    def add_request(name: str, prompt: Any, params: Any) -> None:
        raise ValueError("not this one")

    engine = VLLM.__new__(VLLM)
    state = {"policy": Policy("m"), "scoring": waited, "open": {}, "waiting": deque(), "held": deque(), "answered": []}
    state |= {"tickets": 0, "context": 9, "log": tmp_path / "log", "tokenizer": None, "final": None, "params": dict}
    state |= {"llm": SimpleNamespace(llm_engine=SimpleNamespace(add_request=add_request))}
    state |= {"swap": lambda **_: None}
    for name, value in state.items():
        setattr(engine, f"_{name}", value)
    engine.seconds = 0.0
    monkeypatch.setattr(chat, "encode_prompt", lambda *_: [1, 2])
    monkeypatch.setattr(chat, "end_token", lambda *_: 0)

    def solve() -> Solver:
        yield [Generate("x")]
        return []

    [attempts] = drive([(Problem.of("x", "1", "number"), solve())], engine, judge_by())
    assert attempts.failure == "vLLM refuses a prompt of 2 tokens: not this one"


def test_vllm_is_prompted_with_the_tokens_that_training_sees(tiny_llama3: Path, tmp_path: Path) -> None:
    """With Llama 3's template the prompt holds one BOS, and vLLM adds none of its own."""
    child = f"""
from pathlib import Path
import json
from pipeline import models
from pipeline.engines.vllm import Options, VLLM
from pipeline.types import Generate
base = Path({str(tiny_llama3)!r})
model = models.Options(name=str(base), max_context=128)
engine = VLLM(Options(name="vllm", max_sequences=8), base, model, Path({str(tmp_path / "log")!r}))
prompt = [{{"role": "user", "content": "What is 3 + 5?"}}]
engine.submit(Generate(prompt, max_tokens=2, temperature=0))
seen = []
step = engine._llm.llm_engine.step
def spy():
    outputs = step()
    seen.extend(outputs)
    return outputs
engine._llm.llm_engine.step = spy
while not engine.poll():
    pass
print(json.dumps(seen[-1].prompt_token_ids))
"""
    done = subprocess.run(
        [sys.executable, "-c", child],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    words = models.tokenizer(tiny_llama3)
    prompt = [{"role": "user", "content": "What is 3 + 5?"}]
    row = chat.encode_example(words, {"prompt": prompt, "completion": [{"role": "assistant", "content": "8"}]})
    prompted = json.loads(done.stdout.splitlines()[-1])
    assert prompted == row["input_ids"][: row["completion_mask"].index(1)]
    assert prompted.count(words.bos_token_id) == 1
