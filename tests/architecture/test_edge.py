"""Nothing answers before or around the outermost layer, and whatever that refuses is dressed like any other answer."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from clinic_app.cli.server import EDGE
from clinic_app.core.settings import Settings, get_settings
from clinic_app.web import arrivals, refusals, security_headers
from clinic_app.web.exchange import Exchange
from clinic_app.web.refusals import Refusal

PACKAGE = Path(__file__).resolve().parents[2] / "clinic_app"
REFUSALS = {name: value for name, value in vars(refusals).items() if isinstance(value, Refusal)}
PROTECTING = {"x-content-type-options", "referrer-policy", "content-security-policy", "cache-control", "x-request-id"}


def _root() -> ast.Module:
    return ast.parse((PACKAGE / "clinic_app.py").read_text(encoding="utf-8"))


def test_the_layer_with_the_limits_is_the_outermost():
    (layers,) = (
        keyword.value
        for node in ast.walk(_root())
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "rx.App"
        for keyword in node.keywords
        if keyword.arg == "api_transformer"
    )
    assert isinstance(layers, ast.List)
    outermost = layers.elts[-1]
    assert isinstance(outermost, ast.Call)
    assert ast.unparse(outermost.args[0]) == "harden"


@pytest.mark.asvs("3.4.3", "3.4.4", "3.4.5", "16.4.1")
@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize(("path", "accept"), [("/login", "text/html"), ("/login", "*/*"), ("/api/v1/x/", "text/html")])
async def test_every_refusal_is_dressed_and_says_why(name, path, accept):
    refusal, sent = REFUSALS[name], []
    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept", accept.encode())]}

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("nothing is read for a refusal")

    fixed = security_headers.fixed_headers(get_settings())
    await Exchange(scope, receive, send, b"default-src 'none'", fixed)._refuse(refusal)
    start, body = sent
    headers = {key.decode(): value.decode() for key, value in start["headers"]}
    assert start["status"] == refusal.status
    assert set(headers) >= PROTECTING
    assert headers["cache-control"] == "no-store"
    assert ("retry-after" in headers) == (refusal.status in (429, 503))
    if accept == "text/html" and path == "/login":
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert refusal.detail in body["body"].decode()
    else:
        assert json.loads(body["body"])["detail"] == refusal.detail


def test_a_body_may_be_held_whole_many_times_over():
    assert arrivals.HELD_AT_MOST >= 16 * refusals.BODY_LIMIT


def test_one_address_cannot_have_so_many_bodies_wait_that_any_is_sent_away_and_comes_again():
    connections = int(EDGE[EDGE.index("--backpressure") + 1])
    of_one_address = Settings.model_fields["connections_per_address"].default
    assert 2 * of_one_address <= arrivals.WAITING_AT_MOST <= connections // 2
