"""Pushing, through the hub's own client, to a hub on loopback: what was pushed loads, what breaks off says so, and what
others have there stays."""

from __future__ import annotations

import json
import shutil
from hashlib import sha1
from pathlib import Path

import pytest

from tests.conftest import python
from tests.loopback import TOKEN, Hub, Repo
from tests.publish.conftest import BASE, Call, publish

pytestmark = [pytest.mark.train, pytest.mark.torch]


@pytest.mark.slow
def test_what_was_pushed_loads(
    call: Call, there: Hub, run: Path, base: Path, env: dict[str, str], tmp_path: Path
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
base = AutoModelForCausalLM.from_pretrained({str(base)!r})
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
        (("POST", "/commit/"), [400], "the hub refuses what was sent (the card has no license)"),
        (("POST", "/commit/"), [409], "somebody else pushed at the same time"),
        (("POST", "/commit/"), [412], "somebody else pushed at the same time"),
        (("POST", "/commit/"), [413], "too large for the hub: publish the adapter alone"),
        (("POST", "/commit/"), [429] * 20, "limits the rate of requests: try again in 60 minutes"),
        (("GET", "/api/models/me/sums"), [401], "hf auth login"),
        (("GET", "/api/models/me/sums"), [504] * 20, "the hub took too long to answer"),
        (("POST", "/commit/"), [500], "the same command continues"),
        (("POST", "/commit/"), [0] * 20, "the same command continues"),
    ],
    ids=["401", "403", "400", "409", "412", "413", "429", "look 401", "look 504", "500", "cut"],
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
    there.wait, there.says = 3600, {"error": "the card has no license"}
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
    assert done.returncode == 7 and "the model me/sums has a round-001 already, of other files" in done.stderr
    assert there.repos["me/sums"].tags == tagged
    assert [len(repo.commits) for repo in there.repos.values()] == [1, 1], "nothing was sent"


def test_a_tag_of_the_same_files_is_no_other_one(call: Call, there: Hub, run: Path) -> None:
    assert publish(call, *BASE).returncode == 0
    repo = there.repos["me/sums"]
    repo.commits["2" * 40] = repo.files | {"NOTES.txt": b"mine"}
    tagged, newest = dict(repo.tags), repo.files
    done = publish(call, *BASE)
    assert done.returncode == 0, done.stderr
    assert repo.tags == tagged and repo.files == newest


def test_what_broke_off_before_the_tag_is_tagged(call: Call, there: Hub, run: Path) -> None:
    there.faults["POST", "/api/datasets/me/sums/tag"] = [500] * 20
    assert publish(call, *BASE).returncode == 7
    there.faults.clear()
    done = publish(call, *BASE)
    assert done.returncode == 0, done.stderr
    assert [(len(repo.commits), list(repo.tags)) for repo in there.repos.values()] == [(1, ["round-001"])] * 2


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


MODEL = {
    "model-00001-of-00002.safetensors": b"years of work",
    "other/lora.safetensors": b"more",
    "config.json": b"{}",
    "generation_config.json": b"{}",
    "recipe.yaml": b"name: mine",
}
DATA = {"data/my_years_of_work.parquet": b"rows", "train-00000-of-00001.parquet": b"mine", "README.md": b"# Mine"}


def hold(there: Hub, name: str, files: dict[str, bytes], private: bool = True) -> Repo:
    there.repos[name] = repo = Repo(private)
    repo.commits[sha1(repr(files).encode()).hexdigest()] = dict(files)  # the client caches files by commit
    return repo


@pytest.mark.parametrize(
    ("name", "files", "shown"),
    [
        ("me/sums", MODEL, "the model me/sums holds files that byheart did not push (config.json, generation_config"),
        ("me/sums", {"NOTES.txt": b"mine"}, "(NOTES.txt)"),
        ("me/sums", {"byheart.json": b'{"files": [1]}'}, "(byheart.json)"),
        ("datasets/me/sums", DATA, "the dataset me/sums holds files that byheart did not push (README.md, data/my_"),
        ("datasets/me/sums", {"README.md": b"---\nlicense: mit\n---\n# My years of work\n"}, "(README.md)"),
        ("datasets/me/sums", {"README.md": b"---\nextra_gated_prompt: Ask me first.\n---\n"}, "(README.md)"),
        ("me/sums", {"README.md": "# Größe".encode("latin-1")}, "(README.md)"),
    ],
    ids=["weights", "notes", "another's manifest", "rows", "a card", "a card's settings", "another encoding"],
)
def test_what_others_have_is_refused_and_with_a_word_only_files_of_the_same_name_are_replaced(
    call: Call, there: Hub, run: Path, name: str, files: dict[str, bytes], shown: str
) -> None:
    repo = hold(there, name, files)
    done = publish(call, *BASE)
    assert done.returncode == 2 and shown in done.stderr and "--into me/sums" in done.stderr, done.stderr
    assert repo.files == files and not any("POST" in request for request in there.asked), "nothing was sent"
    done = call("publish", "r", "--into", "me/sums", *BASE)
    assert done.returncode == 0, done.stderr
    ours = json.loads(repo.files["byheart.json"])["files"].keys() | {"byheart.json"}
    assert {path: repo.files[path] for path in files if path not in ours} == {
        path: raw for path, raw in files.items() if path not in ours
    }
    assert repo.files.keys() == files.keys() | ours
    assert publish(call, *BASE).returncode == 0, "now it is one that byheart made"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".gitattributes": b"*.bin lfs"},
        {".gitattributes": b"", "README.md": b"---\nlicense: mit\n---\n"},
        {"README.md": b""},
    ],
)
def test_a_repository_that_was_just_made_is_pushed_to(
    call: Call, there: Hub, run: Path, files: dict[str, bytes]
) -> None:
    repo = hold(there, "me/sums", files, private=False)
    done = publish(call, *BASE)
    assert done.returncode == 0, done.stderr
    assert b"A LoRA adapter" in repo.files["README.md"]
    lines = done.stdout.splitlines()
    assert lines[2:4] == [
        "model me/sums is public, for all to read",
        "dataset me/sums is made now and will be private",
    ]


def test_who_can_read_it_is_said_before_anything_is_sent(call: Call, there: Hub, run: Path) -> None:
    there.faults["POST", "/api/repos/create"] = [403]
    done = publish(call, *BASE, "--public")
    assert done.returncode == 7
    assert done.stdout.splitlines()[2:] == [
        "model me/sums is made now and will be public, for all to read",
        "dataset me/sums is made now and will be public, for all to read",
    ]


def test_what_was_changed_there_since_is_kept_until_told_otherwise(call: Call, there: Hub, run: Path) -> None:
    assert publish(call, *BASE).returncode == 0
    repo, metrics = there.repos["me/sums"], run / "round-001/metrics.json"
    repo.commits["2" * 40] = repo.files | {"README.md": b"# My own words", "adapter_model.safetensors": b"better"}
    metrics.write_text(metrics.read_text() + "\n")
    repo.tags.clear()
    done = publish(call, *BASE)
    assert done.returncode == 2 and "(README.md, adapter_model.safetensors)" in done.stderr, done.stderr
    assert repo.files["README.md"] == b"# My own words"
    done = call("publish", "r", "--into", "me/sums", "--merged", *BASE)
    assert done.returncode == 0, done.stderr
    assert repo.files["adapter_model.safetensors"] == b"better", "it is not what byheart wrote, so it is not deleted"
    assert "adapter_config.json" not in repo.files and b"Weights made of" in repo.files["README.md"]


@pytest.mark.slow
def test_a_push_of_somebody_else_in_between_is_not_overwritten(
    call: Call, there: Hub, run: Path, env: dict[str, str], tmp_path: Path
) -> None:
    assert publish(call, *BASE).returncode == 0
    done = python(
        tmp_path,
        "-c",
        """
from pathlib import Path
from byheart.errors import HubError
from byheart.publish import hub, packing
from huggingface_hub import CommitOperationAdd, HfApi
parcels = packing.pack(Path("r"), None, "me/sums", "someone/tiny", "mit")
seen = hub.survey(parcels, "round-002")
HfApi().create_commit("me/sums", [CommitOperationAdd("README.md", b"somebody else's")], commit_message="mine")
(parcels[0].folder / "metrics.json").write_text("{}")
try:
    list(hub.push(seen, "round-002"))
except HubError as error:
    print(error)
""",
        **env,
    )
    assert "somebody else pushed at the same time" in done.stdout, done.stderr
    assert there.repos["me/sums"].files["README.md"] == b"somebody else's"


@pytest.mark.parametrize("options", [(), ("--to", "me/a", "--into", "me/b")])
def test_where_to_has_to_be_said_once(call: Call, run: Path, options: tuple[str, ...]) -> None:
    done = call("publish", "r", *options)
    assert done.returncode == 2 and "--into USER/NAME" in done.stderr
