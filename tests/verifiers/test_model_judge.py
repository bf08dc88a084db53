"""An opinion is counted, and asked for in the words of the recipe."""

import pytest
from byheart.contracts import Verifier
from byheart.types import Message, Problem
from byheart.verifiers.model_judge import ModelJudge, question, tally

from tests.conftest import verdicts_by
from tests.verifiers.served import judge

PROBLEM = Problem.of([Message(role="user", content="What is 2 + 2?")], "4", "number")


OPINIONS = [
    (["... Verdict: right"], 1.0, 1.0),
    (["Verdict: wrong", "verdict: RIGHT.", "**Verdict:** right"], 1.0, 1 / 3),
    (["Verdict: right", "Verdict: wrong"], None, 0.0),
    (["Verdict: wrong", "I can't say"], 0.0, 1.0),
    (["it is right", "Verdict:"], None, None),
    ([], None, None),
    (['It says "Verdict: right", but no. Verdict: wrong'], 0.0, 1.0),
    (["Verdict: incorrect"], 0.0, 1.0),
    (["Verdict: right or wrong", "Verdict: right? no.", "Verdict: correct answer is 7"], None, None),
    (["Verdict: wrong\n\nVerdict: right answer would be 7"], None, None),
    (["7 is not 8.\nThe verdict is wrong.\n"], 0.0, 1.0),
]


@pytest.mark.parametrize(("opinions", "score", "margin"), OPINIONS)
def test_the_last_word_of_each_opinion_is_a_vote(
    opinions: list[str], score: float | None, margin: float | None
) -> None:
    judgement = tally(opinions)
    assert (judgement.score, judgement.margin) == (score, margin)


def test_it_is_asked_about_the_problem_and_the_solution_and_never_told_the_answer() -> None:
    options = ModelJudge(prompt="P: {problem} S: {solution}")
    assert question(PROBLEM, "five", options) == [Message(role="user", content="P: What is 2 + 2? S: five")]
    assert question(Problem.of("2 + 2 =", "4", "number"), "five", options) == "P: 2 + 2 = S: five"


def test_a_prompt_with_other_names_or_without_these_is_refused() -> None:
    for prompt in ("{answer}", "{problem}", "Is it right?"):
        with pytest.raises(ValueError, match="problem"):
            Verifier.parse({"name": "model_judge", "prompt": prompt})


def test_another_model_behind_a_url_gives_the_opinion() -> None:
    says = lambda question: ["Verdict: right" if "4" in question.split("Solution:")[1] else "Verdict: wrong"] * 3
    with judge(says, failures=1) as (url, asked):
        remote = {"name": "remote_judge", "url": url, "model": "m", "votes": 3, "alone": True, "workers": 1}
        assert [verdict.score for verdict in verdicts_by(remote, PROBLEM, ["it is 4", "it is 5"])] == [1.0, 0.0]
    assert {body["n"] for body in asked} == {3}
    assert len(asked) == 3  # the one that failed was asked for again


@pytest.mark.slow
def test_a_server_that_is_not_there_leaves_it_unjudged() -> None:
    remote = {"name": "remote_judge", "url": "http://127.0.0.1:9/v1", "model": "m", "alone": True, "workers": 1}
    [verdict] = verdicts_by(remote, PROBLEM, ["it is 4"])
    assert verdict.score is None
    assert "APIConnectionError" in verdict.reason
