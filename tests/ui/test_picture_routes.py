"""Pictures: only what a record names, only pictures, from where they may come, as small as asked."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_aluo.ui.images import keys
from airflow_aluo.ui.originals import versioned, wanted
from tests.conftest import Connections, Played
from tests.ui.book import Book, Person, edit_record, landed_file, noise, picture, submitted_record


def address(book: Book, rest: str = "after/0", *, position: int = 0, size: str = "thumb") -> str:
    return f"aluo/api/dags/{book.dag_id}/runs/a_run/tasks/edit/-1/pictures/{position}/{rest}?size={size}"


def told(book: Book, **more: Any) -> Book:
    return book.instance("edit", xcoms={"return_value": edit_record(**{"result_urls": [], **more})})


def photo(address_: str) -> dict[str, Any]:
    kind = "image_urls" if "://" in address_ else "image_files"
    return edit_record()["request"] | {"image_urls": [], "image_files": [], kind: [address_]}


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def test_a_landed_picture_is_sent_small(book: Book, viewer: Person, tmp_path: Path) -> None:
    told(book, files=[landed_file(tmp_path / "a.png", picture(1200, 600))])
    answer = viewer.get(address(book))
    assert (answer.headers["content-type"], opened(answer).size) == ("image/webp", (480, 240))
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert opened(viewer.get(address(book, size="large"))).size == (1200, 600)


def test_a_picture_that_is_known_is_not_sent_again(book: Book, viewer: Person, tmp_path: Path) -> None:
    told(book, files=[landed_file(tmp_path / "a.png", picture())])
    tag = viewer.get(address(book)).headers["etag"]
    again = viewer.get(address(book), headers={"If-None-Match": f"{tag}, W/{tag}"})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert viewer.get(address(book, size="large")).headers["etag"] != tag


def test_the_original_is_sent_under_a_safe_name_as_what_it_is(
    book: Book, viewer: Person, tmp_path: Path
) -> None:
    content = picture(kind="JPEG")
    told(book, files=[landed_file(tmp_path / 'tä"s\r\nse;.html', content)])
    plain = {"Accept-Encoding": "identity"}  # an older Airflow compresses whatever its plugins answer, too
    answer = viewer.get(address(book, size="original"), headers=plain)
    assert (answer.content, answer.headers["content-type"]) == (content, "image/jpeg")
    expected = "attachment; filename=\"t__s_se_.html.jpg\"; filename*=UTF-8''t%C3%A4_s_se_.html.jpg"
    assert answer.headers["content-disposition"] == expected
    assert answer.headers["content-length"] == str(len(content))


def test_a_file_that_is_not_the_landed_one_is_not_sent(
    book: Book, viewer: Person, tmp_path: Path, played: Played
) -> None:
    file = landed_file(tmp_path / "a.png", picture())
    Path(file["path"]).write_bytes(picture(9, 9))
    played.reply(200, picture(7, 7), headers={"Content-Type": "image/png"})
    told(book, files=[file], result_urls=[f"{played.url}/a.png"])
    assert opened(viewer.get(address(book))).size == (7, 7)


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("what", ["gone", "no picture", "another", "a folder", "broken"])
def test_what_is_wrong_with_a_file_is_for_the_log_alone(
    book: Book, viewer: Person, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, what: str, kind: str
) -> None:
    """Whoever writes XComs could learn else which files there are."""
    path = tmp_path / "a.png"
    content = {"no picture": b"root:x:0:0", "broken": picture()[:40]}.get(what, picture())
    file = landed_file(path, content)
    if what in {"gone", "a folder"} or (what, kind) == ("another", "before"):
        path.unlink()
    if what == "a folder":
        path.mkdir()
    if (what, kind) == ("another", "after"):
        path.write_bytes(picture(9, 9))
    told(book, files=[file], request=photo(str(path)))
    caplog.set_level("INFO")
    for size in ("thumb", "original"):
        answer = viewer.get(address(book, f"{kind}/0", size=size))
        reason = "picture 'a.png' cannot be shown: its file is no picture that can be shown here"
        assert (answer.status_code, answer.json()["detail"]) == (404, reason)
        assert "etag" not in answer.headers
    assert f"no picture at {path}: " in caplog.text


def test_a_photo_that_is_overwritten_each_day_is_shown_as_each_run_has_it(
    book: Book, viewer: Person, tmp_path: Path
) -> None:
    path = tmp_path / "today.png"
    tags = []
    for size, run_id in (((10, 10), "a_run"), ((11, 10), "next_run"), ((12, 10), "next_run")):
        if book.run_id != run_id or not tags:
            if tags:
                book.run(run_id)
            told(book, request=photo(str(path)))
        path.write_bytes(picture(*size))
        one = address(book, "before/0").replace("/a_run/", f"/{run_id}/")
        answer = viewer.get(one, headers={"If-None-Match": ", ".join(tags)})
        assert opened(answer).size == size
        tags.append(answer.headers["etag"])
        assert viewer.get(one, headers={"If-None-Match": tags[-1]}).status_code == 304
    assert len(set(tags)) == 3


def test_a_guessed_tag_does_not_tell_whether_a_file_is_there(
    book: Book, viewer: Person, tmp_path: Path
) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("a secret")
    told(book, request=photo(str(path)))
    record = edit_record(request=photo(str(path)))
    for there in (True, False):
        if not there:
            path.unlink()
        found = wanted(record, "before", 0)
        assert found is not None
        (key,) = keys(versioned(found, "a_run"), 480, book.dag_id)
        guessed = {"If-None-Match": f'"{key[:32]}"'}
        assert viewer.get(address(book, "before/0"), headers=guessed).status_code == 404


def test_a_photo_without_a_file_to_look_at_is_kept_for_its_run(
    book: Book, viewer: Person, played: Played
) -> None:
    played.reply(200, picture(10, 10))
    told(book, request=photo(f"{played.url}/today.png"))
    assert opened(viewer.get(address(book, "before/0"))).size == (10, 10)
    played.anew()
    played.reply(200, picture(11, 10))
    told(book.run("next_run"), request=photo(f"{played.url}/today.png"))
    assert opened(viewer.get(address(book, "before/0"))).size == (10, 10)
    next_ = address(book, "before/0").replace("/a_run/", "/next_run/")
    assert opened(viewer.get(next_)).size == (11, 10)


def test_an_address_is_fetched_once_and_kept(book: Book, viewer: Person, played: Played) -> None:
    played.reply(200, picture(600, 600), headers={"Content-Type": "image/png"})
    told(book, result_urls=[f"{played.url}/a.png?sig=secret"])
    assert opened(viewer.get(address(book))).size == (480, 480)
    assert opened(viewer.get(address(book))).size == (480, 480)
    assert [call for call, _ in played.requests] == ["GET /a.png?sig=secret"]
    assert "authorization" not in played.requests[0][1]


REFUSED = ["http://127.0.0.1:{port}/a.png", "http://localhost:{port}/a.png", "http://[::1]:{port}/a.png"]


@pytest.mark.parametrize("url", REFUSED)
def test_what_only_the_server_can_reach_is_not_fetched(
    book: Book, viewer: Person, played: Played, connections: Connections, url: str
) -> None:
    connections.set("https://api.aluo.example")  # it does not allow private hosts
    played.reply(200, picture(), headers={"Content-Type": "image/png"})
    there = url.format(port=played.server.server_port)
    told(book, result_urls=[there], request=photo(there))
    for kind in ("before", "after"):
        answer = viewer.get(address(book, f"{kind}/0"))
        assert (answer.status_code, played.requests) == (404, [])
        assert there not in answer.text


@pytest.mark.parametrize("conn_id", [None, "", "not_there", "a_database", "{}", "../x"])
def test_another_connection_does_not_open_its_host(
    book: Book, viewer: Person, played: Played, monkeypatch: pytest.MonkeyPatch, conn_id: Any
) -> None:
    database = {"conn_type": "http", "host": played.url, "password": "sk-x"}
    monkeypatch.setenv("AIRFLOW_CONN_A_DATABASE", json.dumps(database))
    played.reply(200, picture(), headers={"Content-Type": "image/png"})
    told(book, result_urls=[f"{played.url}/a.png"], aluo_conn_id=conn_id)
    assert viewer.get(address(book)).status_code == 404
    assert played.requests == []


NOWHERE = [
    "http://169.254.169.254/latest/meta-data",
    "http://2130706433/a.png",
    "file:///etc/passwd",
    "ftp://127.0.0.1/a.png",
    "gopher://127.0.0.1/a",
    "//127.0.0.1/a.png",
    "http://",
    "http://a b/",
    "http:///etc/passwd",
    "\0",
]


@pytest.mark.parametrize("url", NOWHERE)
def test_an_address_that_leads_to_no_picture_is_no_error_of_the_server(
    book: Book, viewer: Person, connections: Connections, url: str
) -> None:
    connections.set("https://api.aluo.example")
    told(book, result_urls=[url], request=photo("https://a.example/a.png") | {"image_urls": [url]})
    for kind in ("before", "after"):
        for size in ("thumb", "original"):
            assert viewer.get(address(book, f"{kind}/0", size=size)).status_code == 404


def test_a_redirect_does_not_lead_where_the_address_may_not(
    book: Book, viewer: Person, played: Played, nobody: str
) -> None:
    location = {"Location": nobody.replace("127.0.0.1", "169.254.169.254")}
    played.reply(302, headers=location)
    told(book, result_urls=[f"{played.url}/a.png"])
    assert viewer.get(address(book)).status_code == 404
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "~/.bashrc", "/dev/zero", "/proc/self/environ", "/", "", "."]
)
@pytest.mark.parametrize("size", ["thumb", "large", "original"])
def test_files_that_are_no_pictures_are_not_sent(book: Book, viewer: Person, path: str, size: str) -> None:
    import hashlib

    content = Path(path).read_bytes() if path == "/etc/passwd" else b""
    file = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
    told(book, files=[file], request=photo(path))
    for kind in ("before", "after"):
        answer = viewer.get(address(book, f"{kind}/0", size=size))
        assert (answer.status_code, "root:" in answer.text) == (404, False)


def test_a_pipe_does_not_hold_the_server(book: Book, viewer: Person, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told(book, request=photo(str(tmp_path / "pipe")))
    assert viewer.get(address(book, "before/0")).status_code == 404


@pytest.mark.parametrize("scheme", ["http", "https", "sftp", "simplecache::http", "HTTP", "memory", "ftp"])
def test_a_landed_file_is_not_read_over_the_network(
    book: Book, viewer: Person, played: Played, scheme: str
) -> None:
    played.reply(200, picture())
    host = played.url.removeprefix("http://")
    told(book, files=[{"path": f"{scheme}://{host}/a.png", "sha256": "0" * 64}])
    assert viewer.get(address(book)).status_code == 404
    assert played.requests == []


def test_a_photos_own_bytes_are_never_sent(book: Book, viewer: Person, tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    hidden = PngInfo()
    hidden.add_text("Comment", "a secret in the file")
    made = io.BytesIO()
    Image.new("RGB", (60, 30)).save(made, "PNG", pnginfo=hidden)
    content = made.getvalue() + b"a secret behind the picture"
    (tmp_path / "p.png").write_bytes(content)
    told(book, request=photo(str(tmp_path / "p.png")))
    for size in ("thumb", "large", "original"):
        answer = viewer.get(address(book, "before/0", size=size))
        assert (opened(answer).format, opened(answer).size) == ("WEBP", (60, 30))
        assert b"secret" not in answer.content
    assert answer.headers["content-disposition"].startswith('attachment; filename="p.webp"')


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # all that Pillow does of itself
def test_a_decompression_bomb_is_not_unpacked(
    book: Book, viewer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = landed_file(tmp_path / "bomb.png", picture(300, 300))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    assert viewer.get(address(told(book, files=[file]))).status_code == 404


def test_a_broken_picture_is_not_sent(book: Book, viewer: Person, tmp_path: Path) -> None:
    file = landed_file(tmp_path / "a.jpg", noise(300, 300)[:20_000])
    assert viewer.get(address(told(book, files=[file]))).status_code == 404


def test_a_picture_that_is_too_large_is_not_sent(
    book: Book, viewer: Person, tmp_path: Path, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.ui.fetching.MOST_BYTES", 50)
    monkeypatch.setattr("airflow_aluo.ui.originals.MOST_BYTES", 50)
    played.reply(200, picture())
    file = landed_file(tmp_path / "a.png", picture())
    told(book, files=[file], result_urls=[f"{played.url}/a.png"])
    assert viewer.get(address(book)).status_code == 404


PLACES = [
    ("after/1", 0),
    ("after/-1", 0),
    ("before/9", 0),
    ("after/0", 1),
    ("after/0", -1),
    ("after/99999999999999999999", 0),
]


@pytest.mark.parametrize(("rest", "position"), PLACES)
def test_a_picture_that_a_record_does_not_have_is_not_there(
    book: Book, viewer: Person, tmp_path: Path, rest: str, position: int
) -> None:
    told(book, files=[landed_file(tmp_path / "a.png", picture())])
    assert viewer.get(address(book, rest, position=position)).status_code == 404


@pytest.mark.parametrize("rest", ["aside/0", "after/x", "after/0/../1", "after/..%2f..%2f0"])
def test_an_address_that_is_none_is_refused(book: Book, viewer: Person, rest: str) -> None:
    told(book)
    assert viewer.get(address(book, rest)).status_code in {404, 422}


def test_a_picture_of_a_review_stays_at_its_address_when_it_is_answered(
    book: Book, viewer: Person, tmp_path: Path
) -> None:
    files = [[landed_file(tmp_path / f"{n}.png", picture(10 + n, 10))] for n in range(2)]
    both = [edit_record(f"edit_{n}", files=files[n]) for n in range(2)]
    told_ = {"reviewed": both, "return_value": [both[1]], "submitted": submitted_record()}
    book.instance("edit", operator="PhotoReviewOperator", xcoms=told_)
    assert [opened(viewer.get(address(book, position=n))).size for n in range(2)] == [(10, 10), (11, 10)]


def test_pictures_are_those_of_their_own_task_instance(book: Book, viewer: Person, tmp_path: Path) -> None:
    for index in range(2):
        file = landed_file(tmp_path / f"{index}.png", picture(10 + index, 10))
        book.instance("edit", map_index=index, xcoms={"return_value": edit_record(files=[file])})
    for index in range(2):
        one = address(book).replace("/edit/-1/", f"/edit/{index}/")
        assert opened(viewer.get(one)).size == (10 + index, 10)
    assert viewer.get(address(book)).status_code == 404


def archive_of(book: Book, viewer: Person, query: str = "") -> zipfile.ZipFile:
    answer = viewer.get(f"aluo/api/dags/{book.dag_id}/runs/a_run/pictures.zip{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_all_pictures_of_a_run_come_in_one_file(book: Book, viewer: Person, tmp_path: Path) -> None:
    content = [picture(10 + number, 10) for number in range(3)]
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "X.PNG", tmp_path / "c" / "x-2.png"]
    files = [landed_file(path, one) for path, one in zip(paths, content, strict=True)]
    told(book, files=files)
    archive = archive_of(book, viewer)
    assert archive.testzip() is None
    assert archive.namelist() == ["x.png", "X-2.png", "x-2-2.png"]
    assert [archive.read(name) for name in archive.namelist()] == content


def test_names_in_the_file_lead_nowhere(book: Book, viewer: Person, tmp_path: Path) -> None:
    names = ["..", "missing.txt", "a\\..\\..\\b", "-rf *", "CON", "ü" * 90, "line\nbreak"]
    told(
        book,
        files=[
            landed_file(tmp_path / f"{n}" / name / "f", picture(10 + n, 9)) for n, name in enumerate(names)
        ],
    )
    copies = [landed_file(tmp_path / f"{name}.png", picture(30 + n, 9)) for n, name in enumerate(names[1:])]
    book.instance("more", xcoms={"return_value": edit_record("edit_2", files=copies)})
    found = archive_of(book, viewer).namelist()
    assert len(found) == len({name.casefold() for name in found}) == len(names) + len(copies)
    assert all(name == os.path.basename(name) for name in found)  # noqa: PTH119  # as others take it apart
    assert not [name for name in found if name.startswith((".", "-")) or set(name) & set('\\/:*?"<>|\n')]


def test_pictures_that_cannot_be_had_are_listed(book: Book, viewer: Person, tmp_path: Path) -> None:
    there, gone = (landed_file(tmp_path / name, picture()) for name in ("there.png", "gone.png"))
    Path(gone["path"]).unlink()
    archive = archive_of(told(book, files=[gone, there]), viewer)
    assert archive.namelist() == ["there.png", "missing.txt"]
    assert archive.read("missing.txt").decode() == "gone.png: its file is no picture that can be shown here\n"


def test_the_file_holds_what_the_page_shows(book: Book, viewer: Person, tmp_path: Path) -> None:
    for task in ("a", "b"):
        file = landed_file(tmp_path / f"{task}.png", picture())
        book.instance(task, xcoms={"return_value": edit_record(task, files=[file])})
    assert archive_of(book, viewer, "?task_id=b").namelist() == ["b.png"]
    assert archive_of(book, viewer, "?text=green").namelist() == []
