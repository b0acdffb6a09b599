"""Every action on one thing carries the id it was drawn for; whatever carries none is here with the reason."""

from __future__ import annotations

import pytest

from tests.architecture.test_handlers import ROWS
from tests.security.handlers import Registry, registry

#: Handlers that act on no thing of a page, by why that is so.
NOT_ABOUT_ONE = {
    "reads what the address, the filters or the session name": """
        AccountState.load AuditTrailState.load AuditTrailState.apply AuditTrailState.clear AuditTrailState.turn
        BulkState.load BulkState.look BulkState.turn BulkState.turn_chosen BulkState.watch ConfirmState.load
        ImportPageState.another ImportPageState.choose ImportPageState.load ImportPageState.turn ImportPageState.watch
        CompareState.load PairsState.choose PairsState.load PairsState.turn PairsState.watch
        OwnRecordState.load OwnSessionsState.load OwnSessionsState.watch
        PendingState.load PendingState.turn PendingState.watch
        PatientListState.carry_over PatientListState.clear PatientListState.load
        PatientListState.search PatientListState.sort_by PatientListState.turn PatientListState.watch ProfileState.load
        ProfileState.watch ReceptionState.load ReceptionState.watch SearchState.enter_box SearchState.search
        SearchState.list_all SearchState.register_term
        ShellState.enter ShellState.watch StaffAccountsState.load StaffAccountsState.watch RegistrationState.load
        WorkListState.choose WorkListState.load WorkListState.turn WorkListState.watch
    """,
    "says a sentence, about what was typed or about a failure, and changes nothing": """
        PortalDialogState.answer_slip PortalDialogState.check_email PortalDialogState.check_phone
        ProfileState.answer_slip ProfileState.check RegistrationState.answer_slip RegistrationState.check
        RegistrationState.typing
        ShellState.show_failure
    """,
    "closes or wipes what this tab shows; what a newer opening shows has another turn": """
        AuditTrailState.close PortalDialogState.change_open PortalDialogState.close PortalDialogState.expire
        PortalDialogState.forget StaffAccountsState.close
    """,
    "records a print of the credentials of its turn, whose they are": "PortalDialogState.printed",
    "looks whether the credentials of its turn still open their account": "PortalDialogState.confirm",
    "begins or drops something new, which is nobody's yet": """
        RegistrationState.another RegistrationState.cancel RegistrationState.submit
        RegistrationState.go_on RegistrationState.start_empty
        BulkState.begin BulkState.start StaffAccountsState.begin StaffAccountsState.cancel StaffAccountsState.create
    """,
    "shows what one's own press did, whatever that was about": "ResumeState.resume",
}
WITHOUT = {name for names in NOT_ABOUT_ONE.values() for name in names.split()}
#: What a handler about one thing takes first.
IDS = frozenset({"patient_id", "person", "account_id", "session_id", "seq", "run_id", "pair"})


def faults(known: Registry) -> list[str]:
    """What carries no id, in words."""
    found = []
    for one in known.ours:
        name = f"{one.state}.{one.name.rsplit('.', 1)[1]}"
        if one.name.endswith(".setvar"):
            continue
        if name in WITHOUT and one.about:
            found.append(f"{name} is about one thing, and stands here as if it were not")
        if name not in WITHOUT and one.about not in IDS:
            found.append(f"{name} does not say about whom: @handler(…, about=…)")
        if one.about and one.arguments[:1] != (one.about,):
            found.append(f"{name} does not take {one.about} first")
    return found


def test_every_action_says_what_it_was_drawn_for():
    assert faults(registry()) == []
    assert set(ROWS) >= WITHOUT, "a handler that stands here is gone"


BROKEN = """
import reflex as rx
from clinic_app.services.access import Permission
from clinic_app.ui.session.handler import Asking, handler

class Broken(Asking, rx.State):
    @handler(Permission.PATIENT_EDIT)
    async def forgotten(self):
        pass
"""


def test_this_check_can_fail():
    assert [fault for fault in faults(registry(BROKEN)) if fault.startswith("Broken")] == [
        "Broken.forgotten does not say about whom: @handler(…, about=…)"
    ]


def test_the_id_comes_first_or_the_page_does_not_start():
    from clinic_app.ui.session.drawn import drawn_for

    async def handler(self, form, patient_id):
        """Would take the form for an id."""

    with pytest.raises(TypeError, match="must take patient_id first"):
        drawn_for(handler, "patient_id")
