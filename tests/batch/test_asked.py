"""Which edits a batch asks for: lists, files, photos and sentences; and what is said of bad ones."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.io import attach

from airflow_aluo.arguments import known_at_run_time
from airflow_aluo.batch import asked, results
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.photo_edit import PhotoEdit

URL = "https://example.com/cup.jpg"
EDITS = [
    {"prompt": "Blue", "image_urls": [URL], "aspect_ratio": "1:1", "num_images": 2},
    {"prompt": "Put both on one table", "image_files": ["cup.png", "s3://aws@shop/jug.png"]},
]
READ = [photo_edit.read(edit) for edit in EDITS]


def read(edits: Any = None, *, photos: Any = None, prompts: Any = None, **shared: Any) -> list[PhotoEdit]:
    return asked.read(edits, photos=photos, prompts=prompts, shared=shared, log=logging.getLogger())


def pending(value: Any) -> bool:
    return known_at_run_time(value, template_ext=(".txt", ".jinja"))


def check(edits: Any = None, *, photos: Any = None, prompts: Any = None, **shared: Any) -> None:
    asked.check_known(edits, photos=photos, prompts=prompts, shared=shared, pending=pending)


def problems(of: Callable[..., Any], *args: Any, **parameters: Any) -> dict[str, str]:
    """Return what is wrong: the value that was found, by where it stands."""
    with pytest.raises(AluoRequestInvalid) as caught:
        of(*args, **parameters)
    assert caught.value.subject == "batch of photo edits"
    assert len({problem.parameter for problem in caught.value.problems}) == len(caught.value.problems)
    return {problem.parameter: problem.value for problem in caught.value.problems}


class LazySequence(Sequence[Any]):
    """Looks like the XComs of a mapped task; counts how often it asks for some."""

    def __init__(self, *items: Any) -> None:
        self._items = items
        self.requests = 0

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        self.requests += 1
        return list(self._items[index]) if isinstance(index, slice) else self._items[index]


# --- lists


@pytest.mark.parametrize(
    "written",
    [list, tuple, lambda edits: LazySequence(*edits), json.dumps, str, lambda edits: [*map(str, edits)]],
)
def test_a_list_of_edits_is_read_in_its_order_however_it_comes(written: Callable[[Any], Any]) -> None:
    assert read(written(EDITS)) == READ


def test_what_mapped_tasks_returned_is_asked_for_once() -> None:
    lazy = LazySequence(*EDITS)
    assert read(lazy) == READ
    assert lazy.requests == 1


def test_what_all_edits_share_holds_where_they_name_nothing_themselves() -> None:
    own, none, empty = read(
        [
            {"prompt": "p", "image_urls": URL, "aspect_ratio": "3:2", "num_images": 1},
            {"prompt": "p", "image_urls": URL},
            {"prompt": "p", "image_urls": URL, "aspect_ratio": "", "num_images": None},
        ],
        aspect_ratio="1:1",
        output_format=None,
        num_images="2",
    )
    assert (own.aspect_ratio, own.num_images) == ("3:2", 1)
    assert (none.aspect_ratio, none.num_images, none.output_format) == ("1:1", 2, None)
    assert empty == none


def test_every_problem_is_named_by_its_edit() -> None:
    assert problems(
        read,
        [
            EDITS[0],
            EDITS[0] | {"aspect_ratio": "7:1", "prompt": " "},
            EDITS[0] | {"sytle": "old"},
            "Make it blue",
            17,
            {"prompt": "p"},
            EDITS[0] | {"image_urls": [URL, "no address"]},
        ],
    ) == {
        "edits[1].aspect_ratio": "'7:1'",
        "edits[1].prompt": "''",
        "edits[2].sytle": "'old'",
        "edits[3]": "'Make it blue'",
        "edits[4]": "17",
        "edits[5].image_urls and image_files": "no image given",
        "edits[6].image_urls[1]": "'no address'",
    }


def test_of_many_problems_the_first_are_named_and_the_rest_is_counted() -> None:
    found = problems(read, [EDITS[0] | {"num_images": -index} for index in range(33)])
    assert list(found) == [*(f"edits[{index}].num_images" for index in range(10)), "and 23 more"]


def test_a_wrong_parameter_that_all_edits_share_is_one_problem() -> None:
    assert problems(read, EDITS, aspect_ratio="7:1") == {"aspect_ratio": "'7:1'"}
    assert problems(read, [*EDITS, 17], aspect_ratio="7:1") == {"aspect_ratio": "'7:1'", "edits[2]": "17"}


def test_a_shared_number_of_results_that_an_upload_cannot_have_names_the_edit() -> None:
    assert problems(read, EDITS, num_images=3) == {"edits[1].num_images": "3"}


@pytest.mark.parametrize("none", [[], (), "[]", LazySequence()])
def test_an_empty_list_is_said_to_be_empty(none: Any) -> None:
    assert problems(read, none) == {"edits": "none"}
    assert problems(read, photos=none, prompts="Blue") == {"photos": "none"}
    assert problems(read, photos=URL, prompts=none) == {"prompts": "none"}


@pytest.mark.parametrize(
    "value", [17, True, {"prompt": "p"}, '{"prompt": "p"}', "Make it blue", "edits.xlsx", 1.5]
)
def test_what_is_neither_a_list_nor_a_file_of_edits_says_what_can_be_given(value: Any) -> None:
    with pytest.raises(AluoRequestInvalid, match=r"named \*\.jsonl, \*\.ndjson, \*\.csv"):
        read(value)


@pytest.mark.parametrize("of", [read, check])
@pytest.mark.parametrize(
    ("parameters", "seen"),
    [
        ({}, "nothing given"),
        ({"edits": "None", "photos": " "}, "nothing given"),
        ({"edits": EDITS, "photos": [URL]}, "edits and photos given"),
        ({"edits": EDITS, "photos": [URL], "prompts": ["p"]}, "edits and photos and prompts given"),
        ({"photos": [URL]}, "photos given"),
        ({"prompts": "Blue"}, "prompts given"),
    ],
)
def test_either_edits_or_both_photos_and_prompts_are_given(
    of: Callable[..., Any], parameters: Any, seen: str
) -> None:
    assert problems(of, **parameters) == {"edits, photos and prompts": seen}


# --- photos and sentences


def test_every_photo_is_edited_by_every_sentence_photo_by_photo(tmp_path: Path) -> None:
    stored = ObjectStoragePath("s3://aws@shop/jug.png")
    edits = read(photos=[URL, "cup.png", tmp_path, stored], prompts=("Blue", "Red"), output_format="webp")
    assert [(*edit.image_urls, *edit.image_files, edit.prompt) for edit in edits] == [
        (photo, prompt)
        for photo in (URL, "cup.png", str(tmp_path), str(stored))
        for prompt in ("Blue", "Red")
    ]
    assert {edit.output_format for edit in edits} == {"webp"}
    assert [bool(edit.image_urls) for edit in edits] == [True, True, *[False] * 6]


def test_one_photo_and_one_sentence_need_no_lists() -> None:
    assert read(photos=f" {URL}\n", prompts="[Studio] Blue") == [
        photo_edit.read({"prompt": "[Studio] Blue", "image_urls": [URL]})
    ]


@pytest.mark.parametrize("written", [list, json.dumps, str])
def test_several_reference_images_make_one_edit(written: Callable[[Any], Any]) -> None:
    first, second = read(photos=written([[URL, f"{URL}?b"], ["a.png", "b.png"]]), prompts=written(["Blue"]))
    assert first.image_urls == (URL, f"{URL}?b")
    assert second.image_files == ("a.png", "b.png")


def test_a_bad_photo_or_sentence_is_one_problem_however_often_it_is_used() -> None:
    assert problems(
        read,
        photos=[URL, None, [URL, "cup.png"], [], [URL] * 6, "https://", {"a": 1}],
        prompts=["Blue", "Red", " ", "Green"],
    ) == {
        "prompts[2]": "''",
        "photos[1]": "None",
        "photos[2]": "both given",
        "photos[3]": "no image given",
        "photos[4]": "6 given",
        "photos[5]": "'https://'",
        "photos[6]": "{'a': 1}",
    }


def test_a_number_of_results_that_an_upload_cannot_have_names_the_photo() -> None:
    found = problems(read, photos=[URL, "cup.png"], prompts=["Blue", "Red"], num_images=2)
    assert found == {"photos[1].num_images": "2"}


# --- edits of edits


def finished(name: str) -> record.EditRecord:
    edit = record.of_edit(name, aluo_conn_id="aluo_default")
    return edit | {"status": "SUCCESS", "result_urls": [f"https://cdn.example/{name}.png"]}


def landed(name: str, pictures: int = 1) -> record.EditRecord:
    files = [
        record.LandedFile(
            path=f"/data/{name}-{index}.png", sha256="0" * 64, bytes=9, width=3, height=3, format="png"
        )
        for index in range(pictures)
    ]
    return record.landed(finished(name), files, at=0.0)


RECORDS = [finished("a"), landed("b"), landed("c", pictures=2)]
GIVEN = [(), ("/data/b-0.png",), ("/data/c-0.png", "/data/c-1.png")]


@pytest.mark.parametrize(
    "written",
    [list, tuple, lambda edits: LazySequence(*edits), json.dumps, str, lambda edits: [*map(str, edits)]],
)
def test_each_record_of_an_edit_is_a_photo(written: Callable[[Any], Any]) -> None:
    found = read(photos=written(RECORDS), prompts="Blue")
    assert [edit.image_files for edit in found] == GIVEN
    assert found[0].image_urls == ("https://cdn.example/a.png",)
    assert read(photos=RECORDS[1], prompts="Blue") == [found[1]]


def test_what_mapped_edits_returned_is_asked_for_once_as_photos_too() -> None:
    lazy = LazySequence(*RECORDS)
    assert len(read(photos=lazy, prompts=["Blue", "Red"])) == 6
    assert lazy.requests == 1


def test_records_may_be_reference_images_of_one_edit() -> None:
    (edit,) = read(photos=[[landed("a"), "logo.png", str(landed("b"))]], prompts="Blue")
    assert edit.image_files == ("/data/a-0.png", "logo.png", "/data/b-0.png")
    (edit,) = read(photos=[[finished("a"), URL, str(finished("b"))]], prompts="Blue")
    assert edit.image_urls == ("https://cdn.example/a.png", URL, "https://cdn.example/b.png")


def test_an_edit_of_a_list_or_of_a_file_may_name_a_record(tmp_path: Path) -> None:
    edits = [{"prompt": "Blue", "image_files": RECORDS[2]}, {"prompt": "Blue", "image_urls": [RECORDS[0]]}]
    found = read(edits)
    assert [edit.image_files for edit in found] == [GIVEN[2], ()]
    assert read(file(tmp_path, "edits.jsonl", "\n".join(map(json.dumps, edits)))) == found


@pytest.fixture
def parts(tmp_path: Path) -> Any:
    """What a batch returned: references to pieces of a file."""
    log = logging.getLogger(__name__)
    many = [landed(f"edit_{index}") for index in range(150)]
    return results.returned(many, results_path=str(tmp_path), destination=None, name="x.jsonl", log=log).value


@pytest.mark.parametrize("written", [list, json.dumps, lambda parts: [*map(str, parts)]])
def test_references_to_a_batchs_results_are_read(parts: Any, written: Callable[[Any], Any]) -> None:
    found = read(photos=written(parts), prompts="Blue")
    assert [edit.image_files for edit in found] == [(f"/data/edit_{index}-0.png",) for index in range(150)]


def test_one_reference_is_what_a_mapped_batch_gets(parts: Any) -> None:
    assert len(read(photos=parts[1], prompts="Blue")) == 50


def test_before_the_task_runs_records_are_checked_and_references_are_not_read(parts: Any) -> None:
    check(photos=[*RECORDS, *parts, {"results": "/no/such.jsonl"}], prompts="Blue")
    check(photos={"results": "/no/such.jsonl"}, prompts="Blue")
    check(photos=[[landed("a"), "{{ later }}"], [finished("a"), "{{ later }}"]], prompts="Blue")
    unfinished = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    assert problems(check, photos=[URL, unfinished], prompts="Blue") == {"photos[1]": "edit_1 is SUBMITTED"}


def test_records_that_cannot_be_edited_are_named_by_their_photo() -> None:
    unfinished = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    failed = record.failed(unfinished, OSError("gone"), at=0.0)
    photos = [*RECORDS, unfinished, failed, [landed("a"), URL], [finished("a"), "logo.png"]]
    assert problems(read, photos=photos, prompts=["Blue", "Red"]) == {
        "photos[3]": "edit_1 is SUBMITTED",
        "photos[4]": "1 files and 1 addresses",
        "photos[5]": "1 files and 1 addresses",
    }


def test_records_of_edits_that_failed_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    pending = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    failed = record.failed(pending, OSError("gone"), at=0.0)
    assert len(read(photos=[RECORDS[0], failed, RECORDS[1]], prompts=["Blue", "Red"])) == 4
    assert "left out of 3 edits: edit_1 failed (gone)" in caplog.text
    with pytest.raises(AluoRequestInvalid, match="none of 2 edits has pictures"):
        read(photos=[failed, failed], prompts="Blue")


def test_a_record_in_place_of_an_edits_parameters_says_where_records_go(parts: Any) -> None:
    with pytest.raises(AluoRequestInvalid, match="give records of edits as photos, with prompts") as caught:
        read([EDITS[0], RECORDS[0], parts[0]])
    assert [one.parameter for one in caught.value.problems] == ["edits[1]", "edits[2]"]


# --- files


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


JSON_LINES = "\n".join(map(json.dumps, EDITS))
CSV = (
    "prompt,image_urls,image_files,aspect_ratio,num_images\n"
    f"Blue,{URL},,1:1,2\n"
    'Put both on one table,,"[""cup.png"", ""s3://aws@shop/jug.png""]",,\n'
)


@pytest.mark.parametrize("name", ["edits.jsonl", "edits.ndjson", "EDITS.JSONL"])
@pytest.mark.parametrize(
    "content",
    [
        JSON_LINES,
        f"{JSON_LINES}\n",
        f"\n\n{JSON_LINES}\n \n\n",
        JSON_LINES.replace("\n", "\r\n"),
        f"\ufeff{JSON_LINES}",
        f"\ufeff\n{JSON_LINES}",
    ],
)
def test_a_file_holds_one_edit_a_line(tmp_path: Path, name: str, content: str) -> None:
    assert read(str(file(tmp_path, name, content))) == READ


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace("\n", "\r\n"),
        f"\ufeff{CSV}",
        f"\n{CSV}\n,,,,\n\n",
        CSV.replace("\n", ",,\n"),
        CSV.replace("table,,", '"table",,')
        .replace("Put both on one ", "")
        .replace("table", "Put both on one table"),
        CSV.replace("Blue,", " Blue ,"),
    ],
)
def test_a_csv_files_first_line_names_the_parameters(tmp_path: Path, content: str) -> None:
    assert read(file(tmp_path, "edits.csv", content)) == READ


def test_a_cell_may_hold_commas_line_breaks_and_any_language(tmp_path: Path) -> None:
    path = file(tmp_path, "edits.csv", f'image_urls,prompt\n{URL},"Blau, größer\nund 青い ""heute"""\n')
    assert [edit.prompt for edit in read(path)] == ['Blau, größer\nund 青い "heute"']


def test_a_file_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, "edits.jsonl", JSON_LINES)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    conn_id = f"store_{uuid.uuid4().hex}"
    attach("memory", conn_id=conn_id, fs=fsspec.filesystem("memory"))
    stored = ObjectStoragePath(f"memory://{conn_id}@bucket/edits.jsonl")
    stored.write_text(JSON_LINES)
    for address in (path, str(path), f"file://{path}", "edits.jsonl", "~/edits.jsonl", stored, str(stored)):
        assert read(address) == READ


def test_a_problem_in_a_file_is_named_by_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    lines = [
        json.dumps(EDITS[0] | {"aspect_ratio": "7:1"}),
        "",
        '{"prompt": "Blue"',
        "[1, 2]",
        json.dumps(EDITS[0]),
        '{"prompt": "p", "image_url": "https://x.example/?signature=secret"}',
    ]
    path = file(tmp_path, "edits.jsonl", "\n".join(lines))
    assert problems(read, path) == {
        "edits.jsonl line 1: aspect_ratio": "'7:1'",
        "edits.jsonl line 3": '\'{"prompt": "Blue"\'',
        "edits.jsonl line 4": "[1, 2]",
        "edits.jsonl line 6: image_url": "'https://x.example/?…'",
        "edits.jsonl line 6: image_urls and image_files": "no image given",
    }


def test_a_csv_edit_is_named_by_the_line_on_which_it_begins(tmp_path: Path) -> None:
    rows = [
        "prompt,image_urls,num_images",
        '"Blue,',
        f'or azure",{URL},many',
        "",
        f"Make it red, please,{URL},2",
        f"Blue,{URL},0",
    ]
    assert problems(read, file(tmp_path, "edits.csv", "\n".join(rows))) == {
        "edits.csv line 2: num_images": "'many'",
        "edits.csv line 5": "4 cells",
        "edits.csv line 6: num_images": "0",
    }


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("prompt,image_url", "column 'image_url'"),
        ("prompt;image_urls", "column 'prompt;image_urls'"),
        ("prompt,,image_urls", "column ''"),
        ("prompt,image_urls,prompt", "column 'prompt' twice"),
        ("image_urls,aspect_ratio", "no column 'prompt'"),
        ("prompt,aspect_ratio", "no column 'image_urls' or 'image_files'"),
    ],
)
def test_a_csv_files_wrong_columns_are_one_problem(tmp_path: Path, header: str, wrong: str) -> None:
    path = file(tmp_path, "edits.csv", f"{header}\na,b,c\nd,e,f\n")
    assert problems(read, path) == {"edits.csv line 1": wrong}


@pytest.mark.parametrize(
    ("name", "content", "line", "why"),
    [
        ("edits.csv", f'prompt,image_urls\nBlue,{URL}\n"Red,{URL}\n', 3, "unexpected end of data"),
        ("edits.csv", f'prompt,image_urls\n"Blue"!,{URL}\n', 2, "expected after"),
        ("edits.csv", "prompt,image_urls\nBlau größer,b.png\n".encode("latin-1"), 2, "invalid start byte"),
        ("edits.csv", CSV.encode("utf-16"), 1, "invalid start byte"),
        ("edits.jsonl", JSON_LINES.encode("utf-16-le")[:40], 1, "Expecting"),
        ("edits.jsonl", b"\n\xff{}", 2, "invalid start byte"),
        ("edits.jsonl", "[" * 100_000, 1, "recursion"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_file_that_is_not_what_its_name_says_names_the_line(
    tmp_path: Path, name: str, content: Any, line: int, why: str
) -> None:
    path = file(tmp_path, name, content)
    with pytest.raises(AluoRequestInvalid) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.parameter == f"{name} line {line}"
    assert why in str(problem)


@pytest.mark.parametrize(
    "address", ["{}/none.jsonl", "{}/none/none.csv", "file://{}/none.csv", "memory://none/none.csv"]
)
def test_a_file_that_is_not_there_is_named(tmp_path: Path, address: str) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    address = address.format(tmp_path)
    with pytest.raises(AluoRequestInvalid, match="FileNotFoundError") as caught:
        read(address)
    assert address.rpartition("/")[2] in str(caught.value)


@pytest.mark.parametrize(
    "address", ["nosuch://bucket/edits.jsonl", "~nobody-of-this-name/edits.csv", "\0.csv"]
)
def test_an_address_that_leads_nowhere_is_named(address: str) -> None:
    assert list(problems(read, address)) == ["edits"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").mkdir()
    with pytest.raises(AluoRequestInvalid, match="IsADirectoryError"):
        read(tmp_path / "edits.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.jsonl", ""), ("e.jsonl", " \n\n"), ("e.csv", ""), ("e.csv", CSV.partition("\n")[0])],
)
def test_a_file_without_edits_is_said_to_be_empty(tmp_path: Path, name: str, content: str) -> None:
    (value,) = problems(read, file(tmp_path, name, content)).values()
    assert value.startswith("none in ")


# --- what is known when the DAG is parsed


@pytest.mark.parametrize(
    "parameters",
    [
        {"edits": EDITS},
        {"edits": "{{ params.edits }}"},
        {"edits": "s3://aws@shop/{{ ds }}/edits"},
        {"edits": "/not/there/edits.jsonl"},
        {"edits": Path("/not/there/edits.csv")},
        {"edits": ["{{ params.edit }}", EDITS[0], {"prompt": "{{ x }}", "image_urls": ["{{ y }}"]}]},
        {"edits": ["{{ params.edit }}"]},
        {"edits": "{{ a }}", "photos": "{{ b }}", "prompts": "{{ c }}"},
        {"edits": "{{ a }}", "photos": [URL]},
        {"edits": EDITS, "photos": "{{ b }}"},
        {"photos": "{{ b }}", "prompts": "{{ c }}"},
        {"photos": [URL, "{{ b }}", ["a.png", "{{ c }}"]], "prompts": ["blue.txt", "{{ c }}"]},
        {"photos": [URL], "prompts": "p", "aspect_ratio": "{{ params.ratio }}", "num_images": "{{ n }}"},
    ],
    ids=str,
)
def test_what_may_be_right_at_run_time_is_taken_to_be_right(parameters: Any) -> None:
    check(**parameters)


def test_what_other_tasks_return_is_taken_to_be_right() -> None:
    with DAG("a_dag", schedule=None):
        task = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls=URL)
        check(task.output)
        check([task.output, {"prompt": "p", "image_urls": task.output["result_urls"]}])
        check(photos=task.output["result_urls"], prompts=["Blue"])
        check(photos=[task.output, [task.output]], prompts=task.output)


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"edits": ["{{ a }}", EDITS[0] | {"aspect_ratio": "7:1"}]}, "edits[1].aspect_ratio"),
        (
            {"edits": [{"prompt": "{{ a }}", "image_urls": ["no address", "{{ b }}"]}]},
            "edits[0].image_urls[0]",
        ),
        ({"edits": json.dumps([{"prompt": "p"}])}, "edits[0].image_urls and image_files"),
        ({"edits": "edits.xlsx"}, "edits"),
        ({"edits": Path("edits.xlsx")}, "edits"),
        ({"edits": []}, "edits"),
        ({"edits": "{{ a }}", "num_images": 0}, "num_images"),
        ({"edits": "edits.csv", "sytle": "old"}, "sytle"),
        ({"photos": ["{{ a }}", URL], "prompts": ["{{ b }}", ""]}, "prompts[1]"),
        ({"edits": "{{ a }}", "photos": ["https://"]}, "photos[0]"),
        ({"photos": "{{ a }}"}, "edits, photos and prompts"),
    ],
    ids=str,
)
def test_what_is_wrong_already_is_said_when_the_dag_is_parsed(parameters: Any, where: str) -> None:
    assert list(problems(check, **parameters)) == [where]


# --- many


def test_ten_thousand_edits_are_read_before_anybody_grows_impatient(tmp_path: Path) -> None:
    path = file(tmp_path, "edits.csv", "prompt,image_urls\n" + f"Blue,{URL}\n" * 10_000)
    started = time.process_time()
    assert len(read(path, aspect_ratio="1:1")) == 10_000
    assert time.process_time() - started < 10  # about 1 where nothing else runs
