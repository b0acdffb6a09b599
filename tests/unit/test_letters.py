"""What messages say: as drawn, one text message long, every value escaped, nothing medical, never a password."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser

import pytest
import time_machine

from clinic_app.services.notifications import letters, transports, wording
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.notifications.letters import Known

NOW = dt.datetime(2026, 6, 16, 7, 31, tzinfo=dt.UTC)  # 10:31 at the clinic
UNTIL = dt.datetime(2026, 6, 18, 13, 40, tzinfo=dt.UTC)
CODE = "7KQM-4RXT-92WD"
FACTS = {"device": "Chrome on Android", "before": "amina.odhiambo@example.org", "after": "amina.new@example.org"}
NO_SMS = {Kind.FORGOT_PASSWORD, Kind.CONFIRM_EMAIL, Kind.CONFIRM_REGISTRATION}
WITH_LINK = {Kind.INVITATION, Kind.REMINDER, Kind.PASSWORD_RESET, *NO_SMS}


@pytest.fixture(autouse=True)
def _clinic(settings):
    settings.setenv("CLINIC_PUBLIC_URL", "https://portal.lakeside.example")
    with time_machine.travel(NOW, tick=False):
        yield


def _known(**changes) -> Known:
    given = {"first_name": "Amina", "username": "amina.odhiambo@example.org", "at": NOW, "code": CODE, "until": UNTIL}
    return Known(**{**given, "facts": FACTS, **changes})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            Kind.INVITATION,
            "Lakeside Medical Centre: your sign-in is amina.odhiambo@example.org. Set your password by 18 Jun 16:40: "
            "https://portal.lakeside.example/a#7KQM-4RXT-92WD",
        ),
        (
            Kind.REMINDER,
            "Lakeside Medical Centre: 2 days left to set your password: "
            "https://portal.lakeside.example/a#7KQM-4RXT-92WD Until 18 Jun 16:40. Help: 0207123456",
        ),
        (
            Kind.USERNAME_CHANGED,
            "Lakeside Medical Centre: the email you sign in with was changed today 10:31. Not you? "
            "Call 0207123456 at once. We never ask for your password.",
        ),
        (
            Kind.PASSWORD_CHANGED,
            "Lakeside Medical Centre: your password was changed today 10:31. Not you? Call 0207123456 at once. "
            "We never ask for your password.",
        ),
        (
            Kind.PASSWORD_RESET,
            "Lakeside Medical Centre: the reception gave you a new temporary password today 10:31. It works until "
            "18 Jun 16:40. Not you? Call 0207123456.",
        ),
    ],
)
def test_text_messages_are_as_drawn(kind, words):
    known = _known(code="") if kind is Kind.PASSWORD_RESET else _known()
    assert letters.text_message(kind, known) == words


def test_the_text_message_of_a_reset_has_the_link_where_there_is_one():
    assert letters.text_message(Kind.PASSWORD_RESET, _known()) == (
        "Lakeside Medical Centre: new temporary password today 10:31. Or set your own by 18 Jun 16:40: "
        "https://portal.lakeside.example/a#7KQM-4RXT-92WD Help: 0207123456"
    )


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in NO_SMS])
def test_a_text_message_is_one(kind):
    assert len(letters.text_message(kind, _known())) <= 160


@pytest.mark.parametrize(("letters_more", "helps"), [(0, True), (10, False), (20, False), (230, False)])
def test_an_invitation_names_who_signs_in_and_where(letters_more, helps):
    """In one text message as long as there is room; the telephone goes first, the username never."""
    known = _known(username=f"amina{'a' * letters_more}@example.org")
    told = letters.text_message(Kind.INVITATION, known)
    assert (known.username in told, CODE in told, "Help" in told) == (True, True, helps)
    assert (len(told) <= 160) == (letters_more < 100)
    text = letters.as_text(letters.letter(Kind.INVITATION, known), known)
    assert f"Your username: {known.username}\n" in text
    assert "\nLater, sign in at: portal.lakeside.example/patient-portal/login\n" in text


@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.REMINDER])
def test_a_long_name_of_the_clinic_takes_nothing_from_the_link(settings, kind):
    from clinic_app.core.settings import get_settings

    settings.setenv("CLINIC_NAME", "N" * 80)
    get_settings.cache_clear()
    told = letters.text_message(kind, _known())
    assert f"https://portal.lakeside.example/a#{CODE}" in told
    assert "Help" not in told


@pytest.mark.parametrize("kind", sorted(NO_SMS))
def test_some_go_by_email_alone(kind):
    with pytest.raises(KeyError):
        letters.text_message(kind, _known())


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_its_letter_and_the_link_where_it_has_one(kind):
    written = letters.letter(kind, _known())
    text, html = letters.as_text(written, _known()), letters.as_html(written, _known())
    assert (f"#{CODE}" in text, f"#{CODE}" in html) == (kind in WITH_LINK, kind in WITH_LINK)
    for part in (text, html):
        assert "Amina" in part
        assert "020 712 3456" in part
        assert "We never ask for your password, by phone, SMS or email." in part
    assert max(map(len, text.splitlines())) <= 80
    assert "Amina" not in written.subject
    assert "@" not in written.subject


@pytest.mark.parametrize("kind", Kind)
def test_nothing_in_a_letter_is_more_than_a_name(kind):
    """What somebody typed cannot make an element, an attribute or another line of the message."""
    hostile = '"><img src=x onerror=alert(1)>{{ 7*7 }}'
    known = _known(first_name=hostile, username=hostile, facts={"before": hostile, "after": hostile, "device": hostile})
    html = letters.as_html(letters.letter(kind, known), known)
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            assert not [name for name, _ in attrs if name.startswith("on")]

    Tags().feed(html)
    assert "img" not in seen
    assert "49" not in re.sub(r"#\w+|style=\"[^\"]*\"", "", html)


def test_a_reset_without_a_link_has_none():
    told = letters.as_text(letters.letter(Kind.PASSWORD_RESET, _known(code="", until=None)), _known())
    assert "http" not in told
    assert "Code" not in told


def test_what_happened_on_another_day_has_its_day():
    told = letters.text_message(Kind.PASSWORD_CHANGED, _known(at=NOW - dt.timedelta(days=1)))
    assert "changed on 15 June 10:31." in told


@pytest.mark.parametrize("first_name", ["李小龍", "مريم", "A" * 100])
def test_an_email_travels_whole_in_any_script(first_name):
    known = _known(first_name=first_name)
    written = letters.letter(Kind.INVITATION, known)
    mail = transports.Email(
        "amina@example.org",
        "ab" * 16,
        written.subject,
        letters.as_text(written, known),
        letters.as_html(written, known),
        NOW,
    )
    sent = transports.as_mime(mail).as_bytes()
    assert max(map(len, sent.split(b"\r\n"))) <= 998  # RFC 5322, 2.1.1
    assert sent.isascii()


def test_every_reason_state_and_kind_has_words():
    assert set(wording.KINDS) == set(Kind)
    assert all(words and not words.endswith(".") for words in wording.REASONS.values())
