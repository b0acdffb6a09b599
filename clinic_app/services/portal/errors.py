"""What can go wrong with portal access. Clients of the API rely on these words."""

from __future__ import annotations

from typing import Any, ClassVar

from clinic_app.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound


class EmailRequired(InvalidInput):
    """No email was given."""

    code = "portal_email_required"
    title = "Email is required"

    def __init__(self) -> None:
        super().__init__({"email": "Please provide a valid email address for the portal account."})

    @property
    def fields(self) -> dict[str, str]:
        return {"email": f"{self.title}. {self.detail}"}


class EmailInvalid(InvalidInput):
    """What was given is not an email address."""

    code = "portal_email_invalid"
    title = "Invalid email format"

    def __init__(self) -> None:
        super().__init__({"email": "Please provide a valid email address."})

    @property
    def fields(self) -> dict[str, str]:
        return {"email": f"{self.title}. {self.detail}"}


class PortalAccountExists(AlreadyExists):
    """This patient has an account already."""

    code = "portal_account_exists"
    title = "Portal account already exists"
    field = "email"

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"This patient already has a portal account with username: {username}")

    def extra(self) -> dict[str, Any]:
        return {"existing_username": self.username}


class EmailInUse(AlreadyExists):
    """The email belongs to another account."""

    code = "email_in_use"
    title = "Email already in use"
    detail = "A portal account with this email already exists. Please use a different email."
    field = "email"


class NoPortalAccount(Conflict):
    """There is no account to reset or turn off."""

    code = "no_portal_account"
    title = "No portal account"
    detail = "This patient has no portal account yet."


class PortalAccessChanged(Conflict):
    """Access is not any more what the page showed when somebody decided to change it."""

    code = "portal_access_changed"
    title = "Portal access changed"
    detail = "Portal access changed meanwhile. Nothing was changed."


class SentAgainAlready(Conflict):
    """Somebody else sent the invitation again after the page was drawn that this was pressed on."""

    code = "sent_again_already"
    title = "Already sent again"
    detail = "Somebody sent the invitation again a moment ago. No second one was sent."


class PortalTurnedOff(Conflict):
    """The account is turned off: turn it on first."""

    code = "portal_turned_off"
    title = "Portal access is turned off"
    detail = "Turn on portal access first."


class EmailNotSendable(Conflict):
    """No link can be sent that would show that an email is one's own."""

    code = "email_not_sendable"
    title = "Your email was not changed"
    detail = "We cannot send the link that confirms a new email. Call the reception to change it."


class NoEmailWaits(Conflict):
    """There is no email to be confirmed any more."""

    code = "no_email_waits"
    title = "Nothing waits to be confirmed"
    detail = "There is no new email to confirm any more."


class EmailLinkOver(Conflict):
    """A link that confirms no email any more. Said only once its code was given.

    ``why``: ``used``, ``expired``, ``superseded`` (by a newer one, or because the old email was kept), or ``off`` where
    the account is turned off.
    """

    code = "email_link_over"
    title = "This link does not work any more"
    _WORDS: ClassVar[dict[str, str]] = {
        "used": "It has been used: your email is confirmed.",
        "expired": "It was not used in time. Your old email stays. Sign in and give the new one again.",
        "superseded": "There is a newer message with another link, or the old email was kept.",
        "off": "Your sign-in is turned off. The reception can help.",
    }

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(self._WORDS[why])


class PasswordChosen(Conflict):
    """No temporary password is under way: the patient has a password of their own."""

    code = "password_chosen"
    title = "Password already chosen"
    detail = "The patient has chosen a password already. Reset it to give out a new one."


class UsernameGone(PortalTurnedOff):
    """The username was given up when records were merged, and belongs to somebody else now."""

    code = "username_gone"
    detail = "The username of this account belongs to somebody else now. Give it another one with Change username."


class PasswordOver(Conflict):
    """The temporary password opens nothing any more."""

    code = "temporary_password_over"
    title = "Temporary password expired"
    detail = "The temporary password has expired. Reset it first."


class CannotSend(Conflict):
    """No invitation can go anywhere; the detail says why."""

    code = "cannot_send"
    title = "Nothing was sent"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class RunUnderWay(Conflict):
    """Another run is running: one at a time."""

    code = "run_under_way"
    title = "A run is under way"
    detail = "Another run creates portal accounts just now. Wait until it is over, or stop it."


class PreviewChanged(Conflict):
    """Others are eligible than those who were previewed."""

    code = "preview_changed"
    title = "The preview has changed"
    detail = "Who can get a portal account has changed meanwhile. Nothing was created. Look at the preview again."


class NoSlips(Conflict):
    """There is no account of the run whose password nobody has seen."""

    code = "no_slips"
    title = "No slip to print"
    detail = "Nobody is left to print a slip for. Whose slip was lost gets a new password from the profile."


class NobodyEligible(Conflict):
    """None of those who were chosen can get an account."""

    code = "nobody_eligible"
    title = "Nobody is eligible"
    detail = "None of the chosen patients can get a portal account."


class NoSuchRun(NotFound):
    """There is no such run, or it does not stand as it must for what was asked."""

    code = "no_such_run"
    title = "No such run"
    detail = "There is no such run, or it has changed meanwhile."
