"""QR codes: what a scanner reads is what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clinic_app.core import qr
from tests import scanner
from tests.conftest import ROOT


@pytest.mark.parametrize("border", [0, 2, 4])
@pytest.mark.parametrize(
    "text", ["1", "LMC000032", "https://desk.example.org/patient-portal/login", "otpauth://totp/ö"]
)
def test_a_scanner_reads_the_text(text, border):
    assert scanner.read(qr.picture(text, border=border)) == text


@pytest.mark.parametrize("text", ["1", "LMC32"])
def test_a_short_text_is_no_micro_qr_either(text):
    """A QR code has 21 modules or more a side, a Micro QR code 17 or fewer."""
    assert len(scanner.modules(qr.picture(text))) == 21


def test_there_is_one_way_to_make_one():
    sources = [path for path in (ROOT / "clinic_app").rglob("*.py") if path != Path(qr.__file__)]
    assert [path.name for path in sources if re.search(r"\bsegno\b", path.read_text(encoding="utf-8"))] == []
