"""Usage in every dialect's words is read back the same, by the readers that the core uses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import usage as read
from helicone_gw.dialects.translate import usage as write
from helicone_gw.model import Usage

TOKENS = st.integers(1000, 5000)
FEW = st.integers(1, 300)


@given(TOKENS, TOKENS, FEW, FEW, FEW, FEW)
def test_every_class_that_a_dialect_has_comes_back(tokens_in, tokens_out, cached, written, hourly, reasoning):
    hourly = min(hourly, written)
    full = Usage(tokens_in, tokens_out, cached, written, hourly, reasoning, web_searches=2)
    assert read.openai_usage(write.chat_usage(full)) == full
    assert read.anthropic_usage(write.anthropic_usage(full)) == full
    plain = Usage(tokens_in, tokens_out, cached, written, reasoning_tokens=reasoning)
    assert read.openai_usage(write.responses_usage(plain)) == plain
    google = Usage(tokens_in, tokens_out, cached, reasoning_tokens=reasoning)
    assert read.gemini_usage(write.gemini_usage(google)) == google


def test_sound_and_pictures():
    usage = Usage(100, 50, input_audio_tokens=30, output_audio_tokens=20, input_image_tokens=10)
    chat = read.openai_usage(write.chat_usage(usage))
    google = read.gemini_usage(write.gemini_usage(usage))
    assert chat == usage
    assert google is not None
    assert (google.input_audio_tokens, google.output_audio_tokens, google.input_image_tokens) == (30, 20, 10)


def test_what_is_unknown_is_left_out_where_it_may_be():
    assert write.gemini_usage(Usage()) == {}
    assert write.chat_usage(Usage()) == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert write.anthropic_usage(Usage()) == {"input_tokens": 0, "output_tokens": 0}
