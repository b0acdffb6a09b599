"""What can go wrong with proofs of the trail."""

from __future__ import annotations

from clinic_app.core.errors import Conflict, NotFound


class NothingToProve(NotFound):
    """No event is meant."""

    code = "nothing_to_prove"
    title = "Nothing to prove"
    detail = "There is no such event in the audit trail."


class NotTheSignedTrail(Conflict):
    """The trail does not continue what was signed, so nothing is signed or proved."""

    code = "not_the_signed_trail"
    title = "This is not the trail that was signed"
    detail = "The audit trail does not fit its last checkpoint: run `audit verify`. Nothing was signed."
