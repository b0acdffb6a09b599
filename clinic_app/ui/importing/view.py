"""*Import and export*: a file to choose, what was found in it, the import with its progress, the report; and export."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.importing.state import ImportPageState as State
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import Text, apart, each, icon, link, link_button, page_head, pick, row, stack, when
from clinic_app.ui.kit.feedback import badge, bone, empty, error_note, note
from clinic_app.ui.kit.filters import filters
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.view_models import AlikeRow, EarlierFile, FileRowShown, Tally

LEAD = "Patients from another system, and back out."


def _figure(one: Tally) -> rx.Component:
    return rx.el.div(rx.el.dt(apart(one.words)), rx.el.dd(apart(one.number)), when(one.more, rx.el.dd(apart(one.more))))


def _tally() -> rx.Component:
    return when(State.figures.length() > 0, rx.el.dl(each(State.figures, _figure), class_name="tally"))


def _name() -> rx.Component:
    name = rx.el.h2(apart(State.name), id="import", class_name="break")
    return rx.el.div(name, rx.el.p(apart(State.by), class_name="muted small"), class_name="named")


# --- choosing a file ----------------------------------------------------------------------------------


def _choose() -> rx.Component:
    example = rx.el.a("this example", href=routes.IMPORT_EXAMPLE, custom_attrs={"download": ""})
    drop = rx.el.div(
        rx.el.span(icon("upload", 22), class_name="glyph"),
        rx.el.label("CSV file with patients", html_for="csv", class_name="label"),
        rx.el.p(
            "Drop it here, or choose it. The first line names the columns, as in ",
            example,
            ". At most 200 MB.",
            class_name="hint",
            id="csv-hint",
        ),
        rx.el.input(
            type="file",
            id="csv",
            accept=".csv,text/csv",
            aria_describedby="csv-hint csv-error",
        ),
        class_name="drop",
    )
    error = rx.el.p(
        id="csv-error", class_name="error", role="alert", hidden=True, custom_attrs={"data-upload-error": ""}
    )
    sending = rx.el.div(
        row(
            rx.el.label("Sending the file", html_for="sending", class_name="label"),
            rx.el.span(class_name="num", custom_attrs={"data-upload-words": ""}),
            cls="between wrap",
            gap=2,
        ),
        rx.el.progress(id="sending", value=0, max=1, class_name="progress"),
        hidden=True,
        class_name="stack g2",
        custom_attrs={"data-upload-progress": ""},
    )
    form = rx.el.form(
        drop,
        error,
        sending,
        rx.el.div(
            rx.button(icon("file-search"), "Check the file", type="submit", size="3"),
            rx.el.p("Checking writes nothing.", class_name="muted"),
            class_name="actions",
        ),
        class_name="stack g4",
        aria_label="Import patients",
        custom_attrs={"data-upload": routes.IMPORT_FILE},
        no_validate=True,
        on_submit=None,
        key=State.form_number,
    )
    return rx.el.section(
        rx.el.div(rx.el.h2("Import patients", id="import"), form, class_name="section"),
        class_name="card",
        aria_labelledby="import",
    )


def _earlier_row(one: EarlierFile) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                rx.el.p(apart(one.name), class_name="strong break"),
                rx.el.p(apart(one.line), class_name="muted small"),
                class_name="grow",
            ),
            rx.button(
                "Report",
                rx.el.span(" of ", apart(one.name), class_name="sr"),
                type="button",
                variant="outline",
                size="2",
                on_click=State.open_report(one.id),
            ),
            class_name="line",
        ),
        key=one.id.to_string(),
    )


def _earlier() -> rx.Component:
    rows = rx.el.ul(rx.foreach(State.earlier, _earlier_row), class_name="rows")
    none = rx.el.p("Nothing was imported yet.", class_name="muted")
    return rx.el.section(
        rx.el.div(rx.el.h2("Earlier imports", id="earlier"), class_name="card-head"),
        rx.el.div(when(State.earlier.length() > 0, rows, none), class_name="card-body"),
        class_name="card",
        aria_labelledby="earlier",
    )


def _download(title: str, number: Text, about: str, *, inactive: bool) -> rx.Component:
    attrs = {"formAction": routes.PATIENTS_EXPORT, "formMethod": "post"}
    hidden = [rx.el.input(type="hidden", name="inactive", value="on")] if inactive else []
    label = [rx.el.span(" with inactive records", class_name="sr")] if inactive else []
    form = rx.el.form(
        *hidden,
        rx.button(
            icon("download"), "Download CSV", *label, type="submit", variant="outline", size="2", custom_attrs=attrs
        ),
        aria_label=title,
        on_submit=None,
    )
    words = rx.el.div(rx.el.p(title, class_name="strong"), rx.el.p(apart(number), about, class_name="muted small"))
    return row(words, form, cls="between wrap")


def _export() -> rx.Component:
    whole = row(
        rx.el.div(
            rx.el.p("One patient’s whole record", class_name="strong"),
            rx.el.p("From the patient’s profile", class_name="muted small"),
        ),
        link_button(icon("search"), "Find the patient", href=routes.PATIENTS, variant="outline", size="2"),
        cls="between wrap",
    )
    return rx.el.section(
        rx.el.div(rx.el.h2("Export", id="export"), class_name="card-head"),
        rx.el.div(
            rx.el.p("Every export is in the audit trail.", class_name="muted"),
            stack(
                _download("All patients", State.active, " records, one a line", inactive=False),
                _download("With inactive records", State.everybody, " records", inactive=True),
                whole,
                cls="under-lead",
            ),
            class_name="card-body",
        ),
        class_name="card",
        aria_labelledby="export",
    )


def _start() -> rx.Component:
    return rx.el.div(stack(_choose(), _earlier(), gap=5), rx.el.div(_export()), class_name="cols two-one")


# --- what was found -----------------------------------------------------------------------------------


def _decide(one: FileRowShown, words: str, decision: str, name: str) -> rx.Component:
    chosen = one.decision == decision
    return forms.press_button(
        when(chosen, icon("check")),
        words,
        rx.el.span(": row ", apart(one.number), class_name="sr"),
        called=f"{name}-" + one.row.to_string(),
        on_press=lambda press: State.decide(State.number, one.row, decision, 0, press),
        variant=when(chosen, "soft", "outline"),
        size="1",
        aria_pressed=when(chosen, "true", "false"),
    )


def _same(one: AlikeRow) -> rx.Component:
    return forms.press_button(
        when(one.chosen, icon("check")),
        "Same person",
        rx.el.span(": ", apart(one.words), class_name="sr"),
        called="same-" + one.key,
        on_press=lambda press: State.decide(State.number, one.row, "SAME_PERSON", one.patient, press),
        variant=when(one.chosen, "soft", "outline"),
        size="1",
        aria_pressed=when(one.chosen, "true", "false"),
    )


def _alike(waits: bool) -> Callable[[AlikeRow], rx.Component]:
    def render(one: AlikeRow) -> rx.Component:
        who = when(one.href, link(apart(one.words), href=one.href), apart(one.words))
        words = rx.el.span("Like ", who, ": ", apart(one.reasons), class_name="why")
        button = when(one.href, _same(one)) if waits else rx.fragment()
        return rx.el.div(words, button, class_name="alike", key=one.key)

    return render


def _file_row(waits: bool) -> Callable[[FileRowShown], rx.Component]:
    def render(one: FileRowShown) -> rx.Component:
        deciding = rx.el.div(
            _decide(one, "Import anyway", "IMPORT_ANYWAY", "anyway"),
            _decide(one, "Leave out", "LEAVE_OUT", "out"),
            class_name="actions",
            role="group",
            aria_label="Decide",
        )
        outcome = rx.el.div(
            rx.el.span(
                badge(one.outcome, one.tone),
                when(one.why, apart(one.why, class_name="why")),
                class_name="oc",
            ),
            rx.foreach(one.alike, _alike(waits)),
            when(one.waits, deciding) if waits else rx.fragment(),
            class_name="stack g2",
        )
        return rx.el.tr(
            rx.el.th(
                rx.el.span("Row ", class_name="small-only"),
                apart(one.number),
                scope="row",
                class_name="num",
                role="rowheader",
            ),
            rx.el.td(apart(one.name), class_name="break", role="cell"),
            rx.el.td(apart(one.born), role="cell"),
            rx.el.td(outcome, role="cell"),
            role="row",
            key=one.row.to_string(),
        )

    return render


def _table(caption: str, *, waits: bool) -> rx.Component:
    names = ("Row", "Name", "Date of birth", "Outcome")
    heads = [rx.el.th(text, scope="col", role="columnheader") for text in names]
    table = rx.el.table(
        rx.el.caption(caption, class_name="sr"),
        rx.el.thead(rx.el.tr(*heads, role="row"), role="rowgroup"),
        rx.el.tbody(rx.foreach(State.rows, _file_row(waits)), role="rowgroup"),
        class_name="rowsheet",
        role="table",
    )
    none = rx.el.p("No rows of this kind.", class_name="muted section")
    pages = when(State.pages > 1, pager(State.summary, State.page, State.pages, State.turn))
    return when(State.rows.length() > 0, rx.fragment(rx.el.div(table, class_name="rs-box"), pages), none)


def _rest_choice(words: str, chosen: rx.Var[bool], value: bool, name: str) -> rx.Component:
    return forms.press_button(
        when(chosen, icon("check")),
        words,
        called=name,
        on_press=lambda press: State.decide_all(State.number, value, press),
        variant=when(chosen, "soft", "outline"),
        size="2",
        aria_pressed=when(chosen, "true", "false"),
    )


def _rest() -> rx.Component:
    choices = rx.el.div(
        _rest_choice("Leave out, list them in the report", ~State.rest_goes_in, False, "rest-out"),
        _rest_choice("Import too, and put the pairs under Possible duplicates", State.rest_goes_in, True, "rest-in"),
        class_name="actions choose-rest",
        role="group",
        aria_labelledby="rest",
    )
    return when(
        State.duplicates > 0,
        rx.el.div(
            stack(rx.el.p(apart(State.rest), id="rest", class_name="label"), choices, gap=2), class_name="section"
        ),
    )


def _column(name: rx.Var[str]) -> rx.Component:
    return rx.el.b(apart(name), class_name="strong break")


def _another() -> rx.Component:
    return forms.press_button(
        "Another file",
        called="drop-" + State.number.to_string(),
        on_press=lambda press: State.drop(State.number, press),
        variant="outline",
        size="3",
    )


def _preview() -> rx.Component:
    columns = when(
        State.columns,
        rx.el.p(
            apart(State.columns),
            rx.foreach(State.column_names, lambda name, index: rx.fragment(when(index > 0, ", "), _column(name))),
            apart(State.more_columns),
            ".",
            class_name="under",
        ),
    )
    again = when(State.again, note("warn", rx.el.p(apart(State.again)), role="status"))
    begin = forms.press_button(
        icon("upload"),
        apart(State.button),
        called="import-" + State.number.to_string(),
        on_press=lambda press: State.take_in(State.number, State.stamp, press),
        size="3",
        class_name="primary",
        disabled=State.nothing,
    )
    return rx.fragment(
        rx.el.div(stack(_name(), again, _tally(), columns, gap=4), class_name="section"),
        rx.el.div(
            filters(State.filters, State.choose, label="Outcome"),
            class_name="section",
        ),
        _table("Rows of the file", waits=True),
        _rest(),
        rx.el.div(begin, _another(), class_name="section-foot actions fill"),
    )


# --- under way, and over ------------------------------------------------------------------------------


def _progress(label: str, words: str) -> rx.Component:
    return stack(
        row(
            rx.el.label(label, html_for="import-progress", class_name="label"),
            rx.el.span(apart(State.progress), class_name="num", role="status"),
            cls="between wrap",
            gap=2,
        ),
        rx.el.progress(id="import-progress", value=State.done, max=State.size, class_name="progress"),
        rx.el.p(words, class_name="muted"),
        gap=2,
    )


def _checking() -> rx.Component:
    words = "This page can be left: what was found is here when you come back. Nothing is written."
    return rx.fragment(
        rx.el.div(stack(_name(), _progress("Checking the file", words), gap=4), class_name="section"),
        rx.el.div(_another(), class_name="section-foot actions fill"),
    )


def _running() -> rx.Component:
    words = (
        "This page can be left: the import goes on. "
        "Should the machine stop, it continues where it was, without doubles."
    )
    stop = forms.press_button(
        icon("square"),
        "Stop the import",
        called="stop-" + State.number.to_string(),
        on_press=lambda press: State.stop(State.number, press),
        variant="outline",
        size="3",
        class_name="danger",
    )
    return rx.fragment(
        rx.el.div(stack(_name(), _progress("Importing patients", words), gap=4), class_name="section"),
        rx.el.div(
            stop, rx.el.p("What is in stays in.", class_name="muted grow"), class_name="section-foot actions fill"
        ),
    )


def _refused() -> rx.Component:
    return rx.fragment(
        rx.el.div(stack(_name(), note("bad", rx.el.p(apart(State.reason)), role="alert"), gap=4), class_name="section"),
        rx.el.div(_another(), class_name="section-foot actions fill"),
    )


def _report() -> rx.Component:
    said = note("good", rx.el.p(apart(State.did), class_name="strong"), rx.el.p(apart(State.how)), role="status")
    early = note("warn", rx.el.p(apart(State.early)), role="status")
    attrs = {"formAction": routes.IMPORT_REPORT, "formMethod": "post"}
    download = rx.el.form(
        rx.el.input(type="hidden", name="number", value=State.number.to_string()),
        rx.button(
            icon("download"), "Download report (CSV)", type="submit", variant="outline", size="3", custom_attrs=attrs
        ),
        aria_label="Download report",
        on_submit=None,
    )
    another = rx.button(
        icon("upload"), "Import another file", type="button", variant="outline", size="3", on_click=State.another
    )
    go_on = forms.press_button(
        "Continue the import",
        called="go-on-" + State.number.to_string(),
        on_press=lambda press: State.go_on(State.number, press),
        size="3",
    )
    left = rx.fragment(
        rx.el.h2("Left out", id="import"), _tally(), rx.el.div(download, another, class_name="actions fill")
    )
    none = rx.fragment(rx.el.h2("Nothing was left out", id="import"), rx.el.div(another, class_name="actions fill"))
    has_left = State.figures.length() > 0
    card = rx.el.section(
        rx.el.div(stack(when(has_left, left, none), gap=4), class_name="section"),
        when(has_left, _table("Rows left out", waits=False)),
        class_name="card",
        aria_labelledby="import",
    )
    return stack(
        when(State.early, early), said, when(State.can_go_on, rx.el.div(go_on, class_name="actions fill")), card, gap=5
    )


def _loading() -> rx.Component:
    bones = stack(bone("220px"), bone("100%"), bone("60%"), gap=4)
    return rx.el.section(
        rx.el.div(bones, class_name="section late", aria_hidden="true"),
        rx.el.p("Loading", role="status", class_name="sr"),
        class_name="card",
        aria_busy="true",
    )


def _card(body: rx.Component) -> rx.Component:
    return rx.el.section(body, class_name="card", aria_labelledby="import")


def import_and_export() -> rx.Component:
    """The page."""
    failed = empty("layers", "Imports cannot be shown right now", "Nothing is lost. Load the page again in a moment.")
    cases = {
        "loading": _loading(),
        "failed": rx.el.section(failed, class_name="card"),
        "checking": _card(_checking()),
        "refused": _card(_refused()),
        "preview": _card(_preview()),
        "running": _card(_running()),
        "report": _report(),
    }
    return staff_page(
        page_head("Import and export", lead=LEAD),
        stack(error_note(State.failure), pick(State.mode, cases, _start()), gap=4),
        current="Import and export",
        register=False,
    )
