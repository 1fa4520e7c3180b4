import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.photo_edit import PARAMETERS, PhotoEdit, check_known, read
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.vocabulary import ASPECT_RATIOS, OUTPUT_FORMATS

URL = "https://example.com/product.jpg"
SECRET = "X-Amz-Signature=5ecret"
SIGNED = f"https://bucket.example/product.jpg?{SECRET}"


def edit(**parameters: Any) -> PhotoEdit:
    """Read a good edit with some parameters changed."""
    return read({"prompt": "Center the product", "image_urls": [URL], **parameters})


def problems(**parameters: Any) -> list[Problem]:
    with pytest.raises(AluoRequestInvalid) as caught:
        edit(**parameters)
    assert caught.value.subject == "photo edit"
    return list(caught.value.problems)


def only_problem(**parameters: Any) -> Problem:
    (problem,) = problems(**parameters)
    return problem


def test_a_prompt_and_an_address_are_enough_and_leave_the_rest_to_aluo() -> None:
    assert edit().document() == {"prompt": "Center the product", "imageUrls": [URL]}


def test_everything_that_the_vendors_page_names_can_be_asked() -> None:
    asked = edit(aspect_ratio="21:9", output_format="webp", num_images=3)
    assert asked.document() == {
        "prompt": "Center the product",
        "imageUrls": [URL],
        "aspectRatio": "21:9",
        "outputFormat": "webp",
        "numImages": 3,
    }


def test_files_become_the_forms_fields_in_their_order() -> None:
    asked = edit(image_urls=None, image_files=["cup.png", "s3://aws@shop/jug.png"], output_format="png")
    assert asked.document() == {
        "prompt": "Center the product",
        "file0": "cup.png",
        "file1": "s3://aws@shop/jug.png",
        "outputFormat": "png",
    }


def test_an_edit_as_the_record_holds_it_can_be_read_again() -> None:
    asked = edit(aspect_ratio="1:1", num_images=2)
    assert json.loads(json.dumps(asked.to_json())) == asked.to_json()
    assert read(asked.to_json()) == asked
    assert tuple(asked.to_json()) == PARAMETERS


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("source", ["image_urls", "image_files"])
def test_one_to_five_images_can_be_given(source: str, count: int) -> None:
    photo = URL if source == "image_urls" else "cup.png"
    asked = edit(**{"image_urls": None, source: [photo] * count})
    assert getattr(asked, source) == (photo,) * count


# Bad input


@pytest.mark.parametrize("nothing", [None, "", "None", [], (), "[]"])
def test_no_image_at_all_names_both_ways_to_give_one(nothing: Any) -> None:
    problem = only_problem(image_urls=nothing, image_files=nothing)
    assert (problem.parameter, problem.value) == ("image_urls and image_files", "no image given")
    assert "image_urls (1 to 5 addresses) or image_files (1 to 5 files)" in problem.expected


@pytest.mark.parametrize("source", ["image_urls", "image_files"])
def test_six_images_are_too_many(source: str) -> None:
    photo = URL if source == "image_urls" else "cup.png"
    problem = only_problem(**{"image_urls": None, source: [photo] * 6})
    assert (problem.parameter, problem.value) == (source, "6 given")
    assert "1 to 5" in problem.expected


def test_addresses_and_files_cannot_be_mixed() -> None:
    problem = only_problem(image_files=["cup.png"])
    assert (problem.parameter, problem.value) == ("image_urls and image_files", "both given")


def test_the_form_has_no_number_of_results() -> None:
    problem = only_problem(image_urls=None, image_files=["cup.png"], num_images=2)
    assert (problem.parameter, problem.value) == ("num_images", "2")
    assert "use image_urls" in problem.expected


@pytest.mark.parametrize("ratio", ["7:5", "1x1", "1: 1", 1.5, 0, False, ["1:1"]])
def test_an_unknown_aspect_ratio_lists_the_known_ones(ratio: Any) -> None:
    problem = only_problem(aspect_ratio=ratio)
    assert (problem.parameter, problem.value) == ("aspect_ratio", repr(ratio))
    assert all(known in problem.expected for known in ASPECT_RATIOS)


@pytest.mark.parametrize("output_format", ["gif", "PNG", "jpg", 7, ["png"]])
def test_an_unknown_output_format_lists_the_known_ones(output_format: Any) -> None:
    problem = only_problem(output_format=output_format)
    assert (problem.parameter, problem.value) == ("output_format", repr(output_format))
    assert all(known in problem.expected for known in OUTPUT_FORMATS)


@pytest.mark.parametrize("prompt", [None, "", "  ", "\n\t", "None", 0, []])
def test_a_blank_prompt_is_not_paid_for(prompt: Any) -> None:
    problem = only_problem(prompt=prompt)
    assert problem.parameter == "prompt"
    assert problem.expected == "a sentence that says what to change"


@pytest.mark.parametrize("prompt", [7, ["Center"], {"text": "Center"}, b"Center"])
def test_a_prompt_is_text(prompt: Any) -> None:
    problem = only_problem(prompt=prompt)
    assert (problem.parameter, problem.value) == ("prompt", repr(prompt))


@pytest.mark.parametrize("number", [0, -1, 1.5, "two", "1.0", True, [1], float("nan"), float("inf")])
def test_a_number_of_results_is_a_whole_number_from_1(number: Any) -> None:
    problem = only_problem(num_images=number)
    assert (problem.parameter, problem.value) == ("num_images", repr(number))
    assert problem.expected == "a whole number, 1 or more"


@pytest.mark.parametrize(
    "address",
    [
        "product.jpg",
        "/photos/product.jpg",
        "ftp://example.com/a.jpg",
        "s3://bucket/a.jpg",
        "file:///etc/passwd",
        "https:/example.com/a.jpg",
        "https://",
        "https:///a.jpg",
        "https://?x",
        "https://exa mple.com",
        "https://example.com/a b.jpg",
        "//example.com/a.jpg",
        "",
        " ",
        None,
        7,
        ["https://example.com/a.jpg"],
    ],
)
def test_an_address_that_aluo_cannot_fetch_is_named_by_its_place(address: Any) -> None:
    problem = only_problem(image_urls=[URL, URL, address])
    assert problem.parameter == "image_urls[2]"
    assert "begins with http:// or https://" in problem.expected


@pytest.mark.parametrize("file", ["", " ", None, 7, b"cup.png", ["cup.png"]])
def test_a_file_that_is_none_is_named_by_its_place(file: Any) -> None:
    problem = only_problem(image_urls=None, image_files=["cup.png", file])
    shown = repr(file.strip() if isinstance(file, str) else file)
    assert (problem.parameter, problem.value) == ("image_files[1]", shown)
    assert "a local path or an object-storage address" in problem.expected


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    problem = only_problem(ratio="1:1")
    assert (problem.parameter, problem.value) == ("ratio", "'1:1'")
    assert all(name in problem.expected for name in PARAMETERS)


def test_all_problems_are_told_at_once_in_the_users_words() -> None:
    found = problems(
        prompt=" ",
        image_urls=[URL, "a.jpg", "b.jpg"],
        aspect_ratio="7:5",
        output_format="gif",
        num_images=0,
        style="old",
    )
    assert sorted(problem.parameter for problem in found) == [
        "aspect_ratio",
        "image_urls[1]",
        "image_urls[2]",
        "num_images",
        "output_format",
        "prompt",
        "style",
    ]


def test_all_problems_of_a_form_are_told_at_once_too() -> None:
    found = problems(prompt="", image_files=["", *["a.png"] * 5], aspect_ratio="7:5", num_images="x")
    assert sorted(problem.parameter for problem in found) == [
        "aspect_ratio",
        "image_files",
        "image_files[0]",
        "image_urls and image_files",
        "num_images",
        "prompt",
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        {"image_urls": [SIGNED.replace("https://", "ftp://")]},
        {"image_urls": [SIGNED.replace("https://", "")]},
        {"image_urls": [SIGNED.replace("bucket", "buc ket")]},
        {"image_urls": [f"{SIGNED} and {SIGNED}"]},
        {"image_urls": [[SIGNED]]},
        {"image_urls": {"url": SIGNED}},
        {"image_urls": [SIGNED] * 6},
        {"image_urls": SIGNED, "image_files": [SIGNED]},
        {"image_urls": None, "image_files": [[SIGNED]]},
        {"image_urls": None, "image_files": SIGNED, "num_images": 1},
        {"aspect_ratio": SIGNED},
        {"prompt": [SIGNED]},
        {"url": SIGNED},
        {"urls": [SIGNED]},
        {"image_urls": SIGNED, "prompt": ""},
    ],
)
def test_the_query_of_a_presigned_address_is_never_in_a_message(parameters: dict[str, Any]) -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        edit(**parameters)
    assert "5ecret" not in str(caught.value)


# What templates render


@pytest.mark.parametrize(
    ("name", "rendered", "meant"),
    [
        ("num_images", "2", 2),
        ("num_images", " 2 ", 2),
        ("num_images", 2.0, 2),
        ("num_images", "", None),
        ("num_images", "None", None),
        ("aspect_ratio", "", None),
        ("aspect_ratio", "None", None),
        ("output_format", " ", None),
        ("output_format", "None", None),
        ("image_urls", URL, (URL,)),
        ("image_urls", f"{URL}\n", (URL,)),
        ("image_urls", f'["{URL}", "{SIGNED}"]', (URL, SIGNED)),
        ("image_urls", f"['{URL}', '{SIGNED}']", (URL, SIGNED)),
        ("image_urls", f"\n ['{URL}\\n'] ", (URL,)),
        ("image_urls", (URL, SIGNED), (URL, SIGNED)),
        ("image_files", "", ()),
        ("image_files", "None", ()),
    ],
)
def test_what_a_template_renders_is_understood(name: str, rendered: Any, meant: Any) -> None:
    assert getattr(edit(**{name: rendered}), name) == meant


@pytest.mark.parametrize(
    ("rendered", "meant"),
    [
        ("cup.png", ("cup.png",)),
        (Path("photos/cup.png"), ("photos/cup.png",)),
        ([PurePosixPath("a.png"), "b.png"], ("a.png", "b.png")),
        ('["a.png", "b.png"]', ("a.png", "b.png")),
        ("[draft.png", ("[draft.png",)),
    ],
)
def test_files_may_be_one_path_several_or_a_rendered_list(rendered: Any, meant: tuple[str, ...]) -> None:
    assert edit(image_urls="", image_files=rendered).image_files == meant


def test_any_sequence_of_addresses_is_a_list_of_them() -> None:
    class Lazy(Sequence[str]):
        def __getitem__(self, index: Any) -> Any:
            return [URL][index]

        def __len__(self) -> int:
            return 1

    assert edit(image_urls=Lazy()).image_urls == (URL,)


# What is known before a task runs


class Later:
    """Stands for a value that another task will have returned by then."""


def pending(value: Any) -> bool:
    return isinstance(value, Later) or (isinstance(value, str) and "{{" in value)


def refused(**parameters: Any) -> list[str]:
    try:
        check_known({"prompt": "Center", **parameters}, pending=pending)
    except AluoRequestInvalid as error:
        return [problem.parameter for problem in error.problems]
    return []


LATER = [Later(), "{{ params.x }}"]
BOTH = "image_urls and image_files"


@pytest.mark.parametrize("later", LATER, ids=["argument", "template"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_value_that_is_known_later_is_taken_to_be_right(name: str, later: Any) -> None:
    known = {} if name == "image_files" else {"image_urls": URL}
    assert refused(**{**known, name: later}) == []


@pytest.mark.parametrize(
    ("urls", "files", "found"),
    [
        # Of two sources, either may turn out empty when it is rendered …
        (Later(), Later(), []),
        ("{{ a }}", "{{ b }}", []),
        (URL, Later(), []),
        (URL, "{{ b }}", []),
        (Later(), "cup.png", []),
        ("{{ a }}", ["cup.png"], []),
        (Later(), None, []),
        (None, Later(), []),
        (Later(), "", []),
        ([], Later(), []),
        # … but what is known is checked now.
        (URL, "cup.png", [BOTH]),
        (None, None, [BOTH]),
        ("", [], [BOTH]),
        ("product.jpg", Later(), ["image_urls[0]"]),
        ([URL] * 6, Later(), ["image_urls"]),
        (Later(), [""], ["image_files[0]"]),
        (Later(), ["a.png"] * 6, ["image_files"]),
        # A list is as long as it is, whatever its elements will be.
        ([Later(), URL], None, []),
        ([Later(), "product.jpg"], None, ["image_urls[1]"]),
        ((Later(),) * 6, None, ["image_urls"]),
        (None, [Later(), "{{ b }}"], []),
        (None, ["{{ b }}"] * 6, ["image_files"]),
        ([Later()], ["cup.png"], [BOTH]),
    ],
)
def test_what_is_known_of_the_images_is_checked_before_the_task_runs(
    urls: Any, files: Any, found: list[str]
) -> None:
    assert refused(image_urls=urls, image_files=files) == found


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"aspect_ratio": "7:5"}, ["aspect_ratio"]),
        ({"prompt": "{{ p }}", "output_format": "gif"}, ["output_format"]),
        ({"image_urls": Later(), "num_images": 0}, ["num_images"]),
        ({"image_urls": Later(), "prompt": ""}, ["prompt"]),
        ({"image_urls": None, "image_files": Later(), "num_images": 2}, ["num_images"]),
        ({"image_urls": None, "image_files": Later(), "num_images": Later()}, []),
        ({"image_urls": URL, "image_files": Later(), "num_images": 2}, []),
        ({"style": Later()}, ["style"]),
    ],
)
def test_what_is_wrong_already_is_told_whatever_is_known_later(
    parameters: dict[str, Any], found: list[str]
) -> None:
    assert refused(**{"image_urls": URL, **parameters}) == found


PENDING_OR_NOT: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.sampled_from(["Center", "", Later(), "{{ p }}"]),
    "image_urls": st.sampled_from([None, "", URL, [URL, Later()], Later(), "{{ u }}", "ftp://x", []]),
    "image_files": st.sampled_from([None, "", "cup.png", ["{{ f }}"], Later(), "{{ f }}", [""], []]),
    "aspect_ratio": st.sampled_from([None, "1:1", "7:5", Later()]),
    "output_format": st.sampled_from([None, "png", "gif", "{{ o }}"]),
    "num_images": st.sampled_from([None, 2, "2", 0, Later()]),
}
#: For each parameter, values that may turn out when it is rendered: each is right in some edit.
TURN_OUTS: dict[str, list[Any]] = {
    "prompt": ["Center"],
    "image_urls": [None, URL],
    "image_files": [None, "cup.png"],
    "aspect_ratio": [None, "1:1"],
    "output_format": [None, "png"],
    "num_images": [None, 2],
}


def can_turn_out_right(parameters: dict[str, Any]) -> bool:
    """Try every way in which the pending values may turn out."""
    choices: list[dict[str, Any]] = [{}]
    for name, value in parameters.items():
        if pending(value):
            values = TURN_OUTS[name]
        elif isinstance(value, list):
            values = [[TURN_OUTS[name][-1] if pending(item) else item for item in value]]
        else:
            values = [value]
        choices = [choice | {name: turned_out} for choice in choices for turned_out in values]
    return any(is_right(choice) for choice in choices)


def is_right(parameters: dict[str, Any]) -> bool:
    try:
        read(parameters)
    except AluoRequestInvalid:
        return False
    return True


@given(parameters=st.fixed_dictionaries(PENDING_OR_NOT))
def test_an_edit_is_refused_early_exactly_when_no_rendering_can_make_it_right(
    parameters: dict[str, Any],
) -> None:
    try:
        check_known(parameters, pending=pending)
        allowed = True
    except AluoRequestInvalid:
        allowed = False
    assert allowed is can_turn_out_right(parameters)


# Properties

TEXTS = (
    st.sampled_from(
        ["", " ", "None", "1:1", "png", "2", URL, f"{URL}\n", SIGNED, "cup.png", "['a', {[]: 1}]"]
    )
    | st.text(max_size=10)
    | st.builds("https://{}".format, st.text(max_size=8))
    | st.builds("[{}]".format, st.text(max_size=8))
)
SCALARS = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=4)
    | st.builds(PurePosixPath, st.text(st.characters(blacklist_characters="\0"), max_size=5))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=8,
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {"prompt": st.just("Center") | VALUES},
    optional={
        "image_urls": st.lists(st.just(URL) | TEXTS, max_size=6) | VALUES,
        "image_files": st.lists(st.just("cup.png") | TEXTS, max_size=6) | VALUES,
        "aspect_ratio": st.sampled_from(ASPECT_RATIOS) | VALUES,
        "output_format": st.sampled_from(OUTPUT_FORMATS) | VALUES,
        "num_images": st.integers(-1, 5) | VALUES,
    },
)
ANY = st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=5), VALUES, max_size=5)


@given(parameters=NEARLY_RIGHT | ANY)
@example(parameters={"prompt": "p", "image_urls": "[{[]: 1}]"})
@example(parameters={"prompt": "p", "image_urls": f"{URL}\n"})
@example(parameters={"prompt": "p", "image_urls": f'["{URL}\\n"]'})
def test_any_parameters_give_an_edit_that_its_schema_allows_or_say_what_is_wrong(
    parameters: dict[str, Any],
) -> None:
    found = edit_or_refusal(parameters)
    if isinstance(found, AluoRequestInvalid):
        assert found.problems
        assert all(problem.expected for problem in found.problems)
        assert all(len(problem.value) <= 80 for problem in found.problems)
        assert "5ecret" not in found.message
    else:
        name = "generate_form" if found.image_files else "generate_request"
        document = json.loads(json.dumps(found.document()))
        validator(name).validate(document)
        assert not any("\n" in url for url in found.image_urls)
        assert read(found.to_json()) == found


def edit_or_refusal(parameters: dict[str, Any]) -> PhotoEdit | AluoRequestInvalid:
    try:
        return read(parameters)
    except AluoRequestInvalid as error:
        return error


def test_a_line_break_that_a_template_leaves_behind_does_no_harm() -> None:
    edit = read(
        {"prompt": "p", "image_files": " a.jpg\n", "aspect_ratio": " 1:1\n", "output_format": "webp\n"}
    )
    assert (edit.image_files, edit.aspect_ratio, edit.output_format) == (("a.jpg",), "1:1", "webp")


@pytest.mark.parametrize(
    "address", ["https://shop.example/cup.jpg", "HTTP://shop.example/cup.jpg?sign=secret"]
)
def test_an_address_on_the_web_is_no_file_to_upload(address: str) -> None:
    problem = only_problem(image_urls=None, image_files=["jug.png", address])
    assert problem.parameter == "image_files[1]"
    assert "give addresses on the web as image_urls" in problem.expected
    assert "secret" not in str(problem)
