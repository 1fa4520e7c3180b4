"""The table: each module is a part of it."""

from harness.row import Row

from table import (
    accounts,
    batches,
    clears,
    connections,
    interventions,
    looks,
    shocks,
    statuses,
    the_store,
    worker_deaths,
)

ROWS: tuple[Row, ...] = (
    *worker_deaths.ROWS,
    *the_store.ROWS,
    *connections.ROWS,
    *looks.ROWS,
    *statuses.ROWS,
    *clears.ROWS,
    *accounts.ROWS,
    *interventions.ROWS,
    *batches.ROWS,
    *shocks.ROWS,
)
