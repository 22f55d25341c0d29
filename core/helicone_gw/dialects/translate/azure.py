"""Azure OpenAI's dated API, which has the deployment in the address (learn.microsoft.com, "Azure OpenAI REST API")."""

from __future__ import annotations

from urllib.parse import quote

DEPLOYED = frozenset(
    {
        "chat/completions",
        "completions",
        "embeddings",
        "images/generations",
        "images/edits",
        "audio/speech",
        "audio/transcriptions",
        "audio/translations",
    }
)
"""Operations of a deployment; all others (files, responses, ...) are the resource's."""


def dated_path(path: str, deployment: str | None) -> str:
    """Where an operation (``/v1/chat/completions``) of OpenAI's is in Azure's dated API.

    A path that is Azure's own (``/openai/...``) stays. Without a deployment, nobody knows which one is meant: the
    address is the resource's, and Azure says what is missing.
    """
    if path.startswith("/openai/"):
        return path
    operation = path.removeprefix("/v1").removeprefix("/")
    if operation in DEPLOYED and deployment:
        return f"/openai/deployments/{quote(deployment, safe='')}/{operation}"
    return f"/openai/{operation}"
