"""A corpus for each verifier: the cases of its tests, answers of tasks with near misses, and what can't be judged.

What the verifiers say of them is on record (behaviour.py).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise, product
from typing import Any, NamedTuple

from byheart.tasks.arithmetic import Arithmetic
from byheart.types import Problem, Prompt

from tests.tasks.test_gold import beside
from tests.verifiers import (
    served,
    test_all,
    test_choice,
    test_code,
    test_exact,
    test_execution,
    test_math,
    test_math_corpus,
    test_model_judge,
    test_number,
    test_regex,
)
from tests.verifiers.spellings import CONVERTED, SIGNS, TOLD, UNITS

UNHURRIED: dict[str, Any] = {"time_limit": 60.0}
"""For verdicts that do not depend on how busy the machine is."""
HANGING: dict[str, Any] = {"time_limit": 0.5}


class Case(NamedTuple):
    """A problem, responses to it that are judged together, and the options of the verifier that judges them."""

    problem: Problem
    responses: tuple[str, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        """The case in one line."""
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        responses = " | ".join(f"{response:.60}" for response in self.responses)
        return f"{self.problem.answer!r} answered by {responses!r}{options}"


def case(
    gold: str | None, *responses: str, prompt: Prompt = "?", meta: dict[str, Any] | None = None, **options: Any
) -> Case:
    return Case(Problem("", prompt, gold, "", meta or {}), responses, options)


def number() -> list[Case]:
    cases = [case(gold, text) for text, gold in [*test_number.LAST, *test_number.MARKED]]
    cases += [case(gold, text) for gold, text in product(("5", "-5"), test_number.NEGATIVE)]
    cases += [case("5", text) for text in [*test_number.PARTS, *test_number.NUMBERLESS]]
    cases += [case(gold, text) for gold, text, _ in test_number.COMPARED]
    cases += [case(gold, "50") for gold in [*test_number.BAD_GOLDS, None]]
    cases += [case("5", told.format(5, 7)) for told in TOLD]
    cases += [case("5", f"5{space}{unit}") for space, unit in product(("", " "), UNITS)]
    cases += [case("200", text, tolerance=0.01) for text in ("202", "198", "202.01", "-200")]
    for problem in islice(Arithmetic(digits=[1, 2, 3], operations=["+", "-", "*"]).problems(0), 20):
        gold = str(problem.answer)
        cases += [case(gold, f"The answer is {answer}.") for answer in (gold, *beside(gold))]
    return cases


def exact() -> list[Case]:
    cases = [case(gold, response) for gold, response, _ in test_exact.SPELLED]
    cases += [case(gold, response) for response, gold, _ in test_exact.SPELLED]
    return cases + [case(gold, text) for gold, text in product(("Paris", "", ".", None), ("", " . ", "Paris", " x "))]


def regex() -> list[Case]:
    found = [(pattern, response) for pattern, response, _ in test_regex.FITTING]
    golds = ("Paris", "London", "", None)
    cases = [case(gold, text, pattern=pattern) for gold, (pattern, text) in product(golds, found)]
    return [*cases, case("aa", "a" * 50 + "b", pattern="(a+)+$", **HANGING)]


def choice() -> list[Case]:
    cities: dict[str, Any] = {"choices": test_choice.CITIES}
    texts = [*test_choice.NAMED, *test_choice.SEVERAL, *test_choice.UNNAMED, *(text for text, _ in test_choice.WORDS)]
    cases = [case(gold, text, meta=cities) for gold, text in product("BD", texts)]
    cases += [case("A", text, meta={"choices": choices}) for choices, text in test_choice.WITHIN]
    cases += [case(gold, text, meta=cities) for gold, text in product(("E", "", "Paris", None), ("A", "Paris", ""))]
    cases += [case("B", text, meta={"choices": ["London", "Paris"]}) for text in ("Paris", "B", "C", "London")]
    cases += [case("B", told.format("B", "A"), meta=cities) for told in TOLD]
    cases += [case("B", rf"\boxed{{{sign}B}}", meta=cities) for sign in "¬~!-"]
    return cases + [case("E", text) for text in ("The answer is (E).", "E", "e", "Paris", "D or E")]


def math() -> list[Case]:
    pairs = [(row["gold"], row["response"]) for row in test_math_corpus.ROWS]
    pairs += [(gold, rf"\boxed{{{answer}}}") for gold, answer in [*test_math.RIGHT, *test_math.WRONG]]
    pairs += test_math.UNDECIDED + SIGNS
    pairs += [("5", told.format(5, 7)) for told in TOLD]
    pairs += [(f"5 {unit}", f"5 {other}") for unit, other in pairwise(UNITS)]
    pairs += [(f"36 {unit}", f"{count} {other}") for unit, count, other in CONVERTED]
    pairs += [(answer or "5", response) for response, answer in test_math.ANSWERS]
    return [case(gold, response, **UNHURRIED) for gold, response in [*pairs, (None, "5"), ("  ", "5")]]


def program(response: str, tests: list[Any], **meta: Any) -> Case:
    seconds = 1.0 if "while True" in response else 10.0
    return case(None, response, meta={"tests": tests, **meta}, test_time_limit=seconds, test_memory=0.25)


def code() -> list[Case]:
    on, says, fenced = test_code.on, test_code.says, "```python\n{}\n```".format
    cases = [program(response, tests) for response, tests, _ in test_code.FAILING]
    cases += [program(fenced(f"print({text!r})"), [on("", expected)]) for text, expected, _ in test_code.PRINTED]
    for response, total in product(test_code.COMPLETING, (3, 4)):
        cases.append(program(response, [says(f"assert add(1, 2) == {total}")], **test_code.PRELUDE))
    added = fenced(test_code.ADD)
    cases += [
        program(added, [says("assert add(1, 2) == 3"), says("assert add('a', 'b') == 'ab'")]),
        program(fenced("a, b = map(int, input().split())\nprint(a + b)"), [on("1 2", "3"), on("2 2\n", "4\n")]),
        program(f"{added}\nUse it so:\n```python\nprint(add(1, 2))\n```", [says("assert add(1, 2) == 3")]),
        program(f"```python\nadd = 3\n```\nor rather\n{added}", [says("assert add(1, 2) == 3")], entry_point="add"),
        program(f"{added}\nbetter not\n```python\nadd = 3\n```", [says("assert add(1, 2) == 3")], entry_point="add"),
        program(fenced("def sum(a, b): return a + b"), [says("assert sum(1, 2) == 3")], entry_point="sum"),
        program(added, [says("assert add(1, 2) ==")]),
        program(added, []),
        program(added, [{"input": "1 2"}]),
        program(added, [{"assert": 3}]),
        *(case(None, added, fenced("def add(a, b): return a - b"), meta=meta) for meta in test_code.SHAPES),
        case(None, added, meta={"tests": ["add(1, 2) == 3"]}),
        case(None, added, meta={"tests": "[3"}),
        case(None, added),
    ]
    return cases


def execution() -> list[Case]:
    programs = [text for text, *_ in [*test_execution.PRINTING, *test_execution.FAILING]]
    programs += [f"print({text!r})" for text, *_ in test_code.PRINTED]
    cases = [program(f"```python\n{text}\n```", []) for text in programs]
    cases += [program(text, []) for text in ("The answer is 4.", "", "print(4)", "```\nprint(5)\n```")]
    return [*cases, case(None, "```python\nwhile True: pass\n```", **HANGING)]


def procedural() -> list[Case]:
    from tests.verifiers import test_procedural  # skipped where reasoning-gym is not installed

    pairs = [(problem, text) for problem, wrong in test_procedural.OVERLOOKED for text in (problem.answer, *wrong)]
    for problem, form in product((made for made, _ in test_procedural.OVERLOOKED), test_procedural.RULES.values()):
        pairs.append((problem, f"<answer>{form.format(problem.answer, 7)}</answer>"))
    pairs += [(test_procedural.asked("chain_sum", "9"), text) for text, _ in test_procedural.SUMS]
    pairs += [(test_procedural.asked("chain_sum", "9"), told.format(9, 7)) for told in TOLD]
    pairs += [(Problem.of("?", "7", "procedural"), text) for text in ("7", "8", "")]
    for dataset in test_procedural.DATASETS:
        first, other = (test_procedural.problem(dataset, index) for index in (0, 1))
        if dataset != "polynomial_multiplication":  # it asks something else whenever Python starts
            pairs += [
                (first, f"<answer>{answer}</answer>")
                for answer in (first.answer, f"{first.answer} or 7", other.answer, "banana")
            ]
    return [Case(problem, (text or '""',), UNHURRIED) for problem, text in pairs]


def consensus() -> list[Case]:
    samples = [
        ("4", "so 4.0", "5", "it is 4", "+4", "6"),
        ("4", "4", "4", "4", "I don't know"),
        ("4", "4", "5", "5"),
        ("4", "4", "4", "5", "5"),
        ("4", "4", "4"),
        ("Paris", "paris.", " PARIS", "Rome"),
        (r"\boxed{\frac{1}{2}}", "0.5", "$1/2$", "The answer is 2/4", r"\boxed{2}"),
    ]
    equals: list[dict[str, Any]] = [{"name": "number"}, {"name": "exact"}, {"name": "math", **UNHURRIED}]
    cases = [case("5", *responses, equal=equal) for responses, equal in product(samples, equals)]
    cases += [case(None, *responses, equal="number", margin=0.6) for responses in samples]
    return cases + [case(None, *responses, equal="number", min_samples=2) for responses in samples]


UNSURE: dict[str, Any] = test_all.UNSURE
AGREEMENT: dict[str, Any] = {"name": "consensus", "equal": "number"}
COMBINED: list[list[Any]] = [
    ["number", "exact"],
    ["exact", "number"],
    [UNSURE, "number"],
    ["number", UNSURE],
    [UNSURE, UNSURE],
    ["exact", AGREEMENT],
    [AGREEMENT, "number"],
    [{"name": "all", "of": ["exact", UNSURE]}, AGREEMENT],
    ["number", {"name": "first", "of": [UNSURE, "exact"]}],
]


def combined() -> list[Case]:
    """For `all`, `any` and `first`."""
    samples = [("4", "it is 4", "5"), ("4",) * 7 + ("5",) * 4, ("5", "so 4", "5.", "5", "5"), ("four", "")]
    return [case(gold, *texts, of=of) for gold, texts, of in product(("4", "four"), samples, COMBINED)]


def opinions() -> list[Case]:
    """For `model_judge` and `remote_judge`: each solution says what the model's votes about it are (served.py)."""
    votes = [list(spoken) for spoken, *_ in test_model_judge.OPINIONS if spoken]
    votes += [["Verdict: wrong~", "Verdict: right"], ["Verdict: right~"], ["Verdict: right"] * 3 + ["Verdict: wrong"]]
    solutions = [(served.VOTE.join(spoken), len(spoken)) for spoken in votes]
    prompts: list[Prompt] = ["2 + 2 =", [{"role": "user", "content": "What is 2 + 2?"}]]
    return [
        Case(Problem("", prompt, "4", "", {}), (solution, solution), {"votes": count, "prompt": served.QUESTION})
        for prompt, (solution, count) in product(prompts, solutions)
    ]


CORPORA: dict[str, Callable[[], list[Case]]] = {
    "number": number,
    "exact": exact,
    "regex": regex,
    "choice": choice,
    "math": math,
    "code": code,
    "procedural": procedural,
    "consensus": consensus,
    "model_judge": opinions,
    "remote_judge": opinions,
    "all": combined,
    "any": combined,
    "first": combined,
    "execution": execution,
}
