"""Links in real emails, opened on a phone: a password is set, or what to do instead is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from clinic_app.core.settings import get_settings
from clinic_app.services.portal import provisioning
from tests import factories
from tests.browser.conftest import Clinic, patient_sign_in, until
from tests.browser.serving import Server, bound
from tests.counterparts import Mailbox, mail_server, text_of

NEW = "seven kettles under rain"
ADDRESS = re.compile(r"http://localhost:\d+/patient-portal/activate#([0-9A-Z-]{14})")


def _link(post: Mailbox, address: str, number: int = 1) -> tuple[str, str]:
    """The link in the newest letter to ``address`` that has one, and its code, once there are so many."""

    def found() -> list[re.Match[str]]:
        return [one for letter in post.to(address) for one in ADDRESS.finditer(text_of(letter))]

    until(lambda: len(found()) >= number)
    return found()[-1][0], found()[-1][1]


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as post:
        yield post


@pytest.fixture(scope="module")
def mailing(server: Server, mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A clinic that sends emails."""
    made = Server(tmp_path_factory.mktemp("mailing"), **mailbox.settings)
    made.prepare()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def clinic(mailing: Server, settings) -> Iterator[Clinic]:
    """The same from behind."""
    settings.setenv("CLINIC_SMTP_HOST", "127.0.0.1")
    get_settings.cache_clear()
    with bound(mailing):
        yield Clinic(mailing)


@pytest.fixture
def open_phone(open_page, mailing: Server) -> Callable[..., Page]:
    return lambda path="", **options: open_page(path=path, width=320, height=640, at=mailing, **options)


def _save(page: Page, password: str) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("Confirm new password").fill(password)
    page.get_by_role("button", name="Save password").click()


def test_an_invitation_opened_on_a_phone_leads_to_the_own_record_once(open_phone, clinic, mailbox):
    clinic.patient(portal_email="invited@example.org", phone="")
    link, code = _link(mailbox, "invited@example.org")
    page = open_phone(link)
    expect(page.get_by_label("Code from the message")).to_have_value(code)
    expect(page.get_by_text("Filled in from your link.")).to_be_visible()
    assert page.url.endswith("/patient-portal/activate")  # nor is it in the history
    page.get_by_label("New password", exact=True).press_sequentially("seven")
    expect(page.locator("#strength")).to_contain_text("10 more characters needed.")
    _save(page, "seven")
    expect(page.locator("#error-summary")).to_contain_text("10 more characters needed.")
    expect(page.get_by_label("Code from the message")).to_have_value(code)
    _save(page, NEW)
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    assert clinic.sql("SELECT email_shown_at IS NOT NULL FROM accounts WHERE username = 'invited@example.org'") == [
        (1,)
    ]
    again = open_phone(link)
    _save(again, "nine lanterns over snow")
    expect(again.get_by_role("heading", name="This code was used already")).to_be_visible()
    again.get_by_role("link", name="Sign in").click()
    patient_sign_in(again, "invited@example.org", NEW)
    expect(again.get_by_role("heading", name="My record", level=1)).to_be_visible()


def test_a_forgotten_password_is_replaced_by_way_of_the_sign_in_page(open_phone, clinic, mailbox):
    clinic.with_own_password("forgets@example.org")
    sent = len(ADDRESS.findall(" ".join(map(text_of, mailbox.to("forgets@example.org")))))
    page = open_phone("/patient-portal/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_role("button", name="Send the link").click()
    expect(page.locator("#error-summary")).to_contain_text("Email is required.")
    page.get_by_label("Email", exact=True).fill("Forgets@Example.org")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Look at your messages")).to_be_visible()
    told = page.get_by_text("If there is a sign-in for forgets@example.org, we send a message with a link")
    expect(told).to_be_visible()
    until(lambda: clinic.sql("SELECT 1 FROM outbox_messages WHERE kind = 'FORGOT_PASSWORD' AND state = 'SENT'"))
    _, code = _link(mailbox, "forgets@example.org", sent + 1)
    page.get_by_role("link", name="Type the code from the message").click()
    page.get_by_label("Code from the message").fill(code.lower().replace("-", " "))
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_label("Confirm new password").fill(NEW)
    page.get_by_label("Confirm new password").press("Enter")  # saves; it does not suggest
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()


def test_a_link_that_has_expired_and_one_that_was_replaced_say_what_to_do(open_phone, clinic, mailbox):
    done = clinic.patient(portal_email="late@example.org", phone="")
    first, _ = _link(mailbox, "late@example.org")
    provisioning.reset_portal_password(clinic.desk, done.patient.id)
    second, code = _link(mailbox, "late@example.org", 2)
    page = open_phone(first)
    _save(page, NEW)
    expect(page.get_by_role("heading", name="There is a newer code")).to_be_visible()
    page.get_by_role("link", name="Type the newer code").click()
    page.goto(second)  # where the page stands already: only the fragment is new
    expect(page.get_by_label("Code from the message")).to_have_value(code)
    assert page.url.endswith("/patient-portal/activate")
    clinic.sql("UPDATE one_time_links SET expires_at = '2026-01-16 13:40:00.000000' WHERE ended_at IS NULL")
    _save(page, NEW)
    expect(page.get_by_role("heading", name="This code has expired")).to_be_visible()
    expect(page.get_by_text("It worked until 16 Jan 2026, 16:40.")).to_be_visible()
    page.get_by_role("link", name="Ask for a new message").click()
    expect(page.get_by_role("heading", name="Forgot your password?")).to_be_visible()


def test_without_scripts_the_code_is_typed(open_phone, clinic, mailbox):
    clinic.patient(portal_email="types@example.org", phone="")
    link, code = _link(mailbox, "types@example.org")
    page = open_phone(link, java_script_enabled=False)
    expect(page.get_by_label("Code from the message")).to_have_value("")
    expect(page.locator("#strength")).to_be_hidden()
    page.get_by_label("Code from the message").fill(code)
    page.get_by_role("button", name="Suggest a passphrase").click()
    offered = page.get_by_label("New password", exact=True).input_value()
    assert len(offered.split()) == 5
    expect(page.get_by_label("Code from the message")).to_have_value(code)
    expect(page.get_by_label("Confirm new password")).to_have_value(offered)
    page.get_by_label("Confirm new password").press("Enter")
    page.wait_for_url(re.compile("/patient-portal$"), wait_until="commit")


def test_the_short_address_of_a_text_message_carries_the_code_along(open_phone, clinic):
    clinic.patient(portal_email="short@example.org", phone="")
    code = factories.link_code("short@example.org")
    page = open_phone(f"/a#{code}")
    assert page.url.endswith("/patient-portal/activate")
    expect(page.get_by_label("Code from the message")).to_have_value(code)
    _save(page, NEW)
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
