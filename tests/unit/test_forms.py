"""Untrusted input becomes a form, or a sentence for each wrong field."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.core import clock
from clinic_app.core.errors import InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.models.patients import Gender
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.forms import (
    LABELS,
    PATIENT_FIELDS,
    PatientDetails,
    PatientRegistration,
    PatientUpdate,
)
from clinic_app.services.portal.errors import EmailInvalid, EmailRequired
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from tests import factories


def _problems(parse, data) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(data)
    return caught.value


def test_a_registration_is_kept_in_its_normal_form():
    form = PatientRegistration.parse(factories.registration(first_name=" Amina ", email="A@Example.ORG"))
    assert form.first_name == "Amina"
    assert form.date_of_birth == BirthDate(dt.date(1988, 3, 14))
    assert form.gender is Gender.FEMALE
    assert form.phone == "+254712445901"
    assert form.next_of_kin_phone == "+254722910448"
    assert form.email == "A@example.org"
    assert not form.create_portal_account


def test_names_are_all_that_must_be_given():
    form = PatientRegistration.parse({"first_name": "Amina", "last_name": "Odhiambo"})
    assert form.gender is Gender.UNKNOWN
    assert not form.single_name
    assert (form.email_allowed, form.sms_allowed) == (True, True)
    ticks = {"single_name", "email_allowed", "sms_allowed", "create_portal_account"}
    rest = form.model_dump(exclude={"first_name", "last_name", "gender", *ticks})
    assert len(rest) == 11
    assert set(rest.values()) == {None}


@pytest.mark.asvs("2.1.1", "2.2.1")
@pytest.mark.parametrize(
    ("field", "wrong", "sentence"),
    [
        ("first_name", "", "First name is required."),
        ("first_name", None, "First name is required."),
        ("last_name", "x" * 101, "Last name must be at most 100 characters."),
        ("last_name", "a\x00b", "Last name must not contain control characters."),
        ("date_of_birth", "31/2/1990", "Date of birth must be a real date, for example 31 3 1980."),
        ("single_name", "no", "Has one name only must be true or false."),
        ("email_allowed", None, "Email may be used for messages must be true or false."),
        ("sms_allowed", "no", "Phone may be used for messages must be true or false."),
        ("date_of_birth", "35", "Date of birth must be a year or an age: type 1935 or 35 years."),
        ("gender", "M", "Gender must be MALE, FEMALE, OTHER or UNKNOWN."),
        ("phone", "12", "Phone must be a valid phone number, for example 0712 123456."),
        ("email", "amina", "Email must be an email address, for example name@example.com."),
        ("national_id", "--", "Leave National ID empty if there is none."),
        ("national_id", "1" * 51, "National ID must be at most 50 characters."),
        ("address", "x" * 501, "Address must be at most 500 characters."),
        ("address", 5, "Address must be text."),
        ("next_of_kin_name", "x" * 201, "Next of kin must be at most 200 characters."),
        ("preferred_language", "de", "Preferred language must be one of the clinic's languages: en, sw, fr."),
        ("preferred_language", "x" * 36, "Preferred language must be at most 35 characters."),
        ("preferred_language", 1, "Preferred language must be text."),
        ("next_of_kin_phone", "12", "Next of kin phone must be a valid phone number, for example 0712 123456."),
        ("create_portal_account", "no", "Create portal account must be true or false."),
        ("create_portal_account", 1, "Create portal account must be true or false."),
        ("create_portal_account", ["on"], "Create portal account must be true or false."),
        ("role", "ADMIN", "role is not a known field."),
        ("portal_enabled", True, "portal_enabled is not a known field."),
        ("patient_id", "LMC000001", "patient_id is not a known field."),
    ],
)
def test_a_wrong_field_is_named_with_its_rule(field, wrong, sentence):
    error = _problems(PatientRegistration.parse, factories.registration(**{field: wrong}))
    assert error.title == "Validation failed"
    assert error.detail == sentence
    assert error.fields == {field: sentence}


def test_a_field_that_is_left_out_is_required_by_its_label():
    assert _problems(PatientRegistration.parse, {"first_name": "Amina"}).fields == {
        "last_name": "Last name is required."
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({}, True), ({"email_allowed": True}, True), ({"email_allowed": "on"}, True), ({"email_allowed": False}, False)]
    + [({"email_allowed": said}, False) for said in ("", "false")],
)
def test_messages_may_be_sent_unless_that_is_refused(sent, kept):
    form = PatientRegistration.parse(factories.registration(**sent))
    assert (form.email_allowed, form.sms_allowed) == (kept, True)
    assert PatientUpdate.parse(sent).changes == ({"email_allowed": kept} if sent else {})


@pytest.mark.parametrize("ticked", [True, "on", "true"])
@pytest.mark.parametrize("missing", [{}, {"last_name": None}, {"last_name": ""}, {"last_name": " "}])
def test_somebody_with_one_name_has_no_last_name(ticked, missing):
    form = PatientDetails.parse({"first_name": "Suharto", "single_name": ticked, **missing})
    assert (form.first_name, form.last_name, form.single_name) == ("Suharto", "", True)


@pytest.mark.parametrize("not_ticked", [None, False, "", "false"])
def test_everybody_else_has_one(not_ticked):
    error = _problems(PatientDetails.parse, {"first_name": "Suharto", "single_name": not_ticked, "last_name": " "})
    assert error.fields == {"last_name": "Last name is required."}


def test_a_last_name_and_one_name_only_contradict_each_other():
    error = _problems(PatientRegistration.parse, factories.registration(single_name=True))
    assert error.fields == {"last_name": "Last name must be empty for somebody with one name only."}


def test_a_dash_typed_for_a_missing_last_name_stays_what_was_typed():
    assert PatientDetails.parse({"first_name": "Suharto", "last_name": "-"}).last_name == "-"


@pytest.mark.parametrize(
    ("data", "born"),
    [
        ({"date_of_birth": "1990", "date_of_birth_estimated": True}, BirthDate.of_year(1990, about=True)),
        ({"date_of_birth": "1990", "date_of_birth_estimated": False}, BirthDate.of_year(1990)),
        ({"date_of_birth": "1990", "date_of_birth_estimated": None}, BirthDate.of_year(1990)),
        ({"date_of_birth": None, "date_of_birth_estimated": False}, None),
        ({"date_of_birth_estimated": False}, None),
    ],
)
def test_whether_a_birth_date_is_an_estimate_may_be_said_beside_it(data, born):
    assert PatientDetails.parse({"first_name": "A", "last_name": "B", **data}).date_of_birth == born


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (
            {"date_of_birth": None, "date_of_birth_estimated": True},
            {"date_of_birth_estimated": "date_of_birth_estimated must be sent together with date_of_birth."},
        ),
        (
            {"date_of_birth": "1990", "date_of_birth_estimated": "yes"},
            {"date_of_birth_estimated": "date_of_birth_estimated must be true or false."},
        ),
        (
            {"date_of_birth": "1990-01-15", "date_of_birth_estimated": True},
            {"date_of_birth": "Date of birth must be a year, or a month and year, where it is an estimate."},
        ),
        (
            {"date_of_birth": "35 years", "date_of_birth_estimated": False},
            {"date_of_birth": "Date of birth must be no estimate where date_of_birth_estimated is false."},
        ),
    ],
)
def test_a_birth_date_and_whether_it_is_an_estimate_fit_each_other(data, problems):
    assert _problems(PatientDetails.parse, {"first_name": "A", "last_name": "B", **data}).fields == problems


def test_every_wrong_field_has_its_sentence():
    data = factories.registration(
        first_name="", phone="12", create_portal_account=True, portal_email="", portal_phone="y"
    )
    assert _problems(PatientRegistration.parse, data).fields == {
        "first_name": "First name is required.",
        "phone": "Phone must be a valid phone number, for example 0712 123456.",
        "portal_email": "Email is required when creating a patient portal account.",
        "portal_phone": "Portal phone must not contain letters, for example 0712 123456.",
    }


def test_an_unknown_field_with_a_strange_name_is_not_repeated():
    for name in ("<script>", "a b", ""):
        error = _problems(PatientRegistration.parse, factories.registration(**{name: "x"}))
        assert error.fields == {"form": "There is an unknown field."}
    assert set(_problems(PatientRegistration.parse, factories.registration(**{"\ud800": "x"})).fields) == {"form"}


@pytest.mark.asvs("2.1.2", "2.2.3")
@pytest.mark.parametrize("missing", [{}, {"portal_email": None}, {"portal_email": ""}, {"portal_email": "  "}])
@pytest.mark.parametrize("ticked", [True, "on", "true"])
def test_a_ticked_box_needs_a_portal_email(ticked, missing):
    error = _problems(PatientRegistration.parse, factories.registration(create_portal_account=ticked, **missing))
    assert error.title == "Validation failed"
    assert error.detail == "Email is required when creating a patient portal account."
    assert error.fields == {"portal_email": error.detail}


@pytest.mark.parametrize("wrong", ["amina", "a@b", "a b@example.com", 5, ["a@example.com"], "a\x00@example.com"])
def test_a_portal_email_is_an_email(wrong):
    error = _problems(PatientRegistration.parse, factories.registration(create_portal_account=True, portal_email=wrong))
    assert error.title == "Validation failed"
    assert error.detail == "Invalid email format for patient portal account."
    assert error.fields == {"portal_email": error.detail}


@pytest.mark.parametrize("open_", [None, False, "", "false"])
def test_with_the_box_not_ticked_the_portal_fields_are_not_looked_at(open_):
    form = PatientRegistration.parse(
        factories.registration(create_portal_account=open_, portal_email="nonsense", portal_phone="nonsense")
    )
    assert (form.create_portal_account, form.portal_email, form.portal_phone) == (False, None, None)


def test_one_field_is_checked_while_typing():
    assert PatientRegistration.problem("email", "amina@") == (
        "Email must be an email address, for example name@example.com."
    )
    assert PatientRegistration.problem("email", "amina@example.com") == ""
    assert PatientRegistration.problem("portal_email", "x") == "Invalid email format for patient portal account."
    assert PatientDetails.problem("first_name", "") == "First name is required."
    assert PatientDetails.problem("date_of_birth", "15 Jan 1990") == ""


@pytest.mark.parametrize(
    ("sent", "kept"), [("sw", "sw"), (" FR ", "fr"), ("En", "en"), ("", None), ("  ", None), (None, None)]
)
def test_a_language_is_one_of_the_clinics_in_any_case(sent, kept):
    assert PatientDetails.parse(factories.registration(preferred_language=sent)).preferred_language == kept


def test_a_language_is_called_what_its_speakers_call_it(settings):
    words = PATIENT_FIELDS["preferred_language"].words
    assert [words(tag) for tag in ("en", "sw", "fr")] == ["English", "Kiswahili", "français"]
    assert (words("en-GB"), words("tlh"), words(None)) == ("English (GB)", "tlh", "")
    settings.setenv("CLINIC_LANGUAGES", "fr,en")
    get_settings.cache_clear()
    assert list(PATIENT_FIELDS["preferred_language"].choices()) == ["fr", "en"]
    assert words("sw") == "Kiswahili"  # on a record, and not offered any more


def test_every_field_of_a_patient_has_a_label():
    assert set(LABELS) == set(PatientDetails.model_fields)


def test_a_form_cannot_be_changed_after_it_was_checked():
    form = PatientRegistration.parse(factories.registration())
    with pytest.raises(ValueError, match="frozen"):
        form.first_name = ""  # type: ignore[misc]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.asvs("2.2.1", "2.2.2", "15.3.5")
@given(st.dictionaries(st.sampled_from([*PatientRegistration.model_fields, "role"]), _anything, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_json_is_a_form_or_is_refused_by_field(changes):
    try:
        PatientRegistration.parse(factories.registration(**changes))
    except InvalidInput as error:
        assert error.fields
        assert set(error.fields) <= {*changes, "portal_email", *(["last_name"] if "single_name" in changes else [])}


# --- edits --------------------------------------------------------------------------------------


def test_an_edit_holds_the_given_fields_only():
    form = PatientUpdate.parse({"phone": "0712 445 902", "address": " "}, version=3)
    assert form.changes == {"phone": "+254712445902", "address": None}
    assert form.version == 3


@pytest.mark.asvs("8.2.3", "15.3.3")
def test_an_edit_cannot_take_a_name_away_nor_touch_what_the_system_sets():
    assert _problems(PatientUpdate.parse, {"last_name": " "}).fields == {"last_name": "Last name is required."}
    for field in ("patient_id", "portal_enabled", "is_active", "registered_by_id", "version", "create_portal_account"):
        assert _problems(PatientUpdate.parse, {field: "1"}).fields == {field: f"{field} is not a known field."}


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        ({"single_name": True}, {"last_name": "", "single_name": True}),
        ({"single_name": True, "last_name": ""}, {"last_name": "", "single_name": True}),
        ({"last_name": "Sastro"}, {"last_name": "Sastro", "single_name": False}),
        ({"last_name": "Sastro", "single_name": False}, {"last_name": "Sastro", "single_name": False}),
        ({"single_name": False}, {"single_name": False}),
        ({"first_name": "Suharto"}, {"first_name": "Suharto"}),
        (
            {"date_of_birth": "1990", "date_of_birth_estimated": True},
            {"date_of_birth": BirthDate.of_year(1990, about=True)},
        ),
        ({"date_of_birth": None, "date_of_birth_estimated": False}, {"date_of_birth": None}),
        ({"date_of_birth": "35 years"}, {"date_of_birth": BirthDate.of_year(clock.today().year - 35, about=True)}),
    ],
)
def test_one_name_and_no_last_name_go_together_in_an_edit(data, changes):
    assert PatientUpdate.parse(data).changes == changes


@pytest.mark.parametrize("said", [True, False])
def test_an_edit_cannot_make_an_estimate_of_a_date_it_does_not_hold(said):
    assert _problems(PatientUpdate.parse, {"date_of_birth_estimated": said}).fields == {
        "date_of_birth_estimated": "date_of_birth_estimated must be sent together with date_of_birth."
    }


# --- portal access ------------------------------------------------------------------------------


def test_a_portal_request_is_an_email_and_perhaps_a_phone():
    assert PortalAccountRequest.parse({"email": " A@Example.com ", "phone": "0712445901"}) == PortalAccountRequest(
        "A@example.com", "+254712445901"
    )
    assert PortalAccountRequest.parse({"email": "a@example.com", "phone": ""}).phone is None


@pytest.mark.parametrize("form", [PortalAccountRequest, ChangePortalUsername])
@pytest.mark.parametrize("data", [{}, {"email": None}, {"email": ""}, {"email": " \t "}])
def test_a_username_to_be_is_required(data, form):
    with pytest.raises(EmailRequired) as caught:
        form.parse(data)
    assert caught.value.title == "Email is required"
    assert caught.value.detail == "Please provide a valid email address for the portal account."
    assert caught.value.fields == {"email": f"{caught.value.title}. {caught.value.detail}"}


@pytest.mark.parametrize("form", [PortalAccountRequest, ChangePortalUsername])
@pytest.mark.parametrize("email", ["amina", "a@b", 5, ["a@example.com"], {"a": 1}, "a@example.com\x00"])
def test_a_username_to_be_is_an_email(email, form):
    with pytest.raises(EmailInvalid) as caught:
        form.parse({"email": email})
    assert caught.value.title == "Invalid email format"
    assert caught.value.detail == "Please provide a valid email address."
    assert caught.value.fields == {"email": f"{caught.value.title}. {caught.value.detail}"}


def test_a_portal_request_names_other_mistakes():
    error = _problems(PortalAccountRequest.parse, {"email": "a@example.com", "phone": "12"})
    assert error.fields == {"phone": "Phone must be a valid phone number, for example 0712 123456."}
    error = _problems(PortalAccountRequest.parse, {"email": "a@example.com", "role": "ADMIN"})
    assert error.fields == {"role": "role is not a known field."}
    error = _problems(PortalAccountRequest.parse, {"email": "a@example.com", "a b": 1})
    assert error.fields == {"form": "There is an unknown field."}


def test_a_change_of_username_is_an_email_and_nothing_else():
    assert ChangePortalUsername.parse({"email": " A@Example.com "}) == ChangePortalUsername("A@example.com")
    error = _problems(ChangePortalUsername.parse, {"email": "a@example.com", "phone": "0712445901"})
    assert error.fields == {"phone": "phone is not a known field."}
