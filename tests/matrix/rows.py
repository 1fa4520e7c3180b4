"""Which versions are tested together, and what runs on each."""

from dataclasses import dataclass

AIRFLOWS = ("3.1", "3.2", "3.3")
PYTHONS = ("3.11", "3.12", "3.13")
#: Where something breaks if it breaks: the oldest and the newest of both, and one from the middle.
CORNERS = ("3.1-3.11", "3.1-3.13", "3.2-3.12", "3.3-3.11", "3.3-3.13")
LOWEST = "lowest"
#: Airflows that do not live with today's libraries, and the day whose libraries they get instead: a month
#: after they came out, as with Airflow's own constraints, or when the oldest pytest-asyncio that will do did.
#: The first of 3.1 cannot be imported with structlog 26.1; 3.2.2's API server does not start with Cadwyn 9,
#: nor its `dag.test()` with Starlette 1.10.
OF_THEIR_TIME = {LOWEST: "2026-06-01", "3.2": "2026-06-29"}
#: As pyproject.toml says. Named, for uv prefers a release candidate: a library of Airflow's is one.
LOWEST_AIRFLOW = "3.1.3"
#: Until 3.1.7 its API server lets nobody in with a newer one.
LOWEST_WITH = "pyjwt<2.12"

#: What a row leaves out of the tests, and why. `make test` runs all but chaos and cluster, on the newest.
LEFT_OUT = {
    "tests/airflow": "starts a real Airflow, as the row's main job does",
    "tests/browser": "drives a browser through a real Airflow",
    "tests/chaos": "takes minutes of a real Airflow in trouble",
    "tests/cluster": "takes 13 minutes of an Airflow of many processes",
    "tests/benchmarks": "measures",
    "tests/demo": "starts a real Airflow again and again, to kill it",
    "tests/test_scale_simulation.py": "takes minutes of arithmetic, and asks nothing of Airflow",
    "tests/test_alerts.py": "is about Prometheus",
    "tests/matrix": "is about this program",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One environment. `airflow` and `python`: two numbers each; `lowest`: all else as low as we allow."""

    airflow: str
    python: str
    lowest: bool = False

    @property
    def name(self) -> str:
        """What a person types for it, and the name of its folder."""
        return LOWEST if self.lowest else f"{self.airflow}-{self.python}"

    @property
    def options(self) -> tuple[str, ...]:
        """What `uv pip install` is told beside the package: which versions."""
        day = OF_THEIR_TIME.get(LOWEST if self.lowest else self.airflow)
        of_their_time = ("--exclude-newer", day) if day else ()
        if self.lowest:
            versions = (f"apache-airflow=={LOWEST_AIRFLOW}", LOWEST_WITH)
            return (*versions, "--resolution", "lowest-direct", *of_their_time)
        return (f"apache-airflow~={self.airflow}.0", *of_their_time)  # the newest patch


LOWEST_ROW = Row(AIRFLOWS[0], PYTHONS[0], lowest=True)
ALL = {row.name: row for row in [*(Row(a, p) for a in AIRFLOWS for p in PYTHONS), LOWEST_ROW]}


def chosen(names: list[str], *, everything: bool = False) -> list[Row]:
    """Return the rows of these names; without names the corners and the lowest.

    :raises ValueError: there is no such row.
    """
    if unknown := [name for name in names if name not in ALL]:
        raise ValueError(f"no row {', '.join(unknown)}; there are: {', '.join(ALL)}")
    if everything:
        return list(ALL.values())
    return [ALL[name] for name in names or (*CORNERS, LOWEST)]
