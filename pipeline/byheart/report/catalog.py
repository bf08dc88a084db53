"""What there is to choose from, in the terminal: the shipped recipes, and the options of every section."""

from __future__ import annotations

from rich.table import Table

from byheart.config import schema
from byheart.config.recipe import shipped
from byheart.config.shipped import header as read_header
from byheart.console import Console, styled
from byheart.report.terminal import console


def show_recipes(to: Console = console) -> None:
    """Each shipped recipe: what it does, on what, for how long, and what to expect."""
    for name, path in shipped().items():
        header = read_header(path)
        table = Table.grid(padding=(0, 2))
        for label, text in (("hardware", header.hardware), ("time", header.time), ("expect", header.expect)):
            table.add_row("", label, text)
        to.print(styled((name, "bold"), f"  {header.summary}"), soft_wrap=True)
        to.print(table)


def show_options(path: str, to: Console = console) -> None:
    """The options at `path`, such as "strategy.direct", each with type, default and description; or the members to
    choose from. Raises InputError where there is nothing of that name."""
    listing = schema.options(path)
    if listing.text:
        to.print(listing.text)
    if listing.members:
        table = Table(show_header=False, box=None, padding=(0, 2))
        for name, text in listing.members:
            table.add_row(f"{path}.{name}", text)
    else:
        table = Table("option", "type", "default", "description", title=listing.title, title_justify="left")
        for row in listing.rows:
            table.add_row(*row)
    to.print(table)
    if not path:
        to.print("What a section may say: byheart options strategy, byheart options strategy.direct, ...")
