"""The whole loop for real: SmolLM2-135M through vLLM, a verifier, trl and peft, and back into vLLM."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.train]

RECIPE = """
name: small
model: {name: smollm2-135m, max_context: 192}
task: {name: times_table, num_train: 12, num_dev: 6, num_held_out: 6}
strategy: {name: direct, samples: 4, enough: 2, max_samples: 4, temperature: 0.7, max_tokens: 20}
objective: {name: sft, start: previous, min_optimizer_steps: 3, max_optimizer_steps: 3, global_batch_size: 4}
evaluation:
  num_train: 6
  num_slow: 3
  fast: {max_tokens: 8}
  worked: {max_tokens: 20}
  controls: {few_shot: 2, majority: 3}
  also: {sums: {task: {name: arithmetic, num_held_out: 5}, max_tokens: 20}}
"""


def test_two_rounds_with_real_parts(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, smollm: Path
) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = byheart("run", "small.yaml", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/small"

    # One engine for both rounds: started once, policies swapped in.
    starts = [
        record["engine_start_seconds"]
        for n in (1, 2)
        for record in json.loads((run / f"round-00{n}/stages.json").read_text()).values()
    ]
    assert sum(seconds > 0 for seconds in starts) == 1
    assert done.stderr.count("starting the engine") == 1

    # What was trained on loads as a dataset, what was trained loads as an adapter, and it is not the base model.
    import datasets
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    rows = datasets.load_dataset(str(run / "round-002/dataset"), split="train", cache_dir=str(tmp_path / "cache"))
    assert {row["round"] for row in rows} <= {1, 2} and len(rows) >= 6
    assert all(row["score"] == 1.0 and row["completion"][0]["role"] == "assistant" for row in rows)
    base = AutoModelForCausalLM.from_pretrained(smollm, dtype=torch.float32)
    ids = torch.tensor([[1, 2, 3]])
    before = base(ids).logits
    after = PeftModel.from_pretrained(base, run / "round-001/adapter")(ids).logits
    assert not torch.allclose(before, after, atol=1e-3)
    assert {path.name for path in (run / "round-001/adapter").iterdir()} >= {"adapter_model.safetensors", "README.md"}

    # The after of round 1 is the before of round 2, since it was promoted.
    one, two = (json.loads((run / f"round-00{n}/metrics.json").read_text()) for n in (1, 2))
    assert one["promoted"] and two["before"] == one["after"]
    was, now = one["splits"]["held_out"]["after"], two["splits"]["held_out"]["before"]
    assert (now["fast"], now["worked"]) == (was["fast"], was["worked"])
    assert (run / "report.html").stat().st_size > 1000

    # The controls of the base are measured once, and their figures are those of the answers on record.
    peers = [one["controls"], two["controls"]]
    assert [control["words"] for control in peers[0]] == ["2 worked examples", "a majority vote of 3 samples"]
    assert [control["accuracy"] for control in peers[0]] == [control["accuracy"] for control in peers[1]]
    [problems] = map(json.loads, (run / "round-001/problems.jsonl").read_text().splitlines())
    gold = {problem["id"]: problem["answer"] for problem in problems["held_out"]}
    recorded = list(map(json.loads, (run / "round-001/controls.jsonl").read_text().splitlines()))
    for control, metrics in zip(recorded, peers[0], strict=True):
        answers = [(answer["worked"], gold[answer["problem_id"]]) for answer in control["answers"]]
        right = [
            not asked["cut_off"] and re.findall(r"-?\d+", asked["response"])[-1:] == [answer]
            for asked, answer in answers
        ]
        assert metrics["accuracy"]["worked"]["accuracy"] == sum(right) / 6

    # Another task is measured before and after each round, the same policy once.
    first, second = one["also"]["sums"], two["also"]["sums"]
    assert first["after"] == second["before"] and first["first"] == second["first"] == first["before"]
    for n, sums in ((1, first), (2, second)):
        [problems] = map(json.loads, (run / f"round-00{n}/problems.jsonl").read_text().splitlines())
        gold = {problem["id"]: problem["answer"] for problem in problems["also"]["sums"]}
        [measure] = map(json.loads, (run / f"round-00{n}/evaluate.jsonl").read_text().splitlines())
        answers = [(answer["worked"], gold[answer["problem_id"]]) for answer in measure["also"]["sums"]]
        right = [
            not asked["cut_off"] and re.findall(r"-?\d+", asked["response"])[-1:] == [answer]
            for asked, answer in answers
        ]
        assert sums["after"]["accuracy"] == sum(right) / 5
    assert done.stderr.count("baseline (sums)") == 1 and done.stderr.count("evaluate (sums)") == 2
    for word in ("held out", "newly solved", "tokens an answer", "the same command does round 3"):
        assert word in done.stdout
