"""Names and ids that a dialect forbids are replaced by legal ones, reversibly within one exchange."""

import re

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.names import Renaming, legal_id

LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@given(st.text(max_size=100))
def test_every_id_becomes_legal_and_the_same_one_each_time(id):
    assert LEGAL.match(legal_id(id))
    assert legal_id(id) == legal_id(id)


def test_a_legal_id_is_kept():
    assert legal_id("toolu_01A-b") == "toolu_01A-b"


@given(st.lists(st.text(max_size=90), unique=True, max_size=8))
def test_names_are_legal_distinct_and_come_back(names):
    renaming = Renaming()
    written = [renaming.legal(name) for name in names]
    assert all(LEGAL.match(name) and not name[0].isdecimal() for name in written)
    assert len(set(written)) == len(names)
    assert [renaming.original(name) for name in written] == names
    assert [renaming.legal(name) for name in names] == written


def test_a_legal_name_is_kept():
    assert Renaming().legal("get_weather") == "get_weather"


def test_a_name_that_was_never_written_is_itself():
    assert Renaming().original("made_up") == "made_up"
