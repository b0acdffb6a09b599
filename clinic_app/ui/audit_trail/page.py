"""``/admin/audit``: Audit trail."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.audit_trail.state import AuditTrailState
from clinic_app.ui.audit_trail.view import audit_trail
from clinic_app.ui.desk import add_desk_page


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, audit_trail, AuditTrailState.load, route=routes.AUDIT_TRAIL, name="Audit trail")
