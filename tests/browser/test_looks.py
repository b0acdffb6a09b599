"""Every page and dialog state, wide and narrow, light and dark: accessible, and nothing beside the screen.

``make pictures`` (``--pictures``) draws them too: each at both widths, light and dark, into ``.artefacts/screens``.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable

import pyotp
import pytest
from fastapi import Response
from playwright.sync_api import Page, expect
from sqlalchemy import delete, insert, update

from clinic_app.core import clock, crypto, db
from clinic_app.core.settings import get_settings
from clinic_app.models.imports import PATIENT_IMPORT_ROWS, PATIENT_IMPORTS
from clinic_app.models.portal_runs import PORTAL_RUN_ITEMS, PORTAL_RUNS
from clinic_app.services import access
from clinic_app.services.accounts import sign_in_throttle, staff, two_factor
from clinic_app.services.accounts.errors import LinkOver
from clinic_app.services.patients import merging, pair_finding
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.self_registration import NOT_RIGHT, REACHED, Received
from clinic_app.services.portal.bulk_choice import Chosen
from clinic_app.services.portal.bulk_runs import start_run
from clinic_app.web import activating, dead_ends, pages, self_registration
from tests import factories, stuck
from tests.browser.conftest import begin_edit, patient_sign_in, sign_in

Scene = Callable[..., Page]
_numbers = itertools.count(1)
SCENES: dict[str, Scene] = {}


def scene(make: Scene) -> Scene:
    """A state to be drawn, under its function's name."""
    SCENES[make.__name__] = make
    return make


def _heading(page: Page, name: str) -> Page:
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return page


# --- staff ----------------------------------------------------------------------------------------


@scene
def login(open_page, clinic):
    return _heading(open_page(path="/login"), "Staff sign in")


@scene
def login_refused(open_page, clinic):
    page = open_page()
    sign_in(page, "nobody.for.looks", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def login_empty(open_page, clinic):
    page = open_page()
    sign_in(page, "", "")
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def login_too_many(open_page, clinic):
    page = open_page()
    for _ in range(6):
        sign_in(page, "too.many.for.looks", "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def login_after_an_idle_end(open_page, clinic):
    page = open_page("receptionist")
    token = next(one["value"] for one in page.context.cookies() if one["name"] == "clinic_session")
    clinic.sql(
        "UPDATE login_sessions SET last_seen_at = '2020-01-01 00:00:00.000000' WHERE token_hash = ?",
        crypto.digest(token),
    )
    page.goto("/login")
    expect(page.get_by_text("You were signed out")).to_be_visible()
    return page


def _second_step(open_page) -> Page:
    """Somebody with a second factor, after the right password."""
    actor = factories.make_staff(username=f"drawn.step{next(_numbers)}")
    two_factor.begin_two_factor(actor)
    setup = two_factor.show_two_factor(actor)
    assert setup is not None
    two_factor.confirm_two_factor(actor, pyotp.TOTP(setup.secret.replace(" ", "")).now())
    page = open_page()
    sign_in(page, actor.username, factories.PASSWORD)
    return _heading(page, "Authentication code")


@scene
def login_code(open_page, clinic):
    return _second_step(open_page)


@scene
def login_code_wrong(open_page, clinic):
    page = _second_step(open_page)
    page.get_by_label("Authentication code").fill("12 34")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def login_recovery_code(open_page, clinic):
    page = _second_step(open_page)
    page.get_by_role("link", name="Use a recovery code instead").click()
    return _heading(page, "Recovery code")


@scene
def staff_choose_password(open_page, clinic):
    username = f"drawn.temporary{next(_numbers)}"
    made = staff.create_staff_with_temporary_password(access.SYSTEM, username, "Drawn Person", "CLINICIAN")
    page = open_page()
    sign_in(page, username, made.credentials.temporary_password)
    _heading(page, "Choose your password")
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    expect(page.locator("#strength")).to_contain_text("It contains a name")
    return page


def _answered(open_page, made: Response) -> Page:
    """A page as the server would answer with it."""
    page = open_page()
    page.route("**/drawn", lambda route: route.fulfill(body=bytes(made.body), content_type="text/html"))
    page.goto("/drawn")
    return page


@scene
def staff_not_found(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.not_found("/nothing")), "Page not found")


@scene
def staff_no_rights(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.no_rights("/admin/audit")), "You cannot open this page")


@scene
def staff_unavailable(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.unavailable("/")), "The register cannot be reached")


@scene
def staff_no_cookies(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.no_cookies("/login")), "Cookies are off")


# --- one-time links -------------------------------------------------------------------------------


@scene
def activate(open_page, clinic):
    page = open_page(path="/patient-portal/activate#7KQM-4RXT-92WD")
    page.get_by_label("New password", exact=True).fill("seven kettles under rain")
    expect(page.locator("#strength")).to_contain_text("Very strong")
    return page


@scene
def activate_wrong(open_page, clinic):
    page = open_page(path="/patient-portal/activate#7KQM-4RXT-92W")
    page.get_by_label("New password", exact=True).fill("seven kettles under rain")
    page.get_by_role("button", name="Save password").click()
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def activate_suggested(open_page, clinic):
    page = open_page(path="/patient-portal/activate#7KQM-4RXT-92WD")
    page.get_by_role("button", name="Suggest a passphrase").click()
    expect(page.get_by_text("Filled in: ")).to_be_visible()
    expect(page.locator("#strength")).to_contain_text("Very strong")
    return page


def _sends_emails(settings) -> None:
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    get_settings.cache_clear()


def _ended(open_page, settings, why: str, heading: str) -> Page:
    _sends_emails(settings)
    return _heading(_answered(open_page, activating.ended(LinkOver(why, clock.now()))), heading)


@scene
def activate_used(open_page, clinic, settings):
    return _ended(open_page, settings, "used", "This code was used already")


@scene
def activate_expired(open_page, clinic, settings):
    return _ended(open_page, settings, "expired", "This code has expired")


@scene
def activate_superseded(open_page, clinic, settings):
    return _ended(open_page, settings, "superseded", "There is a newer code")


@scene
def activate_replaced(open_page, clinic, settings):
    return _ended(open_page, settings, "replaced", "This code does not work any more")


@scene
def activate_turned_off(open_page, clinic, settings):
    return _ended(open_page, settings, "off", "Your sign-in is turned off")


@scene
def forgot_without_emails(open_page, clinic):
    return _heading(open_page(path="/patient-portal/forgot"), "Forgot your password?")


def _forgot(open_page, settings, **values) -> Page:
    _sends_emails(settings)
    given = {"email": "", "errors": {}, "refused": "", "by_email": True, **values}
    return _answered(open_page, pages.render("links/forgot.html", **given))


@scene
def forgot(open_page, clinic, settings):
    return _heading(_forgot(open_page, settings), "Forgot your password?")


@scene
def forgot_wrong(open_page, clinic, settings):
    words = "Please provide a valid email address."
    page = _forgot(open_page, settings, email="amina.odhiambo", errors={"email": words})
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def forgot_too_many(open_page, clinic, settings):
    words = "Too many attempts. Please try again in 1 minute."
    page = _forgot(open_page, settings, email="amina.odhiambo@example.org", refused=words)
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def forgot_sent(open_page, clinic, settings):
    email = "amina.odhiambo.of.a.very.long.name@a-mail-server-far-away.example.org"
    page = pages.render("links/forgot_sent.html", email=email, hourly=3)
    return _heading(_answered(open_page, page), "Look at your messages")


def _register(open_page, settings, *args, **values) -> Page:
    settings.setenv("CLINIC_ADDRESS", "Oginga Odinga Street 14, Kisumu")
    _sends_emails(settings)
    page = _heading(_answered(open_page, self_registration._form(*args, **values)), "Register as a patient")
    expect(page.get_by_text("Checked: no robot")).to_be_visible()
    return page


@scene
def register(open_page, clinic, settings):
    return _register(open_page, settings)


@scene
def register_mistakes(open_page, clinic, settings):
    typed = {**dict.fromkeys(self_registration.ASKED, ""), "first_name": "Beatrice", "date_of_birth": "14/3/88"}
    errors = {"last_name": "Last name is required.", "phone": REACHED}
    page = _register(open_page, settings, 400, typed, errors=errors)
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def register_waits(open_page, clinic, settings):
    made = _answered(open_page, self_registration._form())
    made.route("**/register-worker.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page = _heading(made, "Register as a patient")
    page.reload()
    page.get_by_role("button", name="Send registration").click()
    expect(page.get_by_text("Working it out...")).to_be_visible()
    return page


@scene
def register_check_your_email(open_page, clinic, settings):
    done = Received("Beatrice", "email", "beatrice.achieng.of.a.very.long.name@a-mail-server.example.org")
    page = self_registration._what_next(done, "We sent the email again.")
    return _heading(_answered(open_page, page), "Check your email")


@scene
def register_called(open_page, clinic, settings):
    page = self_registration._what_next(Received("Beatrice", "phone", "+254712445901"), "")
    return _heading(_answered(open_page, page), "Thank you, Beatrice")


@scene
def register_confirm(open_page, clinic, settings):
    errors = {"code": NOT_RIGHT}
    page = self_registration._confirm(400, code="7KQM-4RXT-92WD", errors=errors)
    return _heading(_answered(open_page, page), "Confirm your registration")


@scene
def not_found(open_page, clinic, watch):
    watch.expect("404")
    return _heading(open_page(path="/no/such/page"), "Page not found")


@scene
def reception(open_page, clinic):
    page = open_page("receptionist", "/")
    expect(page.get_by_text("Portal uptake")).to_be_visible()
    expect(page.locator(".bone")).to_have_count(0)
    return page


@scene
def reception_loading(open_page, clinic):
    page = open_page("receptionist", "/patients")
    _hold(page, lambda message: "reception" in message and "registered_today" in message)
    page.goto("/")
    expect(page.get_by_text("Portal uptake")).to_be_visible()
    return page


@scene
def reception_search(open_page, clinic):
    page = reception(open_page, clinic)
    page.get_by_role("combobox").fill("wa")
    expect(page.get_by_role("option").first).to_be_visible()
    return page


@scene
def reception_opened_last(open_page, clinic):
    for _ in range(3):
        view_patient(clinic.desk, clinic.patient(first_name="Opened", last_name="Lately").patient.id)
    page = reception(open_page, clinic)
    page.get_by_role("combobox").focus()
    expect(page.get_by_role("option").first).to_be_visible()
    return page


@scene
def patient_card(open_page, clinic):
    done = clinic.patient(first_name="Konstantinos", last_name="Papadopoulos-Wanyama")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}/card")
    return _heading(page, "Patient card")


@scene
def patient_card_of_nobody(open_page, clinic, watch):
    watch.expect("404")
    return _heading(open_page("receptionist", "/patients/LMC999999/card"), "Patient card")


@scene
def profile_folded(open_page, clinic):
    done = clinic.patient(first_name="Looked", last_name="At Often", address="P.O. Box 412\nKisumu")
    for _ in range(4):
        view_patient(clinic.desk, done.patient.id)
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("region", name="Activity").locator("summary").click()
    return page


@scene
def registration_of_a_relative(open_page, clinic):
    page = profile_folded(open_page, clinic)
    page.get_by_role("button", name="Register a relative").click()
    expect(page.get_by_role("region", name="Same household")).to_be_visible()
    return page


@scene
def reception_menu(open_page, clinic):
    page = open_page("receptionist", "/", width=320, height=640)
    page.locator("summary", has_text="Menu").click()
    return page


@scene
def shortcuts(open_page, clinic):
    page = reception(open_page, clinic)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    return page


@scene
def new_clinic_reception(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/", at=new_clinic)
    expect(page.get_by_text("Nobody yet.")).to_be_visible()
    return page


@scene
def patients(open_page, clinic):
    page = open_page("receptionist", "/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    return page


@scene
def patients_that_need_the_desk(open_page, clinic):
    factories.make_patient_with_access(clinic.desk, "locked", first_name="Statuses", last_name="Drawn")
    done = factories.make_patient_with_access(clinic.desk, "expired", first_name="Statuses" * 4, last_name="Drawn" * 6)
    page = open_page("receptionist", "/patients")
    page.get_by_label("Search patients").fill("Statuses")
    row = page.get_by_role("row").filter(has_text=done.patient.patient_id)
    expect(row.get_by_text("password expired")).to_be_visible()
    return page


@scene
def patients_as_clinician(open_page, clinic):
    page = open_page("clinician", "/patients")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    return page


@scene
def patients_no_match(open_page, clinic):
    page = patients(open_page, clinic)
    page.get_by_label("Search patients").fill("Wolfeschlegelsteinhausenbergerdorff Nobody")
    expect(page.get_by_role("button", name="Clear search")).to_be_visible()
    return page


@scene
def patients_empty(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/patients", at=new_clinic)
    expect(page.get_by_role("heading", name="No patients yet")).to_be_visible()
    return page


@scene
def patients_loading(open_page, clinic):
    page = open_page("receptionist")
    _hold(page, lambda message: "patient_list" in message)
    page.goto("/patients")
    expect(page.get_by_text("Loading patients")).to_be_attached()
    return page


def _stuck(clinic) -> None:
    """Somebody in each group, one of them with a long name and a long address."""
    for group in stuck.GROUPS:
        stuck.in_group(clinic.desk, group, first_name="Stuck", last_name=group.title())
    done = stuck.in_group(clinic.desk, "never", first_name="Konstantinos", last_name="Papadopoulos-Wanyama", phone="")
    stuck.message(done, address=f"{'konstantinos.' * 4}papadopoulos-wanyama@lakeside-medical-centre.example.org")
    stuck.message(stuck.in_group(clinic.desk, "never", first_name="Beatrice"), channel="sms", address="+254733902117")
    stuck.message(stuck.in_group(clinic.desk, "never", first_name="Fatuma"), "SENT")


def _double(clinic, **changes):
    """One person on file twice, and compared."""
    same = {"first_name": "Zacharia", "last_name": "Okemwa", "date_of_birth": "3/4/1975", "phone": "0712 777 888"}
    same |= changes
    first = clinic.patient(**same, portal_email=f"twice{clinic.patient().patient.id}@example.org")
    other = {
        "last_name": "Okemwah",
        "phone": "0712 777 889",
        "email": "z.okemwa@example.org",
        "address": "Box 1\nKisii",
    }
    second = clinic.patient(**{**same, **other, "portal_email": f"again{first.patient.id}@example.org"})
    pair_finding.compare_all()
    return first.patient, second.patient


@scene
def duplicates(open_page, clinic):
    first, second = _double(clinic)
    _double(clinic, first_name="Konstantinos-Alexandros", last_name="Papadopoulos-Wanyama Ole Sankale", phone="")
    page = _heading(open_page("receptionist", "/patients/duplicates"), "Possible duplicates")
    assert first.patient_id != second.patient_id
    expect(page.get_by_role("link", name="Compare").first).to_be_visible()
    return page


@scene
def duplicates_said_to_be_two(open_page, clinic):
    first, second = _double(clinic)
    page = _heading(open_page("receptionist", "/patients/duplicates"), "Possible duplicates")
    assert first.patient_id != second.patient_id
    page.get_by_role("button", name="Not a duplicate").first.click()
    expect(page.get_by_text("The pair comes back if either record changes.").first).to_be_visible()
    return page


@scene
def duplicates_empty(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/patients/duplicates", at=new_clinic)
    expect(page.get_by_role("heading", name="No possible duplicates")).to_be_visible()
    return page


@scene
def duplicates_loading(open_page, clinic):
    page = open_page("receptionist")
    _hold(page, lambda message: "duplicates" in message)
    page.goto("/patients/duplicates")
    expect(page.get_by_text("Loading possible duplicates")).to_be_attached()
    return page


@scene
def compare_and_merge(open_page, clinic):
    first, second = _double(clinic)
    page = open_page("receptionist", f"/patients/duplicates/{first.patient_id}-{second.patient_id}")
    expect(page.get_by_role("button", name=f"Merge into {first.patient_id}")).to_be_visible()
    return page


@scene
def compare_nothing(open_page, clinic):
    page = open_page("receptionist", "/patients/duplicates/LMC999998-LMC999999")
    expect(page.get_by_role("heading", name="There is nothing to compare")).to_be_visible()
    return page


@scene
def profile_merged(open_page, clinic):
    first, second = _double(clinic)
    merging.merge_patients(clinic.desk, second.id, MergeRequest(first.id))
    page = open_page("receptionist", f"/patients/{second.patient_id}")
    expect(page.get_by_role("button", name="Undo merge")).to_be_visible()
    return page


@scene
def work_list(open_page, clinic):
    _stuck(clinic)
    page = _heading(open_page("receptionist", "/patients/portal"), "Portal work list")
    expect(page.get_by_role("region", name="Locked")).to_be_visible()
    return page


@scene
def work_list_of_one_group(open_page, clinic):
    page = work_list(open_page, clinic)
    page.get_by_role("button", name="Password expired").click()
    expect(page.get_by_role("region", name="Locked")).to_have_count(0)
    return page


@scene
def work_list_empty(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/patients/portal", at=new_clinic)
    expect(page.get_by_role("heading", name="Nobody is stuck")).to_be_visible()
    return page


@scene
def work_list_loading(open_page, clinic):
    page = open_page("receptionist")
    _hold(page, lambda message: "work_list" in message)
    page.goto("/patients/portal")
    expect(page.get_by_text("Loading the work list")).to_be_attached()
    return page


def _waits(**changes) -> dict[str, str]:
    """Somebody who registered themselves, and is a patient already. One name for each, so that scenes are apart."""
    number = next(_numbers)
    name = {"first_name": "Nekesa", "last_name": f"Wafula {'abcdefghij'[number % 10]}"}
    known = {**name, "phone": f"0745 {number:06d}", "date_of_birth": "5 May 2003"}
    factories.make_patient(access.SYSTEM, **{**known, "email": "", "national_id": "", "preferred_language": ""})
    factories.registered_themselves(
        **{**known, "email": f"nekesa{number}@example.org", "preferred_language": "sw", **changes}
    )
    return known


def _card_of(page: Page, known: dict[str, str]):
    name = f"{known['first_name']} {known['last_name']}"
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


@scene
def pending(open_page, clinic):
    long = "Konstantinos-Alexandros Papadopoulos-Wanyama of Kisumu"
    factories.registered_themselves(
        first_name=long, last_name="W" * 60, email=f"{'long.' * 12}name@a-server.example.org"
    )
    known = _waits()
    page = _heading(open_page("receptionist", "/patients/pending"), "Pending verification")
    expect(_card_of(page, known).get_by_text("Certain").first).to_be_visible()
    return page


@scene
def pending_rejecting(open_page, clinic):
    known = _waits()
    page = _heading(open_page("receptionist", "/patients/pending"), "Pending verification")
    card = _card_of(page, known)
    card.get_by_role("button", name="Reject…").click()
    card.get_by_role("button", name="Reject registration").click()
    expect(card.get_by_text("Choose why it is rejected.")).to_be_visible()
    return page


@scene
def pending_linked(open_page, clinic):
    known = _waits(national_id=f"77 {next(_numbers):06d}")
    page = _heading(open_page("receptionist", "/patients/pending"), "Pending verification")
    _card_of(page, known).get_by_role("button", name="Link to this patient").first.click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(_card_of(page, known)).to_have_count(0)
    return page


@scene
def pending_empty(open_page, clinic, new_clinic):
    page = open_page("receptionist", "/patients/pending", at=new_clinic)
    expect(page.get_by_role("heading", name="Nobody is waiting")).to_be_visible()
    return page


@scene
def pending_loading(open_page, clinic):
    page = open_page("receptionist")
    _hold(page, lambda message: "pending_state" in message)
    page.goto("/patients/pending")
    expect(page.get_by_text("Loading who is waiting")).to_be_attached()
    return page


def _bulk_run(clinic, state: str) -> None:
    """A run that no server takes, some of its patients done; two could not be given an account."""
    now = clock.now()
    with db.transaction() as session:
        session.execute(delete(PORTAL_RUN_ITEMS))
        session.execute(delete(PORTAL_RUNS))
        values = {"chosen": {}, "state": state, "started_at": now - dt.timedelta(seconds=61), "started_by_id": None}
        held = {"lease": "x", "leased_until": now + dt.timedelta(days=1)}
        run = session.execute(insert(PORTAL_RUNS).values(**values, **held).returning(PORTAL_RUNS.c.id)).scalar_one()
    for number in range(12):
        names = {"first_name": "Konstantinos", "last_name": "Papadopoulos-Wanyama" if number % 2 else "Otieno"}
        patient = factories.make_patient(clinic.desk, **names).patient.id
        done = "REFUSED" if number < 2 else "CREATED" if number < 7 else "WAITING"
        item = {"run_id": run, "patient_id": patient, "state": done}
        item |= {"reason": "email_in_use" if number else "portal_account_exists"} if done == "REFUSED" else {}
        with db.transaction() as session:
            session.execute(insert(PORTAL_RUN_ITEMS).values(item | {"done_at": now} if done != "WAITING" else item))
    with db.transaction() as session:
        ended = {"ended_at": now} if state != "RUNNING" else {}
        session.execute(update(PORTAL_RUNS).values(state=state, **ended))
        db.changed(session)


@scene
def bulk_preview(open_page, clinic):
    _bulk_run(clinic, "DONE")
    factories.make_patient(clinic.desk, email=f"bulk{next(_numbers)}@example.org")
    page = _heading(open_page("admin", "/admin/portal"), "Portal accounts in bulk")
    page.get_by_role("button", name="New run").click()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name=re.compile("Create [0-9]+ portal account"))).to_be_visible()
    return page


@scene
def bulk_running(open_page, clinic):
    _bulk_run(clinic, "RUNNING")
    page = _heading(open_page("admin", "/admin/portal"), "Portal accounts in bulk")
    expect(page.get_by_role("progressbar", name="Creating portal accounts")).to_be_visible()
    return page


@scene
def bulk_report(open_page, clinic):
    _bulk_run(clinic, "STOPPED")
    page = _heading(open_page("admin", "/admin/portal"), "Portal accounts in bulk")
    expect(page.get_by_role("button", name="Continue the run")).to_be_visible()
    return page


@scene
def bulk_report_with_slips(open_page, clinic):
    _bulk_run(clinic, "DONE")
    names = {"first_name": "Konstantinos", "last_name": "Papadopoulos-Wanyama", "preferred_language": "fr"}
    for _ in range(2):
        factories.make_patient(clinic.desk, email=f"konstantinos.slip{next(_numbers)}@example.org", **names)
    start_run(clinic.actor("admin"), Chosen(language="fr"))
    page = _heading(open_page("admin", "/admin/portal"), "Portal accounts in bulk")
    expect(page.get_by_role("button", name="Print slips")).to_be_visible(timeout=30_000)
    return page


@scene
def bulk_slips(open_page, clinic):
    page = bulk_report_with_slips(open_page, clinic)
    page.get_by_role("button", name="Print slips").click()
    expect(page.get_by_role("article", name="Credential slip").first).to_be_visible()
    return _heading(page, "Credential slips")


@scene
def registration(open_page, clinic):
    return _heading(open_page("receptionist", "/patients/new"), "Patient registration")


@scene
def registration_mistakes(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("Phone", exact=True).fill("1")
    page.get_by_label("Date of birth").fill("14/3/1988")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    return page


@scene
def registration_email_slip(open_page, clinic):
    page = _heading(open_page("receptionist", "/patients/new"), "Patient registration")
    page.get_by_label("Email", exact=True).fill("wanjiku.kamau@gmial.com")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Did you mean gmail.com?")).to_be_visible()
    return page


@scene
def registration_one_name(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Suharto")
    page.get_by_label("Has one name only").check()
    page.get_by_label("Date of birth").fill("Mar 1960")
    page.get_by_label("Date of birth").blur()
    expect(page.locator("#date_of_birth-hint")).to_contain_text("years old")
    return page


@scene
def registration_failed(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Failing")
    page.get_by_label("Last name").fill("Person")
    clinic.sql("ALTER TABLE counters RENAME TO counters_away")
    try:
        page.get_by_role("button", name="Register patient").click()
        expect(page.get_by_text("Failed to create patient")).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE counters_away RENAME TO counters")
    return page


def _like_somebody(open_page, clinic, name: str) -> Page:
    """A form that is being filled in for somebody who is there already."""
    born, phone = "14/3/1988", f"0711 {next(_numbers):06d}"
    factories.make_patient(access.SYSTEM, first_name=name, last_name="Odhiambo", date_of_birth=born, phone=phone)
    factories.make_patient(
        access.SYSTEM, first_name=f"{name}h", last_name="Atieno", date_of_birth="8/4/1996", phone=phone
    )
    page = registration(open_page, clinic)
    for label, value in (
        ("First name", name),
        ("Last name", "Odiambo"),
        ("Date of birth", born),
        ("Phone", phone),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Phone", exact=True).blur()
    expect(page.get_by_text("Is it one of these people?")).to_be_visible()
    expect(page.get_by_text("Last name, one letter off").first).to_be_visible()
    return page


@scene
def registration_matches(open_page, clinic):
    return _like_somebody(open_page, clinic, "Wambita")


@scene
def registration_held(open_page, clinic):
    page = _like_somebody(open_page, clinic, "Khadira")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_role("alert", name="Possible duplicates")).to_be_focused()
    page.evaluate("scrollTo(0, 0)")  # an input that the bar half covers is no small one
    return page


@scene
def registered(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Drawn")
    page.get_by_label("Last name").fill("Person")
    page.get_by_role("button", name="Register patient").click()
    return _heading(page, "Patient registered successfully")


@scene
def registered_with_portal(open_page, clinic):
    page = registration(open_page, clinic)
    page.get_by_label("First name").fill("Drawn")
    page.get_by_label("Last name").fill("Withaccess")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_label("Portal email").fill("drawn@example.org")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_text("Portal Account Created!")).to_be_visible()
    return page


def _of_state(clinic, state: str) -> str:
    """A patient ID of the demo clinic whose account is in this state."""
    wanted = {
        "none": "a.id IS NULL",
        "active": "a.is_active AND NOT password_temporary",
        "temporary": "a.is_active AND password_temporary AND password_expires_at > CURRENT_TIMESTAMP",
        "expired": "a.is_active AND password_temporary AND password_expires_at < CURRENT_TIMESTAMP",
        "off": "NOT a.is_active",
    }[state]
    rows = clinic.sql(
        f"SELECT p.patient_id FROM patients p LEFT JOIN accounts a ON a.patient_id = p.id"
        f" WHERE p.id <= 68 AND p.is_active AND NOT p.single_name AND {wanted} ORDER BY p.id LIMIT 1"
    )
    return rows[0][0]


def _profile(open_page, clinic, state: str, words: str) -> Page:
    page = open_page("receptionist", f"/patients/{_of_state(clinic, state)}")
    expect(page.get_by_text(words).first).to_be_visible()
    return page


@scene
def profile_none(open_page, clinic):
    return _profile(open_page, clinic, "none", "No portal account yet")


@scene
def profile_active(open_page, clinic):
    return _profile(open_page, clinic, "active", "Portal access is enabled for this patient")


@scene
def profile_temporary(open_page, clinic):
    return _profile(open_page, clinic, "temporary", "Waiting for first sign-in")


@scene
def profile_expired(open_page, clinic):
    return _profile(open_page, clinic, "expired", "Password expired")


@scene
def profile_locked(open_page, clinic):
    people = clinic.sql("SELECT p.patient_id, a.username FROM patients p JOIN accounts a ON a.patient_id = p.id")
    keys = {key for (key,) in clinic.sql("SELECT key FROM sign_in_limits WHERE blocked_until IS NOT NULL")}
    number = next(number for number, username in people if sign_in_throttle.account_key(username) in keys)
    page = open_page("receptionist", f"/patients/{number}")
    expect(page.get_by_text("Locked after too many wrong passwords")).to_be_visible()
    return page


@scene
def profile_off(open_page, clinic):
    return _profile(open_page, clinic, "off", "Portal access is turned off")


@scene
def profile_missing(open_page, clinic):
    return _heading(open_page("receptionist", "/patients/LMC999999"), "No patient has this number")


@scene
def profile_editing_details(open_page, clinic):
    page = profile_none(open_page, clinic)
    begin_edit(page, "patient details")
    page.get_by_label("Last name").fill(" ")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    return page


@scene
def profile_stale(open_page, clinic):
    done = clinic.patient(first_name="Stale", last_name="Drawn")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    begin_edit(page, "contact information")
    page.get_by_label("Address").fill("Mine")
    clinic.sql("UPDATE patients SET version = version + 1, email = 'theirs@example.org' WHERE id = ?", done.patient.id)
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Somebody else changed this record")).to_be_visible()
    return page


@scene
def reset_question(open_page, clinic):
    page = profile_active(open_page, clinic)
    page.get_by_role("button", name="Reset temporary password").click()
    expect(page.get_by_role("dialog", name="Reset temporary password?")).to_be_visible()
    return page


@scene
def change_username(open_page, clinic):
    page = profile_active(open_page, clinic)
    page.get_by_role("button", name="Change username").click()
    page.get_by_role("dialog").get_by_label("New username").fill("somebody@gmial.com")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Did you mean gmail.com?")).to_be_visible()
    return page


@scene
def username_beside_the_email(open_page, clinic):
    page = profile_active(open_page, clinic)
    begin_edit(page, "contact information")
    expect(page.get_by_text("The portal username stays")).to_be_visible()
    return page


@scene
def turn_off_question(open_page, clinic):
    page = profile_active(open_page, clinic)
    page.get_by_role("button", name="Turn off portal access").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


def _messages(open_page, posting, **changes) -> Page:
    """A profile whose invitation was refused by the mail server; the text message waits."""
    done = posting.patient(**{"portal_email": f"drawn{next(_numbers)}@refused.example", **changes})
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", at=posting.server)
    page.get_by_role("button", name="Resend invitation").click()
    return page


@scene
def messages_failed_and_queued(open_page, clinic, posting):
    page = _messages(open_page, posting, first_name="Unreached", portal_phone="0712 445 901")
    expect(page.get_by_text("Tried once, next at")).to_be_visible()
    expect(page.get_by_text("The SMS gateway did not take it.")).to_be_visible()
    expect(page.get_by_text("Failed", exact=True)).to_be_visible()
    return page


@scene
def messages_sent_and_held(open_page, clinic, posting):
    email = f"a.very.long.address.that.has.to.break.somewhere{next(_numbers)}@subdomain.of.a.hospital.example.org"
    page = _messages(open_page, posting, portal_email=email, portal_phone="0712 445 901", sms_allowed=False)
    expect(page.get_by_text("Sent", exact=True)).to_be_visible()
    expect(page.get_by_text("Not sent", exact=True)).to_be_visible()
    page.get_by_role("button", name="By post").click()
    expect(page.get_by_text("By post, by Grace Wanjiru")).to_be_visible()
    return page


@scene
def messages_not_allowed(open_page, clinic, posting):
    done = posting.patient(portal_email=f"drawn{next(_numbers)}@example.org", email_allowed=False)
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", at=posting.server)
    expect(page.get_by_text("Email may not be used for messages.")).to_be_visible()
    return page


@scene
def correct_address(open_page, clinic, posting):
    page = _messages(open_page, posting, first_name="Corrected")
    page.get_by_role("button", name="Correct address").click()
    expect(page.get_by_role("dialog", name="Correct address")).to_be_visible()
    return page


@scene
def correct_phone_mistake(open_page, clinic, posting):
    page = _messages(open_page, posting, portal_email=f"drawn{next(_numbers)}@example.org", portal_phone="0712 445 901")
    posting.server.sql("UPDATE outbox_messages SET state = 'FAILED', reason = 'REFUSED' WHERE channel = 'sms'")
    page.reload()
    page.get_by_role("button", name="Correct address").click()
    dialog = page.get_by_role("dialog", name="Correct address")
    dialog.get_by_label("Correct address").fill("call me later")
    dialog.get_by_role("button", name="Save and send again").click()
    expect(dialog.get_by_text("Phone must not contain letters")).to_be_visible()
    return page


@scene
def sent_again(open_page, clinic, posting):
    page = _messages(open_page, posting, first_name="Again", portal_phone="0712 445 901")
    expect(page.get_by_text("An invitation goes to")).to_be_visible()
    page.get_by_role("button", name="By phone").click()
    expect(page.get_by_text("By phone, by Grace Wanjiru")).to_be_visible()
    return page


@scene
def reset_with_messages(open_page, clinic, posting):
    done = posting.patient(portal_email=f"drawn{next(_numbers)}@example.org", portal_phone="0712 445 901")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}", at=posting.server)
    page.get_by_role("button", name="Reset temporary password").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset temporary password").click()
    expect(page.get_by_text("A message about the new password goes to")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="By post").click()
    expect(page.get_by_role("dialog").get_by_text("By post.")).to_be_visible()
    return page


@scene
def no_rights(open_page, clinic):
    return _heading(open_page("clinician", "/patients/new"), "You cannot open this page")


# --- the dialog -----------------------------------------------------------------------------------


def _hold(page: Page, held: Callable[[str], bool]) -> None:
    """Keep some of the server's messages back, so that what the page shows meanwhile stays."""

    def between(route):
        server = route.connect_to_server()
        server.on_message(lambda message: None if held(str(message)) else route.send(message))
        route.on_message(server.send)

    page.route_web_socket(re.compile("/_event"), between)


@scene
def dialog_input(open_page, clinic):
    page = profile_none(open_page, clinic)
    page.get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    return page


@scene
def dialog_loading(open_page, clinic):
    done = clinic.patient(first_name="Loading", last_name="Drawn")
    page = open_page("receptionist")
    _hold(page, lambda message: "Portal Account Created!" in message)
    page.goto(f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    page.get_by_role("dialog").get_by_label("Email").fill("loading@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_role("dialog").get_by_text("Creating...")).to_be_visible()
    return page


@scene
def dialog_mistake(open_page, clinic):
    page = dialog_input(open_page, clinic)
    page.get_by_role("dialog").get_by_label("Email").fill("x@")
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.locator("#portal-email-error")).to_contain_text("Invalid email format")
    return page


@scene
def dialog_failed(open_page, clinic):
    page = dialog_input(open_page, clinic)
    page.get_by_role("dialog").get_by_label("Email").fill("failed@example.org")
    clinic.sql("ALTER TABLE audit_head RENAME TO audit_head_away")
    try:
        page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
        expect(page.get_by_text("Failed to create patient portal account")).to_be_visible()
    finally:
        clinic.sql("ALTER TABLE audit_head_away RENAME TO audit_head")
    return page


@scene
def dialog_success(open_page, clinic):
    done = clinic.patient(first_name="Konstantinos", last_name="Papadopoulos-Wanyama of Kisumu")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    page.get_by_role("button", name="Create Portal Account").click()
    email = "a.very.long.address.that.has.to.break.somewhere@subdomain.of.a.hospital.example.org"
    page.get_by_role("dialog").get_by_label("Email").fill(email)
    page.get_by_role("dialog").get_by_role("button", name="Create Portal Account").click()
    expect(page.get_by_text("Portal Account Created!")).to_be_visible()
    return page


# --- the patient's side ---------------------------------------------------------------------------


@scene
def portal_login(open_page, clinic):
    return _heading(open_page(path="/patient-portal/login"), "Patient portal sign in")


@scene
def portal_login_refused(open_page, clinic):
    page = open_page()
    patient_sign_in(page, "nobody.for.looks@example.org", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    return page


@scene
def portal_login_too_many(open_page, clinic):
    page = open_page()
    for _ in range(6):
        patient_sign_in(page, "too.many@example.org", "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
    return _heading(page, "Patient portal sign in")


@scene
def portal_password_offered(open_page, clinic):
    done = clinic.patient(portal_email="drawn.offered@example.org")
    page = open_page()
    patient_sign_in(page, "drawn.offered@example.org", done.credentials.temporary_password)
    page.get_by_role("button", name="Suggest a passphrase").click()
    expect(page.get_by_text("Filled in:")).to_be_visible()
    expect(page.get_by_text("Very strong")).to_be_visible()
    return page


@scene
def portal_not_found(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.not_found("/patient-portal/nothing")), "Page not found")


@scene
def portal_no_rights(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.no_rights("/patient-portal/x")), "You cannot open this page")


@scene
def portal_unavailable(open_page, clinic):
    heading = "We cannot open your record just now"
    return _heading(_answered(open_page, dead_ends.unavailable("/patient-portal")), heading)


@scene
def portal_no_cookies(open_page, clinic):
    return _heading(_answered(open_page, dead_ends.no_cookies("/patient-portal/login")), "Cookies are off")


@scene
def portal_expired(open_page, clinic):
    done = clinic.patient(portal_email="drawn.late@example.org")
    clinic.sql("UPDATE accounts SET password_expires_at = created_at WHERE username = 'drawn.late@example.org'")
    page = open_page()
    patient_sign_in(page, "drawn.late@example.org", done.credentials.temporary_password)
    return _heading(page, "Your temporary password has expired")


@scene
def portal_password(open_page, clinic):
    done = clinic.patient(portal_email="drawn.first@example.org")
    page = open_page()
    patient_sign_in(page, "drawn.first@example.org", done.credentials.temporary_password)
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    page.get_by_role("button", name="Save password").click()
    expect(page.locator("#new_password-error")).to_contain_text("It contains a name")
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    expect(page.locator("#strength")).to_contain_text("It contains a name")
    return page


@scene
def portal_record(open_page, clinic):
    clinic.with_own_password("drawn.own@example.org", first_name="Drawn", last_name="Owner")
    page = open_page()
    patient_sign_in(page, "drawn.own@example.org", factories.OWN_PASSWORD)
    return _heading(page, "My record")


def _own_page(open_page, clinic, path: str, heading: str) -> Page:
    """One of the pages beside *My record*, of a patient who was looked at."""
    email = f"drawn.page{next(_numbers)}@example.org"
    done = clinic.with_own_password(email, first_name="Drawn", last_name="Owner", address="P.O. Box 412\nKisumu")
    for who in ("receptionist", "clinician", "clinician"):
        view_patient(clinic.actor(who), done.patient.id)
    page = open_page()
    patient_sign_in(page, email, factories.OWN_PASSWORD)
    page.goto(path)
    return _heading(page, heading)


@scene
def portal_record_saved(open_page, clinic):
    page = portal_contact(open_page, clinic)
    page.get_by_label("Phone", exact=True).fill("0733 100 200")
    page.get_by_role("button", name="Save contact details").click()
    expect(page.get_by_text("Saved. You changed your phone number.")).to_be_visible()
    return page


@scene
def portal_contact(open_page, clinic):
    return _own_page(open_page, clinic, "/patient-portal/contact", "Correct my contact details")


@scene
def portal_contact_mistakes(open_page, clinic):
    page = portal_contact(open_page, clinic)
    page.get_by_label("Phone", exact=True).fill("0712 445 901 or 0733 118 2")
    page.get_by_label("Address").fill("x" * 501)
    page.get_by_role("button", name="Save contact details").click()
    expect(page.locator("#error-summary")).to_be_focused()
    return page


def _typed_before_the_end(open_page, clinic) -> Page:
    """*Correct my contact details*, sent when the session is over: it waits on the sign-in page."""
    page = portal_contact(open_page, clinic)
    page.get_by_label("Address").fill("Plot 9, Oginga Odinga Street\nKisumu")
    whose = "SELECT id FROM accounts WHERE username LIKE 'drawn.page%'"
    clinic.sql(f"UPDATE login_sessions SET ended_at = last_seen_at WHERE account_id IN ({whose})")
    page.get_by_role("button", name="Save contact details").click()
    expect(page.get_by_text("What you typed is kept: sign in to go on.")).to_be_visible()
    return _heading(page, "Patient portal sign in")


@scene
def portal_login_with_a_kept_form(open_page, clinic):
    return _typed_before_the_end(open_page, clinic)


@scene
def portal_contact_kept(open_page, clinic):
    page = _typed_before_the_end(open_page, clinic)
    (email,) = clinic.sql("SELECT username FROM accounts WHERE username LIKE 'drawn.page%' ORDER BY id DESC LIMIT 1")[0]
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(factories.OWN_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("You were signed out before this was saved.")).to_be_visible()
    return _heading(page, "Correct my contact details")


@scene
def portal_contact_stale(open_page, clinic):
    page = portal_contact(open_page, clinic)
    page.get_by_label("Address").fill("Mine")
    clinic.sql("UPDATE patients SET version = version + 1, address = 'Theirs' WHERE first_name = 'Drawn'")
    page.get_by_role("button", name="Save contact details").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed this record")
    return page


@scene
def portal_record_email_waits(open_page, clinic):
    page = _own_page(open_page, clinic, "/patient-portal", "My record")
    username = page.get_by_text("You sign in with").inner_text().removeprefix("You sign in with ").removesuffix(".")
    clinic.link_to_confirm(username, "somebody.with.another.address@example.org")
    page.reload()
    expect(page.get_by_text("Confirm your new email")).to_be_visible()
    return page


@scene
def portal_confirm_email(open_page, clinic):
    page = open_page(path="/patient-portal/contact/confirm")
    page.get_by_label("Code from the message").fill("AAAA-AAAA-AAAA")
    page.get_by_role("button", name="Confirm this email").click()
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def portal_email_confirmed(open_page, clinic):
    clinic.with_own_password("drawn.confirms@example.org")
    code = clinic.link_to_confirm("drawn.confirms@example.org", "drawn.another@example.org")
    page = open_page(path=f"/patient-portal/contact/confirm#{code}")
    page.get_by_role("button", name="Confirm this email").click()
    return _heading(page, "Your email is confirmed")


@scene
def portal_views(open_page, clinic):
    return _own_page(open_page, clinic, "/patient-portal/views", "Who has viewed your record")


@scene
def portal_own_password(open_page, clinic):
    page = _own_page(open_page, clinic, "/patient-portal/password", "Change password")
    page.get_by_label("New password", exact=True).fill("lakeside tea time")
    expect(page.locator("#strength")).to_contain_text("It contains a name")
    return page


@scene
def portal_sessions(open_page, clinic):
    page = _own_page(open_page, clinic, "/patient-portal/sessions", "Where you are signed in")
    page.get_by_role("button", name="Sign out A browser").click()
    expect(page.get_by_text("A browser is signed out.")).to_be_visible()
    return page


@scene
def portal_download(open_page, clinic):
    page = _own_page(open_page, clinic, "/patient-portal/download", "Download my record")
    page.get_by_label("For another clinic's computer").check()
    page.get_by_role("button", name="Download my record").click()
    expect(page.locator("#error-summary")).to_be_focused()
    return page


@scene
def portal_record_sessions(open_page, clinic):
    email, phone = (
        "drawn.places@example.org",
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36",
    )
    clinic.with_own_password(email, first_name="Drawn", last_name="Places")
    for browser in ({"user_agent": phone}, {}):
        page = open_page(**browser)
        patient_sign_in(page, email, factories.OWN_PASSWORD)
        expect(page.get_by_text("This device", exact=True)).to_be_visible()
    return page


def _with_passkeys(clinic, username: str) -> None:
    """Two of them, one with a name that is hard to draw."""
    for name, used in (("Amina's phone", "2026-06-08 06:40:00.000000"), ("Schreibtischrechner" * 3, None)):
        clinic.sql(
            "INSERT INTO passkeys (account_id, credential_id, public_key, sign_count, name, created_at, used_at) "
            "SELECT id, ?, ?, 0, ?, '2026-06-02 08:00:00.000000', ? FROM accounts WHERE username = ?",
            crypto.new_token(), b"\0", name, used, username,
        )  # fmt: skip


def _passkeys(open_page, clinic, side: str, *, kept: bool = False, path: str = "", fresh: bool = True) -> Page:
    """*Passkeys* of somebody who has none, or two."""
    username = f"drawn.passkeys{next(_numbers)}{'@example.org' if side == 'portal' else ''}"
    if side == "portal":
        clinic.with_own_password(username)
    else:
        factories.make_staff(username=username)
    if kept:
        _with_passkeys(clinic, username)
    page = open_page(username)
    if not fresh:
        clinic.sql(
            "UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000' WHERE account_id IN "
            "(SELECT id FROM accounts WHERE username = ?)",
            username,
        )
    page.goto(("/patient-portal/passkeys" if side == "portal" else "/auth/passkeys") + path)
    return page


@scene
def portal_passkeys_none(open_page, clinic):
    return _heading(_passkeys(open_page, clinic, "portal"), "Passkeys")


@scene
def portal_passkeys(open_page, clinic):
    return _heading(_passkeys(open_page, clinic, "portal", kept=True), "Passkeys")


@scene
def portal_passkeys_remove(open_page, clinic):
    page = _passkeys(open_page, clinic, "portal", kept=True)
    page.get_by_role("link", name="Remove").first.click()
    expect(page.get_by_role("heading", name="Remove “Amina's phone”?")).to_be_focused()
    return page


@scene
def portal_passkeys_remove_with_password(open_page, clinic):
    page = _passkeys(open_page, clinic, "portal", kept=True, fresh=False)
    page.get_by_role("link", name="Remove").last.click()
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_label("Password")).to_be_focused()
    return page


@scene
def portal_passkey_add(open_page, clinic):
    return _heading(_passkeys(open_page, clinic, "portal", path="/add"), "Add a passkey")


@scene
def portal_passkey_add_failed(open_page, clinic):
    page = _passkeys(open_page, clinic, "portal", path="/add", fresh=False)
    page.evaluate("() => { fetch = async () => { throw new TypeError(); }; }")
    page.get_by_role("button", name="Add this passkey").click()
    expect(page.get_by_role("alert").filter(has_text="The passkey was not added.")).to_be_visible()
    return page


@scene
def staff_passkeys(open_page, clinic):
    return _heading(_passkeys(open_page, clinic, "staff", kept=True), "Passkeys")


@scene
def staff_passkeys_remove(open_page, clinic):
    page = _passkeys(open_page, clinic, "staff", kept=True)
    page.get_by_role("link", name="Remove").first.click()
    expect(page.get_by_role("heading", name="Remove “Amina's phone”?")).to_be_focused()
    return page


@scene
def confirm_with_passkey(open_page, clinic):
    username = f"drawn.confirms{next(_numbers)}"
    factories.make_staff(username=username)
    _with_passkeys(clinic, username)
    page = _heading(open_page(username, "/account/confirm"), "Confirm it is you")
    button = page.get_by_role("button", name="Confirm with a passkey")
    expect(button).to_be_visible()
    across = [one.bounding_box() for one in (button, page.get_by_role("button", name="Continue"))]
    assert len({one["width"] for one in across if one}) == 1, "it stands as a button"
    return page


@scene
def staff_passkey_add(open_page, clinic):
    return _heading(_passkeys(open_page, clinic, "staff", path="/add"), "Add a passkey")


# --- import and export ------------------------------------------------------------------------------

_IMPORTED = """external_id,first_name,last_name,date_of_birth,phone,blood_group,insurer
NY-1,Halima,Yusuf,14 Feb 1979,,A,x
NY-2,Moses,Barasa,1962,,,
NY-3,Konstantinos,Papadopoulos-Wanyama,14/3/1988,0712445901,,
NY-4,Peter,Kamau,31 Feb 1987,,,
NY-5,Zainab,Omar,3 Nov 1994,,,
NY-6,John,Ouko,9 Sep 2001,0722118340 / 0733118340,,
"""


def _import_page(open_page, clinic) -> Page:
    with db.transaction() as session:
        session.execute(delete(PATIENT_IMPORT_ROWS))
        session.execute(delete(PATIENT_IMPORTS))
    names = {"first_name": "Konstantinos", "last_name": "Papadopoulos-Wanyama", "date_of_birth": "14/3/1988"}
    factories.make_patient(clinic.desk, **names)
    return _heading(open_page("admin", "/admin/import"), "Import and export")


def _import_checked(open_page, clinic) -> Page:
    page = _import_page(open_page, clinic)
    file = {"name": "nyanza-clinic.csv", "mimeType": "text/csv", "buffer": _IMPORTED.encode()}
    page.get_by_label("CSV file with patients").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("button", name="Another file")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name=re.compile("^Import [0-9]+ patient"))).to_be_visible(timeout=30_000)
    return page


@scene
def import_start(open_page, clinic):
    page = _import_page(open_page, clinic)
    expect(page.get_by_text("Nothing was imported yet.")).to_be_visible()
    return page


@scene
def import_start_refused(open_page, clinic):
    page = _import_page(open_page, clinic)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Choose a file first.")).to_be_visible()
    return page


@scene
def import_preview(open_page, clinic):
    page = _import_checked(open_page, clinic)
    page.get_by_role("button", name=re.compile("^Same person")).first.click()
    expect(page.get_by_role("button", name=re.compile("link 1$"))).to_be_visible()
    return page


@scene
def import_running(open_page, clinic):
    page = _import_checked(open_page, clinic)
    now = clock.now()
    with db.transaction() as session:
        held = {
            "state": "IMPORTING",
            "position": 200,
            "imported": 2,
            "lease": "x 1 elsewhere",
            "import_started_at": now,
        }
        session.execute(update(PATIENT_IMPORTS).values(**held, leased_until=now + dt.timedelta(days=1)))
    page.reload()
    expect(page.get_by_role("progressbar", name="Importing patients")).to_be_visible()
    return page


@scene
def import_report(open_page, clinic):
    page = _import_checked(open_page, clinic)
    page.get_by_role("button", name=re.compile("^Import [0-9]+ patient")).click()
    expect(page.get_by_role("heading", name="Left out")).to_be_visible(timeout=30_000)
    return page


# --- drawing them -----------------------------------------------------------------------------------


#: Looked at each time; the others are slow: a page of each kind, a dialog, mistakes, and what is empty.
EACH_TIME = {
    "login",
    "login_refused",
    "reception",
    "patients",
    "patients_no_match",
    "register_mistakes",
    "registration",
    "registration_held",
    "registration_mistakes",
    "registered_with_portal",
    "profile_active",
    "profile_editing_details",
    "dialog_input",
    "patient_card",
    "portal_login",
    "portal_record",
    "portal_contact_mistakes",
    "pending",
    "portal_views",
    "portal_not_found",
    "portal_passkeys_remove",
}


@pytest.mark.parametrize(
    "name", [name if name in EACH_TIME else pytest.param(name, marks=pytest.mark.slow) for name in SCENES]
)
def test_it_is_accessible_and_fits(name, request, looks, open_page, clinic):
    make = SCENES[name]
    names = make.__code__.co_varnames[: make.__code__.co_argcount]
    page = make(**{one: request.getfixturevalue(one) for one in names})
    looks.everywhere(page, name, (320,) if name == "reception_menu" else (1280, 320))
