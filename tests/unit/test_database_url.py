"""The address of the database: one PostgreSQL, several of them, or a file."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from clinic_app.core.database_url import parsed, patience

P = "postgresql+psycopg://clinic:p%40ss@"


def given(url: str) -> dict[str, object]:
    """What the client of PostgreSQL is given."""
    _, found = create_engine(parsed(url)).dialect.create_connect_args(parsed(url))
    return found


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        (f"{P}a,b,c/clinic", "a,b,c", "5432,5432,5432"),
        (f"{P}a:5433,b,c:5434/clinic?sslmode=require", "a,b,c", "5433,5432,5434"),
        (f"{P}/clinic?host=a:5433&host=b:5434", "a,b", "5433,5434"),
        (f"{P}[::1]:5433,[fe80::2]/clinic", "::1,fe80::2", "5433,5432"),
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_meant(url, host, port):
    found = given(url)
    assert (found["host"], str(found["port"])) == (host, port)
    assert (found["password"], found["dbname"]) == ("p@ss", "clinic")
    assert found["target_session_attrs"] == "read-write"
    assert patience(parsed(url))["connect_timeout"] == 2


def test_what_the_address_says_itself_stands():
    url = f"{P}a,b/clinic?target_session_attrs=any&connect_timeout=9&options=-c%20geqo=off"
    assert given(url)["target_session_attrs"] == "any"
    assert not {"connect_timeout", "options"} & set(patience(parsed(url)))


@pytest.mark.parametrize("url", [f"{P}db:5433/clinic", "sqlite:////srv/a,b@c/clinic.sqlite3", f"{P}/clinic"])
def test_one_host_or_a_file_is_left_alone(url):
    assert "target_session_attrs" not in parsed(url).query
    assert patience(parsed(url))["connect_timeout"] == 5


@pytest.mark.parametrize("url", [f"{P}a:b,c/clinic", f"{P}a,,c/clinic", f"{P}a:1:2,c/clinic", f"{P}host:port/clinic"])
def test_others_are_refused(url):
    with pytest.raises(ValueError, match=r".") as refused:
        parsed(url)
    assert "p%40ss" not in str(refused.value)
