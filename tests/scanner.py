"""A scanner: reads the QR code in a picture of ours."""

from __future__ import annotations

import re
from urllib.parse import unquote

import zxingcpp

_PIXELS, _QUIET = 8, 4  # of one module; modules of white around the code, as on paper


def modules(picture: str) -> list[list[bool]]:
    """The dark modules of a ``data:`` address of an SVG, row by row, with the border that it has."""
    svg = unquote(picture.partition(",")[2])
    side = int(re.findall(r"viewBox='0 0 (\d+) \1'", svg)[0])
    drawn = re.findall(r"stroke='#111' d='([^']+)'", svg)[0]
    dark = [[False] * side for _ in range(side)]
    x, y = 0, 0.0
    for command, given in re.findall(r"([Mmh])(-?[\d.]+(?: -?[\d.]+)?)", drawn):
        values = [float(value) for value in given.split()]
        if command == "h":
            for step in range(int(values[0])):
                dark[int(y)][x + step] = True
            x += int(values[0])
        else:
            x, y = (0, 0.0) if command == "M" else (x, y)
            x, y = x + int(values[0]), y + values[1]
    return dark


def read(picture: str) -> str:
    """What a scanner types for it; empty for what it cannot read."""
    dark = modules(picture)
    side = (len(dark) + 2 * _QUIET) * _PIXELS
    pixels = bytearray(b"\xff" * side * side)
    for y, row in enumerate(dark):
        for x in (place for place, is_dark in enumerate(row) if is_dark):
            for line in range((y + _QUIET) * _PIXELS, (y + _QUIET + 1) * _PIXELS):
                start = line * side + (x + _QUIET) * _PIXELS
                pixels[start : start + _PIXELS] = bytes(_PIXELS)
    image = memoryview(pixels).cast("B", shape=[side, side])
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)  # no Micro QR
    return found[0].text if found else ""
