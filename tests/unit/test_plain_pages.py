"""Pages made from templates: values are escaped, none may be missing, nothing in them asks for inline script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from jinja2 import meta

from clinic_app.api import reference
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.views import Setup
from clinic_app.web import dead_ends, pages, self_registration, two_factor

BAD = "<b>&\"'"
ESCAPED = "&lt;b&gt;&amp;&#34;&#39;"
#: What every page is given besides its own values.
_CLINIC = ("name", "telephone", "telephone_uri", "hours", "address")
COMMON = {"clinic": {**{name: name + BAD for name in _CLINIC}, "demo": True, "registers": True}}
ASKED = self_registration.ASKED
CHOOSING = {
    **{name: name + BAD for name in ("username", "shortest", "refused", "offered")},
    "errors": {"new_password": "new_password" + BAD, "confirm_password": "confirm_password" + BAD},
}
SIGNING_IN = {name: name + BAD for name in ("username", "refused", "ended", "passkey_site")}
SIDE = {"patient": True, **{name: name + BAD for name in ("large", "list", "device", "opens", "add")}}
PASSKEYS = {
    **SIDE,
    **{name: name + BAD for name in ("said", "refused", "error", "site", "confirms_at")},
    "keys": tuple({"id": n, **{name: f"{n} {name}{BAD}" for name in ("name", "line", "remove")}} for n in (1, 2)),
    "removing": 1,
    "asks_password": True,
}
PASSKEY = {
    **{name: value for name, value in SIDE.items() if name != "opens"},
    **{name: name + BAD for name in ("site", "name", "refused", "confirms_at")},
    "errors": {"passkey_name": "passkey_name" + BAD, "password": "password" + BAD},
    "asks_password": True,
}
DEAD_END = {
    **{name: name + BAD for name in ("title", "heading", "home", "foot")},
    "sign": "cookie",
    "paragraphs": ("paragraphs" + BAD,),
    "steps": ("steps" + BAD,),
    "ways": (dead_ends.Way("ways" + BAD, "href" + BAD),),
}
_LINE = {name: name + BAD for name in ("who", "what", "when")}
_FACTS = (("label" + BAD, "words" + BAD), ("label" + BAD, ""))
_INPUTS = tuple(
    {
        "name": name,
        "label": "label" + BAD,
        "kind": kind,
        "longest": 9,
        "choices": (("key" + BAD, "choice" + BAD),) if kind == "choice" else (),
    }
    for name, kind in (("phone", "phone"), ("email", "email"), ("address", "lines"), ("preferred_language", "choice"))
)
_CHOSEN = ("single_name", "gender", "preferred_language")
#: Page → the values it needs, each with its own name in it.
VALUES = {
    "dead_ends/again.html": {"address": "address" + BAD},
    "dead_ends/portal.html": DEAD_END,
    "dead_ends/staff.html": DEAD_END,
    "signing_in/choose_password_portal.html": CHOOSING,
    "signing_in/choose_password_staff.html": CHOOSING,
    "signing_in/code.html": {
        "recovery": False,
        "code": "code" + BAD,
        "refused": "refused" + BAD,
        "errors": {"code": "errors" + BAD},
    },
    "links/activate.html": {
        **{name: name + BAD for name in ("code", "shortest", "refused", "offered")},
        "errors": dict.fromkeys(("code", "new_password", "confirm_password"), "errors" + BAD),
        "elsewhere": ("page" + BAD, "way" + BAD),
    },
    "links/forgot.html": {"email": "email" + BAD, "refused": "refused" + BAD, "errors": {"email": "errors" + BAD}}
    | {"by_email": True},
    "links/forgot_sent.html": {"email": "email" + BAD, "hourly": "hourly" + BAD},
    "links/over.html": {
        "title": "title" + BAD,
        "end": {"tone": "warn", "what": "what" + BAD, "steps": ("steps" + BAD,), "foot": "foot" + BAD},
        "ways": (("ways" + BAD, "href" + BAD),),
        "call": True,
    },
    "self_registration/register.html": {
        "values": {**{name: name + BAD for name in ASKED if name not in _CHOSEN}, **dict.fromkeys(_CHOSEN, "on")},
        "labels": dict.fromkeys(ASKED, "label" + BAD),
        "understood": {"phone": "understood" + BAD},
        "longest": dict.fromkeys(ASKED, 9),
        "choices": dict.fromkeys(_CHOSEN, (("key" + BAD, "choice" + BAD),)),
        "errors": {"first_name": "error" + BAD, "gender": "wrong" + BAD},
        **{name: name + BAD for name in ("refused", "challenge", "token")},
    },
    "self_registration/done.html": {
        "done": self_registration.Received("first_name" + BAD, "email", "never shown"),
        **{name: name + BAD for name in ("to", "notice")},
    },
    "self_registration/confirm.html": {"errors": {"code": "error" + BAD}, "code": "code" + BAD, "refused": "no" + BAD},
    "self_registration/over.html": {name: name + BAD for name in ("title", "words")},
    "signing_in/expired.html": {"detail": "detail" + BAD, "hours": "hours" + BAD, "by_email": True},
    "signing_in/portal.html": {**SIGNING_IN, "errors": {"email": "errors" + BAD}, "must_wait": True}
    | {"kept": "kept" + BAD},
    "signing_in/staff.html": {**SIGNING_IN, "errors": {"username": "errors" + BAD}},
    "passkeys/portal_add.html": PASSKEY,
    "passkeys/portal_list.html": PASSKEYS,
    "passkeys/staff_add.html": PASSKEY,
    "passkeys/staff_list.html": PASSKEYS,
    "own_record/contact.html": {
        "inputs": _INPUTS,
        "ticks": (("email_allowed", "tick" + BAD),),
        "values": {
            "email_allowed": "on",
            "phone": "phone" + BAD,
            "email": "email" + BAD,
            "address": "address" + BAD,
            "preferred_language": "",
        },
        "errors": {"phone": "error" + BAD, "preferred_language": "error" + BAD},
        "stale": _FACTS,
        **{name: name + BAD for name in ("began", "version", "refused", "username", "notice", "meant")},
    },
    "own_record/confirm_email.html": {
        "errors": {"code": "error" + BAD},
        "elsewhere": ("page" + BAD, "way" + BAD),
        **{name: name + BAD for name in ("code", "refused")},
    },
    "own_record/email_end.html": {"done": False, **{name: name + BAD for name in ("title", "words")}},
    "own_record/download.html": {
        "kind": "json",
        "errors": {"password": "error" + BAD},
        "refused": "refused" + BAD,
    },
    "own_record/file.html": {
        "details": _FACTS,
        "contact": _FACTS,
        "days": (("day" + BAD, (_LINE,)),),
        "left_out": True,
        "messages": (("when" + BAD, "words" + BAD),),
        **{name: name + BAD for name in ("username", "made_on")},
    },
    "own_record/password.html": CHOOSING,
    "own_record/sessions.html": {
        "sessions": (("id" + BAD, "device" + BAD, "line" + BAD, False),),
        **{name: name + BAD for name in ("said", "failed")},
    },
    "own_record/views.html": {
        "days": (("day" + BAD, ({**_LINE, "initials": "initials" + BAD},)),),
        "older": "older" + BAD,
        "later": True,
    },
    "patient_card/card.html": {name: name + BAD for name in ("name", "patient_id", "born", "picture")},
    "patient_card/problem.html": {"detail": "detail" + BAD},
    "slips/problem.html": {"detail": "detail" + BAD},
    "slips/sheet.html": {
        "slips": (
            {
                "long": True,
                "groups": ("group" + BAD,),
                **{name: name + BAD for name in ("name", "username", "picture", "address", "until")},
            },
        ),
        "minutes": 10,
    },
    "two_factor/begin.html": {},
    "two_factor/codes.html": {"codes": ("codes" + BAD, "codes" + BAD), "lead": "lead" + BAD},
    "two_factor/problem.html": {"detail": "detail" + BAD},
    "two_factor/setup.html": {name: name + BAD for name in ("picture", "secret", "error")},
}


def _texts(value: Any) -> Iterator[str]:
    """All there is to read in a value."""
    if isinstance(value, str) and BAD in value:
        yield value
    elif isinstance(value, dict):
        yield from (text for one in value.values() for text in _texts(one))
    elif isinstance(value, tuple):
        yield from (text for one in value for text in _texts(one))


TEMPLATES = [(env, name) for env in (pages.TEMPLATES, reference.TEMPLATES) for name in env.list_templates()]


def _source(env, name: str) -> str:
    return env.loader.get_source(env, name)[0]


def _pages() -> set[str]:
    """The templates that are no part of another one, nor of a built page."""
    env = pages.TEMPLATES
    names = {name for name in env.list_templates() if not name.startswith("shell/")}
    return names - {part for name in names for part in meta.find_referenced_templates(env.parse(_source(env, name)))}


def _rendered(page: str, values: dict) -> str:
    return pages.TEMPLATES.get_template(page).render(values)


@pytest.fixture
def named(settings):
    """A clinic with a name to beware of."""
    settings.setenv("CLINIC_NAME", f"Clinic {BAD}")
    get_settings.cache_clear()


class _Read(HTMLParser):
    """What a browser makes of a page: the text, and every attribute's value."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.words, self.attributes = [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.words += data


def test_every_page_is_tried_here():
    assert _pages() == set(VALUES)


@pytest.mark.asvs("1.2.1")
@pytest.mark.parametrize("page", VALUES)
def test_every_value_arrives_escaped(page):
    html = _rendered(page, {**COMMON, **VALUES[page]})
    assert "name" + ESCAPED in html
    for text in _texts(VALUES[page]):
        assert text.replace(BAD, ESCAPED) in html, text
    assert BAD not in html
    assert "b" not in _Read(html).tags


@pytest.mark.parametrize(("page", "name"), [(page, name) for page in VALUES for name in (*COMMON, *VALUES[page])])
def test_a_value_that_nobody_gave_is_an_error(page, name):
    values = {**COMMON, **VALUES[page]}
    values.pop(name)
    with pytest.raises(jinja2.UndefinedError, match=f"'{name}' is undefined"):
        _rendered(page, values)


@pytest.mark.parametrize(("env", "name"), TEMPLATES, ids=[name for _, name in TEMPLATES])
def test_no_template_goes_round_the_escaping_or_the_policy(env, name):
    source = _source(env, name)
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", source)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+\s*=|javascript:", source)
    assert not re.search(r"='?\{\{", source)  # a value in an attribute stands in double quotes


# --- as they are answered -------------------------------------------------------------------------


def test_a_page_knows_the_clinic(named):
    answer = two_factor._setup_page(None)
    read = _Read(answer.body.decode())
    assert answer.status_code == 200
    assert read.words.count(f"Clinic {BAD}") == 2  # the title and the name on top
    assert ("form", "action", "/auth/two-factor/begin") in read.attributes


def test_setting_up_shows_the_picture_and_the_key():
    read = _Read(two_factor._setup_page(Setup(secret="ABCD EFGH", address="otpauth://totp/x")).body.decode())
    picture = next(value for tag, name, value in read.attributes if (tag, name) == ("img", "src"))
    assert picture.startswith("data:image/svg+xml")
    assert "ABCD EFGH" in read.words
    assert "aria-invalid" not in [name for _, name, _ in read.attributes]
    assert "autofocus" not in [name for _, name, _ in read.attributes]


def test_after_a_wrong_code_the_focus_is_in_the_field():
    html = two_factor._setup_page(Setup(secret="ABCD", address="otpauth://totp/x"), "Wrong.").body.decode()
    read = _Read(html)
    assert ("input", "aria-invalid", "true") in read.attributes
    assert ("input", "autofocus", "") in read.attributes
    assert ("input", "aria-describedby", "code-hint code-error") in read.attributes
    assert re.search(r'<p id="code-error" class="error"><svg.*?</svg><bdi>Wrong\.</bdi></p>', html)
    assert "<title>Error: Two-factor sign-in" in html


def test_recovery_codes_stand_one_on_a_line():
    html = two_factor._codes_page(("one-1", "two-2"), "On.").body.decode()
    assert '<pre id="recovery-codes" class="codes">one-1\ntwo-2</pre>' in html


# --- the reference of the API ---------------------------------------------------------------------


def _described() -> dict:
    """A description whose every word is to be beware of."""
    schema = {"type": BAD, "description": f"a `{BAD}` code"}
    body = {"schema": {"$ref": f"#/components/schemas/{BAD}"}, "examples": {BAD: {"value": {BAD: BAD}}}}
    operation = {
        "operationId": BAD,
        "tags": [BAD],
        "description": f"{BAD}\n\nAnd `{BAD}`.",
        "parameters": [{"name": BAD, "in": BAD, "schema": schema, "description": BAD}],
        "requestBody": {"content": {"application/json": body}},
        "responses": {"200": {"description": BAD, "content": {"application/json": body}}},
    }
    shape = {"properties": {BAD: schema, "other": {"enum": [BAD]}}, "required": [BAD]}
    return {
        "info": {"title": BAD, "description": BAD},
        "paths": {f"/{BAD}": {"post": operation}},
        "components": {"schemas": {BAD: shape}},
    }


def test_every_word_of_a_description_arrives_escaped():
    html = reference.page(_described(), "http://" + BAD)
    assert BAD not in html
    assert "b" not in _Read(html).tags
    assert f"<code>{ESCAPED}</code>" in html  # `…` in a text is code
    assert f'<section id="{ESCAPED}">' in html
    sent = json.dumps({BAD: BAD}, indent=2)
    assert _Read(html).words.count(sent) == 2


def test_the_reference_needs_all_its_values():
    with pytest.raises(jinja2.UndefinedError):
        reference.TEMPLATES.get_template("reference.html").render(title="x", about="x", origin="x")
