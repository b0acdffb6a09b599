"""What pages show: small frozen records of words ready for the screen. No secrets, no table rows."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Values of ``portal``: none, active, temporary (waiting for first sign-in), expired, locked, off.


@dataclass(frozen=True)
class Who:
    """Who is signed in."""

    name: str = ""
    initials: str = ""
    role: str = ""  # as people say it: Administrator, Receptionist, Clinician
    may_register: bool = False  # register, edit, give portal access
    is_admin: bool = False


@dataclass(frozen=True)
class SessionRow:
    """One of a person's own sessions."""

    id: int = 0
    what: str = ""  # Chromium on Linux; or an API client
    line: str = ""  # Signed in today at 07:12, last active 08:01, from 203.0.113.7
    this_one: bool = False


@dataclass(frozen=True)
class StaffRow:
    """A staff account in the administrators' list."""

    id: int = 0
    username: str = ""
    name: str = ""
    initials: str = ""
    stamp: str = ""  # of what is shown: actions carry it
    role: str = ""  # ADMIN, RECEPTIONIST, CLINICIAN
    role_words: str = ""
    line: str = ""  # grace · Last signed in today at 07:12
    active: bool = True
    temporary: bool = False  # waiting for a password of its own
    expired: bool = False  # and it has waited too long
    two_factor: bool = False
    locked: bool = False
    own: bool = False


@dataclass(frozen=True)
class PatientRow:
    """A patient in a list, a suggestion or a short list."""

    id: int = 0
    patient_id: str = ""
    name: str = ""
    initials: str = ""
    born: str = ""  # 14 Mar 1988, Mar 1960, 1960, about 1991, or empty
    age: str = ""  # 38 y; empty where too little is known
    phone: str = ""  # 0712 445 901, or empty
    portal: str = "none"
    due: str = ""  # what the desk should see to: locked, failed, expired, soon, never, or nothing
    due_words: str = ""  # expires in 5 h
    reissue: bool = False  # a new temporary password would help
    stamp: str = ""  # of the access shown: actions carry it
    line: str = ""  # the second line of a short list: "LMC004902 · 09:31"
    href: str = ""
    before: str = ""  # a suggestion's name, split around what matched
    hit: str = ""
    after: str = ""
    via: str = ""  # by what it was found, where that is not shown: Next of kin, Portal username, Similar
    via_before: str = ""  # the words of that, split the same way
    via_hit: str = ""
    via_after: str = ""


@dataclass(frozen=True)
class Chip:
    """A reason why two people may be one; ``near`` where it is not quite the same."""

    words: str = ""
    near: bool = False


@dataclass(frozen=True)
class MatchRow:
    """A patient who may be the one in the form."""

    id: int = 0
    patient_id: str = ""
    name: str = ""
    initials: str = ""
    born: str = ""
    href: str = ""
    strong: bool = False
    chips: list[Chip] = field(default_factory=list)


@dataclass(frozen=True)
class TypedFact:
    """A label and what somebody typed; ``more`` is what is known of it besides."""

    label: str = ""
    value: str = ""
    more: str = ""


@dataclass(frozen=True)
class LinkRow:
    """A patient whom somebody who waits may be. ``version``: of the record shown, which actions carry."""

    key: str = ""
    person: int = 0  # who waits; 0 where they cannot be linked, being a patient already
    compare: str = ""  # then the two records may be compared, and merged, here
    patient_id: str = ""
    name: str = ""
    initials: str = ""
    born: str = ""
    phone: str = ""
    href: str = ""
    version: int = 0
    grade: str = ""
    tone: str = ""
    chips: list[Chip] = field(default_factory=list)


@dataclass(frozen=True)
class WaitingRow:
    """Somebody who waits for verification. ``patient_id`` and ``href``: of whoever is a patient already."""

    id: int = 0
    name: str = ""
    initials: str = ""
    registered: str = ""  # Registered herself today, 08:05
    patient_id: str = ""
    href: str = ""
    version: int = 0
    seen: list[int] = field(default_factory=list)  # the ids of whom they may be, as shown: actions carry them
    facts: list[TypedFact] = field(default_factory=list)
    matches: list[LinkRow] = field(default_factory=list)


@dataclass(frozen=True)
class WorkRow:
    """Somebody in the portal work list. ``why`` is a sentence in three parts, the middle one being what matters."""

    patient_id: str = ""
    name: str = ""
    initials: str = ""
    phone: str = ""  # or no phone
    href: str = ""
    why: str = ""
    what: str = ""  # 16:40, or an address
    channel: str = ""  # email or sms: what is an address, that no message got to
    then: str = ""
    age: str = ""  # 20 min, 4 days, in 5 h
    locked: bool = False
    stamp: str = ""  # of the access shown: actions carry it


@dataclass(frozen=True)
class WorkGroup:
    """A group of the portal work list, with those of it who are on this page."""

    key: str = ""  # locked, failed, expired, soon, never
    title: str = ""
    count: str = ""  # in all
    rows: list[WorkRow] = field(default_factory=list)


@dataclass(frozen=True)
class Filter:
    """A filter of a list, and how many it leaves; the empty key is all."""

    key: str = ""
    words: str = ""
    count: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Tally:
    """A number, what it counts, and perhaps a word more, which may lead somewhere."""

    number: str = ""
    words: str = ""
    more: str = ""
    href: str = ""


@dataclass(frozen=True)
class SlipChoice:
    """For whom slips can be printed."""

    key: str = ""
    words: str = ""
    first: bool = False


@dataclass(frozen=True)
class ChosenRow:
    """A patient chosen for a run: eligible, or why not."""

    patient_id: str = ""
    name: str = ""
    href: str = ""
    email: str = ""
    eligible: bool = False
    why: str = ""


@dataclass(frozen=True)
class NotCreatedRow:
    """A patient who got no portal account in a run, and why."""

    patient_id: str = ""
    name: str = ""
    href: str = ""
    why: str = ""


@dataclass(frozen=True)
class AlikeRow:
    """Somebody who may be the same as a row of a file: a patient, or another row (then ``href`` is empty)."""

    key: str = ""  # of the row and of this one
    row: int = 0
    patient: int = 0
    words: str = ""  # Amina Odhiambo, LMC004817; or row 12 of this file
    href: str = ""
    reasons: str = ""
    chosen: bool = False  # decided to be the same person


@dataclass(frozen=True)
class FileRowShown:
    """A row of a file: what it is, why, and what was decided about it."""

    row: int = 0
    number: str = ""
    name: str = ""
    born: str = ""
    outcome: str = ""  # in words
    tone: str = ""  # good, warn or bad
    why: str = ""
    alike: list[AlikeRow] = field(default_factory=list)
    waits: bool = False  # for a decision
    decision: str = ""  # as the services have it


@dataclass(frozen=True)
class EarlierFile:
    """An import that is over, in a line."""

    id: int = 0
    name: str = ""
    line: str = ""


@dataclass(frozen=True)
class Fact:
    """A label and what is known; ``value`` empty reads "Not recorded"."""

    label: str = ""
    value: str = ""
    tone: str = ""  # set: show as a badge of that tone (good, warn, bad, idle)
    mark: str = ""  # the badge's icon, if any


@dataclass(frozen=True)
class Happening:
    """One line of *Activity*: icon, what and who, when. For a run of the same, how often, and when each was."""

    icon: str = ""  # eye, pencil, user-plus, key-round, log-in, circle (a fixed set)
    what: str = ""
    when: str = ""
    often: str = ""  # 6 times
    times: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Look:
    """One line of *Who has viewed your record*: two letters, who, what they did, when."""

    initials: str = ""
    who: str = ""
    what: str = ""
    when: str = ""


@dataclass(frozen=True)
class DayBar:
    """One bar of the chart of registrations."""

    day: str = ""  # 16
    spoken: str = ""  # 16 June
    count: int = 0
    height: str = "0%"
    today: bool = False


@dataclass(frozen=True)
class Offer:
    """A half-filled form that may be gone on with: whose it is, when it was typed, and whether that may be now."""

    instance: str = ""
    name: str = ""
    when: str = ""
    open: bool = False


@dataclass(frozen=True)
class Problem:
    """A mistake in a form: the field's id and the sentence."""

    ident: str = ""
    text: str = ""


@dataclass(frozen=True)
class Choice:
    """One option of a select."""

    value: str = ""
    words: str = ""


@dataclass(frozen=True)
class Message:
    """How far one message has come."""

    channel: str = ""  # email or sms
    lost: bool = False  # it did not get there
    what: str = ""  # Invitation
    address: str = ""
    when: str = ""  # Since yesterday, 16:41. Tried 9 times, next at 09:45
    state: str = ""  # Sent
    tone: str = ""
    mark: str = ""
    reason: str = ""  # a sentence
    correct: bool = False  # the address may be corrected here, and the invitation sent again


@dataclass(frozen=True)
class Sent:
    """A sentence about what was sent, or was not, with its icon: mail, message-square or hand."""

    mark: str = ""
    words: str = ""


@dataclass(frozen=True)
class Access:
    """The *Portal Access* card: everything it says, in words."""

    portal: str = "none"
    username: str = ""
    expires_in: str = ""  # 31 hours
    expires_at: str = ""  # Thu 18 Jun, 16:40
    locked_until: str = ""  # 17:05
    last_sign_in: str = ""  # yesterday at 19:42, or empty
    turned_off: str = ""  # 2 Jun 2026 by Daniel Otieno
    turned_off_reason: str = ""
    temporary: bool = False
    handed_over: str = ""  # In person, by Grace Wanjiru. Yesterday, 16:45.
    worn_out: bool = False  # the temporary password, by wrong tries
    link_until: str = ""  # Thu 18 Jun, 16:40: a link that was sent works so long, the temporary password does not
    emails_to: str = ""  # where emails go, if not to the username
    kept_back: str = ""  # why no invitation can be sent, in a sentence
    stamp: str = ""  # of what is shown: actions carry it


@dataclass(frozen=True)
class Person:
    """The banner of a patient's page."""

    id: int = 0
    patient_id: str = ""
    name: str = ""
    initials: str = ""
    born: str = ""  # "14 Mar 1988 (38 y)" or "Not known"
    gender: str = ""
    phone: str = ""  # or "Not recorded"
    phone_uri: str = ""  # tel:+254712445901, or empty
    card_href: str = ""  # the page their card is printed from


@dataclass(frozen=True)
class Word:
    """A word, and whether the other record has it not."""

    text: str = ""
    differs: bool = False


@dataclass(frozen=True)
class Twin:
    """One of two records in a pair, and in what it differs from the other."""

    row: PatientRow = PatientRow()
    words: list[Word] = field(default_factory=list)  # of the name
    born_differs: bool = False
    phone_start: str = ""  # as far as both have it
    phone_rest: str = ""


@dataclass(frozen=True)
class PairCard:
    """Two records that may be one person. ``said``: they are two, and that can be taken back."""

    key: str = ""  # LMC004817-LMC004911
    stamp: str = ""
    first: Twin = Twin()
    second: Twin = Twin()
    grade: str = ""  # Certain
    tone: str = ""
    chips: list[Chip] = field(default_factory=list)
    href: str = ""
    said: bool = False


@dataclass(frozen=True)
class CompareHead:
    """One of two records side by side."""

    patient_id: str = ""
    name: str = ""
    line: str = ""  # registered 2 Jun 2026 by Daniel Otieno · last changed today, 09:12
    username: str = ""  # of its portal account, if it has one
    account: str = ""  # the id of that
    access: str = ""  # In use: last signed in 12 Jun 2026, 19:20


@dataclass(frozen=True)
class CompareRow:
    """A field in which two records differ: the words of both, and whether the second one is chosen to begin with."""

    name: str = ""
    label: str = ""
    first: str = ""
    second: str = ""
    second_first: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a merge will do, in a sentence. ``icon``: check, archive, key-round or undo-2."""

    icon: str = ""
    lead: str = ""
    words: str = ""


@dataclass(frozen=True)
class MergedRecord:
    """A record that was merged into the one on the screen. ``undo``: that can be undone now."""

    patient_id: str = ""
    line: str = ""  # By Grace Wanjiru, today, 10:44.
    undo: bool = False
