"""Counting tokens: near the vocabularies that are public, bounded, and never in the way."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Background
from helicone_gw_ratelimit.tokens import SAMPLE, VOCABULARIES, Counter, estimated, sampled, vocabulary_of

splintr: Any = pytest.importorskip("splintr", reason="needs splintr-rs: pip install splintr-rs")

tokenizer = functools.cache(splintr.Tokenizer.from_pretrained)

TEXTS = {
    "English": "The government decided on Wednesday to raise the support for renewable energy considerably. Households "
    "that replace their heating and insulate their homes will receive higher subsidies, if they apply in time.",
    "German": "Die Bundesregierung hat am Mittwoch beschlossen, die Förderung für erneuerbare Energien deutlich zu "
    "erhöhen. Künftig sollen Haushalte größere Zuschüsse erhalten, wenn sie ihre Heizung austauschen.",
    "Python": "def total(items: list[int]) -> int:\n    result = 0\n    for item in items:\n        result += item\n"
    "    return result\n\n\nclass Basket:\n    def __init__(self) -> None:\n        self.items = []\n",
    "JSON": '{"id": 1024, "name": "widget", "tags": ["new", "sale"], "price": {"amount": 19.99, "currency": "EUR"}, '
    '"stock": 12, "active": true}',
    "Russian": "Правительство решило в среду значительно увеличить поддержку возобновляемых источников энергии. "
    "Домохозяйства получат более высокие субсидии, если заменят отопление.",
    "Chinese": "政府周三决定大幅增加对可再生能源的支持。如果家庭更换供暖系统并对建筑物进行隔热改造，将获得更高的补贴。",
    "Japanese": "政府は水曜日、再生可能エネルギーへの支援を大幅に増やすことを決定した。"
    "暖房設備を交換し、建物の断熱改修を行う。",
    "Korean": "정부는 수요일에 재생 에너지에 대한 지원을 대폭 늘리기로 결정했다. "
    "난방 시스템을 교체하고 건물을 단열한다.",
    "Arabic": "قررت الحكومة يوم الأربعاء زيادة الدعم المقدم للطاقات المتجددة بشكل كبير. وستحصل الأسر على إعانات أعلى.",
}
NEAR = {"English": 0.25, "German": 0.3, "Python": 0.25, "JSON": 0.25}


@pytest.mark.parametrize("language", TEXTS)
def test_an_estimate_is_near_the_count(language: str) -> None:
    text = TEXTS[language] * 5
    counted = len(tokenizer("o200k_base").encode_ordinary(text))
    off = NEAR.get(language, 0.4)
    assert counted * (1 - off) < estimated(text) < counted * (1 + off)


@given(st.text(max_size=400))
def test_an_estimate_is_there_for_any_text(text: str) -> None:
    tokens = estimated(text)
    assert 0 <= tokens <= 2 * len(text) + 1
    assert tokens > 0 or not text.strip("\x00\x7f" + "".join(map(chr, range(0x20))))


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4o/azure", "o200k_base"),
        ("openai/gpt-5.2", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4o-mini, claude-sonnet-4-5", "o200k_base"),
        ("meta-llama/Llama-3.3-70B", "llama3"),
        ("mistral-large-latest", "mistral_v3"),
        ("DeepSeek-V3", "deepseek_v3"),
        ("nobody-knows", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_a_model_has_a_vocabulary(model: str, vocabulary: str) -> None:
    assert vocabulary_of(model).vocabulary == vocabulary


def test_every_vocabulary_is_one_that_is_shipped() -> None:
    for known in VOCABULARIES:
        assert len(tokenizer(known.vocabulary).encode_ordinary("Hello!")) > 0


def test_models_without_a_public_vocabulary_are_counted_on_the_safe_side() -> None:
    counter = Counter(Background(), tokenizer=False)
    text = TEXTS["English"]
    assert counter.count(text, "claude-sonnet-4-5") > counter.count(text, "gpt-4o")
    assert counter.count(text, "nobody-knows") > counter.count(text, "gpt-4o")


async def test_it_is_estimated_until_the_vocabulary_is_read_and_counted_after() -> None:
    background = Background()
    counter = Counter(background, tokenizer=True)
    text = TEXTS["German"]
    assert counter.count(text, "gpt-4o") == estimated(text)
    assert counter.count(text, "gpt-4o") == estimated(text)
    assert len(background) == 1, "it is read once"
    await background.drain(30)
    exact = len(tokenizer("o200k_base").encode_ordinary(text))
    assert counter.count(text, "gpt-4o") == exact != estimated(text)


def test_a_long_text_is_sampled_at_both_ends() -> None:
    text = "a" * SAMPLE + "b" * SAMPLE
    assert sampled(text) == "a" * (SAMPLE // 2) + "b" * (SAMPLE // 2)
    counter = Counter(Background(), tokenizer=False)
    assert counter.count(text, "gpt-4o") == pytest.approx(estimated(text), rel=0.01)
    assert counter.count("", "gpt-4o") == 0


def test_special_tokens_in_a_prompt_are_ordinary_text() -> None:
    """Whoever writes them does not get around the count."""
    assert len(tokenizer("o200k_base").encode_ordinary("<|endoftext|>")) > 1
