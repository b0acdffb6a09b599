"""What the patient use cases return: frozen, without table rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.notifications.views import Delivery, Reach
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.wording import full_name


@dataclass(frozen=True, slots=True)
class PortalStanding:
    """A patient's access. ``status``: none, active, temporary, expired, locked or off.

    ``due`` is what the desk should see to, the most urgent of ``locked``, ``failed`` (a message that lets its owner in
    has not reached them), ``expired``, ``soon`` (the temporary password expires within a day) and ``never`` (its owner
    has not signed in yet); empty where there is nothing. ``reissue``: a new temporary password would help.
    ``temporary``: no password of its owner's own opens it. ``handed_over``: how the temporary password was, one of
    ``portal.forms.HandOver``. ``goes_to`` stands for the addresses that messages go to, and names none;
    ``invited_again`` is how often an invitation was sent again. ``worn_out``: after too many wrong tries the temporary
    password opens nothing. Instants UTC; ``locked_until`` is empty where the lock does not end by itself. Why access
    was turned off, who handed it over, where messages can go and how long a link still sets a password that was sent to
    somebody whose temporary password opens nothing (``link_until``) is there where one patient is read, not in lists.
    """

    status: str = "none"
    username: str = ""
    expires_at: dt.datetime | None = None
    locked_until: dt.datetime | None = None
    last_sign_in_at: dt.datetime | None = None
    turned_off_at: dt.datetime | None = None
    turned_off_by: str = ""
    account_id: int = 0
    password_since: dt.datetime | None = None
    temporary: bool = False
    due: str = ""
    reissue: bool = False
    handed_over: str = ""
    goes_to: str = ""
    invited_again: int = 0
    worn_out: bool = False
    link_until: dt.datetime | None = None
    turned_off_reason: str = ""  # as ``portal.forms.TurnOff`` keeps it
    handed_over_at: dt.datetime | None = None
    handed_over_by: str = ""
    reach: tuple[Reach, ...] = ()

    @property
    def stamp(self) -> str:
        """What a page is drawn for: the account, whether it is on, its password, its hand-over, where messages go.

        Another stamp means that somebody has changed access. What time alone changes, such as the end of a lock or of
        a temporary password, leaves it: what was drawn before is still meant. So it is after an invitation was sent
        again, but for sending it again: ``decided`` leaves that out. Holds no secret and nothing about the person.
        """
        since = f"{self.password_since:%Y%m%d%H%M%S%f}" if self.password_since else ""
        turned = self.status if self.status in {"none", "off"} else "on"
        return f"{self.account_id}-{turned}-{since}-{self.handed_over}-{self.goes_to}-{self.invited_again}"


def decided(stamp: str) -> str:
    """Of the stamp of some access what everything but sending an invitation again must agree with."""
    return stamp.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class FoundBy:
    """By what a patient was found, where a list shows it nowhere else: next of kin, portal username, a similar name."""

    label: str
    words: str


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """A patient in a list. ``portal`` is the status of its access. Phone E.164."""

    id: int
    patient_id: str
    first_name: str
    last_name: str
    date_of_birth: BirthDate | None
    gender: str
    phone: str | None
    email: str | None
    portal_enabled: bool
    portal: str
    verification_status: str
    created_at: dt.datetime
    access: PortalStanding = PortalStanding()
    found_by: FoundBy | None = None

    @property
    def name(self) -> str:
        """First and last name, as written, or the only one."""
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class MergeNote:
    """A record that was merged into another one: its patient ID, when (UTC), and by whom (a name, or empty)."""

    patient_id: str
    merged_at: dt.datetime
    merged_by: str


@dataclass(frozen=True, slots=True)
class Match:
    """A patient who may be the person asked about: how likely, 0 to 1, of which grade, and why, in words."""

    patient: PatientSummary
    score: float
    grade: str
    reasons: tuple[str, ...]
    strong: bool

    @property
    def likelihood(self) -> str:
        """The grade, as it stands in a sentence."""
        return {"certain": "certainly", "likely": "likely"}.get(self.grade, "possibly")

    @property
    def why(self) -> str:
        """The reasons, in one line."""
        return "; ".join(self.reasons).lower().replace("national id", "national ID")

    def as_candidate(self) -> dict[str, Any]:
        """What programs are told: enough to open the record, and to ask the person."""
        born = self.patient.date_of_birth
        return {
            "id": self.patient.id,
            "patient_id": self.patient.patient_id,
            "name": self.patient.name,
            "date_of_birth": born.iso if born else None,
            "score": self.score,
            "grade": self.grade,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """What is filled in about a patient, as both the desk and the patient see it. Phones E.164."""

    patient_id: str
    first_name: str
    last_name: str
    single_name: bool
    date_of_birth: BirthDate | None
    gender: str
    phone: str | None
    sms_allowed: bool
    email: str | None
    email_allowed: bool
    address: str | None
    next_of_kin_name: str | None
    next_of_kin_phone: str | None
    preferred_language: str | None

    @property
    def name(self) -> str:
        """First and last name, as written, or the only one."""
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class PatientProfile(PatientRecord):
    """One patient whole, for the desk. Instants UTC; ``portal`` as in a list. ``version`` goes up with every edit."""

    id: int
    national_id: str | None
    external_id: str | None
    national_id_counts: bool  # false for one from before that another patient has too, or that means "none"
    portal_enabled: bool
    portal: str
    verification_status: str
    is_active: bool
    created_at: dt.datetime
    updated_at: dt.datetime
    registered_by: str
    version: int
    access: PortalStanding
    merged_into: str | None = None  # the patient ID of the record that stands for this one
    merges: tuple[MergeNote, ...] = ()  # what was merged into it, the latest first
    activity: tuple[RecordedEvent, ...] = ()
    deliveries: tuple[Delivery, ...] = ()  # for those who may know: the latest messages to its portal account's owner


@dataclass(frozen=True, slots=True)
class Household:
    """A patient, and the values of theirs that a relative's registration begins with, as they are typed."""

    patient: PatientProfile
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class PatientCard:
    """What stands on the card a patient carries. ``born`` is the birth date in words, empty if it is not known."""

    patient_id: str
    name: str
    born: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that was saved: the words to say, the patient, and credentials where they were asked for.

    ``deliveries`` are the messages written with it, those kept back among them; empty where nothing can be sent.
    """

    message: str
    patient: PatientProfile
    credentials: Credentials | None
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Patients whose national ID is compared with nobody's: how many, and the first of them."""

    total: int
    patient_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What Reception shows. ``days`` are the last fourteen at the clinic, oldest first, with their counts.

    ``room_left``: megabytes on the server's disk, where they are few and administrators look. ``copy_late``: seconds
    for which the continuous copy has stood still (infinite: there is none yet), where it does and administrators look;
    ``copy_damaged``: it was found damaged, and no new one is whole yet, likewise.
    """

    registered_today: int
    registered_yesterday: int
    patients: int
    with_portal: int
    waiting: int
    waiting_since: dt.datetime | None
    latest: tuple[PatientSummary, ...]
    days: tuple[tuple[dt.date, int], ...]
    room_left: int | None = None
    copy_late: float | None = None
    copy_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Likeness:
    """What speaks for two records being one person. ``grade``: certain, likely or possible; empty: nothing is known.

    ``reasons`` in words. ``set_aside_at``: since when they are said to be two; UTC.
    """

    grade: str = ""
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    set_aside_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records that may be one person, the older one first."""

    first: PatientSummary
    second: PatientSummary
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class PairNumbers:
    """How many pairs are open, by grade; how many are set aside; how many records wait to be compared."""

    grades: Mapping[str, int]
    set_aside: int
    waiting: int

    @property
    def total(self) -> int:
        """How many are open."""
        return sum(self.grades.values())


@dataclass(frozen=True, slots=True)
class PossibleDuplicate:
    """A record that may be the same person as another one."""

    patient: PatientSummary
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records side by side, the older one first. ``stamp`` is what a merge of them is drawn for.

    ``login``: the id of the account that is kept unless somebody chooses; 0 where not both have one.
    """

    first: PatientProfile
    second: PatientProfile
    likeness: Likeness
    stamp: str
    login: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge that was carried out: the words to say, the record that stays, the patient ID of the other one."""

    message: str
    patient: PatientProfile
    merged: str


@dataclass(frozen=True, slots=True)
class Unmerged:
    """A merge that was undone: both records, and which values did not come back: names of fields."""

    message: str
    patient: PatientProfile
    survivor: PatientProfile
    lost: tuple[str, ...]
