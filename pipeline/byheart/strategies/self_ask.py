"""Dozens of questions that test a draft, their answers, and a rewrite: for prompts that have no single right answer.

The questions are answered each by itself, with the draft in view, as in chain-of-verification (2309.11495). What lets a
rewrite in is the recipe's verifier, here mostly a model that judges (verifiers/model_judge.py).
"""

from __future__ import annotations

from pydantic import Field

from byheart import recipe
from byheart.strategies.asking import answered, put, template
from byheart.strategies.several import Work, ask, listed, revised, together
from byheart.types import Completion, Problem, Prompt, Solver


class Options(recipe.Choice):
    """`samples` drafts, each tested by at most `questions`. `test` asks for so many of them, {number}; `answer` puts
    one of them; `rewrite` shows all with their {answers}. `max_tokens` are for a draft and for a rewrite, `test_tokens`
    for the list of questions, `answer_tokens` for the answer to one. Taught is the last version, and nothing else."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    test: template("number") = (  # type: ignore[valid-type]
        "List up to {number} questions that test whether this answer is correct, complete and clear. Number them, one "
        "a line."
    )
    answer: template("question") = "{question}"  # type: ignore[valid-type]
    rewrite: template("answers") = (  # type: ignore[valid-type]
        "{answers}\nNow answer what you were asked first once more, with all of this in mind."
    )
    questions: int = Field(default=12, ge=1)
    samples: int = Field(default=1, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=512, ge=1)
    test_tokens: int = Field(default=512, ge=1)
    answer_tokens: int = Field(default=256, ge=1)


def solve(problem: Problem, options: Options) -> Solver:
    attempts = yield from together([_test(problem.prompt, options) for _ in range(options.samples)])
    return (yield from revised(problem, attempts, options.name))


def _test(prompt: Prompt, options: Options) -> Work[list[Completion]]:
    """A draft and its rewrite; the draft alone where no question can be read."""
    asked = put(prompt, options.prompt)
    [[draft]] = yield [ask(asked, options.temperature, options.max_tokens)]
    test = answered(asked, draft.text, options.test, number=str(options.questions))
    [[written]] = yield [ask(test, options.temperature, options.test_tokens)]
    questions = listed(written, options.questions)
    if not questions:
        return [draft]
    replies = yield [
        ask(answered(asked, draft.text, options.answer, question=question), options.temperature, options.answer_tokens)
        for question in questions
    ]
    answers = "\n".join(
        f"Q: {question}\nA: {reply.text.strip()}" for question, [reply] in zip(questions, replies, strict=True)
    )
    again = answered(asked, draft.text, options.rewrite, answers=answers)
    [[rewrite]] = yield [ask(again, options.temperature, options.max_tokens)]
    return [draft, rewrite]
