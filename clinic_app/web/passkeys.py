"""*Passkeys*: one's own, on plain pages for patients and for staff alike. Signing in with one: ``signing_in``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import addresses, clock, cookies, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.core.settings import get_settings
from clinic_app.core.user_agents import device_words
from clinic_app.services.access import Actor
from clinic_app.services.accounts import passkey_confirmation, passkeys, places
from clinic_app.services.accounts.errors import PasskeyNotFound, WrongPassword
from clinic_app.services.accounts.reauthentication import check_fresh
from clinic_app.services.accounts.views import OwnPasskey
from clinic_app.services.patients import wording
from clinic_app.web import dead_ends, pages, requests
from clinic_app.web.answers import back, failure_status, forget, see_other, sign_in_first
from clinic_app.web.patient_side import told
from clinic_app.web.requests import Acting, Form, Json, ask, look_up

router = requests.router()
PASSWORD_NEEDED = "Password is required."  # noqa: S105  a sentence


@dataclass(frozen=True, slots=True)
class Side:
    """Where the pages of patients, or of staff, are, and what they say."""

    name: str
    list: str
    add: str
    remove: str
    device: str
    opens: str

    @property
    def patient(self) -> bool:
        """Whether it is the patients' side."""
        return self is _PORTAL

    def page(self, what: str, status: int, **values: Any) -> Response:
        """One of the two pages."""
        words = {"patient": self.patient, "large": " lg" if self.patient else "", "list": self.list}
        words |= {"device": self.device, "opens": self.opens, "site": addresses.passkey_site(get_settings())}
        return pages.render(f"passkeys/{self.name}_{what}.html", status, **words, **values)

    def removal(self, passkey_id: int) -> str:
        """The page that asks whether to remove this one."""
        return self.remove.replace("{passkey}", str(passkey_id))

    async def elsewhere(self, request: Request, actor: Actor) -> Response | None:
        """Where somebody goes who has nothing to do on these pages; None where they may stay.

        Whoever is not signed in comes back to the page asked for.
        """
        if not addresses.passkey_site(get_settings()):
            return dead_ends.not_found(self.list)
        if actor.kind != "account":
            return await sign_in_first(request, request.url.path)
        if actor.held_back or (actor.patient_id is not None) != self.patient:
            return see_other(places.start(actor))
        return None


_PORTAL = Side(
    "portal", routes.PORTAL_PASSKEYS, routes.PORTAL_PASSKEY_ADD, routes.PORTAL_PASSKEY_REMOVE, "phone", "record"
)
_STAFF = Side("staff", routes.PASSKEYS, routes.PASSKEY_ADD, routes.PASSKEY_REMOVE, "device", "account")


@dataclass(frozen=True, slots=True)
class _Row:
    """A passkey as its line shows it."""

    id: int
    name: str
    line: str
    remove: str


def _row(side: Side, one: OwnPasskey) -> _Row:
    used = f"last used {wording.mid_sentence(one.used_at)}" if one.used_at else "not used yet"
    added = wording.date_words(clock.local(one.added_at).date())
    return _Row(one.id, one.name, f"Added {added}, {used}", side.removal(one.id))


def _is_fresh(actor: Actor) -> bool:
    try:
        check_fresh(actor)
    except ReauthenticationRequired:
        return False
    return True


def _number(text: str) -> int:
    """The id in an address; 0, which nobody has, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


# --- the list -----------------------------------------------------------------------------------


async def _list(
    side: Side, actor: Actor, *, removing: int = 0, error: str = "", refused: str = "", said: str = ""
) -> Response:
    """One's own passkeys, perhaps with the question whether to remove one of them."""
    keys = await look_up(passkeys.own_passkeys, actor)
    if removing and removing not in [one.id for one in keys]:
        return see_other(side.list)
    asks = side.patient and not _is_fresh(actor)
    return side.page(
        "list",
        400 if error or refused else 200,
        keys=tuple(_row(side, one) for one in keys),
        removing=removing,
        asks_password=asks,
        confirms_at=side.removal(removing) if asks and removing else "",
        error=error,
        refused=refused,
        said=said,
        add="" if removing or len(keys) >= passkeys.AT_MOST else side.add,
    )


async def _show_list(side: Side, request: Request, actor: Actor) -> Response:
    if (elsewhere := await side.elsewhere(request, actor)) is not None:
        return elsewhere
    note = await look_up(told, request)
    page = await _list(side, actor, said=str(note.get("notice", "")))
    return forget(page, cookies.flash_name()) if note else page


@router.get(routes.PORTAL_PASSKEYS)
async def portal_list(request: Request, actor: Acting) -> Response:
    """*Passkeys* of a patient."""
    return await _show_list(_PORTAL, request, actor)


@router.get(routes.PASSKEYS)
async def staff_list(request: Request, actor: Acting) -> Response:
    """*Passkeys* of a member of staff."""
    return await _show_list(_STAFF, request, actor)


# --- adding -------------------------------------------------------------------------------------


async def _add_page(
    side: Side, actor: Actor, status: int = 200, *, name: str, errors: dict[str, str] | None = None, refused: str = ""
) -> Response:
    asks = side.patient and not _is_fresh(actor)
    confirms = asks and bool(await look_up(passkeys.own_passkeys, actor))
    return side.page(
        "add",
        status,
        add=side.add,
        name=name[: passkeys.LONGEST_NAME],
        asks_password=asks,
        confirms_at=side.add if confirms else "",
        errors=errors or {},
        refused=refused,
    )


async def _show_add(side: Side, request: Request, actor: Actor) -> Response:
    if (elsewhere := await side.elsewhere(request, actor)) is not None:
        return elsewhere
    if not side.patient and not _is_fresh(actor):
        return see_other(routes.confirm(side.add))
    note = await look_up(told, request)
    refused = str(note.get("message", ""))
    page = await _add_page(side, actor, name=device_words(request.headers.get("user-agent", "")), refused=refused)
    return forget(page, cookies.flash_name()) if note else page


@router.get(routes.PORTAL_PASSKEY_ADD)
async def portal_add_page(request: Request, actor: Acting) -> Response:
    """*Add a passkey*, for patients."""
    return await _show_add(_PORTAL, request, actor)


@router.get(routes.PASSKEY_ADD)
async def staff_add_page(request: Request, actor: Acting) -> Response:
    """*Add a passkey*, for staff who confirmed recently."""
    return await _show_add(_STAFF, request, actor)


def _unproved(side: Side, error: ClinicError) -> tuple[dict[str, str], str]:
    """What to say at the password, or where to go first, if ``error`` says that fresh proof is missing."""
    if isinstance(error, WrongPassword) or (isinstance(error, ReauthenticationRequired) and side.patient):
        return {"password": error.detail if isinstance(error, WrongPassword) else PASSWORD_NEEDED}, ""
    return {}, routes.confirm(side.add) if isinstance(error, ReauthenticationRequired) else ""


@router.post(routes.PASSKEY_NEW)
async def ask_for_a_new_one(actor: Acting, sent: Json) -> Response:
    """*Add this passkey*: what the browser is to ask for, as JSON; the form of the page brings the answer.

    Else ``errors`` by field, ``detail``, and ``location`` where one has to go first.
    """
    side = _STAFF if actor.is_staff else _PORTAL
    name, password = (text if isinstance(text := sent.get(key), str) else "" for key in ("passkey_name", "password"))
    try:
        options = await ask(passkeys.begin_adding_passkey, actor, name[:1000], password[:1024])
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return JSONResponse({"location": side.list}, 401)
        errors, location = _unproved(side, error)
        status, headers = failure_status(error)
        told = {"errors": errors or error.fields, "detail": error.detail, "location": location}
        return JSONResponse(told, 404 if error.kind == ErrorKind.NOT_FOUND else status, headers)
    return Response(options, media_type="application/json")


@router.post(routes.PASSKEY_CONFIRM)
async def ask_for_one_to_confirm(actor: Acting) -> Response:
    """*Confirm with a passkey*: what the browser is to ask for, as JSON; a form brings the answer."""
    try:
        options = await ask(passkey_confirmation.begin_confirming_with_passkey, actor)
    except ClinicError as error:
        status, headers = failure_status(error)
        known = {ErrorKind.NOT_FOUND: 404, ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403}
        return JSONResponse({"detail": error.detail}, known.get(error.kind, status), headers)
    return Response(options, media_type="application/json")


async def _add(side: Side, request: Request, actor: Actor, form: dict[str, str]) -> Response:
    if (elsewhere := await side.elsewhere(request, actor)) is not None:
        return elsewhere
    name = form.get("passkey_name", "")[:1000]
    try:
        await ask(passkeys.finish_adding_passkey, actor, name, form.get("passkey", ""))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return await sign_in_first(request, request.url.path)
        status, _ = failure_status(error)
        refused = "" if error.fields else error.detail
        return await _add_page(side, actor, status, name=name, errors=error.fields, refused=refused)
    return await back(side.list, notice=f"The passkey was added. On this {side.device} you can sign in with it now.")


@router.post(routes.PORTAL_PASSKEY_ADD)
async def portal_add(request: Request, actor: Acting, form: Form) -> Response:
    """*Add this passkey*, with what the patient's device answered."""
    return await _add(_PORTAL, request, actor, form)


@router.post(routes.PASSKEY_ADD)
async def staff_add(request: Request, actor: Acting, form: Form) -> Response:
    """*Add this passkey*, with what the device answered."""
    return await _add(_STAFF, request, actor, form)


# --- removing -----------------------------------------------------------------------------------


async def _ask_removal(side: Side, request: Request, actor: Actor, passkey: str) -> Response:
    if (elsewhere := await side.elsewhere(request, actor)) is not None:
        return elsewhere
    ident = _number(passkey)
    if not side.patient and not _is_fresh(actor):
        return see_other(routes.confirm(side.removal(ident)))
    if not ident:
        return see_other(side.list)
    note = await look_up(told, request)
    page = await _list(side, actor, removing=ident, refused=str(note.get("message", "")))
    return forget(page, cookies.flash_name()) if note else page


async def _remove(side: Side, request: Request, actor: Actor, passkey: str, form: dict[str, str]) -> Response:
    if (elsewhere := await side.elsewhere(request, actor)) is not None:
        return elsewhere
    ident = _number(passkey)
    try:
        name = await ask(passkeys.remove_passkey, actor, ident, form.get("password", "")[:1024])
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return await sign_in_first(request, request.url.path)
        if isinstance(error, PasskeyNotFound):
            return await back(side.list, notice=error.detail)
        errors, location = _unproved(side, error)
        if location:
            return see_other(routes.confirm(side.removal(ident)))
        if errors:
            return await _list(side, actor, removing=ident, error=errors["password"])
        page = await _list(side, actor, removing=ident, refused=error.detail)
        if page.status_code != 303:  # else the passkey is not there any more: to the list of those that are
            page.status_code, headers = failure_status(error)
            page.headers.update(headers)
        return page
    return await back(side.list, notice=f"“{name}” has been removed. All other devices have been signed out.")


@router.get(routes.PORTAL_PASSKEY_REMOVE)
async def portal_removal(request: Request, actor: Acting, passkey: str) -> Response:
    """*Remove*, beside one of a patient's: asks first, in its place."""
    return await _ask_removal(_PORTAL, request, actor, passkey)


@router.get(routes.PASSKEY_REMOVE)
async def staff_removal(request: Request, actor: Acting, passkey: str) -> Response:
    """*Remove*, beside one of a member of staff who confirmed recently."""
    return await _ask_removal(_STAFF, request, actor, passkey)


@router.post(routes.PORTAL_PASSKEY_REMOVE)
async def portal_remove(request: Request, actor: Acting, passkey: str, form: Form) -> Response:
    """*Remove passkey*: it opens nothing any more."""
    return await _remove(_PORTAL, request, actor, passkey, form)


@router.post(routes.PASSKEY_REMOVE)
async def staff_remove(request: Request, actor: Acting, passkey: str, form: Form) -> Response:
    """*Remove passkey*: the same for staff."""
    return await _remove(_STAFF, request, actor, passkey, form)
