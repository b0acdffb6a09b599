"""How much a first visit loads, and how soon the server is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

BUDGET_KB = 330
READY_WITHIN = 6.0  # seconds; under 2 on a quiet machine


@pytest.mark.parametrize(
    ("who", "path", "sign"),
    [
        ("", "/login", "Staff sign in"),
        ("receptionist", "/", "Latest patients"),
        ("receptionist", "/patients", "Patients"),
    ],
)
def test_a_first_visit_loads_at_most_330_kb(open_page, record_property, who, path, sign):
    page = open_page(who)
    cdp = page.context.new_cdp_session(page)
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}
    cdp.on("Network.responseReceived", lambda one: addresses.update({one["requestId"]: one["response"]["url"]}))
    cdp.on("Network.loadingFinished", lambda one: sizes.update({one["requestId"]: one["encodedDataLength"]}))
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(path, wait_until="networkidle")
    expect(page.get_by_role("heading", name=sign).first).to_be_visible()
    total = sum(sizes.values()) / 1000
    record_property("first_load_kb", round(total, 1))
    print(f"first load of {path}: {total:.1f} kB in {len(sizes)} answers")
    largest = sorted(((size, addresses.get(ident, "")) for ident, size in sizes.items()), reverse=True)[:8]
    assert len(sizes) > 5, "the measurement saw too little"
    assert total <= BUDGET_KB, largest


def test_the_server_is_ready_soon_after_the_build(server, record_property):
    record_property("ready_seconds", round(server.ready_seconds, 2))
    print(f"first page answered {server.ready_seconds:.2f} s after the start")
    assert server.ready_seconds < READY_WITHIN
