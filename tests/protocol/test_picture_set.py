"""What a published set is called, told by and followed by."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.protocol import picture_set
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.naming import Name
from airflow_aluo.protocol.picture_set import PLACEHOLDERS, Origin, PictureSet
from airflow_aluo.protocol.schemas import schema, validator

RECORD = schema("edit_record")["examples"][0]
EXAMPLE = schema("manifest")["examples"][0]
ORIGIN = Origin("a_dag", "a run", "a_task")
DEFAULT = "{photo}-{index}.{ext}"


def edit(number: int = 1, *formats: str, **request: Any) -> Any:
    """Return the record of a landed edit with a picture in each of the formats; one png if none is named."""
    files = [
        RECORD["files"][0]
        | {"path": f"/landed/edit_{number}-{index}.{name}", "sha256": f"{number:032x}{index:032x}"}
        | {"format": name}
        for index, name in enumerate(formats or ["png"])
    ]
    return RECORD | {
        "aluo_task_id": f"edit_{number}",
        "files": files,
        "request": RECORD["request"] | request,
    }


def plain(*urls: str) -> Any:
    """Return the record of plain addresses that were landed."""
    landed = edit(1, *["png"] * len(urls))
    return landed | {"aluo_task_id": None, "request": None, "result_urls": list(urls)}


def found(*edits: Any, name: str = DEFAULT, origin: Origin = ORIGIN) -> PictureSet:
    return picture_set.of(list(enumerate(edits)), Name(name, allowed=PLACEHOLDERS), origin)


def names(*edits: Any, name: str = DEFAULT) -> list[str]:
    return [picture.name for picture in found(*edits, name=name).pictures]


# --- names


def test_pictures_are_called_after_their_photo() -> None:
    one = edit(1, "png", "jpeg", image_urls=["https://x.example/photos/red shoe.v2.jpeg?signature=secret"])
    other = edit(2, "webp", image_urls=[], image_files=["/photos/blue.png", "/photos/second.png"])
    assert names(one, other) == ["red_shoe.v2-0.png", "red_shoe.v2-1.jpg", "blue-0.webp"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://x.example/a%20b.png", "a_b-0.png"),
        ("https://x.example/%2e%2e%2fa.png", "a-0.png"),
        ("https://x.example/", "x.example-0.png"),
        ("https://user:password@x.example", "x.example-0.png"),
        ("s3://conn@bucket/a.png", "a-0.png"),
        ("/photos/50%25.png", "50_25-0.png"),
        ("/photos/..", "_-0.png"),
        ("photo", "photo-0.png"),
    ],
)
def test_a_photo_is_called_after_the_end_of_its_address(address: str, name: str) -> None:
    assert names(edit(image_urls=[address])) == [name]


def test_every_placeholder_is_filled_in() -> None:
    template = "{dag_id}/{run_id}/{task_id}/{photo}-{aluo_task_id}-{position:03}-{index}-{prompt}.{ext}"
    (_, name) = names(
        edit(1, prompt="No", image_urls=["https://x.example/z.png"]),
        edit(2, prompt="Make it blue!", image_urls=["https://x.example/a.png"]),
        name=template,
    )
    assert name == "a_dag/a_run/a_task/a-edit_2-001-0-Make_it_blue.png"
    assert all(f"{{{placeholder}" in template for placeholder in PLACEHOLDERS)


def test_an_edit_of_which_only_the_id_is_known_is_called_after_it() -> None:
    assert names(edit(7) | {"request": None}) == ["edit_7-0.png"]
    (picture,) = found(edit(7) | {"request": None}).pictures
    assert (picture.prompt, picture.source) == (None, None)


def test_plain_addresses_are_called_after_themselves() -> None:
    urls = ["https://x.example/a.png?signature=secret", "https://x.example/b.png"]
    assert names(plain(*urls)) == ["a-0.png", "b-1.png"]
    assert names(plain(*urls), name="{aluo_task_id}{prompt}{index}.{ext}") == ["__0.png", "__1.png"]
    assert names(plain(*urls) | {"result_urls": []}) == ["edit_1-0-0.png", "edit_1-1-1.png"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.png", "a.png"),
        ("A.png", "a.png"),
        ("Straße.png", "strasse.png"),
        ("a.png/b", "a.png"),
        ("a", "a/b/c"),
    ],
)
def test_two_pictures_that_cannot_both_have_their_names_are_named_with_their_edits(
    first: str, second: str
) -> None:
    one, other = found(edit(1)).pictures[0], found(edit(2)).pictures[0]
    pictures = [
        picture_set.Picture("b.png", one.file, "edit_0", None, None),
        picture_set.Picture(first, one.file, one.aluo_task_id, None, None),
        picture_set.Picture("a.pn", one.file, "edit_3", None, None),
        picture_set.Picture(second, other.file, other.aluo_task_id, None, None),
    ]
    clash = picture_set._clash(pictures)
    assert clash is not None
    assert {picture.edit for picture in clash} == {"edit_1", "edit_2"}
    assert picture_set._clash(pictures[:3]) is None


def test_what_to_do_about_two_pictures_of_one_name_is_said() -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        found(edit(1), edit(3, image_urls=["https://x.example/z.png"]), edit(2))
    (problem,) = caught.value.problems
    assert problem.parameter == "name"
    assert problem.value == f"{DEFAULT!r} calls pictures of edit_1 and edit_2 'product-0.png'"
    assert problem.expected == "another name for each; add {position} or {aluo_task_id}"
    assert names(edit(1), edit(2), name="{photo}-{position}-{index}.{ext}") == [
        "product-0-0.png",
        "product-1-0.png",
    ]


def test_several_pictures_of_one_edit_need_their_index() -> None:
    with pytest.raises(AluoRequestInvalid, match=r"of edit_1 and edit_1 'product\.png'.*add {index} or"):
        found(edit(1, "png", "png"), name="{photo}.{ext}")


def test_pictures_of_plain_addresses_are_named_by_their_files() -> None:
    with pytest.raises(AluoRequestInvalid, match=r"of /landed/edit_1-0\.png and /landed/edit_1-1\.png"):
        found(plain("https://x.example/a.png", "https://x.example/b.png"), name="a.png")


# --- digests and sums


def test_a_set_is_named_after_what_sha256sum_prints(tmp_path: Path) -> None:
    """So that anybody can tell it without this package."""
    pictures = []
    for name in ("b.png", "a.png"):
        (tmp_path / name).write_bytes(name.encode())
        file = RECORD["files"][0] | {"sha256": hashlib.sha256(name.encode()).hexdigest()}
        pictures.append(edit() | {"files": [file], "request": RECORD["request"] | {"image_urls": [name]}})
    command = "sha256sum a.png b.png | sha256sum"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found(*pictures, name="{photo}.{ext}").digest == done.stdout[:12]


def test_a_sets_digest_tells_names_and_contents_and_nothing_else() -> None:
    one, other = edit(1, image_urls=["a.png"]), edit(2, image_urls=["b.png"])
    digest = found(one, other).digest
    assert found(other, one).digest == digest
    assert found(one | {"credits": RECORD["credits"] | {"deducted": 1}}, other).digest == digest
    assert found(one, other, origin=Origin("another", "run", "task")).digest == digest
    assert found(one, edit(3, image_urls=["b.png"])).digest != digest
    assert found(one, edit(2, image_urls=["c.png"])).digest != digest
    assert found(one).digest != digest


def test_the_prompts_digest_tells_which_were_asked_however_often_and_in_which_order() -> None:
    red, blue = edit(1, prompt="Red", image_urls=["a"]), edit(2, prompt="青い", image_urls=["b"])
    again = edit(3, prompt="Red", image_urls=["c"])
    digest = found(red, blue).prompts_sha256
    assert digest == hashlib.sha256(json.dumps(["Red", "青い"]).encode()).hexdigest()
    assert found(blue, again, red).prompts_sha256 == digest
    assert found(red).prompts_sha256 != digest
    assert found(plain("https://x.example/a.png")).prompts_sha256 is None


def test_credits_are_summed_where_aluo_said_them() -> None:
    def taken(number: int, deducted: float | None) -> Any:
        credits_ = RECORD["credits"] | {"deducted": deducted}
        return edit(number, image_urls=[str(number)]) | {"credits": credits_}

    assert found(taken(1, 40), taken(2, None), taken(3, 35.5)).credits == 75.5
    assert found(taken(1, 0)).credits == 0
    assert found(taken(1, None)).credits is None


def test_an_owner_is_one_task_instance_in_all_its_tries() -> None:
    assert ORIGIN.owner == Origin("a_dag", "a run", "a_task").owner
    others = [
        Origin("a_dag", "a run", "a_task", 0),
        Origin("a_dag", "run", "a_task"),
        Origin("a_dag a run", "", "a_task"),
    ]
    assert len({one.owner for one in [ORIGIN, *others]}) == 4
    assert ORIGIN.owner.isalnum()


# --- the manifest


def manifest(digest: str, standing: Any = None, *, keep_sets: int = 2) -> Any:
    whole = PictureSet(found(edit()).pictures, None, None, digest * 12)
    at = "2026-11-22T02:00:25+00:00"
    made = picture_set.manifest(whole, standing, ORIGIN, keep_sets=keep_sets, published_at=at)
    validator("manifest").validate(json.loads(json.dumps(made)))
    return made


def sets(manifest: Any) -> tuple[str, str, str]:
    first = ["".join(one[0] for one in manifest[key]) for key in ("previous", "dropped")]
    return manifest["set"][0], first[0], first[1]


def test_the_manifest_tells_all_about_each_picture() -> None:
    landed = edit(1, prompt="Red", image_urls=["https://user:pw@x.example/a.png?signature=secret#part"])
    made = picture_set.manifest(
        found(landed), None, ORIGIN, keep_sets=2, published_at=EXAMPLE["published_at"]
    )
    validator("manifest").validate(made)
    file = {key: value for key, value in landed["files"][0].items() if key != "path"}
    assert made["pictures"] == [
        {"path": f"sets/{made['set']}/a-0.png", **file}
        | {"aluo_task_id": "edit_1", "prompt": "Red", "source": "https://x.example/a.png"}
    ]
    assert (made["dag_id"], made["run_id"], made["task_id"]) == ("a_dag", "a run", "a_task")
    assert made["credits"] == 40
    assert "secret" not in json.dumps(made)


def test_the_schemas_example_is_what_its_record_makes() -> None:
    origin = Origin(EXAMPLE["dag_id"], EXAMPLE["run_id"], EXAMPLE["task_id"])
    at, standing = EXAMPLE["published_at"], EXAMPLE | {"set": EXAMPLE["previous"][0], "previous": []}
    made = picture_set.manifest(found(RECORD), standing, origin, keep_sets=2, published_at=at)
    assert made == EXAMPLE


def test_the_newest_sets_remain_and_each_is_dropped_once() -> None:
    first = manifest("a")
    assert sets(first) == ("a", "", "")
    second = manifest("b", first)
    assert sets(second) == ("b", "a", "")
    third = manifest("c", second)
    assert sets(third) == ("c", "b", "a")
    assert sets(manifest("d", third)) == ("d", "c", "b")


@pytest.mark.parametrize(
    ("keep_sets", "left"),
    [(1, ("d", "", "cba")), (2, ("d", "c", "ba")), (4, ("d", "cba", "")), (9, ("d", "cba", ""))],
)
def test_as_many_sets_remain_as_are_asked_for(keep_sets: int, left: Any) -> None:
    third = manifest("c", manifest("b", manifest("a"), keep_sets=9), keep_sets=9)
    assert sets(manifest("d", third, keep_sets=keep_sets)) == left


def test_a_set_that_comes_back_is_not_dropped() -> None:
    second = manifest("b", manifest("a"))
    assert sets(manifest("a", second)) == ("a", "b", "")
    third = manifest("c", second)
    assert third["dropped"]
    assert sets(manifest("a", third)) == ("a", "c", "b")


def test_an_edit_of_an_edit_is_called_after_the_photo_at_the_start() -> None:
    second = edit(2, image_urls=[], image_files=["/landed/edit_1-0.png"])
    (picture,) = found(second | {"source": "https://x.example/cup.jpg"}).pictures
    assert (picture.name, picture.source) == ("cup-0.png", "https://x.example/cup.jpg")


@pytest.mark.parametrize(
    ("prompts", "name", "adds"),
    [
        (("Blue", "Red"), DEFAULT, "add {prompt} or {position} or {aluo_task_id}"),
        (("Blue", "Blue"), DEFAULT, "add {position} or {aluo_task_id}"),
    ],
)
def test_a_photo_edited_twice_is_told_apart_by_its_prompts(prompts: Any, name: str, adds: str) -> None:
    with pytest.raises(AluoRequestInvalid, match="nothing was published") as caught:
        found(*(edit(number, prompt=prompt) for number, prompt in enumerate(prompts)), name=name)
    assert adds in str(caught.value)
