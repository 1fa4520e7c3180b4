"""What every `airflow` call learns of the commands, by Airflow's own parser."""

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.cli.cli_config import ActionCommand
from airflow.cli.cli_parser import get_parser

from airflow_aluo.cli import DEFAULT_CONN_ID, DEFAULT_NAME, DEFAULT_TIMEOUT, get_cli_commands
from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.protocol import naming, schedule
from tests.which_airflow import needs_provider_commands

COMMANDS = {one.name: one for one in get_cli_commands()[0].subcommands}

LOOK = """
import json, sys
import airflow.cli.cli_config
before = set(sys.modules)
import airflow_aluo.cli
airflow_aluo.cli.get_cli_commands()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def parsed(*words: str) -> Any:
    return get_parser().parse_args(["aluo", *words])


def test_an_airflow_call_loads_nothing_of_what_the_commands_do() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded - {"airflow_aluo"} == {
        "airflow_aluo.cli",
        "airflow_aluo.protocol",
        "airflow_aluo.protocol.vocabulary",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_does_is_there_when_it_runs(name: str) -> None:
    from airflow_aluo.commands import edit, servers, status, unknown

    command = COMMANDS[name]
    assert isinstance(command, ActionCommand)
    path = inspect.getclosurevars(command.func).nonlocals["import_path"]
    module, _, function = path.rpartition(".")
    found = {one.__name__: one for one in (edit, servers, status, unknown)}
    assert list(inspect.signature(getattr(found[module], function)).parameters) == ["args"]


def test_defaults_are_those_of_the_hook_and_the_operators() -> None:
    assert DEFAULT_NAME == naming.DEFAULT_NAME
    assert DEFAULT_TIMEOUT == schedule.DEFAULT_TIMEOUT
    assert AluoHook.default_conn_name == DEFAULT_CONN_ID


@needs_provider_commands
def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed()
    assert end.value.code == 2
    seen = capsys.readouterr().out
    assert all(f"{name} " in seen for name in COMMANDS)


@needs_provider_commands
@pytest.mark.parametrize("name", ["edit", "status", "unknown"])
def test_a_commands_help_shows_its_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(name, "--help")
    assert end.value.code == 0
    assert "exit codes:" in capsys.readouterr().out


@needs_provider_commands
def test_the_help_of_edit_shows_examples_that_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    with pytest.raises(SystemExit):
        parsed("edit", "--help")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [shlex.split(line)[2:] for line in lines if line.startswith("airflow aluo edit ")]
    assert len(examples) == 3
    assert [parsed(*words).photos[0] for words in examples] == [
        "shoe.jpg",
        "shoe.jpg",
        "https://shop.example/shoe.jpg",
    ]


@needs_provider_commands
@pytest.mark.parametrize(
    "words",
    [
        ("edit", "a.jpg"),
        ("edit", "--prompt", "Blue"),
        ("edit", "a.jpg", "--prompt", "Blue", "--aspect-ratio", "7:1"),
        ("edit", "a.jpg", "--prompt", "Blue", "--output-format", "gif"),
        ("edit", "a.jpg", "--prompt", "Blue", "--num-images", "two"),
        ("status", "edit_1", "--timeout", "0"),
        ("status", "edit_1", "--timeout", "soon"),
        ("status", "edit_1", "--poll-interval", "inf"),
        ("status",),
    ],
)
def test_what_cannot_be_understood_ends_with_2(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    assert end.value.code == 2


@needs_provider_commands
@pytest.mark.parametrize("name", ["sandbox", "demo"])
@pytest.mark.parametrize(
    "words",
    [(), ("--help",), ("--port", "0", "--slow-post"), ("--ui", "--", "--speed", "2"), ("-x", "a b")],
)
def test_every_word_after_sandbox_and_demo_is_theirs(name: str, words: tuple[str, ...]) -> None:
    assert parsed(name, *words).arguments == list(words)
