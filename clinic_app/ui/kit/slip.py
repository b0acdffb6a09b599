"""The printed credential slip: nothing medical, everything needed, on A5 or an 80 mm roll."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Flag, Text, when
from clinic_app.ui.kit.shell import Clinic


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
    paper: str = "a5",
    for_staff: Flag = False,
) -> rx.Component:
    """One slip. ``until`` is the expiry in words, ``address`` where to sign in, ``qr`` an image of it.

    ``paper`` is ``a5`` or ``roll``.
    """
    code = rx.el.div(
        rx.el.img(src=qr, alt="QR code of the sign-in address", class_name="qr"),
        rx.el.p("Scan with your phone", class_name="qr-note"),
    )
    return rx.el.article(
        rx.el.div(
            rx.el.span(clinic.name),
            rx.el.span(when(for_staff, "Your staff login", "Your patient portal login"), class_name="r"),
            class_name="slip-head",
        ),
        rx.el.h2(name),
        rx.el.div(
            rx.el.dl(
                rx.el.dt("Username"),
                rx.el.dd(username),
                rx.el.dt("Temporary password"),
                rx.el.dd(*_groups(password), class_name="pw"),
            ),
            when(qr, code),
            class_name="slip-grid",
        ),
        rx.el.dl(rx.el.dt("Sign in at"), rx.el.dd(address), class_name="address"),
        rx.el.ol(
            rx.el.li("Open the address above", when(qr, ", or scan the QR code", ""), "."),
            rx.el.li("Type your username and the temporary password. The gaps are only there to help you read."),
            rx.el.li("Choose your own password. Then throw this slip away."),
        ),
        rx.el.p(
            "Use it before ",
            until,
            ". After that, ask ",
            when(for_staff, "an administrator", "the reception"),
            " for a new one.",
            class_name="until",
        ),
        rx.el.p("We never ask for your password by phone or message.", class_name="fine"),
        class_name=f"slip {paper}",
        aria_label="Credential slip",
        custom_attrs={"data-slip": ""},
    )
