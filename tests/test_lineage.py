"""What is told to Airflow's lineage collector, by a collector of Airflow's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo import lineage
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.protocol import record
from tests.which_airflow import lineage as airflow_lineage

URL = "https://cdn.example/a.png?signature=5ecret"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Airflow's, as it is where a plugin such as OpenLineage reads it."""
    found = airflow_lineage.HookLineageCollector()
    monkeypatch.setattr(airflow_lineage, "get_hook_lineage_collector", lambda: found)
    return found


def collected(collector: Any) -> tuple[list[str], list[str]]:
    found = collector.collected_assets
    return [one.asset.uri for one in found.inputs], [one.asset.uri for one in found.outputs]


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        (URL, "https://cdn.example/a.png"),
        ("http://user:pass@cdn.example:8080/a%20b.png#top", "http://cdn.example:8080/a%20b.png"),
        ("https://cdn.example/größe 1.png", "https://cdn.example/gr%C3%B6%C3%9Fe%201.png"),
        ("s3://conn@bucket/folder/a.png", "s3://bucket/folder/a.png"),
        ("gs://bucket/a.png", "gs://bucket/a.png"),
        ("/data/a b.png", "file:///data/a%20b.png"),
        ("file:///data/a.png", "file:///data/a.png"),
    ],
)
def test_addresses_tell_no_secret_and_paths_are_whole(address: str, uri: str) -> None:
    assert lineage.uri(address) == uri


def test_a_relative_path_becomes_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lineage.uri("a.png") == lineage.uri("~/a.png") == (tmp_path / "a.png").as_uri()


def test_what_was_read_and_made_is_collected(collector: Any) -> None:
    lineage.report(object(), ["s3://aws@shop/a.png", "/data/b.png"], iter([URL]))
    assert collected(collector) == (
        ["s3://shop/a.png", "file:///data/b.png"],
        ["https://cdn.example/a.png"],
    )


def test_an_edit_was_made_of_its_photos_and_made_its_results(collector: Any) -> None:
    edit = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    request: dict[str, Any] = {"image_urls": [], "image_files": ["/data/b.png"]}
    lineage.report_edit(object(), edit | {"request": request, "result_urls": [URL]})
    assert collected(collector) == (["file:///data/b.png"], ["https://cdn.example/a.png"])


def test_an_edit_of_which_only_the_id_is_known_has_no_photos(collector: Any) -> None:
    lineage.report_edit(object(), record.of_edit("edit_1", aluo_conn_id="aluo_default"))
    assert collected(collector) == ([], [])


@pytest.mark.parametrize("bad", ["x" * 2000, "http://[broken/a.png", "airflow://reserved/a.png", 17])
def test_what_cannot_be_reported_fails_nothing_and_hides_nothing(collector: Any, bad: Any) -> None:
    lineage.report(object(), [bad, "/data/b.png"], [bad, URL])
    assert collected(collector) == (["file:///data/b.png"], ["https://cdn.example/a.png"])


def test_an_airflow_whose_collector_fails_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("a plugin is broken")

    monkeypatch.setattr(airflow_lineage, "get_hook_lineage_collector", broken)
    lineage.report(object(), ["/data/b.png"], [URL])


def test_without_a_reader_airflow_collects_nothing_and_nothing_fails() -> None:
    lineage.report(object(), ["/data/b.png"], [URL])
    assert not airflow_lineage.get_hook_lineage_collector().has_collected


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_an_edits_task_reports_when_it_returns_the_edit(
    sandbox: Any, tasks: Any, collector: Any, *, deferrable: bool
) -> None:
    task = PhotoEditOperator(
        task_id="edit",
        prompt="Make it blue",
        image_urls=f"{sandbox.photo}?signature=5ecret",
        poll_interval=0.1,
        deferrable=deferrable,
    )
    found = tasks.run(task)
    results = [url.partition("?")[0] for url in found["result_urls"]]
    assert collected(collector) == ([sandbox.photo], results)


def test_a_download_has_read_addresses_and_made_files(
    collector: Any, sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    edit = tasks.run(PhotoEditOperator(task_id="edit", prompt="x", image_urls=[sandbox.photo]))
    collector.__init__()  # type: ignore[misc]  # as it is for another task
    landed = tasks.run(PhotoDownloadOperator(task_id="land", edits=edit, destination=tmp_path))
    assert collected(collector) == (
        [lineage.uri(url) for url in edit["result_urls"]],
        [Path(file["path"]).as_uri() for file in landed["files"]],
    )


def test_a_publish_has_read_files_and_made_a_manifest(
    collector: Any, sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    edit = tasks.run(PhotoEditOperator(task_id="edit", prompt="x", image_urls=[sandbox.photo]))
    landed = tasks.run(PhotoDownloadOperator(task_id="land", edits=edit, destination=tmp_path / "landed"))
    collector.__init__()  # type: ignore[misc]  # as it is for another task
    tasks.run(PhotoPublishOperator(task_id="publish", edits=landed, destination=tmp_path / "shop"))
    assert collected(collector) == (
        [Path(file["path"]).as_uri() for file in landed["files"]],
        [(tmp_path / "shop" / "manifest.json").as_uri()],
    )


def test_a_batch_has_read_photos_and_made_what_it_landed(
    collector: Any, sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    found = tasks.run(
        PhotoEditBatchOperator(
            task_id="batch",
            photos=[sandbox.photo],
            prompts=["one", "two"],
            destination=tmp_path,
            poll_interval=0.1,
        )
    )
    inputs, outputs = collected(collector)
    assert set(inputs) == {lineage.uri(sandbox.photo)}
    assert outputs == [Path(file["path"]).as_uri() for edit in found for file in edit["files"]]
