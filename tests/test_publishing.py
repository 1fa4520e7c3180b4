"""How a set is published: whole, once, over what was there, whatever goes wrong in between."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry as fsspec_classes

from airflow_aluo.protocol import picture_set
from airflow_aluo.protocol.errors import AluoPictureError, AluoRequestInvalid
from airflow_aluo.protocol.naming import Name
from airflow_aluo.protocol.picture_set import PLACEHOLDERS, Origin
from airflow_aluo.protocol.schemas import schema, validator
from airflow_aluo.publishing import asset, publish
from airflow_aluo.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
RECORD = schema("edit_record")["examples"][0]
ORIGIN = Origin("a_dag", "a_run", "a_task")


class Told(MemoryFileSystem):
    """A store in memory that tells what was written and removed, and fails where it is told to."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[str] = []
        #: A pattern of what fails.
        self.failing = ""

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if self.failing and re.search(self.failing, what):
            raise OSError(f"{what} failed")

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        self._tell(f"put {rpath}")
        super().put_file(lpath, rpath, *args, **kwargs)

    def mv(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        self._tell(f"mv {path2}")
        super().mv(path1, path2, *args, **kwargs)

    def rm(self, path: Any, *args: Any, **kwargs: Any) -> None:
        self._tell(f"rm {path}")
        super().rm(path, *args, **kwargs)


class ToldS3(Told):
    protocol = "s3"
    root_marker = ""

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return str(path).removeprefix("s3://").strip("/")


@dataclass
class Destination:
    """A place to publish to, and what a reader sees there."""

    address: str
    #: ``None`` for a local folder.
    filesystem: Told | None

    def read(self, path: str) -> bytes:
        if self.filesystem is None:
            return Path(self.address, path).read_bytes()
        return ObjectStoragePath(f"{self.address}/{path}").read_bytes()

    def write(self, path: str, content: bytes) -> None:
        folder = Folder(self.address)
        with folder.scratch() as scratch:
            scratch.write_bytes(content)
            folder.keep(scratch, path)

    def remove(self, path: str) -> None:
        Folder(self.address).remove(path)

    @property
    def manifest(self) -> Any:
        manifest = json.loads(self.read("manifest.json"))
        validator("manifest").validate(manifest)
        return manifest

    @property
    def files(self) -> set[str]:
        """All files there, relative to it."""
        if self.filesystem is None:
            top = Path(self.address)
            return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
        return {path.lstrip("/").removeprefix("bucket/folder/") for path in self.filesystem.store}

    @property
    def sets(self) -> set[str]:
        return {path.split("/")[1] for path in self.files if path.startswith("sets/")}

    def shown(self) -> dict[str, bytes]:
        """Return the published pictures by name, checked as a careful reader does."""
        found = {}
        for picture in self.manifest["pictures"]:
            content = self.read(picture["path"])
            assert hashlib.sha256(content).hexdigest() == picture["sha256"]
            assert len(content) == picture["bytes"]
            found[picture["path"].split("/", 2)[2]] = content
        return found


@pytest.fixture(params=["local", "memory", "s3"])
def there(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Destination]:
    """A local folder; a store whose put shows all or nothing; one that has to move for that."""
    kind = request.param
    if kind == "local":
        yield Destination(str(tmp_path / "published"), None)
        return
    filesystem = ToldS3() if kind == "s3" else Told()
    # Addresses are taken apart by the class of their protocol, which for S3 is not installed here.
    monkeypatch.setitem(fsspec_classes, kind, type(filesystem))
    conn_id = f"store_{uuid.uuid4().hex}"
    attach(kind, conn_id=conn_id, fs=filesystem)
    yield Destination(f"{kind}://{conn_id}@bucket/folder", filesystem)
    Told.store.clear()
    Told.pseudo_dirs[:] = [""]


@pytest.fixture
def local(tmp_path: Path) -> Destination:
    return Destination(str(tmp_path / "published"), None)


def landed(folder: Path, number: int, *contents: bytes) -> Any:
    """Return the record of an edit whose pictures lie in the folder."""
    folder.mkdir(exist_ok=True)
    files = []
    for index, content in enumerate(contents):
        path = folder / f"edit_{number}-{index}.png"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append(RECORD["files"][0] | {"path": str(path), "sha256": sha256, "bytes": len(content)})
    request = RECORD["request"] | {"image_urls": [f"https://x.example/photo{number}.jpg?signature=secret"]}
    return RECORD | {"aluo_task_id": f"edit_{number}", "files": files, "request": request}


@pytest.fixture
def edits(tmp_path: Path) -> list[Any]:
    return [landed(tmp_path / "landed", 1, b"one", b"two"), landed(tmp_path / "landed", 2, b"three")]


LOG = logging.getLogger("tests")


def put(
    destination: Destination | str, *edits: Any, keep_sets: int = 2, name: str = "{photo}-{index}.{ext}"
) -> Any:
    found = picture_set.of(list(enumerate(edits)), Name(name, allowed=PLACEHOLDERS), ORIGIN)
    address = destination if isinstance(destination, str) else destination.address
    return publish(found, address, ORIGIN, keep_sets=keep_sets, log=LOG)


# --- what is published


def test_a_set_is_published_under_its_names(there: Destination, edits: list[Any]) -> None:
    published = put(there, *edits)
    assert there.shown() == {"photo1-0.png": b"one", "photo1-1.png": b"two", "photo2-0.png": b"three"}
    manifest = there.manifest
    assert there.files == {"manifest.json", *(picture["path"] for picture in manifest["pictures"])}
    assert published == {
        "manifest": Folder(there.address).address("manifest.json"),
        "set": manifest["set"],
        "pictures": 3,
        "credits": 80,
        "prompts_sha256": manifest["prompts_sha256"],
        "changed": True,
    }
    assert json.loads(json.dumps(published)) == published
    assert b"secret" not in there.read("manifest.json")


def test_the_manifest_is_written_last(there: Destination, edits: list[Any]) -> None:
    put(there, *edits)
    if there.filesystem is not None:
        told = there.filesystem.told
        first = next(index for index, what in enumerate(told) if "manifest.json" in what)
        assert sum("/sets/" in what for what in told[:first]) >= 3
        assert not any("/sets/" in what for what in told[first:])
    at = there.manifest["published_at"]
    assert at.endswith("+00:00")


def test_pictures_are_read_from_a_store_too(there: Destination, edits: list[Any], tmp_path: Path) -> None:
    there.write("landed/a.png", b"one")
    edits[0]["files"] = [edits[0]["files"][0] | {"path": Folder(there.address).address("landed/a.png")}]
    elsewhere = Destination(str(tmp_path / "elsewhere"), None)
    put(elsewhere, edits[0])
    assert elsewhere.shown() == {"photo1-0.png": b"one"}


def test_names_may_make_folders(there: Destination, edits: list[Any]) -> None:
    put(there, *edits, name="{aluo_task_id}/{index}.{ext}")
    assert set(there.shown()) == {"edit_1/0.png", "edit_1/1.png", "edit_2/0.png"}


@pytest.mark.parametrize(
    "spelled", ["{}/published", "{}/published/", "file://{}/published", "published", "~/published"]
)
def test_a_local_destination_may_be_spelled_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edits: list[Any], spelled: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    published = put(spelled.format(tmp_path), *edits)
    assert published["manifest"] == str(tmp_path / "published" / "manifest.json")
    assert len(Destination(str(tmp_path / "published"), None).shown()) == 3


# --- the sets before it


def test_older_sets_remain_until_they_are_no_longer_among_the_newest(
    there: Destination, tmp_path: Path
) -> None:
    digests = []
    for number in range(5):
        digests.append(put(there, landed(tmp_path / "landed", 1, b"%d" % number), keep_sets=3)["set"])
        assert there.sets == set(digests[-3:])
        assert there.shown() == {"photo1-0.png": b"%d" % number}
    assert there.manifest["previous"] == [digests[3], digests[2]]
    put(there, landed(tmp_path / "landed", 1, b"last"), keep_sets=1)
    assert there.sets == {there.manifest["set"]}


def test_a_reader_of_the_manifest_before_finds_its_pictures(there: Destination, tmp_path: Path) -> None:
    put(there, landed(tmp_path / "landed", 1, b"before"))
    (before,) = there.manifest["pictures"]
    put(there, landed(tmp_path / "landed", 1, b"after"))
    assert there.read(before["path"]) == b"before"
    assert there.shown() == {"photo1-0.png": b"after"}


def test_the_same_set_again_writes_nothing_and_returns_the_same(there: Destination, edits: list[Any]) -> None:
    published, manifest = put(there, *edits), there.read("manifest.json")
    if there.filesystem is not None:
        there.filesystem.told.clear()
    again = [edits[1] | {"credits": RECORD["credits"] | {"deducted": 1}}, edits[0]]
    assert put(there, *again) == published
    assert there.read("manifest.json") == manifest
    if there.filesystem is not None:
        assert there.filesystem.told == []


def test_what_is_missing_or_damaged_of_a_published_set_is_put_back(
    there: Destination, edits: list[Any]
) -> None:
    published = put(there, *edits)
    there.remove(f"sets/{published['set']}/photo1-0.png")
    there.write(f"sets/{published['set']}/photo1-1.png", b"damaged")
    assert put(there, *edits) == published
    assert len(there.shown()) == 3


def test_a_set_that_comes_back_is_shown_again(there: Destination, tmp_path: Path) -> None:
    contents = [b"a", b"b", b"a", b"c", b"d", b"a"]
    for content in contents:
        put(there, landed(tmp_path / "landed", 1, content))
        assert there.shown() == {"photo1-0.png": content}
    assert there.sets == {there.manifest["set"], *there.manifest["previous"]}


def test_only_sets_that_the_manifest_names_are_removed(there: Destination, tmp_path: Path) -> None:
    there.write("sets/mine/a.png", b"mine")
    there.write("sets/0123456789ab/a.png", b"somebody's")
    there.write("notes.txt", b"mine")
    for number in range(4):
        put(there, landed(tmp_path / "landed", 1, b"%d" % number), keep_sets=1)
    assert there.files > {"sets/mine/a.png", "sets/0123456789ab/a.png", "notes.txt"}
    assert there.sets == {"mine", "0123456789ab", there.manifest["set"]}


def test_sets_that_could_not_be_removed_are_removed_by_a_later_publish(
    there: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = put(there, landed(tmp_path / "landed", 1, b"1"), keep_sets=1)["set"]
    with monkeypatch.context() as patch:
        if there.filesystem is None:
            refuse = PermissionError("no")
            patch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(refuse))
        else:
            there.filesystem.failing = r"^rm .*sets/\w+$"
        for number in (2, 3):
            put(there, landed(tmp_path / "landed", 1, b"%d" % number), keep_sets=1)
            assert there.shown() == {"photo1-0.png": b"%d" % number}
    assert first in there.sets
    assert f"set {first} could not be removed, the next publish tries again" in caplog.text
    assert first in there.manifest["dropped"]
    if there.filesystem is not None:
        there.filesystem.failing = ""
    put(there, landed(tmp_path / "landed", 1, b"3"), keep_sets=1)
    assert there.sets == {there.manifest["set"]}
    put(there, landed(tmp_path / "landed", 1, b"4"), keep_sets=1)
    assert len(there.manifest["dropped"]) == 1


# --- what is refused


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{}", "version"),
        (b"[]", "is not of type 'object'"),
        (b"\xff\xfe", "it is no JSON"),
        (b"", "it is no JSON"),
        (json.dumps(schema("manifest")["examples"][0] | {"version": 2}).encode(), "version"),
        (json.dumps(schema("manifest")["examples"][0] | {"previous": ["../../x"]}).encode(), "previous"),
    ],
)
def test_somebody_elses_manifest_is_left_alone(
    there: Destination, edits: list[Any], content: bytes, why: str
) -> None:
    there.write("manifest.json", content)
    with pytest.raises(AluoRequestInvalid) as caught:
        put(there, *edits)
    (problem,) = caught.value.problems
    assert problem.parameter == "destination"
    assert "manifest.json" in problem.value
    assert why in problem.expected
    assert problem.expected.endswith("choose another destination, or remove it")
    assert there.files == {"manifest.json"}
    assert there.read("manifest.json") == content


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"changed", "has changed since it landed"), (b"", "has changed"), (None, "is not there")],
)
def test_a_picture_that_is_not_what_landed_is_named_and_nothing_is_published(
    there: Destination, edits: list[Any], tmp_path: Path, *, content: bytes | None, said: str
) -> None:
    put(there, landed(tmp_path / "landed", 3, b"before"))
    files, manifest = there.files, there.read("manifest.json")
    path = Path(edits[0]["files"][1]["path"])
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(AluoPictureError, match=f"picture {path} {said}") as caught:
        put(there, *edits)
    assert caught.value.url == str(path)
    assert there.files == files
    assert there.read("manifest.json") == manifest


def test_a_published_set_stays_when_its_pictures_can_no_longer_be_put_back(
    there: Destination, edits: list[Any]
) -> None:
    published = put(there, *edits)
    there.remove(f"sets/{published['set']}/photo1-0.png")
    Path(edits[0]["files"][0]["path"]).unlink()
    with pytest.raises(AluoPictureError, match="is not there"):
        put(there, *edits)
    assert there.sets == {published["set"]}
    assert there.read(f"sets/{published['set']}/photo2-0.png") == b"three"


@pytest.mark.parametrize("failing", ["photo2-0.png", "manifest.json"])
def test_a_store_that_fails_leaves_the_set_before_and_a_later_try_goes_on(
    there: Destination, edits: list[Any], tmp_path: Path, failing: str
) -> None:
    put(there, landed(tmp_path / "landed", 3, b"before"))
    if there.filesystem is None:  # a folder where the file belongs
        digest = picture_set.of(
            list(enumerate(edits)), Name("{photo}-{index}.{ext}", allowed=PLACEHOLDERS), ORIGIN
        ).digest
        if failing == "manifest.json":
            return  # there it would be read first
        blocked = Path(there.address, "sets", digest, failing, "blocked")
        blocked.mkdir(parents=True)
    else:
        there.filesystem.failing = failing
    with pytest.raises(OSError, match=r"failed|directory"):
        put(there, *edits)
    assert there.shown() == {"photo3-0.png": b"before"}
    if there.filesystem is None:
        shutil.rmtree(blocked.parent)
    else:
        there.filesystem.failing = ""
        there.filesystem.told.clear()
    put(there, *edits)
    assert len(there.shown()) == 3
    if there.filesystem is not None:
        assert not any("photo1" in what for what in there.filesystem.told)


# --- killed


PUBLISH = """
import json, logging, os, signal, sys, time
from tests.test_publishing import put
import airflow_aluo.batch.results, concurrent.futures.thread, jsonschema

address, rounds = json.load(sys.stdin)
for edits, moments in rounds:
    for kill_after in [*moments, None]:
        if (process := os.fork()) == 0:
            put(address, *edits, keep_sets=3)
            os._exit(0)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended {status}", flush=True)
"""


class Reader(Thread):
    """Looks at a destination all the time, as a shop does: all that its manifest names has to be there."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(daemon=True)
        self.destination, self.done = destination, Event()
        self.seen: set[str] = set()
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.done.is_set():
            try:
                shown = self.destination.shown()
            except FileNotFoundError as error:
                if not self._may_be_gone(Path(error.filename)):
                    self.failures.append(str(error))
            except (AssertionError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            else:
                self.seen.add(str(sorted((name, content[:1]) for name, content in shown.items())))

    def _may_be_gone(self, path: Path) -> bool:
        """Tell whether a file may be missing."""
        if path.name == "manifest.json":
            return not self.seen  # nothing was published yet
        # Who is held up while several sets are published reads of one that is no longer kept.
        manifest = self.destination.manifest
        kept = {manifest["set"], *manifest["previous"]}
        return path.relative_to(Path(self.destination.address, "sets")).parts[0] not in kept

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def test_a_publish_that_is_killed_at_any_moment_shows_no_half_and_a_retry_completes(
    local: Destination, tmp_path: Path
) -> None:
    dice = random.Random(20261122)  # noqa: S311  # moments, no secrets
    rounds, contents = [], []
    for number in range(6):
        edits = [
            landed(tmp_path / f"landed{number}", place, b"%d" % number + dice.randbytes(100_000))
            for place in range(40)
        ]
        contents.append(edits)
        rounds.append((edits, [dice.uniform(0.0, 0.12) for _ in range(5)]))
    with Reader(local) as reader:
        settings = json.dumps([local.address, rounds])
        command = [sys.executable, "-c", PUBLISH]
        done = subprocess.run(command, cwd=ROOT, input=settings, stdout=PIPE, text=True, check=True)
    ends = done.stdout.splitlines()  # with the lines of Airflow's log, which name this test's folder
    print(f"{ends.count('killed')=}, {len(reader.seen)=}")
    assert reader.failures == []
    assert ends.count("killed") > 3
    assert "ended 256" not in ends
    assert len(reader.seen) <= 6
    assert len(local.shown()) == 40
    # Nothing is left behind but the sets that the manifest names.
    manifest = local.manifest
    assert local.sets == {manifest["set"], *manifest["previous"]}
    assert len(local.files) == 1 + 3 * 40


def test_a_publish_that_is_killed_in_the_middle_of_a_picture_goes_on_with_the_others(
    local: Destination, edits: list[Any], tmp_path: Path
) -> None:
    put(local, landed(tmp_path / "landed", 3, b"before"))
    path, content = Path(edits[1]["files"][0]["path"]), b"three"
    path.unlink()
    os.mkfifo(path)  # whoever reads it waits for the rest
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISH], cwd=ROOT, stdin=PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps([local.address, [[edits, []]]]))
    process.stdin.close()
    with path.open("wb") as fifo:  # it reads
        fifo.write(content[:2])
        fifo.flush()
        digest = picture_set.of(
            list(enumerate(edits)), Name("{photo}-{index}.{ext}", allowed=PLACEHOLDERS), ORIGIN
        ).digest
        others = [Path(local.address, "sets", digest, name) for name in ("photo1-0.png", "photo1-1.png")]
        while not all(other.exists() for other in others):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert local.shown() == {"photo3-0.png": b"before"}
    path.unlink()
    path.write_bytes(content)
    inodes = [other.stat().st_ino for other in others]
    put(local, *edits)
    assert len(local.shown()) == 3
    assert [other.stat().st_ino for other in others] == inodes, "they were copied again"
    assert len(local.files) == 1 + 3 + 1, "half a picture was left behind"


# --- assets


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("/data/my pictures/manifest.json", "file:///data/my%20pictures/manifest.json"),
        ("s3://conn@bucket/folder/manifest.json", "s3://bucket/folder/manifest.json"),
        ("s3://bucket/a@b/manifest.json", "s3://bucket/a@b/manifest.json"),
        ("gs://conn@bucket/manifest.json", "gs://bucket/manifest.json"),
    ],
)
def test_a_destinations_asset_is_known_by_its_public_address(address: str, uri: str) -> None:
    found = asset(address)
    assert (found.name, found.uri) == (uri, uri)


@pytest.mark.parametrize("address", ["airflow://bucket/manifest.json", f"s3://bucket/{'x' * 1500}"])
def test_an_address_that_can_be_no_assets_is_refused(address: str) -> None:
    with pytest.raises(AluoRequestInvalid, match="an address that can be an asset's"):
        asset(address)


def test_a_set_that_another_run_has_published_is_no_change(there: Destination, edits: list[Any]) -> None:
    """A retry of the run that published it is: a killed try may have told nobody."""
    name = Name("{photo}-{index}.{ext}", allowed=PLACEHOLDERS)
    changes = []
    for run, count in (("one", 2), ("one", 2), ("two", 2), ("two", 1), ("three", 1)):
        origin = Origin("a_dag", run, "a_task")
        found = picture_set.of(list(enumerate(edits[:count])), name, origin)
        changes.append(publish(found, there.address, origin, keep_sets=2, log=LOG)["changed"])
    assert changes == [True, True, False, True, False]


def test_one_picture_is_published_in_the_singular(
    there: Destination, edits: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    put(there, edits[1])
    assert "published 1 picture (1 copied now)" in caplog.text
