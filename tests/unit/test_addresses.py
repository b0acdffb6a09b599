"""The caller's address counts proxies from the right; origins are spelled as browsers spell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_app.core.addresses import allowed_origins, client_address, networks, normal_address, normal_origin
from clinic_app.core.settings import load_settings


def scope(peer: str | None = "10.0.0.9", *forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    return {"client": (peer, 4711) if peer else None, "headers": headers}


@pytest.mark.asvs("4.1.3", "15.3.4")
@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, (), "10.0.0.9"),
        (0, ("203.0.113.7",), "10.0.0.9"),  # nobody in front: the header is the caller's own invention
        (1, ("203.0.113.7",), "203.0.113.7"),
        (1, ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),  # what the caller wrote stands further left
        (2, ("198.51.100.1, 203.0.113.7, 10.1.1.1",), "203.0.113.7"),
        (2, ("198.51.100.1", "203.0.113.7, 10.1.1.1"), "203.0.113.7"),  # two header lines are one list
        (2, ("203.0.113.7",), "10.0.0.9"),  # too short to have passed both proxies
        (1, (), "10.0.0.9"),
        (1, ("unknown",), ""),
    ],
)
def test_proxies_are_counted_from_the_right(hops, forwarded, expected):
    assert client_address(scope("10.0.0.9", *forwarded), hops) == expected


def test_a_connection_without_a_peer_has_no_address():
    assert client_address(scope(None), 0) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7:5050", "203.0.113.7"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("2001:0db8:0000::0001", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ('"203.0.113.7"', "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7; DROP TABLE", ""),
        ("999.1.1.1", ""),
        ("", ""),
    ],
)
def test_one_address_has_one_spelling(text, expected):
    assert normal_address(text) == expected


@given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=4), st.integers(0, 5))
def test_whatever_is_sent_is_an_address_or_nothing(lines, hops):
    found = client_address(scope("10.0.0.9", *lines), hops)
    assert found == normal_address(found)
    assert not set(found) & set("; \r\n\"'=")  # it goes into a cookie header


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Desk.Example.org", "https://desk.example.org"),
        ("https://desk.example.org:443", "https://desk.example.org"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("null", ""),
        ("file:///etc", ""),
        ("http://x:port", ""),
    ],
)
def test_origins_are_spelled_as_browsers_do(url, expected):
    assert normal_origin(url) == expected


def test_without_a_public_address_this_machine_is_known_by_both_names():
    assert allowed_origins(load_settings(port=3111)) == ("http://localhost:3111", "http://127.0.0.1:3111")


def test_a_public_address_is_the_only_origin():
    assert allowed_origins(load_settings(public_url="https://desk.example.org")) == ("https://desk.example.org",)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", ("203.0.113.7",)),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2::", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::1", ("::/64", "::/48")),
        ("", ("",)),
        ("unknown", ("unknown",)),
    ],
)
def test_ipv6_addresses_are_told_apart_by_their_networks(address, expected):
    assert networks(address) == expected
