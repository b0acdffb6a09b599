"""The portal's whole life, as one patient and one receptionist live it, with a mail server and an SMS gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import counterparts, factories
from tests.browser.conftest import until
from tests.browser.serving import Server, bound
from tests.counterparts import Gateway, Mailbox, code_in, text_of

WRONG, RIGHT, NEWER = "amina@refused.example", "amina.odhiambo@example.org", "amina.new@example.org"
FIRST, SECOND, THIRD = "seven kettles under rain", "nine lanterns over snow", "two quiet ferries at dawn"


@pytest.fixture
def post() -> Iterator[Mailbox]:
    with counterparts.mail_server() as box:
        box.refuse = lambda address: "550 5.1.1 no such user" if address.endswith("@refused.example") else None
        yield box


@pytest.fixture
def texts() -> Iterator[Gateway]:
    with counterparts.sms_gateway() as gateway:
        yield gateway


@pytest.fixture
def at(post: Mailbox, texts: Gateway, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, **post.settings, CLINIC_SMS_URL=texts.url)
    made.prepare(people=False)
    with bound(made):
        factories.make_staff(username="receptionist")
    made.start()
    yield made
    made.stop()


def _letters(post: Mailbox, to: str, subject: str, number: int = 1) -> str:
    """The text of the newest letter with this subject, once there are so many of them."""

    def found() -> list[str]:
        return [text_of(one) for one in post.to(to) if subject in str(one["Subject"])]

    until(lambda: len(found()) >= number)
    return found()[-1]


def _save(page: Page, password: str) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("Confirm new password").fill(password)
    page.get_by_role("button", name="Save password").click()


def _close(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def _sees_own_record(page: Page) -> None:
    expect(page.get_by_role("heading", name="My record", level=1)).to_be_visible()
    expect(page.get_by_text("Hello, Amina.")).to_be_visible()


@pytest.mark.slow
def test_from_a_registration_without_email_to_access_that_is_turned_off(
    at: Server, post: Mailbox, texts: Gateway, open_page: Callable[..., Page]
) -> None:
    # registered without email
    desk = open_page("receptionist", "/patients/new", at=at)
    desk.locator("#press[data-line]:not([data-line=''])").wait_for(state="attached")
    desk.get_by_label("First name").fill("Amina")
    desk.get_by_label("Last name").fill("Odhiambo")
    desk.get_by_label("Phone", exact=True).fill("0712 445 901")
    desk.get_by_role("button", name="Register patient", exact=True).click()
    expect(desk.get_by_role("heading", name="Patient registered successfully")).to_be_visible()
    (number,) = at.sql("SELECT patient_id FROM patients")[0]
    desk.goto(f"/patients/{number}")

    # access by an address that is wrong: said, and put right in place
    access = desk.get_by_role("region", name="Portal Access")
    access.get_by_role("button", name="Create Portal Account").click()
    dialog = desk.get_by_role("dialog")
    dialog.get_by_label("Email").fill(WRONG)
    dialog.get_by_label("Phone Number (Optional)").fill("0712 445 901")
    dialog.get_by_role("button", name="Create Portal Account").click()
    expect(dialog.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    expect(dialog).to_contain_text(WRONG)
    _close(desk)
    expect(access.get_by_text("Failed", exact=True)).to_be_visible()
    until(lambda: len(texts.messages) == 1)
    assert texts.messages[0][0] == "254712445901"
    access.get_by_role("button", name="Correct address").first.click()
    dialog = desk.get_by_role("dialog", name="Correct address")
    dialog.get_by_label("Correct address").fill(RIGHT)
    expect(dialog.get_by_label("Change the portal username too")).to_be_checked()
    dialog.get_by_role("button", name="Save and send again").click()
    shown = desk.get_by_role("dialog", name="Username changed")
    expect(shown.get_by_role("textbox", name="Username")).to_have_value(RIGHT)
    _close(desk)

    # invited, and the link expires before it is used
    first = code_in(_letters(post, RIGHT, "Your sign-in at"))
    at.sql("UPDATE one_time_links SET expires_at = '2026-01-01 00:00:00'")
    at.sql("UPDATE accounts SET password_expires_at = '2026-01-01 00:00:00' WHERE role = 'PATIENT'")
    phone = open_page("", f"/patient-portal/activate#{first}", at=at, width=320, height=640)
    _save(phone, FIRST)
    expect(phone.get_by_role("heading", level=1)).to_contain_text("expired")

    # the desk sees it first, and reissues from the work list
    desk.goto("/patients/portal")
    row = desk.get_by_role("listitem").filter(has_text="Amina Odhiambo")
    row.get_by_role("button", name="Reissue").click()
    question = desk.get_by_role("dialog")
    question.get_by_role("button", name="Reset temporary password").click()
    expect(desk.get_by_role("dialog").get_by_role("textbox", name="Temporary Password")).to_be_visible()
    _close(desk)

    # activated
    second = code_in(_letters(post, RIGHT, "You have a new temporary password"))
    assert second != first
    phone.goto(f"/patient-portal/activate#{second}")
    _save(phone, FIRST)
    _sees_own_record(phone)
    _letters(post, RIGHT, "Your password was changed")

    # forgotten
    phone.get_by_role("button", name="Sign out", exact=True).click()
    phone.get_by_role("link", name="Forgot your password?").click()
    phone.get_by_label("Email", exact=True).fill(RIGHT)
    phone.get_by_role("button", name="Send the link").click()
    expect(phone.get_by_role("heading", name="Look at your messages")).to_be_visible()
    third = code_in(_letters(post, RIGHT, "Choose a new password"))
    phone.goto(f"/patient-portal/activate#{third}")
    _save(phone, SECOND)
    _sees_own_record(phone)

    # changed by its owner, who is told
    phone.get_by_role("link", name="Change password").click()
    phone.get_by_label("Current password").fill(SECOND)
    _save(phone, THIRD)
    _letters(post, RIGHT, "Your password was changed", 3)

    # another username: both addresses are told, the new one is invited, whoever was signed in is out
    desk.goto(f"/patients/{number}")
    desk.get_by_role("region", name="Portal Access").get_by_role("button", name="Change username").click()
    dialog = desk.get_by_role("dialog")
    dialog.get_by_label("New username").fill(NEWER)
    dialog.get_by_role("button", name="Change username").click()
    expect(desk.get_by_role("textbox", name="Username")).to_have_value(NEWER)
    password = desk.get_by_role("textbox", name="Temporary Password").input_value()
    _close(desk)
    for address in (RIGHT, NEWER):
        told = _letters(post, address, "You sign in with another email now")
        assert f"Until now: {RIGHT}\nFrom now on: {NEWER}" in told
    phone.goto("/patient-portal")
    expect(phone.get_by_role("heading", name="Patient portal sign in")).to_be_visible()
    fourth = code_in(_letters(post, NEWER, "Your sign-in at"))
    phone.goto(f"/patient-portal/activate#{fourth}")
    _save(phone, FIRST)
    _sees_own_record(phone)

    # turned off: out at once, and in no more
    desk.get_by_role("region", name="Portal Access").get_by_role("button", name="Turn off portal access").click()
    question = desk.get_by_role("dialog")
    question.get_by_label("The patient asked for it").check()
    question.get_by_role("button", name="Turn off portal access").click()
    expect(desk.get_by_text("Portal access is turned off", exact=True)).to_be_visible()
    expect(phone.get_by_role("heading", name="Patient portal sign in")).to_be_visible()
    phone.get_by_label("Email").fill(NEWER)
    phone.get_by_label("Password").fill(FIRST)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    expect(phone.get_by_text("Incorrect username or password.")).to_be_visible()

    # no message had a password in it, and nothing waits
    everything = "\n".join(text_of(one) for one in post.messages) + "\n".join(text for _, text in texts.messages)
    for secret in (password, FIRST, SECOND, THIRD):
        assert secret not in everything
    assert at.sql("SELECT count(*) FROM outbox_messages WHERE state = 'QUEUED'") == [(0,)]
