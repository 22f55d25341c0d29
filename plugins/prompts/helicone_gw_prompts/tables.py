"""The tables of prompts, their versions, environments, files, legacy templates, and what workers share of them.

Times are epoch seconds. Everything belongs to an organization; a prompt's id is unique within it.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, LargeBinary, String, Table
from sqlmodel import Field, SQLModel


class PromptRow(SQLModel, table=True):
    """A prompt. ``highest`` is the highest minor version that ever was, by major version: no number is given twice."""

    __tablename__ = "prompt"

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    tags: list[str] = Field(sa_column=Column(JSON, nullable=False))
    highest: dict[str, int] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float


class VersionRow(SQLModel, table=True):
    """A version of a prompt; ``body`` is JSON, ``sha256`` that of its canonical form."""

    __tablename__ = "prompt_version"
    __table_args__ = (
        Index(
            "uq_prompt_version_number", "organization_id", "prompt_id", "major_version", "minor_version", unique=True
        ),
    )

    organization_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    prompt_id: str
    model: str
    major_version: int
    minor_version: int
    commit_message: str
    created_at: float
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sha256: str = Field(sa_column=Column(String(64), nullable=False))


class EnvironmentRow(SQLModel, table=True):
    """The version of a prompt that an environment is at."""

    __tablename__ = "prompt_environment"

    organization_id: str = Field(primary_key=True)
    prompt_id: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    version_id: str


class FileRow(SQLModel, table=True):
    """What of a prompt's file was taken over last: a file that did not change since has nothing to say."""

    __tablename__ = "prompt_file"

    organization_id: str = Field(primary_key=True)
    prompt_id: str = Field(primary_key=True)
    sha256: str = Field(sa_column=Column(String(64), nullable=False))


class TemplateRow(SQLModel, table=True):
    """A legacy template (``Helicone-Prompt-Id``) as requests showed it; ``template`` is JSON."""

    __tablename__ = "prompt_template"
    __table_args__ = (Index("uq_prompt_template_sha256", "organization_id", "prompt_id", "sha256", unique=True),)

    organization_id: str = Field(primary_key=True)
    prompt_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    sha256: str = Field(sa_column=Column(String(64), nullable=False))
    template: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: float


class StateRow(SQLModel, table=True):
    """One row for all: ``changes`` grows with every edit, so that workers know when to look again.

    ``signing_key`` makes the URLs of bodies. It opens nothing that is not in this database anyway.
    """

    __tablename__ = "prompt_state"

    id: int = Field(primary_key=True)
    changes: int
    signing_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


PROMPT, VERSION, ENVIRONMENT = _table("prompt"), _table("prompt_version"), _table("prompt_environment")
FILE, TEMPLATE, STATE = _table("prompt_file"), _table("prompt_template"), _table("prompt_state")
