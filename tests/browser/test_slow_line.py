"""The whole main job from a cold cache on a slow line: 400 kbit/s, 300 ms, a quarter of this machine's speed."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DEMO_PASSWORD

PATIENCE = 90_000


def _slow(page: Page, *, cold: bool = True) -> None:
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    if cold:
        line.send("Network.clearBrowserCache")
    slow = {"offline": False, "latency": 300, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    line.send("Network.emulateNetworkConditions", slow)
    line.send("Emulation.setCPUThrottlingRate", {"rate": 4})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_signing_in_registering_and_handing_over_work_on_a_slow_line(open_page, record_property):
    page = open_page(fresh=True)
    page.set_default_timeout(PATIENCE)
    _slow(page)
    begun = time.monotonic()
    page.goto("/login", wait_until="commit", until=False)
    page.get_by_label("Username").fill("receptionist")
    usable = time.monotonic() - begun
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    begun = time.monotonic()
    expect(
        page.locator("clinic-shell").or_(page.get_by_role("heading", name="Reception", level=1)).first
    ).to_be_visible(timeout=PATIENCE)
    said = time.monotonic() - begun
    expect(page.get_by_role("link", name="Register patient")).to_be_visible(timeout=PATIENCE)
    first = time.monotonic() - begun
    page.get_by_role("link", name="Register patient").click()
    page.get_by_label("First name").fill("Slow")
    page.get_by_label("Last name").fill("Line")
    page.get_by_label("Create Patient Portal Login").check()
    page.get_by_label("Portal email").fill("slow.line@example.org")
    page.get_by_role("button", name="Register patient").click()
    expect(page.get_by_label("Temporary Password", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_label("Username", exact=True)).to_have_value("slow.line@example.org")
    for name, seconds in (("field_usable", usable), ("clinic_named", said), ("first_page", first)):
        record_property(f"slow_{name}_seconds", round(seconds, 1))
        print(f"{name}: {seconds:.1f} s")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_first_page_comes_sooner_when_somebody_took_time_to_sign_in(open_page, record_property):
    """What the sign-in page fetched ahead is not loaded again."""
    page = open_page(fresh=True)
    page.set_default_timeout(PATIENCE)
    _slow(page)
    page.goto("/login", wait_until="networkidle")
    loaded: list[str] = []
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    sizes: dict[str, int] = {}
    line.on("Network.responseReceived", lambda one: loaded.append(one["response"]["url"]))
    line.on("Network.loadingFinished", lambda one: sizes.update({one["requestId"]: one["encodedDataLength"]}))
    page.get_by_label("Username").fill("receptionist")
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    begun = time.monotonic()
    expect(page.get_by_role("link", name="Register patient")).to_be_visible(timeout=PATIENCE)
    seconds, kilobytes = time.monotonic() - begun, sum(sizes.values()) / 1000
    record_property("slow_first_page_fetched_ahead_seconds", round(seconds, 1))
    print(f"first page, fetched ahead: {seconds:.1f} s, {kilobytes:.0f} kB")
    assert len(loaded) > 10, "the measurement saw too little"
    assert kilobytes < 60
