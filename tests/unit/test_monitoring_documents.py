"""The alerts, the board and the page about them name figures, labels and commands that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from clinic_app.cli.app import app
from clinic_app.core import metrics
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import WATCHED

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "monitoring" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((DOCS / "monitoring" / "clinic-board.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "monitoring.md").read_text(encoding="utf-8")
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
]
#: What Prometheus itself adds.
ITS_OWN = {"le", "job"}


def _labels() -> dict[str, set[str]]:
    """Family → its labels."""
    found = {name: {label} - {""} for name, (_, label) in (metrics.HELD | metrics.CLINIC).items()}
    return found | {figure._name: set(figure._labelnames) for figure in metrics._FIGURES}


LABELS = _labels()


def _family(name: str) -> str:
    return name if name in LABELS else re.sub(r"_(total|bucket|sum|count)$", "", name)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_figure_and_label_that_is_asked_for_exists(expression):
    assert expression.count("(") == expression.count(")")
    asked = re.findall(r"\bclinic_[a-z_]+", expression)
    assert set(asked) <= metrics.names()
    labels = {label for name in asked for label in LABELS[_family(name)]} | ITS_OWN
    used = re.findall(r"([a-z]+)\s*(?:=~|!=|=)\s*\"", expression)
    used += [each.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for each in group.split(",")]
    assert set(used) <= labels


def test_what_is_asked_of_the_trail_is_an_action_told_from_the_start():
    asked = {
        action
        for expression in EXPRESSIONS
        for group in re.findall(r'action=~?"([^"]*)"', expression)
        for action in group.split("|")
    }
    assert asked
    assert {Action(one) for one in asked} <= set(WATCHED)


def test_every_alert_says_what_it_is_and_what_to_do():
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS) >= 10
    commands = set(get_command(app).commands)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "action"}
        asked = set(re.findall(r"`clinic ([a-z]+)", rule["annotations"]["action"]))
        assert asked <= commands
        used = set(re.findall(r"\$labels\.([a-z]+)", str(rule["annotations"])))
        named = {label for name in re.findall(r"\bclinic_[a-z_]+", rule["expr"]) for label in LABELS[_family(name)]}
        assert used <= named


def test_an_alert_leads_to_a_heading_there_is():
    operations = (DOCS / "operations.md").read_text(encoding="utf-8")
    led = re.findall(r"docs/operations\.md, ([A-Z][^.]*)\.", str([rule["annotations"]["action"] for rule in ALERTS]))
    assert led
    for heading in led:
        assert re.search(rf"^#+ {re.escape(heading)}$", operations, re.M), heading


def test_the_page_lists_every_figure_with_its_labels():
    rows = re.findall(r"^\| `(clinic_[a-z_]+)` \|([^|]*)\|", PAGE, re.M)
    listed = {_family(name): set(re.findall(r"`([a-z]+)`", labels)) for name, labels in rows}
    assert listed == LABELS
    assert {name for name, _ in rows} <= metrics.names() | {figure._name for figure in metrics._FIGURES}


def test_every_figure_is_on_the_board_or_in_an_alert():
    used = {_family(name) for one in EXPRESSIONS for name in re.findall(r"\bclinic_[a-z_]+", one)}
    assert used == set(LABELS)


def test_the_board_can_be_imported():
    assert {panel["id"] for panel in BOARD["panels"]} == set(range(1, len(BOARD["panels"]) + 1))
    assert BOARD["templating"]["list"][0]["type"] == "datasource"
    for panel in BOARD["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["targets"]


def test_the_page_names_settings_that_exist():
    from clinic_app.core.settings import Settings

    assert set(re.findall(r"\bCLINIC_[A-Z_]+\b", PAGE)) <= {f"CLINIC_{name.upper()}" for name in Settings.model_fields}
