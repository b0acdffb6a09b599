"""Half-filled forms: one in each tab, encrypted, offered to their author only, kept for a day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from clinic_app.core import context, encryption
from clinic_app.core.errors import AuthenticationRequired, InvalidInput, PermissionDenied
from clinic_app.services.accounts import housekeeping
from clinic_app.services.accounts.drafts import (
    FIELDS_AT_MOST,
    KEPT_AT_MOST,
    LONGEST,
    SENT_AT_MOST,
    continue_draft,
    discard_draft,
    offered_drafts,
    save_draft,
)
from tests import factories
from tests.db import tools

TYPED = {"first_name": "Zawadi", "last_name": "Canary-Kamau", "national_id": "CANARY 1234"}
ONE, TWO, THREE = ("a" * 32, "b" * 32, "c" * 32)
FORM = "registration"


def tab(number: int) -> str:
    """The id of a form in another tab."""
    return f"{number:032x}"


def offered(actor, form=FORM) -> list[dict[str, str]]:
    """What is offered, by what was typed."""
    return [dict(draft.fields) for draft in offered_drafts(actor, form)]


def kept() -> int:
    """How many rows hold something."""
    return tools.number("SELECT count(*) FROM drafts WHERE body <> ''")


@pytest.fixture
def desk(clock, database):
    """A receptionist, with a clock that stands still."""
    return factories.make_staff()


@pytest.fixture
def profile(desk):
    """What the forms of a patient's profile are called, but for their section."""
    return f"profile-{factories.make_patient(desk).patient.patient_id}"


def test_each_form_has_a_draft_of_its_own_and_the_newest_is_offered_first(clock, desk):
    save_draft(desk, FORM, ONE, TYPED)
    assert offered(desk) == [TYPED]
    assert offered(desk, "profile-LMC000001-contact") == []
    clock.shift(1)
    save_draft(desk, FORM, TWO, {"first_name": "Second"})
    clock.shift(1)
    save_draft(desk, FORM, ONE, {"first_name": "Z"})
    assert offered(desk) == [{"first_name": "Z"}, {"first_name": "Second"}]
    assert kept() == 2


def test_one_form_of_a_profile_is_not_offered_in_another(desk, profile):
    save_draft(desk, f"{profile}-contact", ONE, {"address": "1 Road"})
    assert offered(desk, f"{profile}-contact") == [{"address": "1 Road"}]
    assert offered(desk, f"{profile}-details") == offered(desk, "profile-LMC999999-contact") == offered(desk) == []


@pytest.mark.parametrize("patient_id", ["LMC999999", "XYZ000001", "LMC0000000001"])
def test_there_are_no_forms_about_patients_there_are_not(desk, profile, patient_id):
    for attempt in (save_draft, lambda *given: discard_draft(*given[:3])):
        with pytest.raises(InvalidInput) as told:
            attempt(desk, f"profile-{patient_id}-contact", ONE, TYPED)
        assert told.value.fields == {"form": "There is no such form."}
    assert tools.number("SELECT count(*) FROM drafts") == 0


def test_more_than_a_form_holds_is_refused_and_the_draft_before_stays(desk):
    save_draft(desk, FORM, ONE, TYPED)
    with pytest.raises(InvalidInput) as told:
        save_draft(desk, FORM, ONE, {f"f{number}": "x" * 1000 for number in range(17)})
    assert told.value.fields == {"fields": "A form holds at most 16000 characters."}
    assert offered(desk) == [TYPED]
    most = {"address": "\U0001f600" * 2000, "more": "x" * 2000}
    save_draft(desk, FORM, ONE, most)
    assert offered(desk) == [most]
    assert tools.number("SELECT max(length(body)) FROM drafts") < LONGEST * 8


def test_an_account_keeps_its_newest_five(clock, desk, profile):
    other = factories.make_staff()
    save_draft(other, FORM, ONE, TYPED)
    for number in range(KEPT_AT_MOST + 5):
        clock.shift(1)
        save_draft(desk, FORM, tab(number), {"first_name": f"N{number}"})
    assert [fields["first_name"] for fields in offered(desk)] == ["N9", "N8", "N7", "N6", "N5"]
    clock.shift(1)
    save_draft(desk, f"{profile}-contact", ONE, TYPED)
    assert len(offered(desk)) == 4, "of all its forms together"
    assert kept() == KEPT_AT_MOST + 1
    assert offered(other) == [TYPED]


def test_what_was_sent_does_not_push_out_what_was_not(clock, desk):
    save_draft(desk, FORM, ONE, TYPED)
    for number in range(SENT_AT_MOST * 3):
        clock.shift(1)
        discard_draft(desk, FORM, tab(number))
    assert offered(desk) == [TYPED]
    assert tools.number("SELECT count(*) FROM drafts") == SENT_AT_MOST + 1


def test_only_the_form_that_was_sent_is_gone_and_what_comes_late_is_not_kept(desk):
    save_draft(desk, FORM, ONE, TYPED)
    save_draft(desk, FORM, TWO, {"first_name": "Second"})
    discard_draft(desk, FORM, ONE)
    assert offered(desk) == [{"first_name": "Second"}]
    save_draft(desk, FORM, ONE, TYPED)  # was on its way
    discard_draft(desk, FORM, THREE)  # sent before anything of it was kept
    save_draft(desk, FORM, THREE, TYPED)
    assert offered(desk) == [{"first_name": "Second"}]
    assert str(tools.raw("SELECT body FROM drafts WHERE instance = :one", one=ONE)) == "[('',)]"


def test_an_emptied_form_is_no_draft_and_may_be_filled_again(desk):
    save_draft(desk, FORM, ONE, TYPED)
    save_draft(desk, FORM, ONE, {"first_name": " ", "last_name": ""})
    assert (offered(desk), tools.number("SELECT count(*) FROM drafts")) == ([], 0)
    save_draft(desk, FORM, ONE, {})
    save_draft(desk, FORM, ONE, {"first_name": "Again", "last_name": ""})
    assert offered(desk) == [{"first_name": "Again", "last_name": ""}]


def test_going_on_takes_it_over_once(clock, desk):
    save_draft(desk, FORM, ONE, TYPED, left=True)
    clock.shift(60)
    taken = continue_draft(desk, FORM, ONE)
    assert taken is not None
    assert (taken.fields, taken.instance != ONE) == (TYPED, True)
    assert continue_draft(desk, FORM, ONE) is None
    save_draft(desk, FORM, taken.instance, {"first_name": "Further"})
    assert offered(desk) == [{"first_name": "Further"}]
    save_draft(desk, FORM, ONE, TYPED)  # its first window is still typed in: it loses nothing
    assert len(offered(desk)) == 2
    discard_draft(desk, FORM, taken.instance)
    assert offered(desk) == [TYPED]


@pytest.mark.parametrize("instance", ["", "x", "A" * 32, "a" * 31, "a" * 33, TWO, "a" * 32 + "\n"])
def test_nobody_goes_on_with_what_is_not_there(desk, profile, instance):
    save_draft(desk, FORM, ONE, TYPED)
    assert continue_draft(desk, FORM, instance) is None
    assert continue_draft(desk, f"{profile}-contact", ONE) is None
    assert continue_draft(factories.make_staff(), FORM, ONE) is None
    discard_draft(desk, FORM, instance)
    discard_draft(factories.make_staff(), FORM, ONE)
    discard_draft(desk, f"{profile}-contact", ONE)
    assert offered(desk) == [TYPED]


def test_a_window_counts_as_typed_in_for_two_minutes_or_until_it_is_left(clock, desk):
    save_draft(desk, FORM, ONE, TYPED)
    assert [draft.open for draft in offered_drafts(desk, FORM)] == [True]
    clock.shift(121)
    assert [draft.open for draft in offered_drafts(desk, FORM)] == [False]
    save_draft(desk, FORM, ONE, TYPED)
    save_draft(desk, FORM, ONE, TYPED, left=True)
    assert [draft.open for draft in offered_drafts(desk, FORM)] == [False]


def test_nobody_else_sees_it(desk):
    save_draft(desk, FORM, ONE, TYPED)
    other = factories.make_staff()
    assert offered(other) == offered(factories.make_staff("ADMIN")) == []
    save_draft(other, FORM, ONE, {"first_name": "Same id"})
    assert (offered(desk), offered(other)) == ([TYPED], [{"first_name": "Same id"}])


@pytest.mark.asvs("11.3.2")
def test_nothing_readable_is_in_the_database(desk):
    save_draft(desk, FORM, ONE, TYPED)
    stored = str(tools.raw("SELECT * FROM drafts"))
    assert not any(value in stored for value in TYPED.values())
    assert "first_name" not in stored


def test_a_draft_moved_to_another_account_cannot_be_read(desk):
    other = factories.make_staff()
    save_draft(desk, FORM, ONE, TYPED)
    tools.write("UPDATE drafts SET account_id = :other", other=other.account_id)
    assert offered(other) == []
    assert continue_draft(other, FORM, ONE) is None


def test_a_draft_is_gone_after_a_day_and_when_discarded(clock, desk):
    save_draft(desk, FORM, ONE, TYPED)
    clock.shift(24 * 3600 - 1)
    assert offered(desk) == [TYPED]
    clock.shift(1)
    assert offered(desk) == []
    assert continue_draft(desk, FORM, ONE) is None
    save_draft(desk, FORM, ONE, TYPED)
    discard_draft(desk, FORM, ONE)
    assert offered(desk) == []


@pytest.mark.asvs("14.2.7")
def test_tidying_up_removes_drafts_past_their_day(clock, desk):
    save_draft(desk, FORM, ONE, TYPED)
    discard_draft(desk, FORM, TWO)
    clock.shift(23 * 3600)
    save_draft(desk, FORM, THREE, TYPED)
    assert housekeeping.tidy() == 0
    clock.shift(3600)
    assert housekeeping.tidy() == 2
    assert offered(desk) == [TYPED]


def test_secrets_and_what_is_no_text_are_never_kept(desk):
    secret = [
        "new_password",
        "Passwort",
        "passphrase",
        "otp_code",
        "otp",
        "token",
        "code",
        "recovery_code",
        "client-secret",
    ]
    plain = {"first_name": "Z", "postal_code": "00100", "zipcode": "1", "shipping": "x", "opinion": "y", "empty": " "}
    odd = {**dict.fromkeys(secret, "x"), "n": 5, "list": ["x"]}
    save_draft(desk, FORM, ONE, {**odd, **plain, "address": "x" * 9999})
    assert offered(desk) == [{**plain, "address": "x" * 2000}]
    save_draft(desk, FORM, ONE, {f"f{n}": "x" for n in range(500)})
    assert len(offered(desk)[0]) == FIELDS_AT_MOST
    save_draft(desk, FORM, ONE, odd)  # nothing left: no draft
    assert tools.number("SELECT count(*) FROM drafts") == 0


@pytest.mark.parametrize("form", ["", "other", "registration2", "profile-LMC000001-portal", "profile-../../x-contact"])
def test_there_are_no_other_forms(desk, form):
    for attempt in (
        lambda: save_draft(desk, form, ONE, TYPED),
        lambda: offered_drafts(desk, form),
        lambda: continue_draft(desk, form, ONE),
        lambda: discard_draft(desk, form, ONE),
    ):
        with pytest.raises(InvalidInput):
            attempt()


@pytest.mark.parametrize("instance", ["", "x", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n"])
def test_a_tab_makes_up_random_ids_of_one_shape(desk, instance):
    with pytest.raises(InvalidInput):
        save_draft(desk, FORM, instance, TYPED)


def test_drafts_are_for_whoever_may_send_the_form(people):
    for actor, error in (
        (people.clinician, PermissionDenied),
        (people.patient, PermissionDenied),
        (people.anonymous, AuthenticationRequired),
    ):
        for form in (FORM, "profile-LMC000001-contact"):
            for attempt in (
                lambda actor=actor, form=form: save_draft(actor, form, ONE, TYPED),
                lambda actor=actor, form=form: offered_drafts(actor, form),
                lambda actor=actor, form=form: continue_draft(actor, form, ONE),
                lambda actor=actor, form=form: discard_draft(actor, form, ONE),
            ):
                with pytest.raises(error):
                    attempt()


@pytest.mark.asvs("11.3.3", "11.3.4")
def test_encrypted_text_is_different_each_time_and_bound_to_key_purpose_and_place(database, change_setting):
    one, two = encryption.encrypt("amina", "draft", "1"), encryption.encrypt("amina", "draft", "1")
    assert one != two
    assert encryption.decrypt(one, "draft", "1") == "amina"
    for purpose, place in (("totp", "1"), ("draft", "2")):
        with pytest.raises(encryption.Unreadable):
            encryption.decrypt(one, purpose, place)
    for broken in ("", "AA", one[:-4], one[:10] + ("A" if one[10] != "A" else "B") + one[11:], "ö"):
        with pytest.raises(encryption.Unreadable):
            encryption.decrypt(broken, "draft", "1")
    change_setting("CLINIC_TOKEN_KEY", "another key of forty characters, or so...")
    with pytest.raises(encryption.Unreadable):
        encryption.decrypt(one, "draft", "1")


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.races
def test_of_many_at_once_five_stay(own_database):
    desk = factories.make_staff()

    def save(number: int) -> None:
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            save_draft(desk, FORM, tab(number), TYPED)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(40)))
    assert kept() == KEPT_AT_MOST
