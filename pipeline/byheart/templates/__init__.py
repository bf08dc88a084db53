"""The words of the cards, as jinja2 templates; a name that a template uses and is not given is an error."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_card(template: str, **values: Any) -> str:
    """The Markdown of `template` with `values` in it."""
    templates = Environment(
        loader=PackageLoader("byheart"), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return templates.get_template(template).render(**values)
