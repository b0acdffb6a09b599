"""Guessing passwords from outside, many at once: no door, name or header buys a try more than the limits allow."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import bcrypt
import httpx
import pytest

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from clinic_app.services.access import SYSTEM
from clinic_app.services.accounts.staff import disable_staff
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import session
from tests.db.tools import at_once
from tests.security.attack import said, visitor

pytestmark = pytest.mark.slow

COST = 10  # the least that production takes: a hash is far longer than everything around it
IN, WRONG = "in", "Incorrect username or password."
BLOCKED = "Too many attempts. Please try again in 1 minute."
GUESSES = 16
API = "/api/v1/auth/login/"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Told:
    """What a try was answered: the sentence, and for how many seconds to wait where the answer says it."""

    words: str
    wait: int = 0


class Doors:
    """Both ways to sign in at one server, tried as by anybody in the world."""

    def __init__(self, server: Server) -> None:
        self.server, self.http = server, visitor(server)

    def api(self, username: str, password: str = "a guess", headers: dict[str, str] | None = None) -> Told:
        """Try the API."""
        answer = self.http.post(API, json={"username": username, "password": password}, headers=headers)
        if answer.status_code == 200:
            return Told(IN)
        assert answer.status_code == (429 if "retry-after" in answer.headers else 401)
        return Told(answer.json()["detail"], int(answer.headers.get("retry-after", 0)))

    def page(self, username: str, password: str = "a guess", headers: dict[str, str] | None = None) -> Told:
        """Try the form of the staff's sign-in page, and read what the page then says."""
        form = {"username": username, "password": password}
        answer = self.http.post(routes.STAFF_SIGN_IN, data=form, headers=headers)
        if "clinic_session" in answer.cookies:
            return Told(IN)
        assert answer.status_code == (429 if "retry-after" in answer.headers else 400)
        return Told(said(answer), int(answer.headers.get("retry-after", 0)))


@dataclass(frozen=True)
class Place:
    """A clinic on the open network, and the same behind a reverse proxy: two servers, one database."""

    direct: Doors
    proxied: Doors

    @property
    def compared(self) -> int:
        """How many guesses were compared with a password so far."""
        return len(self.direct.server.audit("SIGN_IN_FAILED")) + len(self.direct.server.audit("CONFIRM_FAILED"))

    def newcomer(self, known: bool = True) -> str:
        """A name nobody has guessed at: of a receptionist with ``factories.PASSWORD``, or of nobody."""
        username = f"guessed{next(_numbers)}"
        if known:
            with bound(self.direct.server):
                factories.make_staff(Role.RECEPTIONIST, username)
        return username


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two servers of one clinic, with the hashes of production; limits exhausted here disturb nobody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINIC_BCRYPT_COST", str(COST))
        get_settings.cache_clear()
        direct = Server(tmp_path_factory.mktemp("direct"), CLINIC_BCRYPT_COST=str(COST))
        shared = {**direct.env, "CLINIC_TRUSTED_PROXY_HOPS": "1"}
        proxied = Server(tmp_path_factory.mktemp("proxied"))
        apart = {"CLINIC_DATA_DIR": str(proxied.folder / "data"), "CLINIC_DATABASE_URL": direct.database_url}
        proxied.env = {**shared, **apart, "CLINIC_PORT": str(proxied.port)}
        direct.prepare(people=False)
        direct.start()
        proxied.start()
        yield Place(Doors(direct), Doors(proxied))
        proxied.stop()
        direct.stop()
    get_settings.cache_clear()


@pytest.fixture
def place(served: Place) -> Place:
    """The two servers, with nothing counted yet."""
    served.direct.server.sql("DELETE FROM sign_in_limits")
    return served


def forged(number: int) -> dict[str, str]:
    """Every header in which somebody may claim to come from elsewhere."""
    claimed = f"198.51.100.{number}"
    names = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP")
    return {**dict.fromkeys(names, claimed), "Forwarded": f"for={claimed};proto=https"}


def through(*addresses: str) -> dict[str, str]:
    """The header of a request that a proxy hands on: what the sender wrote, and last what the proxy saw."""
    return {"X-Forwarded-For": ", ".join(addresses)}


def spelt(name: str) -> list[str]:
    """Ways to write one username."""
    wide = "".join(chr(ord(c) + 0xFEE0) for c in name)
    return [name, name.upper(), f" {name}", f"{name}\n", f"\t{name.title()}\r\n", wide, f"\u3000{name}", f"{name}\x1f"]


# --- many at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["a known name", "an unknown name"])
def test_of_sixteen_guesses_at_once_from_one_address_five_are_compared(place, known):
    doors, name, before = place.direct, place.newcomer(known), place.compared
    bystander = place.newcomer()
    names = itertools.cycle(spelt(name))
    ways = [(doors.api, doors.page)[number % 2] for number in range(GUESSES)]
    told = at_once(*[partial(way, next(names), headers=forged(n)) for n, way in enumerate(ways)])
    assert Counter(one.words for one in told) == {WRONG: 5, BLOCKED: GUESSES - 5}
    assert place.compared - before == 5
    by_api = [one for one, way in zip(told, ways, strict=True) if way == doors.api]
    assert all((0 < one.wait <= 60) == (one.words == BLOCKED) for one in by_api)
    for spelling in spelt(name):
        assert doors.api(spelling, factories.PASSWORD, forged(99)).words == BLOCKED
    assert doors.page(name, factories.PASSWORD, forged(99)).words == BLOCKED
    assert place.compared - before == 5
    assert (doors.api(bystander, factories.PASSWORD), doors.page(bystander, factories.PASSWORD)) == (Told(IN), Told(IN))


@pytest.mark.parametrize("known", [True, False], ids=["a known name", "an unknown name"])
def test_of_sixteen_guesses_at_once_from_sixteen_addresses_ten_are_compared(place, known):
    doors, name, before = place.proxied, place.newcomer(known), place.compared
    ways = [(doors.api, doors.page)[number % 2] for number in range(GUESSES)]
    told = at_once(*[partial(way, name, headers=through(f"203.0.113.{n}")) for n, way in enumerate(ways)])
    assert Counter(one.words for one in told) == {WRONG: 10, BLOCKED: GUESSES - 10}
    assert place.compared - before == 10
    elsewhere = through("192.0.2.1")
    assert doors.api(name, factories.PASSWORD, elsewhere).words == BLOCKED
    assert doors.page(name, factories.PASSWORD, elsewhere).words == BLOCKED
    assert place.direct.api(name, factories.PASSWORD).words == BLOCKED
    assert doors.api(place.newcomer(), factories.PASSWORD, through("203.0.113.1")).words == IN


def test_two_servers_and_what_is_written_before_the_proxys_entry_count_as_one_address(place):
    name, before = place.newcomer(), place.compared
    same = ("127.0.0.1", "127.0.0.1:4711", "[::ffff:127.0.0.1]:99", "::ffff:7f00:1")
    jobs = [partial(place.direct.api, name, headers=forged(number)) for number in range(GUESSES // 2)]
    jobs += [
        partial(place.proxied.api, name, headers=through(f"198.51.100.{number}", same[number % len(same)]))
        for number in range(GUESSES // 2)
    ]
    assert Counter(one.words for one in at_once(*jobs)) == {WRONG: 5, BLOCKED: GUESSES - 5}
    assert place.compared - before == 5


def test_of_a_spray_over_64_names_from_one_address_fifty_are_compared(place):
    before, here = place.compared, through("203.0.113.77")
    name = place.newcomer()
    with ThreadPoolExecutor(GUESSES) as pool:
        told = list(pool.map(lambda number: place.proxied.api(f"sprayed{number}", headers=here), range(64)))
    assert Counter(one.words for one in told) == {WRONG: 50, BLOCKED: 14}
    assert place.compared - before == 50
    assert place.proxied.api(name, factories.PASSWORD, here).words == BLOCKED
    assert place.proxied.api(name, factories.PASSWORD, through("203.0.113.78")).words == IN


def test_a_stolen_cookie_buys_five_guesses_at_the_password_behind_it(place):
    """Confirming and changing the password compare too. They count in the session, the doors for themselves."""
    doors, name, before = place.direct, place.newcomer(), place.compared
    with bound(doors.server):
        cookie = {"Cookie": session(doors.server.open_session(name))}
    fresh = {"new_password": "violet harbour mends lantern", "confirm_password": "violet harbour mends lantern"}

    def confirm(password: str = "a guess") -> httpx.Response:
        return doors.http.post(routes.REAUTHENTICATE, data={"password": password}, headers=cookie)

    def change(password: str = "a guess") -> httpx.Response:
        form = {**fresh, "current_password": password}
        return doors.http.post(routes.CHANGE_PASSWORD, data=form, headers=cookie)

    ways: list[Callable[[], object]] = [confirm, change, partial(doors.api, name), partial(doors.page, name)]
    assert not [each for each in at_once(*ways * (GUESSES // len(ways))) if isinstance(each, BaseException)]
    assert place.compared - before == 5 + 5
    for way in (confirm, change):
        answer = way(factories.PASSWORD)
        assert "clinic_session" not in answer.cookies
    assert doors.api(name, factories.PASSWORD).words == doors.page(name, factories.PASSWORD).words == BLOCKED


# --- whoever guesses keeps nobody else out ----------------------------------------------------------


def _known(doors: Doors, name: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    """The header with which a browser says that ``name`` has signed in with it."""
    answer = doors.http.post(
        routes.STAFF_SIGN_IN, data={"username": name, "password": factories.PASSWORD}, headers=headers
    )
    assert answer.status_code == 303
    return {"Cookie": f"clinic_device={answer.cookies['clinic_device']}"}


def test_the_owner_gets_in_while_others_guess_and_while_one_address_is_used_up(place):
    doors, name, here = place.proxied, place.newcomer(), through("203.0.113.50")
    desk = {**_known(doors, name, here), **here}
    with ThreadPoolExecutor(GUESSES) as pool:
        list(pool.map(lambda n: doors.api(name, headers=through(f"198.51.100.{n}")), range(GUESSES)))
        list(pool.map(lambda n: doors.page(f"sprayed{n}", headers=here), range(52)))
    assert doors.page(name, factories.PASSWORD, here).words == BLOCKED
    assert doors.page(name, factories.PASSWORD, through("192.0.2.9")).words == BLOCKED
    told = at_once(*[partial(doors.page, name, factories.PASSWORD, desk)] * 8)
    assert told == [Told(IN)] * 8
    assert doors.page(place.newcomer(), factories.PASSWORD, desk).words == BLOCKED  # it is known for its owner only


def test_the_cookie_of_a_known_browser_is_out_of_reach_and_outlives_the_session(place):
    name = place.newcomer()
    form = {"username": name, "password": factories.PASSWORD}
    answer = place.direct.http.post(routes.STAFF_SIGN_IN, data=form)
    (sent,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith("clinic_device=")]
    assert {"httponly", "samesite=strict", "path=/", "max-age=15552000"} <= set(sent.lower().split("; "))
    cookie = f"clinic_session={answer.cookies['clinic_session']}; clinic_device={answer.cookies['clinic_device']}"
    left = place.direct.http.post(routes.SIGN_OUT, headers={"Cookie": cookie})
    assert not [each for each in left.headers.get_list("set-cookie") if "clinic_device" in each]


def test_a_program_gets_in_where_it_did_before_and_goes_on_with_its_tokens(place):
    doors, name, home = place.proxied, place.newcomer(), through("2001:db8:7:7::1")
    form = {"username": name, "password": factories.PASSWORD}
    pair = doors.http.post(API, json=form, headers=home).json()
    with ThreadPoolExecutor(GUESSES) as pool:
        list(pool.map(lambda n: doors.api(name, headers=through(f"2001:db8:8:{n:x}::1")), range(GUESSES)))
    assert doors.api(name, factories.PASSWORD, through("2001:db8:7:8::1")).words == BLOCKED
    assert doors.api(name, factories.PASSWORD, through("2001:db8:7:7::99")).words == IN
    answer = doors.http.post("/api/v1/auth/refresh/", json={"refresh": pair["refresh"]}, headers=through("192.0.2.77"))
    assert answer.status_code == 200


@pytest.mark.parametrize("way", ["api", "page"])
def test_eight_right_sign_ins_at_once_are_eight_sign_ins(place, way):
    name = place.newcomer()
    assert at_once(*[partial(getattr(place.direct, way), name, factories.PASSWORD)] * 8) == [Told(IN)] * 8
    assert place.direct.server.sql("SELECT coalesce(sum(failures + pending), 0) FROM sign_in_limits") == [(0,)]


def test_all_addresses_of_one_ipv6_network_are_one(place):
    before, name = place.compared, place.newcomer()
    with ThreadPoolExecutor(GUESSES) as pool:
        where = [through(f"2001:db8:5:5:{n:x}::{n:x}") for n in range(1, 65)]
        told = list(pool.map(lambda n: place.proxied.api(f"v6-{n}", headers=where[n]), range(64)))
    assert Counter(one.words for one in told) == {WRONG: 50, BLOCKED: 14}
    assert place.compared - before == 50
    assert place.proxied.api(name, factories.PASSWORD, through("2001:db8:5:6::1")).words == IN
    rows = "SELECT count(*) FROM sign_in_limits"
    kept = place.direct.server.sql(rows)
    assert {place.proxied.api(f"more{n}", headers=where[n]).words for n in range(20)} == {BLOCKED}
    assert place.direct.server.sql(rows) == kept


# --- names and answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["{0}\x00", "\x00{0}", "{0}/", "{0}%00", "{0}'--", "{0}\ufffd"])
def test_what_is_not_the_name_opens_nothing_with_its_password(place, way):
    name = place.newcomer()
    assert place.direct.api(way.format(name), factories.PASSWORD).words == WRONG
    assert place.direct.page(way.format(name), factories.PASSWORD).words == WRONG
    assert place.direct.api(name, factories.PASSWORD).words == IN


def _whole(answer: httpx.Response, name: str) -> tuple[object, ...]:
    """All of an answer that may tell one name from another, but for the name itself, which comes back as typed."""
    apart = ("date", "x-request-id", "set-cookie", "retry-after", "content-length")
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in apart)
    kept = sorted((name, len(value)) for name, value in answer.cookies.items())
    return answer.status_code, headers, kept, answer.content.replace(name.encode(), b"")


def test_answers_to_known_and_unknown_names_are_the_same_to_the_last_header(place):
    http, seen = place.direct.http, []
    for name in (place.newcomer(), place.newcomer(known=False)):
        by_api = [http.post(API, json={"username": name, "password": "a guess"}) for _ in range(6)]
        by_page = [http.post(routes.STAFF_SIGN_IN, data={"username": name, "password": "a guess"}) for _ in range(2)]
        seen.append([_whole(answer, name) for answer in (*by_api, *by_page)])
        assert [answer.status_code for answer in by_api] == [401] * 5 + [429]
    assert seen[0] == seen[1]


# --- time -----------------------------------------------------------------------------------------


def _seconds(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


@pytest.mark.slow
def test_a_refusal_takes_the_time_of_one_hash_whoever_was_meant(place):
    """The quickest of each kind, since noise only adds; in turn, until they agree or clearly never will."""
    http, server = place.direct.http, place.direct.server
    known, unknown, off = place.newcomer(), place.newcomer(known=False), place.newcomer()
    with bound(server):
        desk = factories.make_staff()
        patient = factories.make_patient(desk, portal_email="timed@example.org")
        factories.own_password(patient)
        (identity,) = server.sql("SELECT id FROM accounts WHERE username = ?", off)[0]
        disable_staff(SYSTEM, identity)

    def by_api(name: str, password: str = "a guess") -> Callable[[], httpx.Response]:
        return partial(http.post, API, json={"username": name, "password": password})

    def by_page(name: str, password: str = "a guess", door: str = routes.STAFF_SIGN_IN) -> Callable[[], httpx.Response]:
        return partial(http.post, door, data={"username": name, "email": name, "password": password})

    refused = {
        "unknown": by_page(unknown),
        "wrong password": by_page(known),
        "turned off, right password": by_page(off, factories.PASSWORD),
        "patient at the staff's door": by_page("timed@example.org", factories.OWN_PASSWORD),
        "staff at the patients' door": by_page(known, factories.PASSWORD, routes.PORTAL_SIGN_IN),
        "unknown, API": by_api(unknown),
        "wrong password, API": by_api(known),
    }
    hashed = bcrypt.gensalt(COST)
    one_hash, quickest, turns = sys.float_info.max, dict.fromkeys(refused, sys.float_info.max), 0

    def agree() -> bool:
        fastest, slowest = min(quickest.values()), max(quickest.values())
        return slowest <= 1.5 * fastest and fastest >= 0.6 * one_hash

    while turns < 5 or (turns < 40 and not agree()):
        turns += 1
        server.sql("DELETE FROM sign_in_limits")
        one_hash = min(one_hash, _seconds(partial(bcrypt.hashpw, b"a guess", hashed)))
        for why, attempt in refused.items():
            quickest[why] = min(quickest[why], _seconds(attempt))
    assert agree(), (one_hash, quickest)
