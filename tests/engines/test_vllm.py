"""Real vLLM on a tiny Llama: what it is prompted with, what it samples, and that a swapped policy is a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import chat, models
from tests.conftest import ROOT

# Each engine has a process of its own, as in use; it prints one line of JSON a measure.
CHILD = """
import json, sys
from pathlib import Path
from pipeline import models
from pipeline.engines.vllm import Options, VLLM
from pipeline.types import Generate, Policy

base, adapter, log = sys.argv[1], sys.argv[2], sys.argv[3]
model = models.Options(name=base, max_context=128)
engine = VLLM(Options(name="vllm", max_sequences=8), Path(base), model, Path(log))
prompts = [[{"role": "user", "content": f"What is {a} + {b}?"}] for a in (3, 14) for b in (5, 26)]

def ask(**options):
    tickets = [engine.submit(Generate(prompt, max_tokens=12, **options)) for prompt in prompts]
    replies = {}
    while len(replies) < len(tickets):
        replies.update(engine.poll())
    rows = [[one.to_dict() for one in replies[ticket]] for ticket in tickets]
    print("RESULT " + json.dumps(rows), flush=True)

ask(temperature=0)
ask(temperature=1.0, n=3, seed=11)
ask(temperature=1.0, n=3, seed=11)
if adapter:
    engine.load(Policy(base, Path(adapter), "adapter-1"))
    ask(temperature=0)
    engine.load(Policy(base))
    ask(temperature=0)
assert engine.seconds > 0
engine.close()
engine.close()
"""


def run(base: Path, adapter: Path | str, log: Path) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(base), str(adapter), str(log)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
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
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter that changes what the tiny model says, with its merged weights beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from pipeline.types import Policy
    from pipeline.weights import of_policy

    torch.manual_seed(1)
    settings = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    path = tmp_path_factory.mktemp("round") / "adapter"
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), settings).save_pretrained(path)
    assert of_policy(Policy(str(tiny), path, "adapter-1"), tiny) == path.parent / "merged"
    return path


def test_a_swapped_policy_answers_as_a_fresh_engine_does(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    base, sampled, again, swapped, back = run(tiny, adapter, tmp_path / "a.log")
    fresh, *_ = run(adapter.parent / "merged", "", tmp_path / "b.log")
    assert tokens(swapped) == tokens(fresh)
    assert tokens(swapped) != tokens(base)  # else the adapter, or the test, does nothing
    assert tokens(back) == tokens(base)
    assert {one["policy"] for row in swapped for one in row} == {"adapter-1"}
    assert tokens(sampled) == tokens(again), "the same seeds give the same samples"
    assert [[one["seed"] for one in row] for row in sampled] == [[11, 12, 13]] * 4
    assert all(len({tuple(one["tokens"]) for one in row}) == 3 for row in sampled)
    assert (tmp_path / "a.log").stat().st_size > 0


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
