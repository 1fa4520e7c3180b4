"""Landing and publishing on an S3-compatible store: whole objects or none, and nothing written twice."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import LOOPBACK
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.protocol.schemas import validator
from tests.servers.s3 import Store, connection
from tests.which_airflow import lineage

#: Of these tests alone: a process keeps the file system of a connection's id.
CONN_ID = "s3_of_tests"
#: Bytes of a picture's request that the gate lets through; the pictures of these tests have more.
HALF = 1 << 14
BUCKET = f"s3://{CONN_ID}@shop"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that has a process of its own."""
    folder, found = tmp_path_factory.mktemp("store"), Store()
    with Processes(folder) as processes:
        found.start(processes, MOTO_RECORDER_FILEPATH=str(folder / "recording"))
        yield found
        found.client.close()


@pytest.fixture
def s3(store: Store, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the store; its bucket `shop` is empty and keeps every version of an object."""
    assert sandbox
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", store.connection)
    client = store.client
    client.create_bucket(Bucket="shop")
    client.put_bucket_versioning(Bucket="shop", VersioningConfiguration={"Status": "Enabled"})
    yield client
    for one in versions(client):
        client.delete_object(Bucket="shop", Key=one["Key"], VersionId=one["VersionId"])
    client.delete_bucket(Bucket="shop")


def versions(s3: Any) -> list[Any]:
    """Return everything that was ever written, and every removal."""
    found = s3.list_object_versions(Bucket="shop")
    return [*found.get("Versions", []), *found.get("DeleteMarkers", [])]


def objects(s3: Any, prefix: str = "") -> dict[str, tuple[Any, str]]:
    """Return when each object was written, and its ETag."""
    listed = s3.list_objects_v2(Bucket="shop", Prefix=prefix).get("Contents", [])
    return {one["Key"]: (one["LastModified"], one["ETag"]) for one in listed}


def content(s3: Any, key: str) -> bytes:
    read: bytes = s3.get_object(Bucket="shop", Key=key)["Body"].read()
    return read


@pytest.fixture
def edited(sandbox: Any, tasks: Any) -> Any:
    """Return a function that has a photo edited: the record."""

    def edit(prompt: str) -> Any:
        task = PhotoEditOperator(
            task_id="edit", prompt=prompt, image_urls=sandbox.photo, num_images=2, poll_interval=0.1
        )
        tasks.ti.try_number, tasks.store.values = 1, {}
        return tasks.run(task)

    return edit


def land(edits: Any, folder: str = "landed") -> PhotoDownloadOperator:
    return PhotoDownloadOperator(task_id="land", edits=edits, destination=f"{BUCKET}/{folder}")


def publish(edits: Any) -> PhotoPublishOperator:
    return PhotoPublishOperator(task_id="publish", edits=edits, destination=f"{BUCKET}/catalogue")


def documents(text: str) -> Iterator[Any]:
    """Give the JSON documents of a text: moto's threads do not always part them by a line's end."""
    decoder, start = json.JSONDecoder(), 0
    while start < len(text := text.rstrip()):
        found, start = decoder.raw_decode(text, start)
        start += len(text[start:]) - len(text[start:].lstrip())
        yield found


def manifest(s3: Any) -> Any:
    found = json.loads(content(s3, "catalogue/manifest.json"))
    validator("manifest").validate(found)
    return found


# --- landing ---------------------------------------------------------------------------------------------


def test_pictures_land_and_a_second_run_writes_nothing(s3: Any, edited: Any, tasks: Any) -> None:
    edit = edited("Blue")
    landed = tasks.run(land(edit))
    paths = [file["path"] for file in landed["files"]]
    assert paths == [f"{BUCKET}/landed/{edit['aluo_task_id']}-{index}.png" for index in range(2)]
    for file in landed["files"]:
        key = file["path"].removeprefix(f"{BUCKET}/")
        assert len(content(s3, key)) == file["bytes"]
    before = objects(s3)
    assert set(before) == {path.removeprefix(f"{BUCKET}/") for path in paths}

    assert tasks.run(land(edit)) == landed
    assert objects(s3) == before
    assert len(versions(s3)) == 2


def test_what_has_landed_can_be_edited_and_landed_again(
    s3: Any, edited: Any, sandbox: Any, tasks: Any
) -> None:
    landed = tasks.run(land(edited("Blue")))
    again = PhotoEditOperator(
        task_id="again", prompt="Red", image_files=[landed["files"][0]["path"]], poll_interval=0.1
    )
    tasks.run(land(tasks.run(again), "again"))
    assert len(objects(s3, "again/")) == 1
    assert sandbox.accepted == 2


def test_the_lineage_names_objects_without_the_connection(
    s3: Any, edited: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert s3
    edit = edited("Blue")
    collector = lineage.HookLineageCollector()
    monkeypatch.setattr(lineage, "get_hook_lineage_collector", lambda: collector)
    landed = tasks.run(land(edit))
    made = [one.asset.uri for one in collector.collected_assets.outputs]
    assert made == [file["path"].replace(f"{CONN_ID}@", "") for file in landed["files"]]
    tasks.run(publish(landed))
    collected = collector.collected_assets
    assert [one.asset.uri for one in collected.outputs] == [*made, "s3://shop/catalogue/manifest.json"]
    assert set(made) <= {one.asset.uri for one in collected.inputs}


# --- a landing that is cut short -------------------------------------------------------------------------


class Gate:
    """Stands before the store and lets half of the first picture through; then it takes no more."""

    def __init__(self, store: Store) -> None:
        self._to = (LOOPBACK, store.port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        #: Half a picture has gone through.
        self.half = Event()
        self._cut = Event()
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Let the store see the end of all connections, and wait until it has seen it."""
        self._cut.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._to) as server:
            back = Thread(target=self._carry_back, args=(server, client), daemon=True)
            back.start()
            self._carry(client, server)
            server.shutdown(socket.SHUT_WR)
            back.join(60)

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        picture = 0
        with suppress(ConnectionError):
            while chunk := client.recv(1 << 12):
                server.sendall(chunk)
                picture += len(chunk) if picture or chunk.startswith(b"PUT ") else 0
                if picture > HALF:
                    self.half.set()
                    self._cut.wait()
                    return

    def _carry_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(ConnectionError):
            while chunk := server.recv(1 << 12):
                with suppress(OSError):  # a killed worker reads no more; the store's last word is awaited
                    client.sendall(chunk)


@pytest.fixture
def gate(store: Store) -> Iterator[Gate]:
    found = Gate(store)
    yield found
    found.cut()


WORKER = """
import json, sys
from types import SimpleNamespace
from airflow_aluo.operators.photo_download import PhotoDownloadOperator

edit, destination = json.loads(sys.argv[1]), sys.argv[2]
task = PhotoDownloadOperator(task_id="land", edits=edit, destination=destination)
ti = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="land", map_index=-1)
task.execute({"ti": ti})
"""


def test_a_worker_killed_in_the_middle_of_a_landing_leaves_no_object(
    s3: Any, gate: Gate, edited: Any, tasks: Any, tmp_path: Path
) -> None:
    edit = edited("Blue")
    environment = os.environ | {f"AIRFLOW_CONN_{CONN_ID.upper()}": connection(gate.url)}
    command = [sys.executable, "-c", WORKER, json.dumps(edit), f"{BUCKET}/landed"]
    with subprocess.Popen(command, env=environment | {"TMPDIR": str(tmp_path)}) as worker:
        assert gate.half.wait(120), "the worker sent nothing"
        worker.send_signal(signal.SIGKILL)
    assert worker.returncode == -signal.SIGKILL
    gate.cut()
    assert versions(s3) == []
    assert s3.list_multipart_uploads(Bucket="shop").get("Uploads", []) == []

    landed = tasks.run(land(edit))
    assert all(file["bytes"] > 2 * HALF for file in landed["files"])
    assert len(landed["files"]) == len(objects(s3)) == len(versions(s3)) == 2


# --- publishing ------------------------------------------------------------------------------------------


def test_a_set_is_published_and_a_second_run_writes_nothing(s3: Any, edited: Any, tasks: Any) -> None:
    landed = tasks.run(land(edited("Blue")))
    published = tasks.run(publish(landed))
    assert published["manifest"] == f"{BUCKET}/catalogue/manifest.json"
    found = manifest(s3)
    keys = {f"catalogue/{one['path']}" for one in found["pictures"]}
    assert set(objects(s3, "catalogue/")) == {"catalogue/manifest.json", *keys}
    assert [len(content(s3, f"catalogue/{one['path']}")) for one in found["pictures"]] == [
        file["bytes"] for file in landed["files"]
    ]
    before, written = objects(s3), len(versions(s3))
    assert tasks.run(publish(landed)) == published
    assert (objects(s3), len(versions(s3))) == (before, written)


def test_the_set_before_stays_and_the_one_before_that_goes(s3: Any, edited: Any, tasks: Any) -> None:
    sets = []
    for prompt in ("Blue", "Red", "Green"):
        sets.append(tasks.run(publish(tasks.run(land(edited(prompt)))))["set"])
        found = manifest(s3)
        assert (found["set"], found["previous"]) == (sets[-1], sets[-2:-1])
        there = {key.split("/")[2] for key in objects(s3, "catalogue/sets/")}
        assert there == set(sets[-2:])
    assert len(set(sets)) == 3


def test_the_manifest_is_written_last(s3: Any, edited: Any, tasks: Any, store: Store) -> None:
    """The store is asked in which order it was written to."""
    import requests

    first, second, landed = (tasks.run(land(edited(prompt))) for prompt in ("Red", "Green", "Blue"))
    dropped = tasks.run(publish(first))["set"]
    kept = tasks.run(publish(second))["set"]
    for action in ("reset-recording", "start-recording"):
        requests.post(f"{store.url}/moto-api/recorder/{action}", timeout=20).raise_for_status()
    tasks.run(publish(landed))
    requests.post(f"{store.url}/moto-api/recorder/stop-recording", timeout=20).raise_for_status()
    recording = requests.get(f"{store.url}/moto-api/recorder/download-recording", timeout=20)
    asked = list(documents(recording.text))
    changed = [(one["method"], one["url"]) for one in asked if one["method"] not in {"GET", "HEAD"}]
    puts = [url for method, url in changed if method == "PUT"]
    assert len(puts) == 3
    assert puts[-1].endswith("/shop/catalogue/manifest.json")
    # What was dropped is removed when no manifest names it any more.
    assert [method for method, _ in changed[:3]] == ["PUT"] * 3
    assert len(changed) > 3
    assert manifest(s3)["previous"] == [kept]
    assert not objects(s3, f"catalogue/sets/{dropped}")
