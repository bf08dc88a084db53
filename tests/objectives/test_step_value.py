"""Learning what steps are worth: from what, at which tokens, and how it is said. The model is a real one, if tiny."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from byheart.config.recipe import Recipe, parse
from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.models import chat, checkpoint, weights
from byheart.objectives import sft, step_value
from byheart.types import Policy

from tests.objectives.conftest import write

pytestmark = pytest.mark.train

FEW: dict[str, Any] = {"min_optimizer_steps": 2, "max_optimizer_steps": 2, "global_batch_size": 4}
STEPS = ["a = 1\n", "b = 2\n", "so 3"]


def rows(good: float = 1.0, bad: float = 0.0) -> list[dict[str, Any]]:
    """Solutions whose second step goes well where it says 2, and badly where it says 7."""
    asked: list[Any] = [[{"role": "user", "content": f"What is {n} + 1?"}] for n in range(8)]
    return [
        {"prompt": prompt, "completions": [STEPS[0], f"b = {said}\n", "so 3"], "labels": labels, "values": values}
        for prompt in asked
        for said, labels, values in (
            ("2", [True] * 3, [0.5, good, good]),
            ("7", [True, False, False], [0.5, bad, bad]),
        )
    ]


def values(job: Job, row: dict[str, Any]) -> list[float]:
    """What the trained scorer says after each step."""
    import torch
    from transformers import AutoModelForCausalLM

    policy = Policy(str(job.base), job.out, "adapter-1", job.scorer)
    model = AutoModelForCausalLM.from_pretrained(weights.plain(job.base, policy.scorer), dtype=torch.float32)
    signs = weights.signs(policy)
    assert signs
    ids, ends = chat.encode_steps(checkpoint.tokenizer(job.base), row["prompt"], row["completions"])
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return [float(logits[end, list(signs)].softmax(-1)[0]) for end in ends]


def test_a_value_is_learnt_at_the_end_of_each_step_and_nowhere_else(job: Job) -> None:
    words = checkpoint.tokenizer(job.base)
    row = rows()[1]
    found = step_value.encoded(words, row)
    _, ends = chat.encode_steps(words, row["prompt"], row["completions"])
    assert {place: value for place, value in enumerate(found["values"]) if value >= 0} == dict(
        zip(ends, row["values"], strict=True)
    )
    unvalued = {key: value for key, value in row.items() if key != "values"}
    labels = [value for value in step_value.encoded(words, unvalued)["values"] if value >= 0]
    assert labels == [1.0, 0.0, 0.0], "trl's own labels stand for what was not valued"


def test_it_comes_to_say_what_steps_were_worth(job: Job) -> None:
    write(job.steps, rows())
    options = step_value.StepValue(**FEW, value_epochs=30.0, value_learning_rate=0.01, max_value_steps=80)
    assert options.fit(job) > 0
    good, bad = (values(job, row) for row in rows()[:2])
    assert good[1] > 0.8 and bad[1] < 0.2, "after the second step it is known"
    assert 0.3 < good[0] < 0.7 and good[0] == pytest.approx(bad[0], abs=1e-4), "before it, it is not"
    assert weights.plain(job.base, job.out).is_dir()
    signs = json.loads((job.scorer / weights.SIGNS).read_text("utf-8"))
    assert signs == dict(zip("+-", chat.signs(checkpoint.tokenizer(job.base)), strict=True))


def test_the_loss_is_the_cross_entropy_of_the_signs(job: Job) -> None:
    import torch
    from datasets import Dataset

    write(job.steps, rows())
    options = step_value.StepValue(**FEW)
    words, model = sft.base_model(job, options)
    encoded = [step_value.encoded(words, row) for row in rows(good=0.7, bad=0.2)[:2]]
    trainer = step_value.value_trainer(job, options, words, model.eval(), Dataset.from_list(encoded))
    batch = trainer.data_collator(encoded)
    with torch.no_grad():
        loss = trainer.compute_loss(model, dict(batch))
        expected = []
        for one in encoded:
            chances = model(torch.tensor([one["input_ids"]])).logits[0].float().log_softmax(-1)
            plus, minus = chat.signs(words)
            expected += [
                -value * chances[place, plus] - (1 - value) * chances[place, minus]
                for place, value in enumerate(one["values"])
                if value >= 0
            ]
    assert float(loss) == pytest.approx(float(sum(expected) / len(expected)), rel=1e-4)
    assert float(loss) > math.log(2), "of all that could come next, two tokens are not half"


def test_a_file_in_trls_own_format_is_learnt_as_well(job: Job, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    some = [{"prompt": row["prompt"], "completions": ["a", "b\n", "c"], "labels": row["labels"]} for row in rows()]
    file.write_text("".join(json.dumps(row) + "\n" for row in some), "utf-8")
    options = step_value.StepValue(**FEW, value_epochs=1.0, stepwise=str(file))
    assert options.fit(job) > 0
    assert (job.scorer / weights.SIGNS).is_file()
    assert step_value.stepwise(file)[0]["completions"] == ["a\n", "b\n", "c"]


def test_without_a_valued_step_the_policy_alone_is_trained(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    assert step_value.StepValue(**FEW).fit(job) > 0
    assert not job.scorer.exists()
    assert "so no value model is trained" in capsys.readouterr().out


def check(recipe: Recipe) -> None:
    recipe.objective.check(recipe)


def test_a_recipe_is_told_what_is_missing(tmp_path: Path) -> None:
    raw: dict[str, Any] = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "times_table"}}
    raw |= {"objective": {"name": "step_value"}}
    with pytest.raises(RecipeError, match=r"set curation.steps: \{\}"):
        check(parse(raw))
    with pytest.raises(RecipeError, match=r"set evaluation\.samples: 4"):
        check(parse(raw | {"curation": {"steps": {}}}))
    raw |= {"curation": {"steps": {}}, "evaluation": {"samples": 4}}
    check(parse(raw))
    raw["curation"] = {}
    later = parse(raw | {"schedule": {"curation.steps": [None, {}]}})
    check(later.at(1))  # in the first round the policy alone is trained
    assert later.at(2).curation.steps
    missing = str(tmp_path / "none.jsonl")
    with pytest.raises(RecipeError, match="there is no file"):
        check(parse(raw | {"objective": {"name": "step_value", "stepwise": missing}}))
