"""Requests that use nearly everything their dialect has, for docs/dialects.md."""

from __future__ import annotations

import base64
from typing import Any

PIXEL = base64.b64encode(b"\x89PNG").decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://images.example/a.png"}},
                {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
                {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "system", "content": "Still be brief."},
        {"role": "user", "content": "So?"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA, "strict": True}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "max_completion_tokens": 4000,
    "stop": ["END"],
    "temperature": 1.5,
    "top_p": 0.9,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "seed": 7,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 2},
    "user": "u",
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "verbosity": "low",
    "store": True,
    "prompt_cache_key": "k",
}
RESPONSES: dict[str, Any] = {
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "https://images.example/a.png", "detail": "high"},
                {"type": "input_file", "file_url": "https://files.example/a.pdf"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "item_reference", "id": "msg_1"},
        {"role": "user", "content": "So?"},
    ],
    "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}, {"type": "file_search"}],
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "max_output_tokens": 4000,
    "temperature": 1.5,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "truncation": "auto",
    "background": True,
    "max_tool_calls": 3,
    "prompt_cache_key": "k",
}
MESSAGES: dict[str, Any] = {
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "max_tokens": 4000,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL},
                    "citations": {"enabled": True},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbg=="},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain", "is_error": True}],
        },
    ],
    "tools": [{"name": "weather", "input_schema": SCHEMA}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "stop_sequences": ["END"],
    "top_k": 5,
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "container": "c",
}
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Hi"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                {"inlineData": {"mimeType": "audio/wav", "data": PIXEL}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "https://files.example/a.mp4"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True},
                {"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "c2lnbg=="},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "rain"}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}, {"codeExecution": {}}],
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/1",
    "generationConfig": {
        "maxOutputTokens": 4000,
        "temperature": 1.5,
        "topK": 5,
        "seed": 7,
        "candidateCount": 2,
        "responseLogprobs": True,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
        "thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
}
COMPLETIONS: dict[str, Any] = {
    "prompt": "Hi",
    "suffix": "Bye",
    "echo": True,
    "max_tokens": 9,
    "logprobs": 2,
    "n": 2,
    "temperature": 1.5,
    "stop": ["END"],
}
