"""The page and its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI

import airflow_aluo
from airflow_aluo import gallery
from airflow_aluo.ui.plugin import AluoPlugin
from tests.ui.book import Book, Person, client

STATIC = Path(airflow_aluo.__file__).with_name("ui") / "static"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def places(dag_id: str) -> list[str]:
    """Where Airflow's tabs lead to, with what it puts into the braces."""
    values = {"DAG_ID": dag_id, "RUN_ID": "a+run:1", "TASK_ID": "group.edit", "MAP_INDEX": "{MAP_INDEX}"}
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    return [view["href"].format(**quoted) for view in AluoPlugin.external_views]


def test_each_tab_shows_the_page(book: Book, viewer: Person) -> None:
    for place in places(book.dag_id):
        answer = viewer.get(place)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<base href="/aluo/">' in answer.text
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_page_is_what_links_lead_to(book: Book, viewer: Person) -> None:
    assert viewer.get(gallery.of_task_instance(book.dag_id, "a_run", "edit", 3)).status_code == 200


@pytest.mark.parametrize(
    ("root", "base"),
    [("/af", "/af/aluo/"), ("/a/b", "/a/b/aluo/"), ('/a"><script>', "/a&quot;&gt;&lt;script&gt;/aluo/")],
)
def test_the_page_knows_the_path_below_which_airflow_is_served(viewer: Person, root: str, base: str) -> None:
    airflow = FastAPI(root_path=root)
    (mounted,) = AluoPlugin.fastapi_apps
    airflow.mount(mounted["url_prefix"], mounted["app"])
    answer = client(airflow, cookies=viewer.client.cookies).get(f"{quote(root)}/aluo/")
    assert answer.status_code == 200
    assert f'<base href="{base}">' in answer.text


def test_the_pages_files_are_sent_as_what_they_are(viewer: Person) -> None:
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    files = [path for path in STATIC.iterdir() if path.suffix[1:] in kinds]
    assert files
    for path in files:
        answer = viewer.get(f"aluo/static/{path.name}")
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"].startswith(kinds[path.suffix[1:]])
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "name", ["none.js", "..%2fpages.py", "%2e%2e%2fpages.py", "%2fetc%2fpasswd", "__init__.py"]
)
def test_no_other_file_is_sent(viewer: Person, name: str) -> None:
    answer = viewer.get(f"aluo/static/{name}")
    assert answer.status_code == 404
    assert "detail" in answer.json()


@contextmanager
def broken_database() -> Iterator[None]:
    """A database without the table of XComs."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    def rename(old: str, new: str) -> None:
        with create_session(scoped=False) as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename("xcom", "xcom_away")
    try:
        yield
    finally:
        rename("xcom_away", "xcom")


def test_an_error_of_the_server_has_the_headers_too(viewer: Person, book: Book) -> None:
    with broken_database():
        answer = viewer.get(f"aluo/api/dags/{book.dag_id}/runs/a_run/edits")
    assert answer.status_code == 500
    assert "xcom" not in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
