from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry as fsspec_classes
from PIL import Image

from airflow_aluo.protocol.errors import AluoError, AluoRequestInvalid
from airflow_aluo.storage import Folder, load_photos, local_path, opened_source

if TYPE_CHECKING:
    from collections.abc import Iterator


def drawn(format_name: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise((16, 16), 80).convert("RGB").save(file, format_name)
    return file.getvalue()


class Told(MemoryFileSystem):
    """A store in memory that tells what was asked of it, in order, and fails where it is told to."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[tuple[str, ...]] = []
        self.failing: list[str] = []

    def _tell(self, name: str, *paths: str) -> None:
        self.told.append((name, *paths))
        if name in self.failing:
            raise OSError(f"{name} failed")

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        self._tell("put", rpath)
        super().put_file(lpath, rpath, *args, **kwargs)

    def mv(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        self._tell("mv", path1, path2)
        super().mv(path1, path2, *args, **kwargs)

    def rm_file(self, path: str) -> None:
        self._tell("rm", path)
        super().rm_file(path)


class ToldS3(Told):
    protocol = "s3"
    root_marker = ""

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return str(path).removeprefix("s3://").strip("/")


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A folder of a store in memory, under the name of one whose put shows all or nothing and of another."""
    protocol = request.param
    filesystem = ToldS3() if protocol == "s3" else Told()
    # Addresses are taken apart by the class of their protocol, which for S3 is not installed here.
    monkeypatch.setitem(fsspec_classes, protocol, type(filesystem))
    conn_id = f"store_{uuid.uuid4().hex}"
    attach(protocol, conn_id=conn_id, fs=filesystem)
    yield Store(f"{protocol}://{conn_id}@bucket/folder", filesystem)
    Told.store.clear()
    Told.pseudo_dirs[:] = [""]


@dataclass
class Store:
    address: str
    filesystem: Told

    def paths(self) -> list[str]:
        return sorted(path.lstrip("/") for path in Told.store)

    @property
    def atomic_put(self) -> bool:
        return self.address.startswith("s3")


@pytest.fixture(params=["local", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, store: Store) -> Folder:
    """A folder of each kind."""
    return Folder(str(tmp_path / "folder") if request.param == "local" else store.address)


def keep(folder: Folder, content: bytes, name: str = "1.png") -> str:
    with folder.scratch() as scratch:
        scratch.write_bytes(content)
        return folder.keep(scratch, name)


# --- where an address leads


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/folder/1.png", "/folder/1.png"),
        ("folder/1.png", "folder/1.png"),
        ("file:///folder/1.png", "/folder/1.png"),
        ("~/1.png", "/home/somebody/1.png"),
        ("C:\\1.png", "C:\\1.png"),
        ("s3://bucket/1.png", None),
        ("s3://conn@bucket/1.png", None),
        ("memory:///1.png", None),
    ],
)
def test_an_address_is_a_local_path_unless_it_names_another_store(
    monkeypatch: pytest.MonkeyPatch, address: str, path: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert local_path(address) == (None if path is None else Path(path))


# --- what is kept


@pytest.mark.parametrize("spelled", ["{}/a/b", "file://{}/a/b", "a/b", "~/a/b", "{}/a/../a/b"])
def test_a_local_folder_is_made_and_its_files_are_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = keep(Folder(spelled.format(tmp_path)), b"picture")
    assert Path(kept).is_absolute()
    assert Path(kept).samefile(tmp_path / "a" / "b" / "1.png")
    assert [path.name for path in Path(kept).parent.iterdir()] == ["1.png"]
    assert Path(kept).read_bytes() == b"picture"


def test_a_local_file_is_replaced_at_one_stroke(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    keep(folder, b"before")
    reading = (tmp_path / "1.png").open("rb")
    with reading:
        keep(folder, b"after")
        # Whoever reads the file goes on with the one that was there.
        assert reading.read() == b"before"
    assert (tmp_path / "1.png").read_bytes() == b"after"


def test_nobody_lists_a_local_file_before_it_is_kept(tmp_path: Path) -> None:
    with Folder(str(tmp_path)).scratch() as scratch:
        scratch.write_bytes(b"half")
        assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


@pytest.mark.parametrize("where", ["local", "store"])
def test_what_was_not_kept_is_gone(tmp_path: Path, store: Store, where: str) -> None:
    folder = Folder(str(tmp_path) if where == "local" else store.address)
    paths: list[Path] = []

    def breaks_off() -> None:
        with folder.scratch() as scratch:
            paths.append(scratch)
            scratch.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        breaks_off()
    assert not paths[0].exists()
    assert list(tmp_path.iterdir()) == []
    assert store.filesystem.told == []


def test_a_scratch_that_was_never_written_is_no_error(tmp_path: Path) -> None:
    with Folder(str(tmp_path)).scratch():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(FileExistsError), Folder(str(tmp_path / "file")).scratch():
        pass
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_file_whose_name_is_taken_by_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        keep(Folder(str(tmp_path)), b"picture")
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]


def test_an_object_is_kept_under_the_address_that_reads_it_back(store: Store) -> None:
    address = keep(Folder(store.address), b"picture")
    assert ObjectStoragePath(address).read_bytes() == b"picture"
    assert store.paths() == ["bucket/folder/1.png"]
    assert address.startswith(store.address.removesuffix("bucket/folder"))


def test_an_object_is_kept_over_the_one_before(store: Store) -> None:
    keep(Folder(store.address), b"before")
    address = keep(Folder(store.address), b"after")
    assert ObjectStoragePath(address).read_bytes() == b"after"
    assert store.paths() == ["bucket/folder/1.png"]


def test_an_object_shows_whole_or_not_at_all(store: Store) -> None:
    keep(Folder(store.address), b"picture")
    told = store.filesystem.told
    if store.atomic_put:
        # One request: until it ends, the store shows what was there before.
        assert [name for name, *_ in told] == ["put"]
        return
    # In this store to move is to copy and to remove; the copy is its own business.
    (put, temporary), (move, moved, name) = told[:2]
    assert (put, move) == ("put", "mv")
    assert temporary == moved != name
    assert temporary.endswith(".part")


@pytest.mark.parametrize("failing", ["put", "mv", "put rm"])
def test_an_object_that_could_not_be_kept_leaves_the_store_as_it_was(store: Store, failing: str) -> None:
    keep(Folder(store.address), b"before")
    store.filesystem.failing = failing.split()
    if store.atomic_put and failing == "mv":
        return  # it does not move
    with pytest.raises(OSError, match=f"{store.filesystem.failing[0]} failed"):
        keep(Folder(store.address), b"after")
    store.filesystem.failing = []
    assert store.paths() == ["bucket/folder/1.png"]
    assert store.filesystem.cat_file("bucket/folder/1.png") == b"before"


def test_a_local_folder_under_another_name_is_a_store_like_others(tmp_path: Path) -> None:
    address = keep(Folder(f"local://{tmp_path}/folder"), b"picture")
    assert address == f"local://{tmp_path}/folder/1.png"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["1.png"]
    assert (tmp_path / "folder" / "1.png").read_bytes() == b"picture"


# --- what is sent along


@pytest.mark.parametrize(
    ("format_name", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_a_photo_is_sent_as_what_its_bytes_are(tmp_path: Path, format_name: str, content_type: str) -> None:
    path = tmp_path / "my photo.txt"
    path.write_bytes(drawn(format_name))
    (upload,) = load_photos([str(path)])
    assert (upload.name, upload.content_type) == ("my photo.txt", content_type)
    assert upload.content == path.read_bytes()


@pytest.mark.parametrize("spelled", ["{}/1.png", "file://{}/1.png", "1.png", "./1.png", "~/1.png"])
def test_a_photo_is_found_however_its_path_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "1.png").write_bytes(drawn())
    assert [upload.name for upload in load_photos([spelled.format(tmp_path)])] == ["1.png"]


def test_a_photo_is_read_from_a_store(store: Store) -> None:
    address = keep(Folder(store.address), content := drawn())
    (upload,) = load_photos([address])
    assert (upload.name, upload.content_type, upload.content) == ("1.png", "image/png", content)


def test_photos_keep_their_order(tmp_path: Path) -> None:
    names = ["b.png", "a.jpg", "c.webp"]
    for name, format_name in zip(names, ["PNG", "JPEG", "WEBP"], strict=True):
        (tmp_path / name).write_bytes(drawn(format_name))
    assert [upload.name for upload in load_photos([str(tmp_path / name) for name in names])] == names
    assert load_photos([]) == []


def test_every_photo_that_cannot_be_sent_is_named(
    tmp_path_factory: pytest.TempPathFactory, store: Store
) -> None:
    tmp_path = tmp_path_factory.mktemp("p")  # messages cut long names
    whole, truncated, html, empty = (tmp_path / name for name in ("1.png", "2.png", "3.png", "4.png"))
    whole.write_bytes(drawn())
    truncated.write_bytes(drawn()[:200])
    html.write_text("<html>not found</html>")
    empty.touch()
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    addresses = [
        str(tmp_path / "missing.png"),
        str(whole),
        str(tmp_path),
        str(truncated),
        f"file://{html}",
        str(empty),
        str(loop),
        f"{store.address}/missing.png",
        "nobody-knows-this://bucket/1.png",
        "~nobody-of-this-name/1.png",
        "\0",
        "",
    ]
    with pytest.raises(AluoRequestInvalid) as caught:
        load_photos(addresses)
    problems = {problem.parameter: problem for problem in caught.value.problems}
    bad = [index for index in range(len(addresses)) if index != 1]
    assert list(problems) == [f"image_files[{index}]" for index in bad]
    said = {index: problems[f"image_files[{index}]"].expected for index in bad}
    assert "FileNotFoundError" in said[0]
    assert "IsADirectoryError" in said[2]
    assert "a broken picture" in said[3]
    assert "not a picture in one of the formats" in said[4]
    assert "not a picture in one of the formats" in said[5]
    assert "OSError" in said[6]
    assert "FileNotFoundError" in said[7]
    assert "missing.png" in problems["image_files[0]"].value
    assert caught.value.final


def test_a_store_that_is_out_of_reach_is_asked_again_by_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: Any) -> bytes:
        raise TimeoutError("no answer")

    monkeypatch.setattr(ObjectStoragePath, "read_bytes", unreachable)
    said = r"\[0\]: .memory://1.png. could not be read \(TimeoutError: no answer\). Nothing was sent"
    with pytest.raises(AluoError, match=said) as caught:
        load_photos(["memory://1.png"])
    assert not caught.value.final
    with pytest.raises(AluoRequestInvalid, match="missing"):  # what no retry mends goes first
        load_photos(["memory://1.png", "missing.png"])


def test_a_photo_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """In a process of its own: root may read everything."""
    path = tmp_path / "1.png"
    path.write_bytes(drawn())
    path.chmod(0)
    tmp_path.chmod(0o755)
    script = f"""
import os
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.storage import load_photos
from PIL import Image
Image.init()
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    load_photos([{str(path)!r}])
except AluoRequestInvalid as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "image_files[0]" in done.stdout
    assert "PermissionError" in done.stdout


def test_an_address_that_is_named_in_an_error_is_named_without_its_query(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("p")  # messages cut long names
    with pytest.raises(AluoRequestInvalid) as caught:
        load_photos([f"{tmp_path}/1.png?signature=secret"])
    assert caught.value.problems[0].value == f"'{tmp_path}/1.png?…'"


# --- what lies in a folder


def test_a_folder_tells_what_lies_in_it(folder: Folder) -> None:
    before = time.time() - 0.1  # the kernel dates files by its last tick
    address = keep(folder, b"content", "sets/one/1.png")
    assert folder.address("sets/one/1.png") == address
    assert folder.size("sets/one/1.png") == 7
    assert folder.digest("sets/one/1.png") == hashlib.sha256(b"content").hexdigest()
    assert folder.read("sets/one/1.png") == b"content"
    written = folder.modified("sets/one/1.png")
    assert written is not None
    assert int(before - 0.1) <= written <= time.time()
    assert written == int(written)
    with opened_source(address) as file:
        assert file.read() == b"content"


def test_a_folder_tells_of_nothing_where_nothing_lies(folder: Folder) -> None:
    keep(folder, b"content", "1.png")
    for name in ("2.png", "1.png/below", "folder/2.png"):
        assert folder.size(name) is None
        assert folder.digest(name) is None
        assert folder.read(name) is None
        assert folder.modified(name) is None


def test_a_folder_sees_what_somebody_else_has_written(folder: Folder) -> None:
    keep(folder, b"old", "1.png")
    assert folder.size("1.png") == 3
    keep(Folder(folder._address), b"newer", "1.png")
    assert folder.size("1.png") == 5


def test_files_and_folders_can_be_removed_and_what_is_not_there_is_fine(folder: Folder) -> None:
    keep(folder, b"a", "sets/one/a.png")
    keep(folder, b"b", "sets/one/deeper/b.png")
    keep(folder, b"c", "sets/two/c.png")
    folder.remove("sets/one")
    folder.remove("sets/one")
    folder.remove("nothing.png")
    assert folder.read("sets/one/a.png") is None
    assert folder.read("sets/one/deeper/b.png") is None
    assert folder.read("sets/two/c.png") == b"c"
    folder.remove("sets/two/c.png")
    assert folder.size("sets/two/c.png") is None


def test_who_owns_what_is_half_done_removes_it_and_nobody_elses(tmp_path: Path) -> None:
    for owner in ("one", "other"):
        (tmp_path / f".{owner}-0.part").touch()
    keep(Folder(str(tmp_path), owner="one"), b"whole")
    Folder(str(tmp_path), owner="one").tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other-0.part", "1.png"]


def test_what_a_killed_owner_left_half_done_in_a_store_is_removed(store: Store) -> None:
    for name in (".one-0.part", ".other-0.part", "whole.png"):
        store.filesystem.pipe_file(f"bucket/folder/{name}", b"x")
    Folder(store.address, owner="one").tidy()
    left = [] if not store.atomic_put else [".one-0.part"]  # there nobody writes such
    assert store.paths() == sorted(f"bucket/folder/{name}" for name in [*left, ".other-0.part", "whole.png"])


def test_what_is_there_is_replaced_only_if_that_is_asked(folder: Folder) -> None:
    keep(folder, b"first")
    with folder.scratch() as scratch:
        scratch.write_bytes(b"second")
        with pytest.raises(FileExistsError):
            folder.keep(scratch, "1.png", replace=False)
        folder.keep(scratch, "2.png", replace=False)
    assert folder.read("1.png") == b"first"
    assert folder.read("2.png") == b"second"


def test_a_file_system_without_links_still_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", no_links)
    folder = Folder(str(tmp_path))
    for content in (b"first", b"second"):
        with folder.scratch() as scratch:
            scratch.write_bytes(content)
            if content == b"first":
                folder.keep(scratch, "1.png", replace=False)
            else:
                with pytest.raises(FileExistsError):
                    folder.keep(scratch, "1.png", replace=False)
    assert folder.read("1.png") == b"first"
