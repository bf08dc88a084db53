"""The cards and pages as jinja2 templates; a name that a template uses but is not given is an error."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from byheart.text import visible


def environment(**options: Any) -> Environment:
    """The templates, with further `options` of jinja2's. Control characters in what they are given are made visible."""
    return Environment(
        loader=PackageLoader("byheart"), undefined=StrictUndefined, trim_blocks=True, finalize=_shown, **options
    )


def _shown(value: Any) -> Any:
    return value if isinstance(value, Markup) else visible(str(value))


def render_card(template: str, **values: Any) -> str:
    """The Markdown of a card: `template` filled in with `values`."""
    return environment(keep_trailing_newline=True).get_template(template).render(**values)
