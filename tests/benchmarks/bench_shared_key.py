"""Two triggerers and four workers on one key at 100 requests a minute: do they share it without being told?

Two of the workers work off batches, two submit what the triggerers wait for; all want more than they can get.
First in virtual time, 30 minutes of it. Then six real processes and the sandbox, which counts over a real
minute. The bars, after the first minute, in which they meet: no more sent a minute than the limit, at most
2 % of it refused, at least 90 % of the limit used. About 6 minutes, most of them real ones.
"""

import argparse
import io
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import requests
import virtual_time
from edit_durations import FIRST_SEED
from PIL import Image
from shared_key import pretend, six

from airflow_aluo.demo.aluo import connection_environment, start_sandbox
from airflow_aluo.demo.processes import ProcessError, Processes
from airflow_aluo.demo.settings import clean_environment

LIMIT = 100
#: Virtual minutes, and in how many worlds.
MINUTES, WORLDS = 30, 3
MOST_REFUSED, LEAST_USED = 0.02, 0.90
HERE = Path(__file__).parent


class Shared(NamedTuple):
    """How a key was shared after the first minute."""

    #: Part of the limit that was used, and part of what was sent that was refused.
    used: float
    refused: float
    #: Calls a minute that were sent, refused ones included.
    sent: float
    #: Calls that were refused in the first minute.
    at_first: int

    @classmethod
    def of(cls, accepted: Sequence[float], refused: Sequence[float], minutes: float) -> "Shared":
        """Count calls. Their times: in seconds since the first one."""
        good = sum(60 <= at < 60 * minutes for at in accepted)
        bad = sum(60 <= at < 60 * minutes for at in refused)
        return cls(
            used=good / (minutes - 1) / LIMIT,
            refused=bad / max(good + bad, 1),
            sent=(good + bad) / (minutes - 1),
            at_first=sum(at < 60 for at in refused),
        )

    def show(self, name: str) -> None:
        missed = [
            what
            for what, met in {
                f"sent at most {LIMIT} a minute": self.sent <= LIMIT,
                f"refused at most {MOST_REFUSED:.0%}": self.refused <= MOST_REFUSED,
                f"used at least {LEAST_USED:.0%}": self.used >= LEAST_USED,
            }.items()
            if not met
        ]
        verdict = f"MISSED: {', '.join(missed)}" if missed else "met"
        print(
            f"{name:<34} {self.used:6.1%} used, {self.refused:6.2%} refused, {self.sent:6.1f} sent a minute, "
            f"{self.at_first} refused in the first minute: {verdict}"
        )


def by_minute(name: str, accepted: Sequence[float], refused: Sequence[float], minutes: int) -> None:
    for what, times in (("accepted", accepted), ("refused", refused)):
        counts = Counter(int(at // 60) for at in times)
        print(f"  {name}, {what} by the minute: {' '.join(str(counts[n]) for n in range(minutes))}")


def virtual() -> None:
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + WORLDS):
        random.seed(seed)
        aluo = pretend(LIMIT, seed)
        virtual_time.run(lambda aluo=aluo: six(aluo, LIMIT, MINUTES * 60.0))
        start = aluo.accepted[0]
        accepted, refused = ([at - start for at in times] for times in (aluo.accepted, aluo.refused))
        if seed == FIRST_SEED:
            by_minute("the first world", accepted, refused, MINUTES)
        found.append(Shared.of(accepted, refused, MINUTES))
    middle = Shared(*map(statistics.median, zip(*found, strict=True)))
    middle.show(f"virtual, {MINUTES} minutes, median of {WORLDS}")


def real(minutes: int, home: Path) -> None:
    with Processes(home) as processes:
        url = start_sandbox(processes, "--plan", "pro", "--balance", "1000000000")
        sandbox = url.removesuffix("/api") + "/sandbox"
        photo = io.BytesIO()
        Image.new("RGB", (48, 32), (200, 80, 40)).save(photo, "png")
        address = control("POST", f"{sandbox}/uploads", photo.getvalue())["url"]
        environment = clean_environment() | dict(connection_environment(url))
        environment |= {"ALUO_BENCH_PHOTO": address, "AIRFLOW_HOME": str(home / "airflow")}
        for name, *arguments in users(home):
            command = [sys.executable, str(HERE / "key_user.py"), *arguments]
            processes.start(name, command, environment)
        end = time.monotonic() + 60 * minutes + 15  # until all have started
        while time.monotonic() < end:
            processes.raise_if_one_ended()
            time.sleep(1)
        calls = [call for call in control("GET", f"{sandbox}/ledger")["requests"] if call["account"]]
    report(calls, minutes)


def users(home: Path) -> list[list[str]]:
    """Return the name and the arguments of each process."""
    found = [["batch-1", "worker"], ["batch-2", "worker"]]
    for number in ("1", "2"):
        file = str(home / f"submitted-{number}")
        found += [[f"feeder-{number}", "feeder", file], [f"triggerer-{number}", "triggerer", file]]
    return found


def report(calls: Sequence[Mapping[str, Any]], minutes: int) -> None:
    start = min(call["at"] for call in calls)
    too_many = 429
    accepted = [call["at"] - start for call in calls if call["http_status"] != too_many]
    refused = [call["at"] - start for call in calls if call["http_status"] == too_many]
    by_minute("six processes", accepted, refused, minutes)
    whose = Counter(
        f"{call['method']} for {(call['prompt'] or 'unknown').partition(',')[0]}"
        for call in calls
        if call["http_status"] != too_many
    )
    print("  accepted in all: " + ", ".join(f"{count} {name}" for name, count in sorted(whose.items())))
    Shared.of(accepted, refused, minutes).show(f"six processes, {minutes} minutes")


def control(method: str, address: str, data: bytes | None = None) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, address, data=data, timeout=60)
    answer.raise_for_status()
    return answer.json()


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--minutes", type=int, default=5, help="real ones; 0 for none (%(default)s)")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    print(f"{LIMIT} requests a minute for six processes")
    virtual()
    if not asked.minutes:
        return 0
    home = Path(tempfile.mkdtemp(prefix="aluo-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        try:
            real(asked.minutes, home)
        except ProcessError as error:
            stack.pop_all()  # whoever reads the logs removes them
            print(f"bench_shared_key: {error}\nlogs: {home / 'logs'}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
