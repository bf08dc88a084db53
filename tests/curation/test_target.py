"""Only an answer that the verifier reads, and proves right by itself, can be learnt by heart."""

from fractions import Fraction
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.curation import check
from byheart.curation.rows import Candidates, text
from byheart.curation.stats import Tally
from byheart.curation.target import answers
from byheart.errors import RecipeError, RunError
from byheart.types import Problem, Row, replace
from byheart.verifiers.core.service import VerifierService

from tests.conftest import verdicts_by, verifier_by
from tests.curation.conftest import CHAT, PLAIN, row

PROBLEMS = {"p": Problem("p", CHAT, "4", "number")}


def made(rows: list[Row], problems: dict[str, Problem], verifier: VerifierService) -> list[Row]:
    """The rows that `answers` leaves of the candidates `rows`, all of one problem."""
    candidates = [Candidates(rows, rows[0], Fraction(1))] if rows else []
    return [row for problem in answers(candidates, problems, verifier, Tally(1)) for row in problem.rows]


def test_the_bare_answer_stands_where_the_solution_stood() -> None:
    rows = [row("a", "2 + 2 = 4"), replace(row("b", "so 4"), answer="5"), replace(row("c", "four"), answer=None)]
    assert made(rows, PROBLEMS, verifier_by()) == [replace(rows[0], completion=[{"role": "assistant", "content": "4"}])]


def test_the_space_before_a_solution_stays_and_line_breaks_go() -> None:
    wrote = {"a": "\n\n2 + 2 = 4", "b": "  2 + 2 = 4", "c": " \n4"}
    rows = [row(name, response, prompt=PLAIN) for name, response in wrote.items()]
    assert [text(row) for row in made(rows, PROBLEMS, verifier_by())] == ["4", "  4", " 4"]


@pytest.mark.parametrize("verifier", ["exact", {"name": "regex", "pattern": "[^:]+$"}])
def test_an_answer_is_taught_as_it_was_written(verifier: Any) -> None:
    problem, wrote = Problem("p", PLAIN, "united states (u.s.)", "exact"), " United  States (U.S.)"
    [verdict] = verdicts_by(verifier, problem, [wrote])
    verifier = verifier_by(verifier)
    rows = made([replace(row("a", wrote, prompt=PLAIN), answer=verdict.answer)], {"p": problem}, verifier)
    verifier.close()
    assert [text(row) for row in rows] == [wrote]


def test_each_verifier_of_several_has_its_say() -> None:
    both = verifier_by({"name": "all", "of": ["number", "exact"]})
    rows = made([row("a", "so 4"), replace(row("b", "so 4.0"), answer="4.0")], PROBLEMS, both)
    assert [text(row) for row in rows] == ["4"]


def test_a_verifier_that_reads_no_answer_is_named() -> None:
    with pytest.raises(RunError, match="'number' read no answer in any of 1 right"):
        made([replace(row("a"), answer=None)], PROBLEMS, verifier_by())
    assert made([], PROBLEMS, verifier_by()) == []


def asked(verifier: Any, target: str, choose: str = "shortest", **rest: Any) -> recipe.Recipe:
    raw = {"name": "sums", "model": {"name": "m"}, "task": {"name": "times_table"}, "verifier": verifier}
    return recipe.parse(raw | {"curation": {"target": target, "choose": choose}} | rest)


@pytest.mark.parametrize("name", ["consensus", "model_judge"])
def test_agreement_and_opinions_prove_no_bare_answer(name: str) -> None:
    verifier = {"name": "all", "of": ["number", name]}
    with pytest.raises(RecipeError, match="target: answer: the verifier 'all'"):
        check(asked(verifier, "answer"))
    check(asked(verifier, "shortest"))
    check(asked("number", "answer"))


@pytest.mark.parametrize("choose", ["diverse", "value", "random"])
def test_where_the_most_concise_solution_is_wanted_there_is_nothing_to_choose(choose: str) -> None:
    check(asked("number", "full", choose))
    for target in ("shortest", "answer"):
        with pytest.raises(RecipeError, match=f"choose: {choose}: .*target: {target} .*take choose: shortest, or"):
            check(asked("number", target, choose))
    with pytest.raises(RecipeError, match=f"choose: {choose}"):
        validation.check(asked("number", "full", choose, schedule={"curation.target": ["full", "shortest"]}))
