"""Account pages: one's own account, *Confirm it is you*, the second step of signing in, and staff accounts."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import at, card, each, given, icon, link_button, page_head, pick, row, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import badge, note, strength, suggest_passphrase
from clinic_app.ui.own_sessions import view as own_sessions

ROLES = (("RECEPTIONIST", "Receptionist"), ("CLINICIAN", "Clinician"), ("ADMIN", "Administrator"))


def _manager(username: Any) -> rx.Component:
    """The username, for the browser's password manager only."""
    return rx.el.input(
        type="text", name="username", auto_complete="username", value=username, read_only=True, hidden=True
    )


def _code_field(error: Any, *, hint: str, focus: Any = None) -> rx.Component:
    return forms.field(
        "Authentication code",
        "code",
        hint=hint,
        error=error,
        auto_complete="one-time-code",
        input_mode="text",
        auto_capitalize="characters",
        spell_check=False,
        max_length=32,
        custom_attrs=given(**{"data-takes-focus": focus}),
    )


# --- the gate -----------------------------------------------------------------------------------


def code_body(*, error: Any = "") -> rx.Component:
    """The second step of signing in. Posts ``code``."""
    form = forms.plain_form(
        _code_field(error, hint="Six digits from your app, or one of your recovery codes", focus=when(error, "2", "1")),
        rx.button("Continue", size="3", class_name="wide", type="submit"),
        action=routes.SEND_CODE,
        class_name="stack g4 gate-form",
        no_validate=True,
    )
    return rx.fragment(
        rx.el.div(rx.el.h1("Authentication code"), form, class_name="card"),
        rx.el.p(
            "Phone lost and no recovery code? Ask an administrator to reset your two-factor sign-in. ",
            rx.el.a("Back to sign in", href=routes.STAFF_SIGN_IN),
            class_name="muted",
        ),
    )


def confirm_body(
    *,
    next_page: Any,
    username: Any = "",
    asks_code: Any = False,
    password_error: Any = "",
    code_error: Any = "",
    failure: Any = "",
) -> rx.Component:
    """*Confirm it is you*. Posts ``password``, ``code`` and where it leads."""
    code = _code_field(code_error, hint="Six digits from your app, or a recovery code", focus=when(code_error, "1", ""))
    form = forms.plain_form(
        when(failure, note("bad", rx.el.p(failure), role="alert")),
        _manager(username),
        rx.el.input(type="hidden", name="next", value=next_page, read_only=True),
        forms.password_field("Password", "password", error=password_error, takes_focus=when(code_error, "", "1")),
        when(asks_code, code),
        rx.button("Continue", size="3", class_name="wide", type="submit"),
        action=routes.REAUTHENTICATE,
        class_name="stack g4 gate-form",
        no_validate=True,
    )
    return rx.fragment(
        rx.el.div(
            rx.el.h1("Confirm it is you"),
            rx.el.p(
                "What comes next is delicate, so it needs your password again. Then nothing is asked for five minutes.",
                class_name="muted under-h1",
            ),
            form,
            class_name="card",
        ),
        rx.el.p(rx.el.a("Back to Reception", href=routes.RECEPTION)),
    )


def set_up_first_body() -> rx.Component:
    """Before anything else: the clinic requires a second factor."""
    return rx.el.div(
        stack(
            rx.el.h1("Set up two-factor sign-in"),
            rx.el.p(
                "Your clinic requires it for your role. You need a phone with an authenticator app; it takes a minute."
            ),
            link_button("Set up two-factor sign-in", href=routes.TWO_FACTOR, size="3", cls="wide", leaves=True),
            sign_out_button(),
            gap=4,
        ),
        class_name="card",
    )


def sign_out_button() -> rx.Component:
    """*Sign out*, where no shell has it."""
    return rx.button("Sign out", type="submit", form="sign-out", variant="outline", size="3", class_name="wide")


# --- one's own account --------------------------------------------------------------------------


def _password_card(*, errors: Any, username: Any, minimum: int) -> rx.Component:
    def focus(name: str) -> Any:
        return when(at(errors, name), "1", "")

    form = forms.plain_form(
        _manager(username),
        forms.password_field(
            "Current password",
            "current_password",
            error=at(errors, "current_password"),
            takes_focus=focus("current_password"),
        ),
        forms.password_field(
            "New password",
            "new_password",
            error=at(errors, "new_password"),
            auto_complete="new-password",
            strength="strength",
            hint=f"{minimum} characters or more. Three or four words are easiest to remember.",
            takes_focus=focus("new_password"),
            min_length=minimum,
            after=rx.el.div(strength("strength"), suggest_passphrase(), class_name="stack g3 after"),
        ),
        forms.password_field(
            "Confirm new password",
            "confirm_password",
            error=at(errors, "confirm_password"),
            auto_complete="new-password",
            takes_focus=focus("confirm_password"),
        ),
        rx.el.p("All your other sessions are signed out.", class_name="muted small"),
        rx.el.div(rx.button("Save password", type="submit", size="3"), class_name="actions fill"),
        action=routes.CHANGE_PASSWORD,
        class_name="stack g4",
        no_validate=True,
    )
    return card(form, title="Password", ident="password-card")


def _post_button(words: str, action: str, cls: str = "", **props: Any) -> rx.Component:
    return forms.plain_form(
        rx.button(words, type="submit", variant="outline", size="2", class_name=cls, **props), action=action
    )


def _two_factor_card(*, since: Any, codes_left: Any, required: Any) -> rx.Component:
    on = stack(
        row(badge("On", "good", "check"), rx.el.span("since ", rx.el.span(since, class_name="num")), cls="wrap", gap=2),
        rx.el.p("Recovery codes left: ", rx.el.span(codes_left, class_name="num strong")),
        rx.el.div(
            _post_button("New recovery codes", routes.TWO_FACTOR_CODES),
            when(
                required,
                rx.el.p("Your clinic requires it for your role.", class_name="muted"),
                _post_button("Turn off", routes.TWO_FACTOR_OFF, "danger", aria_label="Turn off two-factor sign-in"),
            ),
            class_name="actions",
        ),
    )
    off = stack(
        row(badge("Off", "idle"), gap=2),
        rx.el.p("Signing in then asks for a code from your phone too. A stolen password alone opens nothing."),
        rx.el.div(
            link_button("Set up two-factor sign-in", href=routes.TWO_FACTOR, variant="outline", leaves=True),
            class_name="actions",
        ),
    )
    return card(when(since, on, off), title="Two-factor sign-in", ident="two-factor-card")


def account_body(
    *,
    username: Any,
    errors: Any,
    failure: Any,
    notice: Any,
    minimum: int,
    since: Any,
    codes_left: Any,
    required: Any,
    sessions: Any,
) -> rx.Component:
    """Own password, two-factor sign-in and ``sessions``, a ``sessions_list``."""
    return rx.fragment(
        page_head("Your account", lead=rx.fragment("You sign in as ", rx.el.span(username, class_name="strong"), ".")),
        stack(
            when(notice, note("good", rx.el.p(notice), role="status")),
            when(failure, note("bad", rx.el.p(failure), role="alert")),
            rx.el.div(
                _password_card(errors=errors, username=username, minimum=minimum),
                stack(
                    _two_factor_card(since=since, codes_left=codes_left, required=required),
                    card(sessions, title=own_sessions.TITLE, ident="sessions-card"),
                    gap=5,
                ),
                class_name="cols halves",
            ),
            gap=5,
        ),
    )


# --- staff accounts -----------------------------------------------------------------------------


def _marks(one: Any) -> rx.Component:
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


def _small(words: str, on_click: Any, cls: str = "") -> rx.Component:
    return rx.button(words, type="button", variant="outline", size="2", class_name=cls, on_click=on_click)


def _panel(one: Any, handlers: dict[str, Any]) -> rx.Component:
    ask = handlers["ask"]
    role = rx.el.form(
        row(
            forms.select_field("Role", "new-role", ROLES, name="role", default_value=one.role),
            rx.button("Save role", type="submit", variant="outline", size="3"),
            cls="wrap",
        ),
        on_submit=handlers["change_role"],
        key=one.role,
    )
    doing = rx.el.div(
        when(one.locked, _small("Unlock", handlers["unlock"])),
        when(one.active, _small("Reset password", ask("reset"))),
        when(one.two_factor, _small("Reset two-factor sign-in", ask("two_factor"))),
        when(
            one.active,
            _small("Turn off account", ask("disable"), "danger"),
            _small("Turn on account", handlers["enable"]),
        ),
        class_name="actions",
    )
    return rx.el.div(stack(role, doing, gap=4), class_name="panel")


def _staff(one: Any, open_id: Any, handlers: dict[str, Any]) -> rx.Component:
    manage = rx.button(
        "Manage",
        rx.el.span(" ", one.name, class_name="sr"),
        type="button",
        variant="outline",
        size="2",
        aria_expanded=when(open_id == one.id, "true", "false"),
        on_click=handlers["open"](one.id),
    )
    return rx.el.li(
        rx.el.div(
            avatar(one.initials),
            rx.el.div(
                rx.el.p(one.name, class_name="strong break"),
                rx.el.p(one.line, class_name="muted small break"),
                class_name="grow",
            ),
            _marks(one),
            when(one.own, rx.el.span("This is you", class_name="muted small"), manage),
            class_name="line",
        ),
        when(open_id == one.id, _panel(one, handlers)),
        key=one.id,
    )


def _new_account(*, errors: Any, problems: Any, busy: Any, on_submit: Any, on_cancel: Any, key: Any) -> rx.Component:
    def field(label: str, name: str, **props: Any) -> rx.Component:
        return forms.field(label, f"staff-{name}", name=name, error=at(errors, name), auto_complete="off", **props)

    form = rx.el.form(
        forms.error_summary(problems),
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
                forms.select_field("Role", "staff-role", ROLES, name="role", error=at(errors, "role")),
                class_name="pair",
            ),
            disabled=busy,
        ),
        rx.el.p(
            "A temporary password is made and shown once; the first sign-in asks for an own one.", class_name="muted"
        ),
        rx.el.div(
            forms.submit_button("Create account", "Creating...", busy, name="user-plus"),
            rx.button("Cancel", type="button", variant="outline", size="3", disabled=busy, on_click=on_cancel),
            class_name="actions fill",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        key=key,
        on_submit=on_submit,
    )
    return card(form, title="New staff account", ident="new-staff")


def staff_body(
    *,
    rows: Any,
    loaded: Any,
    creating: Any,
    busy: Any,
    errors: Any,
    problems: Any,
    failure: Any,
    notice: Any,
    open_id: Any,
    form_number: Any,
    on_begin: Any,
    on_create: Any,
    on_cancel: Any,
    handlers: dict[str, Any],
) -> rx.Component:
    """Everybody who can sign in at the desk. ``rows`` holds ``StaffRow``.

    ``handlers`` has ``open`` (gets an id), ``ask`` (gets what), ``change_role``, ``enable`` and ``unlock``.
    """
    new = rx.button(icon("user-plus"), "New staff account", type="button", size="3", on_click=on_begin)
    people = rx.el.ul(each(rows, lambda one: _staff(one, open_id, handlers)), class_name="rows")
    waiting = rx.el.p("Loading the accounts", role="status", class_name="muted")
    return rx.fragment(
        page_head(
            "Staff accounts", when(creating, rx.fragment(), new), lead="Who can sign in at the desk, and as what."
        ),
        stack(
            when(notice, note("good", rx.el.p(notice), role="status")),
            when(failure, note("bad", rx.el.p(failure), role="alert")),
            when(
                creating,
                _new_account(
                    errors=errors,
                    problems=problems,
                    busy=busy,
                    on_submit=on_create,
                    on_cancel=on_cancel,
                    key=form_number,
                ),
            ),
            card(when(loaded, people, waiting), title="Accounts", ident="staff-list"),
            gap=5,
        ),
    )


def staff_question(asking: Any, name: Any) -> tuple[Any, Any, Any]:
    """Title, question and the answer that does it, for what is asked: ``disable``, ``reset`` or ``two_factor``."""
    title = pick(asking, {"reset": "Reset password", "two_factor": "Reset two-factor sign-in"}, "Turn off account")
    question = pick(
        asking,
        {
            "reset": name + " is signed out everywhere and gets a temporary password, which you hand over.",
            "two_factor": name + " is signed out everywhere and signs in with the password alone, until set up again. "
            "Make sure that it is really they who ask.",
        },
        name + " is signed out everywhere and cannot sign in any more. The account and its history are kept.",
    )
    return title, question, title
