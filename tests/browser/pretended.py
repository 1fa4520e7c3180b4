"""A server that tells the gallery's page whatever a test wants it to show: the contract, and no Airflow."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image, ImageDraw

import airflow_aluo
from airflow_aluo.gallery import HEADERS, TABS
from airflow_aluo.protocol.review import APPROVE, REDO, REDO_OTHERS, REJECT, REJECT_ALL

STATIC = Path(airflow_aluo.__file__).parent / "ui" / "static"
BASE = "/af/aluo/"
#: What each option of an approval is, by what it says.
KINDS = {
    True: {REDO_OTHERS: "redo_others", REJECT_ALL: "reject_all"},
    False: {APPROVE: "approve", REDO: "redo", REJECT: "reject"},
}
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
#: As Airflow frames its plugins' pages.
FRAME = (
    '<!doctype html><html lang="en" class="dark"><title>Airflow</title><link rel="icon" href="data:,">'
    '<iframe title="Photo edits" width="1200" height="800" src="{}" '
    'sandbox="allow-scripts allow-same-origin allow-forms allow-downloads">'
)


@cache
def _png(name: str, size: str) -> bytes:
    """Draw a picture that differs by what it shows."""
    width, height = {"thumb": (480, 360), "large": (1600, 1200)}.get(size, (800, 600))
    after = "/after/" in name
    seed = sum(map(ord, name.partition("/pictures/")[0]))
    colour = (90 + seed * 37 % 120, 110 + seed * 53 % 110, 120 + seed * 71 % 110)
    drawn = Image.new("RGB", (width, height), "#f4efe6" if after else colour)
    pen = ImageDraw.Draw(drawn)
    box = (width * 0.3, height * 0.2, width * 0.7, height * 0.85)
    pen.rounded_rectangle(box, width * 0.06, fill=(200, 90 + seed * 29 % 100, 60))
    pen.ellipse((width * 0.36, height * 0.3, width * 0.64, height * 0.6), fill="#fff8" if after else "#dcb")
    if not after:
        for line in range(0, width, width // 12):
            pen.line((line, 0, line + width // 5, height), fill=tuple(part - 30 for part in colour), width=6)
    into = io.BytesIO()
    drawn.save(into, "PNG")
    return into.getvalue()


@dataclass
class Gallery:
    """The server's side of the contract: what it holds, what it was asked, how it misbehaves."""

    address: str = ""
    cards: list[dict[str, Any]] = field(default_factory=list)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    live: bool = False
    progress: str | None = None
    truncated: bool = False
    cut: int | None = None
    unreadable: int = 0
    #: Approvals that wait, and are not told.
    more_waiting: int = 0
    #: Other than 200: what every question for edits, every answer to an approval gets.
    status: int = 200
    answer_status: int = 200
    missing_pictures: bool = False
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: Called with each answer: what follows from it.
    answered: Callable[[dict[str, Any]], None] = lambda _: None

    def card(self, number: int = 0, **facts: Any) -> dict[str, Any]:
        """Add an edit that has succeeded, or whatever the facts say."""
        instance = f"dags/shop/runs/run-1/tasks/edit/{number}"
        at = datetime(2026, 11, 29, 17, 0, tzinfo=UTC) + timedelta(seconds=number)
        path = f"aluo/api/{instance}/pictures/0"
        result = {"width": 1600, "height": 1200, "bytes": 312_000, "format": "png", "landed": True}
        made = {
            "key": f"{instance}/0", "dag_id": "shop", "run_id": "run-1", "task_id": "edit",
            "map_index": number, "map_label": f"photo {number}", "attempt": 1,
            "aluo_task_id": f"t-{number}", "state": "succeeded",
            "status": "SUCCESS", "task_state": "success", "prompt": f"Put product {number} on white",
            "aspect_ratio": "4:3", "output_format": "png",
            "before": [{"name": "in.png", "picture": f"{path}/before/0"}],
            "after": [{"name": "out.png", "picture": f"{path}/after/0", **result}],
            "credits": 40, "credits_estimated": False, "submitted_at": at.isoformat(), "seconds": 18.2,
            "error": None, "review": None, "waiting_review": None, "option": None, "batch": False,
        }  # fmt: skip
        if facts.get("state") in {"running", "failed"}:
            made |= {
                "after": [],
                "seconds": None,
                "credits_estimated": True,
                "status": facts["state"].upper(),
            }
        made |= facts
        self.cards.append(made)
        return made

    def review(self, options: list[str], *, multiple: bool, prompt: str = "on white") -> dict[str, Any]:
        """Add a question; its place among the reviews is what cards name."""
        made = {
            "dag_id": "shop", "run_id": "run-1", "task_id": "look", "map_index": -1,
            "subject": "Are these good?", "options": options, "multiple": multiple,
            "answered": None, "edits": 1, "attempt": 1,
            "kinds": [KINDS[multiple].get(option, "edit") for option in options],
            "params": {"prompt": {"value": prompt, "schema": {"type": "string"}, "description": None}},
        }  # fmt: skip
        self.reviews.append(made)
        return made

    def edits(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        scope = [card for card in self.cards if query.get("task_id", card["task_id"]) == card["task_id"]]
        text = query.get("text", "").lower()
        found = [
            card
            for card in scope
            if query.get("state", card["state"]) == card["state"] and text in (card["prompt"] or "").lower()
        ]
        offset, limit = int(query["offset"]), int(query["limit"])
        states = {
            state: sum(card["state"] == state for card in scope)
            for state in ("succeeded", "running", "failed", "unknown")
        }
        totals = {"edits": len(scope), **states, "credits": 40 * len(scope), "credits_estimated": True}
        totals |= {
            "mean_seconds": 18.2 if scope else None,
            "pictures": sum(len(card["after"]) for card in scope),
        }
        return {
            "cards": found[offset : offset + limit], "matched": len(found), "totals": totals,
            "tasks": sorted({card["task_id"] for card in scope}), "usual_seconds": 20.0, "live": self.live,
            "now": "2026-11-29T17:00:12+00:00", "truncated": self.truncated,
            "cut": self.cut, "unreadable": self.unreadable, "reviews": self.reviews,
            "reviews_waiting": self.more_waiting + sum(one["answered"] is None for one in self.reviews),
            "run_tab": TABS["dag_run"],
            "runs": [] if "/runs/" in path else self.runs, "progress": self.progress,
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gallery: Gallery

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        below = parts.path.removeprefix(BASE)
        if parts.path.startswith("/af/frame"):
            self._reply(FRAME.format(query.get("src", f"{BASE}dags/shop/runs/run-1")).encode(), "text/html")
        elif below.startswith("static/") and (STATIC / below.removeprefix("static/")).is_file():
            file = STATIC / below.removeprefix("static/")
            self._reply(file.read_bytes(), TYPES[file.suffix])
        elif below.startswith("api/") and below.endswith("/edits"):
            self.gallery.asked.append((unquote(below), query))
            answer = {"detail": "the server's own words"}
            if self.gallery.status == 200:
                answer = self.gallery.edits(below, query)
            self._reply(json.dumps(answer).encode(), "application/json", self.gallery.status)
        elif "/pictures/" in below and not self.gallery.missing_pictures:
            self._reply(_png(below, query["size"]), "image/png")
        elif "/pictures/" in below or not parts.path.startswith(BASE):
            self._reply(b"{}", "application/json", 404)
        else:
            index = (STATIC / "index.html").read_bytes().replace(b"__BASE__", BASE.encode())
            self._reply(index, "text/html")

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.gallery.answers.append((self.path, body))
        if self.gallery.answer_status == 200:
            self.gallery.answered(body)
        self._reply(b'{"detail": "words"}', "application/json", self.gallery.answer_status)

    def _reply(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if not self.path.startswith("/af/frame"):
            for name, value in HEADERS.items():
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name for it
        """Keep the tests' output to what pytest says."""
