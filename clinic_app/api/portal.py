"""Portal access: giving it, resetting its password, changing its username, turning it off and on, many at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from clinic_app.api import problems, schemas, serializers
from clinic_app.api.endpoint import Answer, Ask, Call, Needs, Route
from clinic_app.api.openapi import takes
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Permission
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.bulk import AT_MOST, BulkOutcome, create_portal_accounts
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest, TurnOff
from clinic_app.services.portal.invitations import resend_invitation
from clinic_app.services.portal.views import PortalCreated

router = APIRouter(prefix="/v1/patients", route_class=Route, tags=["Portal access"])
Managing = Annotated[Call, Depends(Needs(Permission.PORTAL_MANAGE))]


def _made(status: int, done: PortalCreated) -> Answer:
    return status, {
        "success": True,
        "message": done.message,
        "credentials": serializers.credentials(done.credentials),
        "patient": serializers.portal_patient(done.patient),
    }


def _create(ask: Ask) -> Answer:
    return _made(
        201, provisioning.create_portal_account(ask.actor, ask.patient, PortalAccountRequest.parse(ask.body()))
    )


def _reset(ask: Ask) -> Answer:
    ask.body(optional=True)
    return _made(200, provisioning.reset_portal_password(ask.actor, ask.patient))


def _rename(ask: Ask) -> Answer:
    form = ChangePortalUsername.parse(ask.body())
    return _made(200, provisioning.change_portal_username(ask.actor, ask.patient, form))


def _resend(ask: Ask) -> Answer:
    ask.body(optional=True)
    done = resend_invitation(ask.actor, ask.patient)
    return 200, {
        "success": True,
        "message": done.message,
        "patient": serializers.portal_patient(done.patient),
        "deliveries": [serializers.delivery(one) for one in done.deliveries],
    }


def _disable(ask: Ask) -> Answer:
    why = TurnOff.parse(ask.body("reason", "words", optional=True))
    done = provisioning.turn_off_portal(ask.actor, ask.patient, why=why)
    return 200, {"success": True, "message": "Portal access turned off", "patient": serializers.portal_patient(done)}


def _enable(ask: Ask) -> Answer:
    ask.body(optional=True)
    done = provisioning.turn_on_portal(ask.actor, ask.patient)
    return 200, {"success": True, "message": "Portal access turned on", "patient": serializers.portal_patient(done)}


def _wanted(ask: Ask) -> list[int | str]:
    found = ask.body("patient_ids").get("patient_ids")
    if not isinstance(found, list) or not all(type(item) in (int, str) for item in found):
        raise InvalidInput({"patient_ids": "patient_ids must be a list of ids or patient IDs."})
    return found


def _outcome(done: BulkOutcome) -> dict[str, Any]:
    found: dict[str, Any] = {
        "requested": done.key,
        "success": done.credentials is not None,
        "patient": serializers.portal_patient(done.patient) if done.patient else None,
    }
    if done.credentials is not None:
        found["credentials"] = serializers.credentials(done.credentials)
    elif done.error is not None:
        found |= {"error": done.error.title, "detail": done.error.detail, **done.error.extra()}
    return found


def _bulk(ask: Ask) -> Answer:
    results = [_outcome(done) for done in create_portal_accounts(ask.actor, _wanted(ask))]
    created = sum(result["success"] for result in results)
    return 200, {
        "success": True,
        "message": f"Portal accounts created: {created} of {len(results)}",
        "created": created,
        "failed": len(results) - created,
        "results": results,
    }


def _example(error: str, detail: str, **more: str) -> dict[str, Any]:
    return {"value": {"success": False, "error": error, "detail": detail, **more}}


_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {
                    "no email": _example(
                        "Email is required", "Please provide a valid email address for the portal account."
                    ),
                    "not an email": _example("Invalid email format", "Please provide a valid email address."),
                    "account exists": _example(
                        "Portal account already exists",
                        "This patient already has a portal account with username: existing@email.com",
                        existing_username="existing@email.com",
                    ),
                    "email taken": _example(
                        "Email already in use",
                        "A portal account with this email already exists. Please use a different email.",
                    ),
                },
            }
        }
    }
}
_NO_ACCOUNT: dict[int | str, dict[str, Any]] = {
    409: {
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problems.body_of(provisioning.NoPortalAccount()),
            }
        }
    }
}


@router.post(
    "/bulk-create-portal/",
    operation_id="create_portal_accounts",
    response_model=schemas.BulkAnswer,
    openapi_extra=takes(schemas.BulkRequest, repeatable=True),
    description=f"Give portal access to up to {AT_MOST} patients, one by one: a failure for one does not stop the "
    "others. The email in each record becomes the username. Allow a quarter of a second per patient.",
)
async def create_many(call: Annotated[Call, Depends(Needs(Permission.PORTAL_BULK))]) -> Response:
    """Portal access for many."""
    return await call.answer(_bulk, repeatable=True)


@router.post(
    "/{id:patient}/create-portal/",
    operation_id="create_portal_account",
    status_code=201,
    response_model=schemas.PortalCreated,
    responses=_REFUSED,
    openapi_extra=takes(schemas.PortalRequest, repeatable=True),
)
async def create(call: Managing) -> Response:
    """Give a registered patient portal access. The temporary password is in this response and nowhere else."""
    return await call.answer(_create, repeatable=True)


@router.post(
    "/{id:patient}/reset-portal-password/",
    operation_id="reset_portal_password",
    response_model=schemas.PortalCreated,
    responses=_NO_ACCOUNT,
    openapi_extra=takes(repeatable=True),
)
async def reset(call: Managing) -> Response:
    """Issue a new temporary password. The old one stops working and all sessions of the account end."""
    return await call.answer(_reset, repeatable=True)


@router.post(
    "/{id:patient}/change-portal-username/",
    operation_id="change_portal_username",
    response_model=schemas.PortalCreated,
    responses={**_REFUSED, **_NO_ACCOUNT},
    openapi_extra=takes(schemas.UsernameChange, repeatable=True),
)
async def change_username(call: Managing) -> Response:
    """Give the account another email as its username, and a new temporary password.

    All sessions of the account end; the former username is free for others. The email in the patient's record stays
    as it is.
    """
    return await call.answer(_rename, repeatable=True)


@router.post(
    "/{id:patient}/resend-invitation/",
    operation_id="resend_invitation",
    response_model=schemas.InvitationSent,
    responses=_NO_ACCOUNT,
    openapi_extra=takes(repeatable=True),
)
async def resend(call: Managing) -> Response:
    """Send a new one-time link to a patient whose password is still a temporary one, which stays as it is.

    Links sent before open nothing from then on. 409, with the reason in `detail`, where nothing can be sent: nothing
    is set up, the patient allows no messages, has chosen a password, or access is turned off.
    """
    return await call.answer(_resend, repeatable=True)


@router.post(
    "/{id:patient}/disable-portal/",
    operation_id="disable_portal",
    response_model=schemas.PortalSwitched,
    responses=_NO_ACCOUNT,
    openapi_extra=takes(schemas.TurnOff, optional=True, repeatable=True),
)
async def disable(call: Managing) -> Response:
    """Turn portal access off, perhaps with a reason; its sessions end. Doing it twice changes nothing."""
    return await call.answer(_disable, repeatable=True)


@router.post(
    "/{id:patient}/enable-portal/",
    operation_id="enable_portal",
    response_model=schemas.PortalSwitched,
    responses=_NO_ACCOUNT,
    openapi_extra=takes(repeatable=True),
)
async def enable(call: Managing) -> Response:
    """Turn portal access on again, with the password it had."""
    return await call.answer(_enable, repeatable=True)
