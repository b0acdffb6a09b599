"""Signed checkpoints of the trail, and proofs of it that somebody outside can check."""

from __future__ import annotations

import datetime as dt
import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from clinic_app.core import clock, db, keys, signed_notes
from clinic_app.core.errors import InvalidInput, PermissionDenied
from clinic_app.core.signed_notes import NotValid
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import chain, checkpoints, tree
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.browsing import AuditQuery
from clinic_app.services.audit.chain import Finding
from clinic_app.services.audit.errors import NothingToProve, NotTheSignedTrail
from clinic_app.services.audit.proof_checking import check_proof
from clinic_app.services.audit.proving import prove_audit
from clinic_app.services.audit.recording import record, record_many
from tests import factories
from tests.db import tools
from tests.db.test_audit_anchor import tamper

BLOCK = 1 << tree.KEPT


def add(count: int, patient: int = 7) -> None:
    """So many more events about a patient."""
    with db.transaction() as session:
        about = [(patient, {"page": f"profile {number}"}) for number in range(count)]
        record_many(session, SYSTEM, Action.PATIENT_VIEWED, resource_type="patient", about=about)


def whole(proof) -> bytes:
    """The file of a proof."""
    return "".join(proof.pieces).encode()


def check(file: bytes, older: str = ""):
    """What a proof shows to somebody who has the clinic's public keys, and the events in it."""
    told = []
    return check_proof(io.BytesIO(file), checkpoints.public_keys(), older, told.append), told


# --- checkpoints ----------------------------------------------------------------------------------------


def test_a_checkpoint_is_signed_kept_and_not_made_twice(database):
    add(3)
    made = checkpoints.make_checkpoint()
    assert made.size == 3
    found, key = signed_notes.opened(made.note, [signed_notes.parsed_key(made.public_key)])
    assert (found.size, found.root, key) == (3, made.root, checkpoints.public_keys()[0])
    assert checkpoints.make_checkpoint() == made, "nothing was recorded since"
    assert checkpoints.all_checkpoints() == [made]
    add(1)
    assert checkpoints.make_checkpoint().size == 4
    report = chain.verify()
    assert (report.ok, report.checkpoints) == (True, 2)


def test_an_empty_trail_has_nothing_to_sign(database):
    with pytest.raises(NothingToProve):
        checkpoints.make_checkpoint()
    checkpoints.keep_up()
    assert checkpoints.all_checkpoints() == []


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 7 * BLOCK + 3])
def test_the_root_is_the_same_with_kept_hashes_and_without(database, size):
    add(size)
    made = checkpoints.make_checkpoint()
    kept = tools.number("SELECT count(*) FROM audit_tree_nodes")
    assert kept == sum((size // BLOCK) >> level for level in range(8))
    tree.forget()
    with db.reading() as session:
        assert tree.Tree(session).root(size) == made.root
    assert not tree.grow()
    assert tools.number("SELECT count(*) FROM audit_tree_nodes") == kept


def test_the_server_signs_once_a_day(database):
    begin = dt.datetime(2026, 6, 15, 9, 0, tzinfo=dt.UTC)
    with clock.at(begin):
        add(2)
        checkpoints.keep_up()
        add(1)
        checkpoints.keep_up()
    assert [each.size for each in checkpoints.all_checkpoints()] == [2]
    with clock.at(begin + dt.timedelta(days=1)):
        checkpoints.keep_up()
        checkpoints.keep_up()
    assert [each.size for each in checkpoints.all_checkpoints()] == [2, 3]
    with clock.at(begin + dt.timedelta(days=2)):
        checkpoints.keep_up()
    assert [each.size for each in checkpoints.all_checkpoints()] == [2, 3], "nothing was recorded since"


@pytest.mark.races
def test_of_several_workers_at_once_one_signs(own_database):
    add(3 * BLOCK + 5)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: checkpoints.keep_up(), range(8)))
        list(pool.map(lambda _: checkpoints.make_checkpoint(), range(8)))
    assert [each.size for each in checkpoints.all_checkpoints()] == [3 * BLOCK + 5]
    report = chain.verify()
    assert (report.ok, report.checkpoints) == (True, 1)


@pytest.mark.races
def test_signing_goes_on_while_others_record(own_database):
    add(BLOCK)
    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(add, 30) for _ in range(12)]
        made = [pool.submit(checkpoints.make_checkpoint) for _ in range(6)]
        for each in (*adding, *made):
            each.result()
    checkpoints.make_checkpoint()
    report = chain.verify()
    assert (report.ok, report.count) == (True, BLOCK + 12 * 30)
    assert report.checkpoints == len(checkpoints.all_checkpoints())


# --- tampering ------------------------------------------------------------------------------------------


@pytest.mark.asvs("16.4.2")
@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE audit_checkpoints SET root = '" + "0" * 64 + "'", None),
        ("UPDATE audit_checkpoints SET note = replace(note, '\n100\n', '\n99\n')", Finding.REPLACED),
        ("UPDATE audit_checkpoints SET size = 500", Finding.CUT),
        ("UPDATE audit_checkpoints SET size = 99", Finding.REPLACED),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_found(database, statement, finding):
    add(100)
    checkpoints.make_checkpoint()
    tamper(statement)
    report = chain.verify()
    assert report.finding == (finding or Finding.NOTHING), "what counts is what was signed"
    add(1)
    if "root" in statement or "size" in statement:
        with pytest.raises(NotTheSignedTrail):
            checkpoints.make_checkpoint()


def test_a_rebuilt_trail_is_not_signed_and_found(database, settings, tmp_path):
    """By somebody who has the audit key, and the anchors too."""
    settings.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(tmp_path / "anchors"))
    from tests.db.test_audit_anchor import rebuild

    add(70)
    made = checkpoints.make_checkpoint()
    tamper("UPDATE audit_events SET resource_id = 99 WHERE seq = 5")
    rebuild(5)
    report = chain.verify()
    assert (report.ok, report.finding, report.first_bad) == (False, Finding.REPLACED, 70)
    add(1)
    tree.forget()  # even if the kept hashes are made anew
    with pytest.raises(NotTheSignedTrail):
        checkpoints.make_checkpoint()
    with capture_logs() as lines, clock.at(made.made_at + dt.timedelta(days=1)):
        checkpoints.keep_up()
    assert [line["event"] for line in lines] == ["audit_trail_does_not_fit_its_checkpoint"]
    assert checkpoints.all_checkpoints() == [made]


def test_kept_hashes_that_are_wrong_are_made_anew(database):
    add(2 * BLOCK + 9)
    made = checkpoints.make_checkpoint()
    tamper("UPDATE audit_tree_nodes SET hash = '" + "0" * 64 + "'")
    add(1)
    with db.reading() as session:
        assert tree.Tree(session).root(made.size) != made.root
    assert checkpoints.make_checkpoint().size == made.size + 1
    report = chain.verify()
    assert (report.ok, report.checkpoints) == (True, 2)


def test_missing_events_are_not_signed(database):
    add(2 * BLOCK)
    tamper("DELETE FROM audit_events WHERE seq = 30")
    with pytest.raises(NotTheSignedTrail):
        checkpoints.make_checkpoint()


# --- keys -----------------------------------------------------------------------------------------------


def test_another_audit_key_signs_under_another_public_key_and_the_same_name(database, monkeypatch):
    add(3)
    first = checkpoints.make_checkpoint()
    before = checkpoints.public_keys()
    old = keys.key("audit_key")
    monkeypatch.setattr(keys, "key", lambda name: b"another" * 8 if name == "audit_key" else old)
    monkeypatch.setattr(keys, "version", lambda _: 2)
    monkeypatch.setattr(keys, "key_of", lambda _, version: {1: old, 2: b"another" * 8}[version])
    with db.transaction() as session:
        record(session, SYSTEM, Action.KEY_CHANGED, details={"key": "audit_key", "version": 2, "lost": False})
    second = checkpoints.make_checkpoint()
    now = checkpoints.public_keys()
    assert now[1:] == before
    assert now[0].name == before[0].name
    assert signed_notes.opened(second.note, now[:1])[1] == now[0]
    with pytest.raises(NotValid):
        signed_notes.opened(second.note, before)
    found, _ = check(whole(prove_audit(SYSTEM, None, event=1, older=first.note)), first.note)
    assert (found.older, found.key) == (3, now[0])


def test_checkpoints_of_a_lost_key_are_told_as_a_warning(database, monkeypatch):
    add(3)
    checkpoints.make_checkpoint()
    tamper("UPDATE audit_checkpoints SET public_key = 'clinic-audit/0+00000000+AAAA'")
    report = chain.verify()
    assert (report.ok, report.checkpoints) == (True, 0)
    assert any("the key of that time was lost" in each for each in report.warnings)


# --- proofs ---------------------------------------------------------------------------------------------


def test_an_event_is_proved_word_for_word(database):
    add(150)
    proof = prove_audit(SYSTEM, None, event=42)
    assert (proof.count, proof.checkpoint.size) == (1, 151)
    file = whole(proof)
    found, told = check(file)
    assert (found.events, found.checkpoint.size) == (1, 151)
    assert (told[0]["seq"], told[0]["metadata"]) == (42, {"page": "profile 41"})
    with pytest.raises(NotValid, match="Event 42 is not in the trail"):
        check(file.replace(b"profile 41", b"profile 40"))


def test_a_patients_own_log_is_proved_and_that_is_on_record(database, people):
    patient = factories.make_patient(people.receptionist).patient
    other = factories.make_patient(people.receptionist, first_name="Wanjiku", last_name="Otieno").patient
    add(130, patient.id)
    add(3, other.id)
    proof = prove_audit(people.admin, AuditQuery(patient=patient.patient_id))
    found, told = check(whole(proof))
    assert found.events == proof.count == len(told) >= 131
    assert {(event["resource_type"], event["resource_id"]) for event in told} == {("patient", patient.id)}
    (row,) = tools.trail("AUDIT_PROVED")
    assert (row["resource_type"], row["resource_id"], row["actor_id"]) == (
        "patient",
        patient.id,
        people.admin.account_id,
    )
    assert row["metadata"] == {"count": proof.count, "through": told[-1]["seq"]}
    assert row["seq"] <= proof.checkpoint.size


def test_only_some_may_write_proofs(database, people):
    add(1)
    for actor in (people.receptionist, people.clinician, people.patient):
        with pytest.raises(PermissionDenied):
            prove_audit(actor, None, event=1)
    assert tools.trail("AUDIT_PROVED") == []


@pytest.mark.parametrize("event", [0, -1, 99, 2**70])
def test_there_is_nothing_to_prove_of_no_event(database, event):
    add(2)
    with pytest.raises(NothingToProve):
        prove_audit(SYSTEM, None, event=event)
    with pytest.raises(NothingToProve):
        prove_audit(SYSTEM, AuditQuery(patient="LMC999999"))
    assert tools.trail("AUDIT_PROVED") == []


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 127, 128])
def test_the_trail_of_an_older_checkpoint_is_the_beginning(database, size):
    add(size)
    older = checkpoints.make_checkpoint()
    add(70)
    found, told = check(whole(prove_audit(SYSTEM, None, older=older.note)), older.note)
    assert (found.older, found.events, told) == (size, 0, [])


def test_an_older_checkpoint_of_another_trail_is_refused(database):
    add(20)
    older = checkpoints.make_checkpoint()
    size = f"\n{older.size}\n"  # a line of its own: the key's name and the signature have digits too
    with pytest.raises(InvalidInput, match="invalid_input") as refused:
        prove_audit(SYSTEM, None, event=1, older=older.note.replace(size, "\n19\n"))
    assert "signature" in refused.value.fields["older"]
    tamper("DELETE FROM audit_checkpoints", "UPDATE audit_events SET resource_id = 8 WHERE seq = 3")
    tree.forget()
    with pytest.raises(NotTheSignedTrail, match="not_the_signed_trail") as changed:
        prove_audit(SYSTEM, None, event=1, older=older.note)
    assert "not of the beginning of this trail" in changed.value.detail


def test_an_event_that_was_changed_is_not_proved(database):
    add(20)
    proof = prove_audit(SYSTEM, None, event=3)
    tamper("UPDATE audit_events SET resource_id = 8 WHERE seq = 3")
    with pytest.raises(NotTheSignedTrail):
        whole(proof)


def test_a_proof_tells_nothing_of_other_events(database):
    """Hashes of neighbours stand in it; none can be found by trying what the neighbour may have been."""
    add(8)
    header, line = whole(prove_audit(SYSTEM, None, event=3)).splitlines()
    for row in tools.trail():
        if row["seq"] != 3:
            assert row["hash"].encode() not in header + line
    assert set(json.loads(line)) == {"event", "hash", "path"}
