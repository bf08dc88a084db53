"""Questions that test a draft, their answers, and a rewrite: for prompts that have no single right answer.

Each question is answered by itself, with the draft in view, as in chain-of-verification (2309.11495). Whether a rewrite
is trained on is up to the recipe's verifier, here usually a model that judges (verifiers/model_judge.py).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy
from byheart.strategies.core.combinators import ask, listed, revised
from byheart.strategies.core.prompting import answered, put, template
from byheart.types import Completion, Parallel, Part, Problem, Prompt, Solver


class SelfAsk(Strategy):
    """Drafts that are tested by questions and rewritten. Only the last version is taught."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="prompt for the draft; never trained on"
    )
    test: Annotated[str, template("number")] = Field(
        default=(
            "List up to {number} questions that test whether this answer is correct, complete and clear. Number them, "
            "one a line."
        ),
        description="message that asks for the questions; {number} is the value of `questions`",
    )
    answer: Annotated[str, template("question")] = Field(
        default="{question}", description="message that asks one question"
    )
    rewrite: Annotated[str, template("answers")] = Field(
        default="{answers}\nNow answer what you were asked first once more, with all of this in mind.",
        description="message that asks for the rewrite; {answers} holds all questions with their answers",
    )
    questions: int = Field(default=12, ge=1, description="most questions about a draft")
    samples: int = Field(default=1, ge=1, description="drafts per problem")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    max_tokens: AnswerTokens = Field(default=512, ge=1, description="most tokens of a draft or a rewrite")
    test_tokens: AnswerTokens = Field(default=512, ge=1, description="most tokens of the list of questions")
    answer_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of the answer to one question")

    @override
    def solve(self, problem: Problem) -> Solver:
        [attempts] = yield [Parallel([_test(problem.prompt, self) for _ in range(self.samples)])]
        return (yield from revised(problem, attempts, self.name))


def _test(prompt: Prompt, options: SelfAsk) -> Part[list[Completion]]:
    """A draft and its rewrite; the draft alone where no question can be read."""
    conversation = put(prompt, options.prompt)
    [[draft]] = yield [ask(conversation, options.temperature, options.max_tokens)]
    test = answered(conversation, draft.text, options.test, number=str(options.questions))
    [[completion]] = yield [ask(test, options.temperature, options.test_tokens)]
    questions = listed(completion, options.questions)
    if not questions:
        return [draft]
    prompts = [answered(conversation, draft.text, options.answer, question=question) for question in questions]
    replies = yield [ask(prompt, options.temperature, options.answer_tokens) for prompt in prompts]
    answers = "\n".join(
        f"Q: {question}\nA: {reply.text.strip()}" for question, [reply] in zip(questions, replies, strict=True)
    )
    again = answered(conversation, draft.text, options.rewrite, answers=answers)
    [[rewrite]] = yield [ask(again, options.temperature, options.max_tokens)]
    return [draft, rewrite]
