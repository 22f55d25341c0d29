"""Signatures travel marked with their maker's name, and as base64 where an SDK decodes them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.translate.gemini_signatures import read_signature, write_signature
from helicone_gw.dialects.translate.signatures import Signature, seal, unseal

VENDORS = st.sampled_from(["anthropic", "openai", "google", "openrouter", "other"])
VALUES = st.binary(min_size=1, max_size=30).map(lambda data: base64.b64encode(data).decode())
IDS = st.none() | st.from_regex(r"[a-zA-Z0-9_.-]{1,20}", fullmatch=True)


@given(VENDORS, VALUES, IDS, VENDORS)
def test_every_signature_comes_back(vendor, value, id, home):
    own = vendor == home
    found = unseal(seal(Signature(vendor, value, id), home), home)
    assert found == Signature(vendor, value, None if own else id)


@given(VALUES, VENDORS)
def test_a_makers_own_is_not_touched(value, home):
    assert seal(Signature(home, value), home) == value


@given(VENDORS, VALUES, IDS)
def test_in_geminis_dialect_every_one_is_base64(vendor, value, id):
    written = write_signature(Signature(vendor, value, id))
    again = base64.urlsafe_b64encode(base64.b64decode(written)).decode()  # what an SDK may make of it
    found = read_signature(again)
    assert found.vendor == vendor
    assert base64.b64decode(found.value.replace("-", "+").replace("_", "/")) == base64.b64decode(value)


@pytest.mark.parametrize("text", ["EqQB+/==", "skip", "x:y:z", "openai:only-one-colon", ""])
def test_unmarked_text_is_the_homes_own(text):
    assert unseal(text, "anthropic") == Signature("anthropic", text)
