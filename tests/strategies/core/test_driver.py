"""Many solvers at once, over services that answer late, out of order, or not at all."""

import re
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from random import Random
from typing import Any, ClassVar

import pytest
from byheart.contracts import Strategy, Verifier
from byheart.errors import PluginError, PromptError
from byheart.strategies.core import driver
from byheart.strategies.core.driver import drive
from byheart.types import (
    Branch,
    Completion,
    Generate,
    Judgement,
    Parallel,
    Part,
    Problem,
    RecordTree,
    Request,
    Retrieve,
    Rollout,
    RolloutGroup,
    Score,
    Solver,
    Verdict,
    Verify,
    WorkedExample,
    replace,
)
from byheart.verifiers.all import AllOf
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from tests.conftest import verdicts_by, verifier_by
from tests.fakes import Choose, FakeEngine, FakeService, FakeVerifier, saying


def echo(request: Generate) -> list[str] | PromptError:
    """The prompt and the number of the sample; one prompt is refused when its turn comes."""
    if request.prompt == "refused late":
        return PromptError("it does not fit")
    assert request.prompt != "too long", "it was refused, so it is never answered"
    return [f"{request.prompt} {n}" for n in range(request.n)]


def echoing(choose: Choose | None = None) -> FakeEngine:
    return FakeEngine(echo, refuses="too long", choose=choose)


def newest(waiting: list[tuple[int, Any]]) -> list[int]:
    return [waiting[-1][0]]


def problem_named(name: str) -> Problem:
    return Problem(name, name, "4", "number")


def asking(problem: Problem, *turns: Sequence[str]) -> Solver:
    """Asks for each turn's prompts at once, checks that the replies are theirs, and returns a rollout for each."""
    rollouts = []
    for prompts in turns:
        replies = yield [Generate(prompt) for prompt in prompts]
        assert [reply[0].text for reply in replies] == [f"{prompt} 0" for prompt in prompts]
        rollouts += [Rollout.of(problem, reply[0], "test") for reply in replies]
    return rollouts


def driven(solvers: dict[str, Solver], engine: Any = None, by: Any = None, seed: str = "") -> list[RolloutGroup]:
    pairs = ((problem_named(name), solver) for name, solver in solvers.items())
    return list(drive(pairs, engine or echoing(), by or verifier_by(), seed))


def names(attempts: list[RolloutGroup]) -> list[str]:
    return [group.problem_id for group in attempts]


def test_no_problem_waits_for_a_late_one_and_later_ones_are_admitted_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MAX_ACTIVE", 2)
    engine = echoing(
        lambda waiting: [
            min(
                waiting, key=lambda waiting_request: (waiting_request[1].prompt.startswith("late"), waiting_request[0])
            )[0]
        ]
    )
    solvers = {name: asking(problem_named(name), [f"{name} a"], [f"{name} b"]) for name in ("late", "p", "q", "r", "s")}
    assert names(driven(solvers, engine)) == ["p", "q", "r", "s", "late"]


def test_what_was_begun_first_is_served_first() -> None:
    served = []

    def first(waiting: list[tuple[int, Generate]]) -> list[int]:
        ticket, request = min(waiting, key=lambda waiting_request: (waiting_request[1].priority, waiting_request[0]))
        served.append(request.prompt)
        return [ticket]

    driven({name: asking(problem_named(name), [f"{name} 1"], [f"{name} 2"]) for name in "pqr"}, echoing(first))
    assert served == ["p 1", "p 2", "q 1", "q 2", "r 1", "r 2"]


def test_a_solver_goes_on_in_the_poll_that_completes_its_replies() -> None:
    engine = echoing()
    first = next(iter(drive([(problem_named("a"), asking(problem_named("a"), ["x"], ["y"]))], engine, verifier_by())))
    assert [request.prompt for request in engine.taken] == ["x", "y"]
    assert [rollout.response for rollout in first.rollouts] == ["x 0", "y 0"]


def test_replies_come_in_the_order_of_their_requests_though_answered_backwards() -> None:
    engine = echoing(newest)
    [attempts] = driven({"a": asking(problem_named("a"), ["x", "y", "z"], ["u", "v"])}, engine)
    assert [rollout.response for rollout in attempts.rollouts] == ["x 0", "y 0", "z 0", "u 0", "v 0"]


def test_both_services_reply_to_one_list_of_requests() -> None:
    def mixed(problem: Problem) -> Solver:
        [verdict], texts, [other] = yield [Verify(problem, ["4"]), Generate("x", n=2), Verify(problem, ["5"])]
        assert (verdict.score, other.score) == (1.0, 0.0)
        assert [text.text for text in texts] == ["x 0", "x 1"]
        return []

    assert driven({"a": mixed(problem_named("a"))}) == [RolloutGroup("a", [], [], num_tokens=6)]


def test_a_solver_that_asks_for_nothing_is_told_nothing_at_once() -> None:
    def idle(problem: Problem) -> Solver:
        assert (yield []) == []
        replies = yield [Generate("x")]
        assert len(replies) == 1
        assert (yield []) == []
        return []

    engine = echoing()
    assert driven({"a": idle(problem_named("a"))}, engine) == [RolloutGroup("a", [], [], num_tokens=3)]
    assert len(engine.taken) == 1


def test_a_refused_prompt_costs_its_own_problem_only() -> None:
    solvers = {
        "good": asking(problem_named("good"), ["a"], ["b"]),
        "bad": asking(problem_named("bad"), ["c", "too long", "d"]),
        "late": asking(problem_named("late"), ["e"], ["f", "too long"]),
        "fine": asking(problem_named("fine"), ["g"]),
    }
    attempts = {group.problem_id: group for group in driven(solvers, echoing())}
    assert attempts["bad"] == RolloutGroup("bad", [], [], failure="too long", num_tokens=6)
    assert attempts["late"] == RolloutGroup("late", [], [], failure="too long", num_tokens=6)
    assert [len(attempts[name].rollouts) for name in ("good", "fine")] == [2, 1]
    assert attempts["good"].failure is None


def test_a_solver_that_can_do_without_what_was_refused_goes_on() -> None:
    def modest(problem: Problem) -> Solver:
        try:
            yield [Generate("a"), Generate("too long"), Generate("b")]
        except PromptError as refused:
            assert str(refused) == "too long"
        [fourth] = yield [Generate("c")]
        return [Rollout.of(problem, fourth[0], "test")]

    [attempts] = driven({"x": modest(problem_named("x"))}, echoing())
    assert [rollout.response for rollout in attempts.rollouts] == ["c 0"]
    assert (attempts.failure, attempts.num_tokens) == (None, 9)


def test_a_prompt_may_be_refused_when_its_turn_comes() -> None:
    solvers = {
        "good": asking(problem_named("good"), ["a"], ["b"]),
        "bad": asking(problem_named("bad"), ["refused late", "d"]),
    }
    attempts = {group.problem_id: group for group in driven(solvers)}
    assert (attempts["bad"].failure, len(attempts["good"].rollouts)) == ("it does not fit", 2)


def test_a_refused_solver_is_closed() -> None:
    closed = []

    def watched() -> Solver:
        try:
            yield [Generate("too long")]
        finally:
            closed.append(True)
        return []

    driven({"a": watched()}, echoing())
    assert closed == [True]


def test_an_engine_serves_again_after_a_problem_was_given_up_with_requests_under_way() -> None:
    engine = echoing()
    assert driven({"bad": asking(problem_named("bad"), ["a", "too long"])}, engine)[0].failure
    [attempts] = driven({"next": asking(problem_named("next"), ["b"])}, engine)
    assert [rollout.response for rollout in attempts.rollouts] == ["b 0"]


def test_problems_after_as_many_refused_ones_as_are_admitted_at_once_are_done_too() -> None:
    solvers = {f"bad {n}": asking(problem_named(f"bad {n}"), ["too long"]) for n in range(driver.MAX_ACTIVE)}
    solvers["good"] = asking(problem_named("good"), ["x"])
    attempts = driven(solvers, echoing())
    assert len(attempts) == len(solvers)
    assert attempts[-1].failure is None


def test_so_many_solvers_are_alive_at_once_and_no_more() -> None:
    alive: set[str] = set()
    most = 0

    def solvers() -> Iterator[tuple[Problem, Solver]]:
        nonlocal most
        for n in range(1200):
            alive.add(str(n))
            most = max(most, len(alive))
            yield problem_named(str(n)), asking(problem_named(str(n)), [f"{n} a"], [f"{n} b"])

    engine = echoing(lambda waiting: [ticket for ticket, _ in waiting[:7]])
    for attempts in drive(solvers(), engine, verifier_by()):
        alive.discard(attempts.problem_id)
    assert driver.MAX_ACTIVE - 7 <= most <= driver.MAX_ACTIVE
    assert len(engine.taken) == 2400


def seeds(engine: FakeEngine) -> dict[str, int]:
    return {str(request.prompt): request.seed for request in engine.taken}


def test_every_request_has_a_seed_of_its_own_and_the_same_one_again() -> None:
    def solvers(*chosen: str) -> dict[str, Solver]:
        return {name: asking(problem_named(name), [f"{name} 1", f"{name} 2"], [f"{name} 3"]) for name in chosen}

    forwards, backwards, alone, other = (
        echoing(),
        echoing(newest),
        echoing(),
        echoing(),
    )
    driven(solvers("a", "b", "c"), forwards, seed="one")
    driven(solvers("c", "b", "a"), backwards, seed="one")
    driven(solvers("b"), alone, seed="one")
    driven(solvers("a", "b", "c"), other, seed="two")
    assert len(set(seeds(forwards).values())) == 9
    assert seeds(backwards) == seeds(forwards)
    assert seeds(alone).items() <= seeds(forwards).items()
    assert set(seeds(other).values()) & set(seeds(forwards).values()) == set()


def test_a_rollout_keeps_the_verdict_that_was_asked_for_on_the_way() -> None:
    def judged(problem: Problem) -> Solver:
        [right, wrong, unseen] = yield [Generate("4 and"), Generate("it is 5,"), Generate("x")]
        rollouts = [Rollout.of(problem, reply[0], "test") for reply in (wrong, unseen, right)]
        yield [Verify(problem, ["4"]), Verify(problem_named("other"), [rollouts[1].response])]
        yield [Verify(problem, [rollout.response for rollout in rollouts if not rollout.response.startswith("x")])]
        return rollouts

    def starts_right(request: Verify) -> list[Verdict]:
        return [Verdict("", "v", float(response.startswith("4")), None, "") for response in request.responses]

    [attempts] = driven({"a": judged(problem_named("a"))}, by=FakeVerifier(starts_right))
    wrong, _, right = attempts.rollouts
    assert {verdict.rollout_id: verdict.score for verdict in attempts.verdicts} == {wrong.id: 0.0, right.id: 1.0}


def test_nothing_to_solve_asks_for_nothing() -> None:
    assert driven({}) == []


def repeated(request: Verify) -> list[Verdict]:
    """Each response is its own answer."""
    return [Verdict("", "v", 1.0, response, "") for response in request.responses]


def shaped(problem: Problem, turns: list[list[str]]) -> Solver:
    """Asks as `turns` say ("g" the engine, "v" the verifier, "!" what is refused) and checks each reply."""
    count = 0
    rollouts = []
    for turn in turns:
        requests: list[Request] = []
        for kind in turn:
            count += 1
            words = "too long" if kind == "!" else f"{problem.id} {count}"
            requests.append(Verify(problem, [words]) if kind == "v" else Generate(words))
        replies = yield requests
        assert len(replies) == len(requests)
        for request, reply in zip(requests, replies, strict=True):
            if isinstance(request, Verify):
                assert [verdict.answer for verdict in reply] == request.responses
            elif isinstance(request, Generate):
                assert reply[0].text == f"{request.prompt} 0"
                rollouts.append(Rollout.of(problem, reply[0], "test"))
    return rollouts


@settings(deadline=None, max_examples=150)
@given(
    shapes=st.lists(st.lists(st.lists(st.sampled_from("ggvv!"), max_size=4), max_size=4), max_size=12),
    bound=st.integers(1, 5),
    order=st.integers(0, 2**32).map(Random),
)
def test_each_problem_comes_to_exactly_one_end_whatever_it_asks_and_whenever_it_is_answered(
    shapes: list[list[list[str]]], bound: int, order: Random
) -> None:
    def choose(waiting: list[tuple[int, Any]]) -> Sequence[int]:
        return order.sample([ticket for ticket, _ in waiting], order.randint(0, len(waiting)))

    asked: dict[str, int] = defaultdict(int)

    def verdicts(request: Verify) -> list[Verdict]:
        asked[request.problem.id] += len(request.responses)
        return repeated(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "MAX_ACTIVE", bound)
        solvers = {str(n): shaped(problem_named(str(n)), turns) for n, turns in enumerate(shapes)}
        attempts = driven(solvers, echoing(choose), FakeVerifier(verdicts, choose))
    assert sorted(names(attempts)) == sorted(solvers)
    for group in attempts:
        kinds = [kind for turn in shapes[int(group.problem_id)] for kind in turn]
        assert (group.failure is not None) == ("!" in kinds)
        if not group.failure:
            assert len(group.rollouts) == kinds.count("g")
            assert asked[group.problem_id] == kinds.count("v")


def test_what_was_judged_before_is_known_and_not_judged_again() -> None:
    def again(problem: Problem) -> Solver:
        [first] = yield [Verify(problem, ["4", "5"])]
        [second, more] = yield [Verify(problem, ["5", "4", "4"]), Verify(problem, ["6"])]
        assert second == [first[1], first[0], first[0]]
        assert [verdict.answer for verdict in more] == ["6"]
        return []

    verifier = FakeVerifier(repeated)
    driven({"a": again(problem_named("a"))}, by=verifier)
    assert [asked.responses for asked in verifier.taken] == [["4", "5"], ["6"]]


def test_what_goes_by_agreement_is_judged_anew_each_time() -> None:
    def again(problem: Problem) -> Solver:
        yield [Verify(problem, ["4"])]
        yield [Verify(problem, ["4"])]
        return []

    verifier = FakeVerifier(repeated, by_agreement=True)
    driven({"a": again(problem_named("a"))}, by=verifier)
    assert len(verifier.taken) == 2


def test_every_token_counts_those_of_an_opinion_too() -> None:
    def asks(problem: Problem) -> Solver:
        yield [Generate("x", n=1)]
        yield [Verify(problem, ["4"])]
        return []

    engine = saying(lambda _: "Verdict: right")
    [attempts] = driven({"a": asks(problem_named("a"))}, engine, verifier_by(MODEL))
    assert attempts.num_tokens == 3 + 3 * 3


def test_a_score_is_answered_by_the_engine_and_a_memory_at_once() -> None:
    seen: list[Retrieve] = []

    def remembers(request: Retrieve) -> list[WorkedExample]:
        seen.append(request)
        return [WorkedExample("1 + 1", "2")]

    def asks(problem: Problem) -> Solver:
        [values, shots] = yield [Score(problem.prompt, ["4", "5"]), Retrieve(problem, 3)]
        assert (values, shots) == ([-1.0, -1.0], [WorkedExample("1 + 1", "2")])
        return []

    engine = FakeEngine(echo, scores=lambda request: [-1.0 for _ in request.responses])
    list(drive([(problem_named("a"), asks(problem_named("a")))], engine, verifier_by(), retrieve=remembers))
    assert [(request.problem.id, request.n) for request in seen] == [("a", 3)]


def test_the_trees_of_several_searches_are_kept_beside_each_other() -> None:
    def searches(problem: Problem) -> Solver:
        yield [RecordTree([Branch(-1, "a"), Branch(0, "b")])]
        yield [RecordTree([Branch(-1, "c"), Branch(0, "d")])]
        return []

    [attempts] = driven({"a": searches(problem_named("a"))})
    assert [(at.text, at.parent) for at in attempts.tree] == [("a", -1), ("b", 0), ("c", -1), ("d", 2)]


# Branches


def part(name: str, *turns: Sequence[str]) -> Part[str]:
    """Asks for each turn's prompts at once, and checks that the replies are its own."""
    for prompts in turns:
        replies = yield [Generate(f"{name} {prompt}") for prompt in prompts]
        assert [reply[0].text for reply in replies] == [f"{name} {prompt} 0" for prompt in prompts]
    return name


def parallel(problem: Problem, *branches: Part[str], last: Sequence[str] = ()) -> Solver:
    """Returns a rollout for each branch that came to its end, and then asks for the prompts of `last`."""
    [ended] = yield [Parallel(branches)]
    if last:
        yield [Generate(prompt) for prompt in last]
    return [Rollout.of(problem, Completion(name, [], "stop", "base", 0), "test") for name in ended]


def branches_of(solver: Solver, engine: Any = None, by: Any = None) -> RolloutGroup:
    [group] = driven({"a": solver}, engine, by)
    return group


def responses(group: RolloutGroup) -> list[str]:
    return [rollout.response for rollout in group.rollouts]


def test_no_branch_waits_for_another() -> None:
    served: list[str] = []

    def late_last(waiting: list[tuple[int, Generate]]) -> list[int]:
        ticket, request = min(waiting, key=lambda item: (str(item[1].prompt).startswith("late"), item[0]))
        served.append(str(request.prompt))
        return [ticket]

    a = problem_named("a")
    group = branches_of(parallel(a, part("late", ["1"]), part("deep", ["1"], ["2", "3"], ["4"])), echoing(late_last))
    assert served == ["deep 1", "deep 2", "deep 3", "deep 4", "late 1"]
    assert responses(group) == ["late", "deep"]


def test_branches_return_in_their_order_and_a_solver_goes_on_after_the_last() -> None:
    engine, a = echoing(newest), problem_named("a")
    empty: Part[str] = part("nothing")
    group = branches_of(parallel(a, part("x", ["1"], ["2"]), empty, part("y", [], ["1"]), last=["then"]), engine)
    assert responses(group) == ["x", "nothing", "y"]
    assert engine.taken[-1].prompt == "then"
    assert group.num_tokens == sum(len(str(request.prompt).split()) + 2 for request in engine.taken)
    assert responses(branches_of(parallel(a), echoing())) == []


def test_a_sample_of_a_branch_is_the_same_whatever_runs_beside_it() -> None:
    def asked(*branches: Part[str], choose: Choose | None = None) -> dict[str, int]:
        engine = echoing(choose)
        branches_of(parallel(problem_named("a"), *branches, last=["last"]), engine)
        return seeds(engine)

    both = asked(part("x", ["1", "2"], ["3"]), part("y", ["1"], ["2"]))
    assert len(set(both.values())) == len(both) == 6
    backwards = asked(part("x", ["1", "2"], ["3"]), part("y", ["1"], ["2"]), choose=newest)
    longer = asked(part("x", ["1", "2"], ["3"]), part("y", ["1"], ["2"], ["3"]), part("z", ["1"]))
    alone = asked(part("x", ["1", "2"], ["3"]))
    assert backwards == both
    assert both.items() <= longer.items() and alone.items() <= both.items()


def test_a_branch_whose_prompt_is_refused_is_left_out_and_the_others_go_on() -> None:
    a, turns = problem_named("a"), (["1"], ["2"])
    refused = FakeEngine(echo, refuses="too long")
    group = branches_of(
        parallel(a, part("x", *turns), part("y", ["too long"]), part("z", ["1"], ["too long"], ["2"])), refused
    )
    assert (responses(group), group.failure) == (["x"], None)
    assert "z 2" not in seeds(refused)
    failed = branches_of(parallel(a, part("x", ["too long"]), part("y", ["1"], ["too long"])), refused)
    assert (failed.rollouts, failed.failure, failed.num_tokens) == ([], "too long", 4)


def test_a_branch_may_have_branches() -> None:
    def outer(name: str) -> Part[str]:
        [names] = yield [Parallel([part(f"{name}-in", ["1"], ["2"]), part(f"{name}-beside", ["1"])])]
        yield [Generate(f"{name} after")]
        return "+".join(names)

    engine = echoing(newest)
    group = branches_of(parallel(problem_named("a"), outer("x"), outer("y")), engine)
    assert responses(group) == ["x-in+x-beside", "y-in+y-beside"]
    assert len(set(seeds(engine).values())) == len(engine.taken) == 8


def test_what_branches_judged_and_searched_belongs_to_the_problem_in_their_order() -> None:
    problem = problem_named("a")

    def judges(name: str) -> Part[Rollout]:
        [[completion]] = yield [Generate(name)]
        yield [Verify(problem, [completion.text, "4"]), RecordTree([Branch(-1, name), Branch(0, "next")])]
        return Rollout.of(problem, completion, "test")

    def solve() -> Solver:
        yield [Verify(problem, ["4"])]
        [rollouts] = yield [Parallel([judges("x"), judges("y")])]
        yield [Verify(problem, [rollout.response for rollout in rollouts])]
        return list(rollouts)

    verifier = FakeVerifier(repeated)
    group = branches_of(solve(), echoing(newest), verifier)
    assert [(node.text, node.parent) for node in group.tree] == [("x", -1), ("next", 0), ("y", -1), ("next", 2)]
    assert [verdict.answer for verdict in group.verdicts] == ["x 0", "y 0"]
    asked = [response for request in verifier.taken for response in request.responses]
    assert sorted(asked) == ["4", "4", "4", "x 0", "y 0"], "at the end both were known"


def test_a_verifier_may_have_branches() -> None:
    def opinion(text: str) -> Part[float]:
        [[completion]] = yield [Generate(f"is {text} right?")]
        return float("4" in completion.text)

    class Panel(PolicyOpinion):
        def interact(self, problem: Problem, responses: Sequence[str]) -> Generator[Any, Any, Any]:
            [scores] = yield [Parallel([opinion(text) for text in responses])]
            return [Judgement(score, None) for score in scores]

    class Undeclared(Panel):
        asks_policy: ClassVar[bool] = False

    assert [verdict.score for verdict in judged_by(Panel(), "4", "5")] == [1.0, 0.0]
    with pytest.raises(PluginError, match=r"opinion \(problem a\) yielded a Generate, which asks the policy"):
        judged_by(Undeclared(), "4")


def test_an_error_in_a_branch_names_it() -> None:
    def fails() -> Part[str]:
        yield [Generate("x")]
        raise KeyError("x")

    with pytest.raises(KeyError) as raised:
        branches_of(parallel(problem_named("a"), fails()))
    assert [note.rpartition(".")[2] for note in raised.value.__notes__] == ["fails (problem a)"]


def test_branches_are_generators_that_nobody_started() -> None:
    started = part("x", ["1"])
    next(started)
    for branches, message in (
        ("x", "a Parallel whose branches are a str; they are a list of generators"),
        ([part("x"), "y"], "a Parallel with a str as a branch, which is no generator"),
        ([started], "a Parallel with part as a branch, which was started before; make a generator for each"),
        ([part("x")] * 2, "the same generator as two branches; make a generator for each"),
    ):
        with pytest.raises(PluginError) as raised:
            driven({"a": Plugin(yields=[wrong(Parallel, branches)]).solve(problem_named("a"))})
        assert str(raised.value) == f"Plugin.solve (problem a) yielded {message}"


Shape = list[Any]
"""The turns of a branch: in each, how many samples it asks for, and the branches that it runs beside them."""

shapes: st.SearchStrategy[Shape] = st.recursive(
    st.lists(st.tuples(st.integers(0, 2), st.just([])), max_size=3),
    lambda inner: st.lists(st.tuples(st.integers(0, 2), st.lists(inner, max_size=3)), max_size=3),
    max_leaves=12,
)


def grown(name: str, shape: Shape) -> Part[list[str]]:
    """Asks as `shape` says; returns all that was written for it and its branches, in their order."""
    texts: list[str] = []
    for turn, (samples, branches) in enumerate(shape):
        parts = [grown(f"{name}/{turn}-{number}", branch) for number, branch in enumerate(branches)]
        replies = yield [Parallel(parts), *(Generate(f"{name} {turn} {sample}") for sample in range(samples))]
        texts += [text for part_texts in replies[0] for text in part_texts]
        texts += [reply[0].text for reply in replies[1:]]
    return texts


@settings(deadline=None, max_examples=80)
@given(shape=shapes, order=st.integers(0, 2**32).map(Random))
def test_branches_of_any_shape_get_their_own_replies_in_any_order(shape: Shape, order: Random) -> None:
    def choose(waiting: list[tuple[int, Any]]) -> Sequence[int]:
        return order.sample([ticket for ticket, _ in waiting], order.randint(0, len(waiting)))

    def solve(texts: list[str]) -> Solver:
        texts += yield from grown("a", shape)
        return []

    collected: list[list[str]] = [[], []]
    engines = [echoing(), echoing(choose)]
    for texts, engine in zip(collected, engines, strict=True):
        driven({"a": solve(texts)}, engine)
    assert collected[0] == collected[1]
    assert seeds(engines[0]) == seeds(engines[1])
    assert len(set(seeds(engines[0]).values())) == len(engines[0].taken) == len(collected[0])


MODEL = {"name": "model_judge", "votes": 3, "alone": True}


def test_a_verifier_that_asks_the_engine_is_answered_in_between() -> None:
    engine = saying(lambda _: ["Verdict: right", "so... Verdict: wrong", "Verdict: right"])
    assert [verdict.score for verdict in verdicts_by(MODEL, problem_named("a"), ["4", "5"], engine)] == [1.0, 1.0]
    assert ["4" in str(request.prompt) for request in engine.taken] == [True, False]
    assert len({request.seed for request in engine.taken}) == 2


def test_verifiers_nest_and_each_asks_only_about_what_is_left() -> None:
    engine = saying(lambda _: "Verdict: right")
    nested = {"name": "all", "of": ["number", {"name": "any", "of": ["exact", MODEL]}]}
    assert [verdict.score for verdict in verdicts_by(nested, problem_named("a"), ["5", "so 4", "4"], engine)] == [
        0.0,
        1.0,
        1.0,
    ]
    assert len(engine.taken) == 1


def test_a_refused_opinion_costs_its_verdicts_and_not_the_problem() -> None:
    def asks(problem: Problem) -> Solver:
        [reply] = yield [Generate("x")]
        [verdicts, others] = yield [Verify(problem, ["short", "long"]), Verify(problem, ["short"])]
        assert [(verdict.score, verdict.reason) for verdict in verdicts] == [(None, "too long")] * 2
        assert [verdict.score for verdict in others] == [1.0]
        return [Rollout.of(problem, reply[0], "test")]

    [attempts] = driven(
        {"a": asks(problem_named("a"))}, saying(lambda _: "Verdict: right", refuses="long"), verifier_by(MODEL)
    )
    assert attempts.failure is None
    assert len(attempts.rollouts) == 1


class Plugin(Strategy):
    """Yields `yields`, then returns `returns`, or raises it."""

    yields: Any = (Generate("x"),)
    returns: Any = Field(default_factory=list)

    def solve(self, problem: Problem) -> Generator[Any, Any, Any]:
        yield self.yields
        if isinstance(self.returns, Exception):
            raise self.returns
        return self.returns


def wrong(make: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """What `make` makes of values of the wrong types, as a stranger might."""
    return make(*values, **named)


FULL = "messages, that is not empty"
KNOWN = "the requests are Generate, Score, Verify, Retrieve, RecordTree and Parallel"
ROLLOUT = Rollout("r", "a", "plugin", "", "", "stop", 1, 0, "base")


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (Plugin(yields=Generate("x")), "yielded a Generate; it yields lists: yield [Generate(...)]"),
        (Plugin(yields=Score("x", [])), "yielded a Score; it yields lists: yield [Score(...)]"),
        (Plugin(yields=None), "yielded None; it yields lists: yield [Generate(...)]"),
        (Plugin(yields="x"), "yielded a str; it yields lists: yield [Generate(...)]"),
        (Plugin(yields=[Generate("x"), "x"]), f"yielded a list with a str; {KNOWN}"),
        (Plugin(yields=(3,)), f"yielded a tuple with an int; {KNOWN}"),
        (Plugin(returns=None), "returned None; it returns a list of Rollouts"),
        (Plugin(returns=ROLLOUT), "returned a Rollout; it returns a list of Rollouts"),
        (Plugin(returns=[ROLLOUT, "x"]), "returned a list with a str; it returns a list of Rollouts"),
        (
            Plugin(returns=[ROLLOUT, ROLLOUT]),
            "returned two rollouts with the id r; each completion makes one rollout",
        ),
        (
            Plugin(returns=[replace(ROLLOUT, problem_id="b")]),
            "returned a rollout of the problem b; make each of the problem that solve was given",
        ),
        (
            Plugin(returns=[wrong(replace, ROLLOUT, selected="no")]),
            "returned a rollout with selected='no' and hinted=False; both are True or False",
        ),
        (Plugin(yields=[Generate("")]), "yielded a Generate whose prompt is '' (str); give text, or a list of " + FULL),
        (
            Plugin(yields=[wrong(Generate, [*"ab"])]),
            "yielded a Generate whose prompt is a list with the message 'a' (str); give a dict whose role and content "
            "are text",
        ),
        (Plugin(yields=[Generate("x", n=0)]), "yielded a Generate with n=0; n is a whole number above 0"),
        (
            Plugin(yields=[wrong(Generate, "x", temperature="hot")]),
            "yielded a Generate with temperature='hot'; it is a number, 0 for greedy or above",
        ),
        (
            Plugin(yields=[Generate("x", max_tokens=-3)]),
            "yielded a Generate with max_tokens=-3; it is a whole number above 0",
        ),
        (
            Plugin(yields=[wrong(Generate, "x", stop="end")]),
            "yielded a Generate with stop='end'; it is a tuple of texts",
        ),
        (
            Plugin(yields=[Verify(problem_named("a"), "4")]),
            "yielded a Verify whose responses are '4'; they are a list of texts, such as [completion.text]",
        ),
        (
            Plugin(yields=[wrong(Verify, problem_named("a"), [4])]),
            "yielded a Verify whose responses are [4]; they are a list of texts, such as [completion.text]",
        ),
    ],
)
def test_a_solver_that_breaks_its_contract_is_named_with_its_problem(plugin: Plugin, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        driven({"a": plugin.solve(problem_named("a"))})
    assert str(raised.value) == f"Plugin.solve (problem a) {message}"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (None, "None for a Generate that asks for 1"),
        ([], "a list of 0 for a Generate that asks for 1"),
        (["it is 4"], "a list with a str for a Generate; its items are Completions"),
        ([wrong(Completion, "x", [1], "done", "base", 0)], "a Completion with finish_reason 'done'; it is one of "),
    ],
)
def test_an_engine_that_replies_what_was_not_asked_for_is_refused(reply: Any, message: str) -> None:
    engine: Any = FakeService(lambda _: reply)
    with pytest.raises(PluginError, match=re.escape(f"the engine's poll returned {message}")):
        list(drive([(problem_named("a"), Plugin().solve(problem_named("a")))], engine, verifier_by()))


def test_an_engine_that_answers_what_is_not_open_is_named() -> None:
    engine = echoing()
    engine.submit(Generate("of another work"))
    with pytest.raises(PluginError, match=r"^the engine's poll returned the ticket 1, which is not open$"):
        driven({"a": Plugin().solve(problem_named("a"))}, engine)


def test_a_verdict_of_a_work_that_was_given_up_is_nobodys() -> None:
    def judges(problem: Problem) -> Solver:
        yield [Verify(problem, ["4"])]
        return []

    verifier = FakeVerifier(repeated)
    verifier.submit(Verify(problem_named("b"), ["5"]))
    assert names(driven({"a": judges(problem_named("a"))}, by=verifier)) == ["a"]


def test_a_tuple_of_requests_is_as_good_as_a_list() -> None:
    [attempts] = driven({"a": Plugin(yields=(Generate("x"),), returns=[ROLLOUT]).solve(problem_named("a"))})
    assert attempts.rollouts == [ROLLOUT]


@pytest.mark.parametrize(("solver", "kind"), [([], "a list"), (None, "None")])
def test_a_solve_without_a_yield_is_refused(solver: Any, kind: str) -> None:
    with pytest.raises(PluginError, match=rf"solve \(problem a\) has no yield: it returned {kind}, not a generator"):
        driven({"a": solver})


def test_an_error_of_a_solver_keeps_its_traceback_and_names_the_solver_and_the_problem() -> None:
    with pytest.raises(KeyError) as raised:
        driven({"a": Plugin(returns=KeyError("x")).solve(problem_named("a"))})
    assert raised.value.__notes__ == ["raised in Plugin.solve (problem a)"]
    assert raised.traceback[-1].name == "solve"


def test_an_error_of_byheart_is_passed_on_as_it_is() -> None:
    with pytest.raises(PluginError, match=r"^as it is$") as raised:
        driven({"a": Plugin(returns=PluginError("as it is")).solve(problem_named("a"))})
    assert not hasattr(raised.value, "__notes__")


class Opinion(Verifier):
    """Yields `yields`, then returns `returns`, or fails."""

    yields: Any = ()
    returns: Any = Field(default_factory=list)
    fails: bool = False

    def interact(self, problem: Problem, responses: Sequence[str]) -> Generator[Any, Any, Any]:
        yield self.yields
        if self.fails:
            raise KeyError("x")
        return self.returns


class PolicyOpinion(Opinion):
    """An Opinion that declares what it asks."""

    asks_policy: ClassVar[bool] = True


def judged_by(verifier: Verifier, *responses: str) -> list[Verdict]:
    collected: list[Verdict] = []

    def asks() -> Solver:
        [verdicts] = yield [Verify(problem_named("a"), responses)]
        collected.extend(verdicts)
        return []

    engine = FakeEngine(echo, scores=lambda request: [-1.0 for _ in request.responses])
    driven({"a": asks()}, engine, VerifierService(verifier, Pool()))
    return collected


RIGHT = Judgement(1.0, None)


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        ([RIGHT], "returned 1 judgement for 4 responses"),
        ([RIGHT] * 5, "returned 5 judgements for 4 responses"),
        (None, "returned None; it returns a list of Judgements"),
        (RIGHT, "returned a Judgement; it returns a list of Judgements"),
        ([1.0] * 4, "returned a list with a float; it returns a list of Judgements"),
        ([RIGHT] * 3 + [Judgement(0.5, None)], "returned the score 0.5; a score is 1.0, 0.0, or None for unjudged"),
    ],
)
def test_a_verifier_returns_a_judgement_for_each_response(returns: Any, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        judged_by(Opinion(returns=returns), *"4567")
    assert str(raised.value) == f"Opinion.interact (problem a) {message}"


def test_one_response_is_one_response() -> None:
    with pytest.raises(PluginError, match=r"returned 0 judgements for 1 response$"):
        judged_by(Opinion(), "4")
    assert [verdict.score for verdict in judged_by(Opinion(returns=[RIGHT]), "4")] == [1.0]


def test_a_verifier_too_yields_lists_and_is_named_in_its_errors() -> None:
    with pytest.raises(PluginError, match=r"^Opinion.interact \(problem a\) yielded a Verify; it yields lists"):
        judged_by(Opinion(yields=Verify(problem_named("a"), [])), "4")
    with pytest.raises(KeyError) as raised:
        judged_by(Opinion(fails=True), "4")
    assert raised.value.__notes__ == ["raised in Opinion.interact (problem a)"]


@pytest.mark.parametrize("request_", [Generate("x"), Score("x", ["4"])])
def test_a_verifier_that_asks_the_policy_has_to_declare_it(request_: Request) -> None:
    options: dict[str, Any] = {"yields": [request_], "returns": [RIGHT]}
    message = (
        rf"^Opinion.interact \(problem a\) yielded a {type(request_).__name__}, which asks the policy: its class has "
        r"to declare asks_policy: ClassVar\[bool\] = True$"
    )
    with pytest.raises(PluginError, match=message):
        judged_by(Opinion(**options), "4")
    with pytest.raises(PluginError, match=message):  # another part's declaration is not its own
        judged_by(AllOf(of=[PolicyOpinion(**options), Opinion(**options)]), "4")
    [verdict] = judged_by(AllOf(of=[PolicyOpinion(**options), PolicyOpinion(**options)]), "4")
    assert verdict.score == 1.0


class Delegating(Verifier):
    """Asks as its part does."""

    of: PolicyOpinion

    def interact(self, problem: Problem, responses: Sequence[str]) -> Generator[Any, Any, Any]:
        return (yield from self.of.interact(problem, responses))


def test_the_declaration_of_a_part_counts_for_the_verifier_that_is_made_of_it() -> None:
    part = PolicyOpinion(yields=[Generate("x")], returns=[RIGHT])
    assert [verdict.score for verdict in judged_by(Delegating(of=part), "4")] == [1.0]
