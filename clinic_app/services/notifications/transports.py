"""Handing one message over: email by SMTP, text messages by whatever gateway the clinic has."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import quote, urlsplit

import aiosmtplib
import apprise
import idna

from clinic_app.core.settings import get_settings

#: Seconds that a mail server or gateway may take for one step, and for all of a message.
STEP, WHOLE = 15, 40


class NotSent(Exception):
    """A message was not taken. ``reason`` is one of ``wording.REASONS``; ``final``: trying again would not help.

    ``at_rest``: nothing else can be sent this way just now either.
    """

    def __init__(self, reason: str, *, final: bool = False, at_rest: bool = False) -> None:
        self.reason, self.final, self.at_rest = reason, final, at_rest
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Email:
    """An email to be sent. ``message_id`` is the same at every try."""

    to: str
    message_id: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A text message to be sent, to a phone (E.164)."""

    to: str
    text: str = field(repr=False)


def _host() -> str:
    return urlsplit(get_settings().origin).hostname or "localhost"


def _travelling(address: str) -> str:
    """An address as every mail server knows it: a host in another script by its ASCII name (RFC 5891)."""
    name, _, host = address.rpartition("@")
    with contextlib.suppress(idna.IDNAError):
        return f"{name}@{idna.encode(host, uts46=True).decode()}"
    return address


def as_mime(mail: Email) -> EmailMessage:
    """The email as it travels: plain text and HTML, one fixed Message-ID, marked as written by a machine (RFC 3834)."""
    settings = get_settings()
    to = _travelling(mail.to)
    made = EmailMessage(policy=SMTP.clone(utf8=not to.isascii(), cte_type="7bit"))
    made["From"] = Address(settings.name, addr_spec=settings.mail_sender)
    made["To"] = Address(addr_spec=to)
    made["Subject"] = mail.subject
    made["Date"] = email.utils.format_datetime(mail.at)
    made["Message-ID"] = f"<{mail.message_id}@{_host()}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text)
    made.add_alternative(mail.html, subtype="html")
    return made


def _refused(code: int, reason: str) -> NotSent:
    """What a mail server's answer means (RFC 5321, 4.2.1): 4yz may change, 5yz stays."""
    return NotSent(reason if code >= 500 else "LATER", final=code >= 500)


@contextlib.asynccontextmanager
async def _server(plain: bool = True) -> AsyncIterator[aiosmtplib.SMTP]:
    """The clinic's mail server, signed in. What goes wrong with it in the block is a ``NotSent``.

    ``plain``: whether the address in question is one that every mail server knows.
    """
    settings = get_settings()
    server = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username or None,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        use_tls=settings.smtp_security == "tls",
        start_tls=settings.smtp_security == "starttls",
        local_hostname=_host(),
        timeout=STEP,
    )
    try:
        async with asyncio.timeout(WHOLE), server:
            yield server
    except aiosmtplib.SMTPAuthenticationError:
        raise NotSent("SIGN_IN_REFUSED", at_rest=True) from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise _refused(max(one.code for one in error.recipients), "ADDRESS_REFUSED") from None
    except aiosmtplib.SMTPSenderRefused as error:
        raise NotSent("SENDER_REFUSED", at_rest=error.code >= 500) from None
    except aiosmtplib.SMTPNotSupported:  # no STARTTLS, or a name in another script
        raise NotSent("NO_CONNECTION" if plain else "ADDRESS_REFUSED", final=not plain, at_rest=plain) from None
    except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError):
        raise NotSent("NO_CONNECTION", at_rest=True) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _refused(error.code, "MESSAGE_REFUSED") from None
    except (aiosmtplib.SMTPException, TimeoutError, OSError):
        raise NotSent("NO_CONNECTION", at_rest=True) from None


async def send_email(mail: Email) -> None:
    """Hand an email over to the clinic's mail server. Raises ``NotSent``."""
    to = _travelling(mail.to)
    async with _server(plain=to.isascii()) as server:
        await server.send_message(as_mime(mail), sender=get_settings().mail_sender, recipients=[to])


async def greet() -> None:
    """Only say hello to the mail server, and sign in. Raises ``NotSent``."""
    async with _server():
        pass


def gateway(url: str, phone: str) -> str:
    """The gateway's address for one phone: ``{phone}`` is the number in E.164, ``{digits}`` without the plus."""
    return url.replace("{phone}", quote(phone, safe="")).replace("{digits}", re.sub(r"\D", "", phone))


def _hand_over(message: TextMessage) -> bool:
    made = apprise.Apprise()
    return made.add(gateway(get_settings().sms_url.get_secret_value(), message.to)) and bool(
        made.notify(body=message.text, body_format=apprise.NotifyFormat.TEXT)
    )


async def send_text_message(message: TextMessage) -> None:
    """Hand a text message over to the gateway. Raises ``NotSent``: the library says yes or no, and not why."""
    try:
        async with asyncio.timeout(WHOLE):
            taken = await asyncio.to_thread(_hand_over, message)
    except TimeoutError:
        taken = False
    if not taken:
        raise NotSent("GATEWAY", at_rest=False)
