"""How much a first visit loads, and how soon the server is there."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.serving import WORKERS

BUDGET_KB = 330
PLAIN_KB = 40  # with headers
#: Seconds of the processor for each worker, whatever else this machine does.
READY_WITHIN = 6.0 * WORKERS


@pytest.mark.parametrize(
    ("who", "path", "sign", "budget"),
    [
        ("", "/login", "Staff sign in", PLAIN_KB),
        ("", "/patient-portal/login", "Patient portal sign in", PLAIN_KB),
        ("receptionist", "/", "Latest patients", BUDGET_KB),
        ("receptionist", "/patients", "Patients", BUDGET_KB),
    ],
)
def test_a_first_visit_stays_within_its_budget(open_page, record_property, who, path, sign, budget):
    page = open_page(who, fresh=True)
    cdp = page.context.new_cdp_session(page)
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}
    fetched_ahead: set[str] = set()  # by prefetch.js, once the page is there and behind everything else

    def answered(one: dict[str, Any]) -> None:
        addresses[one["requestId"]] = one["response"]["url"]
        if one["type"] == "Fetch":
            fetched_ahead.add(one["requestId"])

    cdp.on("Network.responseReceived", answered)
    cdp.on("Network.loadingFinished", lambda one: sizes.update({one["requestId"]: one["encodedDataLength"]}))
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(path, wait_until="networkidle")
    expect(page.get_by_role("heading", name=sign).first).to_be_visible()
    for one in fetched_ahead:
        sizes.pop(one, None)
    total = sum(sizes.values()) / 1000
    record_property("first_load_kb", round(total, 1))
    print(f"first load of {path}: {total:.1f} kB in {len(sizes)} answers")
    largest = sorted(((size, addresses.get(ident, "")) for ident, size in sizes.items()), reverse=True)[:8]
    assert len(sizes) > 5, "the measurement saw too little"
    assert total <= budget, largest


def test_the_server_is_ready_soon_after_the_build(server, record_property):
    record_property("ready_seconds", round(server.ready_seconds, 2))
    print(f"first page answered after {server.ready_seconds:.2f} s of work")
    assert 0 < server.ready_seconds < READY_WITHIN
