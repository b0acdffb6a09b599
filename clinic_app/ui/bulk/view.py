"""*Portal accounts in bulk*: whom to choose and the preview, the run with its progress, the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.services.patients.languages import clinic_languages
from clinic_app.services.portal.slips import AT_ONCE
from clinic_app.ui.bulk.state import FIELDS
from clinic_app.ui.bulk.state import BulkState as State
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import apart, each, icon, link, page_head, pick, row, stack, when
from clinic_app.ui.kit.feedback import badge, bone, empty, error_note, note
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.view_models import ChosenRow, NotCreatedRow, SlipChoice, Tally

LEAD = "Chosen by filter, previewed, then created in one run. Invitations go out; passwords are shown nowhere."
_AGES = (("", "Any age"), ("ADULT", "18 and older"), ("CHILD", "Under 18"))


def _figure(one: Tally) -> rx.Component:
    more = when(one.href, link(apart(one.more), href=one.href), apart(one.more))
    return rx.el.div(rx.el.dt(apart(one.words)), rx.el.dd(apart(one.number)), when(one.more, rx.el.dd(more)))


def _tally(figures: list[Tally]) -> rx.Component:
    return rx.el.dl(each(figures, _figure), class_name="tally")


def _section(title: rx.Var[str] | str, *body: rx.Component, ident: str = "") -> rx.Component:
    return rx.el.div(rx.el.h2(apart(title), **({"id": ident} if ident else {})), *body, class_name="section")


def _form() -> rx.Component:
    def common(name: str) -> dict[str, Any]:
        return {"default_value": State.asked[name], "error": State.errors[name]}

    day: dict[str, Any] = {"type": "date", "required": False, "min": "2000-01-01", "max": "2999-12-31"}
    languages = [("", "Any"), *clinic_languages().items()]
    return rx.el.form(
        forms.error_summary(State.problems),
        rx.el.fieldset(
            rx.el.legend("Which patients", class_name="sr"),
            rx.el.div(
                forms.field(
                    "Registered from",
                    "registered_from",
                    hint="The first day, when empty",
                    **day,
                    **common("registered_from"),
                ),
                forms.field(
                    "Registered until",
                    "registered_until",
                    hint="Today, when empty",
                    **day,
                    **common("registered_until"),
                ),
                forms.select_field("Age", "age", _AGES, **common("age")),
                forms.select_field("Preferred language", "language", languages, **common("language")),
                class_name="pair",
            ),
            disabled=State.busy,
        ),
        rx.el.div(
            forms.submit_button("Preview", "Counting...", State.busy, size="3", variant="outline"),
            class_name="actions",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_label="Choose patients",
        on_submit=State.look,
        key=State.form_number,
    )


def _create() -> rx.Component:
    """*Create n portal accounts*: carries what was previewed."""
    hidden = [rx.el.input(type="hidden", name=name, value=State.asked[name]) for name in FIELDS]
    words = rx.el.span("Create ", apart(State.eligible_words))
    look: dict[str, Any] = {"type": "submit", "size": "3", "class_name": "primary"}
    button = rx.button(icon("user-plus"), words, disabled=State.busy, **look)
    form = forms.press_form(
        "bulk",
        *hidden,
        rx.el.input(type="hidden", name="eligible", value=State.eligible.to_string()),
        button,
        forms.waits(),
        on_submit=State.start,
        key=State.eligible_words,
    )
    told = rx.el.p(apart(State.invited_words), class_name="muted grow")
    return rx.el.div(form, told, class_name="section-foot actions fill")


def _rowsheet(
    caption: str, heads: tuple[str, ...], rows: list[Any], row: Callable[[Any], rx.Component]
) -> rx.Component:
    """A table whose rows become cards where it is narrow."""
    table = rx.el.table(
        rx.el.caption(caption, class_name="sr"),
        rx.el.thead(
            rx.el.tr(*[rx.el.th(text, scope="col", role="columnheader") for text in heads], role="row"),
            role="rowgroup",
        ),
        rx.el.tbody(rx.foreach(rows, row), role="rowgroup"),
        class_name="rowsheet",
        role="table",
    )
    return rx.el.div(table, class_name="rs-box")


def _chosen_row(one: ChosenRow) -> rx.Component:
    why = rx.el.span(badge("Not eligible", "idle"), rx.el.span(apart(one.why), class_name="why"), class_name="oc")
    return rx.el.tr(
        rx.el.th(apart(one.patient_id), scope="row", class_name="num", role="rowheader"),
        rx.el.td(link(apart(one.name), href=one.href), class_name="break", role="cell"),
        rx.el.td(
            when(one.email, apart(one.email), rx.el.span("None", class_name="muted")), class_name="break", role="cell"
        ),
        rx.el.td(when(one.eligible, badge("Eligible", "good", "check"), why), role="cell"),
        role="row",
        key=one.patient_id,
    )


def _chosen() -> rx.Component:
    """One page of those previewed."""
    table = _rowsheet("Chosen patients", ("Patient ID", "Name", "Email", "Outcome"), State.chosen, _chosen_row)
    pages = when(
        State.chosen_pages > 1,
        pager(State.chosen_summary, State.chosen_page, State.chosen_pages, State.turn_chosen),
    )
    return when(State.chosen.length() > 0, rx.fragment(table, pages))


def _who() -> rx.Component:
    nobody = rx.el.div(
        rx.el.p("None of the chosen patients can get a portal account.", class_name="muted"), class_name="section-foot"
    )
    preview = rx.fragment(
        rx.el.div(_section("Preview", _tally(State.preview)), role="status"),
        _chosen(),
        when(State.eligible > 0, _create(), nobody),
    )
    return rx.fragment(_section("Who", _form(), ident="bulk"), when(State.previewed, preview))


def _row(one: NotCreatedRow) -> rx.Component:
    outcome = rx.el.span(badge("Not created", "warn"), rx.el.span(apart(one.why), class_name="why"), class_name="oc")
    return rx.el.tr(
        rx.el.th(apart(one.patient_id), scope="row", class_name="num", role="rowheader"),
        rx.el.td(link(apart(one.name), href=one.href), class_name="break", role="cell"),
        rx.el.td(outcome, role="cell"),
        role="row",
        key=one.patient_id,
    )


def _not_created() -> rx.Component:
    table = _rowsheet("Not created", ("Patient ID", "Name", "Outcome"), State.rows, _row)
    pages = when(State.pages > 1, pager(State.summary, State.page, State.pages, State.turn))
    return when(State.rows.length() > 0, rx.fragment(table, pages))


def _running() -> rx.Component:
    stays = "This page can be left: the run goes on, and what it did is here when you come back."
    progress = stack(
        row(
            rx.el.label("Creating portal accounts", html_for="bulk-progress", class_name="label"),
            rx.el.span(apart(State.progress), class_name="num"),
            cls="between wrap",
            gap=2,
        ),
        rx.el.progress(id="bulk-progress", value=State.done, max=State.total, class_name="progress"),
        rx.el.p(when(State.left, rx.fragment(apart(State.left), " ")), stays, class_name="muted"),
        gap=2,
    )
    stop = forms.press_button(
        icon("square"),
        "Stop the run",
        called="stop-" + State.run_id.to_string(),
        on_press=lambda press: State.stop(State.run_id, press),
        variant="outline",
        size="3",
        class_name="danger",
    )
    words = rx.el.p("What is done stays done. A stopped run can be continued.", class_name="muted grow")
    return rx.fragment(
        _section(State.title, progress, ident="bulk"),
        _section("So far", _tally(State.numbers)),
        _not_created(),
        rx.el.div(stop, words, class_name="section-foot actions fill"),
    )


def _choice(one: SlipChoice) -> rx.Component:
    box = rx.el.input(type="radio", name="which", value=one.key, default_checked=one.first)
    return rx.el.label(box, rx.el.span(apart(one.words), class_name="v"), class_name="choice", key=one.words)


def _slips() -> rx.Component:
    """*Print slips*: posted by the browser itself, and answered by a page of its own: no password is page state."""
    attrs = {"formAction": routes.PORTAL_SLIPS, "formMethod": "post"}
    hours = get_settings().temporary_password_hours
    fresh = note(
        "warn",
        rx.el.p(
            "Printing makes ",
            rx.el.b("fresh temporary passwords"),
            f" in this moment, {AT_ONCE} at a time, and keeps them nowhere. They are good for {hours} hours. "
            "Links already sent stay good until one of the two is used.",
        ),
    )
    form = rx.el.form(
        rx.el.input(type="hidden", name="run_id", value=State.run_id.to_string()),
        rx.el.input(type="hidden", name="intent", value=State.slip_intent),
        rx.el.fieldset(
            rx.el.legend("Print slips for", class_name="sr"), each(State.slips, _choice), class_name="choices"
        ),
        fresh,
        rx.el.div(
            rx.button(icon("printer"), "Print slips", type="submit", size="3", custom_attrs=attrs),
            class_name="actions fill",
        ),
        class_name="stack g4",
        aria_label="Print slips",
        on_submit=None,
    )
    return when(State.slips.length() > 0, _section("Print slips for", form))


def _download() -> rx.Component:
    """*Download report (CSV)*: posted by the browser itself, and answered by a file."""
    attrs = {"formAction": routes.PORTAL_REPORT, "formMethod": "post"}
    return rx.el.form(
        rx.el.input(type="hidden", name="run_id", value=State.run_id.to_string()),
        rx.button(
            icon("download"), "Download report (CSV)", type="submit", variant="outline", size="3", custom_attrs=attrs
        ),
        aria_label="Download the report",
        on_submit=None,
    )


def _report() -> rx.Component:
    go_on = forms.press_button(
        "Continue the run",
        called="go-on-" + State.run_id.to_string(),
        on_press=lambda press: State.go_on(State.run_id, press),
        size="3",
    )
    new = rx.button("New run", type="button", variant="outline", size="3", on_click=State.begin)
    early = note("warn", rx.el.p(apart(State.ended)), role="status")
    return rx.fragment(
        _section(State.title, stack(when(State.ended, early), _tally(State.numbers), gap=4), ident="bulk"),
        _slips(),
        _not_created(),
        rx.el.div(when(State.ended, go_on), _download(), new, class_name="section-foot actions fill"),
    )


def _loading() -> rx.Component:
    bones = stack(bone("220px"), bone("100%"), bone("60%"), gap=4)
    return rx.el.div(
        rx.el.div(bones, class_name="section late", aria_hidden="true"),
        rx.el.p("Loading the run", role="status", class_name="sr"),
        aria_busy="true",
    )


def bulk() -> rx.Component:
    """The page."""
    failed = empty("layers", "The run cannot be shown right now", "Nothing is lost. Load the page again in a moment.")
    cases = {"loading": _loading(), "failed": failed, "running": _running(), "report": _report()}
    shown = rx.el.section(pick(State.mode, cases, _who()), class_name="card", aria_label="Run")
    return staff_page(
        page_head("Portal accounts in bulk", lead=LEAD),
        stack(error_note(State.failure), shown, gap=4),
        current="Portal accounts in bulk",
        register=False,
    )
