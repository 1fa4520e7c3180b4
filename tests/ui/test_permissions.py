"""Airflow decides who sees what, for every address of the gallery."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.book import Book, Person, edit_record

#: Held against the application's own list below, so that a new one cannot be forgotten.
OF_A_DAG = [
    "/api/dags/{dag_id}/edits",
    "/api/dags/{dag_id}/runs/{run_id}/edits",
    "/api/dags/{dag_id}/runs/{run_id}/pictures.zip",
    "/api/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{map_index}/pictures/{position}/{kind}/{number}",
    "/dags/{dag_id}",
    "/dags/{dag_id}/runs/{run_id}",
    "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{map_index}",
    "/dags/{dag_id}/tasks/{task_id}",
]
ROUTES = ["/", "/api/edits", *OF_A_DAG, "/static/{name}"]
VALUES = {
    "map_index": "-1",
    "position": "0",
    "kind": "after",
    "number": "0",
    "run_id": "a_run",
    "task_id": "edit",
    "name": "icon.svg",
}


def made_routes() -> list[Any]:
    from airflow_aluo.ui.app import build

    # Newer FastAPIs keep the routes of a router that was included together.
    included = [getattr(route, "original_router", None) for route in build().routes]
    return [
        one
        for route, router in zip(build().routes, included, strict=True)
        for one in (router.routes if router else [route])
    ]


def address(path: str, dag_id: str) -> str:
    values = VALUES | {"dag_id": dag_id}
    return "aluo" + re.sub(r"{(\w+)}", lambda found: values[found[1]], path)


@pytest.mark.usefixtures("airflow_database")
def test_there_is_no_address_that_these_tests_forget() -> None:
    assert {route.path for route in made_routes()} == set(ROUTES)


@pytest.mark.usefixtures("airflow_database")
def test_nothing_can_be_changed() -> None:
    assert {method for route in made_routes() for method in route.methods} == {"GET"}


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_who_has_not_logged_in_sees_anything(
    path: str, people: Callable[[str | None], Person], book: Book
) -> None:
    book.instance("edit", xcoms={"return_value": edit_record()})
    answer = people(None).get(address(path, book.dag_id))
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")


@pytest.mark.parametrize("path", ROUTES)
def test_a_forged_login_is_none(path: str, people: Callable[[str | None], Person], book: Book) -> None:
    forged = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."}
    assert people(None).get(address(path, book.dag_id), headers=forged).status_code == 403


@pytest.mark.parametrize("name", ["stranger", "outsider"])
@pytest.mark.parametrize("path", OF_A_DAG)
def test_who_may_not_read_a_dags_xcoms_sees_nothing_of_it(
    path: str, name: str, people: Callable[[str | None], Person], new_book: Callable[[str], Book]
) -> None:
    book = new_book("secret").instance("edit", xcoms={"return_value": edit_record()})
    answer = people(name).get(address(path, book.dag_id))
    assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})


@pytest.mark.parametrize("path", OF_A_DAG)
@pytest.mark.parametrize("dag_id", ["~", "%7E", "%20"])
def test_what_means_all_dags_to_airflow_is_none_here(
    path: str, dag_id: str, people: Callable[[str | None], Person]
) -> None:
    answer = people("admin").get(address(path, dag_id))
    assert answer.status_code == 404
    assert "is no DAG" in answer.json()["detail"]


@pytest.mark.parametrize("path", OF_A_DAG)
def test_the_dag_in_the_path_counts_whatever_a_query_says(
    path: str, people: Callable[[str | None], Person], new_book: Callable[[str], Book]
) -> None:
    secret, free = new_book("secret"), new_book("open")
    assert people("stranger").get(f"{address(path, secret.dag_id)}?dag_id={free.dag_id}").status_code == 403


def test_the_record_of_another_dag_is_not_reached_by_its_run(
    people: Callable[[str | None], Person], new_book: Callable[[str], Book]
) -> None:
    new_book("secret").run("run_of_a_secret").instance("edit", xcoms={"return_value": edit_record()})
    free = new_book("open")
    path = f"aluo/api/dags/{free.dag_id}/runs/run_of_a_secret"
    for rest in ("edits", "pictures.zip", "tasks/edit/-1/pictures/0/after/0"):
        assert people("stranger").get(f"{path}/{rest}").status_code == 404
