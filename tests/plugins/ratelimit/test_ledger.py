"""Accounts of budgets: the same rules in memory and on a real Redis."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helicone_gw.store.memory import MemoryStore
from helicone_gw.testing import VirtualClock
from helicone_gw_ratelimit.account import UNKNOWN
from helicone_gw_ratelimit.ledger import CROSSED, EXTENDED, GONE, REFUSED, BudgetKind, Ledger
from helicone_gw_ratelimit.limits import Limits, tagged

DOLLAR = 1_000_000_000
KEEP = 400 * 86_400_000
MINUTE = 60_000_000
CLOCK = "local now = tonumber(redis.call('GET', 'clock'))"
START = 1_790_000_000_000_000
"""Microseconds since the epoch; the beginning of a minute minus 40 seconds."""


class Books:
    """Some accounts in one store, whose time a test owns."""

    limits: Limits
    ledger: Ledger

    def __init__(self) -> None:
        self.now = START

    def run(self, operation: Any, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        raise NotImplementedError

    def keys(self, name: str) -> tuple[str, str]:
        return tagged("default", "budget", name), tagged("default", "budget", name, "leases")

    def reserve(
        self,
        name: str,
        id: str,
        amount: int,
        limit: int = DOLLAR,
        lease: int = 0,
        width: int = 0,
        count: int = 60,
        in_flight: int = 0,
    ) -> list[Any]:
        """Whether it was admitted, then `BudgetKind`'s fields."""
        given = ("budget", 2, 8, id, amount, limit, lease, KEEP, width, count, in_flight)
        return self.run(self.limits.reserve_operation, self.keys(name), (1, *given))[1:]

    def settle(
        self, name: str, id: str, actual: int, *thresholds: int, lease: int = 0, width: int = 0, count: int = 60
    ) -> tuple[int, int, int, int, int]:
        """Spent, spent in the part, generation, part, level crossed."""
        given = ("budget", 2, 6 + len(thresholds), id, actual, lease, KEEP, width, count, *thresholds)
        spent, part, generation, both = self.run(self.limits.settle_operation, self.keys(name), (1, *given))
        return spent, part, generation, both // CROSSED, both % CROSSED

    def seed(
        self,
        name: str,
        *pairs: tuple[int, int],
        generation: int = 0,
        width: int = 0,
        count: int = 60,
        thresholds: Sequence[int] = (),
    ) -> int:
        flat = [number for pair in pairs for number in pair]
        given = (generation, KEEP, width, count, len(thresholds), *thresholds, *flat)
        answer: int = self.run(self.ledger.seed, self.keys(name), given)[0]
        return answer

    def extend(self, id: str, *claims: tuple[str, int], limit: int = DOLLAR, lease: int = 0) -> int:
        keys = [key for name, _ in claims for key in self.keys(name)]
        given = [number for _, amount in claims for number in (amount, limit, lease, KEEP, 0, 60)]
        answer: int = self.run(self.ledger.extend, keys, (id, len(claims), *given))[0]
        return answer

    def read(self, name: str, width: int = 0, count: int = 60) -> tuple[int, ...]:
        """Spent, reserved, generation, number of reservations."""
        return tuple(self.run(self.ledger.read, self.keys(name), (width, count)))

    def reset(self, name: str, generation: int) -> bool:
        return bool(self.run(self.ledger.reset, self.keys(name), (generation, KEEP))[0])

    def adopt(self, name: str, total: int, generation: int = 0, width: int = 0, part: int = 0) -> int:
        given = (generation, width, 3, part, total, 500, 800)
        answer: int = self.run(self.ledger.adopt, self.keys(name), given)[0]
        return answer

    def forget(self, name: str) -> None:
        """As a Redis that lost its data, or a memory that was full."""
        raise NotImplementedError


class InMemory(Books):
    def __init__(self) -> None:
        super().__init__()
        self.limits, self.ledger = Limits([BudgetKind()]), Ledger()
        self.table = MemoryStore(VirtualClock())._table

    def run(self, operation: Any, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        return list(operation.local(self.table, keys, arguments, self.now / 1_000_000))

    def forget(self, name: str) -> None:
        for key in self.keys(name):
            self.table.delete(key)


class OnRedis(Books):
    def __init__(self, client: Any) -> None:
        super().__init__()
        client.flushall()
        self.client = client
        self.limits, self.ledger = Limits([BudgetKind()], CLOCK), Ledger(CLOCK)

    def run(self, operation: Any, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        self.client.set("clock", self.now)
        return list(self.client.eval(operation.lua, len(keys), *keys, *arguments))

    def forget(self, name: str) -> None:
        self.client.delete(*self.keys(name))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a real Redis of the test's own."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here: install the package redis-server")
    redis = pytest.importorskip("redis")
    socket = tmp_path_factory.mktemp("redis") / "s"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    with Path(socket.parent, "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    connected = redis.Redis(unix_socket_path=str(socket))
    try:
        for _ in range(500):
            if socket.exists():
                break
            time.sleep(0.01)
        connected.ping()
        yield connected
    finally:
        connected.close()
        process.terminate()
        process.wait()


@pytest.fixture(params=["memory", "redis"])
def books(request: pytest.FixtureRequest) -> Books:
    return InMemory() if request.param == "memory" else OnRedis(request.getfixturevalue("client"))


def test_an_account_that_the_store_does_not_know_admits_nobody_before_it_was_told_what_was_spent(
    books: Books,
) -> None:
    assert books.reserve("b", "1", 1)[:4] == [0, 0, 0, UNKNOWN]
    assert books.seed("b", (0, 300)) == 0
    assert books.reserve("b", "1", 1) == [1, 300, 1, 0, 0]


def test_a_hard_budget_admits_to_the_last_nano_dollar_and_no_further(books: Books) -> None:
    books.seed("b")
    assert books.reserve("b", "1", DOLLAR - 1)[0] == 1
    assert books.reserve("b", "2", 2)[0] == 0
    assert books.reserve("b", "3", 1)[0] == 1
    assert books.reserve("b", "4", 1)[:3] == [0, 0, DOLLAR]


def test_a_soft_budget_admits_everyone_and_counts(books: Books) -> None:
    books.seed("b")
    assert books.reserve("b", "1", 5 * DOLLAR, limit=-1) == [1, 0, 5 * DOLLAR, 0, 0]


def test_settling_puts_what_it_cost_in_the_place_of_what_was_reserved(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 700)
    assert books.settle("b", "1", 250) == (250, 250, 0, 0, 0)
    assert books.read("b") == (250, 0, 0, 0)


def test_a_reservation_of_nothing_is_settled_and_ends_like_any_other(books: Books) -> None:
    books.seed("b")
    assert books.reserve("b", "1", 0, lease=2 * MINUTE)[0] == 1
    assert books.settle("b", "1", 7)[:2] == (7, 7)
    assert books.reserve("b", "2", 0, lease=2 * MINUTE)[0] == 1
    books.now += 3 * MINUTE
    assert books.read("b") == (7, 0, 0, 0)


def test_nothing_spent_gives_all_of_it_back(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", DOLLAR)
    books.settle("b", "1", 0)
    assert books.reserve("b", "2", DOLLAR)[0] == 1


def test_a_reservation_ends_with_its_lease(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", DOLLAR, lease=MINUTE)
    books.now += MINUTE - 1
    assert books.reserve("b", "2", 1)[0] == 0
    books.now += 1
    assert books.reserve("b", "2", DOLLAR)[0] == 1
    assert books.read("b")[3] == 1


def test_what_is_settled_after_its_lease_counts_all_the_same(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 700, lease=MINUTE)
    books.now += 2 * MINUTE
    assert books.read("b") == (0, 0, 0, 0)
    assert books.settle("b", "1", 600)[0] == 600
    assert books.read("b") == (600, 0, 0, 0)


def test_a_lease_that_is_renewed_goes_on(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 700, lease=MINUTE)
    books.now += MINUTE - 1
    assert books.extend("1", ("b", 700), limit=-1, lease=MINUTE) == EXTENDED
    books.now += MINUTE - 1
    assert books.read("b") == (0, 700, 0, 1)


def test_a_renewal_that_comes_late_takes_nothing_away(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 400, lease=MINUTE)
    assert books.extend("1", ("b", 700), lease=MINUTE) == EXTENDED
    assert books.extend("1", ("b", 400), limit=-1, lease=MINUTE) == EXTENDED
    assert books.read("b") == (0, 700, 0, 1)


def test_a_reservation_grows_as_far_as_the_budget_goes(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 400)
    books.reserve("b", "2", DOLLAR - 1000)
    assert books.extend("1", ("b", 1000)) == EXTENDED
    assert books.extend("1", ("b", 1001)) == REFUSED
    assert books.read("b")[1] == DOLLAR


def test_reservations_of_one_exchange_grow_together_or_not_at_all(books: Books) -> None:
    books.seed("a")
    books.seed("b", (0, DOLLAR - 10))
    books.reserve("a", "1", 10)
    books.reserve("b", "1", 10)
    assert books.extend("1", ("a", 11), ("b", 11)) == REFUSED
    assert books.read("a")[1] == books.read("b")[1] == 10


def test_a_reservation_that_was_settled_does_not_come_back(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 400, lease=MINUTE)
    books.settle("b", "1", 100, lease=MINUTE)
    assert books.extend("1", ("b", 500), limit=-1, lease=MINUTE) == GONE
    assert books.read("b") == (100, 0, 0, 0)


def test_who_settles_again_because_no_answer_came_changes_nothing(books: Books) -> None:
    books.seed("b")
    books.reserve("b", "1", 400, lease=MINUTE)
    assert books.settle("b", "1", 100, lease=MINUTE)[:2] == (100, 100)
    books.now += MINUTE - 1
    assert books.settle("b", "1", 100, lease=MINUTE)[:2] == (100, 100)


def test_only_so_many_reservations_at_once(books: Books) -> None:
    books.seed("b")
    assert [books.reserve("b", each, 1, in_flight=2)[0] for each in ("1", "2", "3")] == [1, 1, 0]
    books.settle("b", "1", 1)
    assert books.reserve("b", "3", 1, in_flight=2)[0] == 1


def test_each_threshold_is_told_once(books: Books) -> None:
    books.seed("b")
    levels = [books.settle("b", each, 300, 500, 800, 1000)[4] for each in ("1", "2", "3", "4", "5")]
    assert levels == [0, 1, 2, 3, 0]


def test_a_threshold_that_was_told_before_a_restart_is_not_told_again(books: Books) -> None:
    books.seed("b", (0, 600), thresholds=(500, 800))
    assert books.settle("b", "1", 100, 500, 800)[4] == 0
    assert books.settle("b", "2", 100, 500, 800)[4] == 2


def test_a_seed_is_taken_once(books: Books) -> None:
    books.seed("b", (0, 600), generation=3)
    assert books.seed("b", (0, 600), generation=3) == 3
    assert books.read("b") == (600, 0, 3, 0)


def test_what_was_spent_since_the_store_forgot_is_added_to_the_seed(books: Books) -> None:
    books.seed("b", (0, 600))
    books.reserve("b", "1", 50)
    books.forget("b")
    assert books.settle("b", "1", 40)[:3] == (40, 40, UNKNOWN)
    books.seed("b", (0, 600))
    assert books.read("b") == (640, 0, 0, 0)


def test_a_reset_begins_a_generation_in_which_nothing_was_spent(books: Books) -> None:
    books.seed("b", (0, 600))
    books.reserve("b", "1", 50)
    assert books.reset("b", 1)
    assert books.read("b") == (0, 50, 1, 1)
    assert not books.reset("b", 1)
    books.settle("b", "1", 40)
    assert books.read("b") == (40, 0, 1, 0)


def test_a_reset_leaves_alone_what_is_not_seeded_yet(books: Books) -> None:
    books.settle("b", "1", 40)
    assert not books.reset("b", 1)
    assert not books.reset("c", 1)
    assert books.seed("b", (0, 7), generation=1) == 1
    assert books.read("b") == (47, 0, 1, 0)


def test_what_others_spent_is_adopted_once(books: Books) -> None:
    books.seed("b", (0, 100))
    assert [books.adopt("b", 700), books.adopt("b", 700), books.adopt("b", 60)] == [600, 0, 0]
    assert books.read("b")[0] == 700
    assert books.settle("b", "1", 50, 500, 800)[4] == 0  # who spent it was told of the threshold


def test_but_not_what_is_of_another_generation_or_of_an_account_that_nobody_knows(books: Books) -> None:
    books.seed("b", (0, 100), generation=1)
    assert books.adopt("b", 700, generation=0) == books.adopt("c", 700) == 0


def test_a_part_of_a_window_is_adopted_on_its_own(books: Books) -> None:
    part = books.now // MINUTE
    books.seed("b", (part, 100), (part - 1, 10), width=MINUTE, count=3)
    assert books.adopt("b", 150, width=MINUTE, part=part) == 50
    assert books.adopt("b", 5, width=MINUTE, part=part - 2) == 5
    assert books.read("b", MINUTE, 3)[0] == 165


def test_a_window_lets_go_of_what_was_spent_part_by_part(books: Books) -> None:
    rolling = {"width": MINUTE, "count": 5}
    books.seed("b", **rolling)
    first = books.now // MINUTE
    assert books.settle("b", "1", 600, **rolling)[:4] == (600, 600, 0, first)
    books.now = (first + 2) * MINUTE
    assert books.settle("b", "2", 300, **rolling)[:4] == (900, 300, 0, first + 2)
    books.now = (first + 6) * MINUTE - 1
    assert books.read("b", **rolling)[0] == 900
    books.now += 1
    assert books.read("b", **rolling)[0] == 300
    books.now = (first + 8) * MINUTE
    assert books.read("b", **rolling)[0] == 0


def test_a_refusal_says_when_the_window_will_have_let_go_of_enough(books: Books) -> None:
    rolling = {"width": MINUTE, "count": 5}
    first = books.now // MINUTE
    books.seed("b", (first - 3, 500), (first - 2, 400), **rolling)
    refused = books.reserve("b", "1", 200, limit=1000, **rolling)
    assert refused == [0, 900, 0, 0, (first + 3) * MINUTE]
    books.now = refused[4] - 1
    assert books.reserve("b", "1", 200, limit=1000, **rolling)[0] == 0
    books.now += 1
    assert books.reserve("b", "1", 200, limit=1000, **rolling)[0] == 1


def test_waiting_does_not_help_against_what_is_reserved(books: Books) -> None:
    rolling = {"width": MINUTE, "count": 5}
    books.seed("b", (books.now // MINUTE, 100), **rolling)
    books.reserve("b", "1", 800, limit=1000, **rolling)
    assert books.reserve("b", "2", 900, limit=1000, **rolling)[4] == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 5), st.integers(0, 600), st.sampled_from([-1, 1000])),
        st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 400)),
        st.tuples(st.just("extend"), st.integers(0, 5), st.integers(0, 600), st.sampled_from([-1, 1000])),
        st.tuples(st.just("wait"), st.integers(0, 4 * MINUTE)),
        st.tuples(st.just("seed"), st.integers(0, 400), st.integers(0, 3)),
        st.tuples(st.just("reset"), st.integers(0, 4)),
        st.tuples(st.just("adopt"), st.integers(0, 2000), st.integers(0, 3)),
        st.tuples(st.just("forget")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, width=st.sampled_from([0, MINUTE]), leased=st.booleans(), in_flight=st.sampled_from([0, 2]))
def test_redis_and_memory_never_differ(client: Any, steps: Any, width: int, leased: bool, in_flight: int) -> None:
    both = (InMemory(), OnRedis(client))
    lease = 2 * MINUTE if leased else 0
    for step in steps:
        answers = []
        for books in both:
            match step:
                case "reserve", id, amount, limit:
                    answer: Any = books.reserve("b", str(id), amount, limit, lease, width, 3, in_flight)
                case "settle", id, amount:
                    answer = books.settle("b", str(id), amount, 500, 800, lease=lease, width=width, count=3)
                case "extend", id, amount, limit:
                    answer = None if width else books.extend(str(id), ("b", amount), limit=limit, lease=lease)
                case "wait", pause:
                    books.now += pause
                    answer = None
                case "seed", amount, generation:
                    part = books.now // MINUTE - 1
                    answer = books.seed("b", (part, amount), generation=generation, width=width, count=3)
                case "adopt", amount, generation:
                    answer = books.adopt("b", amount, generation, width, books.now // MINUTE)
                case "reset", generation:
                    answer = books.reset("b", generation)
                case _:
                    answer = books.forget("b")
            answers.append((answer, books.read("b", width, 3)))
        assert answers[0] == answers[1], step
