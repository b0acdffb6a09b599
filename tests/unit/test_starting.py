"""Programs are started while others fork: nobody waits for the end of what was forked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: Programs are started one after the other, beside a thread that forks all the time; printed is the longest wait.
RACE = """
import os, threading, time
from clinic_app.core.starting import start

over, longest = time.monotonic() + 2.5, 0.0

def fork():
    while time.monotonic() < over:
        if os.fork() == 0:
            time.sleep(4)
            os._exit(0)
        time.sleep(0.005)

forking = threading.Thread(target=fork)
forking.start()
while time.monotonic() < over:
    began = time.monotonic()
    start(["true"]).wait()
    longest = max(longest, time.monotonic() - began)
forking.join()
print(longest)
"""


@pytest.mark.timeout(60)
def test_no_program_waits_for_the_end_of_what_another_thread_forks():
    done = subprocess.run([sys.executable, "-c", RACE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3, "what was forked lives for four seconds"
