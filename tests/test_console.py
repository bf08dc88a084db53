"""What comes from outside is shown as it is: it neither steers the terminal nor is taken for markup."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unicodedata import category

import byheart
import pytest
from byheart.console import Console, styled
from byheart.templates import environment
from byheart.text import visible
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.tree import Tree

PACKAGE = Path(byheart.__file__).parent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;PWNED\x07\x1b[2J", r"\u001b]0;PWNED\u0007\u001b[2J"),
        ("over\rwritten\b\x7f", r"over\u000dwritten\u0008\u007f"),
        ("\x9b31m", r"\u009b31m"),
        ("x = \u202e1 \u2066+\u2069 2", r"x = \u202e1 \u2066+\u2069 2"),
        ("2\u200b7", r"2\u200b7"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("tag \U000e0041", r"tag \udb40\udc41"),
        ("half \udcff", r"half \udcff"),
    ],
)
def test_what_steers_a_terminal_is_shown_by_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["def f():\n\treturn 1\n", "می‌روم", "👩‍👧 é ﷺ", "x² ≤ 3 · ½"])
def test_text_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(st.text())
def test_nothing_that_steers_is_left_and_json_stays_what_it_was(text: str) -> None:
    left = {category(character) for character in visible(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert left <= {"Cc", "Cf"}
    assert {character for character in visible(text) if category(character) in left} <= set("\n\t\u200c\u200d")
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_strings_are_no_markup_wherever_they_are_printed() -> None:
    hostile = "[bold]a[/q8] :smile: \x1b[2J"
    table, tree = Table(hostile, title=hostile), Tree(hostile)
    table.add_row(hostile)
    tree.add(hostile)
    file = io.StringIO()
    console = Console(file=file, width=100)
    for printed in (hostile, table, tree, styled(hostile, (hostile, "bold"))):
        console.print(printed)
    assert file.getvalue().count(visible(hostile)) == 8
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize("autoescape", [True, False], ids=["a page", "a card"])
def test_pages_and_cards_show_what_would_steer_them(autoescape: bool) -> None:
    template = environment(autoescape=autoescape).from_string(
        "<b>{{ text }}</b> {{ path }} {{ none }} {{ text|upper }}"
    )
    shown = template.render(text="\x1b[2J\u202ea<b>", path=Path("x\x07"), none=None)
    assert r"\u001b[2J\u202ea" in shown and r"x\u0007 None" in shown and r"\u001b[2J\u202eA" in shown
    assert ("&lt;b&gt;" in shown) is autoescape and "<b>\\u001b" in shown


def test_only_styles_are_colours_and_none_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    def printed() -> str:
        file = io.StringIO()
        Console(file=file, force_terminal=True, color_system="standard").print(styled(("right", "green"), " [red]x[/]"))
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert printed() == "\x1b[32mright\x1b[0m [red]x[/]\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed() == "right [red]x[/]\n"


def test_no_other_file_makes_a_console_or_a_text() -> None:
    forbidden = ("rich.markup", "rich.console import", "from rich import", "typer.secho", "PackageLoader")
    homes = {"console.py", "templates/__init__.py"}
    for path in PACKAGE.rglob("*.py"):
        if (name := path.relative_to(PACKAGE).as_posix()) not in homes:
            source = path.read_text("utf-8")
            assert not [words for words in forbidden if words in source], name
