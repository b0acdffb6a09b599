"""The printed credential slip: nothing medical, everything needed, on whatever paper is chosen."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Flag, Text, apart, when
from clinic_app.ui.kit.shell import Clinic

#: Of name and username together: more are set smaller, so that the slip stays on one sheet.
_MANY_LETTERS = 120


def _groups(password: Text) -> list[rx.Component]:
    """Three groups of four by margin, not by spaces: selecting the text still gives the password."""
    return [rx.el.span(password[:4]), rx.el.span(password[4:8]), rx.el.span(password[8:])]


def slip(
    *,
    clinic: Clinic,
    name: Text,
    username: Text,
    password: Text,
    until: Text,
    address: Text,
    qr: Text = "",
    for_staff: Flag = False,
) -> rx.Component:
    """One slip. ``until`` is the expiry in words, ``address`` where to sign in, ``qr`` an image of it."""
    letters = rx.Var.create(name).to(str).length() + rx.Var.create(username).to(str).length()
    code = rx.el.div(
        rx.el.img(src=qr, alt="QR code of the sign-in address", class_name="qr"),
        rx.el.p("Scan with your phone", class_name="qr-note"),
    )
    sheet = rx.el.article(
        rx.el.div(
            rx.el.span(apart(clinic.name)),
            rx.el.span(when(for_staff, "Your staff login", "Your patient portal login"), class_name="r"),
            class_name="slip-head",
        ),
        rx.el.h2(apart(name)),
        rx.el.div(
            rx.el.dl(
                rx.el.dt("Username"),
                rx.el.dd(apart(username)),
                rx.el.dt("Temporary password"),
                rx.el.dd(apart(*_groups(password)), class_name="pw"),
            ),
            when(qr, code),
            class_name="slip-grid",
        ),
        rx.el.dl(rx.el.dt("Sign in at"), rx.el.dd(apart(address)), class_name="address"),
        rx.el.ol(
            rx.el.li("Open the address above", when(qr, ", or scan the QR code", ""), "."),
            rx.el.li("Type your username and the temporary password. The gaps are only there to help you read."),
            rx.el.li("Choose your own password. Then throw this slip away."),
        ),
        rx.el.p(
            "Use it before ",
            apart(until),
            ". After that, ask ",
            when(for_staff, "an administrator", "the reception"),
            " for a new one.",
            class_name="until",
        ),
        rx.el.p("We never ask for your password by phone or message.", class_name="fine"),
        class_name=when(letters > _MANY_LETTERS, "slip long", "slip"),
        aria_label="Credential slip",
    )
    return rx.el.div(sheet, class_name="slip-box", custom_attrs={"data-slip": ""})
