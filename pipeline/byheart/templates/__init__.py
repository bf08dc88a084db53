"""The cards and pages as jinja2 templates; a name that a template uses but is not given is an error."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_card(template: str, **values: Any) -> str:
    """The Markdown of a card: `template` filled in with `values`."""
    templates = Environment(
        loader=PackageLoader("byheart"), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return templates.get_template(template).render(**values)
