"""helicone-gw: the public API, which is all that a plugin may import."""

from helicone_gw.access import (
    GatewayKey,
    KeyRing,
    KeySource,
    PageRequest,
    Permits,
    ProviderCredential,
    ProviderKey,
    Role,
    SessionSource,
    caller,
    require_role,
)
from helicone_gw.audit import Audit, AuditEntry, AuditSink, client_address
from helicone_gw.background import Background
from helicone_gw.breaker import BreakerPolicy
from helicone_gw.chain import Chain
from helicone_gw.clock import Clock
from helicone_gw.commands.command_database import CommandDatabase
from helicone_gw.config import GatewayConfig, ModelConfig, PositiveSeconds, PriceConfig, Seconds, Secret, Size
from helicone_gw.database import Database
from helicone_gw.decisions import Fallback, Retry
from helicone_gw.dialects import stream_reader, wire_format
from helicone_gw.dialects._rewriting import NameOf
from helicone_gw.dialects.everything import every_text, texts_and_runs, with_every_text
from helicone_gw.dialects.pieces import TextPiece, event_pieces, has_pieces, text_pieces
from helicone_gw.dialects.translate.carrying import carry_chat
from helicone_gw.errors import (
    AuthenticationFailed,
    BadRequest,
    ConfigError,
    DeadlineExceeded,
    GatewayError,
    InternalError,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PaymentRequired,
    PermissionDenied,
    PluginFault,
    StoreUnavailable,
    TooManyRequests,
    Unavailable,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
)
from helicone_gw.exchange import Exchange
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers
from helicone_gw.health import Health
from helicone_gw.helicone import HeliconeHeaders, parse_helicone_headers
from helicone_gw.hookspecs import hookimpl
from helicone_gw.ids import new_id
from helicone_gw.ingress.clients import path_prefix
from helicone_gw.ingress.fallbacks import FallbackTarget
from helicone_gw.measurement import Measurement, measured
from helicone_gw.model import Attempt, Capture, Chunk, Cost, Outcome, Request, Response, Route, Target, Usage
from helicone_gw.openapi import ApiOperation, api_document
from helicone_gw.panels import (
    DashboardCard,
    DashboardPage,
    PanelQuery,
    Shown,
    ShownChart,
    ShownFigure,
    ShownTable,
    ShownText,
)
from helicone_gw.pipeline.asking import Asked, AskedTotal, Asking
from helicone_gw.pipeline.messages import MessageFilter, Passed
from helicone_gw.plugin import Plugin, PluginConfig
from helicone_gw.price import UNITS, CompiledPrice, Tiered
from helicone_gw.prices import Prices, PriceSource
from helicone_gw.registry import audit_command
from helicone_gw.sealing import Unsealable
from helicone_gw.shared import shared_directory
from helicone_gw.stash import Stash, StashKey
from helicone_gw.store import LocalKeys, Store
from helicone_gw.store import Operation as StoreOperation
from helicone_gw.tables import read_table

__all__ = [
    "UNITS",
    "ApiOperation",
    "Asked",
    "AskedTotal",
    "Asking",
    "Attempt",
    "Audit",
    "AuditEntry",
    "AuditSink",
    "AuthenticationFailed",
    "Background",
    "BadRequest",
    "BreakerPolicy",
    "Capture",
    "Chain",
    "Chunk",
    "Clock",
    "CommandDatabase",
    "CompiledPrice",
    "ConfigError",
    "Cost",
    "DashboardCard",
    "DashboardPage",
    "Database",
    "DeadlineExceeded",
    "Exchange",
    "Fallback",
    "FallbackTarget",
    "Gateway",
    "GatewayConfig",
    "GatewayError",
    "GatewayKey",
    "Headers",
    "Health",
    "HeliconeHeaders",
    "InternalError",
    "KeyRing",
    "KeySource",
    "LocalKeys",
    "MalformedBody",
    "Measurement",
    "MessageFilter",
    "MethodNotAllowed",
    "ModelConfig",
    "NameOf",
    "NotFound",
    "Outcome",
    "PageRequest",
    "PanelQuery",
    "Passed",
    "PayloadTooLarge",
    "PaymentRequired",
    "PermissionDenied",
    "Permits",
    "Plugin",
    "PluginConfig",
    "PluginFault",
    "PositiveSeconds",
    "PriceConfig",
    "PriceSource",
    "Prices",
    "ProviderCredential",
    "ProviderKey",
    "Request",
    "Response",
    "Retry",
    "Role",
    "Route",
    "Seconds",
    "Secret",
    "SessionSource",
    "Shown",
    "ShownChart",
    "ShownFigure",
    "ShownTable",
    "ShownText",
    "Size",
    "Stash",
    "StashKey",
    "Store",
    "StoreOperation",
    "StoreUnavailable",
    "Target",
    "TextPiece",
    "Tiered",
    "TooManyRequests",
    "Unavailable",
    "Unsealable",
    "UpstreamConnectError",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamStatus",
    "UpstreamStreamError",
    "UpstreamTimeout",
    "Usage",
    "api_document",
    "audit_command",
    "caller",
    "carry_chat",
    "client_address",
    "event_pieces",
    "every_text",
    "has_pieces",
    "hookimpl",
    "measured",
    "new_id",
    "parse_helicone_headers",
    "path_prefix",
    "read_table",
    "require_role",
    "shared_directory",
    "stream_reader",
    "text_pieces",
    "texts_and_runs",
    "wire_format",
    "with_every_text",
]
