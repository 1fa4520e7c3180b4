"""A real Airflow with real edits in it, and people who look at them with a browser."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import requests
from playwright.sync_api import FrameLocator, Page

from airflow_aluo.demo.aluo import connection_environment, start_sandbox
from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import LOOPBACK, free_port
from airflow_aluo.gallery import TABS

CHECKOUT = Path(__file__).parents[2]

#: Who may log in, by role. ``stranger`` may not read DAGs whose name begins with ``secret``.
PEOPLE = {"admin": "admin", "viewer": "viewer", "stranger": "viewer"}

#: An edit of 10 to 30 seconds takes half of one to one and a half.
SPEED = 20

#: What people, and others, write.
HOSTILE = {
    "html": "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
    "template": "{% raw %}{{ 7*7 }} ${7*7} {% endraw %}",
    "long": "Make the background blue. " * 400,
    "right to left": "שנה את הרקע לחוף ים עם שקיעה",
    "emoji": "Put it on a beach 🏖️🌅 with a 👩‍👩‍👧‍👦",
}


@dataclass
class Shop:
    """An Airflow that has edited photos."""

    airflow: LocalAirflow
    processes: Processes
    #: The run of each DAG, and of each hostile prompt by its name.
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.airflow.url

    def token(self, name: str) -> str:
        answer = requests.post(
            f"{self.url}/auth/token", json={"username": name, "password": name}, timeout=30
        )
        return str(answer.json()["access_token"])

    def log_in(self, page: Page, name: str) -> None:
        """Log in as people do."""
        page.goto(f"{self.url}/auth/login")
        page.locator("input[name=username]").fill(name)
        page.locator("input[name=password]").fill(name)
        page.locator("button[type=submit]").click()
        page.wait_for_url(lambda url: "/auth/" not in url)

    def run_page(self, dag_id: str, run: str | None = None) -> str:
        return f"{self.url}/dags/{dag_id}/runs/{quote(self.runs[run or dag_id], safe='')}"

    def run_tab(self, page: Page, dag_id: str, run: str | None = None) -> FrameLocator:
        """Open the gallery on a run's page."""
        page.goto(f"{self.run_page(dag_id, run)}/plugin/{TABS['dag_run']}")
        return gallery_in(page)

    def execute(self, code: str) -> None:
        """Run Python in a process whose Airflow is this one."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            env=self.airflow.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def gallery_in(page: Page) -> FrameLocator:
    """Return the gallery within Airflow's page, once it has cards."""
    frame = page.frame_locator("iframe")
    frame.locator("article").first.wait_for()
    return frame


@contextmanager
def shop(home: Path, *, hostile: bool = True) -> Iterator[Shop]:
    """Start an Airflow and a sandbox; edit photos. ``hostile``: by strange prompts, too."""
    folder = home / "dags"
    shutil.copytree(CHECKOUT / "dags_examples", folder)
    secret = (
        (folder / "aluo_photo_edit.py").read_text().replace('dag_id="aluo_photo_edit"', 'dag_id="secret"')
    )
    (folder / "secret.py").write_text(secret)
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in PEOPLE}))
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with Processes(home, grace=10.0) as processes:
        url = start_sandbox(processes, "--speed", str(SPEED), "--no-rate-limit")
        environment = {
            **connection_environment(url),
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.some_dags.SomeDags",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{k}:{v}" for k, v in PEOPLE.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "PYTHONPATH": str(CHECKOUT),
            **measured,
        }
        with LocalAirflow(home, dags_folder=folder, environment=environment, processes=processes) as airflow:
            found = Shop(airflow, processes)
            _edit(found, home, HOSTILE if hostile else {})
            yield found


def _edit(shop: Shop, home: Path, hostile: Mapping[str, str]) -> None:
    airflow = shop.airflow
    conf = {"destination": str(home / "pictures")}
    for dag_id in ("aluo_photo_edit", "aluo_mapped_edits", "aluo_batch_edits", "secret", "aluo_review"):
        airflow.wait_for_dag(dag_id)
        shop.runs[dag_id] = airflow.trigger(dag_id, conf)
    airflow.wait_for_dag("aluo_edit_form")
    for name, prompt in hostile.items():
        form = {**conf, "photos": ["https://example.com/product.jpg"], "prompt": prompt}
        shop.runs[name] = airflow.trigger("aluo_edit_form", form)
    waited = {"aluo_photo_edit", "aluo_mapped_edits", "aluo_batch_edits", "secret"}
    for name, run_id in shop.runs.items():
        if name in waited or name in hostile:
            dag_id = name if name in waited else "aluo_edit_form"
            assert airflow.wait_for_run(dag_id, run_id, timeout=600) == "success", name


@contextmanager
def below_a_path(shop: Shop) -> Iterator[str]:
    """Start one more API server for the same Airflow, whose address has a path; give that address."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}/af"
    environment = {
        **shop.airflow.environment,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
    }
    command = [sys.executable, "-m", "airflow", "api-server"]
    child = shop.processes.start("api-server-below", command, environment)
    try:
        deadline = time.monotonic() + 300
        while not _is_healthy(url):
            child.raise_if_ended()
            assert time.monotonic() < deadline, "the API server below a path did not start"
            time.sleep(0.2)
        yield url
    finally:
        shop.processes.stop(["api-server-below"])


def _is_healthy(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{url}/api/v2/monitor/health", timeout=60).ok
    return False


def ten_thousand(shop: Shop) -> str:
    """Write a run of 10,000 finished edits into Airflow's database; return the run's id.

    In pieces: SQLite lets nobody else write until a transaction ends, and Airflow's parts wait only so long.
    """
    shop.execute(
        "from airflow import settings\n"
        "from tests.ui.book import Book, edit_record\n"
        "book = Book('many').run('many', state='success')\n"
        "for first in range(0, 10_000, 500):\n"
        "    edits = range(first, first + 500)\n"
        "    book.instances(\n"
        "        [{'task_id': 'edit', 'map_index': index} for index in edits],\n"
        "        [{'task_id': 'edit', 'map_index': index, 'key': 'return_value',\n"
        "          'value': edit_record(f'edit_{index}', result_urls=['http://127.0.0.1:9/none.png'])}\n"
        "         for index in edits],\n"
        "    )\n"
    )
    return "many"
