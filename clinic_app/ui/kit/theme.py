"""The Radix theme, the stylesheets, the font and the scripts: what every page loads, and nothing else."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.kit import tokens

STYLESHEETS = ["/tokens.css", "/look.css", "/desk.css", "/shell.css", "/print.css"]
FONT_FILE = "/fonts/atkinson-next-latin.woff2"
#: Before Reflex's own: it has to be there when those open a connection.
FIRST_SCRIPT = "/connection.js"
SCRIPTS = tuple(
    f"/{name}.js"
    for name in (
        "shell moved focus shortcuts combobox copy show password ticks emails anyway drafts press idle upload"
    ).split()
)


class SlimRadixThemes(rx.plugins.RadixThemesPlugin):
    """Radix Themes without the 26 colours and the layout utilities that we do not use.

    ``utilities.css`` (20 kB gzipped) holds the spacing, flex, grid, width and weight props.
    So: **no layout props on Radix components**; layout is a class of ``look.css``.
    """

    def get_stylesheet_paths(self, **_context: Any) -> tuple[str, ...]:
        """The parts of Radix's stylesheet that the product needs."""
        base = "@radix-ui/themes"
        colours = tuple(f"{base}/tokens/colors/{name}.css" for name in tokens.RADIX_COLOURS)
        return (f"{base}/tokens/base.css", *colours, f"{base}/components.css")


def radix_theme() -> rx.Component:
    """The theme around every page."""
    return rx.theme(
        accent_color=tokens.ACCENT_SLOT,
        gray_color=tokens.GRAY,
        radius="medium",
        panel_background="solid",
        has_background=False,
    )


def head_components() -> list[rx.Component]:
    """The font, early, and the scripts, late but the first. All from our own address, nothing inline."""
    font = rx.el.link(
        rel="preload",
        href=FONT_FILE,
        custom_attrs={"as": "font", "type": "font/woff2", "crossOrigin": "anonymous"},
    )
    return [rx.el.script(src=FIRST_SCRIPT), font, *[rx.el.script(src=path, defer=True) for path in SCRIPTS]]
