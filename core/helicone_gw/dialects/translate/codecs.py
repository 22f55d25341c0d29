"""The table of codecs: who reads and writes each dialect. A dialect joins the translation by a line here."""

from __future__ import annotations

from helicone_gw.dialects.translate.base import Egress, Ingress
from helicone_gw.dialects.translate.vectors import EmbeddingsEgress, EmbeddingsIngress, RerankEgress, RerankIngress

CONVERSATION_INGRESS: tuple[Ingress, ...] = ()
CONVERSATION_EGRESS: dict[str, Egress] = {}
"""By the name of the egress: the provider's dialect, with ``.responses`` and the like where a dialect has several."""

EMBEDDINGS_INGRESS: tuple[EmbeddingsIngress, ...] = ()
EMBEDDINGS_EGRESS: dict[str, EmbeddingsEgress] = {}

RERANK_INGRESS: tuple[RerankIngress, ...] = ()
RERANK_EGRESS: dict[str, RerankEgress] = {}
