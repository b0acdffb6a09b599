"""*Compare and merge*: one choice a line, and what will happen directly above the button."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.duplicates.compare_state import CompareState as State
from clinic_app.ui.duplicates.view import chip
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit.address import named_in_address
from clinic_app.ui.kit.base import Child, Text, apart, each, icon, link, link_button, pick, stack, when
from clinic_app.ui.kit.data import facts_list
from clinic_app.ui.kit.feedback import badge, bone, empty, note
from clinic_app.ui.kit.forms import press_button, press_form, submit_button
from clinic_app.ui.view_models import CompareHead, CompareRow, Outcome


def _choice(
    *words: Child, name: Text, value: Text, chosen: Text, patient_id: Text, cls: str = "choice", **props
) -> rx.Component:
    radio = rx.el.input(type="radio", name=name, value=value, default_checked=chosen, **props)
    said = rx.el.span(" from ", apart(patient_id), class_name="sr")
    return rx.el.label(radio, rx.el.span(*words, said, class_name="v"), class_name=cls)


def _whose(patient_id: Text) -> rx.Component:
    """On a phone, where the columns stand under each other."""
    return rx.el.small(apart(patient_id), class_name="only-small num", aria_hidden="true")


def _line(ident: Text, label: Child, first: rx.Component, second: rx.Component, cls: str = "cmp-row") -> rx.Component:
    what = rx.el.div(apart(label), class_name="what", id=ident)
    return rx.el.div(what, first, second, class_name=cls, role="radiogroup", aria_labelledby=ident)


def _head(one: rx.Var[CompareHead]) -> rx.Component:
    return _choice(
        rx.el.b(apart(one.name), class_name="strong"),
        rx.el.small(apart(one.patient_id, class_name="num"), " · ", apart(one.line)),
        name="stays",
        value=one.patient_id,
        chosen=State.stays == one.patient_id,
        patient_id=one.patient_id,
        cls="choice tall-choice",
        on_change=State.keep(State.key, one.patient_id),
    )


def _row(one: CompareRow) -> rx.Component:
    def value(words: Text, head: rx.Var[CompareHead], chosen: Text) -> rx.Component:
        shown = when(words == "Not recorded", apart(words, class_name="muted"), apart(words, class_name="lines"))
        whose = _whose(head.patient_id)
        return _choice(shown, whose, name=one.name, value=head.patient_id, chosen=chosen, patient_id=head.patient_id)

    return rx.el.div(
        _line(
            "what-" + one.name,
            one.label,
            value(one.first, State.first, ~one.second_first),  # type: ignore[operator]
            value(one.second, State.second, one.second_first),
        ),
        key=one.name,
    )


def _login(one: rx.Var[CompareHead]) -> rx.Component:
    return _choice(
        apart(one.username, class_name="break"),
        rx.el.small(apart(one.access)),
        _whose(one.patient_id),
        name="login",
        value=one.account,
        chosen=State.login == one.account,
        patient_id=one.patient_id,
        on_change=State.keep_login(State.key, one.account),
    )


def _logins() -> rx.Component:
    both = rx.fragment(
        rx.el.div(rx.el.h2("Portal login"), class_name="cmp-title"),
        _line("what-login", "Login that stays", _login(State.first), _login(State.second)),
    )
    return when(State.login, both)


def _outcome(one: Outcome) -> rx.Component:
    mark = pick(one.icon, {name: icon(name) for name in ("archive", "key-round", "undo-2")}, icon("check"))
    return rx.el.li(mark, rx.el.span(rx.el.b(apart(one.lead), class_name="strong break"), apart(one.words)))


def _form() -> rx.Component:
    folded = rx.el.details(
        rx.el.summary(icon("chevron-right", 14), apart(State.same_words)),
        facts_list(State.same),
        class_name="fold",
    )
    failed = note(
        "bad",
        rx.el.p(apart(State.failure)),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": State.attempt},
    )
    actions = rx.el.div(
        submit_button(
            rx.Var.create("Merge into ") + State.stays,
            "Merging...",
            State.working,
            name="git-merge",
            class_name="danger",
            variant="outline",
        ),
        press_button(
            "Not a duplicate",
            variant="outline",
            size="3",
            type="button",
            disabled=State.working,
            called="apart-" + State.key,
            on_press=lambda press: State.not_a_duplicate(State.key, press),
        ),
        link("Cancel", href=routes.DUPLICATES, class_name="quiet-link"),
        class_name="section-foot actions fill",
    )
    happens = rx.el.div(
        rx.el.h2("What will happen"),
        rx.el.ul(each(State.outcomes, _outcome), class_name="outcome"),
        class_name="section cmp-part",
    )
    return press_form(
        "merge-" + State.key,
        rx.el.h2("Values", class_name="sr"),
        _line("what-stays", "Record that stays", _head(State.first), _head(State.second), "cmp-row heads"),
        each(State.rows, _row),
        when(State.same.length() > 0, folded),
        _logins(),
        happens,
        when(State.failure, rx.el.div(failed, class_name="section cmp-part")),
        actions,
        class_name="card cmp",
        aria_busy=when(State.working, "true", "false"),
        key=State.number,
        on_submit=State.merge(State.key, State.stamp),
    )


def _shown() -> rx.Component:
    chips = rx.el.div(
        when(State.grade, badge(State.grade, State.tone)), each(State.chips, chip), class_name="chips cmp-chips"
    )
    return rx.fragment(rx.el.h1("Compare and merge"), chips, _form())


def _waiting() -> rx.Component:
    line = rx.el.div(bone("100px"), bone("200px"), bone("200px"), class_name="cmp-row")
    shape = rx.el.div(rx.el.div(*[line] * 5, class_name="card cmp"), class_name="late", aria_hidden="true")
    return rx.el.div(
        rx.el.h1("Compare and merge"), rx.el.p("Loading both records", role="status", class_name="sr"), shape,
        aria_busy="true",
    )  # fmt: skip


def _missing() -> rx.Component:
    back = link_button("Possible duplicates", href=routes.DUPLICATES, name="copy")
    opens = link_button(rx.el.span("Open ", apart(State.instead)), href=State.instead_href, variant="outline")
    ways = (when(State.instead, opens), back)
    return rx.el.div(
        empty("search-x", "There is nothing to compare", apart(State.missing), *ways, heading=rx.el.h1),
        class_name="card",
    )


def compare() -> rx.Component:
    """The page."""
    failed = stack(rx.el.h1("Compare and merge"), note("bad", rx.el.p(apart(State.failure)), role="alert"))
    mode = rx.cond(State.key == named_in_address("pair"), State.mode, "loading")
    body = pick(mode, {"shown": _shown(), "missing": _missing(), "failed": failed}, _waiting())
    return staff_page(
        link(icon("arrow-left", 14), "Possible duplicates", href=routes.DUPLICATES, class_name="crumb"),
        body,
        current="Duplicates",
    )
