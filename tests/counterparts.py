"""What stands at the other end: a mail server and an SMS gateway, real ones, on ports of their own."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from clinic_app.core.settings import get_settings


@dataclass
class Mailbox:
    """What a mail server was given, and what it answers: ``refuse`` says so by recipient, or None."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    refuse: Callable[[str], str | None] = lambda _: None
    after_data: Callable[[], str | None] = lambda: None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (answer := self.refuse(address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return self.after_data() or "250 OK"

    @property
    def settings(self) -> dict[str, str]:
        """Those that have a clinic send its emails there."""
        return {
            "CLINIC_SMTP_HOST": "127.0.0.1",
            "CLINIC_SMTP_PORT": str(self.port),
            "CLINIC_SMTP_SECURITY": "none",
        }

    def to(self, address: str) -> list[EmailMessage]:
        """The messages to one address, in the order they came."""
        return [one for one in self.messages if str(one["To"]) == address]


def text_of(message: EmailMessage) -> str:
    """Its plain text, with the line ends of this machine."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    """Its HTML."""
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def code_in(text: str) -> str:
    """The code of the link in a message."""
    found = re.search(r"#([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})", text)
    assert found, text
    return found[1]


@contextlib.contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A mail server on a port of its own."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        box = Mailbox(free.getsockname()[1])
    controller = Controller(box, hostname="127.0.0.1", port=box.port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def use_mail_server(settings: pytest.MonkeyPatch, port: int) -> None:
    """Have the clinic send emails there."""
    for name, value in Mailbox(port).settings.items():
        settings.setenv(name, value)
    get_settings.cache_clear()


@dataclass
class Gateway:
    """What an SMS gateway was given, and what it answers."""

    port: int = 0
    messages: list[tuple[str, str]] = field(default_factory=list)  # number, text
    status: int = 200

    @property
    def url(self) -> str:
        """The setting that sends there."""
        return f"json://127.0.0.1:{self.port}/send/{{digits}}"


def use_gateway(settings: pytest.MonkeyPatch, url: str) -> None:
    """Have the clinic send text messages there."""
    settings.setenv("CLINIC_SMS_URL", url)
    get_settings.cache_clear()


@contextlib.contextmanager
def sms_gateway() -> Iterator[Gateway]:
    """An HTTP server that takes text messages."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            gateway.messages.append((self.path.rpartition("/")[2], body["message"]))
            self.send_response(gateway.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gateway.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
