"""The address of the database as people write it: one PostgreSQL, several of which one leads, or an SQLite file."""

from __future__ import annotations

import os
import re
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

#: Several hosts, each perhaps with a port, as PostgreSQL's own programs write them: ``…@a:5432,b:5433,c/clinic``.
_SEVERAL = re.compile(r"(?P<first>[a-z+0-9]+://(?:[^@/?]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<rest>[/?].*)?", re.DOTALL)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:(?P<port>\d{1,5}))?")
#: How long PostgreSQL may be silent before a connection counts as lost: seconds, but for the timeout in milliseconds.
_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
#: The same where another host may be the one that leads: the silent ones are asked first, one after the other.
_ONE_OF_SEVERAL = _PATIENCE | {"connect_timeout": 2, "tcp_user_timeout": 5_000, "keepalives_idle": 5}
#: Milliseconds until a lock that somebody else keeps counts as an outage, as with SQLite.
_LOCK = 5_000


def checked(url: str) -> str:
    """``url``, if it can be the address of a clinic's database. Raises ``ValueError`` that repeats nothing of it."""
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///").partition("?")[0]
        folder = os.path.isdir(path)  # noqa: PTH112  where nobody may look there is none: pathlib would raise
        if not path or path.startswith(":") or "%" in path or folder:  # % is made another sign on the way
            raise ValueError(
                "must name the file of the database, with no percent sign, such as sqlite:////srv/clinic/data/clinic.sqlite3"
            )
    try:
        parsed(url)
    except (ValueError, ArgumentError):  # whose words may hold the password
        raise ValueError(
            "must be an address such as postgresql+psycopg://user:password@host:5432/clinic; several hosts are written "
            "a:5432,b:5432"
        ) from None
    return url


def parsed(url: str, wanted: str = "read-write") -> URL:
    """The parts of ``url``. Of several hosts the one is meant that takes writes, or what else is ``wanted``, unless
    ``target_session_attrs`` says otherwise: a standby would refuse the first registration.

    Raises ``ValueError`` (or one of SQLAlchemy's) for others.
    """
    if found := _SEVERAL.fullmatch(url):
        hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
        names = [host["name"].strip("[]") for host in hosts if host]
        if len(names) < len(hosts):
            raise ValueError("hosts have to be names, each perhaps with a port, such as a:5432,b:5432")
        ports = [host["port"] or "5432" for host in hosts if host]
        parts = make_url(f"{found['first']}{found['rest'] or ''}")
        parts = parts.update_query_dict({"host": ",".join(names), "port": ",".join(ports)})
    else:
        parts = make_url(url)
    if _several(parts) and "target_session_attrs" not in parts.query:
        parts = parts.update_query_dict({"target_session_attrs": wanted})
    return parts


def patience(parts: URL) -> dict[str, Any]:
    """What PostgreSQL's client has to know beside the address, in so far as the address does not say it."""
    found: dict[str, Any] = dict(_ONE_OF_SEVERAL if _several(parts) else _PATIENCE)
    found["options"] = f"-c lock_timeout={_LOCK} -c jit=off"  # no statement is so long that compiling it pays
    return {name: value for name, value in found.items() if name not in parts.query}


def _several(parts: URL) -> bool:
    hosts = parts.query.get("host", parts.host or "")  # in SQLAlchemy's own words: host=a:5432&host=b:5432
    return not isinstance(hosts, str) or "," in hosts
