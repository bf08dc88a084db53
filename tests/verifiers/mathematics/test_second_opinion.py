"""What math-verify may settle, and what it is known to pass wrongly."""

import pytest
from byheart.verifiers.mathematics.second_opinion import settled

EQUAL = [
    ("x+y=1", "2x+2y=2"),
    ("a>b", "b<a"),
    ("-x > -1", "x < 1"),
    (r"x \in [-2,7]", r"-2 \le x \le 7"),
    (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
    (
        r"\begin{pmatrix}6 & 8\end{pmatrix}",
        r"\begin{pmatrix}1 & 2\end{pmatrix} + \begin{pmatrix}5 & 6\end{pmatrix}",
    ),
]
TRAPS = [
    ("9", r"9\%"),
    ("12_8", "12_9"),
    ("x'", "x"),
    (r"\log 100", "2"),
    ("cat", "act"),
    ("AB", "BA"),
    ("5 m", "5 cm"),
    (r"5 \text{ meters}", r"5 \text{ feet}"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    ("2^{-100}", "2^{-101}"),
    ("0.0000004", "0"),
    ("x^2+1=0", "x^2+2=0"),
    ("x=x+1", "x=x+2"),
    (r"x=\frac{1}{0}", r"x=\frac{2}{0}"),
    (r"\frac{dy}{dx}=2", r"\frac{dy}{dx}=3"),
    (r"x \equiv 3 \pmod{7}", r"x \equiv 3 \pmod{8}"),
]


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_what_it_finds_equal_both_ways_is_settled(gold: str, answer: str) -> None:
    assert settled(gold, answer)


@pytest.mark.parametrize(("gold", "answer"), TRAPS)
def test_what_it_passes_wrongly_is_not(gold: str, answer: str) -> None:
    assert not settled(gold, answer)
    assert not settled(answer, gold)


def test_it_is_asked_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])
    monkeypatch.setattr("byheart.verifiers.mathematics.second_opinion.verify", lambda *_, **__: next(answers))
    assert not settled("x+1", "1+x")
