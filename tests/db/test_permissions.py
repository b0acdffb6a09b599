"""Who may do what: every use case with every kind of actor."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

import clinic_app.services
from clinic_app.core import clock
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.services import access
from clinic_app.services.access import Actor
from clinic_app.services.accounts import drafts, own_sessions, passkey_confirmation, passkeys, shown, staff, two_factor
from clinic_app.services.accounts.errors import CredentialsSeen, PasskeyNotAdded, PasskeyNotConfirmed, PasskeyNotFound
from clinic_app.services.accounts.passphrase import suggest_passphrase
from clinic_app.services.accounts.passwords import assess_password, choose_password
from clinic_app.services.accounts.reauthentication import check_fresh
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.accounts.staff import create_staff
from clinic_app.services.audit.browsing import AuditQuery, browse_audit
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.proving import prove_audit
from clinic_app.services.patients import merging, pair_finding, pairs
from clinic_app.services.patients.activity import all_activity
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.duplicates import Comparable
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.duplicates.showing import possible_duplicates
from clinic_app.services.patients.errors import NobodyWaits, NotAPair, NotMerged
from clinic_app.services.patients.exporting import export_patients, export_record, exportable
from clinic_app.services.patients.forms import PatientQuery, PatientRegistration, PatientUpdate
from clinic_app.services.patients.household import household_of
from clinic_app.services.patients.importing import runs as imports
from clinic_app.services.patients.importing.csv_file import Survey
from clinic_app.services.patients.importing.dry_run import check_file
from clinic_app.services.patients.importing.errors import NoSuchImport
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.opened_last import opened_last
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import kept_patient, reread_patient, update_patient, view_patient
from clinic_app.services.patients.registration import begin_registration, register_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.verification import (
    Rejection,
    count_waiting,
    last_link,
    link_registration,
    list_pending,
    list_waiting,
    reject_registration,
    undo_link,
    verify_patient,
)
from clinic_app.services.portal import bulk_choice, bulk_export, bulk_runs, invitations, provisioning, slips
from clinic_app.services.portal.bulk import create_portal_accounts
from clinic_app.services.portal.errors import CannotSend, NoEmailWaits, NoSlips
from clinic_app.services.portal.forms import (
    AddressCorrection,
    ChangePortalUsername,
    HandOver,
    OwnContactCorrection,
    PortalAccountRequest,
)
from clinic_app.services.portal.handing_over import record_hand_over
from clinic_app.services.portal.own_contact import correct_own_contact, own_contact
from clinic_app.services.portal.own_email import keep_old_email, send_again
from clinic_app.services.portal.own_record import download_own_record, own_record, own_viewings
from clinic_app.services.portal.work_list import count_stuck, list_stuck
from tests import factories
from tests.db import tools

_numbers = itertools.count(1)
STAFF = {"ADMIN", "RECEPTIONIST", "CLINICIAN"}
DESK = {"ADMIN", "RECEPTIONIST"}
KINDS = ["ADMIN", "RECEPTIONIST", "CLINICIAN", "PATIENT", "TEMPORARY", "ANONYMOUS"]
PORTAL_WORDS = "Only receptionists and administrators can create portal accounts."
CHOOSE_FIRST = "Choose a password of your own first."


@dataclass
class World:
    """What use cases are tried on: fresh for each try."""

    plain: int
    with_portal: int
    staff: int

    def username(self) -> str:
        """Of the staff account."""
        return tools.raw("SELECT username FROM accounts WHERE id = :id", id=self.staff)[0][0]


def _email() -> str:
    return f"somebody{next(_numbers)}@example.org"


def _refused(error: type[Exception], use_case: Callable[..., Any], *args: Any, **how: Any) -> None:
    """Let in, and refused for another reason."""
    with pytest.raises(error):
        use_case(*args, **how)


def _nothing_to_issue_anew(reissue: Callable[[Actor, str], Any], actor: Actor) -> None:
    """For a press that nobody made."""
    with pytest.raises(CredentialsSeen):
        reissue(actor, "0" * 32)


def _nothing_waits(actor: Actor) -> None:
    """For a patient who has given no other email."""
    with pytest.raises(NoEmailWaits):
        send_again(actor)


STAFF_ACCOUNTS: dict[str, Callable[[Actor, World], Any]] = {
    "create_staff_with_temporary_password": lambda a, w: staff.create_staff_with_temporary_password(
        a, f"staff{next(_numbers)}", "New Person", "CLINICIAN"
    ),
    "list_staff": lambda a, w: staff.list_staff(a),
    "staff_id": lambda a, w: staff.staff_id(a, w.username()),
    "change_role": lambda a, w: staff.change_role(a, w.staff, "CLINICIAN"),
    "disable_staff": lambda a, w: staff.disable_staff(a, w.staff),
    "enable_staff": lambda a, w: staff.enable_staff(a, w.staff),
    "reset_staff_password": lambda a, w: staff.reset_staff_password(a, w.staff),
    "reissue_staff_credentials": lambda a, w: _nothing_to_issue_anew(staff.reissue_staff_credentials, a),
    "reset_two_factor": lambda a, w: staff.reset_two_factor(a, w.staff),
    "unlock_account": lambda a, w: staff.unlock_account(a, w.staff),
    "note_staff_printed": lambda a, w: staff.note_staff_printed(a, w.staff),
}


#: Use case → (how it is called, who may, what the others are told, the permission in the trail).
def _eligible(actor: Actor) -> bulk_choice.Chosen:
    """Where the actor may, there is somebody to give an account to."""
    if actor.can(access.Permission.PORTAL_BULK):
        factories.make_patient(access.SYSTEM, email=_email())
    return bulk_choice.Chosen()


def _run(actor: Actor, *, stopped: bool = False) -> int:
    """A run, where the actor may do something with it."""
    if not actor.can(access.Permission.PORTAL_BULK):
        return 1
    run = bulk_runs.start_run(access.SYSTEM, _eligible(actor))
    if stopped:
        bulk_runs.stop_run(access.SYSTEM, run)
    return run


_SURVEY = Survey(1, "d" * 64, ",", ("first_name", "last_name"), (), 0, 1, (0, 0, 0))

MATRIX: dict[str, tuple[Callable[[Actor, World], Any], set[str], str, str]] = {
    "register_patient": (
        lambda a, w: register_patient(a, PatientRegistration.parse(factories.registration()), despite=ANYBODY),
        DESK,
        "Only receptionists and administrators can register patients.",
        "patient:register",
    ),
    "begin_registration": (
        lambda a, w: begin_registration(a, PatientRegistration.parse(factories.registration()), despite=ANYBODY),
        DESK,
        "Only receptionists and administrators can register patients.",
        "patient:register",
    ),
    "register_patient with portal": (
        lambda a, w: register_patient(
            a,
            PatientRegistration.parse(factories.registration(create_portal_account=True, portal_email=_email())),
            despite=ANYBODY,
        ),
        DESK,
        "Only receptionists and administrators can register patients.",
        "patient:register",
    ),
    "possible_duplicates": (
        lambda a, w: possible_duplicates(a, Comparable("Amina", "Odhiambo")),
        DESK,
        "Only receptionists and administrators can register patients.",
        "patient:register",
    ),
    "list_patients": (
        lambda a, w: list_patients(a, PatientQuery(term="odhiambo")),
        STAFF,
        "Only staff can see patients.",
        "patient:see",
    ),
    **{
        name: (call, DESK, "Only receptionists and administrators can see work lists.", "work-lists")
        for name, call in (
            ("count_stuck", lambda a, w: count_stuck(a)),
            ("list_stuck", lambda a, w: list_stuck(a)),
        )
    },
    **{
        name: (call, {"ADMIN"}, "Only administrators can create portal accounts in bulk.", "portal:bulk")
        for name, call in (
            ("preview_run", lambda a, w: bulk_choice.preview_run(a, bulk_choice.Chosen())),
            ("start_run", lambda a, w: bulk_runs.start_run(a, _eligible(a))),
            ("stop_run", lambda a, w: bulk_runs.stop_run(a, _run(a))),
            ("continue_run", lambda a, w: bulk_runs.continue_run(a, _run(a, stopped=True))),
            ("report_run", lambda a, w: bulk_runs.report_run(a, _run(a))),
            ("export_run", lambda a, w: bulk_export.export_run(a, _run(a))),
            ("make_slips", lambda a, w: _refused(NoSlips, slips.make_slips, a, 0, undelivered=False)),
        )
    },
    **{
        name: (call, {"ADMIN"}, "Only administrators can import patients.", "patient:import")
        for name, call in (
            ("begin_upload", lambda a, w: imports.begin_upload(a, "x.csv", 1)),
            ("receive_part", lambda a, w: _refused(NoSuchImport, imports.receive_part, a, 0, 0, b"x")),
            ("begin_file", lambda a, w: imports.begin_file(a, "x.csv", _SURVEY)),
            ("decide_row", lambda a, w: _refused(NoSuchImport, imports.decide_row, a, 0, 2, "LEAVE_OUT")),
            ("decide_rest", lambda a, w: _refused(NoSuchImport, imports.decide_rest, a, 0, import_them=True)),
            ("discard_import", lambda a, w: _refused(NoSuchImport, imports.discard_import, a, 0)),
            ("start_import", lambda a, w: _refused(NoSuchImport, imports.start_import, a, 0)),
            ("stop_import", lambda a, w: _refused(NoSuchImport, imports.stop_import, a, 0)),
            ("continue_import", lambda a, w: _refused(NoSuchImport, imports.continue_import, a, 0)),
            ("latest_import", lambda a, w: imports.latest_import(a)),
            ("earlier_imports", lambda a, w: imports.earlier_imports(a)),
            ("view_import", lambda a, w: _refused(NoSuchImport, imports.view_import, a, 0)),
            ("export_report", lambda a, w: _refused(NoSuchImport, imports.export_report, a, 0)),
            ("rows_left_out", lambda a, w: _refused(NoSuchImport, imports.rows_left_out, a, 0)),
            ("check_file", lambda a, w: check_file(a, Path("x.csv"), _SURVEY)),
        )
    },
    **{
        name: (call, {"ADMIN"}, "Only administrators can export patients.", "patient:export")
        for name, call in (
            ("exportable", lambda a, w: exportable(a)),
            ("export_patients", lambda a, w: export_patients(a)),
            ("export_record", lambda a, w: export_record(a, w.plain)),
        )
    },
    **{
        name: (
            call,
            DESK,
            "Only receptionists and administrators can see and merge possible duplicates.",
            "patient:duplicates",
        )
        for name, call in (
            ("count_pairs", lambda a, w: pairs.count_pairs(a)),
            ("list_pairs", lambda a, w: pairs.list_pairs(a)),
            ("duplicates_of", lambda a, w: pairs.duplicates_of(a, w.plain)),
            ("say_not_duplicate", lambda a, w: pairs.say_not_duplicate(a, w.plain, w.with_portal)),
            (
                "take_back_not_duplicate",
                lambda a, w: _refused(NotAPair, pairs.take_back_not_duplicate, a, w.plain, w.with_portal),
            ),
            ("compare_everybody", lambda a, w: pair_finding.compare_everybody(a)),
            ("compare_records", lambda a, w: merging.compare_records(a, w.plain, w.with_portal)),
            ("merge_patients", lambda a, w: merging.merge_patients(a, w.plain, MergeRequest(w.with_portal))),
            ("undo_merge", lambda a, w: _refused(NotMerged, merging.undo_merge, a, w.plain)),
        )
    },
    "opened_last": (lambda a, w: opened_last(a), STAFF, "Only staff can see patients.", "patient:see"),
    "overview": (lambda a, w: overview(a), STAFF, "Only staff can see patients.", "patient:see"),
    "view_patient": (lambda a, w: view_patient(a, w.plain), STAFF, "Only staff can see patients.", "patient:see"),
    "patient_card": (lambda a, w: patient_card(a, w.plain), STAFF, "Only staff can see patients.", "patient:see"),
    "all_activity": (lambda a, w: all_activity(a, w.plain), STAFF, "Only staff can see patients.", "patient:see"),
    "household_of": (
        lambda a, w: household_of(a, w.plain),
        DESK,
        "Only receptionists and administrators can register patients.",
        "patient:register",
    ),
    "kept_patient": (
        lambda a, w: kept_patient(a, w.plain),
        DESK,
        "Only receptionists and administrators can edit patients.",
        "patient:edit",
    ),
    "reread_patient": (lambda a, w: reread_patient(a, w.plain), STAFF, "Only staff can see patients.", "patient:see"),
    "update_patient": (
        lambda a, w: update_patient(a, w.plain, PatientUpdate.parse({"first_name": "Zed"})),
        DESK,
        "Only receptionists and administrators can edit patients.",
        "patient:edit",
    ),
    "create_portal_account": (
        lambda a, w: provisioning.create_portal_account(a, w.plain, PortalAccountRequest(_email())),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "reset_portal_password": (
        lambda a, w: provisioning.reset_portal_password(a, w.with_portal),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "reissue_credentials": (
        lambda a, w: _nothing_to_issue_anew(provisioning.reissue_credentials, a),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "change_portal_username": (
        lambda a, w: provisioning.change_portal_username(a, w.with_portal, ChangePortalUsername(_email())),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "resend_invitation": (
        lambda a, w: _refused(CannotSend, invitations.resend_invitation, a, w.with_portal),  # nothing is set up
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "correct_address": (
        lambda a, w: invitations.correct_address(a, w.with_portal, AddressCorrection(email=_email())),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "record_hand_over": (
        lambda a, w: record_hand_over(a, w.with_portal, HandOver.IN_PERSON),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "turn_off_portal": (
        lambda a, w: provisioning.turn_off_portal(a, w.with_portal),
        DESK,
        PORTAL_WORDS,
        "portal:manage",
    ),
    "turn_on_portal": (lambda a, w: provisioning.turn_on_portal(a, w.with_portal), DESK, PORTAL_WORDS, "portal:manage"),
    "unlock_portal": (lambda a, w: provisioning.unlock_portal(a, w.with_portal), DESK, PORTAL_WORDS, "portal:manage"),
    "note_printed": (lambda a, w: provisioning.note_printed(a, w.with_portal), DESK, PORTAL_WORDS, "portal:manage"),
    "list_pending": (
        lambda a, w: list_pending(a),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "list_waiting": (
        lambda a, w: list_waiting(a),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "count_waiting": (
        lambda a, w: count_waiting(a),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "last_link": (
        lambda a, w: last_link(a),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "link_registration": (
        lambda a, w: _refused(NobodyWaits, link_registration, a, 2**30 + 9999, w.plain),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "undo_link": (
        lambda a, w: _refused(NobodyWaits, undo_link, a, 2**30 + 9999),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "reject_registration": (
        lambda a, w: _refused(NobodyWaits, reject_registration, a, 2**30 + 9999, Rejection("OTHER")),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "verify_patient": (
        lambda a, w: verify_patient(a, w.plain),
        DESK,
        "Only receptionists and administrators can verify patients.",
        "patient:verify",
    ),
    "create_portal_accounts": (
        lambda a, w: create_portal_accounts(a, [w.plain]),
        {"ADMIN"},
        "Only administrators can create portal accounts in bulk.",
        "portal:bulk",
    ),
    "browse_audit": (
        lambda a, w: browse_audit(a, AuditQuery()),
        {"ADMIN"},
        "Only administrators can read the audit trail.",
        "audit:see",
    ),
    "export_audit": (
        lambda a, w: export_audit(a, AuditQuery()),
        {"ADMIN"},
        "Only administrators can read the audit trail.",
        "audit:see",
    ),
    "prove_audit": (
        lambda a, w: prove_audit(a, AuditQuery()),
        {"ADMIN"},
        "Only administrators can read the audit trail.",
        "audit:see",
    ),
    "create_staff": (
        lambda a, w: create_staff(a, f"staff{next(_numbers)}", "New Person", "RECEPTIONIST", factories.PASSWORD),
        {"ADMIN"},
        "Only administrators can manage staff accounts.",
        "staff:manage",
    ),
    **{
        name: (call, {"ADMIN"}, "Only administrators can manage staff accounts.", "staff:manage")
        for name, call in STAFF_ACCOUNTS.items()
    },
    **{
        name: (call, {*STAFF, "PATIENT", "TEMPORARY"}, "", permission)
        for name, call, permission in (
            ("list_own_sessions", lambda a, w: own_sessions.list_own_sessions(a), "own:session"),
            ("sign_out_everywhere", lambda a, w: own_sessions.sign_out_everywhere(a), "own:session"),
            ("take_failed_tries", lambda a, w: own_sessions.take_failed_tries(a), "own:session"),
            ("confirm_shown", lambda a, w: shown.confirm_shown(a, "a" * 32, "nobody@example.org", "0"), "own:session"),
            ("check_fresh", lambda a, w: check_fresh(replace(a, proved_at=clock.now())), "own:session"),
            ("suggest_passphrase", lambda a, w: suggest_passphrase(a), "own:password"),
        )
    },
    **{
        name: (call, STAFF, "Two-factor sign-in is for staff.", "own:second-factor")
        for name, call in (
            ("own_two_factor", lambda a, w: two_factor.own_two_factor(a)),
            ("begin_two_factor", lambda a, w: two_factor.begin_two_factor(a)),
            ("show_two_factor", lambda a, w: two_factor.show_two_factor(a)),
        )
    },
    **{
        name: (call, {*STAFF, "PATIENT"}, "", "own:passkeys")
        for name, call in (
            ("own_passkeys", lambda a, w: passkeys.own_passkeys(a)),
            ("begin_adding_passkey", lambda a, w: passkeys.begin_adding_passkey(a, "Phone")),
            (
                "finish_adding_passkey",
                lambda a, w: _refused(PasskeyNotAdded, passkeys.finish_adding_passkey, a, "P", ""),
            ),
            ("remove_passkey", lambda a, w: _refused(PasskeyNotFound, passkeys.remove_passkey, a, 0)),
            (
                "begin_confirming_with_passkey",
                lambda a, w: _refused(PasskeyNotFound, passkey_confirmation.begin_confirming_with_passkey, a),
            ),
            (
                "confirm_with_passkey",
                lambda a, w: _refused(
                    PasskeyNotConfirmed, passkey_confirmation.confirm_with_passkey, a, "", session_token_hash=""
                ),
            ),
        )
    },
    **{
        name: (call, DESK, "Only receptionists and administrators can register patients.", "patient:register")
        for name, call in (
            ("save_draft", lambda a, w: drafts.save_draft(a, "registration", "a" * 32, {"first_name": "A"})),
            ("offered_drafts", lambda a, w: drafts.offered_drafts(a, "registration")),
            ("continue_draft", lambda a, w: drafts.continue_draft(a, "registration", "a" * 32)),
            ("discard_draft", lambda a, w: drafts.discard_draft(a, "registration", "a" * 32)),
        )
    },
    **{
        name: (call, {"PATIENT"}, "Only patients have a record of their own here.", "own:record")
        for name, call in (
            ("own_viewings", lambda a, w: own_viewings(a)),
            ("download_own_record", lambda a, w: download_own_record(a, factories.OWN_PASSWORD)),
            ("keep_old_email", lambda a, w: keep_old_email(a)),
            ("send_again", lambda a, w: _nothing_waits(a)),
            ("own_contact", lambda a, w: own_contact(a)),
            (
                "correct_own_contact",
                lambda a, w: correct_own_contact(a, OwnContactCorrection.parse({"address": "Plot 5"}, 1)),
            ),
        )
    },
    "own_record": (
        lambda a, w: own_record(a),
        {"PATIENT"},
        "Only patients have a record of their own here.",
        "own:record",
    ),
    "assess_password": (
        lambda a, w: assess_password(a, "seven amber kettles"),
        {*STAFF, "PATIENT", "TEMPORARY"},
        "",
        "own:password",
    ),
}
#: Checked by tests of their own, or no use cases: the check itself, what is noted of failures, what wraps a use case.
ELSEWHERE = {
    "choose_password",
    "demand",
    "happened",  # what became of one's own press
    "transaction",
    "record_alone",
    "record_shown",
    "counted",
    "note",
    "note_repeated",
    "give_account",
    "mark_seen",
    "outcome",
    "start",  # where somebody begins: asks nothing of the database
    "note_failure",
    "note_refusal",
    "note_or_count_refusal",
    "recorded_failure",
    "refusal_recorded",
    "once",
    "end_tokens",
    "seed_demo",
    "demand_fresh",
    "check_own_password",
    "change_password",
    "reauthenticate",
    "end_own_session",
    "confirm_two_factor",
    "renew_recovery_codes",
    "turn_off_two_factor",
}


@pytest.fixture
def actors(people) -> dict[str, Actor]:
    """An actor of each kind."""
    made = factories.make_patient(people.receptionist, portal_email=_email())
    assert made.credentials is not None
    temporary = sign_in(PATIENT_DOOR, made.credentials.username, made.credentials.temporary_password).actor
    kinds = {
        "ADMIN": people.admin,
        "RECEPTIONIST": people.receptionist,
        "CLINICIAN": people.clinician,
        "PATIENT": people.patient,
        "TEMPORARY": temporary,
    }
    just_now = {kind: replace(actor, proved_at=clock.now()) for kind, actor in kinds.items()}
    return {**just_now, "ANONYMOUS": people.anonymous}


@pytest.mark.asvs("8.1.1", "8.2.1", "8.3.1", "16.3.2")
@pytest.mark.parametrize("use_case", MATRIX)
def test_each_role_may_do_exactly_what_the_specification_says(actors, use_case):
    call, allowed, words, permission = MATRIX[use_case]
    for kind in KINDS:
        desk, actor = actors["RECEPTIONIST"], actors[kind]
        world = World(
            factories.make_patient(desk).patient.id,
            factories.make_patient(desk, portal_email=_email()).patient.id,
            factories.make_staff().account_id or 0,
        )
        seq, before = tools.last_seq(), tools.dump(without=tools.TRAIL)
        if kind in allowed:
            call(actor, world)
            assert not [row for row in tools.trail(after=seq) if row["action"] == "ACCESS_DENIED"], kind
            continue
        with pytest.raises(AuthenticationRequired if kind == "ANONYMOUS" else PermissionDenied) as caught:
            call(actor, world)
        told = {"ANONYMOUS": "Please sign in.", "TEMPORARY": CHOOSE_FIRST}.get(kind, words)
        assert caught.value.detail == told, kind
        assert tools.dump(without=tools.TRAIL) == before, kind
        events = tools.trail(after=seq)
        assert len(events) == 1, kind
        event = events[0]
        assert (event["action"], event["outcome"]) == ("ACCESS_DENIED", "denied")
        counted = {"count": 1, "minute": ANY} if kind == "ANONYMOUS" else {}
        assert event["metadata"] == {"permission": permission, **counted}
        assert (event["actor"], event["actor_id"]) == (actor.kind, actor.account_id)
        assert event["role"] == ("UNKNOWN" if kind == "ANONYMOUS" else actor.role)
        device = "" if kind == "ANONYMOUS" else "pytest"  # of several, where they are counted
        assert (event["address"], event["user_agent"]) == ("203.0.113.7", device)


def test_choosing_a_password_is_for_somebody_signed_in(people):
    with pytest.raises(AuthenticationRequired):
        choose_password(people.anonymous, factories.OWN_PASSWORD, factories.OWN_PASSWORD, session_token_hash="")
    assert tools.trail()[-1]["action"] == "ACCESS_DENIED"


def test_every_use_case_with_an_actor_is_in_the_matrix():
    found = set()
    for module in pkgutil.walk_packages(clinic_app.services.__path__, "clinic_app.services."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            own = function.__module__ == module.name and not name.startswith("_")
            if own and next(iter(inspect.signature(function).parameters), "") == "actor":
                found.add(name)
    assert found - ELSEWHERE == {name.split(" with ")[0] for name in MATRIX}


@pytest.mark.asvs("16.5.3")
def test_a_role_nobody_knows_and_no_role_may_nothing(database):
    for actor in (Actor("account", 1, "SUPERUSER"), Actor("account", 1), Actor("somebody", 1, "ADMIN"), Actor("")):
        assert not any(actor.can(permission) for permission in access.Permission), actor


@pytest.mark.asvs("2.3.1", "6.4.1")
def test_a_temporary_password_opens_nothing_but_choosing_ones_own():
    for role in access.PERMISSIONS:
        actor = Actor("account", 1, role, must_choose_password=True)
        assert {p for p in access.Permission if actor.can(p)} == {
            access.Permission.OWN_PASSWORD,
            access.Permission.OWN_SESSION,
        }


def test_the_command_line_may_everything_and_is_recorded_as_the_system(database):
    create_staff(access.SYSTEM, "first.admin", "First Admin", "ADMIN", factories.PASSWORD)
    event = tools.trail("STAFF_CREATED")[-1]
    assert (event["actor"], event["actor_id"], event["role"]) == ("system", None, "UNKNOWN")
