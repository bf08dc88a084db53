"""Runs at a URL: what was done is there, continued from anywhere, and never half."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from byheart.errors import InputError, RunError
from byheart.models import checkpoint
from byheart.runs import store
from fsspec.implementations.local import LocalFileSystem

from tests.conftest import environment
from tests.models import directories
from tests.warm import Warm

Byheart = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this machine, where the copies are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    return tmp_path / "here/byheart"


@pytest.fixture
def recipe(tmp_path: Path, tiny: Path) -> list[str]:
    """A run with real training on a tiny model and answers from a script."""
    sums = [(a, b) for a in range(10, 100) for b in range(10, 100)]
    answers = {f"What is {a} + {b}? Reply with just the number.": [f"{a + b}", "many"] for a, b in sums}
    (tmp_path / "script.json").write_text(json.dumps(answers))
    (tmp_path / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, max_context: 128}}
task: {{name: arithmetic, num_train: 8, num_dev: 4, num_held_out: 4}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 2, max_samples: 2}}
objective: {{name: sft, min_optimizer_steps: 2, max_optimizer_steps: 2, global_batch_size: 4}}
evaluation: {{num_train: 4}}
""")
    return ["run", "r.yaml"]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def part(files: dict[str, bytes], *within: str) -> dict[str, bytes]:
    return {name: text for name, text in files.items() if name.startswith(within)}


# By the command line


@pytest.mark.train
@pytest.mark.slow
def test_a_run_at_a_url_is_gone_on_with_from_there(
    byheart: Byheart, recipe: list[str], tmp_path: Path, here: Path
) -> None:
    remote = tmp_path / "bucket/x"
    url = f"file://{remote}"
    first = byheart(*recipe, "--run-dir", url)
    assert first.returncode == 0, first.stderr
    assert url in first.stdout and not (tmp_path / "runs").exists()
    once = content(remote)
    for name in ("recipe.yaml", "state.json", "report.html", "round-001/metrics.json", "round-001/stages.json"):
        assert name in once
    assert part(once, "round-001/adapter/adapter_model.safetensors") and part(once, "round-001/rollouts-")
    assert part(once, "round-001/dataset/train-", "measures/")
    assert not [name for name in once if "merged" in name or "checkpoint" in name or name.endswith((".lock", ".part"))]

    shutil.rmtree(here / "runs")  # as on another machine
    second = byheart(*recipe, "--run-dir", url)
    assert second.returncode == 0, second.stderr
    twice = content(remote)
    kept = ("round-001/dataset", "round-001/adapter", "round-001/rollouts-", "round-001/metrics.json")
    assert part(twice, *kept) == part(once, *kept)
    assert len(json.loads(twice["state.json"])["rounds"]) == 2 and part(twice, "round-002/adapter")

    shutil.rmtree(here / "runs")
    for command in ("status", "report", "show"):
        done = byheart(command, url)
        assert done.returncode == 0, done.stderr
    [folder] = (here / "runs").iterdir()
    assert byheart("report", url).stdout.strip() == str(folder / "report.html")
    pulled = byheart("pull", url)
    assert (pulled.returncode, pulled.stdout.strip()) == (0, "runs/x"), pulled.stderr
    assert byheart("compare", url, "runs/x").returncode == 0
    assert content(remote) == twice, "who reads writes nothing"
    further = byheart(*recipe, "--from", f"{url}/round-001/adapter", "--run-dir", "further", "--dry-run")
    assert further.returncode == 0, further.stderr
    [copied] = (here / "adapters").iterdir()
    assert (copied / "adapter_model.safetensors").read_bytes() == once["round-001/adapter/adapter_model.safetensors"]

    third = byheart(*recipe, "--run-dir", "runs/x")  # the copy that was pulled is sent back too
    assert third.returncode == 0, third.stderr
    assert len(json.loads((remote / "state.json").read_text())["rounds"]) == 3
    assert (remote / "report.html").read_bytes() == (tmp_path / "runs/x/report.html").read_bytes()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("s3://bucket/runs/x", 2, "s3fs"),
        ("nothing://bucket/x", 2, "Protocol not known: nothing"),
        ("file:///dev/null/x", 3, "refuses or can't be reached (NotADirectoryError"),
    ],
)
def test_what_cannot_be_reached_is_said_before_a_model_loads(
    tmp_path: Path, warm: Warm, recipe: list[str], here: Path, url: str, code: int, said: str
) -> None:
    without = "import sys; sys.modules['s3fs'] = None"
    for command in ([*recipe, "--run-dir", url], ["status", url], [*recipe, "--from", url])[: 3 if code == 2 else 2]:
        done = warm.run(command, tmp_path, environment(), without)
        assert done.returncode == code, done.stderr
        assert said in done.stderr and "Traceback" not in done.stderr and "starting the engine" not in done.stderr


@pytest.mark.torch
def test_there_is_no_run(byheart: Byheart, tmp_path: Path, here: Path) -> None:
    done = byheart("status", f"file://{tmp_path}/bucket/typo")
    assert done.returncode == 2 and "there is no run" in done.stderr
    assert not (here / "runs").exists() and not (tmp_path / "bucket").exists()


@pytest.mark.torch
def test_a_command_that_fails_leaves_what_was_finished(
    byheart: Byheart, recipe: list[str], tmp_path: Path, here: Path
) -> None:
    store = tmp_path / "bucket/x"
    (tmp_path / "config.yaml").write_text("distributed_type: 'NO'\nuse_cpu: true\nmixed_precision: 'nonsense'\n")
    done = byheart(*recipe, "accelerate=config.yaml", "--run-dir", f"file://{store}")
    assert done.returncode == 5, done.stderr
    stages = json.loads((store / "round-001/stages.json").read_text())
    assert {name: one["status"] for name, one in stages.items()}["curate"] == "done"
    assert (store / "round-001/dataset").is_dir() and (store / "round-001/train.log").is_file()


# A store that fails


class Failing(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system that takes so many files and then no more, and notes those that were sent and fetched."""

    protocol = "failing"
    left = 10**9
    moved: ClassVar[list[str]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, auto_mkdir=True)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(re.sub(r"^failing://(me:\w+@)?", "", path)))

    def _one_less(self) -> None:
        Failing.left -= 1
        if Failing.left < 0:
            raise PermissionError("no more of it")

    def put_file(self, path: str, target: str, **options: Any) -> None:
        self._one_less()
        Failing.moved.append(target.rpartition("bucket/x/")[2])
        super().put_file(path, target, **options)

    def get_file(self, path: str, target: str, **options: Any) -> None:
        Failing.moved.append(path.rpartition("bucket/x/")[2])
        super().get_file(path, target, **options)

    def pipe_file(self, *arguments: Any, **options: Any) -> None:
        self._one_less()
        super().pipe_file(*arguments, **options)


@pytest.fixture
def url(tmp_path: Path, here: Path) -> Iterator[str]:
    fsspec.register_implementation("failing", Failing, clobber=True)
    Failing.left = 10**9
    yield f"failing://{tmp_path}/bucket/x"
    Failing.left = 10**9


def made(folder: Path, rounds: int) -> None:
    """What `rounds` rounds leave, as far as this matters."""
    (folder / "recipe.yaml").write_text("name: r\n")
    for n in range(1, rounds + 1):
        adapter = folder / f"round-{n:03d}/adapter"
        if not adapter.is_dir():
            adapter.mkdir(parents=True)
            (adapter / "adapter_model.safetensors").write_text(f"adapter {n} of {folder}")
            (adapter.parent / "stages.json").write_text(f'{{"train": "{n}"}}')
            (adapter.parent / "metrics.json").write_text("{}")
            (adapter.parent / "rollouts-00000.jsonl").write_text(f"{n}\n")
            (adapter.parent / "merged").mkdir()
            (adapter.parent / "merged/model.safetensors").write_text("much")
    (folder / "state.json").write_text(json.dumps({"rounds": ["adapter"] * rounds}))


def rounds(folder: Path) -> int:
    return len(json.loads((folder / "state.json").read_text())["rounds"])


@pytest.mark.parametrize("allowed", range(9))  # files.json, four files, files.json, and three that say what is done
def test_an_upload_that_breaks_off_claims_only_whole_rounds_and_the_next_mends_it(
    url: str, tmp_path: Path, here: Path, allowed: int
) -> None:
    remote, whole = tmp_path / "bucket/x", {"adapter/adapter_model.safetensors", "stages.json", "metrics.json"}
    folder = store.local(url, new=True)
    made(folder, 1)
    (folder / "report.html").write_text("one round")
    store.send(folder)
    made(folder, 2)
    (folder / "report.html").write_text("two rounds")
    broken(folder, allowed)
    elsewhere = taken(url, here)
    for place in (remote, elsewhere):  # what another machine gets of it is whole too
        for n in range(1, rounds(place) + 1):
            assert all((place / f"round-{n:03d}" / name).is_file() for name in whole)
        if (place / "round-002/stages.json").is_file():
            assert (place / "round-002/adapter/adapter_model.safetensors").is_file()
    assert rounds(elsewhere) == (1 if allowed < 6 else 2), "all of the round, or nothing that says that there is one"
    back(elsewhere, folder, here)
    made(folder, 3)  # this machine goes on
    assert store.local(url) == folder
    store.send(folder)
    sent = content(remote)
    listed = json.loads(sent.pop("files.json"))
    assert listed["files"].keys() == sent.keys()
    assert listed["claims"].keys() == {"recipe.yaml", "state.json", *(f"round-00{n}/stages.json" for n in (1, 2, 3))}
    assert all(sent[name].decode() == text for name, text in listed["claims"].items())
    ours = content(folder)
    assert sent == {name: ours[name] for name in ours if "merged" not in name and not name.startswith(".")}
    Failing.left = 0
    store.send(folder)  # there is nothing to send


@pytest.mark.parametrize("allowed", range(7))  # files.json, two files, files.json, and three that say what is done
def test_an_upload_that_breaks_off_leaves_no_old_records_with_new_weights(
    url: str, tmp_path: Path, here: Path, allowed: int
) -> None:
    folder = store.local(url, new=True)
    made(folder, 2)
    store.send(folder)
    shutil.copytree(folder, copy := tmp_path / "copy")
    for n in (1, 2):  # as `--redo-from` does
        shutil.rmtree(folder / f"round-{n:03d}")
    made(folder, 1)
    (folder / "round-001/adapter/adapter_model.safetensors").write_text("new")
    (folder / "round-001/stages.json").write_text('{"train": "new"}')
    (folder / "round-001/metrics.json").unlink()
    broken(folder, allowed)
    for place in (store.pull(url, tmp_path / "new"), store.pull(url, copy)):
        assert (place / "recipe.yaml").exists()
        weights = place / "round-001/adapter/adapter_model.safetensors"
        if (place / "round-001/stages.json").exists():
            is_new = "new" in (place / "round-001/stages.json").read_text()
            assert is_new == (weights.read_text() == "new") == (allowed >= 4)
        if (place / "state.json").exists():
            assert rounds(place) == (1 if allowed >= 4 else 2)
            assert all((place / f"round-{n:03d}/stages.json").exists() for n in range(1, rounds(place) + 1))
    store.send(folder)
    assert rounds(store.pull(url, copy)) == 1
    ours = {name: text for name, text in part(content(folder), "round-", "state").items() if "merged" not in name}
    assert not (copy / "round-001/merged").exists(), "it was made from the old weights"
    assert ours == part(content(tmp_path / "bucket/x"), "round-", "state")
    assert ours == {k: v for k, v in part(content(copy), "round-", "state").items() if "merged" not in k}


@pytest.mark.parametrize("files", [None, {"state.json": "0" * 64}])
@pytest.mark.parametrize("allowed", range(8))
def test_a_first_upload_that_breaks_off_does_not_lock_the_run_out(
    url: str, tmp_path: Path, allowed: int, files: dict[str, str] | None
) -> None:
    (remote := tmp_path / "bucket/x").mkdir(parents=True)
    made(remote, 1)  # somebody copied it there, or an older version sent it
    if files:
        (remote / "files.json").write_text(json.dumps(files))
    folder = store.local(url)
    made(folder, 2)
    broken(folder, allowed)
    assert rounds(store.pull(url, tmp_path / "new")) == (1 if allowed < 5 else 2)
    assert store.local(url) == folder
    store.send(folder)
    assert rounds(store.pull(url, tmp_path / "new")) == 2


def test_a_torn_list_of_files_is_mended_by_who_wrote_it(url: str, tmp_path: Path) -> None:
    listed = tmp_path / "bucket/x/files.json"
    folder = store.local(url, new=True)
    made(folder, 1)
    store.send(folder)
    copy = store.pull(url, tmp_path / "copy")
    made(folder, 2)
    broken(folder, 4)
    for torn in (listed.read_text()[:20], "", "[]"):
        listed.write_text(torn)
        for place in (copy, tmp_path / "new"):
            with pytest.raises(RunError, match="an upload was interrupted; run the command again on the machine"):
                store.pull(url, place)
        with pytest.raises(RunError, match="an upload was interrupted"):
            store.send(copy)
        assert store.local(url) == folder
    broken(folder, 1)
    with pytest.raises(RunError, match="an upload was interrupted"):
        store.pull(url, tmp_path / "new", new=True)
    store.send(folder)
    assert rounds(store.pull(url, copy)) == 2


def broken(folder: Path, allowed: int) -> None:
    """An upload that breaks off after so many files."""
    Failing.left = allowed
    with pytest.raises(RunError, match=r"refuses .*PermissionError: no more of it.*your credentials"):
        store.send(folder)
    Failing.left = 10**9


def taken(url: str, here: Path) -> Path:
    """What a machine that knows nothing of the run gets; the copy here is put aside meanwhile."""
    (here / "runs").rename(here / "aside")
    return store.local(url)


def back(elsewhere: Path, folder: Path, here: Path) -> None:
    shutil.rmtree(elsewhere.parent)
    (here / "aside").rename(here / "runs")
    assert folder.is_dir()


def test_a_round_does_not_fail_with_its_store_but_the_command_does(
    url: str, tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from byheart.config import recipe
    from byheart.runs.run import Run
    from byheart.types import Policy

    from tests.fakes import NO_METRICS

    one = recipe.parse({"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}})
    folder = store.local(url, new=True)

    def command(left: int) -> None:
        with Run(folder, one) as run:
            Failing.left = left
            run.round_dir(run.finished + 1).mkdir()
            run.finish(run.finished + 1, Policy("m"), NO_METRICS)

    with pytest.raises(RunError, match="no more of it"):
        command(0)
    assert "no more of it" in capsys.readouterr().err, "and it was said after the round"
    assert json.loads((folder / "state.json").read_text())["rounds"]
    with pytest.raises(RunError, match="no more of it"), Run(folder, one):
        raise AssertionError("a store that refuses does so at once")
    Failing.left = 10**9
    store.send(folder)
    with pytest.raises(KeyError), Run(folder, one):
        Failing.left = 0
        (folder / "new.json").write_text("{}")
        raise KeyError("what ends the command is what is said")
    Failing.left = 10**9
    command(10**9)
    assert len(json.loads((tmp_path / "bucket/x/state.json").read_text())["rounds"]) == 2


def test_what_is_there_is_neither_sent_nor_fetched_again(url: str, here: Path) -> None:
    made(first := store.local(url, new=True), 1)
    store.send(first)
    second = taken(url, here)
    made(second, 2)
    Failing.moved.clear()
    store.send(second)
    new = {
        f"round-002/{name}" for name in ("adapter/adapter_model.safetensors", "metrics.json", "rollouts-00000.jsonl")
    }
    assert {*Failing.moved} == {*new, "round-002/stages.json", "recipe.yaml", "state.json"}
    back(second, first, here)
    Failing.moved.clear()
    store.local(url)
    assert {*Failing.moved} == new, "what says that a round is done is in files.json"
    Failing.moved.clear()
    store.send(first)
    assert store.local(url) == first and not Failing.moved


def test_whole_seconds_on_one_machine_move_nothing_twice(
    url: str, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(first := store.local(url, new=True), 1)
    store.send(first)

    def coarse(path: Path, times: None = None, real: Any = os.utime, **ns: tuple[int, int]) -> None:
        real(path, **{key: (a // 10**9 * 10**9, m // 10**9 * 10**9) for key, (a, m) in ns.items()})

    monkeypatch.setattr(os, "utime", coarse)
    copy = store.pull(url, tmp_path / "copy")
    (first / "one.json").write_text("{}")
    store.send(first)
    Failing.moved.clear()
    store.pull(url, copy)
    assert Failing.moved == ["one.json"]
    (copy / "two.json").write_text("{}")
    store.send(copy)
    store.pull(url, first)
    assert Failing.moved == ["one.json", "two.json", "two.json"]


def test_a_password_in_a_url_is_in_no_message(tmp_path: Path) -> None:
    for url in ("ftp://me:hush@127.0.0.1:1/x", "nothing://me:hush@host/x", "nothing://me:hu/sh@host/x"):
        with pytest.raises((RunError, InputError)) as error:
            store.pull(url, tmp_path / "copy")
        assert "sh@" not in str(error.value) and "hu" not in str(error.value) and "://" in str(error.value)
    for url in ("s3://bucket/a@b/x", "dav://host:80/a@b/x"):
        assert store.shown(url) == url


def test_a_url_is_the_same_with_a_slash_or_another_password(url: str, tmp_path: Path) -> None:
    made(folder := store.local(url, new=True), 1)
    store.send(folder)
    assert store.local(f"{url}/") == folder
    for password in ("old", "new"):
        other = url.replace("://", f"://me:{password}@")
        assert store.local(other) == folder and store.local(f"{other}/") == folder
        origin = folder / ".origin.json"
        assert json.loads(origin.read_text())["url"] == f"{other}/", "the next send has the new password"
        assert origin.stat().st_mode & 0o777 == 0o600
    (folder / "new.json").write_text("{}")
    store.send(folder)
    assert (tmp_path / "bucket/x/new.json").exists()


# Two machines


def test_the_copy_follows_the_store_and_neither_overwrites_the_other(url: str, tmp_path: Path, here: Path) -> None:
    first = store.local(url, new=True)
    made(first, 1)
    store.send(first)
    second = taken(url, here)
    made(second, 2)
    (second / "round-001/rollouts-00000.jsonl").unlink()  # as `--redo-from` moves it away
    store.send(second)
    theirs = content(second)
    assert not (tmp_path / "bucket/x/round-001/rollouts-00000.jsonl").exists()
    back(second, first, here)

    assert store.local(url) == first, "what is here is as it was sent, so the store's is taken over"
    assert content(first).keys() - content(first / "round-001/merged").keys() >= {"round-002/stages.json"}
    assert (first / "state.json").read_bytes() == theirs["state.json"]
    assert not (first / "round-001/rollouts-00000.jsonl").exists()

    second = taken(url, here)
    made(second, 3)
    store.send(second)
    back(second, first, here)
    (first / "round-002/rollouts-00001.jsonl").write_text("mine\n")
    before = content(first), content(tmp_path / "bucket/x")
    with pytest.raises(RunError, match=r"modified by another process, and so was the local copy, .*rollouts-00001"):
        store.local(url)
    with pytest.raises(RunError, match=f"local changes are kept in {first}"):
        store.send(first)
    assert (content(first), content(tmp_path / "bucket/x")) == before


def test_a_copy_that_the_store_left_behind_is_not_changed_by_a_command(url: str, tmp_path: Path, tiny: Path) -> None:
    from byheart.config import recipe
    from byheart.runs.run import Run

    first, old = store.local(url, new=True), {"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    with Run(first, recipe.parse(old)):
        made(first, 1)
    copy = store.pull(url, tmp_path / "copy")
    made(first, 2)
    store.send(first)
    before = content(copy)
    for redo_from in (None, 1):
        with pytest.raises(RunError, match="byheart pull"), Run(copy, recipe.parse(old | {"seed": 3}), None, redo_from):
            raise AssertionError("it asks the store first")
    assert content(copy) == before
    assert rounds(store.pull(url, copy)) == 2


def test_a_fetch_that_breaks_off_is_finished_by_the_next(url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(first := store.local(url, new=True), 2)
    store.send(first)
    shutil.rmtree(here)
    with monkeypatch.context() as broken:
        broken.setattr(Failing, "get_file", breaks_after(4))
        with pytest.raises(RunError, match="ConnectionError: gone"):
            store.local(url)
    assert not (first / "state.json").exists() and not [*first.rglob("*.part")]
    (first / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match=r"only partly fetched: run `byheart pull failing:.*` again"):
        store.send(first)
    assert store.local(url) == first and rounds(first) == 2
    assert (first / "mine.txt").read_text() == "mine"
    store.send(first)


def test_a_fetch_that_breaks_off_leaves_no_old_records_with_new_weights(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(first := store.local(url, new=True), 2)
    store.send(first)
    copy, whole = store.pull(url, tmp_path / "copy"), store.pull(url, tmp_path / "whole")
    for name in ("adapter/adapter_model.safetensors", "metrics.json"):
        (first / "round-002" / name).write_text("new, and nothing else is")
    store.send(first)
    with monkeypatch.context() as broken:
        broken.setattr(Failing, "get_file", breaks_after(1))
        with pytest.raises(RunError, match="ConnectionError: gone"):
            store.pull(url, copy)
    assert "new" in (copy / "round-002/adapter/adapter_model.safetensors").read_text()
    assert sorted(path.parent.name for path in copy.rglob("st*.json")) == ["round-001"]
    for place in (copy, whole):
        store.pull(url, place)
        assert part(content(place), "round-", "state") == part(content(tmp_path / "bucket/x"), "round-", "state")


def test_a_store_that_changes_while_it_is_fetched_is_fetched_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(first := store.local(url, new=True), 1)
    store.send(first)

    def sends(self: Any, path: str, *rest: Any, real: Any = LocalFileSystem.get_file, **options: Any) -> None:
        if path.endswith(".safetensors"):
            (first / "round-001/adapter/adapter_model.safetensors").write_text("new")
            (first / "round-001/stages.json").write_text('{"train": "new"}')
            store.send(first)
        real(self, path, *rest, **options)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Failing, "get_file", sends)
        with pytest.raises(RunError, match="was modified while it was fetched; run the command again"):
            store.pull(url, tmp_path / "copy")
    copy = store.pull(url, tmp_path / "copy")
    assert "new" in (copy / "round-001/stages.json").read_text()


def breaks_after(files: int) -> Callable[..., None]:
    """Fetches so many files whole, and part of the next."""
    fetched: list[str] = []

    def get_file(self: Any, path: str, target: str, real: Any = LocalFileSystem.get_file, **options: Any) -> None:
        if len(fetched) == files:
            Path(target).write_text("part of it")
            raise ConnectionError("gone")
        fetched.append(path)
        real(self, path, target, **options)

    return get_file


def test_a_run_that_somebody_copied_to_the_store_is_taken_over(url: str, tmp_path: Path) -> None:
    (remote := tmp_path / "bucket/x").mkdir(parents=True)
    made(remote, 2)
    copied = content(remote)
    folder = store.local(url)
    assert part(content(folder), "round-", "state", "recipe") == {k: v for k, v in copied.items() if "merged" not in k}
    assert content(remote) == copied
    made(folder, 3)
    assert store.local(url) == folder
    store.send(folder)
    assert "round-003/stages.json" in json.loads((remote / "files.json").read_text())["files"]


def test_a_change_in_a_run_that_was_copied_to_the_store_is_seen_by_its_time(url: str, tmp_path: Path) -> None:
    (remote := tmp_path / "bucket/x").mkdir(parents=True)
    made(remote, 1)
    folder = store.local(url)
    (remote / "round-001/stages.json").write_text('{"train": "9"}')  # as long as before
    assert "9" in (store.local(url) / "round-001/stages.json").read_text()
    Failing.moved.clear()
    assert store.local(url) == folder and not Failing.moved


def test_a_store_of_an_older_version_is_taken_over(url: str, tmp_path: Path) -> None:
    (remote := tmp_path / "bucket/x").mkdir(parents=True)
    made(remote, 2)
    (remote / "files.json").write_text(json.dumps({"state.json": "0" * 64}))  # it listed hashes
    folder = store.local(url)
    assert rounds(folder) == 2 and (folder / "round-002/rollouts-00000.jsonl").is_file()
    made(folder, 3)
    store.send(folder)
    assert rounds(remote) == 3 and store.local(url) == folder


def test_a_folder_that_is_no_copy_of_it_is_left_alone(url: str, tmp_path: Path) -> None:
    made(store.local(url, new=True), 1)
    store.send(store.local(url))
    (mine := tmp_path / "mine").mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"is not a copy of failing:.*name another folder"):
        store.pull(url, mine)
    copy = store.pull(url, tmp_path / "copy")
    with pytest.raises(RunError, match=r"is not a copy of failing:.*/y"):
        store.pull(f"{url[:-1]}y", copy, new=True)
    assert [path.name for path in mine.iterdir() if path.name != ".lock"] == ["notes.txt"] and rounds(copy) == 1


def test_a_store_that_lost_its_run_takes_none_from_here(url: str, tmp_path: Path) -> None:
    folder = store.local(url, new=True)
    made(folder, 1)
    store.send(folder)
    shutil.rmtree(tmp_path / "bucket")
    before = content(folder)
    with pytest.raises(RunError, match="has lost the run whose copy is"):
        store.local(url, new=True)
    assert content(folder) == before


def test_a_store_does_not_say_where_on_this_machine_to_write(url: str, tmp_path: Path) -> None:
    (tmp_path / "bucket/x").mkdir(parents=True)
    for path in ("../../outside", "/etc/outside"):
        manifest = {"files": {path: [4, 0]}, "claims": {path: "text"}}
        (tmp_path / "bucket/x/files.json").write_text(json.dumps(manifest))
        with pytest.raises(RunError, match="outside of the run"):
            store.local(url)


def test_a_directory_is_itself(tmp_path: Path) -> None:
    assert store.local("runs/x") == Path("runs/x")
    made(tmp_path, 1)
    before = content(tmp_path)
    store.send(tmp_path)
    assert content(tmp_path) == before


# Adapters


@pytest.mark.torch
def test_an_adapter_that_changed_is_another(url: str, tmp_path: Path, tiny: Path) -> None:
    (remote := tmp_path / "bucket/x").mkdir(parents=True)
    options = checkpoint.ModelOptions(name=str(tiny), adapter=url)
    with pytest.raises(InputError, match=r"has no adapter_model\.safetensors"):
        checkpoint.adapter(options)
    config = {"base_model_name_or_path": str(tiny), "r": 4, "lora_alpha": 8}
    (remote / "adapter_config.json").write_text(json.dumps(config))
    (remote / "adapter_model.safetensors").write_bytes(directories.weights(one=(2,)))
    (remote / "training_args.bin").write_text("a pickle")
    first = checkpoint.adapter(options)
    assert sorted(content(first)) == ["adapter_config.json", "adapter_model.safetensors"]
    assert checkpoint.adapter(options) == first
    (remote / "adapter_model.safetensors").write_bytes(directories.weights(two=(2,)))
    other = checkpoint.adapter(options) / "adapter_model.safetensors"
    assert other.read_bytes() == directories.weights(two=(2,))


def test_adapters_whose_names_have_a_dot_are_fetched_at_the_same_time(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("v1.0", "v1.1"):
        (tmp_path / "bucket/x" / version).mkdir(parents=True)
        for name in ("adapter_config.json", "tokenizer.json"):
            (tmp_path / "bucket/x" / version / name).write_text(version)

    def meanwhile(self: Any, path: str, *rest: Any, real: Any = LocalFileSystem.get_file, **options: Any) -> None:
        if path.endswith("v1.0/tokenizer.json"):
            store.adapter(f"{url}/v1.1")
        real(self, path, *rest, **options)

    monkeypatch.setattr(Failing, "get_file", meanwhile)
    for version in ("v1.0", "v1.1"):
        texts = content(store.adapter(f"{url}/{version}"))
        assert texts == dict.fromkeys(("adapter_config.json", "tokenizer.json"), version.encode())
