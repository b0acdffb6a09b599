"""Where an account belongs: what it must do first, else the first page of its side."""

from __future__ import annotations

from clinic_app.core import routes
from clinic_app.services.access import Actor


def sign_in_page(path: str) -> str:
    """The sign-in page of the side that ``path`` is on."""
    return routes.PORTAL_SIGN_IN if routes.on_portal(path) else routes.STAFF_SIGN_IN


def start(actor: Actor) -> str:
    """Where somebody signed in begins, and where they are sent from pages that are not for them."""
    if actor.patient_id is not None:
        return routes.PORTAL_PASSWORD if actor.must_choose_password else routes.PORTAL
    if actor.must_choose_password:
        return routes.STAFF_PASSWORD
    return routes.TWO_FACTOR if actor.must_set_up_second_factor else routes.RECEPTION
