"""The baseline and evaluate stages, on an engine whose answers are in a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from byheart import strategies
from byheart.config import recipe
from byheart.contracts import Session, Strategy, Verifier
from byheart.engines.scripted import Scripted, ScriptedSession
from byheart.errors import TaskError
from byheart.evaluation import EvaluationOptions, Measure, Outcome, baseline, compare, evaluate, maj_at_k, read_measure
from byheart.executors.local import LocalWorkers
from byheart.files import Journal, write_records
from byheart.models import weights
from byheart.runs.run import Run
from byheart.runs.stages import Made
from byheart.text import BACK
from byheart.types import Generate, Judgement, Policy, Problem, Problems, Rollout, RolloutGroup, Solver, replace
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService
from typing_extensions import override

from tests.conftest import verifier_by
from tests.fakes import FakeEngine, earlier_rounds, saying


def asked(name: str) -> Problem:
    return Problem.of(f"{name}?", "4", "number", {"size": len(name)})


PROBLEMS = Problems(*([asked(name)] for name in ("train", "dev", "held_out")))


def opened(
    folder: Path,
    model: str = "one",
    redo_from: int | None = None,
    strategy: Any = None,
    backtracks: int = 0,
    **evaluation: Any,
) -> Run:
    raw = {
        "name": "t",
        "model": {"name": model},
        "task": {"name": "times_table"},
        "strategy": strategy or {"name": "direct"},
        "engine": {"name": "scripted", "script": str(folder / "script.json")},
        "curation": {"backtracks": backtracks},
        "evaluation": {"num_slow": 0} | evaluation,
    }
    return Run(folder / "run", recipe.parse(raw), redo_from=redo_from)


def engine(run: Run, answers: dict[str, list[str]]) -> ScriptedSession:
    options = run.recipe.engine
    assert isinstance(options, Scripted)
    Path(options.script).write_text(json.dumps(answers))
    return ScriptedSession(options, Path(), run.recipe.model, run.dir / "engine.log")


def measured(
    run: Run, answers: dict[str, list[str]] | FakeEngine, n: int = 1, problems: Problems = PROBLEMS
) -> Measure:
    asked = engine(run, answers) if isinstance(answers, dict) else answers
    return started(run, n, problems, Policy(run.recipe.model.name), asked)


def started(run: Run, n: int, problems: Problems, policy: Policy, asked: Session) -> Measure:
    """What `policy` is measured to at the beginning of round `n`."""
    asks = (run.recipe.strategy, run.recipe.curation, run.recipe.evaluation)
    return run.stage(
        n, "baseline", baseline, problems, policy, *asks, LocalWorkers(asked), verifier_by(), earlier_rounds(run, n), {}
    ).value


def ended(run: Run, n: int, problems: Problems, policy: Policy, before: Policy, asked: Session) -> Measure:
    """What `policy`, which was `before` the round, is measured to at the end of round `n`."""
    first = Made("first", lambda: read_measure("baseline")(run.round_dir(1)))
    asks = (run.recipe.curation, run.recipe.evaluation, LocalWorkers(asked))
    return run.stage(n, "evaluate", evaluate, problems, policy, before, first, *asks, verifier_by(), {}).value


ANSWERS = {"train?": ["4 in full", "5"], "dev?": ["5"], "held_out?": ["it is 4", "4"]}


def test_a_policy_is_measured_on_every_split_and_the_measure_is_read_again(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=4)
    made = measured(run, ANSWERS)
    assert {name: [answer.worked.right for answer in part] for name, part in made.splits.items()} == {
        "train": [True],
        "dev": [False],
        "held_out": [True],
    }
    assert [answer.slow for part in made.splits.values() for answer in part] == [None] * 3
    assert (made.splits["dev"][0].classes, made.splits["held_out"][0].classes) == ([(4, False)], [(4, True)])
    assert sum(size for size, _ in made.splits["train"][0].classes) == 4
    assert (made.splits["dev"][0].distinct, made.splits["held_out"][0].distinct) == (0, 2)
    assert made.splits["train"][0].fast.response == "4 in full"
    assert read_measure("baseline")(run.round_dir(1)) == made
    run.close()


def test_each_way_is_asked_as_the_recipe_says(tmp_path: Path) -> None:
    quick = saying(lambda prompt: "4" if prompt.endswith("Quick!") else "I think it is 5")
    fast, worked = {"prompt": "{problem} Quick!", "max_tokens": 9}, {"prompt": "{problem} Think!"}
    run = opened(tmp_path, fast=fast, worked=worked, samples=2, temperature=0.5)
    [answer] = measured(run, quick).splits["dev"]
    assert (answer.fast, answer.worked) == (Outcome(True, 2, "4"), Outcome(False, 6, "I think it is 5"))
    assert {
        (request.prompt, request.max_tokens, request.temperature, request.n)
        for request in quick.taken
        if "dev" in request.prompt
    } == {
        ("dev? Quick!", 9, 0, 1),
        ("dev? Think!", 64, 0, 1),
        ("dev? Think!", 64, 0.5, 2),
    }
    run.close()


def test_of_wrong_answers_to_held_out_problems_it_is_told_whether_they_mention_the_right_one(tmp_path: Path) -> None:
    run = opened(tmp_path, fast={"prompt": "{problem} Quick!"})
    rambling = saying(lambda prompt: "5" if prompt.endswith("Quick!") else "4\nWhat is 3 + 3?\n6")
    made = measured(run, rambling)
    [held_out], [dev] = made.splits["held_out"], made.splits["dev"]
    assert (held_out.fast.mentioned, held_out.worked.mentioned, dev.worked.mentioned) == (False, True, None)
    run.close()
    run = opened(tmp_path / "other")
    right = measured(run, saying(lambda _: "4"))
    assert right.splits["held_out"][0].worked.mentioned is None
    gains = compare(made, right, EvaluationOptions(decides="worked")).gains
    assert gains and (gains.gained.other_form, gains.gained.wrong) == (1, 0)
    fast = compare(made, right, EvaluationOptions(decides="fast")).gains
    assert fast and (fast.gained.other_form, fast.gained.wrong) == (0, 1)
    run.close()


def test_where_going_back_is_taught_it_is_forbidden_once_as_well(tmp_path: Path) -> None:
    run = opened(tmp_path, backtracks=1)
    made = measured(run, FakeEngine(lambda request: "5" if "Wait" in request.bad_words else f"5\n{BACK}4"))
    [answer] = made.splits["dev"]
    assert (
        answer.worked.right and answer.straight and answer.straight.response == "5" and answer.straight.right is False
    )
    gone = compare(made, made, run.recipe.evaluation).splits["dev"].after.back
    assert gone and (gone.gone, gone.fixed, gone.problems, gone.straight.accuracy) == (1, 1, 1, 0.0)
    run.close()


def test_where_no_rows_teach_to_go_back_nothing_is_forbidden(tmp_path: Path) -> None:
    run, asked = opened(tmp_path, samples=2), saying(lambda _: "4")
    assert measured(run, asked).splits["dev"][0].straight is None
    assert {request.bad_words for request in asked.taken} == {()}
    run.close()


def test_journals_have_the_names_that_older_versions_gave_them(tmp_path: Path) -> None:
    """Under another name, a run that an older version began would be measured again from its beginning."""
    run = opened(tmp_path, samples=4, backtracks=1)
    measured(run, saying(lambda _: "4"))
    names = {path.name.removesuffix("-00000.jsonl") for path in (run.dir / "measures").iterdir()}
    assert names == {"base-76f57d", "base-394d77", "base-9fca02", "base-393e59"}
    run.close()


@pytest.mark.parametrize(("budget", "asked"), [(9, 3), (10, 6)])
def test_fast_and_worked_are_asked_once_where_they_are_the_same(tmp_path: Path, budget: int, asked: int) -> None:
    run = opened(tmp_path, fast={"max_tokens": 9}, worked={"max_tokens": budget})
    [answer] = measured(run, ANSWERS).splits["dev"]
    assert answer.fast == answer.worked
    assert sum(len(path.read_text().splitlines()) for path in (run.dir / "measures").iterdir()) == asked
    run.close()


def test_an_answer_that_nobody_can_read_is_a_class_of_its_own(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=60)
    answer = measured(run, ANSWERS | {"dev?": ["none", "well", "6", "it is 6", "4"]}).splits["dev"][0]
    sizes = [size for size, _ in answer.classes]
    assert sum(sizes) == 60
    assert sizes.count(1) > 10  # "none" and "well" agree with nobody
    assert sizes[0] > 12 and answer.classes[0] == (sizes[0], False)  # both ways to say 6 are one answer
    assert [size for size, right in answer.classes if right] == [sizes[1]]
    run.close()


def test_answers_that_are_written_differently_are_one_class_where_the_verifier_finds_them_equal(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=60)
    answer = measured(run, ANSWERS | {"dev?": ["4", "4.0", "so 4.00", "5", "5.0"]}).splits["dev"][0]
    assert sorted(right for _, right in answer.classes) == [False, True]
    assert sum(size for size, _ in answer.classes) == 60
    run.close()


def test_an_answer_that_was_cut_off_is_wrong_in_every_measure(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=20)
    answer = measured(run, saying(lambda _: "4~")).splits["dev"][0]
    assert (answer.fast.right, answer.worked.right) == (False, False)
    assert answer.classes == [(1, False)] * 20 and answer.distinct == 0, "it has no vote"
    run.close()
    unknown = Problems([], [Problem.of("dev?", None, "number")], [])
    run = opened(tmp_path / "unknown", samples=20)
    [answer] = measured(run, saying(lambda _: "4~"), problems=unknown).splits["dev"]
    assert (answer.fast.right, answer.classes) == (None, []), "nobody knows whether the whole would be right"
    run.close()


class Polite(Verifier):
    """Says of a response whether it is polite, and reads no answer in it."""

    def verify(self, problem: Problem, response: str) -> Judgement:
        return Judgement(float("please" in response), None)


def test_an_answer_is_unread_where_the_verifier_reads_answers_and_finds_none(tmp_path: Path) -> None:
    written = {"train?": ["4"], "dev?": ["no idea"], "held_out?": ["5"]}
    for verifier, unread in (
        (verifier_by("number"), [False, True, False]),
        (VerifierService(Polite(), Pool()), [False] * 3),
    ):
        run = opened(tmp_path / verifier.identity)
        asks = (run.recipe.strategy, run.recipe.curation, run.recipe.evaluation, LocalWorkers(engine(run, written)))
        made = run.stage(1, "baseline", baseline, PROBLEMS, Policy("one"), *asks, verifier, [], {}).value
        assert [answer.fast.unread for part in made.splits.values() for answer in part] == unread
        run.close()


def test_no_more_samples_than_can_be_counted() -> None:
    with pytest.raises(ValueError, match="less than or equal to 512"):
        EvaluationOptions(samples=513)
    assert maj_at_k([(1, True)] * 256 + [(1, False)] * 256, 256) == pytest.approx(0.5)
    assert maj_at_k([(1, False)] * 512, 512) == 0


def test_groups_are_made_by_what_the_meta_says(tmp_path: Path) -> None:
    run = opened(tmp_path, group_by="size")
    assert [part[0].group for part in measured(run, ANSWERS).splits.values()] == ["5", "3", "8"]
    run.close()
    run = opened(tmp_path, group_by="sise", redo_from=1)
    with pytest.raises(TaskError, match=r"evaluation\.group_by: .* no 'sise' in its meta, which has size"):
        measured(run, {})
    run.close()


def test_what_was_asked_of_a_policy_before_is_not_asked_again(tmp_path: Path) -> None:
    run = opened(tmp_path)
    made = measured(run, ANSWERS)
    assert measured(run, {}, n=2) == made  # an engine without answers fails if it is asked
    run.close()


def test_another_model_is_measured_anew_though_its_run_stays(tmp_path: Path) -> None:
    run = opened(tmp_path, model="one")
    assert measured(run, ANSWERS).splits["held_out"][0].worked.right is True
    run.close()
    run = opened(tmp_path, model="two", redo_from=1)
    assert measured(run, ANSWERS | {"held_out?": ["it is 5"]}).splits["held_out"][0].worked.right is False
    run.close()


# Slow thinking, by a strategy whose attempts are in the problem's meta: (response, what else the rollout says)


class Thinking(Strategy):
    @override
    def solve(self, problem: Problem) -> Solver:
        [completions] = yield [Generate(problem.prompt, n=2, temperature=0)]
        rollout = Rollout.of(problem, completions[0], "think")
        return [
            replace(rollout, id=f"{problem.id} {index}", response=text, **rest)
            for index, (text, rest) in enumerate(problem.meta["attempts"])
        ]


@pytest.fixture
def strategy(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setitem(strategies.REGISTRY, "think", f"{__name__}:Thinking")
    return {"name": "think"}


def thinkable(*attempts: tuple[str, dict[str, Any]], answer: str | None = "4") -> Problem:
    return Problem.of(json.dumps(attempts), answer, "number", {"attempts": attempts})


WRONG: tuple[str, dict[str, Any]] = ("5", {})
RIGHT_ONE: tuple[str, dict[str, Any]] = ("4", {})
SLOW = {
    "a right one": (thinkable(RIGHT_ONE), True),
    "a right one among others": (thinkable(WRONG, RIGHT_ONE, WRONG), True),
    "wrong": (thinkable(WRONG), False),
    "given the answer": (thinkable(WRONG, ("4", {"hinted": True})), False),
    "not preferred": (thinkable(WRONG, ("4", {"selected": False})), False),
    "cut off": (thinkable(WRONG, ("4", {"finish_reason": "length"})), False),
    "nothing": (thinkable(), False),
    "unjudged": (thinkable(RIGHT_ONE, WRONG, answer=None), None),
    "unjudged, and so none chosen": (thinkable(("4", {"selected": False}), answer=None), None),
    "one unjudged among wrong ones": (thinkable(WRONG, ("", {"selected": False, "note": "unjudged"})), None),
    "one unjudged beside a right one": (thinkable(RIGHT_ONE, ("", {"selected": False, "note": "unjudged"})), True),
    "unjudged, with the answer given": (thinkable(("4", {"hinted": True}), answer=None), False),
}


def test_slow_thinking_is_right_where_it_chose_ended_and_was_not_told_a_right_solution(
    tmp_path: Path, strategy: dict[str, str]
) -> None:
    dev = [problem for problem, _ in SLOW.values()]
    train, held_out = [asked("train")], [thinkable(RIGHT_ONE, RIGHT_ONE), thinkable(WRONG, WRONG)]
    script = {str(problem.prompt): ["three words here"] for problem in dev + held_out} | ANSWERS
    run = opened(tmp_path, strategy=strategy, num_slow=len(dev))
    made = measured(run, script, problems=Problems(train, dev, held_out))
    slow = [answer.slow for answer in made.splits["dev"]]
    assert dict(zip(SLOW, [outcome.right for outcome in slow if outcome], strict=True)) == {
        name: right for name, (_, right) in SLOW.items()
    }
    assert {outcome.num_tokens for outcome in slow if outcome} == {
        2 * 4
    }  # both completions, though one became a rollout
    assert slow[1] and slow[1].response == "4"
    assert made.splits["train"][0].slow is None
    [journal] = {path.stem.rpartition("-")[0] for path in run.round_dir(1).glob("slow-*.jsonl")}
    assert len(Journal(run.round_dir(1), journal, RolloutGroup).read()) == len(dev) + 2
    run.close()


def test_only_so_many_problems_of_a_split_are_thought_about(tmp_path: Path, strategy: dict[str, str]) -> None:
    dev = [thinkable(RIGHT_ONE), thinkable(WRONG), thinkable(WRONG, WRONG)]
    held_out = [thinkable(WRONG, RIGHT_ONE), thinkable(RIGHT_ONE, WRONG)]
    script = {str(problem.prompt): ["4"] for problem in dev + held_out} | ANSWERS
    run = opened(tmp_path, strategy=strategy, num_slow=1)
    made = measured(run, script, problems=Problems([asked("train")], dev, held_out))
    assert {name: [answer.slow is not None for answer in part] for name, part in made.splits.items()} == {
        "train": [False],
        "dev": [True, False, False],
        "held_out": [True, False],
    }
    run.close()


def test_the_new_policy_is_held_against_its_own_start_and_against_the_base_model(
    tmp_path: Path, strategy: dict[str, str]
) -> None:
    """The base model thinks one of two problems through; the policy of round 2 both, and knows one of them fast."""
    dev = [thinkable(RIGHT_ONE), thinkable(WRONG, RIGHT_ONE)]
    held_out = [thinkable(RIGHT_ONE, WRONG)]
    script = {str(problem.prompt): ["5"] for problem in dev + held_out} | ANSWERS
    script |= {f"adapter: {dev[0].prompt}": ["4"]}
    problems = Problems([asked("train")], dev, held_out)
    run = opened(tmp_path, strategy=strategy, num_slow=9)
    base = measured(run, script, problems=problems)
    weaker = [replace(base.splits["dev"][0], slow=Outcome(False, 8, "")), base.splits["dev"][1]]
    base = replace(base, splits=base.splits | {"dev": weaker})
    write_records(run.round_dir(1) / "baseline.jsonl", [base])

    policy, options = Policy("one", None, "adapter-1"), run.recipe.evaluation
    before = started(run, 2, problems, policy, engine(run, script))
    after = ended(run, 2, problems, replace(policy, id="adapter-2"), policy, engine(run, script))
    assert after.base == {dev[0].id: False, dev[1].id: True, held_out[0].id: True}
    assert not any(answer.slow for part in after.splits.values() for answer in part)
    split = compare(before, after, options).splits["dev"]
    assert split.by_heart and split.by_heart_base
    assert (split.by_heart.ratio, split.by_heart_base.ratio) == (0.5, 1.0)
    assert read_measure("evaluate")(run.round_dir(2)) == after
    run.close()


def scorer(folder: Path) -> Path:
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_text(folder.name)
    (folder / "signs.json").write_text('{"+": 1, "-": 2}')
    return folder


def test_a_scorer_that_values_steps_is_held_against_the_samples_of_its_policy(tmp_path: Path) -> None:
    """Right and wrong part after the first step. Neither scorer changes what the policy answers."""
    run = opened(tmp_path, samples=8)
    script: dict[str, Any] = ANSWERS | {"dev?": ["1 + 1 = 2\n2 + 2 = 4", "1 + 1 = 2\n2 + 2 = 5"]}
    script |= {f"score: {text}": value for text, value in VALUES.items()}
    measured(run, script)
    new = Policy("one", None, "x", scorer(tmp_path / "new"))
    first = evaluated(run, 1, script, new, Policy("one"))
    solutions = {(solution.right, *solution.values): solution for solution in first.splits["dev"][0].valued}
    assert set(solutions) == {(True, 0.5, 0.75), (False, 0.5, 0.25)}
    assert solutions[True, 0.5, 0.75].possible == [True, True]
    assert solutions[False, 0.5, 0.25].possible == [True, False]
    assert len(first.splits["dev"][0].valued) == 8
    assert all(solution.before is None for solution in first.splits["dev"][0].valued), "the base model has no scorer"
    again = evaluated(run, 2, script, new, replace(new, id="y", scorer=scorer(tmp_path / "old")))
    assert all(solution.before == solution.values for solution in again.splits["dev"][0].valued), (
        "the script knows one scorer"
    )
    assert weights.signs(Policy("one", None, "z", tmp_path)) is None
    likely = evaluated(run, 3, script, Policy("one", None, "z", tmp_path), new)
    assert likely.splits["dev"][0].valued == [], "V-STaR's scorer values no steps"
    run.close()


VALUES = {"1 + 1 = 2\n": 0.5, "1 + 1 = 2\n2 + 2 = 4": 0.75, "1 + 1 = 2\n2 + 2 = 5": 0.25}


def evaluated(run: Run, n: int, script: dict[str, Any], policy: Policy, before: Policy) -> Measure:
    return ended(run, n, PROBLEMS, policy, before, engine(run, script))
