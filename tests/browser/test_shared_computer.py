"""What is left in a browser that somebody else uses next: after signing out nothing, wherever one looks."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

WHAT_IS_KEPT = """async () => {
  const stored = (kept) => Object.fromEntries(Object.entries(kept));
  const named = indexedDB.databases ? await indexedDB.databases() : [];
  return {
    local: stored(localStorage), session: stored(sessionStorage), databases: named.map((one) => one.name),
    caches: window.caches ? await caches.keys() : [], cookies: document.cookie,
    workers: (await navigator.serviceWorker?.getRegistrations() ?? []).length, name: window.name, state: history.state,
  };
}"""
PERSONAL = ("Zqxname", "zqxmail", "zqxtyped", "712440990", "LMC0")


@pytest.mark.asvs("14.3.1", "14.3.3")
def test_after_signing_out_nothing_is_left_to_find(open_page, clinic):
    done = clinic.patient(first_name="Zqxname", email="zqxmail@example.org", phone="0712 440 990")
    page = open_page("receptionist", "/patients")
    page.get_by_label("Search patients").first.fill("Zqxname")
    expect(page.get_by_role("rowheader", name="Zqxname")).to_be_visible()
    page.goto(f"/patients/{done.patient.patient_id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Zqxname")
    page.goto("/patients/new")
    page.get_by_label("First name").fill("zqxtyped")
    kept = json.dumps(page.evaluate(WHAT_IS_KEPT))
    assert not [one for one in PERSONAL if one in kept], "nor while somebody is signed in"
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url("**/login*")
    found = page.evaluate(WHAT_IS_KEPT)
    assert (found["databases"], found["caches"], found["workers"], found["cookies"]) == ([], [], 0, "")
    kept = json.dumps(found)
    assert not [one for one in PERSONAL if one in kept]
    for _ in range(3):  # the pages that were open
        page.go_back(wait_until="commit")
        expect(page.get_by_label("Username")).to_be_visible()
        words = page.content()
        assert not [one for one in PERSONAL if one in words]


def test_a_page_out_of_the_browsers_cache_shows_nothing_before_the_server_has_said_whose_it_is(open_page, clinic):
    done = clinic.patient(first_name="Zqxname")
    page = open_page("receptionist", f"/patients/{done.patient.patient_id}")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("Zqxname")
    page.route("**/auth/session", lambda route: None)  # the answer takes its time
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(heading).to_be_hidden()
    page.unroute("**/auth/session")
    clinic.sql("UPDATE login_sessions SET ended_at = created_at WHERE ended_at IS NULL")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.wait_for_url("**/login*")
    assert "Zqxname" not in page.content()
