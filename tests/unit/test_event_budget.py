"""The budget of events: bursts, refilling, and that a session's sockets share one."""

from __future__ import annotations

import pytest

from clinic_app.core.budget import AT_ONCE, Bucket
from clinic_app.core.settings import get_settings
from clinic_app.web.event_budget import SocketBudget, Verdict, session_budgets


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_is_allowed_and_then_so_many_a_second():
    clock = Clock()
    bucket = Bucket(10, clock)
    assert [bucket.take() for _ in range(51)] == [True] * 50 + [False]
    clock.at = 1.0
    assert [bucket.take() for _ in range(11)] == [True] * 10 + [False]
    clock.at = 1000.0
    assert bucket.full, "it does not hold more than a burst"
    assert sum(bucket.take() for _ in range(100)) == 50


def test_it_says_how_long_to_wait():
    clock = Clock()
    bucket = Bucket(10, clock, seconds=0.2)
    assert [bucket.take(), bucket.take(), bucket.take()] == [True, True, False]
    assert bucket.until() == pytest.approx(0.1)
    clock.at = bucket.until()
    assert bucket.until() == 0
    assert bucket.take()


def test_what_costs_more_than_is_left_takes_nothing():
    bucket = Bucket(1, Clock())
    assert not bucket.take(6)
    assert bucket.take(5)


def _sent(budget: SocketBudget, times: int, text: str = '42/_event,["event",{}]') -> list[Verdict]:
    return [budget.judge(text) for _ in range(times)]


def test_a_socket_is_told_before_it_is_ended(settings):
    burst = get_settings().events_per_second * AT_ONCE
    told = _sent(SocketBudget(session_budgets().of("a")), burst * 2 + 10)
    assert told[:burst] == [Verdict.ADMIT] * burst
    assert told[burst] is Verdict.DROP
    assert told[-1] is Verdict.END


def test_sockets_of_a_session_share_its_budget_and_other_sessions_have_theirs(settings):
    budgets, burst = session_budgets(), get_settings().events_per_second * AT_ONCE
    passed = sum(_sent(SocketBudget(budgets.of("a")), burst).count(Verdict.ADMIT) for _ in range(5))
    assert passed < burst * 2.5
    assert _sent(SocketBudget(budgets.of("b")), burst) == [Verdict.ADMIT] * burst
    assert _sent(SocketBudget(budgets.of("a")), 1) != [Verdict.ADMIT], "also after another one has come"


def test_budgets_of_sessions_that_rest_are_let_go(settings):
    budgets = session_budgets()
    for one in range(1000):
        budgets.of(str(one))
    assert len(budgets._buckets) < 3


@pytest.mark.parametrize("second", ["40/_event,{}", "40", "40/other,"])
def test_a_socket_joins_once(settings, second):
    budget = SocketBudget(session_budgets().of("a"))
    assert budget.judge("40/_event,{}") is Verdict.ADMIT
    assert budget.judge('42/_event,["event",{}]') is Verdict.ADMIT
    assert budget.judge(second) is Verdict.END
