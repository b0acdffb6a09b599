"""Possible duplicates of a patient, merging two records, undoing that, and saying that they are two people."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from clinic_app.api import problems, schemas, serializers
from clinic_app.api.endpoint import Answer, Ask, Call, Needs, Route
from clinic_app.api.openapi import takes
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Permission
from clinic_app.services.patients.errors import PatientMerged
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.merging import merge_patients, undo_merge
from clinic_app.services.patients.pairs import duplicates_of, say_not_duplicate, take_back_not_duplicate
from clinic_app.services.patients.views import PossibleDuplicate

router = APIRouter(prefix="/v1/patients", route_class=Route, tags=["Possible duplicates"])
Deciding = Annotated[Call, Depends(Needs(Permission.DUPLICATES))]


def _candidate(found: PossibleDuplicate) -> dict[str, Any]:
    like = found.likeness
    return {
        "patient": serializers.summary(found.patient),
        "score": round(like.score, 4),
        "grade": like.grade,
        "reasons": list(like.reasons),
    }


def _duplicates(ask: Ask) -> Answer:
    found = duplicates_of(ask.actor, ask.patient)
    return 200, {"count": len(found), "results": [_candidate(one) for one in found]}


def _merge(ask: Ask) -> Answer:
    done = merge_patients(ask.actor, ask.patient, MergeRequest.parse(ask.body("into", "values", "portal_username")))
    return 200, {
        "success": True,
        "message": done.message,
        "patient": serializers.patient(done.patient),
        "merged": done.merged,
    }


def _undo(ask: Ask) -> Answer:
    ask.body(optional=True)
    done = undo_merge(ask.actor, ask.patient)
    return 200, {
        "success": True,
        "message": done.message,
        "patient": serializers.patient(done.patient),
        "survivor": serializers.patient(done.survivor),
        "not_restored": list(done.lost),
    }


def _not_a_duplicate(ask: Ask) -> Answer:
    body = ask.body("other", "undo")
    other, undo = body.get("other"), body.get("undo") or False
    if not isinstance(other, int | str) or isinstance(other, bool) or other == "":
        raise InvalidInput({"other": "other must be the id or the patient ID of the other record."})
    if not isinstance(undo, bool):
        raise InvalidInput({"undo": "undo must be true or false."})
    (take_back_not_duplicate if undo else say_not_duplicate)(ask.actor, ask.patient, other)
    return 200, {"success": True, "message": "Possible duplicates again" if undo else "Not a duplicate"}


_MERGED: dict[int | str, dict[str, Any]] = {
    409: {
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problems.body_of(PatientMerged("LMC000124", "LMC000123")),
            }
        }
    }
}


@router.get("/{id:patient}/duplicates/", operation_id="list_duplicates", response_model=schemas.Duplicates)
async def duplicates(call: Deciding) -> Response:
    """Records that may be the same person, the likeliest first; those said to be somebody else are not among them."""
    return await call.answer(_duplicates)


@router.post(
    "/{id:patient}/merge/",
    operation_id="merge_patient",
    response_model=schemas.Merged,
    responses=_MERGED,
    openapi_extra=takes(schemas.Merge, repeatable=True),
)
async def merge(call: Deciding) -> Response:
    """Merge this record into another one of the same person. It becomes inactive, and its numbers find the other.

    Without a choice a value that is known is kept before one that is not, and of two portal accounts the one in use.
    409 where either is merged already, or is not in use.
    """
    return await call.answer(_merge, repeatable=True)


@router.post(
    "/{id:patient}/undo-merge/",
    operation_id="undo_merge",
    response_model=schemas.Unmerged,
    responses=_MERGED,
    openapi_extra=takes(repeatable=True),
)
async def undo(call: Deciding) -> Response:
    """Make two records again: this one as it was when it was merged, the other with what was edited since.

    Of a record that others were merged into, the latest of them is meant. What somebody else holds meanwhile does not
    come back, and is named in `not_restored`.
    """
    return await call.answer(_undo, repeatable=True)


@router.post(
    "/{id:patient}/not-a-duplicate/",
    operation_id="not_a_duplicate",
    response_model=schemas.Done,
    responses=_MERGED,
    openapi_extra=takes(schemas.NotADuplicate, repeatable=True),
)
async def not_a_duplicate(call: Deciding) -> Response:
    """Say that this record and another one are two people, or with `undo` take that back.

    It is remembered until either record changes.
    """
    return await call.answer(_not_a_duplicate, repeatable=True)
