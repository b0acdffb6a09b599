"""How many pages of the register one person may open in an hour: one figure for pages and API, for all workers."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Callable

import pytest

from clinic_app.core.settings import get_settings
from clinic_app.services import rates
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.verification import list_pending
from clinic_app.services.rates import LISTS, Rates, TooManyLists, TooManyRequests
from clinic_app.ui.patients.state import PAGE_SIZE, PatientListState
from tests import factories
from tests.db import tools
from tests.db.tools import at_once
from tests.security import stores
from tests.ui.conftest import Desk

P = "/api/v1/patients/"
AN_HOUR = 4
WORDS = re.compile(
    r"You have opened very many pages of the list in the last hour\. Search for the person, or go on in "
    r"(1 minute|([2-9]|[1-5]\d|60) minutes)\."
)
pytestmark = pytest.mark.asvs("2.4.1")


@pytest.fixture(autouse=True)
def _few(settings: pytest.MonkeyPatch) -> None:
    """Four pages an hour, and nothing multiplied."""
    settings.setenv("CLINIC_API_RATE_FACTOR", "1")
    settings.setenv("CLINIC_LIST_PAGES_PER_HOUR", str(AN_HOUR))
    get_settings.cache_clear()


@pytest.fixture
def page(people: factories.People) -> Desk:
    """A receptionist's *Patients*, with more rows than one page of it holds."""
    for _ in range(PAGE_SIZE):
        factories.make_patient(people.receptionist, first_name="Many")
    tab = Desk()
    tab.sign_in(people.receptionist)
    return tab


def listed() -> list[object]:
    """The events of lists that were shown."""
    return [event for event in tools.trail() if event["action"] in {"PATIENT_LISTED", "PATIENT_SEARCHED"}]


async def test_the_api_says_when_to_come_back(api, as_):
    header = as_("receptionist")
    for _ in range(AN_HOUR):
        assert (await api.get(P, headers=header)).status_code == 200
    before = listed()
    for path in ("", "?page=2", "?page_size=100", "?ordering=name", "?search=a&page=2", "?search=a&page_size=100"):
        answer = await api.get(f"{P}{path}", headers=header)
        assert answer.status_code == 429, path
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        assert WORDS.fullmatch(answer.json()["detail"]), answer.text
        assert answer.json()["error"] == "Too many lists"
    assert listed() == before, "nothing was shown"
    # who looks for somebody goes on, and so does everybody else
    assert (await api.get(f"{P}?search=many", headers=header)).status_code == 200
    assert (await api.get(f"{P}search/?q=many", headers=header)).status_code == 200
    assert (await api.get(P, headers=as_("admin"))).status_code == 200


async def test_a_page_says_so_and_keeps_its_rows_and_its_search(page):
    state = page.state(PatientListState)
    await page.fire(PatientListState.load)
    for step in (1, -1, 1):
        await page.fire(PatientListState.turn, step)
    rows, before = list(state.rows), listed()
    assert (state.failure, state.page, len(before)) == ("", 2, AN_HOUR)
    for fired in ((PatientListState.turn, -1), (PatientListState.sort_by, "patient_id"), (PatientListState.load,)):
        await page.fire(*fired)
        assert WORDS.fullmatch(state.failure), fired
        assert (list(state.rows), state.page, state.mode) == (rows, 2, "rows")
    assert listed() == before
    await page.fire(PatientListState.search, "many")
    assert (state.failure, state.page, len(state.rows)) == ("", 1, PAGE_SIZE)


async def test_a_page_that_shows_nothing_yet_says_so_too(page, people):
    for _ in range(AN_HOUR):
        list_patients(people.receptionist, PatientQuery())
    state = page.state(PatientListState)
    await page.fire(PatientListState.load)
    assert (list(state.rows), state.mode) == ([], "rows")
    assert WORDS.fullmatch(state.failure)


async def test_pages_and_the_api_are_counted_together(page, api, as_, people):
    state, header = page.state(PatientListState), as_("receptionist")
    await page.fire(PatientListState.load)
    await page.fire(PatientListState.turn, 1)
    for _ in range(AN_HOUR - 2):
        assert (await api.get(P, headers=header)).status_code == 200
    assert (await api.get(P, headers=header)).status_code == 429
    with pytest.raises(TooManyLists):
        list_pending(people.receptionist)
    await page.fire(PatientListState.turn, -1)
    assert WORDS.fullmatch(state.failure)


def test_what_a_list_shows_again_after_somebodys_change_is_no_page_more(people):
    for _ in range(AN_HOUR):
        list_patients(people.receptionist, PatientQuery())
    for _ in range(3):
        list_patients(people.receptionist, PatientQuery(), again=[])
    with pytest.raises(TooManyLists):
        list_patients(people.receptionist, PatientQuery())


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_of_sixteen_pages_asked_for_at_once_four_are_shown_whichever_worker_is_asked(people, where):
    if where == "redis":
        stores.redis_or_skip()
        workers = [Rates(stores.REDIS), Rates(stores.REDIS)]
    else:
        workers = [Rates()]
    somebody = dataclasses.replace(people.receptionist, account_id=secrets.randbelow(2**40))
    jobs: list[Callable[[], None]] = [
        lambda worker=workers[number % len(workers)]: worker.spend(somebody, LISTS) for number in range(16)
    ]
    refused = [type(told) for told in at_once(*jobs) if told is not None]
    assert refused == [TooManyLists] * (16 - AN_HOUR)
    for worker in workers:
        with pytest.raises(TooManyRequests) as told:
            worker.spend(somebody, LISTS)
        assert 1 <= told.value.retry_after <= 3600
        worker.spend(dataclasses.replace(somebody, account_id=secrets.randbelow(2**40)), LISTS)


def test_every_request_is_counted_in_redis_some_at_a_time_and_never_fewer_than_there_were(people, monkeypatch):
    stores.redis_or_skip()
    workers = [Rates(stores.REDIS), Rates(stores.REDIS)]
    somebody = dataclasses.replace(people.receptionist, account_id=secrets.randbelow(2**40))
    asked, real = list[int](), Rates._ask

    def ask(limiter, item, key, count=1):
        asked.append(count)
        return real(limiter, item, key, count)

    monkeypatch.setattr(Rates, "_ask", staticmethod(ask))
    passed, told = 0, None
    while told is None and passed < 3100:
        try:
            workers[passed % 2].spend(somebody, "any")
            passed += 1
        except TooManyRequests as refused:
            told = refused
    assert 3000 - 2 * 20 <= passed <= 3000
    assert len(asked) < 3000 / 5
    assert max(asked) == 20
    assert told is not None
    assert 1 <= told.retry_after <= 60


def test_of_two_limits_redis_is_asked_at_once_and_what_the_first_refuses_the_second_does_not_count(people, monkeypatch):
    stores.redis_or_skip()
    monkeypatch.setitem(rates.FIGURES, "register", "3/minute;5/hour")
    rates._items.cache_clear()
    workers = [Rates(stores.REDIS), Rates(stores.REDIS)]
    somebody = dataclasses.replace(people.receptionist, account_id=secrets.randbelow(2**40))
    asked = list[str]()
    for worker in workers:
        worker.spend(somebody, "typing")  # it is connected now
        redis = worker._redis.storage.storage
        real = redis.execute_command
        monkeypatch.setattr(redis, "execute_command", lambda *a, _real=real, **k: asked.append(a[0]) or _real(*a, **k))
    for number in range(3):
        workers[number % 2].spend(somebody, "register")
    assert len(asked) <= 3 + 2  # and the script itself, once for a Redis that does not have it
    for worker in workers * 2:
        with pytest.raises(TooManyRequests) as told:
            worker.spend(somebody, "register")
        assert 1 <= told.value.retry_after <= 60
    minute, hour = rates._items(1, AN_HOUR)["register"]
    key = f"register:{somebody.account_id}"
    assert workers[0]._redis.get_window_stats(hour, key).remaining == 2
    workers[0]._redis.clear(minute, key)
    for _ in range(2):
        workers[1].spend(somebody, "register")
    workers[0]._redis.clear(minute, key)
    with pytest.raises(TooManyRequests) as told:
        workers[0].spend(somebody, "register")
    assert 60 < told.value.retry_after <= 3600
    rates._items.cache_clear()
