"""*Staff accounts*: everybody who can sign in at the desk, the form for a new account, and the panel of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.frame.presses import lost_note
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import Event, apart, card, icon, page_head, pick, row, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.dialog import question_dialog
from clinic_app.ui.kit.feedback import badge, error_note, success_note
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.staff_accounts.state import StaffAccountsState as State
from clinic_app.ui.view_models import StaffRow

ROLES = (("RECEPTIONIST", "Receptionist"), ("CLINICIAN", "Clinician"), ("ADMIN", "Administrator"))


def _marks(one: StaffRow) -> rx.Component:
    return row(
        when(one.active, badge(one.role_words, "info"), badge("Turned off", "idle")),
        when(
            one.expired,
            badge("Password expired", "bad"),
            when(one.temporary, badge("Temporary password", "warn", "clock")),
        ),
        when(one.two_factor, badge("Two-factor", "good", "check")),
        when(one.locked, badge("Locked", "bad")),
        cls="wrap",
        gap=2,
    )


def _small(words: str, on_click: Event, cls: str = "") -> rx.Component:
    return rx.button(words, type="button", variant="outline", size="2", class_name=cls, on_click=on_click)


def _press(words: str, one: StaffRow, on_press: Callable[..., Event]) -> rx.Component:
    called = f"{words}-" + one.id.to_string()
    return forms.press_button(
        words, called=called, on_press=lambda press: on_press(one.id, one.stamp, press), variant="outline", size="2"
    )


def _panel(one: StaffRow) -> rx.Component:
    role = forms.press_form(
        "role-" + one.stamp + one.id.to_string(),
        row(
            forms.select_field("Role", "new-role", ROLES, name="role", default_value=one.role),
            rx.button("Save role", type="submit", variant="outline", size="3"),
            forms.waits(),
            cls="wrap",
        ),
        on_submit=State.change_role(State.opened.id, State.opened.stamp),
        key=one.role,
    )
    doing = rx.el.div(
        when(one.locked, _press("Unlock", one, State.unlock)),
        when(one.active, _small("Reset password", State.ask(one.id, "reset"))),
        when(one.two_factor, _small("Reset two-factor sign-in", State.ask(one.id, "two_factor"))),
        when(
            one.active,
            _small("Turn off account", State.ask(one.id, "disable"), "danger"),
            _press("Turn on account", one, State.enable),
        ),
        class_name="actions",
    )
    return rx.el.div(stack(role, doing, gap=4), class_name="panel")


def _account(one: StaffRow) -> rx.Component:
    is_open = State.open_id == one.id
    manage = rx.button(
        "Manage",
        rx.el.span(" ", apart(one.name), class_name="sr"),
        type="button",
        variant="outline",
        size="2",
        aria_expanded=when(is_open, "true", "false"),
        on_click=State.open(one.id),
    )
    return rx.el.li(
        rx.el.div(
            avatar(one.initials),
            rx.el.div(
                rx.el.p(apart(one.name), class_name="strong break"),
                rx.el.p(apart(one.line), class_name="muted small break"),
                class_name="grow",
            ),
            _marks(one),
            when(one.own, rx.el.span("This is you", class_name="muted small"), manage),
            class_name="line",
        ),
        when(is_open, _panel(one)),
        key=one.id,
    )


def _new_account() -> rx.Component:
    def field(label: str, name: str, **props: Any) -> rx.Component:
        ident = f"staff-{name}"
        return forms.field(label, ident, name=name, error=State.errors[name], auto_complete="off", **props)

    form = forms.press_form(
        "staff",
        forms.error_summary(State.problems),
        rx.el.fieldset(
            rx.el.legend("New staff account", class_name="sr"),
            rx.el.div(
                field("Name", "name", max_length=200, hint="As patients and colleagues see it"),
                field(
                    "Username",
                    "username",
                    max_length=60,
                    hint="What the person types to sign in",
                    auto_capitalize="none",
                    spell_check=False,
                ),
                forms.select_field("Role", "staff-role", ROLES, name="role", error=State.errors["role"]),
                class_name="pair",
            ),
            disabled=State.busy,
        ),
        rx.el.p(
            "A temporary password is generated and shown once. "
            "At the first sign-in they must choose their own password.",
            class_name="muted",
        ),
        rx.el.div(
            forms.submit_button("Create account", "Creating...", State.busy, name="user-plus"),
            forms.cancel_button(on_click=State.cancel, disabled=State.busy),
            class_name="actions fill",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(State.busy, "true", "false"),
        key=State.form_number,
        on_submit=State.create,
    )
    return card(form, title="New staff account", ident="new-staff")


def _question() -> rx.Component:
    """Asks before an account is turned off, or its password or second factor is reset."""
    name = apart(State.asked.name)
    title = pick(
        State.asking, {"reset": "Reset password", "two_factor": "Reset two-factor sign-in"}, "Turn off account"
    )
    question = pick(
        State.asking,
        {
            "reset": rx.fragment(
                name,
                " will be signed out everywhere and get a temporary password, which you hand over. "
                "Their passkeys are removed.",
            ),
            "two_factor": rx.fragment(
                name,
                " will be signed out everywhere and sign in with the password alone until it is set up again. "
                "Their passkeys are removed. "
                "Make sure that the request really comes from them.",
            ),
        },
        rx.fragment(
            name,
            " will be signed out everywhere and can no longer sign in. "
            "Passkeys are removed; the account and its history are kept.",
        ),
    )
    return question_dialog(
        title=title,
        question=question,
        said=lost_note(),
        yes=title,
        open=State.asking != "",
        on_open_change=State.close,
        called=State.asking + "-" + State.asked.id.to_string(),
        on_yes=lambda press: State.answer(State.asked.id, State.asked.stamp, State.asking, press),
        on_no=State.close(False),
    )


def staff_accounts() -> rx.Component:
    """The page."""
    new = rx.button(
        icon("user-plus"),
        "New staff account",
        type="button",
        size="3",
        custom_attrs={"data-reopens": "staff"},
        on_click=State.begin,
    )
    accounts = rx.el.ul(rx.foreach(State.rows, _account), class_name="rows")
    waiting = rx.el.p("Loading accounts", role="status", class_name="muted")
    return staff_page(
        page_head(
            "Staff accounts",
            when(State.creating, rx.fragment(), new),
            lead="Who can sign in at the desk, and with which role.",
        ),
        stack(
            success_note(State.notice),
            error_note(State.failure),
            when(State.creating, _new_account()),
            card(when(State.loaded, accounts, waiting), title="Accounts", ident="staff-list"),
            gap=5,
        ),
        portal_dialog(),
        _question(),
        current="Staff accounts",
        register=False,
    )
