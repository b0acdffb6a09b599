"""*Pending verification*: one card for each who waits, what they typed beside whom they may be."""

from __future__ import annotations

import reflex as rx

from clinic_app.services.patients.verification import REJECT_REASONS
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit.base import apart, icon, link, link_button, page_head, pick, row, sentence, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import badge, bone, empty, error_note, note, told
from clinic_app.ui.kit.forms import cancel_button, error_text, field, press_button, press_form, submit_button
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.pending.state import PendingState as State
from clinic_app.ui.view_models import Chip, LinkRow, TypedFact, WaitingRow

LEAD = "People who registered themselves. Ask for a document, then verify, link or reject. The oldest first."


def _fact(one: TypedFact) -> rx.Component:
    more = when(one.more, rx.el.span(" ", apart(one.more), class_name="muted small"))
    typed = rx.fragment(apart(one.value, class_name="break"), more)
    return rx.el.div(
        rx.el.dt(apart(one.label)), rx.el.dd(when(one.value, typed, rx.el.span("Not typed", class_name="muted")))
    )


def _chip(chip: Chip) -> rx.Component:
    mark = when(chip.near, icon("equal-approximately", 12), icon("check", 12))
    return rx.el.li(mark, apart(chip.words), class_name=when(chip.near, "chip near", "chip"))


def _match(one: LinkRow) -> rx.Component:
    ident = "match-" + one.key
    dot = rx.el.span(" · ", class_name="sep")
    number, born, phone = (apart(words, class_name="num") for words in (one.patient_id, one.born, one.phone))
    who = rx.el.span(
        link(apart(one.name), href=one.href, id=ident),
        rx.el.span(number, dot, born, dot, phone, class_name="muted small"),
        class_name="grow",
    )
    button = press_button(
        icon("link"),
        "Link to this patient",
        called="link-" + one.key,
        on_press=lambda press: State.link(one.person, one.patient_id, one.version, press),
        variant="outline",
        size="2",
        custom_attrs={"aria-describedby": ident},
    )
    compare = link_button(
        "Compare", href=one.compare, name="columns-2", variant="outline", custom_attrs={"aria-describedby": ident}
    )
    grade = badge(one.grade, one.tone)
    head = rx.el.div(avatar(one.initials), who, class_name="person")
    return rx.el.li(
        row(head, when(one.compare, compare, button), cls="between wrap"),
        rx.el.ul(
            rx.el.li(grade),
            rx.foreach(one.chips, _chip),
            class_name="chips",
            aria_label="Why it may be the same person",
        ),
        class_name="cand",
        key=one.key,
    )


def _why() -> rx.Component:
    """*Reject…*, opened in the one card that says so: why, and perhaps in words.

    A form's own hook stands outside of the list, where no card is known.
    """
    described = {"aria-describedby": "reject-reason-error"}
    choices = [
        rx.el.label(
            rx.el.input(
                type="radio",
                name="reason",
                value=code,
                custom_attrs=described if place else {**described, "data-takes-focus": State.rejecting.to_string()},
            ),
            rx.el.span(words, class_name="v"),
            class_name="choice",
        )
        for place, (code, words) in enumerate(REJECT_REASONS.items())
    ]
    reasons = rx.el.fieldset(
        rx.el.legend("Why is it rejected?", class_name="label"),
        error_text("reject-reason", State.errors["reason"]),
        *choices,
        class_name="choices",
    )
    said = field(
        "In words",
        "reject-words",
        name="words",
        hint="Stays in the audit trail. Nobody is told.",
        error=State.errors["words"],
        required=False,
        max_length=150,
        auto_complete="off",
    )
    cancel = cancel_button(on_click=State.ask_reject(State.rejecting, False))
    reject = submit_button("Reject registration", "Rejecting...", False, variant="outline", class_name="danger")
    return press_form(
        "reject-" + State.rejecting.to_string(),
        reasons,
        said,
        rx.el.div(reject, cancel, class_name="actions fill"),
        class_name="stack g4",
        no_validate=True,
        on_submit=State.reject(State.rejecting),
    )


def _foot(one: WaitingRow) -> rx.Component:
    about = {"aria-describedby": "who-" + one.id.to_string()}

    def verify(words: str, called: str, without_id: bool) -> rx.Component:
        return press_button(
            icon("user-check"),
            words,
            called=f"{called}-" + one.id.to_string(),
            on_press=lambda press: State.verify(one.id, one.version, one.seen, without_id, press),
            variant="outline",
            size="3",
            custom_attrs=about,
        )

    reject = rx.button(
        "Reject…",
        type="button",
        variant="outline",
        size="3",
        class_name="danger",
        on_click=State.ask_reject(one.id, True),
        custom_attrs={**about, "aria-expanded": "false"},
    )
    new = verify("Verify as new patient", "verify", False)
    known = verify("Verify", "verify", False)
    refused = State.refused_id == one.id
    without = when(refused & State.without_id, verify("Verify without the national ID", "verify-without", True))
    problem = when(refused, note("bad", rx.el.p(told(State.refused)), role="alert"))
    first = when(one.patient_id, known, rx.fragment(new, without, reject))
    actions = rx.el.div(first, class_name="actions fill")
    return rx.el.div(problem, when(State.rejecting == one.id, _why(), actions), class_name="section-foot")


def _head(one: WaitingRow) -> rx.Component:
    name = when(one.href, link(apart(one.name), href=one.href), apart(one.name))
    number = when(one.patient_id, rx.fragment(rx.el.span(" · ", class_name="sep"), apart(one.patient_id)))
    words = rx.el.div(
        rx.el.h2(name, id="who-" + one.id.to_string()),
        rx.el.p(apart(one.registered), number, class_name="muted small num"),
    )
    return rx.el.div(row(avatar(one.initials), words), badge("Waiting", "warn", "clock"), class_name="pend-head")


def _card(one: WaitingRow) -> rx.Component:
    typed = rx.el.div(rx.el.h3("What was typed"), rx.el.dl(rx.foreach(one.facts, _fact), class_name="facts"))
    nobody = rx.el.p("No record looks like this one.", class_name="muted")
    matches = when(one.matches.length() > 0, rx.el.ul(rx.foreach(one.matches, _match)), nobody)
    found = rx.el.div(rx.el.h3("Likely matches"), matches)
    return rx.el.li(
        _head(one), rx.el.div(typed, found, class_name="pend"), _foot(one), class_name="card pend-box", key=one.id
    )


def _done() -> rx.Component:
    """What was decided last; *Undo* after a link."""
    undo = press_button(
        icon("undo-2"),
        "Undo",
        called="undo-" + State.undo_id.to_string(),
        on_press=lambda press: State.undo(State.undo_id, press),
        variant="outline",
        size="2",
    )
    opens = link_button(rx.el.span("Open ", apart(State.done_patient)), href=State.done_href, variant="outline")
    ways = rx.el.div(when(State.done_href, opens), when(State.undo_id > 0, undo), class_name="actions")
    words = rx.el.div(
        rx.el.p(sentence(State.done), class_name="strong"),
        when(State.done_more, rx.el.p(sentence(State.done_more))),
    )
    told = note(
        "good",
        row(words, ways, cls="between wrap"),
        role="status",
        tab_index=-1,
        custom_attrs={"data-takes-focus": when(State.decided > 0, State.decided.to_string(), "")},
    )
    return when(State.done, told)


def _rows() -> rx.Component:
    foot = rx.el.div(pager(State.summary, State.page, State.pages, State.turn), class_name="card table")
    cards = rx.el.ol(rx.foreach(State.rows, _card), class_name="pending")
    return stack(cards, when(State.pages > 1, foot), gap=5)


def _loading() -> rx.Component:
    head = rx.el.div(row(bone("", "round"), bone("180px")), bone("80px"), class_name="pend-head")
    lines = [rx.el.p(bone(width)) for width in ("220px", "180px", "240px", "160px")]
    body = rx.el.div(stack(*lines), stack(rx.el.p(bone("200px")), rx.el.p(bone("160px"))), class_name="pend")
    box = rx.el.div(rx.el.div(head, body, class_name="card pend-box"), class_name="late", aria_hidden="true")
    said = rx.el.p("Loading who is waiting", role="status", class_name="sr")
    return rx.el.div(box, said, aria_busy="true")


def pending() -> rx.Component:
    """The page."""
    nobody = rx.el.div(
        empty("user-check", "Nobody is waiting", "Who registers on the clinic's website appears here at once."),
        class_name="card",
    )
    shown = pick(State.mode, {"loading": _loading(), "failed": rx.fragment(), "empty": nobody}, _rows())
    return staff_page(
        error_note(State.failure),
        page_head("Pending verification", lead=LEAD),
        stack(_done(), shown, gap=5),
        current="Pending verification",
    )
