"""The operator that lands pictures: what it takes, where it puts them, what it never does."""

import hashlib
import json
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.execution_time.context import set_current_context
from airflow.sdk.io import attach
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image

from airflow_aluo.airflow_names import AirflowFailException, AirflowNotFoundException
from airflow_aluo.batch.results import expanded, returned
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import (
    AluoAddressRefused,
    AluoConnectionError,
    AluoEditFailed,
    AluoPictureError,
    AluoRequestInvalid,
)
from airflow_aluo.protocol.schemas import validator


@pytest.fixture(scope="session")
def png(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    Image.new("RGB", (4, 3), "red").save(path)
    return path.read_bytes()


@pytest.fixture
def finished(played: Any, png: bytes) -> Any:
    """The record of a finished edit, whose picture the played server gives."""
    played.reply(200, png)
    return edit_record("edit_1", f"{played.url}/pictures/a.png?signature=secret")


def edit_record(aluo_task_id: str, *urls: str) -> Any:
    pending = record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")
    return pending | {"status": "SUCCESS", "result_urls": list(urls)}


def land(edits: Any, folder: Path | str, **kwargs: Any) -> PhotoDownloadOperator:
    return PhotoDownloadOperator(task_id="land", edits=edits, destination=folder, **kwargs)


class LazySequence(Sequence[Any]):
    """Looks like the XComs of a mapped task: neither a list nor read before it is asked."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


# --- what it takes ---------------------------------------------------------------------------------------


def test_pictures_of_a_sandbox_edit_land_as_the_record_says(sandbox: Any, tasks: Any, tmp_path: Path) -> None:
    edit = PhotoEditOperator(
        task_id="edit", prompt="Blue", image_urls=sandbox.photo, num_images=2, output_format="jpeg"
    )
    edit.poll_interval = 0.1
    done = tasks.run(edit)
    landed = tasks.run(land(done, tmp_path))
    validator("edit_record").validate(json.loads(json.dumps(landed)))
    assert [Path(file["path"]).name for file in landed["files"]] == [
        f"{done['aluo_task_id']}-{index}.jpg" for index in range(2)
    ]
    for file in landed["files"]:
        content = Path(file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        with Image.open(file["path"]) as picture:
            assert (file["width"], file["height"]) == picture.size
    assert landed["times"]["landed_at"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        Path(file["path"]).name for file in landed["files"]
    )


@pytest.mark.parametrize("as_text", [json.dumps, str, None], ids=["json", "python", "object"])
def test_one_record_gives_one_record_back(finished: Any, tasks: Any, tmp_path: Path, as_text: Any) -> None:
    found = tasks.run(land(as_text(finished) if as_text else finished, str(tmp_path)))
    assert (found["aluo_task_id"], len(found["files"])) == ("edit_1", 1)


@pytest.mark.parametrize("many", [list, tuple, lambda items: LazySequence(*items), str])
def test_several_records_give_a_list_back(finished: Any, tasks: Any, tmp_path: Path, many: Any) -> None:
    second = finished | {"aluo_task_id": "edit_2"}
    task = land("{{ params.edits }}", tmp_path)
    task.edits = many([finished, second])
    found = tasks.run(task)
    assert [one["aluo_task_id"] for one in found] == ["edit_1", "edit_2"]
    assert {path.name for path in tmp_path.iterdir()} == {"edit_1-0.png", "edit_2-0.png"}


def test_a_list_of_one_record_gives_a_list_back(finished: Any, tasks: Any, tmp_path: Path) -> None:
    assert len(tasks.run(land([finished], tmp_path))) == 1


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.usefixtures("connections")
def test_plain_addresses_need_no_connection(
    finished: Any, played: Any, tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, many: bool
) -> None:
    assert finished
    monkeypatch.delenv("AIRFLOW_CONN_ALUO_DEFAULT")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", played.url)
    url = "http://cdn.example/a.png?signature=secret"
    found = tasks.run(land([url, url] if many else url, tmp_path))
    assert (found["aluo_task_id"], found["aluo_conn_id"], found["status"]) == (None, None, "UNKNOWN")
    assert len(found["files"]) == 1 + many
    names = {Path(file["path"]).name for file in found["files"]}
    assert all(re.fullmatch(r"a-[0-9a-f]{8}-[01]\.png", name) for name in names)
    assert len(names) == 1 + many


def test_what_another_task_returned_is_landed(finished: Any, tasks: Any, tmp_path: Path) -> None:
    with DAG("a_dag", schedule=None):
        edit = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls="https://x.example/a.png")
        task = land(edit.output, "{{ params.folder }}")
    assert task.upstream_task_ids == {"edit"}
    tasks.ti.xcoms["edit", "return_value"] = finished
    found = tasks.run(task, folder=str(tmp_path))
    assert Path(found["files"][0]["path"]).parent == tmp_path


def test_a_task_that_sent_nothing_is_named(tasks: Any, tmp_path: Path) -> None:
    with DAG("a_dag", schedule=None):
        edit = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls="https://x.example/a.png")
        task = land(edit.output, tmp_path)
    with pytest.raises(
        AirflowFailException, match="edits: nothing came; expected an edit record from task 'e"
    ):
        tasks.run(task)


# --- what a batch returned -------------------------------------------------------------------------------


def parts(records: list[Any], folder: Path) -> Any:
    """Write the records as a batch does, and return the references."""
    fitting = records * (200 // len(records))
    found = returned(fitting, results_path=str(folder), destination=None, name="a.jsonl", log=None)
    assert found.path
    return found.value


@pytest.mark.parametrize("as_text", [json.dumps, str, None], ids=["json", "python", "object"])
def test_a_reference_to_results_lands_all_of_its_pictures(
    finished: Any, tasks: Any, tmp_path: Path, as_text: Any
) -> None:
    part = parts([finished, finished | {"aluo_task_id": "edit_2"}], tmp_path)[1]
    found = expanded(tasks.run(land(as_text(part) if as_text else part, tmp_path / "landed")))
    assert [one["aluo_task_id"] for one in found] == ["edit_1", "edit_2"] * (part["edits"] // 2)
    assert {path.name for path in (tmp_path / "landed").glob("*.png")} == {"edit_1-0.png", "edit_2-0.png"}


@pytest.mark.parametrize("many", [list, tuple, lambda items: LazySequence(*items), str])
def test_references_and_records_may_be_mixed(finished: Any, tasks: Any, tmp_path: Path, many: Any) -> None:
    first, second = parts([finished], tmp_path)
    task = land("{{ params.edits }}", tmp_path / "landed")
    task.edits = many([first, finished | {"aluo_task_id": "edit_2"}, second])
    found = expanded(tasks.run(task))
    assert [one["aluo_task_id"] for one in found] == [*["edit_1"] * 100, "edit_2", *["edit_1"] * 100]


def test_what_several_batches_returned_is_landed_together(finished: Any, tasks: Any, tmp_path: Path) -> None:
    task = land("{{ params.edits }}", tmp_path)
    task.edits = LazySequence([finished], [finished | {"aluo_task_id": "edit_2"}])
    assert [one["aluo_task_id"] for one in tasks.run(task)] == ["edit_1", "edit_2"]


def test_a_reference_whose_file_is_gone_is_named(finished: Any, tasks: Any, tmp_path: Path) -> None:
    part = parts([finished], tmp_path)[0]
    Path(part["results"]).unlink()
    with pytest.raises(AirflowFailException, match=r"a\.jsonl.*FileNotFoundError"):
        tasks.run(land(part, tmp_path))


def failed(aluo_task_id: str) -> Any:
    pending = record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")
    return record.failed(pending, AluoEditFailed(f"{aluo_task_id} ended", aluo_task_id=aluo_task_id), at=0.0)


def test_edits_that_failed_are_left_out_with_one_warning(
    finished: Any, tasks: Any, tmp_path: Path, logs: list[str]
) -> None:
    request = photo_edit.read({"prompt": "Blue", "image_urls": "https://x.example/a.png"})
    refused = record.not_accepted(request, OSError("no such photo"), aluo_conn_id="aluo_default")
    found = tasks.run(land([failed("edit_0"), finished, refused], tmp_path))
    assert [one["aluo_task_id"] for one in found] == ["edit_1"]
    (warning,) = [line for line in logs if line.startswith("warning")]
    assert "left out of 3 edits: edit_0 failed (edit_0 ended), one without an id failed (no such" in warning


def test_of_many_that_failed_a_few_are_named(finished: Any, tasks: Any, tmp_path: Path) -> None:
    edits = [failed(f"edit_{index}") for index in range(100)]
    assert len(tasks.run(land([*edits, finished], tmp_path))) == 1
    with pytest.raises(
        AirflowFailException,
        match=r"none of 100 edits has pictures: edit_0 failed \(edit_0 ended\),.* and 95 more; expected",
    ):
        tasks.run(land(edits, tmp_path))


@pytest.mark.parametrize("many", [False, True])
def test_nothing_but_edits_that_failed_is_an_error_that_says_why(
    tasks: Any, tmp_path: Path, *, many: bool
) -> None:
    edit = failed("edit_7")
    with pytest.raises(AirflowFailException, match="edit_7 ended"):
        tasks.run(land([edit] if many else edit, tmp_path))
    assert list(tmp_path.iterdir()) == []


# --- what it does not take -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (edit_record("edit_1"), "edit_1 is SUCCESS"),
        (edit_record("edit_1") | {"status": "SUBMITTED"}, "edit_1 is SUBMITTED; expected finished edits"),
        ([edit_record("edit_1") | {"status": "WORKING"}], "edit_1 is WORKING"),
        ([edit_record("edit_1", "https://x.example/a.png"), "https://x.example/b.png"], "edit record"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_landed_is_said_clearly(tasks: Any, tmp_path: Path, edits: Any, said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        tasks.run(land(edits, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "edits",
    [None, "", "None", [], [[]], {}, 17, "not url", "file:///x.png", ["https://x.example/a.png", "b.png"]],
)
def test_what_can_never_be_landed_is_said_when_the_dag_is_parsed_and_when_it_runs(
    tasks: Any, tmp_path: Path, *, edits: Any
) -> None:
    said = "download cannot be used, nothing was fetched: edits: .*; expected edit records or http"
    with pytest.raises(AluoRequestInvalid, match=said):
        land(edits, tmp_path)
    later = land("{{ params.edits }}", tmp_path)
    with pytest.raises(AirflowFailException, match=said):
        tasks.run(later, edits=edits)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_of_what_mapped_tasks_returned_is_nothing_to_land(tasks: Any, tmp_path: Path) -> None:
    task = land("{{ later }}", tmp_path)
    task.edits = LazySequence()
    with pytest.raises(AirflowFailException, match=r"edits: \[\]; expected edit records"):
        tasks.run(task)


@pytest.mark.parametrize(
    "edits",
    [
        "{{ ti }}",
        ["{{ ti }}", "HTTPS://x.example/a.png"],
        " https://x.example/a.png\n",
        '["https://x.example"]',
    ],
)
def test_what_may_be_landed_is_left_alone_when_the_dag_is_parsed(edits: Any, tmp_path: Path) -> None:
    assert land(edits, tmp_path).edits == edits


def test_a_mapped_instance_for_which_nothing_came_names_the_task_when_it_runs(
    tasks: Any, tmp_path: Path
) -> None:
    with DAG("a_dag", schedule=None):
        edit = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls="https://x.example/a.png")
        mapped = PhotoDownloadOperator.partial(task_id="land", destination=str(tmp_path)).expand(
            edits=edit.output
        )
    task = mapped.unmap({"task_id": "land", "edits": None, "destination": str(tmp_path)})
    task.upstream_task_ids.add("edit")
    with pytest.raises(AirflowFailException, match="nothing came; expected an edit record from task 'edit'"):
        tasks.run(task)


@pytest.mark.parametrize("destination", ["", "  ", "None", None])
def test_no_destination_is_not_the_workers_folder(
    finished: Any, tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, destination: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    said = "nothing was fetched: destination: .*; expected a local folder"
    with pytest.raises(AluoRequestInvalid, match=said):
        land(finished, destination)
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoDownloadOperator.partial(task_id="land", destination=destination)
    with pytest.raises(AirflowFailException, match=said):
        tasks.run(land(finished, "{{ params.folder }}"), folder=destination)
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_an_argument_is_said_of_the_download() -> None:
    with pytest.raises(
        AluoRequestInvalid, match=r"^download cannot be used, nothing was fetched: at_once: -3"
    ):
        land("{{ later }}", "/tmp", at_once=-3)  # noqa: S108  # nothing is written


# --- what succeeded, and did not land ---------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True])
def test_an_edit_whose_picture_did_not_land_lands_now(
    finished: Any, tasks: Any, tmp_path: Path, *, many: bool
) -> None:
    lost = record.failed(finished, AluoPictureError("too large", url="https://x.example"), at=0.0)
    found = tasks.run(land([failed("edit_0"), lost] if many else lost, tmp_path))
    (edit,) = found if many else [found]
    validator("edit_record").validate(edit)
    assert "error" not in edit
    assert edit["files"][0]["path"] == str(tmp_path / "edit_1-0.png")


# --- how it is fetched -----------------------------------------------------------------------------------


def test_the_key_is_not_sent_to_a_pictures_host(
    finished: Any, played: Any, connections: Any, tasks: Any, tmp_path: Path, *, logs: list[str]
) -> None:
    tasks.run(land(finished, tmp_path))
    ((what, headers),) = played.requests
    assert what == "GET /pictures/a.png?signature=secret"
    assert "authorization" not in headers
    assert connections.key not in str(headers)
    assert "signature=secret" not in str(logs)


@pytest.mark.parametrize("own", [False, True], ids=["the-records-connection", "the-tasks-connection"])
def test_the_connections_proxy_is_used(
    finished: Any, played: Any, connections: Any, tasks: Any, tmp_path: Path, *, own: bool
) -> None:
    conn_id = "aluo_own" if own else "aluo_default"
    connections.set("https://aluo.example/api", conn_id, proxy=played.url)
    finished["result_urls"] = ["http://cdn.example/a.png"]
    tasks.run(land(finished, tmp_path, aluo_conn_id=conn_id if own else None))
    assert [what for what, _ in played.requests] == ["GET http://cdn.example/a.png"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody trusts yet, and its key in the same file."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a picture's host")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def encrypted(played: Any, certificate: Path) -> Iterator[str]:
    """The played server, spoken to over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = played.server.socket
    played.server.socket = context.wrap_socket(plain, server_side=True)
    yield played.url.replace("http://", "https://")
    played.server.socket.close()


def test_the_connections_certificates_are_used(
    finished: Any, encrypted: str, certificate: Path, connections: Any, tasks: Any, *, tmp_path: Path
) -> None:
    finished["result_urls"] = [f"{encrypted}/a.png"]
    connections.set("https://aluo.example/api", verify=str(certificate), allow_private_hosts="127.0.0.1")
    (file,) = tasks.run(land(finished, tmp_path / "landed"))["files"]
    assert file["format"] == "png"


def test_without_them_nothing_is_fetched(
    finished: Any, encrypted: str, connections: Any, tasks: Any, tmp_path: Path, *, clock: Any
) -> None:
    finished["result_urls"] = [f"{encrypted}/a.png"]
    connections.set("https://aluo.example/api", allow_private_hosts="127.0.0.1")

    async def soon(seconds: float) -> None:
        clock.shift(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncio.sleep", soon)
        with pytest.raises(AluoConnectionError, match=r"(?i)certificate.verify.failed"):
            tasks.run(land(finished, tmp_path / "landed"))
    assert list((tmp_path / "landed").iterdir()) == []


def test_a_connection_that_is_not_there_is_named(finished: Any, tasks: Any, tmp_path: Path) -> None:
    with pytest.raises(AirflowNotFoundException, match="aluo_elsewhere"):
        tasks.run(land(finished, tmp_path, aluo_conn_id="aluo_elsewhere"))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"", "results are short-lived"),
        (403, b"", "HTTP 403"),
        (200, b"<html>log in</html>", "not a picture"),
        (200, b"", "not a picture"),
    ],
)
def test_what_is_no_picture_may_be_tried_again_and_leaves_nothing_behind(
    played: Any, tasks: Any, tmp_path: Path, *, status: int, body: bytes, said: str
) -> None:
    played.reply(status, body)
    played.refuse(400, -1)  # no fresh address either
    edit = edit_record("edit_1", f"{played.url}/a.png?signature=secret")
    with pytest.raises(AluoPictureError, match=said) as caught:
        tasks.run(land(edit, tmp_path))
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_larger_than_allowed_is_not_kept(finished: Any, tasks: Any, tmp_path: Path) -> None:
    with pytest.raises(AluoPictureError, match="expected at most 10"):
        tasks.run(land(finished, tmp_path, max_bytes=10))
    assert list(tmp_path.iterdir()) == []


# --- addresses that have expired -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 410])
def test_one_look_asks_for_a_fresh_address(
    played: Any, tasks: Any, png: bytes, tmp_path: Path, logs: list[str], *, status: int
) -> None:
    fresh = f"{played.url}/fresh.png?signature=new"
    played.reply(status)
    played.status("SUCCESS", fresh)
    played.reply(200, png)
    found = tasks.run(land(edit_record("edit_1", f"{played.url}/old.png"), tmp_path))
    assert [what for what, _ in played.requests] == [
        "GET /old.png",
        "GET /photo-editor/status?taskId=edit_1",
        "GET /fresh.png?signature=new",
    ]
    assert found["result_urls"] == [fresh]
    said = "info: the addresses of edit edit_1 had expired; a look at it gave fresh ones"
    assert [line for line in logs if "expired" in line] == [said]
    assert Path(found["files"][0]["path"]).read_bytes() == png


def test_a_look_for_a_fresh_address_is_counted(
    played: Any, tasks: Any, statsd: Any, png: bytes, tmp_path: Path
) -> None:
    played.reply(403)
    played.refuse(429, -3, headers={"Retry-After": "0.5"})
    played.status("SUCCESS", f"{played.url}/fresh.png")
    played.reply(200, png)
    old = edit_record("edit_1", f"{played.url}/old.png")
    operator = land(old, tmp_path)
    with set_current_context(tasks.context(operator)):
        tasks.run(operator)
    found = statsd.found(dag_id="a_dag", task_id="land", conn_id="aluo_default")
    assert found == {"aluo.looks": 2, "aluo.refused": 1}


def test_a_fresh_address_that_has_expired_too_is_the_end(played: Any, tasks: Any, tmp_path: Path) -> None:
    played.reply(403)
    played.status("SUCCESS", f"{played.url}/fresh.png")
    played.reply(403)
    with pytest.raises(
        AluoPictureError,
        match=r"fresh.png answered HTTP 403; a fresh address was asked for, and did not help",
    ):
        tasks.run(land(edit_record("edit_1", f"{played.url}/old.png"), tmp_path))
    assert len(played.requests) == 3


def test_a_look_that_finds_no_fresh_address_says_so_beside_the_expired_one(
    played: Any, tasks: Any, tmp_path: Path
) -> None:
    played.reply(404)
    played.refuse(404, -1)
    with pytest.raises(AluoPictureError, match=r"old.png answered HTTP 404.*a look for a fresh address fail"):
        tasks.run(land(edit_record("edit_1", f"{played.url}/old.png"), tmp_path))


def test_a_look_that_finds_another_number_of_pictures_is_not_used(
    played: Any, tasks: Any, tmp_path: Path
) -> None:
    played.reply(404)
    played.status("SUCCESS", f"{played.url}/a.png", f"{played.url}/b.png")
    with pytest.raises(
        AluoPictureError, match=r"old.png answered HTTP 404; .*found the edit SUCCESS with 2 pictures, not 1"
    ):
        tasks.run(land(edit_record("edit_1", f"{played.url}/old.png"), tmp_path))


# --- many ------------------------------------------------------------------------------------------------


def test_what_can_land_lands_before_the_task_fails(
    played: Any, tasks: Any, png: bytes, tmp_path: Path, *, logs: list[str]
) -> None:
    played.reply(200, b"no picture", headers={"Content-Type": "text/html"})
    played.reply(200, png)
    edits = [edit_record(f"edit_{number}", f"{played.url}/{number}.png") for number in range(5)]
    with pytest.raises(AluoPictureError, match="is text/html"):
        tasks.run(land(edits, tmp_path, at_once=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"edit_{n}-0.png" for n in range(1, 5)]
    assert any("1 of 5 edits did not land; the others are there" in line for line in logs)


def test_two_pictures_with_one_name_are_named_before_anything_is_fetched(
    played: Any, tasks: Any, tmp_path: Path
) -> None:
    edits = [edit_record(f"edit_{number}", f"{played.url}/a.png") for number in range(2)]
    for if_exists in ("skip_identical", "overwrite", "skip", "fail"):
        task = land(edits, tmp_path, name="{photo}.{ext}", if_exists=if_exists)
        with pytest.raises(
            AirflowFailException, match=r"calls picture 0 of edit_0 and picture 0 of edit_1 'a"
        ):
            tasks.run(task)
    for prompt, edit in zip(("Blue", "Red"), edits, strict=True):
        edit["request"] = photo_edit.read(
            {"prompt": prompt, "image_urls": "https://x.example/a.png"}
        ).to_json()
    with pytest.raises(AirflowFailException, match=r"add \{prompt\}, \{aluo_task_id\}, \{position\}"):
        tasks.run(land(edits, tmp_path, name="{photo}.{ext}"))
    two = edit_record("edit_1", f"{played.url}/a.png", f"{played.url}/b.png")
    with pytest.raises(AirflowFailException, match=r"add \{aluo_task_id\}, \{position\} or \{index\}"):
        tasks.run(land(two, tmp_path, name="{aluo_task_id}.{ext}"))
    assert played.requests == []


def test_plain_addresses_are_named_by_their_position_and_one_bad_one_keeps_no_other_from_landing(
    played: Any, tasks: Any, png: bytes, tmp_path: Path
) -> None:
    played.reply(404)
    played.reply(200, png)
    urls = [f"{played.url}/{number}.png" for number in range(5)]
    task = land(urls, tmp_path, name="{position}.{ext}", aluo_conn_id="aluo_default", at_once=1)
    with pytest.raises(AluoPictureError, match="HTTP 404"):
        tasks.run(task)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png", "3.png", "4.png"]


@pytest.mark.parametrize("if_exists", ["skip", "fail", "skip_identical"])
def test_what_somebody_writes_while_a_picture_is_fetched_is_not_written_over(
    played: Any, tasks: Any, png: bytes, tmp_path: Path, *, if_exists: str
) -> None:
    there = tmp_path / "edit_1-0.png"
    Image.new("RGB", (8, 6), "blue").save(tmp_path / "theirs.png")
    theirs = (tmp_path / "theirs.png").read_bytes()
    played.reply(200, png, meanwhile=lambda: there.write_bytes(theirs))
    task = land(edit_record("edit_1", f"{played.url}/a.png"), tmp_path, if_exists=if_exists)
    if if_exists == "skip":
        (file,) = tasks.run(task)["files"]
        assert (file["width"], file["height"]) == (8, 6)
    else:
        with pytest.raises(AluoPictureError, match="another file stands at"):
            tasks.run(task)
    assert there.read_bytes() == theirs


def test_trouble_with_one_file_keeps_no_other_picture_from_landing(
    played: Any, tasks: Any, png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "edit_0-0.png").mkdir()
    played.reply(200, png)
    edits = [edit_record(f"edit_{number}", f"{played.url}/{number}.png") for number in range(4)]
    with pytest.raises(AluoPictureError, match="IsADirectoryError"):
        tasks.run(land(edits, tmp_path, if_exists="overwrite", at_once=1))
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == 3


def test_one_look_serves_all_pictures_of_an_edit(played: Any, tasks: Any, png: bytes, tmp_path: Path) -> None:
    played.reply(403)
    played.status("SUCCESS", f"{played.url}/x.png", f"{played.url}/y.png")
    played.reply(200, png)
    edit = edit_record("edit_1", f"{played.url}/a.png", f"{played.url}/b.png")
    found = tasks.run(land(edit, tmp_path, at_once=1))
    assert [what for what, _ in played.requests].count("GET /photo-editor/status?taskId=edit_1") == 1
    assert found["result_urls"] == [f"{played.url}/x.png", f"{played.url}/y.png"]
    assert len(found["files"]) == 2


def test_more_records_than_xcom_should_hold_are_returned_by_reference(
    played: Any, tasks: Any, png: bytes, tmp_path: Path
) -> None:
    played.reply(200, png)
    edits = [edit_record(f"edit_{number}", f"{played.url}/{number}.png") for number in range(150)]
    found = tasks.run(land(edits, tmp_path))
    assert [part["edits"] for part in found] == [100, 50]
    assert [edit["aluo_task_id"] for edit in expanded(found)] == [f"edit_{number}" for number in range(150)]
    assert all(edit["files"] for edit in expanded(found))


def test_no_more_are_fetched_at_once_than_is_allowed(
    played: Any, tasks: Any, png: bytes, tmp_path: Path
) -> None:
    under_way, most = [0], [0]

    def slowly() -> None:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        under_way[0] -= 1

    played.reply(200, png, meanwhile=slowly)
    edits = [edit_record(f"edit_{number}", f"{played.url}/{number}.png") for number in range(30)]
    found = tasks.run(land(edits, tmp_path, at_once=3))
    assert [one["aluo_task_id"] for one in found] == [f"edit_{number}" for number in range(30)]
    assert 1 < most[0] <= 3
    assert len(list(tmp_path.iterdir())) == 30


def test_what_a_killed_try_left_half_done_is_removed_and_nothing_of_others(
    finished: Any, tasks: Any, tmp_path: Path
) -> None:
    task = land(finished, tmp_path)
    how = task._how({"ti": tasks.context(task)["ti"]})
    with how.folder.scratch() as scratch:
        left, others = scratch.with_suffix(".part"), tmp_path / ".another-1.part"
        scratch.write_bytes(b"half")
        others.write_bytes(b"half")
        tasks.run(task)
        assert not left.exists()
        assert others.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{nothing}.png", "not {nothing}"),
        ("../{index}.png", r"no '\.\.'"),
        ("/abs/{index}", "no slash at either end"),
        ("{index!r}", "no more than a width"),
        ("{index", "braces that match"),
        ("a:b", "not the character ':'"),
        ("", "not nothing"),
    ],
)
def test_a_name_that_is_none_is_said_when_the_dag_is_parsed(name: str, said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        land("{{ later }}", "/tmp", name=name)  # noqa: S108  # nothing is written


@pytest.mark.parametrize(
    "wrong", [{"name": "{nobody}"}, {"if_exists": "x"}, {"at_once": -3}, {"max_bytes": "64MB"}]
)
def test_what_mapped_instances_have_in_common_is_checked_when_the_dag_is_parsed(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(AluoRequestInvalid):
        PhotoDownloadOperator.partial(task_id="land", destination="/tmp", **wrong)  # noqa: S108


def test_what_to_do_with_what_is_there_is_one_of_four() -> None:
    with pytest.raises(AluoRequestInvalid, match="skip_identical"):
        land("{{ later }}", "/tmp", if_exists="replace")  # noqa: S108  # nothing is written


# --- where it lands --------------------------------------------------------------------------------------


def test_pictures_land_in_object_storage_too(finished: Any, tasks: Any, png: bytes) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    (file,) = tasks.run(land(finished, "memory://pictures/today"))["files"]
    assert file["path"].endswith("pictures/today/edit_1-0.png")
    assert ObjectStoragePath(file["path"]).read_bytes() == png
    folder = ObjectStoragePath("memory://pictures/today")
    assert [path.name for path in folder.iterdir()] == ["edit_1-0.png"]
    (again,) = tasks.run(land(finished, folder))["files"]
    assert again == file


def test_a_second_try_lands_at_the_same_place(finished: Any, tasks: Any, tmp_path: Path) -> None:
    assert tasks.run(land(finished, tmp_path))["files"] == tasks.run(land(finished, tmp_path))["files"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("../../x", "x-0.png"),
        ("..", "_-0.png"),
        ("/etc/passwd", "etc_passwd-0.png"),
        ("C:\\x\\y", "C_x_y-0.png"),
        ("a\x00b", "a_b-0.png"),
        (".hidden", "hidden-0.png"),
        ("картина", "картина-0.png"),
        ("x" * 300, f"{'x' * 71}-{hashlib.sha256(b'x' * 300).hexdigest()[:8]}-0.png"),
        ("~/x", "x-0.png"),
        ("{{ ds }}", "ds-0.png"),
    ],
)
def test_a_file_stays_in_the_folder_whatever_the_edit_is_called(
    finished: Any, tasks: Any, tmp_path: Path, name: str, file_name: str
) -> None:
    folder = tmp_path / "one" / "two"
    task = land("{{ later }}", folder)
    task.edits = LazySequence(finished | {"aluo_task_id": name})
    ((file,),) = (one["files"] for one in tasks.run(task))
    assert Path(file["path"]).parent == folder
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [
        f"one/two/{file_name}"
    ]


@pytest.mark.parametrize(
    ("path", "file_name"),
    [("/", r"127\.0\.0\.1_\d+"), ("/%2e%2e%2f%2e%2e%2fx", "x"), ("/..", "")],
)
def test_a_file_stays_in_the_folder_whatever_its_address_is(
    finished: Any, played: Any, tasks: Any, tmp_path: Path, *, path: str, file_name: str
) -> None:
    assert finished
    found = tasks.run(land(f"{played.url}{path}", tmp_path, aluo_conn_id="aluo_default"))
    landed = Path(found["files"][0]["path"])
    assert landed.parent == tmp_path
    assert re.fullmatch(rf"{file_name}-[0-9a-f]{{8}}-0\.png", landed.name)


def test_a_plain_address_in_a_private_network_is_refused_for_good_and_says_what_to_set(
    played: Any, tasks: Any, tmp_path: Path
) -> None:
    with pytest.raises(
        AirflowFailException,
        match=r"set aluo_conn_id to a connection whose allow_private_hosts lists '127\.0\.0\.1'",
    ) as caught:
        tasks.run(land(f"{played.url}/a.png", tmp_path))
    assert isinstance(caught.value.__cause__, AluoAddressRefused)
    assert played.requests == []


def test_what_a_retry_may_mend_is_raised_before_what_none_can(
    played: Any, tasks: Any, tmp_path: Path, connections: Any
) -> None:
    played.reply(200, b"no picture")
    connections.set("http://127.0.0.2:9", "aluo_other")
    edits = [
        edit_record("edit_1", f"{played.url}/1.png") | {"aluo_conn_id": "aluo_other"},
        edit_record("edit_2", f"{played.url}/2.png"),
    ]
    with pytest.raises(AluoPictureError, match=r"2\.png"):
        tasks.run(land(edits, tmp_path))
    with pytest.raises(AirflowFailException, match="in allow_private_hosts of connection 'aluo_other'"):
        tasks.run(land(edits[:1], tmp_path))
