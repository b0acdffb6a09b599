"""Half-filled forms: encrypted, seen by their author only, kept for a day."""

from __future__ import annotations

import pytest

from clinic_app.core import encryption
from clinic_app.core.errors import AuthenticationRequired, InvalidInput, PermissionDenied
from clinic_app.services.accounts.drafts import discard_draft, read_draft, save_draft
from tests import factories
from tests.db import tools

TYPED = {"first_name": "Zawadi", "last_name": "Canary-Kamau", "national_id": "CANARY 1234"}


@pytest.fixture
def desk(clock, database):
    """A receptionist, with a clock that stands still."""
    return factories.make_staff()


def test_a_draft_comes_back_to_its_owner_and_form(desk):
    save_draft(desk, "registration", TYPED)
    assert read_draft(desk, "registration") == TYPED
    assert read_draft(desk, "profile-LMC000001-contact") == {}
    save_draft(desk, "registration", {"first_name": "Z"})
    assert read_draft(desk, "registration") == {"first_name": "Z"}
    assert tools.number("SELECT count(*) FROM drafts") == 1


def test_nobody_else_sees_it(desk):
    save_draft(desk, "registration", TYPED)
    assert read_draft(factories.make_staff(), "registration") == {}
    assert read_draft(factories.make_staff("ADMIN"), "registration") == {}


@pytest.mark.asvs("11.3.2")
def test_nothing_readable_is_in_the_database(desk):
    save_draft(desk, "registration", TYPED)
    stored = str(tools.raw("SELECT * FROM drafts"))
    assert not any(value in stored for value in TYPED.values())
    assert "first_name" not in stored


def test_a_draft_moved_to_another_account_cannot_be_read(desk):
    other = factories.make_staff()
    save_draft(desk, "registration", TYPED)
    tools.write("UPDATE drafts SET account_id = :other", other=other.account_id)
    assert read_draft(other, "registration") == {}


def test_a_draft_is_gone_after_a_day_and_when_discarded(clock, desk):
    save_draft(desk, "registration", TYPED)
    clock.shift(24 * 3600 - 1)
    assert read_draft(desk, "registration") == TYPED
    clock.shift(1)
    assert read_draft(desk, "registration") == {}
    save_draft(desk, "registration", TYPED)
    discard_draft(desk, "registration")
    assert read_draft(desk, "registration") == {}
    assert tools.number("SELECT count(*) FROM drafts") == 0


@pytest.mark.asvs("14.2.7")
def test_drafts_past_their_day_go_with_the_next_one(clock, desk):
    save_draft(desk, "registration", TYPED)
    clock.shift(25 * 3600)
    save_draft(factories.make_staff(), "registration", TYPED)
    assert tools.number("SELECT count(*) FROM drafts") == 1


def test_secrets_and_what_is_no_text_are_never_kept(desk):
    odd = {"new_password": "x", "Passwort": "x", "otp_code": "x", "token": "x", "n": 5, "list": ["x"], "empty": " "}
    save_draft(desk, "registration", {**odd, "first_name": "Z", "address": "x" * 9999})
    assert read_draft(desk, "registration") == {"first_name": "Z", "address": "x" * 2000}
    save_draft(desk, "registration", {f"f{n}": "x" for n in range(500)})
    assert len(read_draft(desk, "registration")) == 40
    save_draft(desk, "registration", odd)  # nothing left: no draft
    assert tools.number("SELECT count(*) FROM drafts") == 0


@pytest.mark.parametrize("form", ["", "other", "registration2", "profile-LMC000001-portal", "profile-../../x-contact"])
def test_there_are_no_other_forms(desk, form):
    with pytest.raises(InvalidInput):
        save_draft(desk, form, TYPED)


def test_drafts_are_for_whoever_may_send_the_form(people):
    for actor, error in (
        (people.clinician, PermissionDenied),
        (people.patient, PermissionDenied),
        (people.anonymous, AuthenticationRequired),
    ):
        for form in ("registration", "profile-LMC000001-contact"):
            with pytest.raises(error):
                save_draft(actor, form, TYPED)


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
