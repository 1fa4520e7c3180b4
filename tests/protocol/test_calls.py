from collections.abc import Callable, Mapping

import pytest

from airflow_aluo.protocol import calls
from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.envelope import Reply
from airflow_aluo.protocol.errors import AluoPictureError
from airflow_aluo.protocol.photo_edit import read
from airflow_aluo.protocol.replies import read_acceptance, read_status
from airflow_aluo.protocol.schemas import validator

PHOTO = Upload("cup.png", "image/png", b"\x89PNG bytes of a photo")
OTHER = Upload("jug.jpg", "image/jpeg", b"bytes of another photo")


def test_addresses_are_sent_as_the_vendors_json() -> None:
    edit = read(
        {
            "prompt": "Change the product color to blue",
            "image_urls": ["https://example.com/product.jpg"],
            "aspect_ratio": "1:1",
            "output_format": "png",
            "num_images": 2,
        }
    )
    call = calls.generate(edit)
    assert (call.method, call.path) == ("POST", "/photo-editor/generate")
    assert call.json == {
        "prompt": "Change the product color to blue",
        "imageUrls": ["https://example.com/product.jpg"],
        "aspectRatio": "1:1",
        "outputFormat": "png",
        "numImages": 2,
    }
    assert (call.form, call.files, call.params) == ({}, {}, {})
    assert call.read is read_acceptance


def test_what_was_not_asked_is_not_sent() -> None:
    call = calls.generate(read({"prompt": "p", "image_urls": "https://a.b/c"}))
    assert call.json == {"prompt": "p", "imageUrls": ["https://a.b/c"]}


def test_files_are_sent_as_the_vendors_form() -> None:
    edit = read(
        {
            "prompt": "Put both on one table",
            "image_files": ["cup.png", "s3://aws@shop/jug.jpg"],
            "aspect_ratio": "3:2",
            "output_format": "webp",
        }
    )
    call = calls.generate(edit, [PHOTO, OTHER])
    assert call.json is None
    assert call.form == {"prompt": "Put both on one table", "aspectRatio": "3:2", "outputFormat": "webp"}
    assert call.files == {"file0": PHOTO, "file1": OTHER}
    validator("generate_form").validate({**call.form, **{name: up.name for name, up in call.files.items()}})


def test_only_the_submit_may_not_be_repeated() -> None:
    assert not calls.generate(read({"prompt": "p", "image_urls": "https://a.b/c"})).repeatable
    assert calls.status("edit_1").repeatable
    assert calls.picture("https://a.b/c", no_chunks).repeatable


def test_a_look_names_the_edit_as_a_parameter_not_in_the_path() -> None:
    call = calls.status("edit_1&x=2")
    assert (call.method, call.path, call.params) == ("GET", "/photo-editor/status", {"taskId": "edit_1&x=2"})
    assert (call.json, call.form, call.files) == (None, {}, {})
    assert call.read is read_status


def test_a_picture_is_fetched_without_the_key() -> None:
    call = calls.picture("https://cdn.aluo.ai/1.png?sign=s", no_chunks)
    assert (call.method, call.path, call.into) == ("GET", "https://cdn.aluo.ai/1.png?sign=s", no_chunks)
    assert not call.with_key
    with pytest.raises(AluoPictureError):
        call.read(Reply(404, {}, b"", 0.0))


def test_what_goes_to_aluo_goes_with_the_key() -> None:
    assert calls.status("edit_1").with_key
    assert calls.generate(read({"prompt": "p", "image_urls": "https://a.b/c"})).with_key


def test_a_printed_call_holds_no_photo() -> None:
    call = calls.generate(read({"prompt": "p", "image_files": "cup.png"}), [PHOTO])
    assert "cup.png" in repr(call)
    assert "bytes of a photo" not in repr(call)
    assert "bytes of a photo" not in repr(PHOTO)


def no_chunks(_: Mapping[str, str]) -> Callable[[bytes], object]:
    raise AssertionError("nothing is fetched here")


@pytest.mark.parametrize("uploads", [[], [PHOTO], [PHOTO, OTHER, PHOTO]])
def test_an_edit_of_files_is_not_sent_without_all_of_them(uploads: list[Upload]) -> None:
    edit = read({"prompt": "p", "image_files": ["cup.png", "jug.jpg"]})
    with pytest.raises(ValueError, match="zip"):
        calls.generate(edit, uploads)


def test_a_probe_looks_at_an_edit_that_need_not_exist() -> None:
    call = calls.probe("no-such-edit")
    assert (call.method, call.path, call.params) == (
        "GET",
        "/photo-editor/status",
        {"taskId": "no-such-edit"},
    )
    assert call.repeatable
    assert call.read(Reply(200, {}, b'{"code": 0, "success": true}', 0.0)) == '{"code": 0, "success": true}'
