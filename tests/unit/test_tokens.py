"""The colours hold their contrast, and the stylesheet in ``assets/`` is the one the tokens write."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinic_app.ui.kit import tokens

ASSETS = Path(__file__).resolve().parents[2] / "assets"
MODES = ("light", "dark")
GROUNDS = ("c-page", "c-side", "c-panel", "c-raised", "c-sunken", "c-hover", "c-warm")
TONES = ("good", "warn", "bad", "idle")


def _colour(name: str, mode: str) -> str:
    """The ``#rrggbb`` behind a role: its own, or the step of the accent it points to."""
    value = tokens.ROLES[name][MODES.index(mode)]
    if value.startswith("var(--cyan-"):
        return tokens.PETROL[mode][int(value.removeprefix("var(--cyan-").rstrip(")")) - 1]
    return value


def _worst(name: str, mode: str, grounds: tuple[str, ...]) -> float:
    return min(tokens.contrast(_colour(name, mode), _colour(ground, mode)) for ground in grounds)


@pytest.mark.parametrize("mode", MODES)
def test_words_are_readable_on_every_ground(mode: str) -> None:
    assert _worst("c-text", mode, GROUNDS) >= 12
    assert _worst("c-text-2", mode, GROUNDS) >= 5.5
    assert _worst("c-placeholder", mode, ("c-panel", "c-sunken")) >= 4.5
    assert _worst("c-link", mode, GROUNDS) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_controls_and_focus_are_seen_on_every_ground(mode: str) -> None:
    assert _worst("c-control", mode, GROUNDS) >= 3
    assert _worst("c-focus", mode, GROUNDS) >= 3


@pytest.mark.parametrize("mode", MODES)
def test_solid_button_carries_its_words(mode: str) -> None:
    for step in (8, 9):  # at rest and hovered
        assert tokens.contrast(tokens.PETROL[mode][step], _colour("c-accent-ink", mode)) >= 4.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tone", TONES)
def test_a_tone_carries_its_words_and_shows_its_mark(tone: str, mode: str) -> None:
    ground = f"tone-{tone}-bg"
    assert _worst(f"tone-{tone}-text", mode, (ground,)) >= 7
    assert _worst(f"tone-{tone}-mark", mode, (ground,)) >= 3


@pytest.mark.parametrize("mode", MODES)
def test_messages_at_fields_are_readable(mode: str) -> None:
    assert _worst("tone-bad-mark", mode, ("c-panel",)) >= 4.5
    assert _worst("c-accent-text", mode, ("c-avatar", "c-accent-bg")) >= 4.5


def test_contrast_knows_the_ends() -> None:
    assert tokens.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert tokens.contrast("#777777", "#777777") == pytest.approx(1)


def test_the_stylesheet_is_the_one_the_tokens_write() -> None:
    for name, made in (("tokens.css", tokens.stylesheet()), ("tokens-dark.css", tokens.dark_stylesheet())):
        assert (ASSETS / name).read_text(encoding="utf-8") == made, "run: python -m clinic_app.ui.kit.tokens"


def test_the_dark_set_without_scripts_is_the_one_that_scripts_choose() -> None:
    by_script = tokens.stylesheet().partition(".dark, .dark-theme {")[2].partition("}")[0]
    assert by_script.split() == tokens.dark_stylesheet().partition(":root {")[2].partition("}")[0].split()


@pytest.mark.parametrize("name", ["look.css", "desk.css", "plain.css", "shell.css", "print.css"])
def test_the_look_uses_only_tokens_that_exist(name: str) -> None:
    known = set(tokens.names())
    used = tokens.used_names((ASSETS / name).read_text(encoding="utf-8"))
    assert used
    assert used <= known
