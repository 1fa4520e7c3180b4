"""An Airflow for the tests of the gallery."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.book import Book, Person, environment, make_database
from tests.ui.book import api_server as made_api_server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def airflow_database() -> Iterator[None]:
    """An empty database of Airflow's, in this session's AIRFLOW_HOME."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in environment(Path(os.environ["AIRFLOW_HOME"])).items():
            monkeypatch.setenv(name, value)
        make_database()
        yield


@pytest.fixture(scope="session")
def api_server(airflow_database: None) -> Any:  # noqa: ARG001  # it is there
    """Airflow's own API server, as an application, with the gallery."""
    return made_api_server()


@pytest.fixture(scope="session")
def people(api_server: Any) -> Callable[[str | None], Person]:
    """Return a function that logs somebody in, ``None`` for nobody."""
    known: dict[str | None, Person] = {}

    def person(name: str | None) -> Person:
        if name not in known:
            known[name] = Person(api_server, name)
        return known[name]

    return person


@pytest.fixture
def viewer(people: Callable[[str], Person]) -> Person:
    """Somebody who may read everything, and change nothing."""
    return people("viewer")


@pytest.fixture
def book(airflow_database: None) -> Book:  # noqa: ARG001  # it is there
    """A DAG of this test's own, with a run that goes on."""
    return Book(f"dag_{next(_numbers)}").run()


@pytest.fixture
def new_book(airflow_database: None) -> Callable[[str], Book]:  # noqa: ARG001  # it is there
    """Return a function that makes a DAG whose name begins as told."""
    return lambda beginning: Book(f"{beginning}_{next(_numbers)}").run()


@pytest.fixture(autouse=True)
def _temporary_files_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep these tests' temporary files, thumbnails included, in a folder that goes with them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))
