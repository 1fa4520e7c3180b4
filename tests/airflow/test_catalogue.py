"""New photos in a bucket become a published set, and that starts the campaign: nights of a real Airflow."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_aluo
from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.protocol.schemas import validator

PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"
NIGHTLY, CAMPAIGN = "aluo_nightly_catalogue", "aluo_campaign"
ENDED = {"success", "failed"}


def wait_until(is_so: Callable[[], Any], seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.3)
    return found


class Nights:
    """The shop's nights, one after the other."""

    def __init__(self, airflow: LocalAirflow, s3: Any, sandbox: Any) -> None:
        self.airflow, self.s3, self.sandbox = airflow, s3, sandbox

    def pause(self, dag_id: str, *, paused: bool) -> None:
        self.airflow.rest.change("PATCH", f"dags/{dag_id}", {"is_paused": paused})

    def new(self, photo: str, key: str) -> None:
        self.s3.put_object(
            Bucket="product-photos", Key=f"new/{key}", Body=PHOTOS.joinpath(photo).read_bytes()
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", [])]

    def runs(self, dag_id: str) -> list[Any]:
        runs: list[Any] = self.airflow.rest.get(f"dags/{dag_id}/dagRuns", order_by="run_after", limit=100)[
            "dag_runs"
        ]
        return runs

    def pass_by(self) -> list[Any]:
        """Let a night pass and return its runs: midnight may have just started one, too."""
        # One that the schedule has just started may take the photos: it is of this night.
        before = {run["dag_run_id"] for run in self.runs(NIGHTLY) if run["state"] in ENDED}
        self.airflow.trigger(NIGHTLY)
        runs = wait_until(lambda: (found := self.runs(NIGHTLY)) and _all_ended(found) and found)
        return [run for run in runs if run["dag_run_id"] not in before]

    def published(self, runs: list[Any]) -> Any:
        """Return the one run of these that has published, and what."""
        done = [run for run in runs if self.states(NIGHTLY, run)["publish"] == "success"]
        (run,) = done
        return run, self.airflow.xcom(NIGHTLY, run["dag_run_id"], "publish")

    def states(self, dag_id: str, run: Any) -> Any:
        return self.airflow.task_states(dag_id, run["dag_run_id"])

    def manifest(self, published: Any) -> tuple[str, Any]:
        """Return the folder of a set's manifest in the bucket, and what the manifest says."""
        key = published["manifest"].removeprefix("s3://aws_default@shop/")
        found = json.loads(self.s3.get_object(Bucket="shop", Key=key)["Body"].read())
        validator("manifest").validate(found)
        return key.rpartition("/")[0], found


def _all_ended(runs: list[Any]) -> bool:
    return all(run["state"] in ENDED for run in runs)


@pytest.fixture(scope="module")
def nights(airflow: LocalAirflow, s3: Any, sandbox: Any) -> Iterator[Nights]:
    found = Nights(airflow, s3, sandbox)
    sandbox.control("DELETE", "ledger")
    for bucket in ("product-photos", "shop"):
        s3.create_bucket(Bucket=bucket)
    for dag_id in (CAMPAIGN, NIGHTLY):
        airflow.wait_for_dag(dag_id)
        assert airflow.rest.get(f"dags/{dag_id}")["is_paused"]
        found.pause(dag_id, paused=False)
    yield found
    for dag_id in (CAMPAIGN, NIGHTLY):
        found.pause(dag_id, paused=True)


@pytest.fixture(scope="module")
def first(nights: Nights) -> Any:
    """The first night, with two new photos: its run, and what it has published."""
    nights.new("coffee.jpg", "mug 1.jpg")
    nights.new("rocket.jpg", "rocket.JPG")
    nights.s3.put_object(Bucket="product-photos", Key="new/notes.txt", Body=b"no photo")
    return nights.published(nights.pass_by())


@pytest.fixture(scope="module")
def second(nights: Nights, first: Any) -> list[Any]:
    """The second night, without a new photo: its runs."""
    assert first
    wait_until(lambda: nights.runs(CAMPAIGN) and _all_ended(nights.runs(CAMPAIGN)))
    return nights.pass_by()


@pytest.fixture(scope="module")
def third(nights: Nights, second: Any) -> Any:
    """The third night, with one new photo, called as one before: its run, and what it has published."""
    assert second
    nights.new("rocket.jpg", "mug 1.jpg")
    return nights.published(nights.pass_by())


def test_a_nights_photos_are_published_as_one_set(nights: Nights, first: Any) -> None:
    run, published = first
    assert set(nights.states(NIGHTLY, run).values()) == {"success"}
    folder, manifest = nights.manifest(published)
    assert published["pictures"] == 2
    assert [picture["path"].rpartition("/")[2] for picture in manifest["pictures"]] == [
        "mug_1-0.webp",
        "rocket-0.webp",
    ]
    for picture in manifest["pictures"]:
        there = nights.s3.head_object(Bucket="shop", Key=f"{folder}/{picture['path']}")
        assert there["ContentLength"] == picture["bytes"]
        taken = picture["source"].removeprefix("s3://product-photos/")
        assert taken in nights.keys("product-photos", "taken/")
    assert nights.keys("product-photos", "new/") == ["new/notes.txt"]


def test_the_campaign_starts_with_the_event_and_reads_the_pictures(nights: Nights, first: Any) -> None:
    _, published = first
    runs = wait_until(lambda: (found := nights.runs(CAMPAIGN)) and _all_ended(found) and found)
    assert (runs[0]["run_type"], runs[0]["state"]) == ("asset_triggered", "success")
    run_id = runs[0]["dag_run_id"]
    (event,) = nights.airflow.rest.get(f"dags/{CAMPAIGN}/dagRuns/{run_id}/upstreamAssetEvents")[
        "asset_events"
    ]
    assert published.items() <= event["extra"].items()
    assert (event["source_dag_id"], event["source_task_id"]) == (NIGHTLY, "publish")
    base = published["manifest"].rpartition("/")[0]
    _, manifest = nights.manifest(published)
    expected = [f"{base}/{picture['path']}" for picture in manifest["pictures"]]
    assert nights.airflow.xcom(CAMPAIGN, run_id, "pictures") == expected
    assert nights.airflow.xcom(CAMPAIGN, run_id, "letter") == "New in the shop: mug_1-0, rocket-0"


def test_a_night_without_new_photos_is_skipped_and_costs_nothing(nights: Nights, second: Any) -> None:
    for run in second:
        assert run["state"] == "success"
        states = nights.states(NIGHTLY, run)
        assert states.pop("take") == "success"
        assert set(states.values()) == {"skipped"}
    assert nights.airflow.import_errors() == {}


def test_a_photo_is_edited_in_one_night_only(nights: Nights, first: Any, third: Any) -> None:
    totals = nights.sandbox.ledger()["totals"]
    assert (totals["accepted"], totals["succeeded"]) == (3, 3)
    (_, before), (_, after) = first, third
    assert (before["pictures"], after["pictures"]) == (2, 1)
    # What an earlier night has published stays where the campaign has found it.
    folder, manifest = nights.manifest(before)
    assert {f"{folder}/{one['path']}" for one in manifest["pictures"]} <= set(nights.keys("shop"))
    assert nights.manifest(after)[0] != folder


def test_only_nights_with_pictures_start_a_campaign(nights: Nights, third: Any) -> None:
    assert third
    runs = wait_until(lambda: len(found := nights.runs(CAMPAIGN)) > 1 and _all_ended(found) and found)
    assert [run["state"] for run in runs] == ["success"] * 2
    assert nights.airflow.xcom(CAMPAIGN, runs[1]["dag_run_id"], "letter") == "New in the shop: mug_1-0"


def test_a_campaign_that_is_started_by_hand_has_nothing_to_say(nights: Nights, third: Any) -> None:
    assert third
    run_id = nights.airflow.trigger(CAMPAIGN)
    assert nights.airflow.wait_for_run(CAMPAIGN, run_id, timeout=120) == "success"
    assert nights.airflow.xcom(CAMPAIGN, run_id, "letter") == "New in the shop: nothing"
