"""What can go wrong with accounts."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from clinic_app.core.errors import (
    AlreadyExists,
    AuthenticationRequired,
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from clinic_app.models.notifications import LinkPurpose


class InvalidCredentials(AuthenticationRequired):
    """Unknown name, wrong password or an account that is turned off: the same words for all."""

    code = "invalid_credentials"
    title = "Sign-in failed"
    detail = "Incorrect username or password."


class TemporaryPasswordExpired(AuthenticationRequired):
    """The right temporary password, but too late. Said only once the right password was given."""

    code = "temporary_password_expired"
    title = "Temporary password expired"
    detail = "This temporary password has expired. Please ask the reception for a new one."


class SecondFactorRequired(AuthenticationRequired):
    """The right password of an account that asks for a code too. ``token`` opens the second step, on pages only."""

    code = "second_factor_required"
    title = "Authentication code needed"
    detail = "This account also needs an authentication code."

    def __init__(self, token: str = "") -> None:
        self.token = token
        super().__init__()


class CodeRefused(AuthenticationRequired):
    """A wrong, old or used code: the same words for all."""

    code = "code_refused"
    title = "Code not accepted"
    detail = "This code is wrong or has already been used. Please enter the next one."


class SignInOver(AuthenticationRequired):
    """The second step took too long, had too many wrong codes, or has been done."""

    code = "sign_in_over"
    title = "Sign-in ended"
    detail = "This took too long, or too many wrong codes were entered. Please sign in again."


class LinkOver(AuthenticationRequired):
    """A one-time link that sets no password any more. Said only once its code was given.

    ``why``: ``used``, ``expired``, ``superseded`` by the link of a newer message, ``replaced`` by a password that was
    set in another way, or ``off`` where the account is turned off. ``at`` (UTC) is when it was used, expired, or when
    the newer message was written.
    """

    code = "link_over"
    title = "This link is over"
    detail = "This link does not work any more."

    def __init__(self, why: str = "expired", at: dt.datetime | None = None) -> None:
        self.why, self.at = why, at
        super().__init__()


class WrongPassword(PermissionDenied):
    """Whoever is signed in gave a password that is not theirs."""

    code = "wrong_password"
    title = "Wrong password"
    detail = "This is not your password."


class AccountChanged(Conflict):
    """A staff account is not any more what the page showed when somebody decided to change it."""

    code = "account_changed"
    title = "Account changed"
    detail = "This account changed meanwhile. Nothing was changed."


class TwoFactorIsOn(Conflict):
    """Setting it up again would replace what works: turn it off first."""

    code = "two_factor_is_on"
    title = "Two-factor sign-in is already on"
    detail = "Turn it off first to set it up on another device."


class TwoFactorIsOff(Conflict):
    """There is nothing to turn off or to renew."""

    code = "two_factor_is_off"
    title = "Two-factor sign-in is off"
    detail = "Set it up first."


class TwoFactorIsRequired(PermissionDenied):
    """The clinic's settings ask for it."""

    code = "two_factor_is_required"
    title = "Two-factor sign-in is required"
    detail = "Your clinic requires two-factor sign-in for your role. An administrator can reset it."


class PasskeysUnavailable(NotFound):
    """At the address people type, browsers make no passkeys: it is neither https nor this machine."""

    code = "passkeys_unavailable"
    title = "No passkeys here"
    detail = "Passkeys need https."


class PasskeyRefused(AuthenticationRequired):
    """A passkey that opens nothing here, or an answer that proves nothing: the same words for all."""

    code = "passkey_refused"
    title = "Passkey not accepted"
    detail = "This passkey does not open an account here. Sign in with your password."


class PasskeyNotConfirmed(AuthenticationRequired):
    """A passkey that does not prove that it is still whoever is signed in: the same words for all reasons."""

    code = "passkey_not_confirmed"
    title = "Passkey not accepted"
    detail = "This passkey does not confirm that it is you. Try again, or enter your password."


class PasskeyNotAdded(Conflict):
    """What the browser sent is no new passkey of this account: it took too long, or it is none."""

    code = "passkey_not_added"
    title = "The passkey was not added."
    detail = "Your device stopped it, or it took too long. Nothing has changed; you can try again."


class TooManyPasskeys(Conflict):
    """An account has so many at most."""

    code = "too_many_passkeys"
    title = "Too many passkeys"
    detail = "You have ten passkeys, which is as many as there can be. Remove one first."


class PasskeyNotFound(NotFound):
    """It was removed before, or is somebody else's."""

    code = "passkey_not_found"
    title = "Passkey not found"
    detail = "This passkey has already been removed."


class StaffNotFound(NotFound):
    """No staff account has this id."""

    code = "staff_not_found"
    title = "Staff account not found"
    detail = "There is no such staff account."


class OwnStaffAccount(PermissionDenied):
    """Administrators cannot change their own account here: another one must, or they use their account page."""

    code = "own_staff_account"
    title = "This is your own account"
    detail = "Another administrator has to do this. Your own password and devices are on your account page."


class LastAdministrator(Conflict):
    """Without it nobody could manage accounts."""

    code = "last_administrator"
    title = "This is the last administrator"
    detail = "Make somebody else an administrator first, or nobody could manage accounts."


class UsernameTaken(AlreadyExists):
    """Another account has this username."""

    code = "username_taken"
    title = "This username is taken."
    detail = "Choose another username."
    field = "username"


class CredentialsSeen(Conflict):
    """What a press issued is not issued again: it was seen, is in use, or was replaced by somebody."""

    code = "credentials_seen"
    title = "The password is no longer shown"
    detail = "Reset it to hand over a new one."


class IssuedMeanwhile(Conflict):
    """Others were issued at that moment, for another line or tab of whoever asked."""

    code = "issued_meanwhile"
    title = "Another password was issued at this moment"
    detail = "Press the button again to see a fresh one."


class CodeBelongsElsewhere(InvalidInput):
    """The right code of a one-time link, on the page for another kind of link."""

    code = "code_belongs_elsewhere"
    _WORDS: ClassVar[dict[str, str]] = {
        LinkPurpose.EMAIL: "This code confirms an email. It belongs on the page “Confirm your email”.",
        LinkPurpose.ACTIVATE: "This code sets a password. It belongs on the page “Set your password”.",
        LinkPurpose.FORGOT: "This code sets a password. It belongs on the page “Set your password”.",
    }

    def __init__(self, purpose: str) -> None:
        self.confirms_email = purpose == LinkPurpose.EMAIL
        super().__init__({"code": self._WORDS[purpose]})


class TokenRefused(AuthenticationRequired):
    """A token that is forged, used up, too old or of another kind, or whose session is over: one answer for all."""

    code = "token_refused"
    title = "Not signed in"
    detail = "This token is not valid, or no longer valid. Please sign in again."
