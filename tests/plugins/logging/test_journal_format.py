"""The bytes of a journal: what was written is read, whatever is behind it, and what is damaged is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Usage
from helicone_gw_logging.facts import KNOWN, KNOWN_OF_ATTEMPT, plain_facts
from helicone_gw_logging.insert import prepare
from helicone_gw_logging.journal import format as module
from helicone_gw_logging.journal.format import (
    HEADER_BYTES,
    NAMES,
    RECORD,
    Damage,
    Frame,
    Reading,
    amended,
    changes_payload,
    differences,
    frame,
    frames,
    header,
    names_payload,
    plain_payload,
    read_changes,
    read_header,
    record_payload,
    rows_payload,
)
from helicone_gw_logging.record import annotations_of, bodies_of, record
from tests.plugins.logging.journaling import rows_of

Build = Callable[..., Exchange]
HEADER = header(b"j" * 16, 7)


def test_a_header_says_where_its_segment_begins() -> None:
    assert len(HEADER) == HEADER_BYTES
    assert read_header(HEADER + b"more") == 7
    for wrong in (b"", HEADER[:-1], b"X" + HEADER[1:], HEADER[:-5] + b"\x01" + HEADER[-4:]):
        with pytest.raises(ValueError, match="segment"):
            read_header(wrong)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=200)), min_size=1, max_size=8), st.data())
def test_a_torn_end_takes_nothing_along(written: list[tuple[int, bytes]], data: st.DataObject) -> None:
    pieces = [frame(number, kind, payload) for number, (kind, payload) in enumerate(written, 7)]
    whole = HEADER + b"".join(pieces)
    expected = [(number, kind, payload) for number, (kind, payload) in enumerate(written, 7)]
    assert [(each.sequence, each.kind, each.payload) for each in frames(whole) if isinstance(each, Frame)] == expected
    cut = data.draw(st.integers(HEADER_BYTES, len(whole)))
    found = list(frames(whole[:cut]))
    ends = [HEADER_BYTES + sum(map(len, pieces[: count + 1])) for count in range(len(pieces))]
    complete = sum(end <= cut for end in ends)
    read = [each for each in found if isinstance(each, Frame)]
    assert [(each.sequence, each.kind, each.payload) for each in read] == expected[:complete]
    torn = [each for each in found if isinstance(each, Damage)]
    assert bool(torn) == (cut not in (HEADER_BYTES, *ends))
    assert all(each.torn for each in torn)


@settings(max_examples=50)
@given(st.data())
def test_a_byte_that_is_wrong_is_told_and_what_follows_is_read(data: st.DataObject) -> None:
    pieces = [frame(number, RECORD, bytes([number]) * 40) for number in (1, 2, 3)]
    at = data.draw(st.integers(len(pieces[0]), 2 * len(pieces[0]) - 1))
    whole = bytearray(HEADER + b"".join(pieces))
    whole[HEADER_BYTES + at] ^= 0x40
    found = list(frames(bytes(whole)))
    assert [type(each) for each in found] == [Frame, Damage, Frame]
    assert found[1] == Damage(HEADER_BYTES + len(pieces[0]), torn=False)


@pytest.mark.parametrize("zeros", [17, 40, 58, 100])
def test_what_was_zeroed_is_damage_and_not_records(zeros: int) -> None:
    pieces = [frame(number, RECORD, b"a" * 40) for number in (1, 2, 3, 4)]
    whole = HEADER + b"".join(pieces)
    second = HEADER_BYTES + len(pieces[0])
    found = list(frames(whole[:second] + bytes(zeros) + whole[second + zeros :]))
    lost = 1 + (zeros > len(pieces[1]))
    assert [type(each) for each in found] == [Frame, Damage] + [Frame] * (3 - lost)
    assert list(frames(whole + bytes(zeros)))[4:] == [Damage(len(whole), torn=True)]


def test_what_only_looks_like_records_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAYLOAD", 100_000)
    alike = frame(2, RECORD, b"a")[:-1] + b"b"
    whole = HEADER + frame(1, RECORD, b"a")
    end = frame(3, RECORD, b"c")
    assert [type(each) for each in frames(whole + alike * 5 + end)] == [Frame, Damage, Frame]
    assert list(frames(whole + alike * 500 + end))[1:] == [Damage(len(whole), torn=True)]


def test_rows_are_read_as_they_were_written(exchange: Build) -> None:
    rows = rows_of(exchange(headers={"Helicone-Property-App": "shop"}))
    assert rows.body is not None
    read = Reading(names_payload()).rows(rows_payload(rows))
    assert read == rows
    assert read.received_at == rows.received_at


@given(
    st.text(max_size=20),
    st.one_of(st.none(), st.integers(-1, 2**65), st.floats()),
    st.dictionaries(st.sampled_from(["input_tokens", "estimated", "service_tier"]), st.sampled_from([1, True, None])),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_as_it_is_comes_to_the_same_rows(
    exchange: Build, word: str, moment: Any, used: dict[str, Any]
) -> None:
    one = exchange(
        user=word,
        model=word,
        headers={"Helicone-Property-App": "shop"},
        usage=Usage(**used),
        cost=Cost(7, source=word),
        ended_at=moment,
    )
    one.annotate("note", word)
    made = record(one)
    try:
        payload = record_payload(made)
    except (ValueError, OverflowError):
        return  # such a one is kept as rows
    assert Reading(names_payload()).rows(payload) == prepare(made, (), 1000)
    assert plain_payload(plain_facts(one, annotations_of(one)), bodies_of(one)) == payload


def test_facts_of_another_version_find_their_places(exchange: Build) -> None:
    made = record(exchange(user="u-1"))
    rows = prepare(made, (), 1000)
    later = ("cache_enabled", "threat", "provider_request_id")
    known, [attempt] = dict(zip(KNOWN, made.facts.known, strict=True)), made.facts.attempts
    of_attempt = dict(zip(KNOWN_OF_ATTEMPT, attempt.known, strict=True))
    written = [{"gone": "?", **dict(reversed(each.items()))} for each in (known, of_attempt)]
    for each in written:
        for name in later:
            each.pop(name, None)
    older = msgspec.msgpack.encode({**NAMES, "facts": [*written[0]], "attempt facts": [*written[1]]})
    attempts = [replace(attempt, known=tuple(written[1].values()))]
    facts = replace(made.facts, known=tuple(written[0].values()), attempts=attempts)
    payload = record_payload(replace(made, facts=facts))
    assert Reading(older).rows(payload) == rows
    with pytest.raises(ValueError, match="columns that are not known"):
        Reading(names_payload()).rows(payload)


def test_columns_and_facts_are_named() -> None:
    named = msgspec.msgpack.decode(names_payload())
    assert named.pop("Usage") == [*Usage.__struct_fields__]
    assert named.pop("Cost") == [*Cost.__struct_fields__]
    assert named == {**NAMES, "facts": [*KNOWN], "attempt facts": [*KNOWN_OF_ATTEMPT]}


@pytest.mark.parametrize("apart", [False, True], ids=["one attempt", "an attempt that cost something else"])
def test_usage_and_cost_of_another_version_find_their_places(exchange: Build, apart: bool) -> None:
    made = record(exchange())
    if apart:
        [attempt] = made.facts.attempts
        attempts = [replace(attempt, usage=Usage(3, 4), cost=Cost(5, (), "config"))]
        made = replace(made, facts=replace(made.facts, attempts=attempts))
    (known, times, usage, cost, attempts, *rest), bodies = msgspec.msgpack.decode(record_payload(made))
    assert usage is not None
    assert cost is not None

    def named(values: Any, kind: type[Struct], later: str) -> dict[str, Any]:
        pairs = values if isinstance(values, dict) else dict(zip(kind.__struct_fields__, values, strict=True))
        told = {"gone": 1, **dict(reversed(pairs.items()))}
        return {name: value for name, value in told.items() if name != later}

    def written(values: Any, kind: type[Struct], later: str) -> Any:
        if values is True:
            return values
        told = named(values, kind, later)
        return told if isinstance(values, dict) else list(told.values())  # those of an attempt have their names

    of_attempts = [
        [*each[:2], written(each[2], Usage, "web_searches"), written(each[3], Cost, "version")] for each in attempts
    ]
    fields = {"Usage": [*named(usage, Usage, "web_searches")], "Cost": [*named(cost, Cost, "version")]}
    whole = [known, times, written(usage, Usage, "web_searches"), written(cost, Cost, "version"), of_attempts, *rest]
    older = Reading(msgspec.msgpack.encode({**msgspec.msgpack.decode(names_payload()), **fields}))
    lacking = [
        each if each.cost is True else replace(each, cost=replace(each.cost, version=""))
        for each in made.facts.attempts
    ]
    facts = replace(made.facts, cost=replace(made.facts.cost, version=""), attempts=lacking)
    assert older.rows(msgspec.msgpack.encode((whole, bodies))) == prepare(replace(made, facts=facts), (), 1000)


def test_usage_and_cost_that_were_named_one_by_one_are_read(exchange: Build) -> None:
    made = record(exchange())
    payload = msgspec.msgpack.encode((made.facts, made.bodies))
    assert Reading(msgspec.msgpack.encode(NAMES)).rows(payload) == prepare(made, (), 1000)


_FACTS: list[Any] = [[None] * len(KNOWN), [1.0, None, None, 2.0], None, None, [], {}, b"{}"]


@pytest.mark.parametrize(
    "wrong",
    [
        ([], None),
        (["a"] * 7, None),
        ({}, None),
        (None, None),
        ([[], *_FACTS[1:]], None),
        ([*_FACTS[:3], {"source": "a cost without its number"}, *_FACTS[4:]], None),
    ],
)
def test_what_is_no_record_is_told(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Reading(names_payload()).rows(msgspec.msgpack.encode(wrong))


def test_columns_of_another_version_find_their_places(exchange: Build) -> None:
    rows = rows_of(exchange(user="u-1"))
    later = ("cache_enabled", "threat")
    older = {table: [name for name in names if name not in later] for table, names in NAMES.items()}
    older["request"] = ["gone", *reversed(older["request"])]
    values = dict(zip(NAMES["request"], rows.request, strict=True))
    written: tuple[Any, ...] = (rows.id, [values.get(name, "?") for name in older["request"]], rows.attempts, [], None)
    read = Reading(msgspec.msgpack.encode(older)).rows(msgspec.msgpack.encode(written))
    known = dict(zip(NAMES["request"], read.request, strict=True))
    assert known == {**values, "cache_enabled": False, "threat": None}


def test_an_amendment_is_what_is_different(exchange: Build) -> None:
    before = rows_of(exchange())
    values = dict(zip(NAMES["request"], before.request, strict=True))
    after = amended(before, {"outcome": "client_disconnected", "status": None, "unknown": 1})
    changes: dict[str, Any] | None = differences(before, after)
    assert changes == {"outcome": "client_disconnected", "status": None}
    assert read_changes(changes_payload(before.id, changes)) == (before.id, changes)
    assert amended(before, changes) == after
    assert dict(zip(NAMES["request"], after.request, strict=True)) == {**values, **changes}
    assert differences(before, rows_of(exchange(answer=b"other"))) is None
