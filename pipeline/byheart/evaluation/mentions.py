"""Whether the right answer stands in a response that is not right, because it was cut off, is in another form, or is
followed by something else.

Nothing is guessed: parts of the response, each by itself, are judged by the problem's own verifier. They are the texts
under marks (verifiers/core/answers.py), where there are any, else the first sentence, the first line and the last one;
of a response that was cut off also all but its last word, which may be incomplete. A part does not count where what
follows takes it back: what is counted is a lower bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from byheart.strategies.core.driver import drive
from byheart.text import text_of
from byheart.types import Problem, Rollout, Solver, Verify
from byheart.verifiers.consensus import comparing
from byheart.verifiers.core import answers
from byheart.verifiers.core.service import VerifierService


def mentions(wrong: Iterable[tuple[Problem, Rollout]], verifier: VerifierService) -> dict[str, bool]:
    """By problem id, whether the right answer stands in the response. A problem is left out where that can't be told:
    the right answer stands in the question as well, as the letter of an option does, or `verifier` compares no answers,
    as one that runs code does not."""
    by_id = {problem.id: (problem, rollout) for problem, rollout in wrong}
    mentioned: dict[str, bool] = {}
    equal = comparing(verifier.verifier)
    if equal is None:
        return mentioned

    def look(problem: Problem, rollout: Rollout) -> Solver:
        texts = parts(rollout.response, rollout.finish_reason == "length")
        [verdicts] = yield [Verify(problem, texts, equal)]
        asked = text_of(problem.prompt)
        in_question = [_stands_in(verdict.answer or "", asked) for verdict in verdicts if verdict.correct]
        if not all(in_question) or not in_question:
            mentioned[problem.id] = bool(in_question)
        return []

    for _ in drive(((problem, look(problem, rollout)) for problem, rollout in by_id.values()), None, verifier):
        pass
    return mentioned


def parts(response: str, cut_off: bool) -> list[str]:
    """The parts of `response` that may be its answer, without those that are taken back."""
    text = re.sub(r"\S*\Z", "", response) if cut_off else response
    candidates = [*_marked(text)] or [*_edges(text)]
    if cut_off:
        candidates.append((text, ""))
    remaining = (part.strip() for part, after in candidates if not answers.Claim(part, True, after).correction)
    return list(dict.fromkeys(filter(None, remaining)))


def _marked(text: str) -> Iterator[tuple[str, str]]:
    """The text under each mark, and what comes after it."""
    for under, closed, after in answers.marked(text):
        part = under if closed else answers.sentence(under)
        yield part, after if closed else under[len(part) :]


def _edges(text: str) -> Iterator[tuple[str, str]]:
    """The first sentence, the first line and the last one, each with what comes after it."""
    lines = text.strip().splitlines()
    for part in (answers.sentence(lines[0]), lines[0]) if lines else ():
        yield part, text.strip()[len(part) :]
    yield from ((line, "") for line in lines[-1:])


def _stands_in(answer: str, question: str) -> bool:
    """Whether `answer` is a word, or several, of `question`."""
    return bool(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", question, re.IGNORECASE))
