"""Design tokens: the one place where a colour, a size or a shadow has a value.

Everything else (``assets/look.css``, the components) uses the names. ``stylesheet()`` turns the
tokens into CSS custom properties; ``python -m clinic_app.ui.kit.tokens`` writes them to ``assets/tokens.css`` and the
dark ones to ``assets/tokens-dark.css``.

Two layers:

* **scales** are raw material: the accent ``PETROL`` (12 steps, same meaning per step as Radix
  Colors), Radix's own ``sand``, ``green``, ``amber`` and ``red``, and the type and space scales.
* **roles** say what a value is for (``--c-text``, ``--c-line``, ``--tone-good-bg``). Components
  use roles only; so light, dark and print are three sets of roles and nothing else changes.
"""

from __future__ import annotations

import re
from pathlib import Path

# --- scales -----------------------------------------------------------------------------------

#: Accent. OKLCH hue 216, between teal and blue: calm, clinical without being hospital blue, and
#: far enough from the green of "Active". Step 9 carries white text at 7.4:1 (light) and ink at
#: 7.9:1 (dark); Radix's own teal reaches 3.1:1 there.
PETROL = {
    "light": (
        "#fafcfd",
        "#f2f9fb",
        "#e3f3f7",
        "#d1eaf1",
        "#c0e0e9",
        "#aed4df",
        "#95c4d0",
        "#6ba9ba",
        "#035e6f",
        "#00505f",
        "#005d6e",
        "#063039",
    ),
    "dark": (
        "#0b1113",
        "#10191b",
        "#12262b",
        "#12323a",
        "#163d47",
        "#1d4b56",
        "#255c69",
        "#307687",
        "#66c0d6",
        "#7dcfe4",
        "#84d2e6",
        "#cbedf7",
    ),
}
PETROL_INK = {"light": "#ffffff", "dark": "#06222b"}  # text on step 9

#: The Radix slot the accent sits in. Radix maps ``data-accent-color="cyan"`` to ``--cyan-*``;
#: we never load Radix's cyan, so the slot is ours and every Radix component follows.
ACCENT_SLOT = "cyan"
GRAY = "sand"
#: Radix colour files that are loaded. Each costs 1.1 kB gzipped, all thirty cost 29 kB.
RADIX_COLOURS = (GRAY, "green", "amber", "red")

#: Type scale in px: (size, line height). Nothing between, nothing below 12.
TYPE = {
    "1": (12, 16),  # table headings, badges, meta
    "2": (14, 20),  # the desk's body text
    "3": (16, 24),  # the portal's body text; every input on a phone (no zoom on focus)
    "4": (18, 26),  # section headings; lead text of the portal
    "5": (20, 28),  # dialog titles, portal card headings
    "6": (24, 30),  # page heading at the desk
    "7": (28, 34),  # page heading in the portal, big numbers
}
WEIGHT = {"normal": 400, "medium": 550, "bold": 650}

#: Space scale in px, the same numbers as Radix's space-1 … space-9.
SPACE = {"1": 4, "2": 8, "3": 12, "4": 16, "5": 24, "6": 32, "7": 40, "8": 48, "9": 64}

#: Corner radii: control < card < dialog. ``full`` for avatars and badges.
RADIUS = {"control": "7px", "card": "12px", "dialog": "16px", "full": "999px"}

#: Heights of things one clicks or types in: they grow with the text.
CONTROL = {"sm": "2rem", "md": "2.5rem", "lg": "3rem"}

#: Widths that decide the layout.
MEASURE = {"side": "min(15.25rem, 30vw)", "page": "1120px", "form": "680px", "portal": "640px", "card": "400px"}

FONT = (
    '"Atkinson Next", "Segoe UI Variable Text", "Segoe UI", system-ui, -apple-system, '
    '"Noto Sans", "Helvetica Neue", Arial, sans-serif'
)

# --- roles ------------------------------------------------------------------------------------

#: role -> (light, dark)
ROLES: dict[str, tuple[str, str]] = {
    # surfaces, from the back to the front
    "c-page": ("#f8f7f4", "#121211"),
    "c-side": ("#f1efea", "#181817"),
    "c-panel": ("#ffffff", "#1c1c1a"),
    "c-raised": ("#ffffff", "#242422"),
    "c-sunken": ("#f6f5f1", "#171716"),
    "c-hover": ("#f4f2ed", "#262624"),
    "c-warm": ("#fbf5ea", "#1f1b14"),
    "c-overlay": ("rgb(28 26 20 / .46)", "rgb(0 0 0 / .66)"),
    "c-here": ("#ffffff", "#2a2a28"),
    "c-avatar": ("var(--cyan-3)", "var(--cyan-5)"),
    # lines: decoration, separation, and the outline of a control (3:1 on every surface)
    "c-line": ("#e7e4dd", "#2e2e2b"),
    "c-line-2": ("#d5d2c9", "#42413d"),
    "c-control": ("#86847b", "#7f7d75"),
    # text
    "c-text": ("#1f1e1a", "#eeeeec"),
    "c-text-2": ("#5c5a53", "#b9b7b0"),
    "c-placeholder": ("#6f6d65", "#96948c"),
    # accent
    "c-accent": ("var(--cyan-9)", "var(--cyan-9)"),
    "c-accent-ink": (PETROL_INK["light"], PETROL_INK["dark"]),
    "c-link": ("var(--cyan-11)", "var(--cyan-11)"),
    "c-accent-bg": ("var(--cyan-3)", "var(--cyan-3)"),
    "c-accent-line": ("var(--cyan-6)", "var(--cyan-6)"),
    "c-accent-text": ("var(--cyan-12)", "var(--cyan-12)"),
    "c-brand": ("#035e6f", "#0d3942"),
    "c-focus": ("#035e6f", "#8fdcf0"),
    # tones: a background, a line, a mark (dot or icon, 3:1) and a text (7:1 on its background)
    "tone-good-bg": ("#e6f4ea", "#14291e"),
    "tone-good-line": ("#b9dfc6", "#24553b"),
    "tone-good-mark": ("#23804f", "#4cc38a"),
    "tone-good-text": ("#17402b", "#b1f1cb"),
    "tone-warn-bg": ("#fdf3d8", "#2c210d"),
    "tone-warn-line": ("#ecd294", "#5c4516"),
    "tone-warn-mark": ("#9a6200", "#ffca16"),
    "tone-warn-text": ("#4f3516", "#ffe7b3"),
    "tone-bad-bg": ("#fdeceb", "#35161a"),
    "tone-bad-line": ("#f3c3c1", "#6f2730"),
    "tone-bad-mark": ("#c4272d", "#ff9592"),
    "tone-bad-text": ("#66171f", "#ffd1d9"),
    "tone-idle-bg": ("#efede8", "#2a2a28"),
    "tone-idle-line": ("#d9d6ce", "#42413d"),
    "tone-idle-mark": ("#75736b", "#98968f"),
    "tone-idle-text": ("#45433d", "#d0cec8"),
    # depth: one shadow for cards that float over the page, one for dialogs and menus
    "shadow-card": ("0 1px 2px rgb(40 36 24 / .05)", "none"),
    "shadow-pop": (
        "0 1px 2px rgb(40 36 24 / .08), 0 12px 32px -8px rgb(40 36 24 / .22)",
        "0 0 0 1px #42413d, 0 16px 40px rgb(0 0 0 / .6)",
    ),
}

# --- colour arithmetic ------------------------------------------------------------------------


def _rgb(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[return-value]


def _luminance(colour: str) -> float:
    parts = [value / 255 for value in _rgb(colour)]
    lin = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio of two ``#rrggbb`` colours."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _alpha(colour: str, background: str) -> str:
    """The most transparent colour that looks like ``colour`` on ``background``."""
    target, base = _rgb(colour), _rgb(background)
    need = [(t - b) / ((255 - b) if t > b else -b) if t != b else 0.0 for t, b in zip(target, base, strict=True)]
    a = max(max(need), 0.004)
    solid = [min(255, max(0, round((t - b * (1 - a)) / a))) for t, b in zip(target, base, strict=True)]
    return "#" + "".join(f"{v:02x}" for v in (*solid, round(a * 255)))


# --- the stylesheet ---------------------------------------------------------------------------


def _accent_css(mode: str) -> list[str]:
    """The accent in Radix's slot: 12 solid steps, 12 transparent ones, and the functional ones."""
    slot, background = ACCENT_SLOT, "#ffffff" if mode == "light" else "#121211"
    steps = PETROL[mode]
    css = [f"--{slot}-{n}: {value};" for n, value in enumerate(steps, 1)]
    css += [f"--{slot}-a{n}: {_alpha(value, background)};" for n, value in enumerate(steps, 1)]
    css += [
        f"--{slot}-contrast: {PETROL_INK[mode]};",
        f"--{slot}-surface: {steps[1]}cc;",
        f"--{slot}-indicator: {steps[8]};",
        f"--{slot}-track: {steps[8]};",
    ]
    return css


def _scale_css() -> list[str]:
    css = [f"--font: {FONT};"]
    for name, (size, line) in TYPE.items():
        css += [f"--t{name}: {size / 16:g}rem;", f"--l{name}: {line / 16:g}rem;"]
    css += [f"--w-{name}: {value};" for name, value in WEIGHT.items()]
    css += [f"--s{name}: {value / 16:g}rem;" for name, value in SPACE.items()]
    css += [f"--r-{name}: {value};" for name, value in RADIUS.items()]
    css += [f"--h-{name}: {value};" for name, value in CONTROL.items()]
    css += [f"--m-{name}: {value};" for name, value in MEASURE.items()]
    return css


def _block(selector: str, lines: list[str]) -> str:
    return selector + " {\n  " + "\n  ".join(lines) + "\n}\n"


def stylesheet() -> str:
    """All tokens as CSS custom properties, light first, dark under Radix's ``.dark``."""
    light = [f"--{name}: {pair[0]};" for name, pair in ROLES.items()]
    dark = [f"--{name}: {pair[1]};" for name, pair in ROLES.items()]
    return "\n".join(
        (
            "/* Written by clinic_app/ui/kit/tokens.py. Do not edit. */",
            _block(":root", _scale_css()),
            _block(":root, .light, .light-theme", _accent_css("light") + light),
            # Paper is white: dark is for screens only, so that print is always the light set.
            "@media screen {\n"
            + _block(".dark, .dark-theme", [*_accent_css("dark"), *dark, "color-scheme: dark;"])
            + "}\n",
        )
    )


def dark_stylesheet() -> str:
    """The dark set for pages that no script has told light from dark: linked for those whose system is dark."""
    dark = [f"--{name}: {pair[1]};" for name, pair in ROLES.items()]
    block = _block(":root", [*_accent_css("dark"), *dark, "color-scheme: dark;"])
    return f"/* Written by clinic_app/ui/kit/tokens.py. Do not edit. */\n{block}"


def names() -> list[str]:
    """The names of all custom properties that ``stylesheet()`` defines, without the two dashes."""
    return re.findall(r"^\s*--([\w-]+):", stylesheet(), re.M)


def used_names(css: str) -> set[str]:
    """The custom properties that ``css`` reads and does not define itself, but for Radix's own."""
    own = set(re.findall(r"--([\w-]+):", css))
    return set(re.findall(r"var\(--([\w-]+)", css)) - own


if __name__ == "__main__":
    Path("assets/tokens.css").write_text(stylesheet(), encoding="utf-8")
    Path("assets/tokens-dark.css").write_text(dark_stylesheet(), encoding="utf-8")
