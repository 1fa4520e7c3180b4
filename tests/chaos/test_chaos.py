"""No edit is paid for twice, none is lost, and no failure is misread, whatever happens."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from harness.rig import KEYS_BEGIN
from harness.row import Finding, Row
from table import ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.slug)
def test_a_row_ends_as_the_table_says(findings: Mapping[str, Finding], row: Row) -> None:
    wrongs = findings[row.case].wrongs
    assert not wrongs, "\n".join([row.case, *wrongs])


def test_no_log_and_no_database_holds_an_api_key(findings: Mapping[str, Finding], home: Path) -> None:
    assert findings
    files = [path for path in home.rglob("*") if path.is_file() and path.suffix in {".log", ".db", ".db-wal"}]
    assert {path.name for path in files} >= {"airflow.db", "scheduler.log", "triggerer.log", "api-server.log"}
    assert not [str(path) for path in files if KEYS_BEGIN.encode() in path.read_bytes()]
