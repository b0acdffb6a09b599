"""Two records become one, and two again: values, numbers, logins, the trail."""

from __future__ import annotations

import dataclasses

import pytest

from clinic_app.core import db
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Actor
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.audit import chain
from clinic_app.services.patients import merging
from clinic_app.services.patients.duplicates import index, likely_matches
from clinic_app.services.patients.errors import (
    LaterMergeFirst,
    NationalIdTaken,
    NotMerged,
    PairChanged,
    PatientMerged,
    PatientNotFound,
    PossibleDuplicate,
    RecordInactive,
    SameRecord,
)
from clinic_app.services.patients.forms import PatientDetails, PatientQuery, PatientRegistration, PatientUpdate
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.views import Merged, PatientProfile, Unmerged
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from tests import factories
from tests.db import tools

VALUES = ("first_name", "last_name", "single_name", "date_of_birth", "gender", "phone", "email", "national_id",
          "external_id", "address", "next_of_kin_name", "next_of_kin_phone", "preferred_language", "email_allowed",
          "sms_allowed", "is_active", "portal_enabled", "merged_into", "verification_status")  # fmt: skip


def merge(actor: Actor, other: PatientProfile, survivor: PatientProfile, **data) -> Merged:
    """As a program asks for it."""
    return merging.merge_patients(actor, other.patient_id, MergeRequest.parse({"into": survivor.patient_id, **data}))


def undo(actor: Actor, patient: PatientProfile) -> Unmerged:
    """The same of the other way."""
    return merging.undo_merge(actor, patient.patient_id)


def look(actor: Actor, patient: PatientProfile) -> PatientProfile:
    """The record as it is, merged or not."""
    return view_patient(actor, patient.id, activity=0, merged=True)


def values(patient: PatientProfile) -> dict[str, object]:
    """What people filled in, and how it stands."""
    return {name: getattr(patient, name) for name in VALUES} | {"username": patient.access.username}


def found(actor: Actor, term: str) -> list[str]:
    """The patient IDs that a search finds."""
    return [one.patient_id for one in list_patients(actor, PatientQuery(term)).items]


def signs_in(username: str, password: str) -> bool:
    """Whether this opens anything."""
    try:
        sign_in(PATIENT_DOOR, username, password)
    except InvalidCredentials:
        return False
    return True


@pytest.fixture
def two(desk) -> tuple[PatientProfile, PatientProfile]:
    """The record that stays, and the one that goes."""
    stays = factories.make_patient(
        desk, first_name="Amina", last_name="Odhiambo", national_id="2784 1190", email="amina.o@example.org",
        next_of_kin_name="", next_of_kin_phone="", external_id="OLD-1", phone="0712 445 901",
    ).patient  # fmt: skip
    goes = factories.make_patient(
        desk, first_name="Amina", last_name="Odiambo", national_id="", email="amina@example.com", phone="0733 111 222",
        address="P.O. Box 412", next_of_kin_name="Peter Odhiambo", external_id="OLD-2",
    ).patient  # fmt: skip
    return stays, goes


def test_what_is_known_is_taken_before_what_is_not_and_the_rest_stays(desk, two):
    stays, goes = two
    done = merge(desk, goes, stays)
    assert done.message == "Records merged successfully"
    assert done.patient.next_of_kin_name == "Peter Odhiambo"
    assert (done.patient.last_name, done.patient.phone, done.patient.external_id) == (
        "Odhiambo", "+254712445901", "OLD-1",
    )  # fmt: skip
    gone = look(desk, goes)
    assert (gone.is_active, gone.merged_into) == (False, stays.patient_id)
    assert list_patients(desk, PatientQuery("")).total == 1


def test_whoever_comes_with_the_details_of_a_merged_record_is_the_person_it_leads_to(desk, two):
    stays, goes = two
    again = {"first_name": "Amina", "last_name": "Odiambo", "phone": "0733 111 222", "date_of_birth": "14/3/1988"}
    merge(desk, goes, stays, values={"last_name": "Odhiambo"})
    with pytest.raises(PossibleDuplicate) as held:
        register_patient(desk, PatientRegistration.parse(again))
    (match,) = held.value.matches
    assert (match.patient.id, match.strong) == (stays.id, True)
    assert match.reasons == ("Name", "Date of birth", "Phone", "In a merged record")
    further = factories.make_patient(desk, first_name="Wanjiku", last_name="Kamau", external_id="").patient
    merge(desk, stays, further, values={"date_of_birth": further.date_of_birth})
    with pytest.raises(PossibleDuplicate) as held:
        register_patient(desk, PatientRegistration.parse(again))
    assert [one.patient.id for one in held.value.matches] == [further.id]
    undo(desk, stays)
    undo(desk, goes)
    with pytest.raises(PossibleDuplicate) as held:
        register_patient(desk, PatientRegistration.parse(again))
    assert held.value.matches[0].patient.id == goes.id
    assert register_patient(desk, PatientRegistration.parse(again), despite=[goes.id, stays.id])


_FORMERLY = {"first_name": "Amina", "last_name": "Odhiambo", "phone": "0712 445 901", "email": "amina.o@example.org"}
_GAVE_WAY = [
    _FORMERLY,
    {"first_name": "Amina", "last_name": "Odhiambo", "phone": "0712 445 901", "date_of_birth": "14/3/1988"},
    {"first_name": "Somebody", "last_name": "Quite", "national_id": "2784-1190"},
]


@pytest.mark.parametrize("typed", _GAVE_WAY, ids=("email", "birth date", "national ID"))
def test_whoever_comes_with_what_gave_way_in_a_merge_is_the_person_of_the_record_that_stays(desk, typed):
    stays = factories.make_patient(desk, **_FORMERLY, date_of_birth="14/3/1988", national_id="2784 1190").patient
    goes = factories.make_patient(
        desk, first_name="Zawadi", last_name="Nekesa", phone="0733 111 222", email="zawadi@example.com",
        date_of_birth="2/7/1971", national_id="3311 0000",
    ).patient  # fmt: skip
    keys = "SELECT key FROM match_keys WHERE patient_id = ? ORDER BY key"

    def held() -> list[tuple[int, bool, bool]]:
        with db.reading() as session:
            found = likely_matches(session, PatientDetails.parse(typed))
        return [(one.id, one.grade.strong, "In a merged record" in one.reasons) for one in found]

    kept = tools.raw(keys.replace("?", str(stays.id)))
    taken = ("last_name", "first_name", "phone", "email", "date_of_birth", "national_id")
    merge(desk, goes, stays, values={name: getattr(goes, name) for name in taken})
    assert held() == [(stays.id, True, True)]
    for phone in ("0712445901", "0733111222"):  # what was said before comes and goes once more
        update_patient(desk, stays.id, PatientUpdate.parse({"phone": phone}))
    assert (stays.id, True, True) in held()
    with_former = tools.raw(keys.replace("?", str(stays.id)))
    with db.transaction() as session:
        index.rebuild(session)
    assert tools.raw(keys.replace("?", str(stays.id))) == with_former
    further = factories.make_patient(desk, first_name="Wanjiku", last_name="Kamau", date_of_birth="", phone="").patient
    merge(desk, stays, further)
    assert held() == [(further.id, True, True)]
    undo(desk, stays)
    undo(desk, goes)
    assert held() == [(stays.id, True, False)]
    assert tools.raw(keys.replace("?", str(stays.id))) == kept


def test_a_national_id_of_a_merged_record_finds_the_one_it_leads_to(desk, two):
    stays, goes = two
    merge(desk, stays, goes, values={"national_id": None})
    person = PatientDetails.parse({"first_name": "Somebody", "last_name": "Quite", "national_id": "27841190"})
    with db.reading() as session:
        assert [(one.id, one.grade.strong) for one in likely_matches(session, person)] == [(goes.id, True)]


def test_chosen_values_are_taken_from_either_record(desk, two):
    stays, goes = two
    done = merge(desk, goes, stays, values={"last_name": "Odiambo", "external_id": "OLD-2", "next_of_kin_name": None})
    assert (done.patient.last_name, done.patient.external_id, done.patient.next_of_kin_name) == (
        "Odiambo", "OLD-2", None,
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="invalid_input") as refused:
        merge(desk, factories.make_patient(desk).patient, stays, values={"last_name": "Somebody"})
    assert refused.value.fields == {"last_name": "Last name must be the value of one of the two records."}


def test_every_number_of_either_record_finds_the_one_that_stays(desk, two):
    stays, goes = two
    third = factories.make_patient(desk, national_id="999 888", phone="0744 555 666").patient
    merge(desk, goes, stays, values={"external_id": "OLD-2"})
    merge(desk, stays, third)
    terms = ["LMC000001", "LMC000002", "LMC000003", "OLD-1", "OLD-2", "2784-1190", "999888", "733111222", "445901",
             "amina@example.com", "amina.o@example.org", "0744555666"]  # fmt: skip
    assert {term: found(desk, term) for term in terms} == {term: [third.patient_id] for term in terms}


def test_a_number_that_gave_way_is_still_nobody_elses_name_for_it(desk, two):
    stays, goes = two
    update_patient(desk, goes.id, PatientUpdate.parse({"national_id": "5555 1"}))
    merge(desk, goes, stays)
    with pytest.raises(NationalIdTaken):
        factories.make_patient(desk, national_id="55551")
    fixed = update_patient(desk, stays.id, PatientUpdate.parse({"national_id": "5555-1", "external_id": "OLD-2"}))
    assert (fixed.national_id, fixed.national_id_counts, fixed.external_id) == ("5555-1", True, "OLD-2")
    assert found(desk, "27841190") == []


def test_undoing_puts_both_back_as_they_were(desk, two):
    before = [values(look(desk, one)) for one in two]
    stays, goes = two
    names = {name: getattr(goes, name) for name in ("first_name", "last_name", "address", "next_of_kin_name", "email")}
    merge(desk, goes, stays, values={**names, "external_id": "OLD-2", "date_of_birth": "1988-03-14"})
    done = undo(desk, goes)
    assert done.lost == ()
    assert [values(look(desk, one)) for one in two] == before
    assert found(desk, "OLD-2") == [goes.patient_id]
    assert found(desk, "OLD-1") == [stays.patient_id]
    assert tools.raw("SELECT kept FROM patient_merges") == [("",)]


def test_what_was_edited_since_stays(desk, two):
    stays, goes = two
    merge(desk, goes, stays, values={"last_name": "Odiambo", "phone": "0733111222"})
    update_patient(desk, stays.id, PatientUpdate.parse({"last_name": "Otieno", "address": "New Street"}))
    undo(desk, goes)
    now = look(desk, stays)
    assert (now.last_name, now.address, now.phone) == ("Otieno", "New Street", "+254712445901")
    assert look(desk, goes).last_name == "Odiambo"


def test_a_value_that_somebody_has_meanwhile_does_not_come_back(desk, two):
    stays, goes = two
    update_patient(desk, goes.id, PatientUpdate.parse({"national_id": "5555"}))
    merge(desk, goes, stays, values={"national_id": "5555", "external_id": "OLD-2"})
    factories.make_patient(desk, national_id="2784 1190", external_id="OLD-1")
    done = undo(desk, goes)
    assert done.lost == ("external_id", "national_id")
    assert (done.survivor.national_id, done.survivor.external_id) == (None, None)
    assert (done.patient.national_id, done.patient.external_id) == ("5555", "OLD-2")


@pytest.mark.parametrize("whose", ["the one that stays", "the one that goes"])
def test_of_two_logins_the_chosen_one_stays(desk, whose):
    first = factories.make_patient(desk, portal_email="first@example.org")
    second = factories.make_patient(desk, portal_email="second@example.org")
    assert first.credentials
    assert second.credentials
    secrets = {one.username: one.temporary_password for one in (first.credentials, second.credentials)}
    before = [values(look(desk, one.patient)) for one in (first, second)]
    kept, ended = ("first", "second") if whose == "the one that stays" else ("second", "first")
    done = merge(desk, second.patient, first.patient, portal_username=f"{kept}@example.org")
    assert done.patient.access.username == f"{kept}@example.org"
    assert done.patient.portal_enabled
    assert look(desk, second.patient).portal_enabled is False
    on = tools.raw("SELECT patient_id, username FROM accounts WHERE role = 'PATIENT' AND is_active")
    assert on == [(first.patient.id, f"{kept}@example.org")]
    assert {name: signs_in(name, secret) for name, secret in secrets.items()} == {
        f"{kept}@example.org": True,
        f"{ended}@example.org": False,
    }
    assert found(desk, f"{ended}@example.org") == [first.patient.patient_id]
    assert tools.raw("SELECT state FROM outbox_messages WHERE state = 'QUEUED'") == []
    undo(desk, second.patient)
    assert [values(look(desk, one.patient)) for one in (first, second)] == before
    assert all(signs_in(name, secret) for name, secret in secrets.items())
    assert tools.raw("SELECT * FROM former_usernames") == []


def test_a_login_goes_over_where_only_the_record_that_goes_has_one(desk, two):
    stays, goes = two
    made = provisioning.create_portal_account(desk, goes.id, PortalAccountRequest.parse({"email": "amina@example.com"}))
    done = merge(desk, goes, stays)
    assert (done.patient.portal_enabled, done.patient.access.username) == (True, "amina@example.com")
    secret = made.credentials.temporary_password
    assert sign_in(PATIENT_DOOR, "amina@example.com", secret).actor.patient_id == stays.id
    back = undo(desk, goes)
    assert (back.patient.portal_enabled, back.survivor.portal_enabled) == (True, False)
    assert sign_in(PATIENT_DOOR, "amina@example.com", secret).actor.patient_id == goes.id


def test_a_login_that_is_in_use_is_kept_before_one_that_is_not(desk):
    never = factories.make_patient(desk, portal_email="never@example.org")
    used = factories.make_patient(desk, portal_email="used@example.org")
    factories.own_password(used)
    assert merge(desk, used.patient, never.patient).patient.access.username == "used@example.org"


def test_whoever_is_signed_in_with_the_login_that_goes_is_signed_out(desk):
    first = factories.make_patient(desk, portal_email="first@example.org")
    second = factories.make_patient(desk, portal_email="second@example.org")
    factories.own_password(second)
    factories.own_password(first)
    merge(desk, second.patient, first.patient, portal_username="first@example.org")
    open_ = tools.raw(
        "SELECT a.username FROM login_sessions s JOIN accounts a ON a.id = s.account_id "
        "WHERE s.ended_at IS NULL AND a.role = 'PATIENT'"
    )
    assert open_ == [("first@example.org",)]


def test_a_username_that_somebody_has_meanwhile_does_not_come_back_and_another_one_lets_in(desk):
    first = factories.make_patient(desk, portal_email="first@example.org")
    second = factories.make_patient(desk, portal_email="second@example.org")
    merge(desk, second.patient, first.patient, portal_username="first@example.org")
    factories.make_patient(desk, portal_email="second@example.org")
    done = undo(desk, second.patient)
    assert done.lost == ("portal_username",)
    assert (done.patient.portal_enabled, done.patient.access.username) == (False, "")
    with pytest.raises(provisioning.PortalTurnedOff):
        provisioning.turn_on_portal(desk, second.patient.id)
    again = provisioning.change_portal_username(
        desk, second.patient.id, ChangePortalUsername.parse({"email": "third@example.org"})
    )
    assert again.patient.portal_enabled
    assert signs_in("third@example.org", again.credentials.temporary_password)


def test_a_merged_record_is_changed_by_nobody_and_says_where_it_leads(desk, two):
    stays, goes = two
    merge(desk, goes, stays)
    tries = [
        lambda: update_patient(desk, goes.id, PatientUpdate.parse({"address": "x"})),
        lambda: provisioning.create_portal_account(
            desk, goes.id, PortalAccountRequest.parse({"email": "new@example.org"})
        ),
        lambda: view_patient(desk, goes.patient_id),
        lambda: merge(desk, goes, stays),
        lambda: merge(desk, stays, goes),
    ]
    for one in tries:
        with pytest.raises(PatientMerged) as refused:
            one()
        assert refused.value.into == stays.patient_id
        assert refused.value.detail == "LMC000002 was merged into LMC000001. Open that record instead."


def test_what_cannot_be_merged_is_refused_in_words(desk, two):
    stays, goes = two
    with pytest.raises(SameRecord) as same:
        merge(desk, goes, goes)
    assert same.value.fields == {"into": "This is the same record. Name the other one."}
    with pytest.raises(PatientNotFound):
        merging.merge_patients(desk, goes.id, MergeRequest("LMC999999"))
    with pytest.raises(NotMerged):
        undo(desk, goes)
    tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=goes.id)
    with pytest.raises(RecordInactive):
        merge(desk, goes, stays)
    assert tools.raw("SELECT * FROM patient_merges") == []


def test_a_merge_of_records_that_have_changed_meanwhile_is_refused(desk, two):
    stays, goes = two
    seen = merging.compare_records(desk, stays.id, goes.id)
    form = MergeRequest.chosen(stays.patient_id, [], 0, seen.stamp)
    update_patient(desk, goes.id, PatientUpdate.parse({"address": "x"}))
    with pytest.raises(PairChanged):
        merging.merge_patients(desk, goes.id, form)
    again = dataclasses.replace(form, stamp=merging.compare_records(desk, stays.id, goes.id).stamp)
    provisioning.create_portal_account(desk, goes.id, PortalAccountRequest.parse({"email": "new@example.org"}))
    with pytest.raises(PairChanged):
        merging.merge_patients(desk, goes.id, again)


def test_merges_into_one_record_are_undone_the_latest_first(desk, two):
    stays, goes = two
    third = factories.make_patient(desk).patient
    merge(desk, goes, stays)
    merge(desk, third, stays)
    with pytest.raises(LaterMergeFirst) as refused:
        undo(desk, goes)
    assert refused.value.detail.startswith("LMC000003 was merged later.")
    assert undo(desk, stays).patient.patient_id == third.patient_id
    merge(desk, stays, third)
    with pytest.raises(LaterMergeFirst):
        undo(desk, goes)
    assert undo(desk, stays).patient.patient_id == stays.patient_id
    assert undo(desk, goes).patient.is_active


def test_both_records_say_in_the_trail_what_happened_and_no_value_is_in_it(desk, two):
    stays, goes = two
    merge(desk, goes, stays)
    merged = [(row["resource_id"], row["metadata"]) for row in tools.trail("PATIENT_MERGED")]
    fields = ["next_of_kin_name", "next_of_kin_phone"]
    assert merged == [
        (stays.id, {"patient_id": "LMC000001", "merged": "LMC000002", "fields": fields}),
        (goes.id, {"patient_id": "LMC000002", "into": "LMC000001"}),
    ]
    undo(desk, goes)
    assert [row["resource_id"] for row in tools.trail("PATIENT_MERGE_UNDONE")] == [goes.id, stays.id]
    with pytest.raises(SameRecord):
        merge(desk, goes, goes)
    assert [row["metadata"] for row in tools.trail("PATIENT_MERGE_FAILED")] == [{"reason": "same_record"}]
    assert chain.verify().ok


def test_what_is_kept_for_undoing_can_be_read_by_nobody_else(desk, two):
    stays, goes = two
    merge(desk, goes, stays, values={"address": "P.O. Box 412"})
    ((kept,),) = tools.raw("SELECT kept FROM patient_merges")
    assert "Lake Road" not in kept
    tools.write("UPDATE patient_merges SET survivor_id = other_id, other_id = survivor_id")
    tools.write("UPDATE patients SET merged_into_id = :to, is_active = false WHERE id = :id", id=stays.id, to=goes.id)
    tools.write("UPDATE patients SET merged_into_id = NULL, is_active = true WHERE id = :id", id=goes.id)
    with pytest.raises(merging.MergeUnreadable):
        undo(desk, stays)
