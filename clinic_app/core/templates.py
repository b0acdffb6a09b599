"""HTML from Jinja2 templates: every value is escaped, and a variable that nobody gave is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def beside(module: str) -> Environment:
    """The templates in the folder ``templates`` beside this module, given by its ``__file__``."""
    return Environment(
        loader=FileSystemLoader(Path(module).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
