"""The launchers: what they start, on which machines, and that nothing of it is left at the end. That two machines train
as one does is in tests/trainer/test_launch.py."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.machines import pretend, program

SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file())
ON_EACH_NODE = ROOT / "scripts/on_each_node"
HEAD = "--head --port=6379"


@pytest.mark.parametrize(
    "script",
    [path for path in [*SCRIPTS, ROOT / ".ci/run"] if "python" not in path.read_text().partition("\n")[0]],
    ids=lambda path: path.name,
)
def test_shellcheck_finds_nothing(script: Path) -> None:
    checked = subprocess.run([Path(sys.executable).with_name("shellcheck"), script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def started(folder: Path, *command: str | Path, **env: str) -> subprocess.Popen[str]:
    """A script in `folder`, where `ssh`, `srun` and `scontrol` are ours. Its standard input stays open."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PATH": pretend(folder)} | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(script: subprocess.Popen[str]) -> list[str]:
    """The lines that a script says until it ends."""
    assert script.stdout
    return [line.replace("'", "").rstrip() for line in script.stdout]


# On each node


def test_a_command_runs_on_each_node_in_the_same_place_with_the_same_environment(tmp_path: Path) -> None:
    place = tmp_path / "a directory"
    place.mkdir()
    env = {"BYHEART_NODES": "a b", "NCCL_DEBUG": "it's  'on'", "HF_TOKEN": "hf_secret"}
    show = ["bash", "-c", 'echo "$PWD $NCCL_DEBUG $1"', "bash", "$x y"]
    script = started(place, ON_EACH_NODE, *show, **env)
    assert script.stdout and script.stdout.read() == f"{place} it's  'on' $x y\n" * 2
    assert script.wait() == 0
    a, b = said(started(tmp_path, ON_EACH_NODE, *show, **env, DRY_RUN="1"))
    assert a.startswith(f"ssh a cd {tmp_path} && exec env ") and b.startswith("ssh b cd")
    assert "hf_secret" not in a, "others on the machine can read a command line"


@pytest.mark.parametrize("end", ["a command fails", "standard input closes", "it is told to end"])
def test_all_nodes_end_together(tmp_path: Path, end: str) -> None:
    wait = "echo $$; until mv fail failed 2>/dev/null; do sleep 0.02; done; exit 7"
    script = started(tmp_path, ON_EACH_NODE, "bash", "-c", wait, BYHEART_NODES="a b")
    assert script.stdin and script.stdout
    running = [psutil.Process(int(script.stdout.readline())) for _ in "ab"]
    if end == "a command fails":
        (tmp_path / "fail").touch()
    elif end == "standard input closes":
        script.stdin.close()
    else:
        script.terminate()
    code = {"a command fails": 7, "standard input closes": 1, "it is told to end": 143}[end]
    assert script.wait(20) == code
    _, alive = psutil.wait_procs(running, timeout=20)
    assert not alive


# A run on several machines


def checkout(folder: Path, byheart: str) -> None:
    """The launchers in `folder`, with a Ray that notes what it is told, and `byheart` instead of ours."""
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("bench"))
    waits = "echo $$ >>pids; exec sleep 100"
    program(folder / ".venv/bin/ray", f'echo "ray $*" >>noted; if [[ " $* " == *" --block "* ]]; then {waits}; fi')
    all_there = 'until [ "$(wc -l <pids)" -ge "${*: -1}" ]; do sleep 0.02; done'
    program(folder / ".venv/bin/python", f'touch pids; {all_there}; echo "python ${{*:3}}" >>noted')
    program(folder / ".venv/bin/byheart", byheart)


SLURM = {"SLURM_JOB_NODELIST": "n[1-3]"}
SHOW = 'echo "$*: $BYHEART_NODES, $BYHEART_ON_EACH_NODE, $RAY_ADDRESS"; exit 3'


def test_slurm_starts_ray_everywhere_and_the_run_on_the_first_machine(tmp_path: Path) -> None:
    checkout(tmp_path, SHOW)
    command = (tmp_path / "scripts/slurm", "addition", "--rounds", "2")
    script = started(tmp_path, *command, SLURM_SUBMIT_DIR=str(tmp_path), **SLURM)
    [line] = said(script)
    each = "srun --ntasks-per-node=1 --overlap --kill-on-bad-exit=1 --nodes=3"
    assert line == f"run addition executor=ray accelerate=nodes --rounds 2: n1 n2 n3, {each}, n1:6379"
    assert script.wait() == 3
    noted = (tmp_path / "noted").read_text().splitlines()
    assert noted[0] == "ray get-auth-token --generate"
    assert sorted(one for one in noted if one.startswith("ray start")) == [
        "ray start --block --disable-usage-stats --address=n1:6379",
        "ray start --block --disable-usage-stats --address=n1:6379",
        f"ray start --block --disable-usage-stats {HEAD}",
    ]
    assert [one for one in noted if one.startswith("python")] == ["python n1:6379 1", "python n1:6379 3"]
    assert not any(psutil.pid_exists(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_slurm_says_what_it_would_run(tmp_path: Path) -> None:
    dry = {"SLURM_SUBMIT_DIR": str(tmp_path), "DRY_RUN": "1"}
    step = "srun --ntasks-per-node=1 --overlap --kill-on-bad-exit=1 --nodes=1"
    ray = "--input=none .venv/bin/ray start --block --disable-usage-stats"
    assert said(started(tmp_path, ROOT / "scripts/slurm", "addition", **SLURM, **dry)) == [
        f"{step} --nodelist=n1 {ray} {HEAD}",
        f"{step} --nodelist=n2 {ray} --address=n1:6379",
        f"{step} --nodelist=n3 {ray} --address=n1:6379",
        ".venv/bin/byheart run addition executor=ray accelerate=nodes",
    ]
    head = (ROOT / "scripts/slurm").read_text().partition("set -euo")[0]
    assert "#SBATCH --nodes=" in head and "#SBATCH --gpus-per-node=" in head


@pytest.mark.parametrize("ended", ["by itself", "by a signal"])
def test_plain_machines_are_reached_by_ssh_and_ray_is_stopped_however_it_ends(tmp_path: Path, ended: str) -> None:
    checkout(tmp_path, SHOW if ended == "by itself" else "touch waiting; exec sleep 100")
    script = started(tmp_path, tmp_path / "scripts/nodes", "addition", "task.digits=3", HOSTS="a b c")
    if ended == "by a signal":
        while not (tmp_path / "waiting").exists():
            time.sleep(0.02)
        script.terminate()
        time.sleep(0.1)
        psutil.Process(script.pid).children()[0].send_signal(signal.SIGTERM)  # as a terminal or a scheduler does it
        assert script.wait(20) == 143
    else:
        [line] = [line for line in said(script) if "addition" in line]
        each = tmp_path / "scripts/on_each_node"
        assert line == f"run addition executor=ray accelerate=nodes task.digits=3: a b c, {each}, a:6379"
        assert script.wait() == 3
    join = "ray start --address=a:6379 --disable-usage-stats"
    head = f"ray start {HEAD} --disable-usage-stats"
    token = "ray get-auth-token --generate"
    assert (tmp_path / "noted").read_text().splitlines() == [token, head, join, join, *["ray stop"] * 3]


def test_plain_machines_say_what_they_would_run(tmp_path: Path) -> None:
    lines = said(started(tmp_path, ROOT / "scripts/nodes", "addition", HOSTS="a b", DRY_RUN="1"))
    assert [line.partition(" cd ")[0] for line in lines] == [
        f"{ROOT}/.venv/bin/ray start {HEAD} --disable-usage-stats",
        "ssh b",
        f"{ROOT}/.venv/bin/byheart run addition executor=ray accelerate=nodes",
        "ssh a",
        "ssh b",
    ]
    assert lines[1].endswith(f"{ROOT}/.venv/bin/ray start --address=a:6379 --disable-usage-stats")
    assert all(line.endswith(f"{ROOT}/.venv/bin/ray stop") for line in lines[3:])


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    for script, words in (
        ("on_each_node", "BYHEART_NODES: is to name"),
        ("nodes", "HOSTS: is to name"),
        ("slurm", "SLURM_SUBMIT_DIR: is set by sbatch"),
    ):
        [line] = said(started(tmp_path, ROOT / "scripts" / script, "addition"))
        assert words in line
