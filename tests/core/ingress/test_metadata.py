"""``Helicone-*`` keys in a JSON body's ``metadata``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.ingress.metadata import lift_metadata, metadata_auth


def test_helicone_keys_are_lifted_and_named_for_stripping_and_others_left() -> None:
    lifted, names = lift_metadata(
        {
            "Helicone-User-Id": "u",
            "helicone-property-App": "a",
            "Helicone-Cache-Enabled": True,
            "Helicone-Retry-Num": 3,
            "Helicone-Fallbacks": ["gpt-4"],
            "Helicone-Session-Id": None,
            "user_id": "theirs",
            "helicone": "theirs",
        }
    )

    assert lifted == {
        "Helicone-User-Id": "u",
        "helicone-property-App": "a",
        "Helicone-Cache-Enabled": "true",
        "Helicone-Retry-Num": "3",
        "Helicone-Fallbacks": '["gpt-4"]',
    }
    assert names == {*lifted, "Helicone-Session-Id"}


def test_the_first_of_two_spellings_wins_and_both_are_stripped() -> None:
    lifted, names = lift_metadata({"Helicone-User-Id": "first", "HELICONE-USER-ID": "second"})

    assert lifted == {"Helicone-User-Id": "first"}
    assert names == {"Helicone-User-Id", "HELICONE-USER-ID"}


def test_nothing_to_lift() -> None:
    assert lift_metadata(None) == ({}, frozenset())
    assert lift_metadata({"a": 1}) == ({}, frozenset())


def test_the_key_in_metadata_in_any_spelling() -> None:
    assert metadata_auth(lift_metadata({"helicone-AUTH": "Bearer k"})[0]) == "Bearer k"
    assert metadata_auth({}) is None


@given(st.dictionaries(st.text(max_size=12).map("Helicone-".__add__), st.text(max_size=20), max_size=4))
def test_lifted_values_could_be_headers(metadata: dict[str, str]) -> None:
    lifted, names = lift_metadata(metadata)

    assert names == set(metadata)
    assert not any(character < " " or character == "\x7f" for value in lifted.values() for character in value)
