"""A preview and a run, in figures and words."""

from __future__ import annotations

from clinic_app.core import clock, routes
from clinic_app.core.counts import plural
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.patients.wording import date_words
from clinic_app.services.portal.bulk_choice import PREVIEW_ROWS, ChosenPatient, Preview
from clinic_app.services.portal.bulk_runs import NotCreated, Report
from clinic_app.services.portal.wording import not_created_words
from clinic_app.ui.view_models import ChosenRow, NotCreatedRow, SlipChoice, Tally

#: Why not, by the code → below its number in the preview.
_WHY_NOT = {
    "portal_account_exists": ("have a login already", ""),
    "portal_email_required": ("have no email", ""),
    "email_in_use": ("share an email", "with another login"),
    "no_messages": ("do not want messages", "by email"),
}
#: The same of one of the chosen.
_WHY_ONE = {
    "portal_email_required": "No email",
    "email_in_use": "Email belongs to another login.",
    "no_messages": "Does not want messages by email",
}
_WAYS = {Channel.EMAIL: "email", Channel.SMS: "text message"}


def eligible(number: int) -> str:
    """``268 portal accounts``."""
    return plural(number, "portal account")


def preview(found: Preview) -> list[Tally]:
    """Who is eligible, and why others are not; reasons that there are."""
    first = Tally(f"{found.eligible:,}", "eligible", f"of {found.chosen:,} chosen")
    others = [Tally(f"{number:,}", *_WHY_NOT[code]) for code, number in found.why_not.items() if number]
    return [first, *others]


def _why(one: ChosenPatient) -> str:
    if one.why_not == "portal_account_exists" and one.since is not None:
        return f"Has a login since {date_words(clock.local(one.since).date())}"
    return _WHY_ONE.get(one.why_not, "")


def chosen(found: Preview) -> list[ChosenRow]:
    """One page of the chosen, each with whether they are eligible, or why not."""
    return [
        ChosenRow(one.patient_id, one.name, routes.profile(one.patient_id), one.email, not one.why_not, _why(one))
        for one in found.rows
    ]


def chosen_pages(found: Preview) -> tuple[int, str]:
    """How many pages the chosen are, and ``1–10 of 412 patients``."""
    first = (found.page - 1) * PREVIEW_ROWS
    return max(1, -(-found.chosen // PREVIEW_ROWS)), (
        f"{first + 1:,}–{first + len(found.rows):,} of {found.chosen:,} patients"
    )


def invited(number: int) -> str:
    """``268 invitations go out by email.``"""
    ways = " and ".join(_WAYS[channel] for channel in open_channels())
    if not ways:
        return "No invitation goes out: neither a mail server nor an SMS gateway is set up."
    return f"{number:,} invitation{' goes' if number == 1 else 's go'} out by {ways}."


def title(run: Report) -> str:
    """``Run of 16 Jun, 10:52``."""
    there = clock.local(run.started_at)
    return f"{'Run' if run.state == 'RUNNING' else 'Report of the run'} of {there.day} {there:%b}, {there:%H:%M}"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def left(run: Report) -> str:
    """``About 30 seconds left.``; empty while that is not known."""
    if run.seconds_left is None:
        return ""
    if run.seconds_left < 90:
        tens = max(1, -(-run.seconds_left // 10)) * 10
        return f"About {tens} seconds left."
    minutes = round(run.seconds_left / 60)
    return f"About {plural(minutes, 'minute')} left."


def numbers(run: Report) -> list[Tally]:
    """What a run has done, in figures."""
    over = run.state != "RUNNING"
    by = f"by {run.started_by}" if run.started_by else "by the command line"
    took = f", in {_span((run.ended_at - run.started_at).total_seconds())}" if run.ended_at else ""
    found = [
        Tally(f"{run.created:,}", "created", f"{by}{took}" if over else ""),
        Tally(f"{run.refused:,}", "not created", "reason below" if run.refused else ""),
        Tally(f"{run.sent:,}", "invitations sent", f"{run.queued:,} waiting" if run.queued else ""),
    ]
    if run.failed:
        found.append(Tally(f"{run.failed:,}", "invitations failed", "Portal work list", routes.PORTAL_WORK_LIST))
    return found


def slips(run: Report) -> list[SlipChoice]:
    """For whom slips can be printed; nothing where nobody is left."""
    choices = {
        "undelivered": (run.undelivered, f"The {run.undelivered:,} whose invitation was not delivered"),
        "all": (run.unseen, f"All {run.unseen:,} whose password nobody has seen"),
    }
    found = [(key, words) for key, (number, words) in choices.items() if number]
    return [SlipChoice(key, words, key == found[0][0]) for key, words in found]


def ended(run: Report) -> str:
    """Why a run is over before everybody had a turn; empty where everybody had."""
    if run.state not in ("STOPPED", "ENDED"):
        return ""
    why = (
        "Stopped." if run.state == "STOPPED" else "Ended: whoever ran it may no longer create portal accounts in bulk."
    )
    return f"{why} {run.waiting:,} {'is' if run.waiting == 1 else 'are'} left."


def not_created(one: NotCreated) -> NotCreatedRow:
    """Somebody who got no account, and why."""
    reason = not_created_words(one.reason)
    return NotCreatedRow(one.patient_id, one.name, routes.profile(one.patient_id), reason)
