"""The gallery as a web application, to be mounted by Airflow's API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from airflow_aluo.gallery import HEADERS
from airflow_aluo.protocol.rendered import shown
from airflow_aluo.ui import pages, picture_routes, routes
from airflow_aluo.ui.gallery_data import Gallery
from airflow_aluo.ui.images import Thumbnails
from airflow_aluo.ui.shelf import Shelf

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ENCODED: Final = {name.encode(): value.encode() for name, value in HEADERS.items()}


def build() -> FastAPI:
    """Return the application, without the headers that :class:`Secured` adds."""
    # No pages of its own about itself: they would be open to everybody.
    app = FastAPI(title="Photo edits", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.gallery = Gallery()
    app.state.thumbnails = Thumbnails(Shelf.of_this_user())
    for router in (routes.router, picture_routes.router, pages.router):
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _not_as_expected)
    return app


async def _not_as_expected(_: Request, error: Exception) -> JSONResponse:
    """Say in a sentence what a request has wrong."""
    problems: list[dict[str, Any]] = [*error.errors()] if isinstance(error, RequestValidationError) else []
    told = [f"{one['loc'][-1]}: {shown(one['input'])}, expected: {one['msg']}" for one in problems]
    return JSONResponse({"detail": "; ".join(told) or "this is not what is asked here"}, 422)


class Secured:
    """Adds the headers to every answer, errors of the server's included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [one for one in message.get("headers", []) if one[0].lower() not in _ENCODED]
                message = {**message, "headers": [*own, *_ENCODED.items()]}
            await send(message)

        await self._app(scope, receive, with_headers)
