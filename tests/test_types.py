"""The nouns survive JSON, can't be changed, and have stable names."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from byheart import types
from byheart.types import (
    Branch,
    Completion,
    Dataset,
    Environment,
    Pair,
    Policy,
    Problem,
    Problems,
    Record,
    Rollout,
    RolloutGroup,
    Row,
    Step,
    StepwiseRow,
    Verdict,
    WorkedExample,
    digest,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

texts = st.text(max_size=20)
numbers = st.integers(-(2**53), 2**53)
chances = st.none() | st.floats(0, 1)
paths = st.from_regex(r"/?[a-z0-9]{1,6}(/[a-z0-9 é]{1,6}){0,2}", fullmatch=True).map(Path)
prompts: st.SearchStrategy[types.Prompt] = texts | st.lists(
    st.builds(types.Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts),
    min_size=1,
    max_size=3,
)
leaves = st.none() | st.booleans() | numbers | texts | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
reasons: st.SearchStrategy[types.FinishReason] = st.sampled_from(["stop", "length", "step"])

problems = st.builds(Problem, texts, prompts, st.none() | texts, texts, st.dictionaries(texts, values, max_size=3))
steps = st.builds(Step, texts, chances, numbers)
rollouts = st.builds(
    Rollout,
    id=texts,
    problem_id=texts,
    strategy=texts,
    prompt=prompts,
    response=texts,
    finish_reason=reasons,
    num_tokens=numbers,
    seed=numbers,
    policy=texts,
    steps=st.lists(steps, max_size=2),
    hinted=st.booleans(),
    selected=st.booleans(),
    note=texts,
    value=chances,
)
branches = st.builds(Branch, numbers, texts, st.booleans(), numbers, numbers, chances, chances, texts)
verdicts = st.builds(Verdict, texts, texts, chances, st.none() | texts, texts)
RECORDS: dict[type[Record], st.SearchStrategy[Any]] = {
    Problem: problems,
    Problems: st.builds(Problems, *[st.lists(problems, max_size=2)] * 3),
    Policy: st.builds(Policy, texts, st.none() | paths, texts, st.none() | paths),
    Completion: st.builds(Completion, texts, st.lists(numbers, max_size=5), reasons, texts, numbers),
    Step: steps,
    Branch: branches,
    Rollout: rollouts,
    Verdict: verdicts,
    Row: st.builds(
        Row,
        prompt=prompts,
        completion=prompts,
        problem_id=texts,
        rollout_id=texts,
        policy=texts,
        strategy=texts,
        verifier=texts,
        answer=st.none() | texts,
        seed=numbers,
        num_tokens=numbers,
        round=numbers,
        hinted=st.booleans(),
        untrained=st.lists(st.tuples(numbers, numbers), max_size=2),
        value=chances,
        score=chances,
        margin=chances,
    ),
    Pair: st.builds(Pair, prompts, prompts, prompts, texts, texts, texts, numbers),
    StepwiseRow: st.builds(
        StepwiseRow,
        prompt=prompts,
        completions=st.lists(texts, max_size=2),
        labels=st.lists(st.booleans(), max_size=2),
        values=st.lists(st.floats(0, 1), max_size=2),
        problem_id=texts,
        rollout_id=texts,
        round=numbers,
    ),
    RolloutGroup: st.builds(
        RolloutGroup,
        texts,
        st.lists(rollouts, max_size=2),
        st.lists(verdicts, max_size=2),
        st.none() | texts,
        numbers,
        st.lists(branches, max_size=2),
    ),
    Dataset: st.builds(Dataset, paths, numbers, texts, numbers),
    WorkedExample: st.builds(WorkedExample, texts, texts),
    Environment: st.builds(
        Environment, st.dictionaries(texts, texts, max_size=3), texts, *[st.none() | texts for _ in range(3)]
    ),
}
kinds = pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)


def test_every_record_type_is_tried_here() -> None:
    found = {one for one in vars(types).values() if isinstance(one, type) and issubclass(one, Record)}
    assert found - {Record} == set(RECORDS)


@kinds
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_record_is_the_same_after_json(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    again = kind.from_dict(json.loads(json.dumps(record.to_dict())))
    assert again == record
    assert type(again) is kind


@pytest.mark.parametrize("adapter", [None, Path("runs/a/round-001/adapter")])
def test_a_policy_is_the_same_after_json(adapter: Path | None) -> None:
    policy = Policy("smollm2-135m", adapter, "adapter-0123")
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@kinds
@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_a_record_cannot_be_changed(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    for field in dataclasses.fields(record):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field.name, getattr(record, field.name))
    assert not hasattr(record, "__dict__")


@pytest.mark.parametrize(
    "row",
    [{}, {"text": 1}, {"text": "a", "value": "much"}, {"text": "a", "visits": None}, {"text": "a", "worth": 1.0}],
    ids=["missing", "no text", "no number", "no count", "unknown"],
)
def test_a_row_that_is_no_such_record_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Step.from_dict(row)


def test_a_digest_is_the_same_in_every_process_and_version() -> None:
    assert digest("7 × 8", 56, {"b": [1.5], "a": None}) == "d77421fb1acc0753"


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


@settings(deadline=None)
@given(st.lists(leaves | texts, max_size=3), st.lists(leaves | texts, max_size=3))
def test_a_digest_tells_apart_what_json_tells_apart(one: list[Any], other: list[Any]) -> None:
    assert (digest(*one) == digest(*other)) == (json.dumps(one) == json.dumps(other))


def test_a_digest_tells_where_one_part_ends() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"]), digest("ab", "c", None)}) == 5


def test_a_problem_is_named_by_its_prompt_and_answer() -> None:
    problem = Problem.of("2 + 2", "4", "number", {"a": 2})
    assert problem.id == Problem.of("2 + 2", "4", "exact").id
    others = [
        Problem.of("2 + 3", "4", "number"),
        Problem.of("2 + 2", "5", "number"),
        Problem.of("2 + 2", None, "number"),
    ]
    assert len({problem.id, *(other.id for other in others)}) == 4


def test_a_rollout_says_where_it_comes_from_and_another_seed_is_another_rollout() -> None:
    problem = Problem.of([{"role": "user", "content": "2 + 2"}], "4", "number")
    rollout = Rollout.of(problem, Completion("4.", [7, 8, 9], "length", "adapter-1", 11), "direct", hinted=True)
    assert (rollout.problem_id, rollout.prompt, rollout.response) == (problem.id, problem.prompt, "4.")
    assert (rollout.num_tokens, rollout.seed, rollout.policy, rollout.finish_reason) == (3, 11, "adapter-1", "length")
    assert rollout.hinted
    assert rollout.id != Rollout.of(problem, Completion("4.", [7, 8, 9], "length", "adapter-1", 12), "direct").id


def test_a_rollout_keeps_tokens_that_are_not_those_of_its_text_and_no_others() -> None:
    problem, own = Problem.of("2 + 2 =", "4", "number"), Completion("4.", [7, 8], "stop", "base", 0)
    other = types.replace(own, retokenized=True)
    assert "token_ids" not in Rollout.of(problem, own, "direct").to_dict(), "so that most are as small as ever"
    kept = Rollout.of(problem, other, "direct")
    assert kept.token_ids == [7, 8] and Rollout.from_dict(kept.to_dict()) == kept
    assert other.saying("4.") is other
    assert Rollout.of(problem, other.saying(" 4."), "direct").token_ids == []


@pytest.mark.parametrize(("score", "right"), [(1.0, True), (0.0, False), (0.5, False), (None, False)])
def test_only_a_full_score_is_correct(score: float | None, right: bool) -> None:
    assert Verdict("r", "number@0", score, None, "").correct is right
