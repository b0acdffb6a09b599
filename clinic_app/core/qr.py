"""QR codes as pictures."""

from __future__ import annotations

import segno


def picture(text: str, *, border: int = 0) -> str:
    """``text`` as a QR code, a ``data:`` address of an SVG, with ``border`` modules of white around it.

    Never Micro QR, which ``segno.make`` would choose for a short text: phones cannot read it.
    """
    code = segno.make_qr(text, error="m")
    return code.svg_data_uri(border=border, dark="#111", light="#fff", omitsize=True)
