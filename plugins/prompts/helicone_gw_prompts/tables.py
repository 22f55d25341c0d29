"""The tables of prompts, their versions, environments, files, legacy templates, and what workers share of them.

Times are epoch seconds. Everything belongs to an organization; a prompt's id is unique within it. They are SQLAlchemy's
own tables: classes for their rows, which nobody needs, would take as long to make as all else at the start.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

METADATA = MetaData()


def _key(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, primary_key=True)


def _there(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, nullable=False)


PROMPT = Table(
    "prompt",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("name"),
    _there("tags", JSON),
    _there("highest", JSON),
    _there("created_at", Float),
)
"""Prompts. ``highest`` is the highest minor version that ever was, by major version: no number is given twice."""

VERSION = Table(
    "prompt_version",
    METADATA,
    _key("organization_id"),
    _key("id"),
    _there("prompt_id"),
    _there("model"),
    _there("major_version", Integer),
    _there("minor_version", Integer),
    _there("commit_message"),
    _there("created_at", Float),
    _there("body", LargeBinary),
    _there("sha256", String(64)),
    Index("uq_prompt_version_number", "organization_id", "prompt_id", "major_version", "minor_version", unique=True),
)
"""Versions of prompts; ``body`` is JSON, ``sha256`` that of its canonical form."""

ENVIRONMENT = Table(
    "prompt_environment",
    METADATA,
    _key("organization_id"),
    _key("prompt_id"),
    _key("environment"),
    _there("version_id"),
)
"""The versions of prompts that environments are at."""

FILE = Table("prompt_file", METADATA, _key("organization_id"), _key("prompt_id"), _there("sha256", String(64)))
"""What of a prompt's file was taken over last: a file that did not change since has nothing to say."""

TEMPLATE = Table(
    "prompt_template",
    METADATA,
    _key("organization_id"),
    _key("prompt_id"),
    _key("version", Integer),
    _there("sha256", String(64)),
    _there("template", LargeBinary),
    _there("created_at", Float),
    Index("uq_prompt_template_sha256", "organization_id", "prompt_id", "sha256", unique=True),
)
"""Legacy templates (``Helicone-Prompt-Id``) as requests showed them; ``template`` is JSON."""

STATE = Table(
    "prompt_state", METADATA, _key("id", Integer), _there("changes", Integer), _there("signing_key", LargeBinary)
)
"""One row for all: ``changes`` grows with every edit, so that workers know when to look again.

``signing_key`` makes the URLs of bodies. It opens nothing that is not in this database anyway.
"""
