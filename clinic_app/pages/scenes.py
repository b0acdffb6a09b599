"""Every screen in every state at an address of its own, ``/look/<scene>``, with people who do not exist.

For pictures and for axe: never registered in the product itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import reflex as rx
import segno

from clinic_app.components import (
    data,
    feedback,
    forms,
    own_sessions,
    portal,
    screens_desk,
    screens_gate,
    screens_own,
    screens_patient,
    shell,
    slip,
    suggestions,
)
from clinic_app.core import routes
from clinic_app.states.shown import Access, DayBar, Fact, Happening, PatientRow, Person, Problem, SessionRow, Who

CLINIC = shell.Clinic(
    name="Lakeside Medical Centre",
    telephone="020 712 3456",
    telephone_uri="tel:+254207123456",
    hours="Monday to Saturday, 07:00 to 18:00",
    demo=True,
)
PLACES = (
    shell.Place("Reception", routes.RECEPTION, "house"),
    shell.Place("Patients", routes.PATIENTS, "users"),
)
ADDRESS = "portal.lakeside.example/patient-portal/login"
WRONG = "Incorrect username or password."
USERNAME = "amina.odhiambo@example.org"
PASSWORD = "hR7mWq4NxT9b"  # noqa: S105  nobody's
UNTIL = "Thursday 18 June 2026, 16:40"
SENT = f"Sign-in address and an activation link were sent to {USERNAME}. The password was not sent."


def _row(patient_id: str, name: str, born: str, age: str, phone: str, status: str, time: str = "") -> PatientRow:
    words = name.split()
    return PatientRow(
        id=int(patient_id[3:]),
        patient_id=patient_id,
        name=name,
        initials=(words[0][0] + words[1][0]).upper(),
        born=born,
        age=age,
        phone=phone,
        portal=status,
        line=f"{patient_id} · {time}",
        href=routes.profile(patient_id),
    )


PATIENTS = [
    _row("LMC004902", "Abdi Hassan Noor", "2 Jan 1990", "36 y", "0722 118 340", "active", "09:31"),
    _row("LMC004817", "Amina Odhiambo", "14 Mar 1988", "38 y", "0712 445 901", "none", "09:12"),
    _row("LMC003391", "Beatrice Chebet", "30 Nov 1961", "64 y", "0733 902 117", "active"),
    _row("LMC004866", "Baby of Mercy Akinyi", "9 Jun 2026", "7 days", "0701 556 238", "none", "09:18"),
    _row("LMC001204", "Daniel Kiprotich", "17 Aug 1975", "50 y", "0720 441 006", "temporary"),
    _row("LMC004655", "Esther Wangari Kamau", "5 May 2003", "23 y", "0745 313 872", "none"),
    _row("LMC002018", "Fatuma Ali", "", "", "", "off"),
    _row("LMC000731", "Joseph Mwangi", "21 Feb 1949", "77 y", "0711 280 954", "active", "08:44"),
    _row("LMC004718", "Konstantinos Papadopoulos-Wanyama", "12 Dec 1982", "43 y", "0799 605 430", "none", "08:57"),
    _row("LMC003977", "Lucy Atieno", "8 Apr 1996", "30 y", "0728 744 195", "locked"),
]
AMINA = PATIENTS[1]
COUNTS = (18, 24, 21, 9, 3, 27, 31, 26, 22, 29, 11, 4, 33, 14)
DAYS = [
    DayBar(str(day), f"{day} June", count, f"{count / max(COUNTS) * 100:.0f}%", day == 16)
    for day, count in enumerate(COUNTS, 3)
]
PERSON = Person(
    id=4817,
    patient_id=AMINA.patient_id,
    name=AMINA.name,
    initials=AMINA.initials,
    born="14 Mar 1988 (38 y)",
    gender="Female",
    phone=AMINA.phone,
)
DETAILS = [
    Fact("First name", "Amina"),
    Fact("Last name", "Odhiambo"),
    Fact("Date of birth", "14 Mar 1988 (38 y)"),
    Fact("Gender", "Female"),
    Fact("National ID", "2784 1190"),
    Fact("Verification", "Verified", "good", "check"),
    Fact("Registered", "2 Jun 2026, 11:28 by Daniel Otieno"),
]
CONTACT = [
    Fact("Phone", AMINA.phone),
    Fact("Email", USERNAME),
    Fact("Address", ""),
    Fact("Next of kin", "Peter Odhiambo"),
    Fact("Next of kin phone", "0722 910 448"),
]
ACTIVITY = [
    Happening("eye", "Profile opened by Grace Wanjiru", "Today, 09:14"),
    Happening("pencil", "Phone changed by Grace Wanjiru", "Today, 09:12"),
    Happening("key-round", "Portal account created by Daniel Otieno", "2 Jun 2026, 11:31"),
    Happening("user-plus", "Registered by Daniel Otieno", "2 Jun 2026, 11:28"),
]
VIEWERS = [
    Happening("eye", "Grace Wanjiru, reception, opened your record", "Today, 09:14"),
    Happening("eye", "Grace Wanjiru, reception, changed your phone number", "Today, 09:12"),
    Happening("eye", "Daniel Otieno, reception, registered you", "2 Jun 2026, 11:28"),
]
SESSIONS = [
    SessionRow(3, "Chrome on Android", "Signed in today at 09:40, last active today at 09:52, from 203.0.113.7", True),
    SessionRow(2, "Firefox on Windows", "Signed in today at 09:02, last active today at 09:31, from 198.51.100.24"),
    SessionRow(1, "Safari on iPad", "Signed in today at 08:55, last active today at 09:11, from 198.51.100.24"),
]
MISTAKES = {
    "last_name": "Last name is required.",
    "phone": "Phone must be a phone number of Kenya, for example 0712 345 678.",
    "portal_email": "Email is required when creating a patient portal account.",
}


def _var(value: Any) -> rx.Var:
    """What a state would hold: so that the drawn states go the way of the real ones."""
    return rx.Var.create(value)


GRACE = _var(Who("Grace Wanjiru", "GW", "Receptionist", may_register=True))


def _qr() -> str:
    """The sign-in address as an SVG data URI: sharp on every printer, no request."""
    return segno.make("https://" + ADDRESS, error="m").svg_data_uri(border=0, dark="#111", omitsize=True)


def _desk(*children: Any, current: str = "", who: Any = GRACE, **props: Any) -> rx.Component:
    return shell.staff_shell(*children, clinic=CLINIC, places=PLACES, who=who, current=current, **props)


def _gate(*children: Any) -> rx.Component:
    return shell.gate_shell(*children, clinic=CLINIC)


def _own(*children: Any, signed_in: bool = True) -> rx.Component:
    return shell.portal_shell(*children, clinic=CLINIC, signed_in=signed_in)


def login(error: str = "") -> rx.Component:
    """Staff sign in."""
    return _gate(screens_gate.staff_sign_in_body(error=error, username="grace" if error else ""))


def _search_open() -> rx.Component:
    def hit(patient: PatientRow, before: str, hit: str, after: str) -> PatientRow:
        return PatientRow(**{**vars(patient), "before": before, "hit": hit, "after": after})

    rows = [
        hit(PATIENTS[7], "Joseph M", "wan", "gi"),
        hit(PATIENTS[8], "Konstantinos Papadopoulos-", "Wan", "yama"),
        hit(PATIENTS[5], "Esther ", "Wan", "gari Kamau"),
    ]
    popup = suggestions.suggestions(_var(rows), shown=True, count="3 patients")
    return forms.search_field(default_value="wan", auto_focus=True, shortcut=False, popup=popup)


def reception(searching: bool = False) -> rx.Component:
    """What today looks like."""
    body = screens_desk.reception_body(
        today="Tuesday 16 June 2026",
        figures=(
            data.stat("Registered today", "14", "33 yesterday"),
            data.stat("Portal uptake", "62%", "of 4,903 patients", feedback.meter("62%", "62 percent")),
            data.stat("Waiting for verification", "3", "oldest since 08:05"),
        ),
        days=_var(DAYS),
        days_label="Registrations per day, 3 to 16 June 2026",
        days_range="3 to 16 June",
        latest=_var([PATIENTS[index] for index in (0, 3, 1, 8, 7)]),
        may_register=GRACE.may_register,
    )
    return _desk(body, current="Reception", register=False, search=_search_open() if searching else True)


def patients(mode: str = "rows") -> rx.Component:
    """The list, and what is shown instead of it."""
    term = "Akinyi Wambui" if mode == "none" else ""
    body = screens_desk.patients_body(
        mode=_var(mode),
        search=forms.search_field(default_value=term),
        rows=_var(PATIENTS),
        action=lambda patient: portal.portal_action(patient, may_create=GRACE.may_register),
        sort=_var("name"),
        descending=_var(False),
        summary="1–10 of 4,903 patients",
        page=1,
        pages=491,
        at_start=True,
        at_end=False,
        may_register=GRACE.may_register,
        term=term,
    )
    return _desk(body, current="Patients", search=None, register=False)


def register(wrong: bool = False) -> rx.Component:
    """The registration form, blank and with mistakes."""
    typed = {"first_name": "Amina", "date_of_birth": "14/3/1988", "gender": "FEMALE", "phone": "07124459"}
    body = screens_patient.registration_body(
        values=_var(typed if wrong else {"gender": "UNKNOWN"}),
        errors=_var(MISTAKES if wrong else {"first_name": ""}),
        problems=_var([Problem(*mistake) for mistake in MISTAKES.items()]) if wrong else [],
        born_date="14 Mar 1988" if wrong else "",
        born_age="38 years old" if wrong else "",
        with_portal=wrong,
    )
    return _desk(body, current="Patients", register=False)


def registered(with_portal: bool = True) -> rx.Component:
    """After a registration; with portal, the credentials first."""
    message = "Patient registered successfully" + (" with portal account" if with_portal else "")
    body = screens_patient.registered_body(patient=_var(AMINA), message=message)
    return _desk(body, *([_success()] if with_portal else []), current="Patients", register=False)


def _access(status: str) -> Access:
    return Access(
        portal=status,
        username="" if status == "none" else USERNAME,
        expires_in="31 hours",
        expires_at="Fri 12 Jun, 16:40" if status == "expired" else "Thu 18 Jun, 16:40",
        locked_until="17:05",
        last_sign_in="yesterday at 19:42",
        turned_off="2 Jun 2026 by Daniel Otieno",
    )


def profile(status: str = "none", dialog: rx.Component | None = None) -> rx.Component:
    """A patient, with the portal card in each of its six states."""
    body = screens_patient.profile_body(
        person=_var(PERSON),
        details=_var(DETAILS),
        contact=_var(CONTACT),
        access=portal.access_panel(
            _var(_access(status)),
            create=portal.portal_account_button(has_access=False, variant="primary"),
            may_change=GRACE.may_register,
        ),
        activity=_var(ACTIVITY),
    )
    return _desk(body, *([dialog] if dialog else []), current="Patients")


def dialog(**state: Any) -> rx.Component:
    """The dialog before the account exists."""
    state = {"email": USERNAME, "phone": AMINA.phone, **state}
    step = portal.input_step(name=_var(AMINA.name), **state)
    return profile(dialog=portal.portal_dialog(step, open=True))


def _success() -> rx.Component:
    step = portal.success_step(
        clinic=CLINIC,
        name=_var(AMINA.name),
        username=USERNAME,
        password=_var(PASSWORD),
        until=UNTIL,
        address=ADDRESS,
        sent=SENT,
        qr=_qr(),
    )
    return portal.portal_dialog(step, open=True, stays=_var(True))


def dialog_success() -> rx.Component:
    """The dialog with the credentials."""
    return profile("temporary", _success())


def slip_preview(paper: str = "a5") -> rx.Component:
    """One slip as it leaves the printer."""
    one = slip.slip(
        clinic=CLINIC,
        name=AMINA.name,
        username=USERNAME,
        password=PASSWORD,
        until=UNTIL,
        address=ADDRESS,
        qr=_qr(),
        paper=paper,
    )
    head = rx.el.h1("Credential slip", class_name="sr no-print")
    return rx.el.div(rx.el.main(head, one, class_name="paper"), class_name="app")


def portal_login(error: str = "") -> rx.Component:
    """Patient sign in."""
    return _own(screens_own.patient_sign_in_body(error=error, email=USERNAME if error else ""), signed_in=False)


def choose_password(drawn: tuple[int, str, str, str] = (0, "", "", "")) -> rx.Component:
    """Choose your password."""
    return _own(screens_own.choose_password_body(minimum=15, username=USERNAME, drawn=drawn))


def my_record(sessions: int = 1) -> rx.Component:
    """What the patient sees, signed in here alone or in more places."""
    own = [
        Fact("Name", AMINA.name),
        Fact("Patient ID", AMINA.patient_id),
        Fact("Date of birth", AMINA.born),
        Fact("Gender", "Female"),
    ]
    return _own(
        screens_own.my_record_body(
            first_name="Amina",
            details=_var(own),
            contact=_var(CONTACT),
            viewers=_var(VIEWERS),
            sessions=own_sessions.sessions_list(
                sessions=_var(SESSIONS[:sessions]),
                notice="",
                failure="",
                on_end=lambda _: rx.noop(),
                size="4",
                wide=True,
            ),
        )
    )


def no_rights() -> rx.Component:
    """A page of somebody else's."""
    ruth = _var(Who("Ruth Mbeki", "RM", "Clinician"))
    reason = "Registering patients is for receptionists and administrators."
    return _desk(screens_gate.no_rights_body(reason=reason, who=ruth), who=ruth)


WEAK = (
    2,
    "Could be stronger",
    "It holds the clinic's name. Add two more words that have nothing to do with each other.",
    "lakeside tea time",
)
STRONG = (3, "Strong", "Hard to guess and easy to remember.", "green lorry quiet Tuesday")

SCENES: dict[str, tuple[str, Callable[[], rx.Component]]] = {
    "login": ("Staff sign in", login),
    "login-error": ("Staff sign in", partial(login, WRONG)),
    "reception": ("Reception", reception),
    "reception-search": ("Reception", partial(reception, True)),
    "patients": ("Patients", patients),
    "patients-loading": ("Patients", partial(patients, "loading")),
    "patients-empty": ("Patients", partial(patients, "empty")),
    "patients-no-match": ("Patients", partial(patients, "none")),
    "register": ("Patient registration", register),
    "register-errors": ("Patient registration", partial(register, True)),
    "registered": ("Patient registration", partial(registered, False)),
    "registered-portal": ("Patient registration", registered),
    "profile-none": ("Patient profile", profile),
    "profile-active": ("Patient profile", partial(profile, "active")),
    "profile-temporary": ("Patient profile", partial(profile, "temporary")),
    "profile-expired": ("Patient profile", partial(profile, "expired")),
    "profile-locked": ("Patient profile", partial(profile, "locked")),
    "profile-off": ("Patient profile", partial(profile, "off")),
    "dialog-input": ("Patient profile", dialog),
    "dialog-loading": ("Patient profile", partial(dialog, busy=True)),
    "dialog-error": (
        "Patient profile",
        partial(
            dialog,
            email="info@example.org",
            error="A portal account with this email already exists. Please use a different email.",
        ),
    ),
    "dialog-failure": (
        "Patient profile",
        partial(
            dialog,
            failure="Failed to create patient portal account",
            failure_detail="Please try again. Reference: 7f3a91c2",
        ),
    ),
    "dialog-success": ("Patient profile", dialog_success),
    "slip-a5": ("Credential slip", slip_preview),
    "slip-roll": ("Credential slip", partial(slip_preview, "roll")),
    "portal-login": ("Patient portal sign in", portal_login),
    "portal-login-error": ("Patient portal sign in", partial(portal_login, WRONG)),
    "portal-expired": (
        "Temporary password expired",
        lambda: _own(screens_own.expired_body(clinic=CLINIC), signed_in=False),
    ),
    "portal-password": ("Choose your password", partial(choose_password, WEAK)),
    "portal-password-strong": ("Choose your password", partial(choose_password, STRONG)),
    "portal-record": ("My record", my_record),
    "portal-record-sessions": ("My record", partial(my_record, 3)),
    "not-found": ("Page not found", lambda: _gate(screens_gate.not_found_body())),
    "no-rights": ("No access", no_rights),
}


def add_scenes(app: rx.App) -> None:
    """Register every scene as a page of ``app``."""
    for name, (title, build) in SCENES.items():
        app.add_page(build, route=f"/look/{name}", title=f"{title} · {CLINIC.name}")
