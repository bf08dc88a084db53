"""An opinion is counted, and asked for in the words of the recipe."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from byheart.contracts import Verifier
from byheart.types import Message, Problem
from byheart.verifiers.model_judge import ModelJudge, question, tally

from tests.conftest import verdicts_by

PROBLEM = Problem.of([Message(role="user", content="What is 2 + 2?")], "4", "number")


@pytest.mark.parametrize(
    ("opinions", "score", "margin"),
    [
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
    ],
)
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


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible server on loopback: says right of what contains a 4, fails the first time it is asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(body := json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if len(asked) == 1 else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            vote = "right" if "4" in body["messages"][0]["content"].split("Solution:")[1] else "wrong"
            message = {"role": "assistant", "content": f"Verdict: {vote}"}
            choices = [{"index": n, "message": message, "finish_reason": "stop"} for n in range(body["n"])]
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", asked
        http.shutdown()


def test_another_model_behind_a_url_gives_the_opinion(server: tuple[str, list[dict[str, Any]]]) -> None:
    url, asked = server
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
