"""Number what is beside a request by its ``seq``, add columns, scores and feedback; on Postgres, by the month."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OLD = ("request_attempt", "request_property", "request_body", "request")
_MONTHLY = ("request", "request_attempt", "request_property", "request_body", "request_score", "request_feedback")

_REQUEST = """
    id organization_id request_id received_at first_byte_at first_token_at ended_at latency time_to_first_token provider
    request_model model model_override dialect operation method path target_url stream status outcome error_code
    error_message stop_reason prompt_tokens completion_tokens total_tokens reasoning_tokens prompt_cache_read_tokens
    prompt_cache_write_tokens prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens
    prompt_cache_audio_tokens prompt_image_tokens completion_image_tokens web_searches service_tier cost_nano_usd
    cost_source cost_version user_id session_id session_path session_name prompt_id key_id key_name attempt_count
    cache_status ratelimit_status request_size response_size annotations
"""
_ATTEMPT = """
    number organization_id provider request_model model deployment status error_code error_message started_at
    first_byte_at ended_at prompt_tokens completion_tokens reasoning_tokens prompt_cache_read_tokens
    prompt_cache_write_tokens cost_nano_usd cost_source cost_version
"""
_PROPERTY = "key_lower organization_id key value value_start"
_BODY = "organization_id request request_state request_type response response_state response_type"
"""Columns that go over as they are."""

_CLASSES = """
    prompt_tokens completion_tokens reasoning_tokens prompt_cache_read_tokens prompt_cache_write_tokens
    prompt_cache_write_1h_tokens prompt_audio_tokens completion_audio_tokens prompt_cache_audio_tokens
    prompt_image_tokens completion_image_tokens web_searches
"""
_TYPES: dict[str, Any] = {
    "s": sa.String(),
    "64": sa.String(64),
    "t": sa.Text(),
    "i": sa.Integer(),
    "n": sa.BigInteger(),
    "b": sa.Boolean(),
    "f": sa.Float(),
    "l": sa.LargeBinary(),
    "j": sa.JSON(),
}
_COST = "cost_nano_usd:n cost_source:s cost_version:s cost_estimated:b!"


def upgrade() -> None:
    """Make the tables anew, beside the old ones, and take over what is in those."""
    _set_aside()
    _request()
    _attempt()
    _property()
    _body()
    _score()
    _feedback()
    if _postgres():
        for table in _MONTHLY:
            op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
            op.execute(f"CREATE INDEX ix_{table}_received_at ON {table} USING brin (received_at)")
    else:
        op.create_index("ix_request_body_received_at", "request_body", ["received_at"])
    _take_over()
    for table in _OLD:
        op.drop_table(f"{table}_v1")


def _postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _set_aside() -> None:
    """Rename the old tables; names of indexes and of constraints are wanted for the new ones."""
    for column in ("received_at", "user_id_received_at", "session_id_received_at"):
        op.drop_index(f"ix_request_organization_id_{column}", "request")
    op.drop_index("ix_request_request_id", "request")
    op.drop_index("ix_request_property_key_value", "request_property")
    for table in _OLD:
        if _postgres():
            for constraint in (f"fk_{table}_row_id", f"pk_{table}", f"uq_{table}_id"):
                op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
        op.rename_table(table, f"{table}_v1")


def _request() -> None:
    more = " ".join(f"{name}:n" for name in _CLASSES.split()[2:])
    columns = f"""
        id:64! organization_id:s! request_id:s! received_at:n! hour:i! source:s! first_byte_at:n first_token_at:n
        ended_at:n latency:n time_to_first_token:n provider:s request_model:s model:s model_override:s dialect:s!
        operation:s! method:s! path:t! target_url:t stream:b! status:i outcome:s! error_code:s error_message:t
        stop_reason:s prompt_tokens:n completion_tokens:n total_tokens:n {more}
        usage_estimated:b! service_tier:s {_COST} cost_recomputed_at:n user_id:s session_id:s session_path:s
        session_name:s prompt_id:s key_id:s key_name:s key_owner:s trace_id:s span_id:s parent_span_id:s
        attempt_count:i! target:s provider_request_id:s translation_loss:t cache_enabled:b! cache_status:s
        cache_reference_id:s saved_nano_usd:n saved_ms:n saved_prompt_tokens:n saved_completion_tokens:n
        ratelimit_status:s threat:b country_code:s request_size:n response_size:n annotations:j!
    """
    _create("request", columns, sa.UniqueConstraint("id", "received_at", name="uq_request_id_received_at"), rowid=True)
    op.create_index("ix_request_request_id", "request", ["request_id"])
    filters = ["status", "provider", "model", "latency", "total_tokens", "cost_nano_usd", "cache_status", "key_id"]
    op.create_index("ix_request_list", "request", ["organization_id", "received_at", "seq", *filters])
    for column in ("status", "model"):
        _index_of_request(column)
    for column in ("user_id", "session_id"):
        _index_of_request(
            column, **{f"{name}_where": sa.text(f"{column} IS NOT NULL") for name in ("sqlite", "postgresql")}
        )


def _index_of_request(column: str, **options: Any) -> None:
    names = ["organization_id", column, "received_at"]
    op.create_index(f"ix_request_{'_'.join(names)}", "request", names, **options)


def _attempt() -> None:
    classes = " ".join(f"{name}:n" for name in _CLASSES.split())
    columns = f"""
        organization_id:s! received_at:n! number:i! provider:s! request_model:s model:s deployment:s status:i
        error_code:s error_message:t started_at:n! first_byte_at:n ended_at:n {classes} total_tokens:n
        usage_estimated:b! service_tier:s provider_cost_nano_usd:n {_COST} provider_request_id:s
    """
    _create("request_attempt", columns, key="number")


def _property() -> None:
    columns = "organization_id:s! received_at:n! key_lower:s! key:s! value:t! value_start:s!"
    _create("request_property", columns, key="key_lower")
    names = ["organization_id", "key_lower", "value_start", "received_at"]
    op.create_index("ix_request_property_key_value", "request_property", names)


def _body() -> None:
    columns = """
        organization_id:s! received_at:n! request:l request_state:s! request_type:s response:l response_state:s!
        response_type:s
    """
    _create("request_body", columns, rowid=True)


def _score() -> None:
    _create(
        "request_score", "organization_id:s! received_at:n! name:s! value:f! is_boolean:b! created_at:n!", key="name"
    )
    names = ["organization_id", "name", "received_at"]
    op.create_index("ix_request_score_organization_id_name_received_at", "request_score", names)


def _feedback() -> None:
    columns = "organization_id:s! received_at:n! name:s! id:s! rating:b value:t data_type:s! created_at:n!"
    _create("request_feedback", columns, key="name")


def _create(
    table: str, columns: str, *constraints: sa.UniqueConstraint, key: str | None = None, rowid: bool = False
) -> None:
    """A table whose primary key is ``seq`` and ``key``; ``columns`` are ``name:type``, with "!" where one is needed."""
    primary = ["seq", *filter(None, [key])]
    options: dict[str, Any] = {"sqlite_with_rowid": rowid}
    if _postgres():
        primary.append("received_at")
        options["postgresql_partition_by"] = "RANGE (received_at)"
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite") if rowid else sa.BigInteger()
    made = [sa.Column("seq", seq, nullable=False, autoincrement=False)]
    for column in columns.split():
        name, type_ = column.split(":")
        made.append(sa.Column(name, _TYPES[type_.rstrip("!")], nullable=not type_.endswith("!")))
    op.create_table(table, *made, sa.PrimaryKeyConstraint(*primary, name=f"pk_{table}"), *constraints, **options)


def _take_over() -> None:
    """What the old tables hold. What they did not know stays unknown."""
    plain = ", ".join(_REQUEST.split())
    false = "false" if _postgres() else "0"
    enabled = "cache_status IS NOT NULL"
    op.execute(  # every name in these is written above
        f"INSERT INTO request (seq, hour, source, usage_estimated, cost_estimated, cache_enabled, {plain}) "  # noqa: S608
        f"SELECT seq, received_at / 3600000, 'gateway', {false}, {false}, {enabled}, {plain} FROM request_v1"
    )
    for table, columns, more in (
        ("request_attempt", _ATTEMPT, {"usage_estimated": false, "cost_estimated": false}),
        ("request_property", _PROPERTY, {}),
        ("request_body", _BODY, {}),
    ):
        names = ", ".join([*columns.split(), *more])
        values = ", ".join([*(f"old.{column}" for column in columns.split()), *more.values()])
        op.execute(
            f"INSERT INTO {table} (seq, received_at, {names}) "  # noqa: S608
            f"SELECT request_v1.seq, request_v1.received_at, {values} "
            f"FROM {table}_v1 AS old JOIN request_v1 ON request_v1.id = old.row_id"
        )
