"""Half-filled forms are offered by name and never poured in, by the states without a browser."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from clinic_app.core import clock
from clinic_app.services.accounts.drafts import continue_draft, offered_drafts, save_draft
from clinic_app.ui.frame.state import SearchState, ShellState
from clinic_app.ui.registration.state import BLANK, RegistrationState
from clinic_app.ui.session.form_state import DONE, GONE
from tests import factories
from tests.db import tools

FORM = "registration"
A, B = "a" * 32, "b" * 32
TYPED = {"first_name": "Amina", "last_name": "Odhiambo", "date_of_birth": "15 Jan 1990", "phone": "0712 345 632"}


@pytest.fixture
def new(tab: Any) -> Any:
    """At *Patient registration*."""
    tab.at("/patients/new")
    return tab


def _ago(seconds: int) -> str:
    return (clock.now() - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")


async def _open(tab: Any) -> Any:
    """Come to the form from another page."""
    tab.at("/patients")
    await tab.fire(ShellState.enter)
    tab.at("/patients/new")
    await tab.fire(ShellState.enter)
    await tab.fire(RegistrationState.load)
    return tab.state(RegistrationState)


async def test_it_is_offered_by_name_and_the_form_stays_empty(new, people):
    save_draft(people.receptionist, FORM, A, TYPED, left=True)
    save_draft(people.receptionist, FORM, B, {"phone": "0722 910 448"})
    tools.write("UPDATE drafts SET typed_at = :then WHERE instance = :a", then=_ago(20 * 3600), a=A)
    form = await _open(new)
    assert form.values == BLANK
    assert [(offer.instance, offer.name, offer.open) for offer in form.offers] == [
        (B, "0722 910 448", True),
        (A, "Amina Odhiambo", False),
    ]
    assert re.fullmatch(r"\d\d:\d\d", form.offers[0].when)
    assert re.fullmatch(r"(yesterday, )?\d\d:\d\d", form.offers[1].when)


async def test_go_on_fills_the_form_and_a_submit_ends_that_draft_alone(new, people):
    save_draft(people.receptionist, FORM, A, TYPED)
    save_draft(people.receptionist, FORM, B, {"first_name": "Other", "gender": "OTHER"})
    form = await _open(new)
    await new.fire(RegistrationState.go_on, A)
    assert form.values == {**BLANK, **TYPED}
    assert (form.born_date, form.offers) == ("15 Jan 1990", [])
    await new.fire(RegistrationState.submit, {**TYPED, "intent": f"{form.continues}-1"})
    assert form.step == DONE
    assert [draft.instance for draft in offered_drafts(people.receptionist, FORM)] == [B]
    await new.fire(RegistrationState.another)
    assert (form.values, [offer.name for offer in form.offers]) == (BLANK, ["Other"])
    await new.fire(RegistrationState.go_on, B)
    assert form.values == {**BLANK, "first_name": "Other", "gender": "OTHER"}


async def test_start_empty_puts_all_aside_until_the_next_time(new, people):
    save_draft(people.receptionist, FORM, A, TYPED)
    form = await _open(new)
    await new.fire(RegistrationState.start_empty)
    assert (form.offers, form.values) == ([], BLANK)
    await new.fire(RegistrationState.load)  # a mere reconnect
    assert form.offers == []
    form = await _open(new)
    assert [offer.name for offer in form.offers] == ["Amina Odhiambo"]


async def test_what_is_gone_meanwhile_is_said_and_pours_nothing_in(new, people):
    save_draft(people.receptionist, FORM, A, TYPED)
    save_draft(people.receptionist, FORM, B, {"first_name": "Other"})
    form = await _open(new)
    assert continue_draft(people.receptionist, FORM, A) is not None  # in another tab
    for instance in (A, "", None, 5, ["x"], "x" * 5000):
        await new.fire(RegistrationState.go_on, instance)
        assert (form.failure, form.failure_detail) == GONE
        assert form.values == BLANK


async def test_nobody_goes_on_with_anothers(new, people):
    save_draft(factories.make_staff(), FORM, A, TYPED)
    form = await _open(new)
    assert form.offers == []
    await new.fire(RegistrationState.go_on, A)
    assert form.values == BLANK


async def test_cancel_ends_the_draft_of_this_form_alone(new, people):
    save_draft(people.receptionist, FORM, A, TYPED)
    save_draft(people.receptionist, FORM, B, {"first_name": "Other"})
    await _open(new)
    for instance in (A, "", None, 7, {}):
        await new.fire(RegistrationState.cancel, instance)
    assert [draft.instance for draft in offered_drafts(people.receptionist, FORM)] == [B]


@pytest.mark.parametrize(
    ("term", "values"),
    [
        ("Mwangi, Wanjiku", {"first_name": "Wanjiku", "last_name": "Mwangi"}),
        ("0712 345 632", {"phone": "0712 345 632"}),
        ("mary.k@example.org", {"email": "mary.k@example.org", "portal_email": "mary.k@example.org"}),
        ("12345678", {"national_id": "12345678"}),
    ],
)
async def test_a_search_fills_its_own_field_once_and_no_draft_does(new, people, term, values):
    save_draft(people.receptionist, FORM, A, TYPED)
    new.state(SearchState).carried = term
    form = await _open(new)
    assert form.values == {**BLANK, **values}
    form = await _open(new)
    assert form.values == BLANK


async def test_a_form_that_was_refused_and_left_is_empty_the_next_time(new, people):
    form = await _open(new)
    await new.fire(RegistrationState.submit, {**TYPED, "first_name": "", "intent": f"{A}-1"})
    assert form.errors
    form = await _open(new)
    assert (form.values, form.errors, form.problems) == (BLANK, {}, [])
