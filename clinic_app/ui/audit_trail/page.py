"""``/admin/audit``: Audit trail."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.audit import wording
from clinic_app.ui.audit_trail.state import AuditTrailState
from clinic_app.ui.audit_trail.view import audit_body, event_dialog
from clinic_app.ui.frame.page import staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.state import SearchState


def audit_trail() -> rx.Component:
    """Filters, the events, and one of them whole."""
    here = AuditTrailState
    body = audit_body(
        mode=here.mode,
        rows=here.rows,
        asked=here.asked,
        errors=here.errors,
        problems=here.problems,
        failure=here.failure,
        summary=here.summary,
        page=here.page,
        pages=here.pages,
        at_start=here.page <= 1,
        at_end=here.page >= here.pages,
        busy=here.busy,
        actions=wording.actions(),
        outcomes=tuple(wording.OUTCOMES.items()),
        on_filter=here.apply,
        on_clear=here.clear,
        on_previous=here.turn(-1),
        on_next=here.turn(1),
        on_open=lambda seq: here.open(seq),
        on_again=here.turn(0),
        key=here.form_number,
    )
    dialog = event_dialog(here.opened, open=here.is_open, on_open_change=here.close, on_close=here.close(False))
    return staff_page(body, dialog, current="Audit trail")


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        audit_trail,
        route=routes.AUDIT_TRAIL,
        title=title("Audit trail"),
        on_load=[ShellState.enter, PortalDialogState.forget, SearchState.leave, AuditTrailState.load],
    )
