"""What nobody caught is shown once, and by no event where that would fail the same way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from reflex_base.event.context import EventContext
from sqlalchemy import exc

from clinic_app import clinic_app
from clinic_app.core.state_store import StateStore
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.form_state import DONE
from tests.ui.conftest import Desk
from tests.ui.test_presses import FIRST, INTENT, with_portal


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> StateStore:
    made = StateStore()
    monkeypatch.setattr(clinic_app, "state_store", lambda: made)
    return made


@pytest.fixture
def tab_at_registration(tab: Desk) -> Desk:
    tab.at("/patients/new")
    return tab


@pytest.fixture
def event(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Here:
        token = "one-tab"

    monkeypatch.setattr(EventContext, "get", classmethod(lambda _: Here))
    clinic_app.told_failures._buckets.clear()
    yield
    clinic_app.told_failures._buckets.clear()


def test_a_fault_is_told_once_in_a_while(store: StateStore, event: None) -> None:
    told: list[Any] = [clinic_app.on_backend_error(ValueError("x")) for _ in range(50)]
    assert [one is not None for one in told] == [True] + [False] * 49
    assert not store.away


def test_what_redis_refuses_is_told_by_no_event_and_ends_the_lines(store: StateStore, event: None) -> None:
    for error in (redis.ConnectionError("refused"), redis.TimeoutError("silent")):
        assert clinic_app.on_backend_error(error) is None
    assert (store.away, store.losses) == (True, 1)


async def test_a_password_is_shown_though_the_database_is_lost_right_after(
    tab_at_registration: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise exc.OperationalError("DELETE", {}, sqlite3.OperationalError("unable to open database file"))

    monkeypatch.setattr("clinic_app.ui.session.form_state.discard_draft", lost)
    await tab_at_registration.fire(RegistrationState.load)
    await tab_at_registration.fire(RegistrationState.submit, with_portal(FIRST))
    dialog = tab_at_registration.state(PortalDialogState)
    assert (dialog.step, dialog.shown) == (DONE, INTENT)
    assert len(dialog.password) == 12
    assert tab_at_registration.state(RegistrationState).failure == ""


async def test_what_else_fails_then_is_no_outage(tab_at_registration: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr("clinic_app.ui.session.form_state.discard_draft", broken)
    await tab_at_registration.fire(RegistrationState.load)
    await tab_at_registration.fire(RegistrationState.submit, with_portal(FIRST))
    assert tab_at_registration.state(RegistrationState).failure == "Something went wrong"
