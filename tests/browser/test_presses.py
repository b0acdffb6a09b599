"""A press counts once and its outcome is shown: on a slow line, without one, and while the server is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from clinic_app.core import db
from clinic_app.models.accounts import Account
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from tests import factories
from tests.browser.conftest import PATIENCE_MS, Watch, begin_edit, until
from tests.browser.serving import Server, bound
from tests.browser.slow_line import on_a_slow_line, set_line

WAITS = "Waits for the line. It happens once, or you are told that it did not."
NO_CONNECTION = "No connection. What you typed is kept."
TOO_MUCH = "Too much at once. Wait a moment. What you typed is kept."
#: Before a page's own scripts: its lines to the server, so that a test can say on them what no page says.
KEPT_LINES = """
window.linesOfThisPage = [];
window.WebSocket = class extends WebSocket { constructor(...given) { super(...given); linesOfThisPage.push(this); } };
"""
FLOOD = """() => {
  const line = linesOfThisPage.at(-1);
  for (let sent = 0; sent < 700; sent++) line.ask('42/_event,["nothing",{}]');
}"""
AT_ONCE_MS = 1_000  # with other tests on the same cores; the next task of an idle page
REGISTERED = "Patient registered successfully"


@pytest.fixture(scope="module")
def shaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A clinic whose server may be killed."""
    made = Server(tmp_path_factory.mktemp("shaky"))
    made.prepare(people=False)
    with bound(made):
        factories.make_staff(username="receptionist")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def up(shaky: Server) -> Iterator[Server]:
    """It runs when a test begins."""
    if shaky._process is None:
        shaky.start()
    yield shaky
    if shaky._process is None:
        shaky.start()


@pytest.fixture
def form(up: Server, open_page: Callable[..., Page], watch: Watch) -> Page:
    """A filled registration with portal access, on a line that can be disturbed."""
    for noise in ("WebSocket connection", "net::ERR", "Failed to load resource"):
        watch.expect(noise)
    page = on_a_slow_line(open_page("receptionist", at=up))
    page.goto("/patients/new")
    fill(page)
    return page


def fill(page: Page, email: str = "") -> None:
    """What a receptionist types."""
    page.locator("#press[data-line]:not([data-line=''])").wait_for(state="attached")
    page.get_by_label("First name").fill("Slow")
    page.get_by_label("Last name").fill("Line")
    page.get_by_label("Address").fill("12 Lake Road\nKisumu")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_label("Portal email").fill(email or f"slow{time.monotonic_ns()}@example.org")


def press(page: Page) -> None:
    page.get_by_role("button", name="Register patient", exact=True).click()


def looks_busy(page: Page) -> Locator:
    """At once: long before any answer could come."""
    busy = page.get_by_role("button", name="Registering...", exact=True)
    expect(busy).to_be_visible(timeout=AT_ONCE_MS)
    return busy


def patients(server: Server) -> int:
    return server.sql("SELECT count(*) FROM patients")[0][0]


def shown_password(page: Page) -> str:
    return page.locator("#cred-password").input_value()


def test_a_press_is_answered_at_once_and_a_second_one_does_nothing(form: Page, up: Server) -> None:
    before = patients(up)
    set_line(form, delay=4000)
    press(form)
    busy = looks_busy(form)
    busy.click(force=True)
    form.get_by_label("First name").press("Enter")
    form.get_by_label("First name").press("x")
    assert form.get_by_label("First name").input_value() == "Slow"
    expect(form.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    assert patients(up) == before + 1


def test_what_is_pressed_while_the_server_is_away_happens_once_and_is_shown(form: Page, up: Server) -> None:
    before = patients(up)
    up.kill()
    expect(form.get_by_text(NO_CONNECTION)).to_be_visible()
    press(form)
    looks_busy(form)
    expect(form.get_by_text(WAITS)).to_be_visible()
    expect(form.get_by_label("First name")).to_have_value("Slow")
    up.start()
    expect(form.get_by_role("heading", name="Portal Account Created!")).to_be_visible(timeout=2 * PATIENCE_MS)
    assert patients(up) == before + 1
    username = form.locator("#cred-username").input_value()
    with bound(up):
        assert sign_in(PATIENT_DOOR, username, shown_password(form))


def test_a_registration_whose_answer_was_lost_is_shown_with_a_fresh_password(form: Page, up: Server) -> None:
    before = patients(up)
    set_line(form, deaf=True)
    press(form)
    until(lambda: patients(up) == before + 1)
    up.kill()
    set_line(form)
    up.start()
    expect(form.get_by_role("heading", name="Portal Account Created!")).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(form.get_by_text("The line was away when you pressed Register patient. It happened once")).to_be_visible()
    assert patients(up) == before + 1
    with bound(up):
        assert sign_in(PATIENT_DOOR, form.locator("#cred-username").input_value(), shown_password(form))
    form.get_by_role("button", name="Close").click()
    expect(form.get_by_role("heading", name=f"{REGISTERED} with portal account")).to_be_visible()
    until(lambda: up.sql("SELECT seen_at FROM intents ORDER BY done_at DESC LIMIT 1") != [(None,)])


def test_a_registration_that_was_not_sent_says_so_and_keeps_what_was_typed(form: Page, up: Server) -> None:
    before = patients(up)
    set_line(form, mute=True)
    press(form)
    expect(form.get_by_role("button", name="Registering...", exact=True)).to_be_visible()
    up.kill()
    set_line(form)
    up.start()
    expect(form.get_by_text("The registration was not sent.")).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(form.get_by_label("First name")).to_have_value("Slow")
    expect(form.get_by_label("Address")).to_have_value("12 Lake Road\nKisumu")
    expect(form.get_by_label("Create Patient Portal Login")).to_be_checked()
    assert patients(up) == before
    press(form)
    expect(form.get_by_role("heading", name="Portal Account Created!")).to_be_visible()
    assert patients(up) == before + 1


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_ends_between_press_and_answer(
    own_database: sa.Engine, tmp_path: Path, open_page: Callable[..., Page], watch: Watch, end: str
) -> None:
    """Stopped in good order or killed, after the work was done or in the middle of it, on both databases."""
    for noise in ("WebSocket connection", "net::ERR", "Failed to load resource"):
        watch.expect(noise)
    server = Server(tmp_path, CLINIC_DATABASE_URL=own_database.url.render_as_string(hide_password=False))
    server.build()  # the database is there
    factories.make_staff(username="receptionist")
    server.start()
    try:
        page = on_a_slow_line(open_page("receptionist", at=server))
        for round_ in (1, 2):
            page.goto("/patients/new")
            fill(page)
            set_line(page, deaf=round_ == 1)
            press(page)
            if round_ == 1:
                until(lambda: patients(server) == 1)
            line = page.locator("#press").get_attribute("data-line")
            getattr(server, end)()
            set_line(page)
            server.start()
            # an answer of the server before is shown until then, and goes with what that server knew
            now = f"#press[data-line]:not([data-line=''], [data-line='{line}'])"
            page.locator(now).wait_for(state="attached", timeout=30_000)
            shown = page.get_by_role("heading", name="Portal Account Created!")
            expect(shown.or_(page.get_by_text("The registration was not sent."))).to_be_visible(timeout=30_000)
            if round_ == 2 and not shown.is_visible():
                press(page)
                expect(shown).to_be_visible()
            assert patients(server) == round_
            with bound(server):
                assert sign_in(PATIENT_DOOR, page.locator("#cred-username").input_value(), shown_password(page))
            page.get_by_role("button", name="Close").click()
            expect(page.get_by_role("heading", name=f"{REGISTERED} with portal account")).to_be_visible()
    finally:
        server.stop()


# --- the record, and credentials on the screen -----------------------------------------------------------


def _profile(page: Page, server: Server, **changes: Any) -> str:
    """Open a new patient's record; the patient ID."""
    with bound(server), db.reading() as session:
        ident = session.execute(sa.text("SELECT id FROM accounts WHERE username = 'receptionist'")).scalar_one()
        desk = sessions.actor_of(session.get(Account, ident), None)
    with bound(server):
        number = factories.make_patient(desk, **changes).patient.patient_id
    page.goto(f"/patients/{number}")
    return number


@pytest.fixture
def record(up: Server, open_page: Callable[..., Page], watch: Watch) -> Page:
    """A receptionist's tab on a line that can be disturbed."""
    for noise in ("WebSocket connection", "net::ERR", "Failed to load resource"):
        watch.expect(noise)
    return on_a_slow_line(open_page("receptionist", at=up))


def lose_the_answer(page: Page, server: Server, done: Callable[[], Any]) -> None:
    """What was pressed is carried out, and the server is killed before it can say so."""
    until(done)
    server.kill()
    set_line(page)
    server.start()


def _reset(page: Page) -> None:
    page.get_by_role("button", name="Reset temporary password").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset temporary password").click()
    page.get_by_role("heading", name="Temporary password reset").wait_for()


def test_a_reset_whose_answer_was_lost_shows_a_fresh_password(record: Page, up: Server) -> None:
    _profile(record, up, portal_email=f"reset{time.monotonic_ns()}@example.org")
    before = len(up.audit("PORTAL_PASSWORD_RESET"))
    record.get_by_role("button", name="Reset temporary password").click()
    answer = record.get_by_role("dialog").get_by_role("button", name="Reset temporary password")
    answer.wait_for()
    set_line(record, deaf=True)
    answer.click()
    lose_the_answer(record, up, lambda: len(up.audit("PORTAL_PASSWORD_RESET")) == before + 1)
    expect(record.get_by_text("It happened once, at")).to_be_visible(timeout=2 * PATIENCE_MS)
    with bound(up):
        assert sign_in(PATIENT_DOOR, record.locator("#cred-username").input_value(), shown_password(record))


def test_what_waits_for_the_line_cannot_be_cancelled_any_more(record: Page, up: Server) -> None:
    _profile(record, up, portal_email=f"late{time.monotonic_ns()}@example.org")
    before = len(up.audit("PORTAL_PASSWORD_RESET"))
    record.get_by_role("button", name="Reset temporary password").click()
    dialog = record.get_by_role("dialog")
    answer, cancel = (dialog.get_by_role("button", name=name) for name in ("Reset temporary password", "Cancel"))
    answer.wait_for()
    set_line(record, mute=True)
    answer.click()
    expect(cancel).to_have_attribute("aria-disabled", "true")
    expect(cancel).to_have_css("cursor", "progress")
    cancel.click(force=True)
    up.kill()
    set_line(record)
    up.start()
    expect(dialog.get_by_text("It was not sent.")).to_be_visible(timeout=2 * PATIENCE_MS)  # where one looks
    expect(cancel).to_be_enabled()
    cancel.click()
    expect(dialog).to_have_count(0)
    expect(record.get_by_text("It was not sent.")).to_have_count(0)
    assert len(up.audit("PORTAL_PASSWORD_RESET")) == before


def test_an_edit_that_was_not_sent_comes_back_as_it_was_typed(record: Page, up: Server) -> None:
    number = _profile(record, up)
    begin_edit(record, "contact information")
    record.get_by_label("Address").fill("Somewhere else")
    set_line(record, mute=True)
    record.get_by_role("button", name="Save changes", exact=True).click()
    expect(record.get_by_role("button", name="Saving...", exact=True)).to_be_visible()
    up.kill()
    set_line(record)
    up.start()
    expect(record.get_by_text("It was not sent.")).to_be_visible(timeout=2 * PATIENCE_MS)
    expect(record.get_by_label("Address")).to_have_value("Somewhere else")
    record.get_by_role("button", name="Save changes", exact=True).click()
    expect(record.get_by_text("Saved.")).to_be_visible()
    expect(record.get_by_text("It was not sent.")).to_have_count(0)
    assert up.sql("SELECT address FROM patients WHERE patient_id = ?", number) == [("Somewhere else",)]


def test_reloading_over_shown_credentials_asks_first_and_explains_afterwards(record: Page, up: Server) -> None:
    _profile(record, up, first_name="Aaron", portal_email=f"leave{time.monotonic_ns()}@example.org")
    _reset(record)
    told = record.get_by_text(NO_LONGER)
    asked: list[str] = []
    record.on("dialog", lambda one: asked.append(one.type))
    record.reload()
    assert asked == ["beforeunload"]
    expect(told).to_be_visible()
    expect(record.locator("#cred-password")).to_have_count(0)


def _question(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Leave this page?")


#: Goes there, and is through when that has been undone.
THERE_AND_HOME = """
(way) => new Promise((done) => {
  let changes = 0;
  navigation.addEventListener("currententrychange", () => { changes += 1; if (changes === 2) done(); });
  history[way]();
})
"""
NO_LONGER = "Done. The password is no longer shown: reset it to hand over a new one."


@pytest.mark.parametrize("way", ["back", "forward"])
def test_back_and_forward_over_shown_credentials_ask_first_and_explain_afterwards(
    record: Page, up: Server, way: str
) -> None:
    number = _profile(record, up, portal_email=f"back{time.monotonic_ns()}@example.org")
    record.goto("/patients")
    record.get_by_label("Search patients").fill(number)
    record.locator(f'section[data-answers="{number}"]:not([aria-busy])').wait_for()
    record.locator(f'a.name[href="/patients/{number}"]').click()  # in the page: no new document
    if way == "forward":
        record.get_by_role("button", name="Reset temporary password").wait_for()
        record.get_by_role("link", name="Reception", exact=True).first.click()
        record.get_by_role("heading", name="Reception", level=1).wait_for()
        record.go_back()
    _reset(record)
    address, question = record.url, _question(record)
    password = shown_password(record)
    record.evaluate(f"history.{way}()")
    expect(question).to_be_visible()
    record.keyboard.press("Escape")
    expect(question).to_be_hidden()
    record.evaluate(f"history.{way}()")
    expect(question).to_be_visible()
    record.evaluate(THERE_AND_HOME, way)
    expect(question).to_be_visible()  # somebody was impatient
    question.get_by_role("button", name="Stay").click()
    expect(question).to_be_hidden()
    assert record.url == address
    assert shown_password(record) == password
    record.evaluate(f"history.{way}()")
    question.get_by_role("button", name="Leave").click()
    record.get_by_role("heading", name="Patients" if way == "back" else "Reception", level=1).wait_for()
    expect(record.get_by_text(NO_LONGER)).to_be_visible()
    expect(record.locator("#cred-password")).to_have_count(0)


def test_what_lies_behind_shown_credentials_does_not_lead_away_and_a_link_asks_first(record: Page, up: Server) -> None:
    number = _profile(record, up, portal_email=f"link{time.monotonic_ns()}@example.org")
    _reset(record)
    logo = record.locator("a[href='/']").first
    place = logo.bounding_box()
    assert place is not None
    record.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    for key in ("n", "/", "Escape"):
        record.keyboard.press(key)
    record.keyboard.type("LMC000001\n")  # a scanner
    expect(record.locator("#cred-password")).to_be_visible()
    assert record.url.endswith(number)
    question = _question(record)
    logo.dispatch_event("click")  # as assistive technology does
    question.get_by_role("button", name="Stay").click()
    expect(question).to_be_hidden()
    assert len(shown_password(record)) == 12
    logo.dispatch_event("click")
    question.get_by_role("button", name="Leave").click()
    record.get_by_role("heading", name="Reception", level=1).wait_for()
    expect(record.get_by_text(NO_LONGER)).to_be_visible()


# --- rows of an older term ---------------------------------------------------------------------------------


def test_rows_of_an_older_term_wait_and_cannot_be_opened(record: Page, up: Server) -> None:
    _profile(record, up, first_name="Zebedee")
    record.goto("/patients")
    box = record.get_by_label("Search patients")
    box.press_sequentially("zebedee", delay=5)
    name = record.get_by_role("rowheader", name="Zebedee").get_by_role("link")
    expect(name).to_be_visible()
    rows = record.locator("[data-answers]")
    expect(rows).not_to_have_attribute("aria-busy", "true")
    set_line(record, delay=3000)
    box.press("x")  # one letter more may be a slip: that person is found all the same
    assert rows.get_attribute("aria-busy") == "true"  # at once
    name.click(force=True)
    record.wait_for_timeout(100)
    assert record.url.endswith("/patients")
    box.press("q")
    expect(record.get_by_text("No patient matches")).to_be_visible()
    expect(rows).not_to_have_attribute("aria-busy", "true")


def test_a_page_whose_line_was_ended_for_a_flood_says_so_and_works_again(
    up: Server, open_page: Callable[..., Page], watch: Watch
) -> None:
    for noise in ("WebSocket connection", "net::ERR", "Failed to load resource"):
        watch.expect(noise)
    page = open_page("receptionist", at=up)
    page.add_init_script(KEPT_LINES)
    page.goto("/patients/new")
    fill(page)
    before = page.evaluate("linesOfThisPage.length")
    page.evaluate(FLOOD)
    expect(page.get_by_text(TOO_MUCH)).to_be_visible()
    until(lambda: page.evaluate("linesOfThisPage[0].readyState") == 3)  # CLOSED
    expect(page.get_by_text(TOO_MUCH)).to_be_hidden(timeout=2 * PATIENCE_MS)
    assert page.evaluate("linesOfThisPage.length") > before
    expect(page.get_by_label("First name")).to_have_value("Slow")
    press(page)
    expect(page.get_by_role("heading", name="Portal Account Created!")).to_be_visible(timeout=2 * PATIENCE_MS)
