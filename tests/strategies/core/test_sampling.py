"""The sample stage: only what is owed, no more than the budget, and the best of several temperatures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.errors import EngineError, RecipeError
from byheart.executors.local import LocalWorkers
from byheart.files import Journal, write_records
from byheart.runs.records import LoadStats, Stages
from byheart.runs.run import Run
from byheart.runs.stages import Stage, stage
from byheart.strategies.core.sampling import read_rollouts, sample
from byheart.strategies.core.verifying import verify
from byheart.strategies.direct import Direct
from byheart.tasks.core.splits import read_problems
from byheart.types import Completion, Generate, Policy, Problem, Problems, Rollout, RolloutGroup, Solver

from tests.conftest import verifier_by
from tests.fakes import FakeEngine, saying

PROBLEMS = [Problem.of(f"{n} + 1", str(n + 1), "number") for n in range(100)]
TOKENS = 10


Answer = Callable[[int, float], list[str]]


def engine_by(answer: Answer, fails_after: int | None = None) -> FakeEngine:
    """Writes what `answer` makes of the problem's number and the temperature, in ten tokens each, the newest request
    first; it is interrupted after `fails_after` replies."""
    replies = 0

    def says(request: Generate) -> list[Completion]:
        nonlocal replies
        if replies == fails_after:
            raise KeyboardInterrupt
        replies += 1
        texts = answer(int(str(request.prompt).split()[0]), request.temperature)
        return [
            Completion(texts[n % len(texts)], [1] * TOKENS, "stop", "base", request.seed + n) for n in range(request.n)
        ]

    return FakeEngine(says, choose=lambda waiting: [waiting[-1][0]])


def right(n: int, temperature: float) -> list[str]:
    return [f"it is {n + 1}"]


class Sampled:
    """The sample stage of a run in `folder`, which may be stopped and begun again."""

    def __init__(self, folder: Path, num_problems: int = 100, **rest: Any) -> None:
        raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
        strategy = {"name": "direct", "samples": 1, "max_samples": 1} | rest.pop("strategy", {})
        self.recipe = recipe.parse(raw | {"strategy": strategy} | rest)
        self.folder, self.problems = folder, Problems(PROBLEMS[:num_problems], [], [])

    def by(self, engine: FakeEngine) -> list[RolloutGroup]:
        run = Run(self.folder, self.recipe)
        try:
            self.dir = run.round_dir(1)
            self.dir.mkdir(exist_ok=True)
            write_records(self.dir / "problems.jsonl", [self.problems])
            inputs = (self.problems, Policy("m"), self.recipe.strategy, self.recipe.sample_tokens, LocalWorkers(engine))
            made = list(run.stage(1, "sample", sample, *inputs, verifier_by("number"), []).value)
            stats = Stages(run.records(1)).sample
            assert stats
            self.stats = stats
        finally:
            run.close()
        assert list(read_rollouts(self.dir)) == made
        return made


def names(attempts: list[RolloutGroup]) -> list[str]:
    return [one.problem_id for one in attempts]


def test_without_a_budget_every_problem_is_attempted(tmp_path: Path) -> None:
    assert names(Sampled(tmp_path / "run").by(engine_by(right))) == [one.id for one in PROBLEMS]


@pytest.mark.parametrize(("budget", "begun"), [(1, 32), (320, 32), (321, 64), (10_000, 100)])
def test_no_more_problems_are_begun_once_the_budget_is_spent(tmp_path: Path, budget: int, begun: int) -> None:
    sampled = Sampled(tmp_path / "run", sample_tokens=budget)
    engine = engine_by(right)
    assert names(sampled.by(engine)) == [one.id for one in PROBLEMS[:begun]]
    assert len(engine.taken) == begun
    assert (sampled.stats.num_problems, sampled.stats.num_tokens) == (begun, begun * TOKENS)


# What the engine wrote last is not yet verified, and so sampled again, unless no problem was begun after it.
@pytest.mark.parametrize(("fails_after", "again"), [(0, 0), (20, 1), (32, 0), (50, 1)])
def test_a_budget_ends_at_the_same_problem_after_an_interruption(tmp_path: Path, fails_after: int, again: int) -> None:
    whole = Sampled(tmp_path / "whole", sample_tokens=321).by(engine_by(right))
    sampled = Sampled(tmp_path / "run", sample_tokens=321)
    with pytest.raises(KeyboardInterrupt):
        sampled.by(engine_by(right, fails_after))
    rest = engine_by(right)
    assert sampled.by(rest) == whole
    assert len(rest.taken) == 64 - fails_after + again
    assert sampled.stats.num_tokens == 64 * TOKENS


def test_how_the_first_samples_came_out_counts_those_before_an_interruption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sampled = Sampled(tmp_path / "run", 40)
    with pytest.raises(KeyboardInterrupt):
        sampled.by(engine_by(right, fails_after=20))
    assert "so far" not in capsys.readouterr().err
    sampled.by(engine_by(right))
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("so far") == 1 and "round 1 sample, so far: 32 problems (all samples right in 32," in said


def test_the_stage_says_what_its_rollouts_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def noted(self: Direct, problem: Problem) -> Solver:
        [[made]] = yield [Generate(problem.prompt)]
        n = int(str(problem.prompt).split()[0])
        note = ("fixed", "unsolved", "", "fixed")[n]
        return [Rollout.of(problem, made, "direct", note=note, hinted=n == 1, selected=n != 2)]

    monkeypatch.setattr(Direct, "solve", noted)
    sampled = Sampled(tmp_path / "run", 4)
    sampled.by(engine_by(right))
    assert sampled.stats.notes == {"fixed": 2, "unsolved": 1}
    stats = sampled.stats
    assert (stats.num_rollouts, stats.num_selected, stats.num_hinted, stats.num_failed) == (4, 3, 1, 0)


WARM = {"temperature": [0.1, 0.6, 1.5], "samples": 4, "max_samples": 4, "enough": 2, "num_tuning": 40}


def by_warmth(n: int, temperature: float) -> list[str]:
    """Too cold: right and all the same. In between: two ways to be right. Too warm: seldom right."""
    said = {0.1: ["so {}"], 0.6: ["so {}", "it is {}", "{}?", "0"], 1.5: ["so {}", "0", "no", "x"]}
    return [text.format(n + 1) for text in said[temperature]]


def test_of_several_temperatures_the_one_with_the_best_balance_samples_the_round(tmp_path: Path) -> None:
    sampled = Sampled(tmp_path / "run", strategy=WARM)
    engine = engine_by(by_warmth)
    attempts = sampled.by(engine)
    assert sampled.stats.temperature == 0.6
    assert sampled.stats.balance == {"0.1": 0.125, "0.6": 0.75, "1.5": 0.125}  # 1/2 * 1/4, 3/4, 1/2 * 1/4
    assert [one.temperature for one in engine.taken].count(0.6) == 100, "what tuning found is not sampled again"
    assert names(attempts) == [one.id for one in PROBLEMS]
    assert sampled.stats.num_tokens == (100 + 2 * 40) * 4 * TOKENS


def test_a_round_that_was_tuned_is_what_one_with_that_temperature_is(tmp_path: Path) -> None:
    tuned = Sampled(tmp_path / "tuned", strategy=WARM).by(engine_by(by_warmth))
    assert tuned == Sampled(tmp_path / "told", strategy=WARM | {"temperature": 0.6}).by(engine_by(by_warmth))


@pytest.mark.parametrize(("fails_after", "again"), [(10, 1), (70, 1), (119, 1), (125, 1), (150, 1)])
def test_tuning_that_was_interrupted_goes_on_and_comes_to_the_same(
    tmp_path: Path, fails_after: int, again: int
) -> None:
    whole = Sampled(tmp_path / "whole", strategy=WARM).by(engine_by(by_warmth))
    sampled = Sampled(tmp_path / "run", strategy=WARM)
    with pytest.raises(KeyboardInterrupt):
        sampled.by(engine_by(by_warmth, fails_after))
    rest = engine_by(by_warmth)
    assert sampled.by(rest) == whole
    assert len(rest.taken) == 180 - fails_after + again


@pytest.mark.parametrize("name", ["direct", "few_shot"])
def test_temperatures_are_not_looked_for_where_tokens_are_limited(name: str) -> None:
    strategy = {"name": name} | ({"source": "own"} if name == "few_shot" else {})
    raw: dict[str, Any] = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "times_table"}}
    limited = raw | {"sample_tokens": 100}
    with pytest.raises(RecipeError, match="name one temperature, or drop sample_tokens"):
        validation.check(recipe.parse(limited | {"strategy": strategy | {"temperature": [0.1, 1.0]}}))
    validation.check(recipe.parse(limited | {"strategy": strategy | {"temperature": 0.1}}))
    validation.check(recipe.parse(raw | {"strategy": strategy | {"temperature": [0.1, 1.0]}}))


@pytest.mark.parametrize("budget", [None, 1])
def test_that_every_problem_failed_is_said_each_time(tmp_path: Path, budget: int | None) -> None:
    sampled = Sampled(tmp_path / "run", 3, sample_tokens=budget)
    for _ in range(2):
        with pytest.raises(EngineError, match=r"every problem failed; .*: too long"):
            sampled.by(saying(lambda _: "1", refuses="+"))


def test_the_journal_of_a_temperature_is_its_own(tmp_path: Path) -> None:
    sampled = Sampled(tmp_path / "run", 3, strategy=WARM)
    sampled.by(engine_by(by_warmth))
    for warm in (0.1, 0.6, 1.5):
        assert len(Journal(sampled.dir, f"tuning-{warm}", RolloutGroup).read()) == 3


@stage(read_problems)
def given(work: Stage, problems: Problems) -> Problems:
    """Writes the problems down."""
    write_records(work.dir / "problems.jsonl", [problems])
    work.stats = LoadStats(0, 0, 0, 0) if work.name == "load" else None
    return problems


def test_a_strategy_that_asks_what_the_run_knows_is_told(tmp_path: Path) -> None:
    shots = {"name": "few_shot", "source": "own", "shots": 1}
    sampled = Sampled(tmp_path / "run", 2, strategy=shots)
    first = engine_by(right)
    sampled.by(first)
    assert [one.prompt for one in first.taken] == ["0 + 1", "1 + 1"]
    run = Run(sampled.folder, sampled.recipe)
    verifier = verifier_by("number")
    run.stage(1, "load", given, sampled.problems)
    run.stage(1, "baseline", given, sampled.problems)
    run.stage(
        1, "verify", verify, sampled.problems, read_rollouts(sampled.dir), Policy("m"), LocalWorkers(first), verifier
    )
    later, second = Problems(PROBLEMS[2:3], [], []), engine_by(right)
    earlier = run.earlier(2, given, given, sample, verify)  # type: ignore[arg-type]  # nothing is measured here
    run.stage(
        2, "sample", sample, later, Policy("m"), sampled.recipe.strategy, None, LocalWorkers(second), verifier, earlier
    )
    run.close()
    [request] = second.taken
    assert request.prompt in ("0 + 1it is 1\n\n2 + 1", "1 + 1it is 2\n\n2 + 1")
