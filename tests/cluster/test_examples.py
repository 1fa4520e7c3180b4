"""The example pipelines on a cluster whose XComs, pictures and logs lie in an object store."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from fleet import cluster as clusters
from fleet.aluo import KEY, Aluo
from fleet.cluster import Cluster

import airflow_aluo
from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import PASSWORD, USER
from tests.servers import postgres
from tests.servers.s3 import Store, temporary_store

EXAMPLES = Path(__file__).parents[2] / "dags_examples"
PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"
#: Seconds that each edit takes, and for all runs.
EDIT_SECONDS, PATIENCE = 3.0, 300.0
#: Where the pictures of the examples land.
PICTURES = {"destination": "s3://aws_default@pictures"}
#: The examples that are run, with what is filled in, and how many edits each makes.
RUNS: Mapping[str, tuple[dict[str, Any], int]] = {
    "aluo_photo_edit": (PICTURES, 1),
    "aluo_mapped_edits": (PICTURES, 5),
    "aluo_chained_edits": (PICTURES, 3),
    "aluo_batch_edits": (PICTURES, 4),
    "aluo_nightly_catalogue": ({}, 2),
}
#: Starts when the nightly catalogue has published.
FOLLOWS = "aluo_campaign"


@dataclass
class Played:
    """A cluster on which the examples have run. ``runs``: the run of each."""

    cluster: Cluster
    store: Store
    aluo: Aluo
    runs: dict[str, str] = field(default_factory=dict)

    def gallery(self, path: str) -> requests.Response:
        """Ask the gallery as somebody who has logged in."""
        with requests.Session() as session:
            session.trust_env = False
            login = {"username": USER, "password": PASSWORD}
            token = session.post(f"{self.cluster.url}/auth/token", json=login, timeout=60).json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            return session.get(f"{self.cluster.url}/aluo/{path}", headers=headers, timeout=60)

    def edits(self, dag_id: str) -> Any:
        """What the gallery tells of an example's run."""
        path = f"api/dags/{dag_id}/runs/{quote(self.runs[dag_id], safe='')}/edits"
        answer = self.gallery(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def played(home: Path, aluo: Aluo) -> Iterator[Played]:
    """Run the examples, all at once, to their end."""
    before = aluo.control("GET", "settings")
    aluo.control("PUT", "settings", {"durations": EDIT_SECONDS})
    aluo.control("DELETE", "ledger")
    with (
        Processes(home / "store") as processes,
        temporary_store(processes, "xcom", "logs", "pictures", "shop", "product-photos") as store,
    ):
        for photo in PHOTOS.glob("*.jpg"):
            store.client.put_object(Bucket="product-photos", Key=f"new/{photo.name}", Body=photo.read_bytes())
        environment = {
            "AIRFLOW_CONN_ALUO_DEFAULT": aluo.connection(plan="max"),
            "AIRFLOW_CONN_AWS_DEFAULT": store.connection,
            "AIRFLOW__CORE__XCOM_BACKEND": (
                "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
            ),
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://aws_default@xcom/values",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://logs/tasks",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        }
        dags = len(list(EXAMPLES.glob("*.py")))
        with clusters.started(
            home / "examples", dags_folder=EXAMPLES, dags=dags, environment=environment
        ) as cluster:
            played = Played(cluster, store, aluo)
            _play(played)
            yield played
    aluo.control("PUT", "settings", before)


def _play(played: Played) -> None:
    rest = played.cluster.rest()
    for dag_id in (*RUNS, FOLLOWS):
        rest.patch(f"dags/{dag_id}", {"is_paused": False})
    for dag_id, (conf, _) in RUNS.items():
        body = {"logical_date": None, "conf": conf}
        played.runs[dag_id] = rest.post(f"dags/{dag_id}/dagRuns", body)["dag_run_id"]
    played.cluster.wait(lambda: _over(played), PATIENCE, "the examples' end")
    # Its schedule has started it, too, when it was unpaused: whichever run came first has taken the photos.
    edited = (
        "select distinct run_id from task_instance where dag_id = 'aluo_nightly_catalogue' and map_index >= 0"
    )
    ((played.runs["aluo_nightly_catalogue"],),) = played.cluster.ask(edited)


def _over(played: Played) -> bool:
    states = played.cluster.ask("select dag_id, state from dag_run")
    ended = {dag_id for dag_id, state in states if state in {"success", "failed"}}
    return ended >= {*RUNS, FOLLOWS} and all(state in {"success", "failed"} for _, state in states)


def test_every_example_succeeds(played: Played) -> None:
    states = played.cluster.ask("select dag_id, state from dag_run")
    assert {dag_id for dag_id, _ in states} == {*RUNS, FOLLOWS}
    assert {state for _, state in states} == {"success"}
    ledger = played.aluo.control("GET", "ledger")
    assert ledger["totals"]["succeeded"] == sum(edits for _, edits in RUNS.values())
    assert ledger["twice"] == 0


def test_the_database_holds_references_only(played: Played) -> None:
    values = [value for (value,) in played.cluster.ask("select value from xcom where key = 'return_value'")]
    assert len(values) >= 20
    assert all("s3://aws_default@xcom/values" in json.dumps(value) for value in values)


def test_records_pass_from_task_to_task_through_the_object_store(played: Played) -> None:
    values = [json.loads(one) for one in played.store.objects("xcom").values()]
    records = [one for value in values for one in (value if isinstance(value, list) else [value])]
    files = [file for one in records if isinstance(one, dict) for file in one.get("files", [])]
    landed = {file["path"].rpartition("/")[2] for file in files}
    pictures = {key for bucket in ("pictures", "shop") for key in played.store.objects(bucket)}
    assert played.store.objects("pictures").keys() <= landed <= {key.rpartition("/")[2] for key in pictures}
    assert len(played.store.objects("pictures")) >= 11


@pytest.mark.parametrize("dag_id", RUNS)
def test_the_gallery_follows_the_references(played: Played, dag_id: str) -> None:
    told = played.edits(dag_id)
    assert told["totals"]["edits"] == told["totals"]["succeeded"] == RUNS[dag_id][1]
    for card in told["cards"]:
        assert card["prompt"]
        (after,) = card["after"]
        answer = played.gallery(after["picture"].removeprefix("aluo/"))
        assert (answer.status_code, answer.headers["content-type"].partition("/")[0]) == (200, "image")


def test_logs_of_tasks_lie_in_the_object_store(played: Played) -> None:
    ((tasks,),) = played.cluster.ask("select count(*) from task_instance where state = 'success'")
    assert tasks > 20
    edits = [one["aluo_task_id"].encode() for one in played.aluo.control("GET", "ledger")["entries"]]

    def there() -> bool:  # a supervisor sends its task's log after the end
        logs = played.store.objects("logs")
        everything = b"".join(logs.values())
        return len(logs) >= tasks and all(one in everything for one in edits)

    played.cluster.wait(there, 60, "the logs of all tasks")


def test_the_parts_log_json(played: Played) -> None:
    def told(part: str) -> list[Any]:
        logs = list(played.cluster.logs.glob(f"{part}.log"))
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]

    # One triggerer may get all the work; without any, each says every minute how many triggers it runs.
    for part in ("scheduler", "triggerer-*", "worker-left"):
        played.cluster.wait(lambda part=part: len(told(part)) > 5, 120, f"lines of JSON in the log of {part}")
        assert all(one["event"] for one in told(part)), part


def test_neither_logs_nor_xcoms_nor_the_database_hold_the_key(played: Played) -> None:
    key = KEY.encode()
    files = [one for one in played.cluster.logs.rglob("*") if one.is_file()]
    assert [one for one in files if key in one.read_bytes()] == []
    for bucket in ("logs", "xcom"):
        assert [name for name, content in played.store.objects(bucket).items() if key in content] == []
    dumped = subprocess.run(
        [
            str(postgres.binaries() / "pg_dump"),
            "-h",
            played.cluster.database_folder,
            "-U",
            "airflow",
            "postgres",
        ],
        capture_output=True,
        check=True,
    )
    assert len(dumped.stdout) > 100_000
    assert key not in dumped.stdout
