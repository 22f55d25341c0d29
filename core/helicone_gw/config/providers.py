"""Providers as the configuration says them: `ProviderConfig`, with several keys and deployments where there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from helicone_gw.config.operation_names import OperationName
from helicone_gw.config.section import Section
from helicone_gw.config.values import (
    BaseUrl,
    Credential,
    HeaderName,
    InstanceName,
    ModelName,
    Share,
    no_empty_secret,
)

AuthStyle = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "query-key", "google", "none"]
Dialect = Literal["openai", "anthropic", "gemini", "azure", "vertex", "bedrock", "cohere", "ollama", "replicate"]


class KeyConfig(Section):
    """One of several keys of a provider."""

    key: Credential = Field(description="The key itself.")
    name: InstanceName | None = Field(
        default=None, description="Its name, in model strings and the log; default: key-1, key-2, ..."
    )
    weight: Share = Field(default=1.0, description="Its part of the traffic, relative to the others.")


class DeploymentConfig(Section):
    """One of several places at which a provider serves; what is left out is as for the provider."""

    api_key: Annotated[Credential | None, BeforeValidator(no_empty_secret)] = Field(
        default=None, description="The key there."
    )
    base_url: BaseUrl | None = Field(default=None, description="Where it is.")
    region: str | None = Field(default=None, min_length=1, description="Cloud region (Bedrock, Vertex).")
    api_version: str | None = Field(default=None, min_length=1, description="Version in the query (Azure OpenAI).")
    weight: Share = Field(default=1.0, description="Its part of the traffic, relative to the others.")
    models: dict[ModelName, ModelName] = Field(
        default_factory=dict,
        description="The models that it serves, each with its name there (Azure: the deployment); default: all.",
    )


class AwsConfig(Section):
    """Access keys of AWS, with which requests to Bedrock are signed. A Bedrock API key is an api_key instead."""

    access_key_id: Credential = Field(description="The access key's id.")
    secret_access_key: Credential = Field(description="The secret of it.")
    session_token: Annotated[Credential | None, BeforeValidator(no_empty_secret)] = Field(
        default=None, description="The token of temporary access keys."
    )


class GoogleConfig(Section):
    """A project of Google Cloud, and who calls Vertex AI for it; needs the extra vertex."""

    project: str = Field(pattern=r"^[a-z0-9.:-]{1,100}$", description="The project's id.")
    credentials: str | None = Field(
        default=None,
        min_length=1,
        description="File with the key of a service account or the like; default: as the environment says.",
    )


Keys = tuple[Credential | KeyConfig, ...]
Deployments = dict[InstanceName, DeploymentConfig]


class ProviderConfig(Section):
    """One provider of models. For a built-in one, whatever is left out comes from the catalogue."""

    api_key: Annotated[Credential | None, BeforeValidator(no_empty_secret)] = Field(
        default=None,
        description="The gateway's own key at this provider; without one, only the client's own credential is used.",
    )
    base_url: BaseUrl | None = Field(
        default=None, description="Where it is: the URL that an SDK of this provider would be given."
    )
    dialect: Dialect | None = Field(default=None, description="The wire format that it speaks.")
    headers: dict[HeaderName, Credential] = Field(
        default_factory=dict, description="Headers added to every request to this provider; values may be secrets."
    )
    auth: AuthStyle | None = Field(default=None, description="How api_key is sent: a header, the query, or not at all.")
    include_usage: bool | None = Field(
        default=None, description="Whether it understands stream_options.include_usage; default: as the catalogue says."
    )
    api_version: str | None = Field(default=None, min_length=1, description="Version in the query (Azure OpenAI).")
    region: str | None = Field(default=None, min_length=1, description="Cloud region (Bedrock, Vertex).")
    aws: AwsConfig | None = Field(default=None, description="Access keys of AWS (Bedrock), in place of an api_key.")
    google: GoogleConfig | None = Field(
        default=None, description="Project and credentials at Google Cloud (Vertex), in place of an api_key."
    )
    operations: tuple[OperationName, ...] | None = Field(
        default=None,
        description="What it offers (chat, embeddings, images, ...): all of it, for a built-in one what the catalogue "
        "does not know of; default: as the catalogue says, and anything at a provider of your own.",
    )
    keys: Keys = Field(default=(), description="Several keys, among which the plugin router shares the traffic.")
    deployments: Deployments = Field(
        default_factory=dict, description="Several places of it (Azure resources, regions), by name, likewise."
    )
