"""docs/decisions: every record says when, why, what else was possible, and what follows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("*.md"))


def test_records_are_numbered_without_a_gap():
    assert [file.name[:4] for file in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.name)
def test_a_record_is_whole(file):
    text = file.read_text(encoding="utf-8")
    number = int(file.name[:4])
    assert re.match(
        rf"# {number}\. .+\n\n- \*\*Date\*\*: \d{{4}}-\d\d-\d\d.*\n- \*\*Status\*\*: (accepted|replaced)", text
    )
    headings = " ".join(re.findall(r"^## (.+)$", text, re.M)).lower()
    order = [headings.find(word) for word in ("context", "decision", "alternatives considered", "consequences")]
    assert -1 not in order
    assert order == sorted(order)
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (FOLDER / target).exists(), target
    for name in re.findall(r"`((?:ui|web|api|cli|services|models|core)/[\w/]+\.py)`", text):
        assert (ROOT / "clinic_app" / name).exists(), name
