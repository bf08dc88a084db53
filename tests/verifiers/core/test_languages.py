"""What other languages write otherwise."""

import pytest
from byheart.verifiers.core.languages import foreign_amount, half_width, narrowed, numerals_read


def test_full_width_letters_digits_and_signs_become_ascii() -> None:
    assert half_width("Ａ＝１２．５％（ｘ＋３）") == "A=12.5%(x+3)"
    assert half_width("１，５００人") == "1,500人"
    assert half_width("x² is x²") == "x² is x²"


def test_letters_of_other_scripts_are_set_apart() -> None:
    assert narrowed("答案是25个。") == "答案是 25 个. "
    assert narrowed("정답은 B입니다") == "정답은 B 입니다"
    assert narrowed("x=1或x=2") == "x=1 or x=2"
    assert narrowed("plain") == "plain"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三百二十", "320"),
        ("十二万三百零五", "120305"),
        ("两千", "2000"),
        ("二〇二四", "2024"),
        ("一亿二千万", "120000000"),
        ("이십오", "25"),
        ("答案是五", "5"),
    ],
)
def test_numerals_are_read(text: str, value: str) -> None:
    assert numerals_read(text).split()[-1].removeprefix("答案是") == value


@pytest.mark.parametrize(
    "text", ["一共", "千万", "만일", "사이", "plain", "一万五", "三百二十分之一", "十二点五", "第十五", "二十多"]
)
def test_other_words_with_their_letters_are_left(text: str) -> None:
    assert numerals_read(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 000", "1000"),
        ("1.000,99", "1000.99"),
        ("1'000", "1000"),
        ("1,50,000", "150000"),
        ("12,5", "12.5"),
        ("-1.234.567", "-1234567"),
        ("€ 1.250,00", "1250.00"),
        ("12.5", None),
        ("x", None),
    ],
)
def test_amounts_of_other_languages(text: str, value: str | None) -> None:
    assert foreign_amount(text) == value
