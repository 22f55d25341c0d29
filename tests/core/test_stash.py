"""A plugin's private state on an exchange."""

from __future__ import annotations

import pytest

from helicone_gw import Stash, StashKey


def test_what_was_put_in_is_there_until_it_is_taken_out() -> None:
    tries: StashKey[int] = StashKey("tries")
    stash = Stash()
    assert tries not in stash
    stash[tries] = 1
    stash[tries] = 2
    assert tries in stash
    assert stash[tries] == stash.get(tries) == 2
    del stash[tries]
    assert tries not in stash


def test_a_key_that_is_not_there() -> None:
    key: StashKey[str] = StashKey("key")
    stash = Stash()
    assert stash.get(key) is None
    assert stash.get(key, "default") == "default"
    with pytest.raises(KeyError):
        _ = stash[key]
    with pytest.raises(KeyError):
        del stash[key]


def test_none_is_a_value() -> None:
    key: StashKey[None] = StashKey("key")
    stash = Stash()
    stash[key] = None
    assert key in stash
    assert stash.get(key, "default") is None


def test_two_keys_of_one_name_are_two_keys() -> None:
    mine: StashKey[str] = StashKey("state")
    theirs: StashKey[str] = StashKey("state")
    stash = Stash()
    stash[mine] = "mine"
    assert theirs not in stash
    stash[theirs] = "theirs"
    assert stash[mine] == "mine"


def test_keys_show_their_names() -> None:
    assert repr(StashKey("cache.hit")) == "StashKey('cache.hit')"
