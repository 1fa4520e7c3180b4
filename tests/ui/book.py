"""A real database of Airflow's, its real API server with the gallery, and what is put into them."""

import hashlib
import io
import json
import subprocess
import sys
import uuid
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_aluo.gallery import LINK

#: Who may log in, by role; what makes them different stands in ``some_dags.py``.
PEOPLE = {"admin": "admin"} | dict.fromkeys(("viewer", "stranger", "outsider", "looker"), "viewer")
START = datetime(2026, 11, 29, 12, tzinfo=UTC)


def environment(home: Path) -> dict[str, str]:
    """Settings of an Airflow whose database and passwords lie in a folder."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({name: name for name in PEOPLE}))
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.some_dags.SomeDags",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{k}:{v}" for k, v in PEOPLE.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'gallery.db'}",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-a-test-" * 7,
        "AIRFLOW__API__SECRET_KEY": "of-a-test-" * 7,
    }


def make_database() -> None:
    """Make the database that this process's environment names, and use it."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    from airflow import settings

    settings.configure_vars()
    settings.configure_orm()


def api_server() -> Any:
    """Airflow's own API server, as an application, with the gallery where Airflow mounts it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own
        from airflow.api_fastapi.app import create_app
        from starlette.routing import Mount

        from airflow_aluo.ui.plugin import AluoPlugin

        app = create_app("core")
        (mounted,) = AluoPlugin.fastapi_apps
        # Whether the plugin is found at its entry point depends on how this checkout was installed.
        others = [one for one in app.router.routes if getattr(one, "path", "") != mounted["url_prefix"]]
        app.router.routes[:] = [Mount(mounted["url_prefix"], app=mounted["app"]), *others]
        return app


def client(app: Any, **more: Any) -> Any:
    """Starlette's client for tests; errors of the server are answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would like another HTTP library better
        from starlette.testclient import TestClient

    return TestClient(app, raise_server_exceptions=False, **more)


class Person:
    """Asks the API server for what is relative to Airflow's address, as somebody who has logged in."""

    def __init__(self, app: Any, name: str | None) -> None:
        self.client = client(app)
        if name is not None:
            answer = self.client.post("/auth/token", json={"username": name, "password": name})
            self.client.cookies.set("_token", answer.json()["access_token"])

    def get(self, address: str, **more: Any) -> Any:
        return self.client.get(f"/{address}", **more)

    def edits(self, dag_id: str | None = None, run_id: str | None = None, **query: Any) -> Any:
        path = f"/dags/{quote(dag_id, safe='')}" if dag_id else ""
        path += f"/runs/{quote(run_id, safe='')}" if run_id else ""
        answer = self.get(f"aluo/api{path}/edits", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def new_id() -> uuid.UUID | str:
    """Return an id for a task instance, as this Airflow's database takes them."""
    from airflow.models.taskinstance import TaskInstance

    made = uuid.uuid4()
    return made if TaskInstance.__table__.c.id.type.python_type is uuid.UUID else str(made)


class Book:
    """What a test writes into Airflow's database: a DAG, its runs and their task instances."""

    def __init__(self, dag_id: str) -> None:
        from airflow.models.dag import DagModel
        from airflow.models.dagbundle import DagBundleModel
        from airflow.utils.session import create_session

        self.dag_id, self.run_id = dag_id, "a_run"
        self._runs: dict[str, int] = {}
        with create_session(scoped=False) as session:
            if session.get(DagBundleModel, "tests") is None:
                session.add(DagBundleModel(name="tests"))
                session.flush()
            if session.get(DagModel, dag_id) is None:
                session.add(DagModel(dag_id=dag_id, bundle_name="tests", fileloc="/dags/a.py"))

    def run(self, run_id: str = "a_run", state: str = "running", at: datetime = START) -> "Book":
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        self.run_id = run_id
        with create_session(scoped=False) as session:
            run = DagRun(
                dag_id=self.dag_id,
                run_id=run_id,
                run_after=at,
                state=state,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
            )
            session.add(run)
            session.flush()
            self._runs[run_id] = run.id
        return self

    def instances(self, rows: list[dict[str, Any]], xcoms: list[dict[str, Any]]) -> None:
        """Insert many rows at once."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session
        from sqlalchemy import insert

        common: dict[str, Any] = {"dag_id": self.dag_id, "run_id": self.run_id}
        with create_session(scoped=False) as session:
            session.execute(
                insert(TaskInstance), [_TASK_INSTANCE | common | {"id": new_id()} | row for row in rows]
            )
            if xcoms:
                common |= {"map_index": -1, "dag_run_id": self._runs[self.run_id]}
                session.execute(insert(XComModel), [common | row for row in xcoms])

    def instance(
        self,
        task_id: str,
        *,
        operator: str = "PhotoEditOperator",
        state: str | None = "success",
        map_index: int = -1,
        after: float = 0.0,
        label: str | None = None,
        attempt: int = 1,
        xcoms: dict[str, Any] | None = None,
        approval: dict[str, Any] | None = None,
    ) -> "Book":
        """Insert a task instance. ``after``: seconds from the run's start to its own."""
        begun = state not in {None, "scheduled", "queued"}
        row = {
            "id": (identity := new_id()),
            "task_id": task_id,
            "map_index": map_index,
            "operator": operator,
            "state": state,
            "try_number": attempt,
            "_rendered_map_index": label,
            "start_date": START + timedelta(seconds=after) if begun else None,
        }
        told = {LINK: f"aluo/{task_id}"} | (xcoms or {}) if begun else xcoms or {}
        self.instances(
            [row],
            [{"task_id": task_id, "map_index": map_index, "key": k, "value": v} for k, v in told.items()],
        )
        if approval is not None:
            from airflow.models.hitl import HITLDetail
            from airflow.utils.session import create_session

            with create_session(scoped=False) as session:
                session.add(HITLDetail(ti_id=identity, **approval))
        return self


_TASK_INSTANCE = {
    "map_index": -1,
    "try_number": 1,
    "max_tries": 2,
    "pool": "default_pool",
    "pool_slots": 1,
    "priority_weight": 1,
    "operator": "PhotoEditOperator",
    "state": "success",
    "start_date": START,
}


def edit_record(aluo_task_id: str | None = "edit_1", **more: Any) -> dict[str, Any]:
    """An edit that has succeeded 20 seconds after it was submitted; ``more`` replaces parts."""
    times = {
        "submitted_at": "2026-11-29T12:00:00+00:00",
        "accepted_at": "2026-11-29T12:00:01+00:00",
        "completed_at": "2026-11-29T12:00:20+00:00",
        "landed_at": None,
    }
    return {
        "version": 1,
        "aluo_conn_id": "aluo_default",
        "aluo_task_id": aluo_task_id,
        "request": {
            "prompt": "Make it blue",
            "image_urls": ["https://photos.example/cup.jpg?key=secret"],
            "image_files": [],
            "aspect_ratio": "1:1",
            "output_format": "png",
            "num_images": 1,
        },
        "status": "SUCCESS",
        "result_urls": [f"https://cdn.example/{aluo_task_id}.png?sig=secret"],
        "files": [],
        "credits": {"estimated": 40, "deducted": 35, "remaining": 900},
        "times": times,
    } | more


def submitted_record(aluo_task_id: str = "edit_1", **more: Any) -> dict[str, Any]:
    """An edit that Aluo has accepted, and at which nobody has looked."""
    record = edit_record(aluo_task_id)
    record["times"] |= {"completed_at": None}
    record["credits"] |= {"deducted": None}
    return record | {"status": "SUBMITTED", "result_urls": []} | more


def picture(width: int = 8, height: int = 6, *, kind: str = "PNG", colour: Any = (200, 30, 60)) -> bytes:
    """A picture of one colour."""
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB" if len(colour) == 3 else "RGBA", (width, height), colour).save(made, kind)
    return made.getvalue()


def landed_file(path: Path, content: bytes) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    size = {"bytes": len(content), "width": 8, "height": 6, "format": "png"}
    return {"path": str(path), "sha256": digest} | size


def noise(width: int, height: int) -> bytes:
    """A JPEG that no compressor makes small, as a photo."""
    from PIL import Image

    made = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(made, "JPEG", quality=88)
    return made.getvalue()
