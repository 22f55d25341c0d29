"""The table of operations: complete, unambiguous, and answering the same whether remembered or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.ingress import operations
from helicone_gw.ingress.operations import match, match_verb, reserved_segments, resource


def test_where_dialects_share_a_path_the_preferred_one_is_taken() -> None:
    found = {dialect: match("GET", "/v1/models", dialect) for dialect in operations.DIALECTS}

    assert {dialect: row.operation.dialect for dialect, row in found.items() if row} == {
        "openai": "openai",
        "anthropic": "anthropic",
        "gemini": "gemini",
    }


def test_a_version_belongs_to_its_dialect() -> None:
    assert match("POST", "/v1beta/chat/completions", "openai") is None
    assert match("POST", "/v1beta/messages", "anthropic") is None
    assert match("POST", "/v1alpha/models/g:generateContent", "openai") is not None
    gemini = match("GET", "/v1beta/models", "openai")
    assert gemini is not None
    assert gemini.operation.dialect == "gemini"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat//completions/", "chat/completions"])
def test_the_canonical_path_has_one_version_and_no_empty_segments(path: str) -> None:
    found = match("POST", path, "openai")

    assert found is not None
    assert found.path == "/v1/chat/completions"


@pytest.mark.parametrize("path", ["", "/", "/v1", "/chat", "/v1/chat/completionss", "/models/:generateContent"])
def test_what_has_no_row_has_no_match(path: str) -> None:
    assert match("POST", path, "openai") is None


def test_a_long_path_is_matched_like_a_short_one() -> None:
    name = "m" * 500
    found = match("GET", f"/v1/models/{name}", "openai")

    assert found is not None
    assert found.model == name


def test_a_verb_at_the_end_of_a_longer_path() -> None:
    found = match_verb("POST", "/v1/projects/p/locations/l/publishers/google/models/g:countTokens")

    assert found is not None
    assert (found.operation.name, found.model) == ("count_tokens", "g")
    assert match_verb("POST", "/v1/models/g:noSuchVerb") is None
    assert match_verb("POST", "/v1/files/g:countTokens") is None
    assert match_verb("GET", "/v1/models/g:countTokens") is None


def test_resources_are_named_and_the_rest_is_other() -> None:
    assert resource("/v1/files/f/content") == "files"
    assert resource("/upload/v1beta/files") == "files"
    assert resource("/v1/nosuch") == "other"
    assert resource("/") == "other"


def test_reserved_first_segments_leave_the_providers_alone() -> None:
    reserved = reserved_segments()

    assert {
        "v1",
        "v1beta",
        "gateway",
        "router",
        "dashboard",
        "healthz",
        "readyz",
        "metrics",
        "chat",
        "models",
    } <= reserved
    assert not {"openai", "oai", "anthropic", "gemini", "google", "groq", "custom"} & reserved


def test_every_translated_operation_is_in_the_table_with_a_json_body() -> None:
    rows = {row.name for row in operations._TABLE.operations if row.json}

    assert rows >= operations.TRANSLATED


@given(method=st.sampled_from(["GET", "POST", "*", ""]), path=st.text(max_size=200), prefer=st.text(max_size=8))
def test_any_text_may_be_asked(method: str, path: str, prefer: str) -> None:
    match(method, path, prefer)
    match_verb(method, path)
    operations.local(method, path)
    assert resource(path)
