r"""Answers in LaTeX and plain text: what is right, what is wrong, and what is left unjudged."""

import threading
from fractions import Fraction

import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers.math import Math
from hypothesis import given, settings
from hypothesis import strategies as st

settled = settings(deadline=None, max_examples=100)
MATH = Math()


def judge(gold: str, response: str) -> Judgement:
    return MATH.verify(Problem.of("", gold, "math"), response)


def boxed(gold: str, answer: str) -> float | None:
    return judge(gold, rf"So the answer is $\boxed{{{answer}}}$.").score


RIGHT = [
    (r"x=-2, p=\frac{7}{3}", r"(-2, \frac{7}{3})"),
    ("-5, 14/3", "x = -5, p = 14/3"),
    ("11:21", "V_1:V_2 = 11:21"),
    (r"\frac{3}{4}", r"\frac{AB}{CD} = \frac{3}{4}"),
    ("1", "|AB| = 1"),
    ("(2,3)", "P(2,3)"),
    (r"\frac{6}{7}", "0.857143"),
    ("0.857143", r"\frac{6}{7}"),
    ("e", "2.718282"),
    (r"(\frac{1}{3}, 1)", "(0.333333, 1)"),
    (r"\begin{pmatrix}6 & 8\end{pmatrix}", r"\begin{pmatrix}1 & 2\end{pmatrix} + \begin{pmatrix}5 & 6\end{pmatrix}"),
    (r"\begin{pmatrix}3\\7\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}1\\1\end{pmatrix}"),
    (r"\begin{pmatrix}7 & 10\\15 & 22\end{pmatrix}", r"A^2 = \begin{pmatrix}7 & 10\\15 & 22\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[[1,2],[3,4]]"),
    (r"2\sqrt{2}", r"\sqrt{4+4} = \sqrt{8} = 2\sqrt{2} \approx 2.83"),
    ("24", r"2^{10} = 1024 \equiv 24 \pmod{100}"),
    ("x^2+2x", "f(x+1)-1 = (x+1)^2-1 = x^2+2x"),
    ("a+b", r"\frac{a^2-b^2}{a-b} = a+b"),
    (r"x \equiv 3 \pmod{7}", r"x \equiv 3 \pmod 7"),
    (r"0 \le x \le 1", r"x \ge 0 \text{ and } x \le 1"),
    (r"x \ne \pm 1", r"x \ne 1, x \ne -1"),
    (r"\{x \mid x < 1 \text{ or } x > 2\}", r"(-\infty, 1) \cup (2, \infty)"),
    ("x != 3", r"x \neq 3"),
    ("x < 1", "-x > -1"),
    (r"-2 \\le x \\le 7", r"x \in [-2,7]"),
    (r"\\left(\\frac{1}{5}, 2\\right)", r"(\frac{1}{5}, 2)"),
    (r"\\begin{bmatrix} 0 \\\\ 1 \\end{bmatrix}", r"\begin{bmatrix} 0 \\ 1 \end{bmatrix}"),
    ("50\\%", "５０％"),
    ("12345678", "12,345,678"),
    # numbers
    ("42", "42"),
    ("1/2", "0.5"),
    ("0.5", "0.50"),
    (r"\frac{1}{2}", r"\dfrac12"),
    (r"\frac{1}{2}", "2/4"),
    ("-3", "\u22123"),
    ("1,000,000", "1000000"),
    ("12345", r"12{,}345"),
    ("12345", r"12,\!345"),
    (r"2\frac{1}{2}", "5/2"),
    ("2 1/2", "2.5"),
    (r"-2\frac{1}{2}", "-2.5"),
    (r"0.\overline{3}", "1/3"),
    ("0.005", r"5 \times 10^{-3}"),
    (r"\frac{-1}{2}", r"-\frac{1}{2}"),
    ("007", "7"),
    # expressions
    (r"-2\pi", "-2*pi"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"2\sqrt{3}", "2sqrt(3)"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
    ("x^2-1", "(x-1)(x+1)"),
    ("x^{10}", "x^10"),
    ("x^2", "x**2"),
    ("ab", "ba"),
    ("x(x+1)", "x^2+x"),
    ("2(3)", "6"),
    (r"\sin 2x", r"2\sin x\cos x"),
    (r"\ln 8", r"3\ln 2"),
    (r"\log_2 8", "3"),
    (r"\sqrt[3]{-8}", "-2"),
    ("3+4i", "4i+3"),
    (r"e^{i\pi}", "-1"),
    (r"\binom{5}{2}", "10"),
    ("5!", "120"),
    ("f(x)=2x+1", "2x+1"),
    ("|x-1|", "|1-x|"),
    ("x_1", "x_{1}"),
    # too big to write out
    (r"\frac{1}{2004!}", "1/2004!"),
    ("2^{1000000}", "4^{500000}"),
    ("10^{10^{10}}", "10^{10^{10}}"),
    # plus-minus, lists and sets
    (r"\pm 2", r"\{2,-2\}"),
    (r"\pm 2", "2, -2"),
    (r"\pm 2", r"-2 \text{ or } 2"),
    (r"1\pm\sqrt{2}", r"1-\sqrt{2}, 1+\sqrt{2}"),
    ("1, 2, 3", "3, 1, 2"),
    ("1,2,3", "1, 2 and 3"),
    (r"\{1,2\}", r"\left\{2, 1\right\}"),
    ("x=1, x=2", "2, 1"),
    ("x=1, y=2", "y=2, x=1"),
    ("(1,2)", "x=1, y=2"),
    ("(1,2),(3,4)", "(3,4), (1,2)"),
    # tuples, intervals, regions
    ("(1,2)", r"\left(1, 2\right)"),
    ("(1/2, 3)", "(0.5,3)"),
    ("(x,y)=(1,2)", "(1,2)"),
    (r"[0,\infty)", r"[0, \infty)"),
    (r"(3,\infty)", "x > 3"),
    ("x>3", "3<x"),
    (r"1 < x \le 2", "(1,2]"),
    (r"1 < x \le 2", r"2 \geq x > 1"),
    (r"(-\infty,1)\cup(2,\infty)", "x<1 or x>2"),
    (r"(-\infty,1)\cup(2,\infty)", r"(2,\infty)\cup(-\infty,1)"),
    ("[1,3]", r"[1,2]\cup[2,3]"),
    (r"\mathbb{R}\setminus\{1\}", r"x\neq 1"),
    (r"x\in[1,2)", "[1,2)"),
    # matrices
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & \frac{8}{2} \end{bmatrix}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", "(1,2)"),
    # equations and inequalities
    ("y = 2x+1", "y=1+2x"),
    ("x+y=1", "2x+2y=2"),
    ("y=2x+1", "2x-y+1=0"),
    ("x+y<1", "-x-y>-1"),
    ("x = 5", "5"),
    ("5", "x = 5"),
    ("5", "2+3=5"),
    (r"\sqrt{2}", r"\sqrt{2}\approx 1.414"),
    # units
    (r"5\text{ cm}", "5"),
    ("5", r"5\text{ cm}"),
    ("5", r"5\,\mathrm{cm}^2"),
    ("5 cm", "5 centimeters"),
    ("5 m", "500 cm"),
    ("12", "12 apples"),
    (r"\$12", "12 dollars"),
    (r"\$12", "12"),
    (r"\$12.50", "$12.5"),
    ("90", r"90^\circ"),
    (r"90^{\circ}", "90 degrees"),
    (r"50\%", "50"),
    (r"50\%", "0.5"),
    ("0.5", r"50\%"),
    (r"2\sqrt{3}\text{ m}", r"2\sqrt{3}"),
    ("5000000", "5 million"),
    ("60 km/h", "60 kilometers per hour"),
    ("101_2", "101_{2}"),
    # words
    (r"\text{Evelyn}", "Evelyn"),
    (r"\text{Evelyn}", r"\mathrm{evelyn}"),
    ("yes", r"\text{Yes}"),
    (r"\text{(A)}", "A"),
    ("3:4", "6:8"),
    ("two", "2"),
    (r"60^\circ", r"\frac{\pi}{3}"),
    (r"\emptyset", r"\text{no solution}"),
]


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_right_answers_are_right_boxed_or_bare(gold: str, answer: str) -> None:
    assert boxed(gold, answer) == 1.0
    assert judge(gold, answer).score == 1.0
    assert judge(gold, f"The answer is ${answer}$." if "$" not in answer else answer).score == 1.0


WRONG = [
    ("42", "43"),
    ("1/3", "0.333"),
    ("1/3", "0.33333"),
    (r"\pi", "3.14"),
    (r"\pi", "3.14159265358979323846"),
    (r"\sqrt{2}", "1.414"),
    ("1 1/2", "11/2"),
    (r"2\frac{1}{2}", "1"),
    ("2(3)", "5"),
    ("123", "1, 2, 3"),
    ("5", "-5"),
    ("2,3", "6"),
    ("x", "X"),
    ("X+x", "2x"),
    ("2x", "2y"),
    ("x^2", "2x"),
    (r"\ln 2", r"\log_2 e"),
    ("P(-1, 6)", "P(6, -1)"),
    ("5 cm, 6 cm", "5 m, 6 m"),
    ("6/7", "0.857413"),
    (r"\pi", "3.142857"),
    (r"\{x \mid x > 3\}", "3"),
    ("[[0, 6], [-1, 2]]", "[[0, -1], [6, 2]]"),
    (r"\sqrt{10^{120}+1}", "10^{60}"),
    ("10^{60}+1", "10^{60}"),
    (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
    (r"\frac{1}{9004!}", r"\frac{1}{9006!}"),
    ("2^{1000000}", "2^{1000001}"),
    ("e^{-1000}", "0"),
    (r"1+e^{-500}", "1"),
    (r"\cos(10^{-100})", "1"),
    ("10^{10^{10}}", "10^{10^{11}}"),
    ("2021", r"\pm 2021"),
    (r"\pm 2021", "2021"),
    (r"\pm 2", "2, 2"),
    ("1, 2, 3", "1, 2"),
    ("1, 2", "1, 2, 3"),
    (r"\{1,2\}", "1"),
    ("x=1, y=2", "x=2, y=1"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "2, 1"),
    ("(1,2),(3,4)", "(1,3),(2,4)"),
    ("(1,2)", "(1,2,3)"),
    ("[0,1)", "[0,1]"),
    ("(0,1)", "[0,1]"),
    ("x>3", r"x\ge 3"),
    ("x>3", "x<3"),
    (r"(-\infty,1)\cup(2,\infty)", r"(2,\infty)"),
    (r"\mathbb{R}\setminus\{1\}", r"\mathbb{R}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("x+y=1", "x+y=2"),
    ("x+y<1", "x+y>1"),
    ("5 cm", "5 m"),
    ("5 cm", "5 kg"),
    (r"\$12", "12 cents"),
    ("5", "5 million"),
    ("5", "5x"),
    ("5", "4, 5"),
    ("3", "either 3 or 5"),
    ("5", "either 3 or 5"),
    (r"\text{Evelyn}", "Angela"),
    (r"\text{Evelyn}", "Evelyn or Angela"),
    ("yes", "no"),
    ("no", "no or yes"),
    ("A", "B"),
    (r"\text{no solution}", "5"),
]


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_wrong_answers_are_wrong_boxed_or_bare(gold: str, answer: str) -> None:
    assert boxed(gold, answer) == 0.0
    assert judge(gold, answer).score == 0.0
    assert judge(gold, answer).reason


UNDECIDED = [
    (r"\frac{1}{", "5"),
    ("5", r"\frac{1}{"),
    ("x", r"\sqrt{x^2}"),
    (r"\log 100", r"2"),
    ("1/2x", "x/2"),
    ("x'", "x"),
    ("6", "2 3"),
    ("0.5", r"0.5\%"),
    ("10^{10^{10}}", "10^{10^{10}}+1"),
    ("1000.99", "1.000,99"),
    ("32349", "32, 349"),
    ("6/7", "0.857142"),
    (r"x \equiv 3 \pmod{7}", r"x \equiv 3 \pmod{8}"),
    (r"x \equiv 3 \pmod{7}", r"x \equiv 10 \pmod{7}"),
    ("12_8", "12_9"),
    ("1, 2", "(2,1)"),
    ("x=5", "y=5"),
    ("AB", "BA"),
    ("cat", "act"),
    (r"\frac{dy}{dx}", r"\frac{y}{x}"),
    (r"x=k\pi, k\in\mathbb{Z}", r"x=n\pi"),
    ("56", "7*8=54"),
    (r"\{1,2\}", r"\{\{1,2\}\}"),
    (r"\text{no}", r"\text{no solution}"),
    ("12 apples", "12 pears"),
    (r"\frac{1}{0}", r"\frac{2}{0}"),
]


@pytest.mark.parametrize(("gold", "answer"), UNDECIDED)
def test_what_cannot_be_decided_is_unjudged(gold: str, answer: str) -> None:
    judgement = judge(gold, rf"\boxed{{{answer}}}" if answer.count("{") == answer.count("}") else f"#### {answer}")
    assert judgement.score is None
    assert judgement.reason


ANSWERS = [
    ("Final Answer: The largest $n$ is 34.", "34"),
    ("Final Answer: Jane started 3 hours ago. I hope it is correct.", "3 hours"),
    (r"Therefore $x \geq 5$ is the solution.", r"x \geq 5"),
    ("So n is at least 4.", "n ≥ 4"),
    ("x is greater than or equal to 2", "x ≥ 2"),
    ("2x ≥ 5, so **x ≥ 2.5**.", "x ≥ 2.5"),
    ("We need x >= 2.", "x >= 2"),
    ("The area is therefore 6√3 square centimeters.", "6√3 square centimeters"),
    ("The minimum is -2 (attained at x = 1).", "-2"),
    ("We get\n$C = 5$, $A = 2$, $B = -1$.", "$C = 5$, $A = 2$, $B = -1$"),
    (r"So it is \boxed{255}. Then 10,200 + 255. Final Answer: The final answer is $10,455$.", "$10,455$"),
    ("故答案为：$2\\sqrt{3}$．", "$2\\sqrt{3}$"),
    ("解得x＝3。", "x=3"),
    ("따라서 구하는 값은 17이다.", "17"),
    (r"First \boxed{3}. Wait, no: \boxed{5}", "5"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\text{a } \{1\}} and the answer is 7", r"\text{a } \{1\}"),
    (r"$\boxed{2}$ and $\boxed{-2}$", "2 or -2"),
    (r"\boxed{5", None),
    (r"\boxed{}", None),
    (r"\boxed 5", "5"),
    ("2 + 2 = 4\n#### 4", "4"),
    ("The final answer is 7. I hope it is correct.", "7"),
    ("The answer is 7 because 3 + 4 = 7.", "7"),
    ("Answer: 7\nThanks!", "7"),
    ("**Answer:** 7", "7"),
    ("**Final Answer:**\n\n$$x = 7$$", "$$x = 7$$"),
    ("answer is 3, but really the answer is 4.", "4"),
    ("We get $x = 3$ and then $y = 4$.", "y = 4"),
    ("We get $x = 3$ apples and that makes 12 pears", "12"),
    ("So 23 + 27 = 50.", "50"),
    ("The fastest of them is Evelyn.", "Evelyn"),
    ("I think it is either 3 or 5", "either 3 or 5"),
    ("we find 3 or 5", "3 or 5"),
    (r"\frac{1}{2}", r"\frac{1}{2}"),
    ("x^2 + 1", "x^2 + 1"),
    ("I have no idea whatsoever of this one", None),
    ("First 6 * 7 = 42. Now we still have to subtract the number of", None),
    ("There are three things:\n1. read\n2. plan\n3.", None),
    ("The answer is not 5", None),
    ("It takes 24 hours.", "24 hours"),
    ("", None),
    (" \n ", None),
]


BOXES = [
    ("2, -5", r"so $x=\boxed{2}$ and $x=\boxed{-5}$", 1.0),
    (r"\pm 3", r"either $x = \boxed{3}$ or $x = \boxed{-3}$", 1.0),
    (r"\{1, 3, 7\}", r"$\boxed{1}$, then $\boxed{3}$, then $\boxed{7}$", 1.0),
    ("k = 45, n = 2", r"$\boxed{k = 45}$ gives $\boxed{n = 2}$", 1.0),
    ("(3, 5)", r"$x = \boxed{3}$, which gives $y = \boxed{5}$", 0.0),
    ("2", r"$x = \boxed{2}$, which gives $y = \boxed{5}$", 0.0),
    ("-2, 6", r"Candidates: $\boxed{-2}$ and $\boxed{6}$. So the answer is $\boxed{6}$.", 0.0),
    ("3, -5", r"so $x=\boxed{2}$ and $x=\boxed{-5}$", 0.0),
]


@pytest.mark.parametrize(("gold", "response", "score"), BOXES)
def test_boxes_together_are_the_answer_where_it_has_as_many_parts(gold: str, response: str, score: float) -> None:
    assert judge(gold, response).score == score


@pytest.mark.parametrize(
    ("response", "where"),
    [
        (r"It is \boxed{5}.", "the last box"),
        (r"It is \boxed{5}. Final answer: 6", "after 'answer'"),
        ("#### 5", "the last line, after ####"),
        ("The answer is 5.", "after 'answer is'"),
        ("So x = 5.", "the last mathematics"),
    ],
)
def test_it_says_where_the_answer_was_found(response: str, where: str) -> None:
    assert MATH.found(response) == where


@pytest.mark.parametrize(("response", "answer"), ANSWERS)
def test_which_answer_counts(response: str, answer: str | None) -> None:
    assert MATH.extract(Problem.of("", "1", "math"), response) == answer


def test_no_answer_is_wrong_and_no_gold_answer_is_unjudged() -> None:
    assert judge("5", "") == Judgement(0.0, None, "no answer in the response")
    assert MATH.verify(Problem.of("", None, "math"), "5").score is None
    assert judge("  ", "5").score is None
    assert judge("3 + 2 = 5\n#### 5", "5").score == 1.0


def test_it_works_off_the_main_thread_where_no_alarm_can_be_set() -> None:
    scores: list[float | None] = []
    work = threading.Thread(target=lambda: scores.append(judge(r"2\sqrt{5}", r"\sqrt{20}").score))
    work.start()
    work.join()
    assert scores == [1.0]


numbers = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.decimals(-(10**6), 10**6, allow_nan=False, places=3).map(lambda x: f"{x:f}"),
    st.fractions(-1000, 1000, max_denominator=999).map(lambda x: rf"\frac{{{x.numerator}}}{{{x.denominator}}}"),
)
leaves = st.sampled_from(["x", "y", "2", "3", r"\pi", "0.5", r"\frac{2}{3}", "10"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(r"\left({} + {}\right)".format, inner, inner),
        st.builds(r"{} \cdot {}".format, inner, inner),
        st.builds(r"\frac{{{}}}{{{}}}".format, inner, inner),
        st.builds(r"\sqrt{{{}}}".format, inner),
        st.builds(r"({})^{{2}}".format, inner),
    ),
    max_leaves=4,
)


@settled
@given(numbers)
def test_a_number_is_itself(number: str) -> None:
    assert boxed(number, number) == 1.0
    assert judge(number, f"Thus the answer is {number}.").score == 1.0


@settings(deadline=None, max_examples=30)
@given(expressions)
def test_an_expression_is_itself_however_it_is_written_and_not_itself_and_one_more(text: str) -> None:
    assert boxed(text, text) == 1.0
    assert boxed(text, f"0 + {text}") == 1.0
    assert boxed(text, f"1 + {text}") == 0.0


@settings(deadline=None, max_examples=30)
@given(st.integers(10, 10**9))
def test_near_misses_are_wrong(n: int) -> None:
    digits = str(n)
    swapped = int(digits[:-2] + digits[-1] + digits[-2])
    for miss in {n + 1, n - 1, -n, swapped, n * 10} - {n}:
        assert boxed(digits, str(miss)) == 0.0
        assert judge(digits, f"It is {miss}.").score == 0.0
        assert boxed(rf"{n}\pi", rf"{miss}\pi") == 0.0


@settled
@given(st.fractions(max_denominator=10**6), st.integers(2, 50))
def test_a_fraction_is_equal_however_it_is_extended(fraction: Fraction, factor: int) -> None:
    extended = f"{fraction.numerator * factor}/{fraction.denominator * factor}"
    assert boxed(str(fraction), extended) == 1.0
    assert boxed(str(fraction), f"{fraction.numerator * factor + 1}/{fraction.denominator * factor}") == 0.0


@settled
@given(st.integers(), st.integers())
def test_the_last_box_counts(first: int, last: int) -> None:
    response = rf"It may be \boxed{{{first}}}. On second thought, no. It must be \boxed{{{last}}}."
    assert judge(str(last), response).score == 1.0
    assert judge(str(last + 1), response).score == 0.0


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=30), st.text(alphabet="0123456789xyabei\\{}[]()^_,.;:=<>+-*/!|$%& frcsqtπ±∪", max_size=20))
def test_any_text_is_judged_and_nothing_is_raised(text: str, symbols: str) -> None:
    for gold, response in [(text, symbols), (symbols, text), (symbols, rf"\boxed{{{symbols}}}"), ("1", symbols)]:
        judgement = judge(gold, response)
        assert (judgement.score == 1.0) == (judgement.reason == "")


NEVER = [
    ("(1, 2)", "we try \\boxed{1}, but the answer is \\boxed{2}"),
    ("1, 2", "we try \\boxed{1}, that is wrong. the answer is \\boxed{2}"),
    ("(3,4)", "A: \\boxed{3}; B: \\boxed{4}"),
    ("[1, 2]", "First \\boxed{1}. Then \\boxed{2}"),
    ("(-\\infty, 2)", "\\boxed{-\\infty} \\boxed{2}"),
    ("x=1,y=2", "y = \\boxed{1}, x=\\boxed{2}"),
    ("1,2", "\\boxed{1} \\boxed{2}. The final answer is $1, 3$."),
    ("\\{1,2\\}", "not \\boxed{1} but \\boxed{2}"),
    ("5", "\\boxed{xy=5}"),
    ("5", "\\boxed{x+y=5}"),
    ("5", "\\boxed{|x|=5}"),
    ("5", "\\boxed{\\frac{x}{2}=5}"),
    ("5", "\\boxed{x/y=5}"),
    ("1/2", "\\boxed{\\sin x=1/2}"),
    ("0", "\\boxed{ab=0}"),
    ("2,3", "\\boxed{x+y=2, xy=3}"),
    ("x+y=5", "\\boxed{5}"),
    ("x>1 and x<0", "\\boxed{x>1 or x<0}"),
    ("x>0,y>0", "\\boxed{x>0,z>0}"),
    ("x>0,y>0", "\\boxed{x>0}"),
    ("x>0 and y>1", "\\boxed{y>0 and x>1}"),
    ("0<x<1", "\\boxed{x>0,y<1}"),
    ("x>0", "\\boxed{x>0 and y>0}"),
    ("2", "\\boxed{A^2=2}"),
    ("2", "\\boxed{X^{-1}=2}"),
    ("A=2", "\\boxed{A^2=2}"),
    ("\\frac{a}{b}=2", "\\boxed{\\frac{b}{a}=2}"),
    ("AB/CD=2", "\\boxed{CD/AB=2}"),
    ("a:b=2", "\\boxed{b:a=2}"),
    ("\\frac{dy}{dx}=2x", "\\boxed{y=2x}"),
    ("P(X=2)=1/2", "\\boxed{P(X=3)=1/2}"),
    ("|AB|=2", "\\boxed{|CD|=2}"),
    ("m=2", "\\boxed{M=2}"),
    ("\\begin{pmatrix}1&2\\end{pmatrix}", "\\boxed{2A=\\begin{pmatrix}1&2\\end{pmatrix}}"),
    ("\\begin{pmatrix}1&2\\end{pmatrix}", "\\boxed{A+B=\\begin{pmatrix}1&2\\end{pmatrix}}"),
    ("A^{-1}=\\begin{pmatrix}1&2\\end{pmatrix}", "\\boxed{A=\\begin{pmatrix}1&2\\end{pmatrix}}"),
    ("\\frac{x-1}{2}=\\frac{y}{3}=\\frac{z}{4}", "\\boxed{\\frac{x-2}{2}=\\frac{y}{5}=\\frac{z}{4}}"),
    ("x-1=2y=3z", "\\boxed{3z}"),
    ("x=5", "\\boxed{2x=10=5}"),
    ("x+y=1", "\\boxed{x+y=2=1}"),
    ("5", "\\boxed{\\frac{10}{2}=\\frac{6}{1}=5}"),
    ("5", "\\boxed{x+1=6=5}"),
    ("5", "\\boxed{r^2=s=5}"),
    ("x=1,y=2", "\\boxed{2,1}"),
    ("b=1,a=2", "\\boxed{(1,2)}"),
    ("5", "答案不是5"),
    ("5", "因此x不是5"),
    ("5", "因此x=5不成立"),
    ("5", "答案是5，错误"),
    ("5", "因此 x 大于 5"),
    ("5", "所以至少5"),
    ("5", "答案是百分之5"),
    ("5", "答案是5万"),
    ("5", "答案是5千"),
    ("4", "The answer is never 4"),
    ("4", "The answer is at least 4."),
    ("1.00000", "\\boxed{1+10^{-7}}"),
    ("1.00000", "\\boxed{\\frac{1000001}{1000000}}"),
    ("1.00000", "\\boxed{\\cos(0.001)}"),
    ("100.000", "\\boxed{\\frac{1000001}{10000}}"),
    ("12345.6", "\\boxed{\\frac{123456}{10}+\\frac{1}{100}}"),
    ("\\frac{1250001}{100000}", "\\boxed{12.5000}"),
    ("25/2+1/100000", "\\boxed{12.5000}"),
]
"""What is near the gold answer, or mentions it, and says something else."""


@pytest.mark.parametrize(("gold", "response"), NEVER)
def test_what_says_something_else_never_passes(gold: str, response: str) -> None:
    assert judge(gold, response).score != 1.0
