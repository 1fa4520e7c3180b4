"""A PostgreSQL of our own: its data in a temporary folder, its only door a socket in that folder."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_aluo.demo.processes import Child, Processes
from tests.servers.missing import Missing

#: Name of the process among those of its folder.
NAME = "postgres"
#: Seconds; one is usual.
START_TIMEOUT = 60.0
#: Seconds that its end may take.
STOP_TIMEOUT = 15.0

#: PostgreSQL refuses to be run by root: this gives the rights away, then becomes the command.
AS_USER = """
import os, pwd, sys
user = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.chdir("/")
os.execv(sys.argv[2], sys.argv[2:])
"""


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs: that of PATH, or Debian's, which is not on PATH.

    :raises Missing: there is none.
    """
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent
    folders = [file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not folders:
        raise Missing(
            "PostgreSQL: neither `postgres` on PATH nor /usr/lib/postgresql/*/bin/postgres exists. "
            "Debian and Ubuntu: apt install postgresql; Fedora: dnf install postgresql-server"
        )
    return max(folders, key=lambda folder: float(folder.parent.name))


def check_drivers() -> None:
    """Do nothing if Airflow can talk to PostgreSQL.

    :raises Missing: a driver is not installed.
    """
    try:
        import asyncpg  # noqa: F401 - the API server's
        import psycopg2  # noqa: F401 - everybody's
    except ModuleNotFoundError as error:
        raise Missing(
            f"{error.name}: Airflow talks to PostgreSQL by psycopg2 and asyncpg. Install them: "
            f"{sys.executable} -m pip install --group postgres"
        ) from error


@contextmanager
def temporary_postgres(processes: Processes) -> Iterator[str]:
    """Run a PostgreSQL with default settings for the time of the block; its SQLAlchemy address.

    :raises Missing: something is not installed.
    :raises ProcessError: it does not start.
    """
    check_drivers()
    programs = binaries()
    folder = processes.home.resolve() / NAME
    folder.mkdir(mode=0o700)
    prefix = _as_somebody(folder)
    data = str(folder / "data")
    make = [str(programs / "initdb"), "--auth=trust", "--username=airflow", "--encoding=UTF8", data]
    maker = processes.start("initdb", [*prefix, *make])
    if maker.process.wait(START_TIMEOUT) != 0:
        maker.raise_if_ended()
    processes.stop([maker.name])
    # Whoever can enter the folder may log in, and nobody else can: it is the owner's and root's.
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    child = processes.start(NAME, [*prefix, str(programs / "postgres"), "-D", data, *settings])
    try:
        _wait_for(child, folder)
        yield f"postgresql+psycopg2://airflow@/postgres?host={folder}"
    finally:
        end(processes[NAME])


def restart(processes: Processes) -> None:
    """End it in order, with what its clients are about, and start it again.

    :raises ProcessError: it does not start.
    """
    end(processes[NAME])
    _wait_for(processes.restart(NAME), processes.home.resolve() / NAME)


def end(child: Child) -> None:
    """End it in order: by the signal that others get it would wait for its clients to leave first."""
    child.process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        child.process.wait(STOP_TIMEOUT)


def _as_somebody(folder: Path) -> list[str]:
    """Return what comes before a command so that root does not run it; the folder becomes that user's."""
    if os.geteuid() != 0:
        return []
    names = {user.pw_name for user in pwd.getpwall()}
    chosen = "postgres" if "postgres" in names else "nobody"
    shutil.chown(folder, chosen)
    folder.parent.chmod(0o711)  # to pass through, not to look around
    return [sys.executable, "-c", AS_USER, chosen]


def _wait_for(child: Child, folder: Path) -> None:
    import psycopg2

    deadline = time.monotonic() + START_TIMEOUT
    while True:
        child.raise_if_ended()
        try:
            psycopg2.connect(host=str(folder), user="airflow", dbname="postgres").close()
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
