"""A line that is slow, or loses what is sent: the page's own WebSocket, since a browser's throttling spares sockets."""

from __future__ import annotations

from playwright.sync_api import Page

_WRAPPER = """
window.line = {delay: 0, deaf: false, mute: false};
const Native = window.WebSocket;
const late = (hear) => (event) => {
  if (window.line.deaf) return;
  if (window.line.delay) setTimeout(() => hear(event), window.line.delay); else hear(event);
};
window.WebSocket = class extends Native {
  send(data) { if (!window.line.mute) super.send(data); }
  addEventListener(type, hear, options) {
    super.addEventListener(type, type === "message" ? late(hear.bind(this)) : hear, options);
  }
  set onmessage(hear) { super.onmessage = late(hear); }
};
"""


def on_a_slow_line(page: Page) -> Page:
    """Before the page is opened: ``set_line`` works on it from then on."""
    page.add_init_script(_WRAPPER)
    return page


def set_line(page: Page, *, delay: int = 0, deaf: bool = False, mute: bool = False) -> None:
    """What the server sends comes ``delay`` ms late, or never (``deaf``); ``mute``: what the page sends is lost."""
    page.evaluate("given => Object.assign(window.line, given)", {"delay": delay, "deaf": deaf, "mute": mute})
