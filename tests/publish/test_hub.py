"""Publishing, through the hub's own client, to a hub on loopback: what was pushed loads; what breaks off says so."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from byheart.config.recipe import parse
from byheart.errors import InputError
from byheart.models import checkpoint
from byheart.publish import hub
from byheart.runs.run import Run

from tests.conftest import environment, python
from tests.loopback import TOKEN, Hub, Repo, serving
from tests.warm import Warm

RECIPE = """
name: r
model: {{name: {model}, max_context: 128}}
task: {{name: arithmetic, num_train: 8, num_dev: 8, num_held_out: 8}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 1, max_samples: 2}}
objective: {{name: sft, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}}
evaluation: {{num_train: 4}}
"""
BASE = ("--base", "someone/tiny", "--license", "mit")


Call = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.train, pytest.mark.torch]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Path, warm: Warm) -> Path:
    """A run of one round: scripted solutions, a real adapter on a tiny Llama."""
    folder = tmp_path_factory.mktemp("trained")
    sums = {
        f"What is {a} + {b}? Reply with just the number.": str(a + b) for a in range(10, 100) for b in range(10, 100)
    }
    script = {asked: ["0", f"That makes {answer}"] for asked, answer in sums.items()}
    better = {f"adapter: {asked}": [answer] for asked, answer in sums.items()}
    (folder / "script.json").write_text(json.dumps(script | better))
    (folder / "r.yaml").write_text(RECIPE.format(model=tiny))
    done = warm.run(["run", "r.yaml"], folder, environment())
    assert done.returncode == 0, done.stderr
    return folder / "runs/r"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "r"))


@pytest.fixture(scope="module")
def loopback() -> Iterator[Hub]:
    with serving() as hub_:
        yield hub_


@pytest.fixture
def there(loopback: Hub) -> Iterator[Hub]:
    yield loopback
    loopback.clear()


@pytest.fixture(scope="module")
def env(loopback: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For what the hub is the one on loopback."""
    return environment(
        HF_ENDPOINT=loopback.address,
        HF_HOME=str(tmp_path_factory.mktemp("cache")),
        HF_TOKEN=TOKEN,
        HF_HUB_DISABLE_XET="1",  # it speaks git-lfs, not xet
    )


@pytest.fixture(scope="module")
def to_loopback(env: dict[str, str]) -> Iterator[Warm]:
    warm_ = Warm(env)
    yield warm_
    warm_.close()


@pytest.fixture
def call(to_loopback: Warm, there: Hub, env: dict[str, str], tmp_path: Path) -> Call:
    """The command line, for which the hub is the one on loopback."""
    return lambda *arguments: to_loopback.run(arguments, tmp_path, env)


def publish(call: Call, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call("publish", "r", "--to", "me/sums", *arguments)


@pytest.mark.slow
def test_what_was_pushed_loads(
    call: Call, there: Hub, run: Path, tiny: Path, env: dict[str, str], tmp_path: Path
) -> None:
    done = publish(call, *BASE)
    assert done.returncode == 0, done.stderr
    assert f"{there.address}/me/sums/tree/round-001" in done.stdout
    assert set(there.repos) == {"me/sums", "datasets/me/sums"}
    assert all(
        repo.private and len(repo.commits) == 1 and list(repo.tags) == ["round-001"] for repo in there.repos.values()
    )
    files = there.repos["me/sums"].commits[there.repos["me/sums"].tags["round-001"]]
    assert {"adapter_model.safetensors", "README.md", "metrics.json", "recipe.yaml", "tokenizer.json"} <= set(files)
    assert "training_args.bin" not in files, "a pickle"
    assert files["adapter_model.safetensors"] == (run / "round-001/adapter/adapter_model.safetensors").read_bytes()
    loads = python(
        tmp_path,
        "-c",
        f"""
import datasets, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
rows = datasets.load_dataset("me/sums", split="train", revision="round-001")
print(len(rows), rows[0]["completion"], rows[0]["policy"])
base = AutoModelForCausalLM.from_pretrained({str(tiny)!r})
ids = torch.tensor([[1, 2, 3]])
before = base(ids).logits
model = PeftModel.from_pretrained(base, "me/sums", revision="round-001")
print(torch.equal(before, model(ids).logits), model.peft_config["default"].base_model_name_or_path)
AutoTokenizer.from_pretrained("me/sums")
""",
        **env,
    )
    assert loads.returncode == 0, loads.stderr
    rows, adapter = loads.stdout.splitlines()
    assert int(rows.split()[0]) > 0 and "That makes" in rows and rows.endswith("base")
    assert adapter == "False someone/tiny"


def test_the_cards_say_what_it_is(call: Call, there: Hub, run: Path, tiny: Path) -> None:
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
        assert file.is_dir() or str(tiny).encode() not in file.read_bytes(), "a place on this machine"


@pytest.mark.slow
def test_merged_weights_take_the_place_of_the_adapter(
    call: Call, there: Hub, run: Path, env: dict[str, str], tmp_path: Path
) -> None:
    assert publish(call, *BASE).returncode == 0
    there.repos["me/sums"].files["NOTES.txt"] = b"mine"
    there.repos["me/sums"].tags.clear()
    done = publish(call, *BASE, "--merged")
    assert done.returncode == 0, done.stderr
    files = set(there.repos["me/sums"].commits[there.repos["me/sums"].tags["round-001"]])
    assert {"model.safetensors", "config.json", "NOTES.txt"} <= files
    assert not {"adapter_config.json", "adapter_model.safetensors"} & files
    loads = python(
        tmp_path,
        "-c",
        "from transformers import LlamaForCausalLM; print(LlamaForCausalLM.from_pretrained('me/sums').device)",
        **env,
    )
    assert loads.stdout.strip() == "cpu", loads.stderr


@pytest.mark.parametrize(
    ("fault", "statuses", "message"),
    [
        (("POST", "/api/repos/create"), [401], "hf auth login"),
        (("POST", "/api/repos/create"), [403], "your token may not write there"),
        (("POST", "/commit/"), [409], "somebody else pushed at the same time"),
        (("POST", "/commit/"), [429] * 20, "limits the rate of requests"),
        (("POST", "/commit/"), [500] * 20, "the same command continues"),
        (("POST", "/commit/"), [0] * 20, "the same command continues"),
    ],
    ids=["401", "403", "409", "429", "500", "cut"],
)
def test_what_fails_is_said_and_nothing_is_half_pushed(
    call: Call,
    there: Hub,
    run: Path,
    fault: tuple[str, str],
    statuses: list[int],
    message: str,
) -> None:
    there.faults[fault] = statuses
    done = publish(call, *BASE)
    assert done.returncode == 7 and message in done.stderr, done.stderr
    assert "is not published" in done.stderr and "Traceback" not in done.stderr
    assert "/tree/" not in done.stdout
    assert not any(repo.commits or repo.tags for repo in there.repos.values())
    assert TOKEN not in done.stdout + done.stderr
    assert not [path for path in run.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    sent = list(there.sent)
    there.faults.clear()
    again = publish(call, *BASE)
    assert again.returncode == 0, again.stderr
    assert len(there.sent) == len(set(there.sent)) and there.sent[: len(sent)] == sent, "what had arrived was sent anew"
    assert [len(repo.commits) for repo in there.repos.values()] == [1, 1]


def test_a_connection_that_is_cut_half_way_is_tried_again(call: Call, there: Hub, run: Path) -> None:
    there.faults["PUT", "/blobs/"] = [0]
    done = publish(call, *BASE)
    assert done.returncode == 0, done.stderr
    assert [list(repo.tags) for repo in there.repos.values()] == [["round-001"]] * 2


def test_the_same_again_changes_nothing_and_another_round_of_the_same_name_is_refused(
    call: Call, there: Hub, run: Path
) -> None:
    assert publish(call, *BASE).returncode == publish(call, *BASE).returncode == 0
    assert [len(repo.commits) for repo in there.repos.values()] == [1, 1]
    tagged = dict(there.repos["me/sums"].tags)
    metrics = run / "round-001/metrics.json"
    metrics.write_text(metrics.read_text() + "\n")
    done = publish(call, *BASE)
    assert done.returncode == 7 and "has a round-001 already" in done.stderr
    assert there.repos["me/sums"].tags == tagged


def test_what_may_not_be_published_is_not(run: Path) -> None:
    with pytest.raises(InputError, match="OWNER/NAME is expected"):
        hub.pack(run, None, "sums")
    with pytest.raises(InputError, match="give its name on the hub with --base"):
        hub.pack(run, None, "me/sums")
    with pytest.raises(InputError, match="which forbids"):
        hub.pack(run, None, "me/sums", "someone/tiny", "cc-by-nc-nd-4.0")
    with pytest.raises(InputError, match="--to me/Llama-sums"):
        hub.pack(run, None, "me/sums", "meta-llama/Llama-3.2-1B", "llama3.2")
    with pytest.raises(InputError, match="round 2 is not finished, or made no adapter; rounds with an adapter: 1"):
        hub.pack(run, 2, "me/sums", "someone/tiny", "mit")
    assert not (run / "round-001/published").exists()


@pytest.fixture
def asked(there: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub on loopback, for this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", there.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return there


def test_the_license_of_a_base_model_is_asked_of_the_hub(asked: Hub, run: Path) -> None:
    for name, card in {"a/mit": {"license": "mit"}, "a/other": {"license": "other", "license_name": "x-nd"}}.items():
        asked.repos[name] = Repo(card=card)
    asked.repos["a/none"] = Repo()
    assert checkpoint.license("a/mit") == "mit"
    with pytest.raises(InputError, match="x-nd, which forbids"):
        hub.pack(run, None, "me/sums", "a/other")
    for nobody in ("a/none", "a/missing"):
        with pytest.raises(InputError, match="--license"):
            hub.pack(run, None, "me/sums", nobody)
    assert hub.pack(run, None, "me/sums", "a/mit")


def test_the_license_of_the_problems_goes_with_the_data_set(asked: Hub, run: Path) -> None:
    from huggingface_hub import DatasetCard

    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["task"] = {"name": "hub", "dataset": "a/sums", "revision": "main", "verifier": "number"}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    asked.repos["datasets/a/sums"] = Repo(card={"license": "cc-by-nd-4.0"})
    with pytest.raises(InputError, match="a/sums is under cc-by-nd-4"):
        hub.pack(run, None, "me/sums", "someone/tiny", "mit")
    asked.repos["datasets/a/sums"] = Repo(card={"license": "cc-by-4.0"})
    _, data = hub.pack(run, None, "me/sums", "someone/tiny", "mit")
    card = DatasetCard.load(data.folder / "README.md").data
    assert (card.license, card.source_datasets) == ("cc-by-4.0", ["a/sums"])


def test_a_scorer_goes_with_its_policy_and_comes_with_it(run: Path, tmp_path: Path, tiny: Path) -> None:
    shutil.copytree(run / "round-001/adapter", run / "round-001/scorer/adapter")
    model, _ = hub.pack(run, None, "me/sums", "someone/tiny", "mit")
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


@pytest.mark.slow
def test_a_run_starts_from_what_was_published(call: Call, trained: Path, run: Path, tmp_path: Path) -> None:
    assert publish(call, *BASE).returncode == 0
    for name in ("r.yaml", "script.json"):
        shutil.copy(trained.parent.parent / name, tmp_path)
    again = ("run", "r.yaml", "--run-dir", "again", "--from")
    for missing, message in {
        "me/sums@round-009": "has no revision round-009",
        "me/nothing": "the hub has no me/nothing",
    }.items():
        refused = call(*again, missing)
        assert refused.returncode == 2 and message in refused.stderr, refused.stderr
    done = call(*again, "me/sums@round-001")
    assert done.returncode == 0, done.stderr
    was, now = (json.loads((folder / "round-001/metrics.json").read_text()) for folder in (run, tmp_path / "again"))
    assert was["before"] == "base" and now["before"] == was["after"]
    assert now["splits"]["held_out"]["before"]["fast"]["accuracy"] == 1.0
    refused = call(*again, "me/sums@round-001", "model.name=smollm2-135m")
    assert refused.returncode == 2 and "was made for someone/tiny" in refused.stderr, refused.stderr
