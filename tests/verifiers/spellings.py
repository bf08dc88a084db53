"""Ways in which answers are told and written, for the corpora: marks, units, and signs."""

TOLD = [
    *(
        r"\boxed{{{0}}}",
        r"\boxed {{{0}}}",
        "<answer>{0}</answer>\nI tried {1} times.",
        "{1}\n#### {0}",
        "The answer is {0}.",
    ),
    *(
        "The answer is: {0}",
        "ANSWER IS {0}",
        "The answer would be {0}.\nI tried {1} times.",
        "It should be {0}",
        "The answer should be {0}.\n{1}",
        "Answer: {0}",
    ),
    *("**Answer**: {0}", "answer = {0}", "{1}, so {0}", "I think it is {0}", "The answer is {0} or {1}"),
    *(
        "maybe {0}, maybe {1}",
        "The answer is not {0}",
        r"\boxed{{{1}}} \boxed{{{0}}}",
        r"\boxed{{{0}}}. So \boxed{{{1}",
    ),
    *(f"The answer is {{0}} {why} {{1}}." for why in ("because", "since", "rather than", "instead of", "but", "and")),
    *(f"The answer is {{0}}, {why} {{1}} is not." for why in ("as", "for", "so", "which", "where", "not", "all but")),
    *(
        f"The answer is {{0}}. {word} {{1}}"
        for word in ("Wait,", "Actually", "No,", "Correction:", "But", "Hmm", "Oops")
    ),
    *(f"The answer is {{0}}. {word} {{1}}" for word in ("Sorry,", "A mistake:", "Wrong:", "Incorrect:", "And also")),
]
"""How an answer is told ({0}), and taken back or doubted for another ({1}): the marks of core/answers.py."""

UNITS = " ".join(
    (
        "m meter metres mm millimeters cm centimetre km kilometers dm decimeter in inch inches ft foot feet yd yard mi",
        "miles g gram mg milligram kg kilograms lb pounds oz ounce s second sec ms milliseconds min minute h hour hr",
        "day days week L liter litres l mL ml milliliter dollar USD buck cent cents euro EUR sterling % percent °",
        "degree deg rad radian °C °F K J joule N newton W watt V volt Hz hertz Pa pascal mph km/h m/s",
        "apples dozen million pi squared x",
    )
).split()
"""What may follow a number: units in several spellings, and what is none."""

CONVERTED = [
    *(("km", 36000, "m"), ("m", 3600, "cm"), ("mm", 3.6, "cm"), ("dm", 360, "cm"), ("in", 3, "ft"), ("ft", 12, "yd")),
    *(("in", 0.9144, "m"), ("kg", 36000, "g"), ("g", 36000, "mg"), ("day", 864, "h"), ("h", 2160, "min")),
    *(("h", 129600, "s"), ("week", 252, "days"), ("s", 36000, "ms"), ("L", 36000, "mL"), ("dollars", 3600, "cents")),
    *(("km/h", 10, "m/s"), ("square feet", 4, "square yards"), ("cubic m", 36, "m^3"), ("L", 36, "kg")),
]
"""36 of a unit, and what is or is not the same of another."""

SIGNS = [
    *(("-2", f"{sign}2") for sign in "−–‒﹣－"),
    *(("2a", f"2{sign}a") for sign in ("×", "·", "∙", "⋅", "∗", "✕", r"\times ", r"\cdot ", r"\ast ")),
    *((f"x^{{{n}}}", f"x{sign}") for n, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")),
    *((f"x_{{{n}}}", f"x{sign}") for n, sign in enumerate("₀₁₂₃₄₅₆₇₈₉")),
    *((f"0.{digits}", sign) for digits, sign in (("5", "½"), ("25", "¼"), ("75", "¾"), ("5", "1⁄2"), ("5", "1÷2"))),
    *((rf"2\frac{{{top}}}{{3}}", f"2{sign}") for top, sign in ((1, "⅓"), (2, "⅔"))),
    *((rf"\{word[1:]}", word[0]) for word in ("πpi", "θtheta", "αalpha", "βbeta", "λlambda")),
    *((r"\sqrt{2}", "√2"), (r"\mathbb{R}", "ℝ"), ("90°", "90º"), ("(1,2)", "⟨1，2⟩"), ("(1,2)", r"\langle 1,2\rangle")),
    *(
        (f"x{word[0]}2", rf"x\{word[1:]} 2")
        for word in ("≤le", "≤leq", "≤leqq", "≥ge", "≥geq", "<lt", ">gt", "≠ne", "≠neq")
    ),
    *(
        (r"(1,2)\cup(3,4)", r"(1,2)\bigcup(3,4)"),
        (r"\emptyset", r"\varnothing"),
        (r"2\mp 1", "2±1"),
        ("3:4", r"3\colon 4"),
    ),
    *((r"\{1,2\}", r"\lbrace 1,2\rbrace"), ("(1,2]", r"\lparen 1,2\rbrack"), ("|x|", r"\lvert x\rvert")),
    *((r"\mathbb{R}\setminus\{1\}", rf"\mathbb{{R}}\{name}\{{1\}}") for name in ("backslash", "smallsetminus")),
    *(("50%", rf"50{sign}") for sign in (r"\%", r"\percent", " percent", " pct")),
]
"""Two ways to write one thing, for mathematics/latex.py."""
