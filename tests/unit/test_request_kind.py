"""What a request is for, by its address alone."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette

from clinic_app.web.request_kind import Kind, Kinds, built_files


@pytest.fixture
def kinds(tmp_path):
    """Those of a small build and of two routes."""
    for name in ("index.html", "index.html.br", "404.html", "look.css", "look.css.gz", "assets/root-abc.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    router = APIRouter()
    router.get("/login")(lambda: None)
    router.put("/auth/draft/{form}")(lambda: None)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    app.mount("", Starlette())  # as Reflex is
    return Kinds(built_files(tmp_path), app.routes)


def _scope(kind: str, path: str) -> dict:
    return {"type": kind, "path": path, "method": "GET", "root_path": "", "headers": []}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/look.css", Kind.FILE),
        ("/look.css.gz", Kind.FILE),
        ("/assets/root-abc.js", Kind.FILE),
        ("/api/", Kind.API),
        ("/api", Kind.DOCUMENT),
        ("/api/v1/patients/", Kind.API),
        ("/login", Kind.ROUTE),
        ("/auth/draft/registration", Kind.DOCUMENT),  # only ever put there
        ("/", Kind.DOCUMENT),
        ("/patients/LMC000001", Kind.DOCUMENT),
        ("/index.html", Kind.DOCUMENT),
        ("/404.html", Kind.DOCUMENT),
        ("/index.html.br", Kind.DOCUMENT),
        ("/assets/gone.js", Kind.DOCUMENT),
        ("/assets/../index.html", Kind.DOCUMENT),
        ("/assets", Kind.DOCUMENT),
        ("//look.css", Kind.DOCUMENT),
        ("/LOOK.CSS", Kind.DOCUMENT),
        ("/apiary", Kind.DOCUMENT),
        ("/login/", Kind.DOCUMENT),
        ("/auth/draft/a/b", Kind.DOCUMENT),
        ("", Kind.DOCUMENT),
    ],
)
def test_what_a_request_is_for(kinds, path, kind):
    assert kinds.of(_scope("http", path)) is kind


@pytest.mark.parametrize("path", ["/_event", "/look.css", "/login", "/api/v1", "/"])
def test_a_handshake_is_one_whatever_its_address(kinds, path):
    assert kinds.of(_scope("websocket", path)) is Kind.SOCKET
