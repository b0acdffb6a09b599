"""``import`` killed again and again, at any moment: it goes on where it was, and nobody is in twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clinic_app.services.audit import chain
from tests.conftest import ROOT
from tests.db import tools

ROWS = 3000


@pytest.mark.timeout(400)
def test_killed_again_and_again_every_row_is_in_once(
    own_database: sa.Engine, tmp_path: Path, counters: dict[str, Any]
) -> None:
    file = tmp_path / "many.csv"
    lines = (f"N-{n},Given{n},Family{n * 7}\n" for n in range(ROWS))
    file.write_text("external_id,first_name,last_name\n" + "".join(lines))
    url = own_database.url.render_as_string(hide_password=False)
    env = {**os.environ, "CLINIC_DATABASE_URL": url, "CLINIC_DATA_DIR": str(tmp_path / "data"), "CLINIC_MODE": "test"}

    def count() -> int:
        return tools.number("SELECT count(*) FROM patients")

    killed, before, had = 0, 0, list[int]()
    while True:
        program = subprocess.Popen(
            [sys.executable, "-m", "clinic_app", "import", str(file)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wanted = before + random.randint(1, ROWS // 5)
        while program.poll() is None and count() < wanted:
            time.sleep(0.005)
        if program.poll() is not None:
            break
        program.kill()
        program.wait()
        killed, before = killed + 1, count()
        had.append(before)
    said = program.stdout.read() if program.stdout else ""
    counters.update(killed=killed, had=had, patients=count())
    assert program.returncode == 0, said
    assert killed >= 2
    assert had == sorted(had)
    assert tools.raw("SELECT count(*), count(DISTINCT external_id) FROM patients")[0] == (ROWS, ROWS)
    assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == ROWS
    assert chain.verify().ok
