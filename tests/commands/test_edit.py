"""`airflow aluo edit`, against the sandbox."""

import json
import os
import pty
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_aluo.protocol.record import parse
from airflow_aluo.sandbox.shelf import PHOTOS
from tests.which_airflow import needs_provider_commands

PHOTO = PHOTOS / "coffee.jpg"
QUICKLY = ("--yes", "--poll-interval", "0.1")
KEY = "sk-0123456789abcdef-of-a-test"


@needs_provider_commands
def test_a_photo_of_this_machine_becomes_a_picture_of_this_machine(
    airflow_aluo: Any, sandbox: Any, tmp_path: Path
) -> None:
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", "--output", "out", *QUICKLY)
    (picture,) = (tmp_path / "out").iterdir()
    assert (ended.code, ended.out) == (0, f"{picture}\n")
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert sandbox.accepted == 1
    assert KEY not in ended.out + ended.err


@needs_provider_commands
def test_what_a_person_does_by_hand_is_not_counted(airflow_aluo: Any, sandbox: Any, statsd: Any) -> None:
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", "--json", *QUICKLY)
    airflow_aluo("status", json.loads(ended.out)["aluo_task_id"])
    assert sandbox.accepted == 1
    assert statsd.found() == {}


@needs_provider_commands
def test_the_cost_is_said_before_anything_is_sent(airflow_aluo: Any, sandbox: Any) -> None:
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    first = ended.err.splitlines()[0]
    assert first.startswith("One edit, estimated at 40 credits (plan free, connection aluo_default")
    assert sandbox.api_url in first


@needs_provider_commands
def test_without_yes_and_without_a_terminal_nothing_is_sent(
    airflow_aluo: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue")
    assert ended.code == 2
    assert "add --yes. Nothing was sent" in ended.err
    assert sandbox.calls == []


@needs_provider_commands
def test_addresses_and_every_option_reach_aluo(airflow_aluo: Any, sandbox: Any, tmp_path: Path) -> None:
    ended = airflow_aluo(
        *("edit", sandbox.photo, sandbox.photo, "--prompt", "Blue", "--aspect-ratio", "1:1", "--json"),
        *("--output-format", "webp", "--num-images", 2, "--name", "{prompt}/{photo}-{index}.{ext}", *QUICKLY),
    )
    record = parse(json.loads(ended.out))
    assert record["request"] == {
        "prompt": "Blue",
        "image_urls": [sandbox.photo, sandbox.photo],
        "image_files": [],
        "aspect_ratio": "1:1",
        "output_format": "webp",
        "num_images": 2,
    }
    assert [file["path"] for file in record["files"]] == [
        str(tmp_path / "Blue" / f"coffee-{index}.webp") for index in range(2)
    ]
    assert ended.code == 0


@needs_provider_commands
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.jpg"], "PHOTO 1: 'nowhere.jpg'"),
        ([PHOTO, "https://x.example/a.jpg"], "PHOTO: both given"),
        (["https://x.example/a b.jpg"], "PHOTO 1: 'https://x.example/a b.jpg'"),
        ([PHOTO] * 6, "PHOTO: "),
        ([PHOTO, "--num-images", "2"], "--num-images: 2; expected no --num-images with files"),
        (["https://x.example/a.jpg", "--num-images", "0"], "--num-images: 0"),
        ([PHOTO, "--prompt", " "], "--prompt: "),
        ([PHOTO, "--name", "../{index}.{ext}"], "--name: '../{index}.{ext}'"),
        ([PHOTO, "--name", "{dag_id}.{ext}"], "not {dag_id}"),
        (
            ["https://x.example/a.jpg", "--num-images", "2", "--name", "one.{ext}"],
            "--name: 'one.{ext}'; expected {index} in it, for 2 pictures need 2 names",
        ),
        ([PHOTO, "--output", "/dev/null/out"], "--output: '/dev/null/out'"),
        ([PHOTO, "--conn-id", "nobody"], "airflow connections add nobody --conn-type aluo"),
    ],
)
def test_bad_input_is_named_as_it_was_typed_and_nothing_is_sent(
    airflow_aluo: Any, sandbox: Any, words: list[Any], said: str
) -> None:
    ended = airflow_aluo("edit", "--prompt", "Blue", *words, *QUICKLY)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "nothing was sent" in ended.err
    assert sandbox.calls == []


@needs_provider_commands
def test_a_connection_without_a_key_is_bad_input(airflow_aluo: Any, connections: Any) -> None:
    connections.set("http://127.0.0.1:9", password="")
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    assert ended.code == 2
    assert "connection 'aluo_default' cannot be used, nothing was sent: password: empty" in ended.err


@needs_provider_commands
def test_what_is_odd_about_a_connection_is_said_without_its_key(
    airflow_aluo: Any, sandbox: Any, connections: Any
) -> None:
    connections.set(sandbox.api_url, password="odd-key-of-a-test")
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    assert ended.code == 1
    assert ended.err.startswith(
        "warning: the password of connection 'aluo_default' does not begin with 'sk-'"
    )
    assert "odd-key-of-a-test" not in ended.err


@needs_provider_commands
def test_a_refusal_ends_with_1_and_aluos_own_words(airflow_aluo: Any, sandbox: Any) -> None:
    sandbox.fault("http_status", status=402, message="Insufficient credits")
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    assert (ended.code, ended.out) == (1, "")
    assert "Insufficient credits" in ended.err
    assert "Traceback" not in ended.err


@needs_provider_commands
def test_a_failed_edit_ends_with_1_and_no_advice_to_go_on(airflow_aluo: Any, sandbox: Any) -> None:
    sandbox.fault("edit_fails", message="too dark")
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    assert (ended.code, ended.out) == (1, "")
    assert "ended FAILED: too dark; Aluo takes no credits for it" in ended.err
    assert "To go on" not in ended.err


@needs_provider_commands
def test_a_failed_edit_is_a_record_for_who_reads_json(airflow_aluo: Any, sandbox: Any) -> None:
    sandbox.fault("edit_fails", message="too dark")
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", "--json", *QUICKLY)
    record = parse(json.loads(ended.out))
    assert ended.code == 1
    assert (record["status"], record["error"]["type"]) == ("FAILED", "AluoEditFailed")


@needs_provider_commands
@pytest.mark.parametrize("kind", ["drop_after", "half_json", "success_without_task_id"])
def test_a_lost_reply_ends_with_3_says_what_to_check_and_is_not_sent_again(
    airflow_aluo: Any, sandbox: Any, kind: str
) -> None:
    sandbox.fault(kind, **({"when": "after"} if kind == "half_json" else {}))
    ended = airflow_aluo("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    assert (ended.code, ended.out) == (3, "")
    assert "Nobody knows whether Aluo accepted this edit" in ended.err
    assert "airflow aluo status ID --wait" in ended.err
    assert sandbox.calls == ["POST generate"]
    assert sandbox.accepted == 1


@needs_provider_commands
def test_an_edit_that_takes_too_long_can_be_picked_up_with_what_is_printed(
    airflow_aluo: Any, sandbox: Any, tmp_path: Path
) -> None:
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    late = airflow_aluo(
        *("edit", PHOTO, "--prompt", "Blue", "--timeout", "0.3", "--name", "{index} of it.{ext}", *QUICKLY)
    )
    assert (late.code, late.out) == (1, "")
    assert "was not finished by the deadline" in late.err
    sandbox.control("DELETE", "faults")
    airflow, aluo, *words = shlex.split(late.err.splitlines()[-1])
    assert (airflow, aluo) == ("airflow", "aluo")
    words[words.index("--timeout") + 1] = "60"  # the second time it is not to be late
    found = airflow_aluo(*words)
    assert (found.code, found.out) == (0, f"{tmp_path / '0 of it.png'}\n")
    assert sandbox.accepted == 1


@needs_provider_commands
def test_a_picture_that_cannot_land_is_picked_up_under_the_usual_name(
    airflow_aluo: Any, sandbox: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_bytes(b"precious")
    taken = airflow_aluo("edit", PHOTO, "--prompt", "Blue", "--name", "mine.{ext}", *QUICKLY)
    assert taken.code == 1
    assert "mine.png; choose another --name or --output, or remove it\n" in taken.err
    assert "if_exists" not in taken.err
    assert (tmp_path / "mine.png").read_bytes() == b"precious"
    found = airflow_aluo(*shlex.split(taken.err.splitlines()[-1])[2:])
    assert found.code == 0
    assert re.fullmatch(r"edit_\d+-0\.png", Path(found.out.strip()).name)
    assert sandbox.accepted == 1


@needs_provider_commands
def test_a_process_prints_the_path_and_nothing_else_on_standard_output(
    started: Any, sandbox: Any, tmp_path: Path
) -> None:
    ended = started("edit", PHOTO, "--prompt", "Blue", *QUICKLY).ended()
    (picture,) = tmp_path.glob("*.png")
    assert (ended.code, ended.out) == (0, f"{picture}\n")
    assert [line.split(" edit_")[0] for line in ended.err.splitlines()[1:4]] == [
        "submitting the edit",
        "Aluo accepted it as",
        "waiting for edit",
    ]
    assert "\x1b" not in ended.err
    assert sandbox.accepted == 1
    assert KEY not in ended.err


@needs_provider_commands
def test_ctrl_c_while_it_waits_ends_with_130_and_the_way_to_go_on(
    started: Any, sandbox: Any, airflow_aluo: Any
) -> None:
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    command = started("edit", PHOTO, "--prompt", "Blue", "--output", "to come", *QUICKLY)
    aluo_task_id = command.hears("Aluo accepted it as").split()[-1]
    command.hears("is PROCESSING")
    command.interrupt()
    ended = command.ended()
    assert (ended.code, ended.out) == (130, "")
    assert f"edit {aluo_task_id} goes on at Aluo, where nothing can cancel it" in ended.err
    assert "Traceback" not in ended.err
    sandbox.control("DELETE", "faults")
    found = airflow_aluo(*shlex.split(ended.err.splitlines()[-1])[2:])
    assert (found.code, Path(found.out.strip()).parent.name) == (0, "to come")
    assert sandbox.accepted == 1


@needs_provider_commands
def test_ctrl_c_while_it_is_submitted_says_that_the_outcome_is_unknown(
    started: Any, sandbox: Any, patiently: Any
) -> None:
    sandbox.fault("hold", when="after")
    command = started("edit", PHOTO, "--prompt", "Blue", *QUICKLY)
    command.hears("submitting the edit")
    while sandbox.accepted == 0:
        patiently()
    command.interrupt()
    ended = command.ended()
    assert (ended.code, ended.out) == (130, "")
    assert "Nobody knows whether Aluo accepted this edit: it was being submitted when Ctrl-C" in ended.err


def on_a_terminal(answer: bytes, *words: Any) -> tuple[int, str]:
    """Run `airflow aluo …` on a terminal of its own, where somebody answers; return what is seen there."""
    program = [sys.executable, "-m", "airflow", "aluo", *map(str, words)]
    read_end, write_end = pty.openpty()
    try:
        pid = os.posix_spawn(
            sys.executable,
            program,
            os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
            file_actions=[(os.POSIX_SPAWN_DUP2, write_end, number) for number in range(3)],
        )
    finally:
        os.close(write_end)
    seen = b""
    while True:
        try:
            part = os.read(read_end, 4096)
        except OSError:  # Linux's way to say that all have left the terminal
            break
        if not part:
            break
        seen += part
        if b"[y/N]" in seen:  # not in a part: they end anywhere
            os.write(read_end, answer)
            answer = b""
    os.close(read_end)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@needs_provider_commands
def test_on_a_terminal_it_asks_and_shows_a_bar_that_is_gone_in_the_end(sandbox: Any, tmp_path: Path) -> None:
    sandbox.fault("word", on="status", word="PROCESSING", times=3)
    words = ("edit", PHOTO, "--prompt", "Blue", "--output", tmp_path, "--poll-interval", "0.3")
    code, seen = on_a_terminal(b"y\n", *words)
    (picture,) = tmp_path.glob("*.png")
    assert code == 0
    assert "━" in seen
    assert "usually 10 to 30 s" in seen
    assert seen.splitlines()[-1].strip() == str(picture)
    assert sandbox.accepted == 1


@needs_provider_commands
def test_on_a_terminal_a_no_sends_nothing(sandbox: Any, tmp_path: Path) -> None:
    words = ("edit", PHOTO, "--prompt", "Blue", "--output", tmp_path)
    code, seen = on_a_terminal(b"\n", *words)
    assert (code, seen.splitlines()[-1]) == (1, "Nothing was sent.")
    assert sandbox.calls == []
