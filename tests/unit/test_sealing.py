"""What a page shows for a while, sealed for its session: readable there, and nowhere else."""

from __future__ import annotations

import pytest

from clinic_app.core import crypto, sealing

TOKEN, OTHER = crypto.new_token(), crypto.new_token()
MARK = crypto.digest(TOKEN)


def test_readable_while_a_socket_of_the_session_is_open_on_any_worker():
    with sealing.holding(TOKEN):
        sealed = sealing.seal("a temporary password", MARK)
        assert sealing.unseal(sealed, MARK) == "a temporary password"
        assert "temporary" not in sealed
        with sealing.holding(TOKEN):
            pass
        assert sealing.unseal(sealed, MARK), "another socket's end is not this one's"
    assert sealing.unseal(sealed, MARK) == ""
    with sealing.holding(TOKEN):  # as another process does: the key is made of the cookie
        assert sealing.unseal(sealed, MARK) == "a temporary password"
    assert sealing._held == {}


def test_not_by_another_session_nor_by_whoever_has_only_the_hash():
    with sealing.holding(TOKEN):
        sealed = sealing.seal("a temporary password", MARK)
    with sealing.holding(OTHER), sealing.holding(MARK):
        assert sealing.unseal(sealed, crypto.digest(OTHER)) == ""
        assert sealing.unseal(sealed, crypto.digest(MARK)) == ""
        assert sealing.unseal(sealed, MARK) == ""


def test_without_a_socket_nothing_is_sealed():
    with pytest.raises(sealing.NoSocket):
        sealing.seal("a temporary password", MARK)


def test_what_was_changed_is_not_read():
    with sealing.holding(TOKEN):
        sealed = sealing.seal("a temporary password", MARK)
        changed = ("A" if sealed[20] != "A" else "B").join((sealed[:20], sealed[21:]))
        assert sealing.unseal(changed, MARK) == ""
