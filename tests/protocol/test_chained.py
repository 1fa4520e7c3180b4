"""Records of edits given as photos: what they are read as, and what is said where they cannot be."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.chained import first_name, is_part, is_record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoPictureError, AluoRequestInvalid, Problem
from airflow_aluo.protocol.photo_edit import PhotoEdit, check_known
from airflow_aluo.protocol.record import EditRecord, LandedFile
from airflow_aluo.protocol.replies import Acceptance, Credits
from airflow_aluo.protocol.schemas import validator

URL = "https://cdn.example/a.png?signature=5ecret"
OTHER = "https://photos.example/cup.jpg"
PART = {"results": "/data/x.jsonl", "start": 0, "end": 9, "edits": 3, "sha256": "0" * 64}


def landed_file(path: str) -> LandedFile:
    return LandedFile(path=path, sha256="0" * 64, bytes=9, width=3, height=3, format="png")


def submitted(aluo_task_id: str = "edit_1") -> EditRecord:
    return record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")


def finished(*urls: str) -> EditRecord:
    return submitted() | {"status": "SUCCESS", "result_urls": list(urls or [URL])}


def landed(*paths: str) -> EditRecord:
    paths = paths or ("/data/edit_1-0.png",)
    found = finished(*(f"https://cdn.example/{index}.png" for index, _ in enumerate(paths)))
    return record.landed(found, [landed_file(path) for path in paths], at=0.0)


def failed() -> EditRecord:
    return record.failed(submitted(), AluoEditFailed("no subject", aluo_task_id="edit_1"), at=0.0)


def read(**images: Any) -> PhotoEdit:
    return photo_edit.read({"prompt": "Blue", **images})


def only_problem(**images: Any) -> Problem:
    with pytest.raises(AluoRequestInvalid) as caught:
        read(**images)
    assert "5ecret" not in str(caught.value)
    (problem,) = caught.value.problems
    return problem


BOTH = pytest.mark.parametrize("name", ["image_urls", "image_files"])


# --- what is read as what


def test_the_record_of_a_finished_edit_gives_its_addresses() -> None:
    assert read(image_urls=finished()) == read(image_urls=[URL])


@BOTH
def test_landed_pictures_are_uploaded_whichever_parameter_names_the_record(name: str) -> None:
    edit = read(**{name: landed()})
    assert (edit.image_urls, edit.image_files) == ((), ("/data/edit_1-0.png",))


@BOTH
def test_each_picture_of_a_record_is_one_reference_image(name: str) -> None:
    paths = tuple(f"s3://aws@shop/{index}.png" for index in range(5))
    assert read(**{name: landed(*paths)}).image_files == paths


def test_more_pictures_than_an_edit_takes_are_too_many() -> None:
    problem = only_problem(image_urls=finished(*[URL] * 6))
    assert (problem.parameter, problem.value) == ("image_urls", "6 given")
    problem = only_problem(image_urls=[landed("a.png", "b.png", "c.png")] * 2)
    assert (problem.parameter, problem.value) == ("image_files", "6 given")


def test_records_and_addresses_may_stand_in_one_list_in_their_order() -> None:
    assert read(image_urls=[OTHER, finished(), OTHER]).image_urls == (OTHER, URL, OTHER)
    assert read(image_files=["logo.png", landed("a.png", "b.png")]).image_files == (
        "logo.png",
        "a.png",
        "b.png",
    )


def test_lists_of_several_tasks_are_joined() -> None:
    lists = [[landed("a.png"), landed("b.png")], landed("c.png"), (landed("d.png"),)]
    assert read(image_files=lists).image_files == ("a.png", "b.png", "c.png", "d.png")


def test_a_record_that_landed_stands_beside_files_of_the_other_parameter() -> None:
    edit = read(image_urls=landed("a.png"), image_files=["logo.png"])
    assert (edit.image_urls, edit.image_files) == ((), ("a.png", "logo.png"))


def test_addresses_that_never_were_an_edit_can_be_edited() -> None:
    assert read(image_urls=record.of_urls([OTHER])).image_urls == (OTHER,)


class Lazy(Sequence[Any]):
    """What a mapped task returned, as Airflow gives it."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


@pytest.mark.parametrize(
    "written", [list, tuple, lambda edits: Lazy(*edits), lambda edits: Lazy(Lazy(*edits))]
)
def test_what_mapped_edits_returned_is_a_list_of_records(written: Any) -> None:
    assert read(image_files=written([landed("a.png"), landed("b.png")])).image_files == ("a.png", "b.png")


@pytest.mark.parametrize(
    "rendered",
    [str, json.dumps, lambda edit: f" {edit}\n", lambda edit: [str(edit)], lambda edit: str([edit])],
)
def test_a_record_that_a_template_made_text_of_is_understood(rendered: Any) -> None:
    assert read(image_files=rendered(landed("a.png"))).image_files == ("a.png",)
    assert read(image_urls=rendered(finished())).image_urls == (URL,)


def test_the_record_of_an_edit_of_an_edit_holds_addresses_only() -> None:
    request = read(image_files=[landed("a.png"), "b.png"]).to_json()
    schema = validator("edit_record").evolve(schema=validator("edit_record").schema["$defs"]["request"])
    schema.validate(request)
    assert request["image_files"] == ["a.png", "b.png"]
    assert photo_edit.read(request) == read(image_files=["a.png", "b.png"])


# --- what cannot be used


def test_a_record_without_landed_pictures_is_no_file_and_says_what_to_put_before() -> None:
    problem = only_problem(image_files=finished())
    assert (problem.parameter, problem.value) == ("image_files[0]", "edit_1 has no landed files")
    assert "put a PhotoDownloadOperator before this task, or give it as image_urls" in problem.expected


@BOTH
def test_an_unfinished_edit_names_its_status_and_the_sensor(name: str) -> None:
    problem = only_problem(**{name: [submitted()]})
    assert (problem.parameter, problem.value) == (f"{name}[0]", "edit_1 is SUBMITTED")
    assert "put a PhotoEditStatusSensor before this task" in problem.expected


@BOTH
def test_a_failed_edit_names_its_error(name: str) -> None:
    problem = only_problem(**{name: [failed()]})
    assert (problem.parameter, problem.value) == (f"{name}[0]", "edit_1 failed (AluoEditFailed)")
    assert "clear the task that asked for it" in problem.expected


def test_an_edit_that_was_never_accepted_is_told_without_its_id() -> None:
    lost = record.not_accepted(read(image_urls=OTHER), OSError("gone"), aluo_conn_id="aluo_default")
    assert only_problem(image_urls=lost).value == "one without an id failed (OSError)"


@BOTH
def test_a_reference_to_results_names_the_operator_that_reads_it(name: str) -> None:
    problem = only_problem(**{name: [PART]})
    assert (problem.parameter, problem.value) == (f"{name}[0]", "a reference to results of a batch")
    assert "PhotoEditBatchOperator(photos=...)" in problem.expected


def test_each_record_that_cannot_be_used_is_named_by_its_place() -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        read(image_files=["a.png", finished(), landed(), failed(), PART])
    assert [one.parameter for one in caught.value.problems] == [f"image_files[{n}]" for n in (1, 3, 4)]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 2}, "$.version"),
        ({"files": "a.png"}, "$.files"),
        ({"result_urls": [""]}, "$.result_urls[0]"),
    ],
)
def test_a_record_that_is_none_is_refused_by_its_schema(change: dict[str, Any], where: str) -> None:
    problem = only_problem(image_urls=finished() | change)
    assert problem.parameter == f"image_urls[0] {where}"
    assert "as another Aluo task returned it" in problem.expected


@pytest.mark.parametrize("value", [{"url": OTHER}, {"result_urls": [OTHER]}, {}])
def test_an_object_that_is_no_record_is_no_photo(value: dict[str, Any]) -> None:
    problem = only_problem(image_urls=[value])
    assert (problem.parameter, problem.value) == ("image_urls[0]", repr(value))
    assert "or an edit record" in problem.expected


@pytest.mark.parametrize(
    ("images", "where"),
    [
        ({"image_urls": [landed(), finished()]}, "image_urls"),
        ({"image_urls": [landed(), OTHER]}, "image_urls"),
        ({"image_urls": finished(), "image_files": "logo.png"}, "image_urls and image_files"),
        ({"image_urls": OTHER, "image_files": landed()}, "image_urls and image_files"),
    ],
)
def test_files_and_addresses_cannot_be_mixed_through_records(images: dict[str, Any], where: str) -> None:
    problem = only_problem(**images)
    assert (problem.parameter, problem.value) == (where, "1 files and 1 addresses")
    assert "put a PhotoDownloadOperator between for every record" in problem.expected


def test_a_number_of_results_beside_landed_pictures_says_how_to_give_addresses() -> None:
    problem = only_problem(image_urls=landed(), num_images=2)
    assert problem.parameter == "num_images"
    assert "output['result_urls'], for a record's landed files are uploaded" in problem.expected
    assert "result_urls" not in only_problem(image_files="a.png", num_images=2).expected


# --- before the task runs


class Later:
    """Stands for a value that another task will have returned by then."""


@pytest.mark.parametrize(
    "images",
    [
        {"image_urls": [landed(), Later()]},
        {"image_files": [Later(), landed()]},
        {"image_urls": landed(), "image_files": Later()},
        {"image_urls": Later(), "image_files": landed()},
    ],
)
def test_what_comes_beside_a_record_later_is_taken_to_be_right(images: dict[str, Any]) -> None:
    check_known({"prompt": "Blue", **images}, pending=lambda value: isinstance(value, Later))


# --- a name for people


@pytest.mark.parametrize(
    ("images", "name"),
    [
        ((finished(), None), "a.png"),
        ((landed("/data/b.png"), None), "b.png"),
        ((None, [landed("s3://aws@shop/c.png"), "d.png"]), "c.png"),
        ((str(landed("/data/b.png")), ""), "b.png"),
        ((submitted(), None), ""),
        ((failed(), None), ""),
        ((PART, None), ""),
        ((None, None), ""),
    ],
)
def test_the_first_photo_gives_an_edit_its_name(images: tuple[Any, Any], name: str) -> None:
    assert first_name(*images) == name


# --- properties

RECORDS = st.sampled_from(
    [submitted(), finished(), finished(URL, OTHER), landed(), landed("a", "b"), failed()]
)
PHOTOS = st.lists(
    RECORDS | RECORDS.map(str) | st.sampled_from([OTHER, "cup.png", PART, {}, None]), max_size=4
)


def edit_or_refusal(**images: Any) -> PhotoEdit | AluoRequestInvalid:
    try:
        return read(**images)
    except AluoRequestInvalid as error:
        return error


@given(urls=PHOTOS, files=PHOTOS)
def test_any_mixture_gives_addresses_of_one_kind_or_says_what_is_wrong(urls: Any, files: Any) -> None:
    found = edit_or_refusal(image_urls=urls, image_files=files)
    if isinstance(found, AluoRequestInvalid):
        assert found.problems
        assert "5ecret" not in found.message
        return
    images, given_ones = found.image_urls or found.image_files, [*urls, *files]
    assert bool(found.image_urls) is not bool(found.image_files)
    assert all(isinstance(image, str) for image in images)
    assert len(images) >= len(given_ones)
    assert not any(is_part(one) for one in given_ones)
    assert all(one["result_urls"] for one in given_ones if is_record(one))


# --- the photo at the start of a chain

PHOTO = "https://user@photos.example/cup.jpg?signature=5ecret"


def edited(edit: PhotoEdit, aluo_task_id: str = "edit_1") -> EditRecord:
    """The record of an edit that was submitted, and whose picture has landed."""
    acceptance = Acceptance(aluo_task_id, Credits())
    at: dict[str, Any] = {"estimated_credits": 35, "submitted_at": 0.0, "accepted_at": 1.0}
    done = record.submitted(edit, acceptance, aluo_conn_id="aluo_default", **at) | {"status": "SUCCESS"}
    done = record.parse(done | {"result_urls": [f"https://cdn.example/{aluo_task_id}.png"]})
    return record.landed(done, [landed_file(f"/data/{aluo_task_id}-0.png")], at=0.0)


@BOTH
def test_the_start_of_a_chain_travels_along(name: str) -> None:
    first = edited(read(image_urls=[PHOTO]))
    assert "source" not in first
    for number in range(2, 5):
        asked = read(**{name: json.dumps(first)})
        assert asked.source == "https://photos.example/cup.jpg"
        assert "source" not in asked.to_json()
        first = record.parse(edited(asked, f"edit_{number}"))
        assert first["source"] == "https://photos.example/cup.jpg"
        assert first_name(first, None) == "cup.jpg"


def test_of_addresses_that_never_were_an_edit_the_first_is_the_start() -> None:
    plain = record.of_urls(["https://shop.example/jug.png?v=1", OTHER])
    assert read(image_urls=plain).source == "https://shop.example/jug.png"


def test_where_the_start_is_not_known_none_is_told() -> None:
    assert read(image_urls=finished()).source is None  # of an edit of which only the id is known
    assert read(image_urls=[OTHER, edited(read(image_urls=[PHOTO]))["result_urls"][0]]).source is None


def test_an_edit_that_was_refused_is_known_by_the_start_too() -> None:
    asked = read(image_files=edited(read(image_urls=[PHOTO])))
    refused = record.not_accepted(asked, AluoEditFailed("no", aluo_task_id="x"), aluo_conn_id="aluo_default")
    assert record.parse(refused)["source"] == "https://photos.example/cup.jpg"


# --- what did not land


@BOTH
def test_an_edit_that_did_not_land_is_to_be_landed_first(name: str) -> None:
    lost = record.failed(finished(), AluoPictureError("too large", url=URL), at=0.0)
    problem = only_problem(**{name: lost})
    assert problem.value == "edit_1 succeeded, but did not land (AluoPictureError)"
    assert "put a PhotoDownloadOperator before this task" in problem.expected
