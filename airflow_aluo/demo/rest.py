"""Airflow's REST API, as far as the demo and the tests need it."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

import requests

#: Seconds for one answer. On a busy machine the API server may need many.
TIMEOUT = 120.0
#: Seconds after which a token is asked for anew; Airflow's live for a day.
TOKEN_AGE = 3600.0
#: How often a change is asked for while the database is locked, and the seconds between.
CHANGE_TRIES, CHANGE_PAUSE = 6, 2.0


class RestError(Exception):
    """Airflow's API refused: `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """A logged-in client. Paths are relative to `/api/v2`: `dags/my_dag`."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._session = requests.Session()
        # Loopback only: no proxy, and no .netrc whose password would replace the token.
        self._session.trust_env = False
        self._token_until = 0.0

    def close(self) -> None:
        """Close the connections that are kept open for the next request."""
        self._session.close()

    def get(self, path: str, **params: Any) -> Any:
        """Read as JSON."""
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None) -> Any:
        """Create, or do."""
        return self.request("POST", path, json=json)

    def patch(self, path: str, json: Any, **params: Any) -> Any:
        """Change."""
        return self.request("PATCH", path, json=json, params=params)

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the answer's JSON, or `None` for an empty one.

        :raises RestError: Airflow refused.
        :raises requests.RequestException: Airflow could not be asked.
        """
        self._log_in()
        return self._send(method, f"{self.url}/api/v2/{path}", **arguments)

    def change(self, method: str, path: str, json: Any = None) -> Any:
        """Like `request`, of which it is asked again while Airflow fails (HTTP 500).

        On a busy machine SQLite may be locked for longer than Airflow waits.
        """
        for _ in range(CHANGE_TRIES - 1):
            try:
                return self.request(method, path, json=json)
            except RestError as error:
                if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                time.sleep(CHANGE_PAUSE)
        return self.request(method, path, json=json)

    def healthy(self) -> dict[str, bool]:
        """Whether each part says that it is well; nothing while the API does not answer."""
        try:
            health = self._send("GET", f"{self.url}/api/v2/monitor/health")
        except (requests.RequestException, RestError):
            return {}
        return {part: state.get("status") == "healthy" for part, state in health.items()}

    def answers_workers(self) -> bool:
        """Whether the API server answers workers: their first call makes it build what answers them.

        That takes seconds, and a minute on a busy machine, in which nobody else is answered either (3.3.2).
        """
        try:
            self._session.get(f"{self.url}/execution/health", timeout=TIMEOUT)
        except requests.RequestException:
            return False
        return True

    def _log_in(self) -> None:
        if time.monotonic() < self._token_until:
            return
        answer = self._send("POST", f"{self.url}/auth/token", json=self._login)
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self._token_until = time.monotonic() + TOKEN_AGE

    def _send(self, method: str, url: str, **arguments: Any) -> Any:
        answer = self._session.request(method, url, timeout=TIMEOUT, **arguments)
        if not answer.ok:
            raise RestError(
                f"{method} {url} answered {answer.status_code}: {answer.text[:500]}",
                status=answer.status_code,
            )
        return answer.json() if answer.content else None
