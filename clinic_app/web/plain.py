"""Plain pages of ours, made on the server: for what must never be page state. The look of the sign-in gate."""

from __future__ import annotations

import functools
import re
from html import escape

from fastapi.responses import HTMLResponse

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.web import security_headers

_STYLES = re.compile(r'<link href="(/assets/[\w.-]+\.css)" rel="stylesheet"')
_CROSS = (
    '<svg width="18" height="18" viewBox="0 0 18 18" fill="none" aria-hidden="true">'
    '<path d="M9 3.5v11M3.5 9h11" stroke="currentColor" stroke-width="3.2" stroke-linecap="round"></path></svg>'
)
_THEME = (
    'class="radix-themes" data-is-root-theme="true" data-accent-color="cyan" data-gray-color="sand" '
    'data-has-background="false" data-panel-background="solid" data-radius="medium" data-scaling="100%"'
)
_BUTTON = "rt-reset rt-BaseButton rt-Button rt-r-size-3"


@functools.lru_cache(maxsize=1)
def _stylesheet() -> str:
    """The one stylesheet of the built pages, whose name holds a hash."""
    found = _STYLES.search((security_headers.built_pages() / "index.html").read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError("The built pages name no stylesheet.")
    return found[1]


def page(title: str, *body: str, status: int = 200) -> HTMLResponse:
    """A page with ``body``, pieces of HTML whose values are escaped already, in one card."""
    clinic = escape(get_settings().name)
    html = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · {clinic}</title>
<script src="/theme.js"></script>
<link rel="stylesheet" href="{_stylesheet()}">
<script src="/focus.js" defer></script><script src="/copy.js" defer></script><script src="/idle.js" defer></script>
</head><body><div {_THEME}><div class="app"><a class="skip" href="#main">Skip to content</a>
<main id="main" class="gate" tabindex="-1"><div class="stack g4 gate-card">
<a class="brand" href="{routes.ACCOUNT}"><span class="brand-mark">{_CROSS}</span><span>{clinic}</span></a>
<div class="card"><div class="stack g4"><h1>{escape(title)}</h1>
{"".join(body)}
</div></div></div></main>
<form id="sign-out" hidden method="post" action="{routes.SIGN_OUT}" data-sign-in="{routes.STAFF_SIGN_IN}"></form>
</div></div></body></html>"""
    return HTMLResponse(html, status)


def text(words: str, cls: str = "") -> str:
    """A paragraph."""
    return f'<p class="{cls}">{escape(words)}</p>' if cls else f"<p>{escape(words)}</p>"


def note(tone: str, words: str) -> str:
    """A message, announced."""
    return f'<div class="note {tone}" role="alert"><div class="grow"><p>{escape(words)}</p></div></div>'


def form(action: str, *body: str) -> str:
    """A form that the browser posts."""
    return f'<form class="stack g4" method="post" action="{action}" novalidate>{"".join(body)}</form>'


def button(words: str, variant: str = "solid") -> str:
    """The button of a form."""
    return f'<button type="submit" class="{_BUTTON} rt-variant-{variant} wide">{escape(words)}</button>'


def link(words: str, href: str) -> str:
    """A link that looks like a button."""
    return f'<a class="{_BUTTON} rt-variant-solid wide" href="{href}">{escape(words)}</a>'


def code_field(error: str = "") -> str:
    """Where a code of six digits is typed."""
    invalid, focus = ("true", " autofocus") if error else ("false", "")
    return (
        '<div class="field"><div class="label-row"><label class="label" for="code">Authentication code</label></div>'
        '<p id="code-hint" class="hint">Six digits, from the app</p>'
        f'<p id="code-error" class="error" role="alert">{escape(error)}</p>'
        '<input id="code" name="code" class="input" inputmode="numeric" autocomplete="one-time-code" maxlength="12" '
        f'aria-describedby="code-hint code-error" aria-invalid="{invalid}" aria-required="true"{focus}></div>'
    )
