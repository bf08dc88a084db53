"""The controls of a round: the base model with examples, with the best of some prompts, and by a vote."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from byheart.config import recipe, validation
from byheart.config.recipe import Recipe
from byheart.contracts import Task, Verifier
from byheart.errors import RecipeError
from byheart.evaluation import Answer, Measure, Outcome, check_context, compare, controls, read_controls
from byheart.evaluation.controls import Control, vote
from byheart.executors.local import LocalWorkers
from byheart.files import Journal, write_records
from byheart.plugins.plugin import Member, named
from byheart.runs.run import Run
from byheart.tasks.core.splits import load, source, split
from byheart.types import Completion, Policy, Problem, Problems, Rollout, RolloutGroup, Verdict

from tests.conftest import verifier_by
from tests.fakes import FakeEngine, earlier_rounds, saying, text

TRAIN = [Problem.of(f"t{n}", str(n), "number", {"solution": f"{n} + 0 = {n}"} if n else {}) for n in range(4)]
PROBLEMS = Problems(
    TRAIN,
    [Problem.of(f"d{n}", "7", "number") for n in range(2)],
    [Problem.of(f"h{n}", "7", "number") for n in range(4)],
)
BASE = Policy("one")


def opened(folder: Path, fast: dict[str, Any] | None = None, **asked: Any) -> Run:
    raw = {
        "name": "t",
        "model": {"name": "one"},
        "task": {"name": "times_table"},
        "evaluation": {"controls": asked, "temperature": 0.5, "worked": {"max_tokens": 30}}
        | {"fast": fast or {"max_tokens": 30}},
    }
    return Run(folder / "run", recipe.parse(raw))


def sampled(*texts: str) -> tuple[list[RolloutGroup], list[Verdict]]:
    """A right solution of each of the first training problems, with its verdict."""
    groups, verdicts = [], []
    for problem, written in zip(TRAIN, texts, strict=False):
        rollouts = [
            Rollout.of(problem, Completion(text, [1] * len(text), "stop", "base", seed), "direct")
            for seed, text in enumerate((written, f"{written} or so"))
        ]
        groups.append(RolloutGroup(problem.id, rollouts, []))
        verdicts += [Verdict(rollout.id, "v", 1.0, problem.answer, "") for rollout in rollouts]
    return groups, verdicts


def measured(
    run: Run, engine: FakeEngine, n: int = 1, problems: Problems = PROBLEMS, texts: tuple[str, ...] = ()
) -> list[Control]:
    if n == 1 and not run.round_dir(1).exists():
        run.round_dir(1).mkdir()
        groups, verdicts = sampled(*texts)
        write_records(run.round_dir(1) / "problems.jsonl", [problems])
        write_records(run.round_dir(1) / "verdicts.jsonl", verdicts)
        journal = Journal(run.round_dir(1), "rollouts", RolloutGroup)
        for group in groups:
            journal.append(group)
        journal.close()
    asks = (run.recipe.evaluation, LocalWorkers(engine), verifier_by(), earlier_rounds(run, n))
    return run.stage(n, "controls", controls, problems, BASE, *sampled(*texts), *asks).value


def rights(control: Control, kind: Any = "worked") -> list[bool | None]:
    return [answer.kind(kind).right for answer in control.answers]


def test_without_controls_nothing_is_asked(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        engine = saying(lambda _: "7")
        assert measured(run, engine) == []
        assert (engine.taken, engine.policy) == ([], None), "not even a policy is loaded"
        assert read_controls(run.round_dir(1)) == []


def test_examples_are_the_first_training_problems_with_the_tasks_solutions(tmp_path: Path) -> None:
    with opened(tmp_path, few_shot=3) as run:
        engine = saying(lambda prompt: "7" if prompt.endswith(("h0", "h1", "h2")) else "8")
        [control] = measured(run, engine)
        assert {str(request.prompt).rpartition("h")[0] for request in engine.taken} == {
            "t0 0\n\nt1 1 + 0 = 1\n\nt2 2 + 0 = 2\n\n"
        }, "the same before each problem; the first has only an answer"
        assert len(engine.taken) == 4, "the two kinds ask for the same, once"
        assert {(request.temperature, request.max_tokens, request.stop) for request in engine.taken} == {
            (0, 30, ("\n\n",))
        }
        assert control.words == "3 worked examples"
        assert rights(control) == rights(control, "fast") == [True, True, True, False]
        assert read_controls(run.round_dir(1)) == [control]


def test_where_fast_asks_otherwise_its_examples_are_bare_answers(tmp_path: Path) -> None:
    with opened(tmp_path, fast={"max_tokens": 4}, few_shot=2, few_shot_own=1) as run:
        engine = saying(lambda _: "7")
        measured(run, engine, texts=("zero is 0",))
        assert {(request.max_tokens, request.prompt) for request in engine.taken if request.prompt.endswith("h0")} == {
            (4, "t0 0\n\nt1 1\n\nh0"),
            (30, "t0 0\n\nt1 1 + 0 = 1\n\nh0"),
            (4, "t0 0\n\nh0"),
            (30, "t0 zero is 0\n\nh0"),
        }


def test_own_examples_are_what_the_first_round_verified_the_shortest_of_each_problem(tmp_path: Path) -> None:
    with opened(tmp_path, few_shot_own=2) as run:
        engine = saying(lambda _: "7")
        [control] = measured(run, engine, texts=("zero: 0", "one: 1", "two: 2"))
        assert control.words == "2 own solutions as examples"
        assert {request.prompt[:-2] for request in engine.taken} == {"t0 zero: 0\n\nt1 one: 1\n\n"}


def test_without_own_solutions_that_control_is_left_out(tmp_path: Path) -> None:
    with opened(tmp_path, few_shot_own=2) as run:
        assert measured(run, saying(lambda _: "7")) == []


def test_a_control_whose_prompts_the_engine_refuses_is_left_out_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path, few_shot=2, few_shot_own=1) as run:
        engine = FakeEngine(lambda _: "7", refuses="zero: 0")
        assert [control.words for control in measured(run, engine, texts=("zero: 0",))] == ["2 worked examples"]
    assert "the base with 1 own solution as examples is left out: every problem failed" in " ".join(
        capsys.readouterr().err.split()
    )


def test_of_prompts_the_best_on_dev_is_measured_and_of_equals_the_first(tmp_path: Path) -> None:
    with opened(tmp_path, prompts=["{problem}!", "{problem}?", "{problem}??"]) as run:
        engine = saying(
            lambda prompt: "7" if (prompt.startswith("d1") and prompt.endswith("?")) or prompt == "h3?" else "8"
        )
        [control] = measured(run, engine)
        assert control.words == "the prompt '{problem}?'"
        assert rights(control) == [False, False, False, True]
        assert {request.prompt for request in engine.taken if request.prompt.startswith("h")} == {
            f"h{n}?" for n in range(4)
        }
        assert len(engine.taken) == 3 * 2 + 4


def test_a_prompt_that_fits_no_development_problem_is_not_the_best(tmp_path: Path) -> None:
    with opened(tmp_path, prompts=["{problem} too long", "{problem}?"]) as run:
        [control] = measured(run, saying(lambda _: "8", refuses="too long"))
    assert control.words == "the prompt '{problem}?'"


def test_a_majority_needs_no_gold_and_of_equals_the_earliest_wins(tmp_path: Path) -> None:
    samples = {"h0": "7 8 7.0", "h1": "8 7 8", "h2": "7 8 9", "h3": "7~ 7~ 8"}
    with opened(tmp_path, majority=3) as run:
        engine = FakeEngine(lambda request: samples[text(request.prompt)].split())
        [control] = measured(run, engine)
        assert {(request.n, request.temperature, request.max_tokens) for request in engine.taken} == {(3, 0.5, 30)}
        assert rights(control) == rights(control, "fast") == [True, False, True, False]
        assert control.answers[0].worked == Outcome(True, 6, "7")
        assert control.words == "a majority vote of 3 samples"


def test_where_fast_asks_otherwise_a_majority_is_of_worked_answers_alone(tmp_path: Path) -> None:
    with opened(tmp_path, fast={"max_tokens": 4}, majority=1) as run:
        [control] = measured(run, saying(lambda _: "7"))
        same = _measure("--", "++++")
        metrics = compare(same, same, run.recipe.evaluation, controls=[control])
        assert list(metrics.controls[0].accuracy) == list(metrics.controls[0].against) == ["worked"]


def test_without_a_vote_nothing_is_right() -> None:
    problem = PROBLEMS.held_out[0]
    rollout = Rollout.of(problem, Completion("hm", [1, 2], "stop", "base", 0), "direct")
    assert vote([(rollout, Verdict(rollout.id, "v", 0.0, None, ""))], {}).right is False
    assert vote([(rollout, Verdict(rollout.id, "v", None, None, ""))], {}).right is None
    assert vote([], {}).right is None


def test_a_later_round_reads_what_the_first_measured(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"few_shot": 2, "few_shot_own": 1, "prompts": ["{problem}!"], "majority": 2}
    with opened(tmp_path, **asked) as run:
        first = measured(run, saying(lambda _: "7"), texts=("0",))
        engine = saying(lambda _: "8")
        later = Problems(TRAIN[2:], PROBLEMS.dev, PROBLEMS.held_out)
        assert measured(run, engine, 2, later, texts=("another 0",)) == first
        assert engine.taken == []
        assert len(first) == 4


def test_an_interrupted_stage_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path, few_shot=1, majority=2) as run:

        def fails(request: Any) -> Any:
            if request.n == 2:
                raise KeyboardInterrupt
            return "7"

        with pytest.raises(KeyboardInterrupt):
            measured(run, FakeEngine(fails))
        engine = saying(lambda _: "8")
        made = measured(run, engine)
        assert {request.n for request in engine.taken} == {2}
        assert [rights(control) for control in made] == [[True] * 4, [False] * 4]


def _measure(dev: str, held_out: str) -> Measure:
    def asked(part: list[Problem], marks: str) -> list[Answer]:
        outcomes = [Outcome(mark == "+", 3, "") for mark in marks]
        return [Answer(problem.id, outcome, outcome) for problem, outcome in zip(part, outcomes, strict=True)]

    return Measure(
        "base", {"train": [], "dev": asked(PROBLEMS.dev, dev), "held_out": asked(PROBLEMS.held_out, held_out)}
    )


def test_metrics_hold_the_policy_after_the_round_against_each_control(tmp_path: Path) -> None:
    control = Control("2 worked examples", _measure("--", "++--").splits["held_out"])
    with opened(tmp_path, few_shot=2) as run:
        metrics = compare(_measure("--", "----"), _measure("--", "-+++"), run.recipe.evaluation, controls=[control])
        without = compare(_measure("--", "----"), _measure("--", "-+++"), run.recipe.evaluation)
    [made] = metrics.controls
    assert (made.words, made.accuracy["fast"].accuracy, made.accuracy["worked"].tokens) == ("2 worked examples", 0.5, 3)
    assert (made.against["worked"].change, made.against["worked"].problems) == (0.25, 4)
    assert made.against["worked"].lost == [PROBLEMS.held_out[0].id]
    assert made.against["worked"].gained == [problem.id for problem in PROBLEMS.held_out[2:]]
    assert type(metrics).from_dict(metrics.to_dict()) == metrics
    assert "controls" not in without.to_dict()
    assert {**metrics.to_dict(), "controls": None} == {**without.to_dict(), "controls": None}, "they decide nothing"


def test_recipes_without_controls_resolve_as_in_older_versions(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        assert "controls" not in run.recipe.resolved()["evaluation"]
    with opened(tmp_path / "other", few_shot=1) as run:
        assert run.recipe.resolved()["evaluation"]["controls"]["few_shot"] == 1


class Unlabelled(Task):
    """Problems without answers."""

    has_gold: ClassVar[bool] = False
    verifier: Member[Verifier] = named("consensus", "judges solutions")

    def problems(self, seed: int) -> Iterator[Problem]:
        yield Problem.of("?", None, "consensus")


def test_what_a_control_needs_is_said_before_anything_runs() -> None:
    def asking(task: str, **asked: Any) -> Recipe:
        raw = {"name": "t", "model": {"name": "m"}, "task": {"name": task}, "evaluation": {"controls": asked}}
        return recipe.parse(raw)

    with pytest.raises(RecipeError, match=r"evaluation.controls.majority: the verifier 'code' can't tell whether"):
        validation.check(asking("mbpp", majority=2))
    unlabelled = asking("arithmetic", few_shot=2).model_copy(update={"task": Unlabelled()})
    with pytest.raises(
        RecipeError, match=r"evaluation.controls.few_shot: .* has no gold answers to show; say few_shot_"
    ):
        validation.check(unlabelled)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"few_shot": 3}, "few_shot"),
        ({"few_shot_own": 3}, "few_shot_own"),
        ({"prompts": ["{problem}", f"{'so ' * 60}{{problem}}"]}, "prompts[1]"),
    ],
)
def test_examples_that_do_not_fit_the_context_are_refused_before_the_model_loads(
    tiny: Path, asked: dict[str, Any], key: str
) -> None:
    def checked(context: int) -> None:
        task = {"name": "arithmetic", "num_train": 4, "num_dev": 2, "num_held_out": 4}
        evaluation = {"controls": asked, "fast": {"max_tokens": 20}, "worked": {"max_tokens": 20}}
        model = {"name": str(tiny), "max_context": context}
        strategy = {"name": "direct", "max_tokens": 16}
        raw = {"name": "t", "model": model, "task": task, "strategy": strategy, "evaluation": evaluation}
        asking = recipe.parse(raw)
        check_context(asking, split(source(asking.task, 0), asking.task, 1))

    with pytest.raises(RecipeError) as error:
        checked(80)
    refusal = str(error.value)
    assert refusal.startswith(f"evaluation.controls.{key}: a prompt and its answer come to ")
    assert "\n" not in refusal
    needed = int(re.findall(r"raise model.max_context to (\d+) if", refusal)[0])
    assert 80 < needed < 300
    with contextlib.suppress(RecipeError):  # another problem may need a token more
        checked(needed - 1)
        pytest.fail("it was said to need one more")
    checked(needed + 8)


def test_the_load_stage_asks_in_every_round_about_the_first_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Problem]] = []
    monkeypatch.setattr("byheart.tasks.core.splits.check_prompts", lambda *_: None)
    with opened(tmp_path) as run:
        for n in (1, 2):
            earlier = earlier_rounds(run, n)
            run.stage(n, "load", load, run.recipe.model, SMALL, earlier, fits=lambda made: seen.append(made.train))
    assert len(seen) == 2 and seen[0] == seen[1]


SMALL = Task.parse({"name": "times_table", "num_train": 4, "num_dev": 2, "num_held_out": 2})
