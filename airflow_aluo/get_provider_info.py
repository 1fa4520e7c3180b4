"""What Airflow discovers about this package, without importing any of it."""

from __future__ import annotations

from typing import Any, Final

from airflow_aluo import __version__

_INTEGRATION: Final = "Aluo"
_OPERATORS: Final = ("photo_edit", "photo_edit_batch", "photo_download", "photo_publish", "photo_review")
_LINKS: Final = ("PhotoEditsLink", "ResultLink", "RunLink")
_POSITIVE: Final = {"type": ["number", "null"], "exclusiveMinimum": 0}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as ``airflow/provider.yaml.schema.json`` has it."""
    return {
        "package-name": "airflow-aluo",
        "name": "Aluo",
        "description": "Edit photos by a sentence with `Aluo <https://aluo.ai/>`__: submit, wait, land.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://aluo.ai/docs/api/photo-editor",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_aluo.hooks.aluo"]}],
        "operators": [
            _modules("operators", *_OPERATORS),
        ],
        "sensors": [_modules("sensors", "photo_edit")],
        "triggers": [_modules("triggers", "photo_edit")],
        "task-decorators": [
            {
                "name": "photo_edit",
                "class-name": "airflow_aluo.decorators.photo_edit.photo_edit_task",
            }
        ],
        "cli": ["airflow_aluo.cli.get_cli_commands"],
        "extra-links": [f"airflow_aluo.links.{name}" for name in _LINKS],
        "connection-types": [
            {
                "connection-type": "aluo",
                "hook-class-name": "airflow_aluo.hooks.aluo.AluoHook",
                "hook-name": "Aluo",
                "ui-field-behaviour": {
                    # The port stays: Airflow 3.3.2's Test button needs one (443 will do).
                    "hidden-fields": ["schema", "login", "extra"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {
                        "host": "https://api.aluo.ai/api",
                        "password": "sk-...",
                        "port": "443",
                    },
                },
                "conn-fields": _fields(),
            }
        ],
    }


def _modules(folder: str, *names: str) -> dict[str, Any]:
    return {
        "integration-name": _INTEGRATION,
        "python-modules": [f"airflow_aluo.{folder}.{name}" for name in names],
    }


def _fields() -> dict[str, Any]:
    """Return the form's own fields; they are saved by these names in the connection's extra."""
    return {
        "plan": {
            "label": "Plan",
            "description": "Sets how many requests a minute are sent, and what an edit is estimated at.",
            "schema": {"type": ["string", "null"], "enum": ["free", "pro", "max"], "default": "free"},
        },
        "requests_per_minute": {
            "label": "Requests per minute",
            "description": "If your account allows other than its plan's 10, 100 or 1000.",
            "schema": _POSITIVE,
        },
        "credits_per_edit": {
            "label": "Credits per edit",
            "description": "If your account pays other than its plan's 40 or 35.",
            "schema": _POSITIVE,
        },
        "connect_timeout": {
            "label": "Connect timeout",
            "description": "Seconds to establish a connection; 10 if left empty.",
            "schema": _POSITIVE,
        },
        "read_timeout": {
            "label": "Read timeout",
            "description": "Seconds to wait for a reply's next bytes; 30 if left empty.",
            "schema": _POSITIVE,
        },
        "submit_timeout": {
            "label": "Submit timeout",
            "description": "Seconds that a submit may take, for Aluo may answer only when the edit is done; "
            "180 if left empty.",
            "schema": _POSITIVE,
        },
        "verify": {
            "label": "Verify certificates",
            "description": "true, false, or the path of a file with certificates to trust.",
            "schema": {"type": ["string", "null"], "default": "true"},
        },
        "proxy": {
            "label": "Proxy",
            "description": "Such as http://user:password@proxy.example:3128; else the environment's.",
            "schema": {"type": ["string", "null"], "format": "password"},
        },
        "allow_private_hosts": {
            "label": "Private hosts",
            "description": "That may serve pictures: names, addresses or ranges (10.0.0.0/8), by commas.",
            "schema": {"type": ["string", "null"]},
        },
    }
