"""Media: data URLs, media types, and the lifetimes of cache markers."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.media import (
    audio_format,
    audio_type,
    data_url,
    guess_type,
    read_cache,
    split_data_url,
    write_cache,
)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:image/png;base64,AA==", ("image/png", "AA==")),
        ("data:text/plain;charset=utf-8;base64,AA==", ("text/plain", "AA==")),
        ("data:;base64,AA==", ("application/octet-stream", "AA==")),
        ("data:text/plain,hello", None),
        ("https://x.example/a.png", None),
        ("", None),
    ],
)
def test_data_urls(url, found):
    assert split_data_url(url) == found


def test_a_data_url_of_what_has_no_type():
    assert data_url(None, "AA==") == "data:application/octet-stream;base64,AA=="
    assert split_data_url(data_url("image/gif", "AA==")) == ("image/gif", "AA==")


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "opus", "aac"])
def test_audio_formats_come_back(name):
    assert audio_format(audio_type(name)) == name


def test_other_audio():
    assert audio_type("pcm16") == "audio/pcm16"
    assert audio_format("audio/x-wav; rate=16000") == "wav"
    assert audio_format("audio/x-odd") is None


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.PNG", "image/png"), ("https://x.example/a.pdf?b=c.txt#d.md", "application/pdf"), ("a", None), (None, None)],
)
def test_types_by_ending(name, found):
    assert guess_type(name) == found


@pytest.mark.parametrize(
    ("value", "cache"),
    [
        ({"type": "ephemeral"}, "5m"),
        ({"type": "ephemeral", "ttl": "1h"}, "1h"),
        ({"type": "other"}, None),
        (True, None),
    ],
)
def test_cache_markers(value, cache):
    assert read_cache(value) == cache
    if cache is not None:
        assert write_cache(cache) == value


def test_no_cache_marker():
    assert write_cache(None) is None
