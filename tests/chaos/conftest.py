"""Plays the rows that are asked for, many at a time, before the first test looks at its own."""

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import report, stage
from harness.aluo import Aluo
from harness.rig import SCHEDULERS_DIE, WORKERS_DIE, key, started
from harness.row import ORDINARY, SHAKEN, Finding, Row
from harness.shocks import Shock
from PIL import Image

from airflow_aluo.demo.aluo import start_sandbox
from airflow_aluo.demo.processes import Processes

#: Rows that play at the same time. Most of the time each only waits.
AT_ONCE = 10
#: Seconds that an edit takes.
EDIT_SECONDS = 3.0
#: Credits of the account that can pay two edits.
POOR = 70

_FINDINGS = pytest.StashKey[list[Finding]]()


@pytest.fixture(scope="session")
def aluo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aluo]:
    """A pretend Aluo that never says 429 by itself."""
    with Processes(tmp_path_factory.mktemp("aluo")) as processes:
        aluo = Aluo(start_sandbox(processes, "--no-rate-limit"))
        aluo.control("PUT", "settings", {"durations": EDIT_SECONDS})
        for name in ("default", "limited", "stopped"):
            aluo.account(key(name))
        aluo.account(key("poor"), POOR)
        yield aluo


@pytest.fixture(scope="session")
def photos(aluo: Aluo, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A photo that is quickly edited, at an address; and a file that is not uploaded in one piece."""
    small, large = io.BytesIO(), tmp_path_factory.mktemp("photo") / "large.png"
    Image.new("RGB", (48, 32), (200, 80, 40)).save(small, "png")
    Image.effect_noise((700, 500), 80).save(large)
    return {"photo": aluo.upload(small.getvalue()), "file": str(large)}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both Airflows live."""
    return tmp_path_factory.mktemp("chaos")


@pytest.fixture(scope="session")
def findings(
    request: pytest.FixtureRequest, aluo: Aluo, photos: Mapping[str, str], home: Path
) -> Mapping[str, Finding]:
    """What became of each row that is tested in this session, by its case."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = [one["row"] for one in params if isinstance(one.get("row"), Row)]
    with ThreadPoolExecutor(2) as pool:
        airflows = [
            pool.submit(play, rows, home / place, aluo, photos)
            for place, play in ((SHAKEN, play_shaken), (ORDINARY, play_ordinary))
            if (rows := [row for row in asked if row.place == place])
        ]
        found = [one for airflow in airflows for one in airflow.result()]
    found.sort(key=lambda one: asked.index(one.row))
    (home / "findings.json").write_text(json.dumps([_as_json(one) for one in found], indent=1))
    request.config.stash[_FINDINGS] = found
    return {one.row.case: one for one in found}


def play_ordinary(rows: Sequence[Row], home: Path, aluo: Aluo, photos: Mapping[str, str]) -> list[Finding]:
    """Play rows that mind their own runs, many at a time; those that take longest begin."""
    with started(home, aluo, photos, WORKERS_DIE, own_execution_api=True) as rig:
        rig.wait_for_dags({row.dag for row in rows})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            longest_first = sorted(rows, key=lambda row: -row.patience)
            return list(pool.map(lambda row: stage.play(row, rig), longest_first))


def play_shaken(rows: Sequence[Row], home: Path, aluo: Aluo, photos: Mapping[str, str]) -> list[Finding]:
    """Play rows that share a shock together, one shock after the other."""
    found: list[Finding] = []
    with started(home, aluo, photos, SCHEDULERS_DIE, own_execution_api=False) as rig:
        rig.wait_for_dags({row.dag for row in rows})
        for shock in dict.fromkeys(row.shock for row in rows):
            found += Shock(shock, [row for row in rows if row.shock == shock]).strike(rig)
    return found


def _as_json(one: Finding) -> dict[str, Any]:
    return {"case": one.row.case} | {name: value for name, value in asdict(one).items() if name != "row"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if found := config.stash.get(_FINDINGS, None):
        terminalreporter.section("chaos")
        for line in report.lines(found):
            terminalreporter.write_line(line)
