"""A day at the desk through the client that openapi-python-client makes, each operation of the API at least once.

Run with the generated package and what it needs on the path; says at the end, as JSON, which operations it did.
"""

from __future__ import annotations

import json
import os
from types import ModuleType
from typing import Any

from front_desk_client import AuthenticatedClient, Client
from front_desk_client import models as m
from front_desk_client.api.audit_trail import browse_audit
from front_desk_client.api.patients import (
    get_patient,
    list_patients,
    list_pending_verification,
    register_patient,
    search_patients,
    search_patients_privately,
    update_patient,
    verify_patient,
)
from front_desk_client.api.portal_access import (
    change_portal_username,
    create_portal_account,
    create_portal_accounts,
    disable_portal,
    enable_portal,
    resend_invitation,
    reset_portal_password,
)
from front_desk_client.api.possible_duplicates import list_duplicates, merge_patient, not_a_duplicate, undo_merge
from front_desk_client.api.signing_in import refresh_tokens, sign_in, sign_out

SERVER = os.environ["FRONT_DESK"]
done: set[str] = set()


def call(operation: ModuleType, kind: type, status: int, *args: Any, **given: Any) -> Any:
    """What ``operation`` answers, if it is of this kind and status."""
    answer = operation.sync_detailed(*args, **given)
    assert answer.status_code == status, (operation.__name__, answer.status_code, answer.content)
    assert isinstance(answer.parsed, kind), (operation.__name__, answer.parsed)
    done.add(operation.__name__.rpartition(".")[2])
    return answer.parsed


with Client(base_url=SERVER, raise_on_unexpected_status=True) as anybody:
    who = m.SignIn(username=os.environ["FRONT_DESK_USERNAME"], password=os.environ["FRONT_DESK_PASSWORD"])
    first = call(sign_in, m.Tokens, 200, client=anybody, body=who)
    wrong = m.SignIn(username=who.username, password="not this one")
    refused = call(sign_in, m.Detail, 401, client=anybody, body=wrong)
    assert refused.detail == "Incorrect username or password."
    pair = call(refresh_tokens, m.Tokens, 200, client=anybody, body=m.Refresh(refresh=first.refresh))

with AuthenticatedClient(base_url=SERVER, token=pair.access, raise_on_unexpected_status=True) as desk:
    # --- registering: what was left out is not sent, and a repeated request shows no password again
    form = m.Registration(
        first_name="Python",
        last_name="Client",
        phone="0712345678",
        create_portal_account=True,
        portal_email="python.client@example.org",
    )
    for again in (False, True):
        made = call(register_patient, m.Registered, 201, client=desk, body=form, idempotency_key="python-1")
        assert made.portal_credentials.username == "python.client@example.org"
        assert (made.portal_credentials.temporary_password is None) is again
    one = made.patient
    assert (one.first_name, one.phone, one.email) == ("Python", "0712345678", "python.client@example.org")
    form.portal_email = None
    problem = call(register_patient, m.Problem, 400, client=desk, body=form)
    assert problem.errors["portal_email"] == "Email is required when creating a patient portal account."

    # --- finding and reading
    assert call(list_patients, m.ListingPatientListed, 200, client=desk, search="python client").count == 1
    assert call(search_patients, m.ListingPatientListed, 200, client=desk, q=one.patient_id).count == 1
    term = m.Search(q="python", page_size=5)
    assert call(search_patients_privately, m.ListingPatientListed, 200, client=desk, body=term).results[0].id == one.id
    seen = call(get_patient, m.Patient, 200, str(one.id), client=desk)
    assert seen.portal_username == "python.client@example.org"
    assert call(get_patient, m.Detail, 404, "999999", client=desk).detail == "No patient has this number."

    # --- editing: one field, and the others stay as they were
    edited = call(update_patient, m.Patient, 200, one.patient_id, client=desk, body=m.Edit(phone="0722000111"))
    before, after = seen.to_dict(), edited.to_dict()
    changed = {name for name in after if after[name] != before[name]}
    assert changed - {"updated_at"} == {"phone", "version"}, changed
    assert edited.phone == "0722000111"
    emptied = m.Edit(phone=None, version=edited.version)
    assert call(update_patient, m.Patient, 200, str(one.id), client=desk, body=emptied).phone is None
    assert call(update_patient, m.Problem, 409, str(one.id), client=desk, body=emptied).error

    # --- verifying
    assert call(list_pending_verification, m.ListingPatientWaiting, 200, client=desk).count == 0
    assert call(verify_patient, m.Verified, 200, str(one.id), client=desk).patient.id == one.id

    # --- portal access
    plain = [
        call(register_patient, m.Registered, 201, client=desk, body=m.Registration(**fields)).patient
        for fields in (
            {"first_name": "Later", "last_name": "Access"},
            {"first_name": "Many", "last_name": "Atonce", "email": "many.atonce@example.org"},
        )
    ]
    later = str(plain[0].id)
    wanted = m.PortalRequest(email="later.access@example.org", phone="0733100200")
    given = call(create_portal_account, m.PortalCreated, 201, later, client=desk, body=wanted)
    exists = call(create_portal_account, m.Problem, 400, later, client=desk, body=wanted)
    assert exists.existing_username == "later.access@example.org"
    reset = call(reset_portal_password, m.PortalCreated, 200, later, client=desk)
    assert reset.credentials.temporary_password != given.credentials.temporary_password
    other = m.UsernameChange(email="other.access@example.org")
    renamed = call(change_portal_username, m.PortalCreated, 200, later, client=desk, body=other)
    assert renamed.credentials.username == "other.access@example.org"
    again = call(resend_invitation, m.InvitationSent, 200, later, client=desk)
    assert [(sent.address, sent.state) for sent in again.deliveries] == [("other.access@example.org", "QUEUED")]
    why = m.TurnOff(reason="ASKED")
    assert call(disable_portal, m.PortalSwitched, 200, later, client=desk, body=why).patient.portal_enabled is False
    assert call(enable_portal, m.PortalSwitched, 200, later, client=desk).patient.portal_enabled is True
    both = m.BulkRequest(patient_ids=[plain[0].id, plain[1].patient_id])
    run = call(create_portal_accounts, m.BulkAnswer, 200, client=desk, body=both)
    assert (run.created, run.failed) == (1, 1)
    assert [result.success for result in run.results] == [False, True]

    # --- one person, twice
    twin = m.Registration(first_name="Zawadi", last_name="Okemwa", date_of_birth="1990-01-15", phone="0733100300")
    first = call(register_patient, m.Registered, 201, client=desk, body=twin).patient
    held = call(register_patient, m.Problem, 409, client=desk, body=twin)
    assert [candidate.patient_id for candidate in held.candidates] == [first.patient_id]
    twin.allow_duplicate = True
    second = call(register_patient, m.Registered, 201, client=desk, body=twin).patient
    call(list_duplicates, m.Duplicates, 200, str(first.id), client=desk)
    other = m.NotADuplicate(other=second.patient_id)
    assert call(not_a_duplicate, m.Done, 200, str(first.id), client=desk, body=other).success
    into = m.Merge(into=first.patient_id)
    merged = call(merge_patient, m.Merged, 200, str(second.id), client=desk, body=into)
    assert (merged.patient.id, merged.merged) == (first.id, second.patient_id)
    assert call(undo_merge, m.Unmerged, 200, str(second.id), client=desk).patient.id == second.id

    # --- the trail, and the way out
    trail = call(browse_audit, m.ListingEvent, 200, client=desk, patient=one.patient_id, page_size=100)
    assert "PATIENT_UPDATED" in {event.action for event in trail.results}
    assert call(sign_out, m.Done, 200, client=desk, body=m.SignOut()).success
    assert call(get_patient, m.Detail, 401, str(one.id), client=desk).detail

print(json.dumps(sorted(done)))
