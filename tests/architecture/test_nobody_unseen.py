"""Who writes on somebody's behalf, and who reads patients: each through the one way that leaves its trace."""

from __future__ import annotations

import ast

from tests.architecture.test_rules import MODULES, _arguments, _calls, _functions, _own

#: Functions that are told who asks and open a transaction of their own, on nobody's behalf, and why.
ON_NOBODYS_BEHALF = {
    "audit/acting.py transaction": "the one way itself",
    "audit/authorization.py note_failure": "what was refused is recorded of whoever it was",
    "intents.py mark_seen": "about one's own press, which nobody else can name",
    "accounts/shown.py confirm_shown": "the same, and changes nothing of the account",
    "accounts/reauthentication.py check_own_password": "a try is counted whoever makes it",
    "accounts/passkey_confirmation.py _count": "a try is counted whoever makes it",
    "accounts/passkey_confirmation.py confirm_with_passkey": "looks at the account and the session itself, locked",
    "accounts/reauthentication.py _look_at_code": "a try is counted whoever makes it",
    "accounts/reauthentication.py reauthenticate": "looks at the account and the session itself, locked",
    "accounts/tokens.py end_tokens": "ends its own session, which may be over",
    "demo.py seed_demo": "of the command line alone",
}

#: Modules of the services that read the table of patients, and what is recorded of it.
READERS = {
    "accounts/drafts.py": "whether there is such a patient: not shown",
    "accounts/passwords.py": "the owner's own words, to refuse them in a password: not shown",
    "audit/browsing.py": "patient IDs of events: AUDIT_READ",
    "audit/exporting.py": "patient IDs of events: AUDIT_EXPORTED",
    "notifications/delivery.py": "the first name and what the patient allows, for a message to its owner: MESSAGE_SENT",
    "patients/birth_search.py": "conditions of a search",
    "patients/duplicates/finding.py": "compares: who shows the answer records it",
    "patients/duplicates/former.py": "whether somebody was merged into a record: nobody is shown",
    "patients/duplicates/holding.py": "patient IDs of those who were overruled: PATIENT_CREATED",
    "patients/duplicates/index.py": "makes keys: nobody is shown",
    "patients/duplicates/showing.py": "PATIENT_LISTED",
    "patients/exporting.py": "PATIENTS_EXPORTED, and one patient by the repository",
    "patients/importing/matching.py": "compares: who shows the answer records it",
    "patients/importing/runs.py": "PATIENT_LISTED",
    "patients/importing/screening.py": "compares: nobody is shown",
    "patients/importing/taking_in.py": "adds them: PATIENT_CREATED, and one patient by the repository",
    "patients/name_parts.py": "counts parts of names: nobody is shown",
    "patients/merged_keys.py": "numbers that a record is found by, and patient IDs: not shown otherwise",
    "patients/merging.py": "both records by the repository: PATIENT_MERGED, PATIENT_MERGE_UNDONE",
    "demo_crowd.py": "invents them",
    "patients/listing.py": "the order of a list, for search.py",
    "patients/search_index.py": "who may match, for search.py",
    "patients/search_match.py": "conditions of a search",
    "patients/opened_last.py": "PATIENT_LISTED",
    "patients/pair_finding.py": "compared with others: not shown",
    "patients/pairs.py": "PATIENT_LISTED, and both records of a pair by the repository",
    "patients/overview.py": "PATIENT_LISTED",
    "patients/profile.py": "names the type alone",
    "patients/rebuilding.py": "whether the index has them: nobody is shown",
    "patients/registration.py": "adds one: PATIENT_CREATED",
    "patients/repository.py": "one patient, by the reason the caller gives (looks.Seen)",
    "patients/search.py": "PATIENT_LISTED, PATIENT_SEARCHED",
    "patients/verification.py": "PATIENT_LISTED, and one patient by the repository",
    "portal/bulk_choice.py": "PATIENT_LISTED",
    "portal/bulk_export.py": "PORTAL_BULK_REPORT_EXPORTED",
    "patients/waiting.py": "the line of those who wait: PATIENT_LISTED by whoever shows it",
    "portal/bulk_runs.py": "PATIENT_LISTED, and one patient by the repository",
    "portal/provisioning.py": "names the type alone",
    "portal/reminders.py": "what the patient allows: not shown",
    "portal/work_list.py": "PATIENT_LISTED",
}


def _services() -> list[tuple[str, ast.Module]]:
    return [(name.removeprefix("services/"), tree) for name, tree in MODULES if name.startswith("services/")]


def bare_transactions(modules: list[tuple[str, ast.Module]]) -> set[str]:
    """Functions that know who asks, and write without asking again whether they still may."""
    return {
        f"{name} {function.name}"
        for name, tree in modules
        for function in _functions(tree)
        if "actor" in _arguments(function)
        and any((receiver, call) == ("db", "transaction") for receiver, call, _ in _calls(_own(function)))
    }


def test_whoever_writes_for_somebody_asks_again_whether_they_still_may():
    assert bare_transactions(_services()) == set(ON_NOBODYS_BEHALF)


def test_a_bare_transaction_is_found():
    source = "def f(actor):\n    with db.transaction() as session:\n        pass"
    assert bare_transactions([("patients/example.py", ast.parse(source))]) == {"patients/example.py f"}


def readers(modules: list[tuple[str, ast.Module]]) -> set[str]:
    """Modules that name the table of patients or its row."""
    return {
        name
        for name, tree in modules
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "clinic_app.models.patients"
        and {"PATIENTS", "Patient"} & {alias.name for alias in node.names}
    }


def test_nobody_else_reads_patients():
    assert readers(_services()) == set(READERS)


def test_whoever_shows_several_patients_records_that():
    """The rows of a list come from one place, and go out where they are recorded."""
    silent = [
        name
        for name, tree in _services()
        if name != "patients/repository.py"
        and any(call == "summaries_of" for _, call, _ in _calls(ast.walk(tree)))
        and not any(call == "record_alone" for _, call, _ in _calls(ast.walk(tree)))
    ]
    assert silent == []


def test_every_look_at_one_patient_gives_its_reason():
    """``find`` and ``find_whole`` take it, and only what is no look, or is recorded otherwise, is ``UNSHOWN``."""
    unshown = {
        f"{name} {function.name}"
        for name, tree in _services()
        for function in _functions(tree)
        for call in _own(function)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).startswith("repository.find")
        and "Seen.UNSHOWN" in ast.unparse(call)
    }
    assert unshown == {
        "patients/activity.py all_activity",  # shown where the trail says that the record is open
        "patients/profile.py reread_patient",  # likewise
        "patients/merging.py _lock",  # read again at once, as CHANGED
        "patients/merging.py _standing",  # whose merge it is, before that
        "patients/pairs.py _both",  # read again at once, as CHANGED
        "portal/bulk.py _request",  # named by PORTAL_BULK_RUN
        "portal/invitations.py _new_credentials",
        "portal/provisioning.py account_of",
        "portal/bulk_runs.py _one",  # PORTAL_ACCOUNT_CREATED, or the failure of it
        "portal/provisioning.py _clash",
        "portal/provisioning.py _create",
        "portal/provisioning.py _rename",
        "portal/provisioning.py reissue_credentials",
    }
