"""Only an answer that the verifier reads, and proves right by itself, can be learnt by heart."""

from typing import Any

import pytest

from pipeline import recipe
from pipeline.curation import check
from pipeline.curation.rows import text
from pipeline.curation.target import answers
from pipeline.errors import RecipeError, RunError
from pipeline.types import Problem
from tests.conftest import judge_by
from tests.curation.conftest import CHAT, ids, row

PROBLEMS = {"p": Problem("p", CHAT, "4", "number")}


def test_the_bare_answer_stands_where_the_solution_stood() -> None:
    found = [row("a", "2 + 2 = 4"), row("b", "so 4") | {"answer": "5"}, row("c", "four") | {"answer": None}]
    made = answers(found, PROBLEMS, judge_by())
    assert ids(made) == ["a"]
    assert made == [found[0] | {"completion": [{"role": "assistant", "content": "4"}]}]


def test_each_verifier_of_several_has_its_say() -> None:
    both = judge_by({"name": "all", "of": ["number", "exact"]})
    made = answers([row("a", "so 4"), row("b", "so 4.0") | {"answer": "4.0"}], PROBLEMS, both)
    assert [text(one) for one in made] == ["4"]


def test_a_verifier_that_reads_no_answer_is_named() -> None:
    with pytest.raises(RunError, match="'number' read no answer in any of 1 right"):
        answers([row("a") | {"answer": None}], PROBLEMS, judge_by())
    assert answers([], PROBLEMS, judge_by()) == []


def asked(verifier: Any, target: str) -> recipe.Recipe:
    raw = {"name": "sums", "model": {"name": "m"}, "task": {"name": "times_table"}, "verifier": verifier}
    return recipe.parse(raw | {"curation": {"target": target}})


@pytest.mark.parametrize("name", ["consensus", "model_judge"])
def test_agreement_and_opinions_prove_no_bare_answer(name: str) -> None:
    verifier = {"name": "all", "of": ["number", name]}
    with pytest.raises(RecipeError, match="target: answer: the verifier 'all'"):
        check(asked(verifier, "answer"))
    check(asked(verifier, "shortest"))
    check(asked("number", "answer"))
