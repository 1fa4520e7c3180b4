from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.sandbox.asked import Asked, Upload, from_form, from_json
from airflow_aluo.sandbox.envelopes import Refusal

GOOD: dict[str, Any] = {"prompt": "Center the product", "imageUrls": ["https://example.com/a.jpg"]}


def upload(number: int) -> Upload:
    return Upload(field=f"file{number}", filename=f"{number}.png", data=b"")


def test_only_the_prompt_and_an_image_are_needed() -> None:
    assert from_json(GOOD) == Asked(
        prompt="Center the product",
        images=("https://example.com/a.jpg",),
        aspect_ratio=None,
        output_format="png",
        num_images=1,
    )


def test_everything_that_the_vendors_page_names_is_understood() -> None:
    asked = from_json({**GOOD, "aspectRatio": "21:9", "outputFormat": "webp", "numImages": 3.0})
    assert (asked.aspect_ratio, asked.output_format, asked.num_images) == ("21:9", "webp", 3)


def test_fields_that_the_vendor_does_not_know_are_passed_over() -> None:
    assert from_json({**GOOD, "seed": 4}) == from_json(GOOD)


def test_null_and_an_empty_text_are_the_same_as_nothing() -> None:
    more = {"aspectRatio": "", "outputFormat": None, "numImages": None}
    assert from_json({**GOOD, **more}) == from_json(GOOD)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**GOOD, "prompt": " "}, "Prompt is required"),
        ({"imageUrls": GOOD["imageUrls"]}, "Prompt is required"),
        ({**GOOD, "prompt": 4}, "prompt must be a text"),
        ({**GOOD, "prompt": "\ud800"}, "prompt must be a text"),
        ({"prompt": "x"}, "At least one image URL is required"),
        ({"prompt": "x", "imageUrls": []}, "At least one image URL is required"),
        ({"prompt": "x", "imageUrls": GOOD["imageUrls"] * 6}, "Maximum 5 images allowed"),
        ({"prompt": "x", "imageUrls": "https://a/b"}, "imageUrls must be a list of addresses"),
        ({"prompt": "x", "imageUrls": [7]}, "imageUrls[0] is not an http or https address"),
        ({"prompt": "x", "imageUrls": ["a.jpg"]}, "imageUrls[0] is not an http or https address"),
        ({"prompt": "x", "imageUrls": ["file:///a"]}, "imageUrls[0] is not an http or https address"),
        ({"prompt": "x", "imageUrls": ["http://a:b/c"]}, "imageUrls[0] is not an http or https address"),
        ({"prompt": "x", "imageUrls": ["http://[a/c"]}, "imageUrls[0] is not an http or https address"),
        ({**GOOD, "outputFormat": "gif"}, "outputFormat must be one of png, jpeg, webp"),
        ({**GOOD, "aspectRatio": ["1:1"]}, None),
        ({**GOOD, "numImages": 0}, None),
        ({**GOOD, "numImages": 17}, None),
        ({**GOOD, "numImages": 1.5}, None),
        ({**GOOD, "numImages": True}, None),
        ({**GOOD, "numImages": "2"}, None),
        ([], "The request body must be a JSON object"),
    ],
    ids=repr,
)
def test_a_bad_request_is_refused_in_the_vendors_words(body: Any, message: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        from_json(body)
    assert refused.value.http_status == 400
    assert message in {None, refused.value.message}


def test_a_form_gives_its_files_in_the_order_of_their_numbers_and_one_picture() -> None:
    asked = from_form({"prompt": "x", "numImages": "4"}, [upload(1), upload(0)])
    assert asked.images == (upload(0), upload(1))
    assert asked.num_images == 1


def test_a_form_with_six_files_is_refused() -> None:
    with pytest.raises(Refusal, match="Maximum 5 images allowed"):
        from_form({"prompt": "x"}, [upload(number) for number in range(6)])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["prompt", "imageUrls", "aspectRatio", "outputFormat", "numImages"]


@given(st.dictionaries(st.sampled_from(NAMES), anything))
def test_whatever_is_sent_is_understood_or_refused(body: dict[str, Any]) -> None:
    try:
        asked = from_json(body)
    except Refusal:
        return
    assert asked.prompt.strip()
    assert 1 <= len(asked.images) <= 5
