"""The rules of single fields, one function each: text in, value out, or ``ValueError`` with a sentence.

Pages, API and imports all come through here, with the label that names the field and the longest it may be.
"""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from clinic_app.core.text_rules import line
from clinic_app.models.patients import Gender


def flag(value: object, label: str, _longest: int = 0) -> bool:
    """A checkbox or a JSON boolean. Anything else is refused, so that ``"no"`` never means yes."""
    if value is None or value is False or value == "":
        return False
    if value is True or value in ("on", "true"):
        return True
    if value == "false":
        return False
    raise ValueError(f"{label} must be true or false.")


def consent(value: object, label: str, _longest: int = 0) -> bool:
    """A checkbox or a JSON boolean, for what is yes unless refused: ``None`` is no answer, lest it take back a no."""
    if value is None:
        raise ValueError(f"{label} must be true or false.")
    return flag(value, label)


def gender(value: object, label: str = "Gender", _longest: int = 0) -> Gender:
    """One of the four; nothing said means ``UNKNOWN``."""
    if value is None or value == "":
        return Gender.UNKNOWN
    try:
        return Gender(str(value).strip().upper())
    except ValueError:
        raise ValueError(f"{label} must be MALE, FEMALE, OTHER or UNKNOWN.") from None


def email(value: object, label: str = "Email", longest: int = 254) -> str | None:
    """Optional; checked for syntax, without looking the domain up."""
    found = line(value, label, longest)
    if found is None:
        return None
    try:
        return validate_email(found, check_deliverability=False, allow_smtputf8=False, strict=True).normalized
    except EmailNotValidError:
        raise ValueError(f"{label} must be an email address, for example name@example.com.") from None
