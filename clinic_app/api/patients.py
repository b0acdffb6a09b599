"""Patients: registering, finding, reading, editing, verifying."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic_core import from_json, to_json
from starlette.convertors import StringConvertor, register_url_convertor

from clinic_app.api import schemas, serializers
from clinic_app.api.endpoint import Answer, Ask, Call, Needs, Route, Together, number
from clinic_app.api.openapi import PAGING, parameter, takes
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Permission
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.forms import (
    BEST,
    ESTIMATED,
    PATIENT_FIELDS,
    Kind,
    PatientQuery,
    PatientRegistration,
    PatientUpdate,
)
from clinic_app.services.patients.profile import kept_patient, read_together, update_patient, view_patient
from clinic_app.services.patients.registration import Begun, begin_registration, register_together
from clinic_app.services.patients.search import LONGEST_TERM, ORDERS, list_patients
from clinic_app.services.patients.verification import list_pending, verify_patient
from clinic_app.services.patients.views import Registered

router = APIRouter(prefix="/v1/patients", route_class=Route, tags=["Patients"])
#: What may stand where a patient's id does, and is none: it keeps its own methods.
_WORDS = ("search", "pending-verification", "bulk-create-portal")


class _PatientKey(StringConvertor):
    regex = f"(?!(?:{'|'.join(_WORDS)})/)[^/]+"


register_url_convertor("patient", _PatientKey())
_ORDERINGS = [sign + name for name in ORDERS for sign in ("", "-")]
_TERM_AT_MOST = 200
#: Rows from the beginning of the register that are read in no time.
_NEAR = 1000
#: A registration that is longer than this many bytes is read by itself.
_USUAL_BODY = 4096
#: Whoever is likely the same person does not hold the registration.
ALLOW_DUPLICATE = "allow_duplicate"
_FLAGS = {
    "create_portal_account": "Create portal account",
    ALLOW_DUPLICATE: ALLOW_DUPLICATE,
    ESTIMATED: ESTIMATED,
    **{name: field.label for name, field in PATIENT_FIELDS.items() if field.kind is Kind.TICK},
}


def _booleans(body: Mapping[str, Any]) -> None:
    """Raise ``InvalidInput`` for text where true or false belongs: that is for forms of pages."""
    for name, words in _FLAGS.items():
        if not isinstance(body.get(name), bool | None):
            raise InvalidInput({name: f"{words} must be true or false."})


def _begun(ask: Ask) -> Begun:
    body = dict(ask.body())
    _booleans(body)
    for name in ("portal_email", "portal_phone"):  # which the form does not look at unless it needs them
        if not isinstance(body.get(name), str | None):
            raise InvalidInput({name: f"{name} must be text."})
    despite = ANYBODY if body.pop(ALLOW_DUPLICATE, None) else ()
    return begin_registration(ask.actor, PatientRegistration.parse(body), despite=despite)


def _register(ask: Ask) -> Answer:
    return _registered(_begun(ask).finish())


def _without_portal(raw: bytes) -> bool:
    return len(raw) <= _USUAL_BODY and b"create_portal_account" not in raw


def _at_once(begun: Begun) -> Answer | Callable[[], Answer]:
    done = begun.at_once() if begun.is_quick else None
    return _registered(done) if done is not None else lambda: _registered(begun.finish())


_TOGETHER = Together(_without_portal, _begun, register_together, _at_once, Begun.failed)


def _registered(done: Registered) -> Answer:
    answer: dict[str, Any] = {
        "success": True,
        "message": done.message,
        "patient": serializers.patient(done.patient),
        "portal_created": done.credentials is not None,
    }
    if done.credentials is not None:
        answer["portal_credentials"] = serializers.credentials(done.credentials)
    return 201, answer


def _find(ask: Ask, term: str, paging: dict[str, Any], order: str = BEST, **kept: object) -> Answer:
    page, size = serializers.paging(paging)
    found = list_patients(ask.actor, PatientQuery(term, page, size, order))
    return 200, serializers.listing(ask, found, page, serializers.summary, **kept)


def _term(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > _TERM_AT_MOST:
        raise InvalidInput({name: f"{name} must be text of at most {_TERM_AT_MOST} characters."})
    return value[:LONGEST_TERM]


def _near(query: Mapping[str, str]) -> bool:
    """Whether a page of the register is near its beginning, in an order whose index leads there at once."""
    try:
        page, size = serializers.paging(query)
    except InvalidInput:
        return False
    plain = query.get("ordering", "").removeprefix("-") != "date_of_birth"  # those without one are counted
    return plain and page * size <= _NEAR and not query.get("search", "").strip()


def _list(ask: Ask) -> Answer:
    query = ask.query("search", "page", "page_size", "ordering", "after")
    order = query.get("ordering") or BEST
    if order != BEST and order not in _ORDERINGS:
        raise InvalidInput({"ordering": f"ordering must be one of {', '.join(_ORDERINGS)}."})
    term = _term(query.get("search", ""), "search")
    page, size = serializers.paging(query)
    after = number(query, "after", 1, 2**31 - 1) if "after" in query else 0
    found = list_patients(ask.actor, PatientQuery(term, page, size, order, after))
    kept = {"search": term, "ordering": query.get("ordering")}
    return 200, serializers.listing(ask, found, page, serializers.summary, not term.strip(), **kept)


def _search_by_address(ask: Ask) -> Answer:
    query = ask.query("q", "page", "page_size")
    term = _term(query.get("q", ""), "q")
    return _find(ask, term, query, q=term)


def _search_by_body(ask: Ask) -> Answer:
    query, body = ask.query("page", "page_size"), ask.body("q", "page", "page_size")
    serializers.paging(query)  # wrong figures are refused, even where the body has others
    if "q" not in body:
        raise InvalidInput({"q": "q is required."})
    given = {name: value for name, value in body.items() if name != "q" and value is not None}
    return _find(ask, _term(body["q"], "q"), {**query, **given})


def _retrieve(ask: Ask) -> Answer:
    found = view_patient(ask.actor, ask.patient, activity=0, merged=True, found=ask.found)
    return 200, serializers.patient(found)


def _read(asks: list[Ask]) -> list[Ask]:
    for ask, found in zip(asks, read_together([ask.patient for ask in asks]), strict=True):
        ask.found = found
    return asks


def _edit(ask: Ask) -> Answer:
    body = dict(ask.body())
    version = body.pop("version", None)
    if version is not None:
        version = number({"version": version} if type(version) is int else {"version": None}, "version", 0, 2**31 - 1)
    _booleans(body)
    return 200, serializers.patient(update_patient(ask.actor, ask.patient, _update(ask, body, version)))


def _update(ask: Ask, body: dict[str, Any], version: int | None) -> PatientUpdate:
    """The edit that ``body`` asks for. The whole object may be sent back: what is as it was read is no change.

    Raises ``InvalidInput``, which names what cannot be changed; ``StaleRecord`` where that has changed since
    ``version`` was read.
    """
    try:
        return PatientUpdate.parse(body, version)
    except InvalidInput as error:
        first = error
    now = kept_patient(ask.actor, ask.patient)
    if version is not None and version != now.version:
        raise StaleRecord
    read = from_json(to_json(serializers.patient(now)))
    changed = {name: value for name, value in body.items() if name not in read or value != read[name]}
    if ESTIMATED in changed and "date_of_birth" in body:  # the two are one: what was sent of them stays together
        changed["date_of_birth"] = body["date_of_birth"]
    if "date_of_birth" in changed and ESTIMATED in body:
        changed[ESTIMATED] = body[ESTIMATED]
    kept = read.keys() - PATIENT_FIELDS.keys() - {ESTIMATED}  # what nobody changes
    if len(changed) == len(body) and kept.isdisjoint(body):
        raise first  # nothing of it is as it was read
    fixed = {name: f"{name} cannot be changed." for name in changed if name in kept}
    try:
        done = PatientUpdate.parse({name: value for name, value in changed.items() if name not in fixed}, version)
    except InvalidInput as error:
        raise InvalidInput({**fixed, **error.fields}) from None
    if fixed:
        raise InvalidInput(fixed)
    return done


def _pending(ask: Ask) -> Answer:
    page, size = serializers.paging(ask.query("page", "page_size"))
    return 200, serializers.listing(ask, list_pending(ask.actor, page, size), page, serializers.waiting)


def _verify(ask: Ask) -> Answer:
    ask.body(optional=True)
    done = verify_patient(ask.actor, ask.patient)
    return 200, {"success": True, "message": "Patient verified successfully", "patient": serializers.patient(done)}


_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    "missing email": {
                        "value": {
                            "success": False,
                            "error": "Validation failed",
                            "detail": "Email is required when creating a patient portal account.",
                            "errors": {"portal_email": "Email is required when creating a patient portal account."},
                        }
                    },
                    "email taken": {
                        "value": {
                            "success": False,
                            "error": "A portal account with this email already exists.",
                            "detail": "Please use a different email address for the patient portal.",
                        }
                    },
                    "national ID taken": {
                        "value": {
                            "success": False,
                            "error": "A patient with this national ID already exists.",
                            "detail": "Please verify the national ID or search for existing patient.",
                        }
                    },
                },
            }
        }
    },
    409: {
        "content": {
            "application/json": {
                "example": {
                    "success": False,
                    "error": "A patient with these details already exists.",
                    "detail": "LMC000123 is likely the same person: name; date of birth, one digit off.",
                    "candidates": [
                        {
                            "id": 123,
                            "patient_id": "LMC000123",
                            "name": "John Doe",
                            "date_of_birth": "1990-01-15",
                            "score": 0.981,
                            "grade": "likely",
                            "reasons": ["Name", "Date of birth, one digit off"],
                        }
                    ],
                }
            }
        }
    },
}


@router.post(
    "/",
    operation_id="register_patient",
    status_code=201,
    response_model=schemas.Registered,
    responses=_REFUSED,
    openapi_extra=takes(schemas.Registration, repeatable=True),
)
async def register(call: Annotated[Call, Depends(Needs(Permission.PATIENT_REGISTER))]) -> Response:
    """Register a patient and, with `create_portal_account`, their portal account: both or neither.

    409 with `candidates` where a patient who is there already is likely the same person, unless `allow_duplicate`.

    The temporary password is in this response and nowhere else.
    """
    return await call.answer(_register, repeatable=True, together=_TOGETHER)


@router.get(
    "/",
    operation_id="list_patients",
    response_model=schemas.Listing[schemas.PatientListed],
    openapi_extra=takes(
        parameters=(
            parameter(
                "search",
                "Search term, as in the search endpoint below.",
                {"type": "string", "maxLength": _TERM_AT_MOST},
                "wanj",
            ),
            *PAGING,
            parameter(
                "after",
                "Without `search`: the id of the last row of the page before. `next` has it: however far one reads "
                "on, each page takes as long as the first.",
                {"type": "integer", "minimum": 1, "maximum": 999_999_999},
            ),
            parameter(
                "ordering",
                "Sort order; put `-` in front for descending. Without it, or empty: with `search` the best match "
                "first, else by name.",
                {"type": "string", "enum": ["", *_ORDERINGS], "default": ""},
            ),
        )
    ),
)
async def list_all(call: Annotated[Call, Depends(Needs(Permission.PATIENT_SEE))]) -> Response:
    """Active patients, page by page."""
    return await call.answer(_list, brief=_near)


@router.get(
    "/search/",
    operation_id="search_patients",
    response_model=schemas.Listing[schemas.PatientListed],
    openapi_extra=takes(
        parameters=(
            parameter("q", "What to search for.", {"type": "string", "maxLength": _TERM_AT_MOST}, "wanj"),
            *PAGING,
        )
    ),
)
async def search(call: Annotated[Call, Depends(Needs(Permission.PATIENT_SEE))]) -> Response:
    """Find patients, the best match first. All words must be found, in any order.

    Part of a name, or a name with one slip; the end of a phone number, in any notation; patient ID, national ID,
    external ID, birth date; the beginning of an email or of the portal username; the next of kin's name and phone.
    """
    return await call.answer(_search_by_address)


@router.post(
    "/search/",
    operation_id="search_patients_privately",
    response_model=schemas.Listing[schemas.PatientListed],
    openapi_extra=takes(schemas.Search, parameters=PAGING),
)
async def search_by_body(call: Annotated[Call, Depends(Needs(Permission.PATIENT_SEE))]) -> Response:
    """The same search, with the term in the body, so that no access log keeps it. Post the same body to `next`."""
    return await call.answer(_search_by_body)


@router.get(
    "/pending-verification/",
    operation_id="list_pending_verification",
    response_model=schemas.Listing[schemas.PatientWaiting],
    openapi_extra=takes(parameters=PAGING),
)
async def list_waiting(call: Annotated[Call, Depends(Needs(Permission.PATIENT_VERIFY))]) -> Response:
    """Self-registrations waiting for verification, oldest first."""
    return await call.answer(_pending)


@router.get("/{id:patient}/", operation_id="get_patient", response_model=schemas.Patient)
async def retrieve(call: Annotated[Call, Depends(Needs(Permission.PATIENT_SEE))]) -> Response:
    """One patient. Viewing the record is itself recorded."""
    return await call.answer(_retrieve, grouped=_read)


@router.patch(
    "/{id:patient}/",
    operation_id="update_patient",
    response_model=schemas.Patient,
    responses={409: {}},
    openapi_extra=takes(schemas.Edit),
)
async def edit(call: Annotated[Call, Depends(Needs(Permission.PATIENT_EDIT))]) -> Response:
    """Change some fields. With `version`, only if nobody else has changed the record since you read it.

    The whole object may be sent back: fields that cannot be changed are accepted while they are unchanged.
    """
    return await call.answer(_edit)


@router.post(
    "/{id:patient}/verify/",
    operation_id="verify_patient",
    response_model=schemas.Verified,
    openapi_extra=takes(repeatable=True),
)
async def verify(call: Annotated[Call, Depends(Needs(Permission.PATIENT_VERIFY))]) -> Response:
    """Mark the patient as verified by the desk. Doing it twice changes nothing."""
    return await call.answer(_verify, repeatable=True)
