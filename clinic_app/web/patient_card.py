"""The patient card, on a page of its own to be printed from."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response

from clinic_app.core import qr, routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.views import PatientCard
from clinic_app.web import pages, requests
from clinic_app.web.answers import sign_in_first
from clinic_app.web.requests import Acting

router = requests.router()
_STATUS = {ErrorKind.FORBIDDEN: 403, ErrorKind.NOT_FOUND: 404, ErrorKind.UNAVAILABLE: 503}


def _page(card: PatientCard) -> Response:
    picture = qr.picture(card.patient_id, border=2)  # the bare patient ID: scanners type it into the search box
    return pages.render(
        "patient_card/card.html", name=card.name, patient_id=card.patient_id, born=card.born, picture=picture
    )


@router.get(routes.PATIENT_CARD)
async def card_page(request: Request, actor: Acting, patient_id: str) -> Response:
    """*Patient card*: name, birth date, patient ID and its QR code. For staff; the look is recorded.

    Who is not signed in is brought back to it afterwards.
    """
    try:
        card = await asyncio.to_thread(lambda: patient_card(actor, patient_id))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return await sign_in_first(request, routes.patient_card(patient_id))
        return pages.render("patient_card/problem.html", _STATUS.get(error.kind, 400), detail=error.detail)
    return await asyncio.to_thread(_page, card)
