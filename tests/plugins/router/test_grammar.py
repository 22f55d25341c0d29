"""Model strings: Helicone's grammar, ``provider/model``, vendors' ids, and which is which."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import BadRequest
from helicone_gw_router.grammar import MAX_ITEMS, Item, ModelString, parse

PROVIDERS = {
    name: name for name in ("openai", "azure", "groq", "together", "openrouter", "anthropic", "llama", "gemini")
} | {"google-ai-studio": "gemini", "meta-llama": "llama"}
KNOWN = frozenset(
    {"gpt-4o", "gpt-4o-mini", "openai/gpt-oss-120b", "gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct", "llama"}
)


def read(text: str, usable: tuple[str, ...] = ("openai", "azure", "groq", "together", "openrouter")) -> ModelString:
    return parse(text, PROVIDERS, KNOWN.__contains__, usable.__contains__)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("gpt-4o-mini", Item("gpt-4o-mini")),
        ("gpt-4o-mini/azure", Item("gpt-4o-mini", "azure")),
        ("gpt-4o-mini/azure/my-uid", Item("gpt-4o-mini", "azure", "my-uid")),
        ("gpt-4o-mini/azure/my-uid/more", Item("gpt-4o-mini", "azure")),
        ("brand-new-model/openai", Item("brand-new-model", "openai")),
        ("gemini-2.5-pro/google-ai-studio", Item("gemini-2.5-pro", "gemini")),
        ("gpt-4o:online/openai", Item("gpt-4o", "openai", online=True)),
        ("gpt-4o:online", Item("gpt-4o", online=True)),
        (":online", Item(":online")),
        ("model:free", Item("model:free")),
        # the older gateway, LiteLLM and OpenRouter
        ("openai/gpt-4o", Item("gpt-4o", "openai", prefixed=True)),
        ("google-ai-studio/gemini-2.5-pro", Item("gemini-2.5-pro", "gemini", prefixed=True)),
        ("openai/gpt-4o:online", Item("gpt-4o", "openai", online=True, prefixed=True)),
        ("groq/openai/gpt-oss-120b", Item("openai/gpt-oss-120b", "groq", prefixed=True)),
        ("openrouter/anthropic/claude-x", Item("anthropic/claude-x", "openrouter", prefixed=True)),
        # vendors' ids
        ("mistralai/Mixtral-8x7B", Item("mistralai/Mixtral-8x7B")),
        ("mistralai/Mixtral-8x7B/together", Item("mistralai/Mixtral-8x7B", "together")),
        ("acme/team/model/groq/uid", Item("acme/team/model", "groq", "uid")),
        ("meta-llama/Llama-3.3-70B-Instruct", Item("meta-llama/Llama-3.3-70B-Instruct")),
        ("meta-llama/Llama-3.3-70B-Instruct/groq", Item("meta-llama/Llama-3.3-70B-Instruct", "groq")),
        ("openai/gpt-oss-120b/groq", Item("openai/gpt-oss-120b", "groq")),
        ("meta-llama/brand-new", Item("brand-new", "llama", prefixed=True)),
        # a model that is called like a provider
        ("llama/groq", Item("llama", "groq")),
        # Helicone's own name: whoever serves the model
        ("gpt-4o/helicone", Item("gpt-4o")),
        ("helicone/gpt-4o", Item("gpt-4o")),
        ("helicone/openai/gpt-4o", Item("gpt-4o", "openai", prefixed=True)),
        ("helicone/", Item("helicone/")),
        ("a//b", Item("a//b")),
        ("/gpt-4o", Item("/gpt-4o")),
    ],
)
def test_one_item(text: str, item: Item) -> None:
    assert read(text).items == (item,)


def test_a_vendors_id_is_its_providers_where_that_can_be_called() -> None:
    assert read("openai/gpt-oss-120b").items == (Item("gpt-oss-120b", "openai", prefixed=True),)
    assert read("openai/gpt-oss-120b", usable=("groq",)).items == (Item("openai/gpt-oss-120b"),)


def test_a_list() -> None:
    string = read(" gpt-4o , claude/anthropic,,gpt-4o,!openai , !azure")
    assert string.items == (Item("gpt-4o"), Item("claude", "anthropic"))
    assert string.excluded == {"openai", "azure"}
    assert not string.online
    assert read("a, b:online").online
    assert read("gpt-4o,!helicone") == ModelString((Item("gpt-4o"),))


@pytest.mark.parametrize("text", ["!nosuch,gpt-4o-mini", "gpt-4o,!", "! "])
def test_an_exclusion_of_nothing_is_a_mistake(text: str) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        read(text)


def test_a_provider_of_that_name_is_one_like_any_other() -> None:
    string = parse("gpt-4o/helicone,!helicone", {"helicone": "helicone"}, KNOWN.__contains__, bool)
    assert string == ModelString((Item("gpt-4o", "helicone"),), frozenset({"helicone"}))


def test_a_list_is_bounded() -> None:
    assert len(read(",".join(f"m{number}" for number in range(MAX_ITEMS))).items) == MAX_ITEMS
    with pytest.raises(BadRequest, match="may have 32 items"):
        read(",".join(f"m{number}" for number in range(MAX_ITEMS + 1)))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_whatever_a_client_writes_is_read_or_refused(text: str) -> None:
    try:
        string = read(text)
    except BadRequest:
        return
    assert all(item.name for item in string.items)
    assert all(item.provider is None or item.provider in PROVIDERS.values() for item in string.items)
