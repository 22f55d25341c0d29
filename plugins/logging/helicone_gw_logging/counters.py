"""Counters of the log: what became of the records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """What became of the records since the start. Nothing is lost without being counted here.

    ``rows_dropped``: there was no room for more; ``bodies_dropped``: memory was full, so that rows went without bodies;
    ``rows_failed``: the database would not have that row; ``bodies_failed``: it had the row, but not all beside it;
    ``rows_lost_at_shutdown``: there was no time left to write them; ``retries``: transactions that were tried again;
    ``values_folded``: values that went to "(other)", because their hour tells no more apart; ``rows_pruned``:
    rows of all kinds that were deleted because they were too old; ``queue_rows``: what waits now, in the journal or in
    memory; ``queue_bytes``: the memory that it takes.
    """

    rows_written: int = 0
    rows_dropped: int = 0
    rows_failed: int = 0
    rows_lost_at_shutdown: int = 0
    bodies_dropped: int = 0
    bodies_failed: int = 0
    retries: int = 0
    values_folded: int = 0
    rows_pruned: int = 0
    queue_rows: int = 0
    queue_bytes: int = 0
