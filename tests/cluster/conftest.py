"""The cluster on which these tests run; made once."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fleet import aluo as pretended
from fleet import cluster as clusters
from fleet.aluo import Aluo
from fleet.cluster import Cluster
from fleet.load import ENVIRONMENT

from tests.servers import debian, postgres, redis
from tests.servers.missing import Missing

DAGS = Path(__file__).with_name("dags")
#: Requests a minute, of the key's 1,000, that the batch may make.
BATCH_SHARE = 700

_TOLD = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TOLD] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the loads came to."""
    for line in config.stash[_TOLD]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def told(request: pytest.FixtureRequest) -> list[str]:
    """Lines that are printed at the end."""
    return request.config.stash[_TOLD]


@pytest.fixture(scope="session", autouse=True)
def servers() -> None:
    """Find PostgreSQL and Redis, or install them."""
    for find, package in ((postgres.binaries, "postgresql"), (redis.binary, "redis-server")):
        try:
            find()
        except Missing:
            debian.install(package)
        try:
            find()
        except Missing as missing:
            reason = f"NO CLUSTER, SO NOTHING OF IT IS TESTED: {missing}"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that PostgreSQL's own user may pass through."""
    usual = ("/tmp", "/var/tmp")  # noqa: S108  # a folder of our own is made there
    places = [place for place in (tempfile.gettempdir(), *usual) if _others_may_pass(Path(place))]
    folder = Path(tempfile.mkdtemp(prefix="aluo-cluster-", dir=places[0] if places else None))
    folder.chmod(0o711)
    yield folder
    if not os.environ.get("KEEP_CLUSTER"):
        shutil.rmtree(folder, ignore_errors=True)


def _others_may_pass(folder: Path) -> bool:
    return all(part.is_dir() and part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


@pytest.fixture(scope="session")
def aluo(home: Path) -> Iterator[Aluo]:
    """A pretend Aluo that allows 1,000 requests a minute."""
    with pretended.opened(home / "aluo") as aluo:
        yield aluo


@pytest.fixture(scope="session")
def cluster(home: Path, aluo: Aluo) -> Iterator[Cluster]:
    """An Airflow of seven processes."""
    environment = {
        **ENVIRONMENT,
        "CLUSTER_PHOTO": aluo.photo,
        "AIRFLOW_CONN_ALUO_DEFAULT": aluo.connection(plan="max"),
        # One key, of which the batch takes no more than its share, as docs/operations.md advises.
        "AIRFLOW_CONN_ALUO_BATCH": aluo.connection(plan="max", requests_per_minute=BATCH_SHARE),
    }
    with clusters.started(home / "airflow", dags_folder=DAGS, dags=4, environment=environment) as cluster:
        yield cluster
