"""Work spread over the workers of a Ray cluster that runs here: all of it comes back, also where workers die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from byheart.config import recipe
from byheart.config.validation import check
from byheart.contracts import Engine, Executor, Strategy
from byheart.engines.scripted import Scripted, ScriptedSession
from byheart.engines.transformers import Transformers, TransformersSession
from byheart.errors import EngineError, RecipeError
from byheart.evaluation import Measure
from byheart.executors.core.lazy import Lazy
from byheart.executors.local import Local
from byheart.executors.ray import Job, Ray, RayWorkers, Worker, packed
from byheart.files import Journal, read_records
from byheart.models import checkpoint
from byheart.strategies.core.work import Solving
from byheart.types import Branch, Generate, Policy, Problem, Problems, RecordTree, RolloutGroup, Score, Solver

from tests.conftest import ROOT, verifier_by

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Workers import the functions of this file that are spread over them, and do not look in our working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def cluster(importable: None) -> Iterator[str]:
    """The address of a Ray cluster of one machine."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
    yield found.address
    found.shutdown()


def problems(n: int) -> list[Problem]:
    return [Problem.of(f"{a} + 1 =", str(a + 1), "number") for a in range(n)]


def spread_over(cluster: str, tmp_path: Path, tiny: Path, workers: int = 2, **engine: Any) -> Lazy:
    executor = Ray(num_workers=workers, cpus=0.5, address=cluster)
    model = checkpoint.ModelOptions(name=str(tiny), max_context=128)
    return Lazy(executor, Engine.parse(engine), model, tmp_path / "engine.log")


class Napping(Scripted):
    """Says where it sleeps, or that it can't."""

    tired: bool = True

    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> ScriptedSession:
        return NappingSession(self, base, model, log)


class NappingSession(ScriptedSession):
    def __init__(self, options: Napping, *rest: Any) -> None:
        super().__init__(options, *rest)
        self._tired = options.tired

    def sleep(self) -> str:
        if not self._tired:
            raise EngineError("it is not tired")
        return f"asleep in {os.getpid()}"


def napping(cluster: str, tmp_path: Path, tiny: Path, workers: int, **options: Any) -> Lazy:
    engine = Napping(script=script(tmp_path, problems(400)), delay=0.02, max_num_seqs=4, **options)
    executor, model = Ray(num_workers=workers, cpus=0.5, address=cluster), checkpoint.ModelOptions(name=str(tiny))
    return Lazy(executor, engine, model, tmp_path / "engine.log")


def script(tmp_path: Path, asked: list[Problem]) -> str:
    (tmp_path / "script.json").write_text(json.dumps({str(one.prompt): [f"It is {one.answer}"] for one in asked}))
    return str(tmp_path / "script.json")


DIRECT = Strategy.parse({"name": "direct", "samples": 2, "max_samples": 2, "max_tokens": 8})


def thinking(problem: Problem) -> Solver:
    return DIRECT.solve(problem)


def work(solve: Callable[[Problem], Solver]) -> Solving:
    return Solving(solve, verifier_by(), "seed")


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(of: int | None = None) -> list[psutil.Process]:
    return [one for one in psutil.Process(of).children(recursive=True) if "ray::Worker" in words(one)]


def words(of: psutil.Process) -> str:
    """Its command line, or nothing where it has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(of.cmdline())
    return ""


def test_a_thousand_problems_come_back_once_each_though_a_worker_is_killed(
    cluster: str, tmp_path: Path, tiny: Path
) -> None:
    asked = problems(1000)
    found: list[RolloutGroup] = []
    with spread_over(
        cluster, tmp_path, tiny, name="scripted", script=script(tmp_path, asked), delay=0.02, max_num_seqs=4
    ) as spread:
        for one in spread.map(asked, work(thinking)):
            found.append(one)
            if len(found) == 400:
                first, second = workers()
                first.send_signal(signal.SIGKILL)
        until(lambda: len(workers()) == 2)
        assert second in workers(), "another took the place of the first"
        folders = [Path(tempfile.gettempdir()) / f"byheart-worker-{one.pid}" for one in (first, second)]
        until(lambda: not folders[0].exists())
        assert folders[1].is_dir(), "the folder of who is gone is cleared away by who comes after"
        assert spread.seconds > 1, "what the workers take counts"
    assert sorted(one.problem_id for one in found) == sorted(one.id for one in asked)
    assert all(len(one.rollouts) == 2 and all(verdict.correct for verdict in one.verdicts) for one in found)
    assert not folders[1].exists()
    _, alive = psutil.wait_procs(workers(), timeout=20)
    assert not alive


def test_workers_begin_as_the_cluster_grows_and_one_lost_with_its_machine_is_made_up_for(
    tmp_path: Path, tiny: Path
) -> None:
    from ray.cluster_utils import Cluster

    asked = problems(600)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    each = {"name": "scripted", "script": script(tmp_path, asked), "delay": 0.02, "max_num_seqs": 4}
    executor = Ray(num_workers=2, address=cluster.address)
    found: list[RolloutGroup] = []
    try:
        model = checkpoint.ModelOptions(name=str(tiny))
        with Lazy(executor, Engine.parse(each), model, tmp_path / "engine.log") as spread:
            for one in spread.map(asked, work(thinking)):
                found.append(one)
                if len(found) == 50:
                    assert len(workers()) == 1, "there is no room for the second"
                    added = cluster.add_node(num_cpus=1)
                if len(found) == 400:
                    until(lambda: len(workers()) == 2)
                    cluster.remove_node(added, allow_graceful=False)
        assert len({one.problem_id for one in found}) == len(found) == 600
        assert all(len(one.rollouts) == 2 for one in found)
    finally:
        cluster.shutdown()


def deadly(problem: Problem) -> Solver:
    """As `thinking`, but one problem kills the process it is in, a little later."""
    yield [Generate(problem.prompt)]
    if problem.answer == "13":
        os.kill(os.getpid(), signal.SIGKILL)
    return (yield from thinking(problem))


def test_what_kills_every_worker_costs_one_problem(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(60)
    with spread_over(
        cluster, tmp_path, tiny, name="scripted", script=script(tmp_path, asked), delay=0.01, max_num_seqs=4
    ) as spread:
        found = {one.problem_id: one for one in spread.map(asked, work(deadly))}
    failed = [one for one in found.values() if one.failure]
    assert len(found) == 60 and [one.problem_id for one in failed] == [asked[12].id]
    assert "crashed 3 workers, the last while running alone" in str(failed[0].failure)


def test_what_an_engine_raises_in_a_worker_is_raised_here(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(4)
    with spread_over(cluster, tmp_path, tiny, name="scripted", script=script(tmp_path, asked[:3])) as spread:
        with pytest.raises(EngineError, match=r"has no answers to '3 \+ 1 ='"):
            list(spread.map(asked, work(thinking)))
        again = list(spread.map(asked[:3], work(thinking)))
    assert len(again) == 3, "and the workers go on"


def test_a_worker_does_one_job_after_another_and_sleeps_between_them(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # a worker sets it for good, and here that is for one test
    asked = problems(2)
    engine = Engine.parse({"name": "scripted", "script": script(tmp_path, asked)})

    async def jobs() -> list[RolloutGroup]:
        worker = Worker(engine, checkpoint.ModelOptions(name=str(tiny)), Path.cwd())
        assert await asyncio.wait_for(worker.sleep(), 20) == "", "it has not started yet"
        found: list[RolloutGroup] = []
        for number in (1, 2, 4):
            job = Job(number, made(work(thinking)), made(packed(Policy(str(tiny)))))
            found += await asyncio.wait_for(asyncio.gather(*(worker.solve(one, job) for one in asked)), 20)
            if number == 2:
                await asyncio.wait_for(worker.sleep(), 20)
        await worker.leave()
        return found

    assert [one.problem_id for one in asyncio.run(jobs())] == [one.id for one in asked] * 3


def test_a_worker_answers_every_call_whatever_happens(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    asked = problems(6)
    engine = Engine.parse({"name": "scripted", "script": script(tmp_path, asked)})

    async def answers() -> tuple[Any, Any, Any]:
        worker = Worker(engine, checkpoint.ModelOptions(name=str(tiny)), Path.cwd())
        policy = made(packed(Policy(str(tiny))))
        first = Job(1, made(work(thinking)), policy)
        twice = await asyncio.wait_for(asyncio.gather(*(worker.solve(asked[0], first) for _ in range(2))), 20)
        await worker.sleep()
        failing = Job(2, made(work(odd)), made(packed(Policy(str(tiny)))))
        calls = [worker.solve(one, failing) for one in asked]
        errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)
        late = await asyncio.wait_for(asyncio.gather(worker.solve(asked[1], first), return_exceptions=True), 20)
        await worker.leave()
        return twice, errors, late

    twice, errors, late = asyncio.run(answers())
    assert [one.problem_id for one in twice] == [asked[0].id] * 2
    assert all(isinstance(error, EngineError) and "Odd: 7" in str(error) for error in errors)
    assert len({id(error) for error in errors}) == 6, "to send one error for many calls takes Ray a minute"
    assert [str(error) for error in late] == ["this work was given up"]


class Odd(Exception):
    """One that can't be unpickled, as those of many libraries."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(code)


def odd(problem: Problem) -> Solver:
    yield [Generate(problem.prompt)]
    raise Odd(7, "body")


def test_an_error_that_can_not_travel_is_none_of_a_lost_worker(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(20)
    with (
        spread_over(cluster, tmp_path, tiny, name="scripted", script=script(tmp_path, asked)) as spread,
        pytest.raises(EngineError, match=r"(?s)a worker failed: .*Odd: 7"),
    ):
        list(spread.map(asked, work(odd)))


async def made(value: Any) -> Any:
    """Stands for an object that Ray holds."""
    return value


def test_every_worker_sleeps_and_wakes_with_the_next_work(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(400)
    with napping(cluster, tmp_path, tiny, 2) as spread:
        assert spread.sleep() == "", "nothing has started yet"
        assert len(list(spread.map(asked, work(thinking)))) == 400
        assert spread.sleep() == "; ".join(sorted(f"asleep in {one.pid}" for one in workers()))
        assert len(list(spread.map(asked[:20], work(thinking)))) == 20


def test_a_worker_that_is_gone_has_no_memory_to_release(cluster: str, tmp_path: Path, tiny: Path) -> None:
    with napping(cluster, tmp_path, tiny, 1) as spread:
        list(spread.map(problems(2), work(thinking)))
        [worker] = workers()
        worker.send_signal(signal.SIGKILL)
        psutil.wait_procs([worker], timeout=20)
        assert spread.sleep() != f"asleep in {worker.pid}"
        assert len(list(spread.map(problems(2), work(thinking)))) == 2, "another took its place"


def test_an_engine_that_can_not_sleep_says_so(cluster: str, tmp_path: Path, tiny: Path) -> None:
    with napping(cluster, tmp_path, tiny, 1, tired=False) as spread:
        list(spread.map(problems(2), work(thinking)))
        with pytest.raises(EngineError, match=r"the engine of a worker can't sleep: .*it is not tired"):
            spread.sleep()


def test_the_seeds_are_those_of_one_engine(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(20)
    each: dict[str, Any] = {"name": "scripted", "script": script(tmp_path, asked)}
    one = Lazy(Local(), Engine.parse(each), checkpoint.ModelOptions(name=str(tiny)), tmp_path / "engine.log")
    expected = {done.problem_id: done for done in one.map(asked, work(thinking))}
    with spread_over(cluster, tmp_path, tiny, **each) as spread:
        found = {done.problem_id: done for done in spread.map(asked, work(thinking))}
    assert found == expected


@pytest.mark.parametrize("takes", [{"cpus": 1e6}, {"gpus": 1.0}], ids=["CPUs", "GPUs"])
def test_a_cluster_without_room_is_said(cluster: str, tmp_path: Path, tiny: Path, takes: dict[str, float]) -> None:
    executor = Executor.parse({"name": "ray", "address": cluster, **takes})
    model = checkpoint.ModelOptions(name=str(tiny))
    with (
        Lazy(executor, Engine.parse("transformers"), model, tmp_path / "engine.log") as spread,
        pytest.raises(EngineError, match=r"no room for a worker with .* if it will grow, set executor.num_workers"),
    ):
        list(spread.map(problems(1), work(thinking)))


def test_workers_that_all_die_at_once_are_not_asked_for_for_ever(cluster: str, tmp_path: Path, tiny: Path) -> None:
    asked = problems(200)
    with (
        spread_over(cluster, tmp_path, tiny, name="scripted", script=script(tmp_path, asked)) as spread,
        pytest.raises(EngineError, match="11 workers died in a row without finishing a problem"),
    ):
        list(spread.map(asked, work(killing)))


def killing(problem: Problem) -> Solver:
    """As an engine does that crashes at its start."""
    os.kill(os.getpid(), signal.SIGKILL)
    return (yield from thinking(problem))


def test_a_scorer_travels_with_its_policy(
    cluster: str, tmp_path: Path, tiny: Path, adapter: Path, scorer: Path
) -> None:
    asked = problems(2)
    (tmp_path / "script.json").write_text(json.dumps({"score: 7": 0.25}))
    with spread_over(cluster, tmp_path, tiny, name="scripted", script=str(tmp_path / "script.json")) as spread:
        for policy, value in (
            (Policy(str(tiny), adapter, "adapter-1", scorer), 0.25),
            (Policy(str(tiny), adapter, "adapter-2"), None),
        ):
            spread.load(policy)
            found = list(spread.map(asked, work(scoring)))
            assert [[step.value for step in one.tree] for one in found] == [[value]] * 2


def scoring(problem: Problem) -> Solver:
    [values] = yield [Score(problem.prompt, ["7"])]
    yield [RecordTree([Branch(-1, "7", value=values[0])])]
    return []


def test_a_worker_takes_a_gpu_where_there_are_any_and_as_many_as_its_engine_is_split_over(
    tmp_path: Path, tiny: Path
) -> None:
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 8, "num_gpus": 4, "include_dashboard": False})
    try:
        for each, expected in (("vllm", 4), ({"name": "vllm", "tensor_parallel_size": 2}, 2)):
            options = Ray(address=found.address)
            spread = RayWorkers(options, Engine.parse(each), tiny, checkpoint.ModelOptions(name=str(tiny)))
            assert spread.num_workers == expected
            spread.close()
    finally:
        found.shutdown()


def test_a_worker_whose_model_is_nowhere_says_so(cluster: str, tmp_path: Path, tiny: Path) -> None:
    nowhere = checkpoint.ModelOptions(name="/nowhere/to/be/found")
    one = RayWorkers(Ray(num_workers=1, address=cluster), Transformers(), tiny, nowhere)
    try:
        with pytest.raises(EngineError, match=r"no worker of the Ray cluster could start: .*/nowhere/to/be/found"):
            list(one.map(problems(1), work(thinking)))
    finally:
        one.close()


@pytest.mark.parametrize(
    ("executor", "engine", "said"),
    [
        ("ray", {"data_parallel_size": 2}, "2 copies of the model in one worker; .* executor.num_workers"),
        ("ray", {"max_lora_rank": 8}, "16 is more than engine.max_lora_rank, 8"),
        ("local", {"max_lora_rank": 8}, "16 is more than engine.max_lora_rank, 8"),
        ("local", {"tensor_parallel_size": 2}, "asks for 2 GPUs, and there are 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    executor: str, engine: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from byheart.models import machine

    monkeypatch.setattr(machine, "gpus", list)
    raw = {"name": "r", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    with pytest.raises(RecipeError, match=said):
        check(recipe.parse(raw | {"engine": {"name": "vllm", **engine}, "executor": executor}))


def test_the_gpus_of_workers_are_not_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from byheart.models import machine

    monkeypatch.setattr(machine, "gpus", list)
    raw = {"name": "r", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    check(recipe.parse(raw | {"engine": {"name": "vllm", "tensor_parallel_size": 2}, "executor": "ray"}))


def test_a_run_over_two_real_engines_of_which_one_is_killed(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    """vLLM in each worker, under an adapter that was brought to it."""
    (tmp_path / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, adapter: "{adapter}", max_context: 128}}
task: {{name: arithmetic, num_train: 200, num_dev: 6, num_held_out: 6}}
engine: {{name: vllm, max_num_seqs: 4}}
executor: {{name: ray, num_workers: 2, cpus: 0.5, address: local}}
strategy: {{name: direct, samples: 2, enough: 2, max_samples: 2, max_tokens: 24}}
objective: {{name: none}}
""")
    child = subprocess.Popen(
        [sys.executable, "-m", "byheart.cli", "run", "r.yaml"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
    )

    def written() -> list[RolloutGroup]:
        return Journal(tmp_path / "runs/r/round-001", "rollouts", RolloutGroup).read()

    while len(written()) < 60:
        assert child.poll() is None, child.stderr and child.stderr.read()
        time.sleep(0.05)
    workers(child.pid)[0].send_signal(signal.SIGKILL)
    _, said = child.communicate(timeout=240)
    assert child.returncode == 0, said
    assert "a worker was lost, others take its problems" in said
    assert len(written()) == len({one.problem_id for one in written()}) == 200
    assert all(len(one.rollouts) == 2 and one.rollouts[0].policy.startswith("adapter-") for one in written())
    [measure] = read_records(tmp_path / "runs/r/round-001/evaluate.jsonl", Measure)
    [problems] = read_records(tmp_path / "runs/r/round-001/problems.jsonl", Problems)
    alone = TransformersSession(
        Transformers(), adapter.parent / "merged", checkpoint.ModelOptions(name="merged"), tmp_path
    )
    for problem in problems.dev:
        alone.submit(Generate(problem.prompt, temperature=0.0, max_tokens=16))
    answers = {ticket: one.text for ticket, [one] in alone.poll()}
    assert [one.fast.response for one in measure.splits["dev"]] == [answers[n + 1] for n in range(6)]
