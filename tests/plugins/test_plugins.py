"""Members from another package: a plugin of each family that an installed distribution adds by an entry point."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.config.recipe import Recipe
from byheart.contracts import Engine
from byheart.errors import RecipeError
from byheart.executors.core.lazy import Lazy
from byheart.executors.local import LocalWorkers
from byheart.models import checkpoint
from byheart.plugins import registry
from byheart.runs.run import about
from byheart.runs.stages import Stage
from byheart.strategies.core.work import Solving
from byheart.tasks.core.splits import load, read_problems
from byheart.trainer.parent import read_policy, train
from byheart.types import Dataset, Generate, Policy, Score
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

from tests.conftest import ROOT, verdicts_by, verifier_by
from tests.fakes import PLAIN, SUM, FakeEngine, attempts, in_turn, saying, text

MODULE = '''
import json
from typing import ClassVar

from byheart.contracts import Engine, Objective, Session, Strategy, Task, Verifier
from byheart.plugins.plugin import Member, named
from byheart.types import Completion, Generate, Judgement, Parallel, Problem, Rollout, Score


class Riddles(Task):
    """Problems to which nobody wrote down an answer; there is no end of them."""

    has_gold = False
    verifier: Member[Verifier] = named("consensus")

    def problems(self, seed):
        number = seed
        while True:
            yield Problem.of([{"role": "user", "content": f"Riddle {number}?"}], None, self.verifier.name)
            number += 1


class Ladder(Strategy):
    """One sample at each temperature, from cold to warm."""

    temperatures: list[float] = [0.0, 1.0]
    max_tokens: int = 8

    def solve(self, problem):
        replies = yield [
            Generate(problem.prompt, temperature=warm, max_tokens=self.max_tokens) for warm in self.temperatures
        ]
        rollouts = [Rollout.of(problem, reply[0], self.name, selected=not index) for index, reply in enumerate(replies)]
        return rollouts


class Fork(Strategy):
    """A short way and a long one, side by side."""

    def solve(self, problem):
        [ways] = yield [Parallel([self._way(problem.prompt, "short"), self._way(problem.prompt, "a", "long")])]
        return [Rollout.of(problem, end, self.name) for end in ways]

    def _way(self, prompt, *words):
        for word in words:
            [[end]] = yield [Generate(prompt + word)]
        return end


class Peer(Verifier):
    """Asks the policy whether a response is right."""

    needs_gold = False
    asks_policy = True

    def interact(self, problem, responses):
        opinions = yield [Generate(f"Is {response!r} right?", temperature=0.0) for response in responses]
        return [Judgement(float(opinion.text == "yes"), None, opinion.text) for [opinion] in opinions]

    def proves(self):
        return True

    def caveat(self):
        return "A peer was asked."


class Steps(Objective):
    """Leaves an adapter, and a scorer of steps, without training either."""

    trains_scorer = "steps"

    rank: int = 4

    def fit(self, job):
        import numpy
        from safetensors.numpy import save_file

        for number, folder in enumerate((job.out, job.scorer)):
            folder.mkdir(parents=True)
            save_file({"w": numpy.full(self.rank, float(number))}, folder / "adapter_model.safetensors")
        return 1.5

    def adapter_rank(self):
        return self.rank


class Echo(Engine):
    """Repeats the last words of a prompt, and scores a response by its length."""

    suffix: str = "!"

    def start(self, base, model, log):
        log.write_text(f"started on {base.name}")
        return EchoSession(self.suffix)


class EchoSession(Session):
    def __init__(self, suffix):
        self._suffix, self._policy, self._open = suffix, "base", []

    def load(self, policy):
        self._policy = policy.id

    def submit(self, request):
        self._open.append(request)
        return id(request)

    def poll(self):
        requests, self._open = self._open, []
        return [(id(request), self._reply(request)) for request in requests]

    def _reply(self, request):
        if isinstance(request, Score):
            return [float(len(response)) for response in request.responses]
        words = request.prompt if isinstance(request.prompt, str) else request.prompt[-1]["content"]
        return [
            Completion(words + self._suffix, [1], "stop", self._policy, request.seed + n) for n in range(request.n)
        ]

    def close(self):
        self._open.clear()
'''

ENTRY_POINTS = """
[byheart.tasks]
riddles = elsewhere:Riddles
[byheart.strategies]
ladder = elsewhere:Ladder
fork = elsewhere:Fork
[byheart.verifiers]
peer = elsewhere:Peer
[byheart.objectives]
steps_elsewhere = elsewhere:Steps
[byheart.engines]
echo = elsewhere:Echo
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution `elsewhere`, as pip would leave it, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "elsewhere.py").write_text(MODULE)
    info = folder / "elsewhere-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        registry.refresh()
        yield
    sys.modules.pop("elsewhere", None)
    registry.refresh()


def parsed(**sections: Any) -> Recipe:
    raw = {"name": "r", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    return recipe.parse(raw | sections)


def stage(folder: Path, name: str, chosen: Recipe) -> Stage:
    (folder / "round-001").mkdir()
    return Stage(folder, folder / "round-001", 1, name, chosen.seed, about(chosen))


def test_their_keys_are_offered_beside_those_built_in() -> None:
    keys = {"tasks": "riddles", "strategies": "ladder", "verifiers": "peer", "engines": "echo"}
    assert [family for family, key in keys.items() if key not in registry.listed(family)] == []
    with pytest.raises(RecipeError, match="did you mean 'riddles'"):
        parsed(task={"name": "ridles"})
    with pytest.raises(RecipeError, match=r"strategy\.max_token.*did you mean 'max_tokens'"):
        parsed(strategy={"name": "ladder", "max_token": 3})


def test_a_task_without_gold_answers_takes_no_verifier_that_needs_one() -> None:
    validation.check(parsed(task={"name": "riddles"}))
    with pytest.raises(RecipeError, match="'number' needs gold answers and the task 'riddles' has none"):
        validation.check(parsed(task={"name": "riddles", "verifier": "number"}))
    with pytest.raises(RecipeError, match="'all' needs gold answers and the task 'riddles' has none"):
        validation.check(parsed(task={"name": "riddles"}, verifier={"name": "all", "of": ["consensus", "exact"]}))
    with pytest.raises(RecipeError, match=r"task\.verifier: 'number' needs gold answers"):
        validation.check(parsed(task={"name": "riddles", "verifier": "number"}, verifier="consensus"))


@pytest.mark.torch
def test_a_task_without_gold_answers_is_split(tiny: Path, tmp_path: Path) -> None:
    chosen = parsed(
        task={"name": "riddles", "num_train": 4, "num_dev": 2, "num_held_out": 3},
        model={"name": str(tiny), "max_context": 64},
        seed=7,
    )
    problems = load(stage(tmp_path, "load", chosen), chosen.model, chosen.task, [])
    assert problems == read_problems(tmp_path / "round-001")
    assert [text(problem.prompt) for problem in problems.held_out] == [f"USER: Riddle {n}?" for n in (7, 8, 9)]
    assert [len(part) for part in problems.splits().values()] == [4, 2, 3]
    assert {problem.answer for part in problems.splits().values() for problem in part} == {None}


def test_a_strategy_samples_through_the_driver() -> None:
    chosen = parsed(strategy={"name": "ladder", "temperatures": [0.0, 0.5, 1.0]})
    validation.check(chosen)
    engine = in_turn("4", "it is 5", "it is 4")
    group = attempts(SUM, engine, chosen.strategy.model_dump())
    assert [(request.temperature, request.max_tokens) for request in engine.taken] == [(0.0, 8), (0.5, 8), (1.0, 8)]
    assert [(rollout.response, rollout.strategy, rollout.selected) for rollout in group.rollouts] == [
        ("4", "ladder", True),
        ("it is 5", "ladder", False),
        ("it is 4", "ladder", False),
    ]


def test_a_strategy_of_two_branches_keeps_neither_waiting() -> None:
    engine = FakeEngine(lambda request: text(request.prompt), choose=lambda waiting: [waiting[-1][0]])
    group = attempts(PLAIN, engine, {"name": "fork"})
    assert [request.prompt[len(PLAIN.prompt) :] for request in engine.taken] == ["short", "a", "long"]
    assert [rollout.response[len(PLAIN.prompt) :] for rollout in group.rollouts] == ["short", "long"]
    assert len({rollout.seed for rollout in group.rollouts}) == 2


def test_a_verifier_that_asks_the_policy_lets_in_what_is_trained_on_and_measures_nothing() -> None:
    chosen = parsed(verifier="peer")
    validation.check(chosen)
    assert chosen.train_verifier.name == "peer" and chosen.task.verifier.name == "number"
    with pytest.raises(RecipeError, match=r"task\.verifier: a policy would judge its own answers"):
        validation.check(parsed(task={"name": "arithmetic", "verifier": "peer"}))
    with pytest.raises(RecipeError, match=r"task\.verifier: a policy would judge its own answers"):
        validation.check(parsed(task={"name": "arithmetic", "verifier": {"name": "all", "of": ["number", "peer"]}}))


def test_a_verifier_that_asks_the_policy_is_answered_by_the_engine() -> None:
    engine = saying(lambda question: "yes" if "4" in question else "no")
    verdicts = verdicts_by("peer", SUM, ["4", "5"], engine)
    assert [(verdict.score, verdict.reason) for verdict in verdicts] == [(1.0, "yes"), (0.0, "no")]
    assert {verdict.verifier.partition("@")[0] for verdict in verdicts} == {"peer"}
    assert engine.prompts == [["Is '4' right?", "Is '5' right?"]]
    service = VerifierService(parsed(verifier={"name": "all", "of": ["number", "peer"]}).train_verifier, Pool())
    assert service.asks_policy and not service.by_agreement
    assert service.caveats == ["A peer was asked."]


def test_an_objective_that_trains_a_scorer_of_steps_is_one_for_a_search_over_steps() -> None:
    search = {"strategy": {"name": "q_star"}, "curation": {"steps": {}}, "evaluation": {"samples": 4}}
    validation.check(parsed(objective="steps_elsewhere", **search))
    with pytest.raises(RecipeError, match="the objective 'sft' trains none"):
        validation.check(parsed(objective="sft", **search))
    wide = parsed(objective={"name": "steps_elsewhere", "rank": 128}, engine={"name": "vllm", "max_lora_rank": 64})
    with pytest.raises(RecipeError, match=r"128 is more than engine\.max_lora_rank"):
        validation.check(wide)


@pytest.mark.train
@pytest.mark.slow
def test_an_objective_is_fitted_in_the_training_process(tiny: Path, tmp_path: Path) -> None:
    chosen = parsed(objective={"name": "steps_elsewhere", "rank": 3}, model={"name": str(tiny)})
    work = stage(tmp_path, "train", chosen)
    policy = train(
        work,
        Dataset(tmp_path / "dataset", 1, "d"),
        Policy(str(tiny)),
        chosen.model,
        chosen.objective,
        chosen.arguments,
        chosen.launcher,
        LocalWorkers(saying(lambda prompt: prompt)),
    )
    assert (policy.adapter, policy.scorer) == (work.dir / "adapter", work.dir / "scorer/adapter")
    assert read_policy(work.dir) == policy
    assert work.trained_seconds == 1.5


def test_an_engine_answers_whatever_asks_for_completions(smollm: Path, tmp_path: Path) -> None:
    chosen = parsed(engine={"name": "echo", "suffix": "?"}, strategy={"name": "ladder"})
    assert isinstance(chosen.engine, Engine) and chosen.engine.at_once(gpu=True) == 1
    validation.check(chosen)
    log = tmp_path / "engine.log"
    with Lazy(chosen.executor, chosen.engine, chosen.model, log) as workers:
        assert not log.exists(), "it starts with the first work"
        [group] = workers.map([SUM], Solving(chosen.strategy.solve, verifier_by(), "seed"))
        assert [rollout.response for rollout in group.rollouts] == ["What is 2 + 2??"] * 2
        assert log.read_text() == f"started on {checkpoint.fetch(chosen.model).name}"
    session = chosen.engine.start(smollm, chosen.model, log)
    session.load(Policy("m", tmp_path, "adapter-1"))
    tickets = [session.submit(Generate("x", n=2, seed=5)), session.submit(Score("x", ["a", "bcd"]))]
    replies = dict(session.poll())
    assert [(reply.policy, reply.seed) for reply in replies[tickets[0]]] == [("adapter-1", 5), ("adapter-1", 6)]
    assert replies[tickets[1]] == [1.0, 3.0]
