"""The page itself, at each address that Airflow's tabs lead to, and its static files."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from airflow_aluo.ui.asking import there
from airflow_aluo.ui.permissions import LOGGED_IN, OF_A_DAG

#: What the page and its script and style lie in.
STATIC: Final = Path(__file__).with_name("static")

#: Stands in the page for the path of the gallery, with a slash at its end.
BASE: Final = "__BASE__"

_PAGE: Final = "index.html"

#: What each kind of file is sent as. The system's own list may call a script by a name that browsers refuse.
_KINDS: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

router = APIRouter()


@router.get("/", dependencies=LOGGED_IN)
async def of_all(request: Request) -> Response:
    """Show all DAGs that the person may read."""
    return _page(request)


@router.get("/dags/{dag_id}", dependencies=OF_A_DAG)
@router.get("/dags/{dag_id}/tasks/{task_id}", dependencies=OF_A_DAG)
@router.get("/dags/{dag_id}/runs/{run_id}", dependencies=OF_A_DAG)
@router.get("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/{map_index}", dependencies=OF_A_DAG)
async def of_a_dag(request: Request, dag_id: str) -> Response:  # noqa: ARG001  # the right is asked for it
    """Show a DAG, a task, a run or a task instance; the page's script reads which from its address."""
    return _page(request)


@router.get("/static/{name}", dependencies=LOGGED_IN)
async def static(name: str) -> Response:
    """Send one of the page's files."""
    content, kind = there(_file(name), f"file {name!r}"), _KINDS.get(Path(name).suffix)
    return Response(content, media_type=kind, headers={"Cache-Control": "private, no-cache"})


def _page(request: Request) -> Response:
    base = f"{request.scope.get('root_path', '').rstrip('/')}/"
    page = there(_file(_PAGE), "page").decode().replace(BASE, html.escape(base))
    return Response(page, media_type="text/html", headers={"Cache-Control": "private, no-cache"})


def _file(name: str) -> bytes | None:
    """Return a static file. Only what lies there can be asked for, by its name."""
    found = {path.name: path for path in STATIC.iterdir() if path.is_file() and path.suffix in _KINDS}
    return found[name].read_bytes() if name in found else None
