"""Programs are started while others fork: nobody waits for the end of what was forked."""

from __future__ import annotations

import signal
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


#: A worker that loads the program, with the answers to signals that it has from the supervisor.
_LOADING = """
import os, time
from granian._signals import set_main_signals
from clinic_app.cli.supervisor import _ended_with
set_main_signals(lambda *_: None, lambda *_: None)
_ended_with(os.getppid(), lambda: (print("loading", flush=True), time.sleep(60)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_while_it_loads_the_program_ends(number):
    """So it does when its supervisor dies at that moment: the system sends SIGTERM."""
    worker = subprocess.Popen([sys.executable, "-c", _LOADING], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "loading\n"
        worker.send_signal(signal.SIGHUP)  # which is the supervisor's
        worker.send_signal(number)
        assert worker.wait(10) == -number
    finally:
        worker.kill()
        worker.communicate()
