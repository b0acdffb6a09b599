"""What can go wrong with accounts."""

from __future__ import annotations

from clinic_app.core.errors import AlreadyExists, AuthenticationRequired


class InvalidCredentials(AuthenticationRequired):
    """Unknown name, wrong password or an account that is turned off: the same words for all."""

    code = "invalid_credentials"
    title = "Sign-in failed"
    detail = "Incorrect username or password."


class TemporaryPasswordExpired(AuthenticationRequired):
    """The right temporary password, too late. Told only after the right password was given."""

    code = "temporary_password_expired"
    title = "Temporary password expired"
    detail = "This temporary password has expired. Please ask the reception for a new one."


class UsernameTaken(AlreadyExists):
    """Another account has this username."""

    code = "username_taken"
    title = "This username is taken."
    detail = "Choose another username."
    field = "username"


class TokenRefused(AuthenticationRequired):
    """A token that is forged, used up, too old or of another kind, or whose session is over: one answer for all."""

    code = "token_refused"
    title = "Not signed in"
    detail = "This token is not valid, or no longer. Please sign in again."
