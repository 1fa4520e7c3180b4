import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import airflow_aluo
from airflow_aluo.protocol import vocabulary
from airflow_aluo.protocol.schemas import folder, names, schema, validator
from airflow_aluo.protocol.vocabulary import (
    ASPECT_RATIOS,
    CODE_OK,
    DEFAULT_NUM_IMAGES,
    DEFAULT_OUTPUT_FORMAT,
    MAX_REFERENCE_IMAGES,
    MIN_REFERENCE_IMAGES,
    OUTPUT_FORMATS,
    PLANS,
    STATUS_SUCCESS,
    TIERS,
)

ALL = pytest.mark.parametrize("name", names())
PACKAGE = Path(airflow_aluo.__file__).parent


def parts(of: Any) -> list[dict[str, Any]]:
    """Return every object within a schema."""
    if isinstance(of, list):
        return [part for item in of for part in parts(item)]
    if isinstance(of, dict):
        return [of, *(part for item in of.values() for part in parts(item))]
    return []


def test_the_contract_is_complete() -> None:
    assert names() == (
        "edit_record",
        "error_reply",
        "generate_form",
        "generate_reply",
        "generate_request",
        "manifest",
        "results_part",
        "status_reply",
        "stored_batch",
        "stored_edit",
        "trigger_event",
    )


@ALL
def test_a_schema_is_valid_draft_2020_12(name: str) -> None:
    found = schema(name)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(found)


@ALL
def test_a_schema_introduces_itself(name: str) -> None:
    found = schema(name)
    assert found["$id"] == f"urn:airflow-aluo:schema:{name.replace('_', '-')}"
    assert found["title"]
    assert found["description"].endswith(".")


def test_no_two_schemas_share_an_id_or_a_title() -> None:
    assert len({schema(name)["$id"] for name in names()}) == len(names())
    assert len({schema(name)["title"] for name in names()}) == len(names())


@ALL
def test_every_property_of_ours_is_described_or_refers_to_what_is(name: str) -> None:
    """A property's name may say it all, but the top level of what we send and return is explained."""
    if name in {"edit_record", "generate_form", "generate_request", "manifest", "results_part"}:
        for key, found in schema(name)["properties"].items():
            assert "description" in found or "$ref" in found, key


@ALL
def test_a_schemas_examples_are_what_it_describes(name: str) -> None:
    examples = schema(name)["examples"]
    assert examples
    for example in examples:
        validator(name).validate(example)


@ALL
def test_a_schema_refers_to_nothing_outside_itself(name: str) -> None:
    references = [part["$ref"] for part in parts(schema(name)) if "$ref" in part]
    defined = {f"#/$defs/{key}" for key in schema(name).get("$defs", {})}
    assert set(references) == defined


@ALL
def test_a_pattern_means_the_same_in_every_language(name: str) -> None:
    """Python's own regular expressions can do more than those that JSON Schema recommends."""
    for part in parts(schema(name)):
        pattern = part.get("pattern")
        if isinstance(pattern, str):
            re.compile(pattern)
            assert not re.search(r"\(\?P|\(\?<|\(\?[aiLmsux]|\\[AZz]", pattern)


@ALL
def test_a_schemas_file_ends_with_a_line_break_and_holds_no_key_twice(name: str) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    text = (folder() / f"{name}.schema.json").read_text("utf-8")
    assert text.endswith("}\n")
    json.loads(text, object_pairs_hook=once)


# The schemas and the vocabulary say the same.


@pytest.mark.parametrize("name", ["generate_request", "generate_form"])
def test_the_choices_are_the_vocabularys(name: str) -> None:
    properties = schema(name)["properties"]
    assert tuple(properties["aspectRatio"]["enum"]) == ASPECT_RATIOS
    assert tuple(properties["outputFormat"]["enum"]) == OUTPUT_FORMATS
    assert properties["outputFormat"]["default"] == DEFAULT_OUTPUT_FORMAT


def test_the_limits_are_the_vocabularys() -> None:
    request = schema("generate_request")["properties"]
    assert request["imageUrls"]["minItems"] == MIN_REFERENCE_IMAGES
    assert request["imageUrls"]["maxItems"] == MAX_REFERENCE_IMAGES
    assert request["numImages"]["default"] == DEFAULT_NUM_IMAGES
    form = schema("generate_form")["properties"]
    assert [key for key in form if key.startswith("file")] == [
        f"file{index}" for index in range(MAX_REFERENCE_IMAGES)
    ]
    assert "numImages" not in form


def test_the_words_and_codes_are_the_vocabularys() -> None:
    status = schema("status_reply")["properties"]
    assert status["data"]["if"]["properties"]["status"]["const"] == STATUS_SUCCESS
    assert status["code"]["enum"] == schema("generate_reply")["properties"]["code"]["enum"] == [CODE_OK]
    assert schema("error_reply")["anyOf"][1]["properties"]["code"]["not"]["const"] == CODE_OK


def test_a_landed_picture_has_a_format_that_can_be_asked_for() -> None:
    assert tuple(schema("edit_record")["$defs"]["file"]["properties"]["format"]["enum"]) == OUTPUT_FORMATS
    assert tuple(schema("manifest")["$defs"]["picture"]["properties"]["format"]["enum"]) == OUTPUT_FORMATS


def test_one_pattern_describes_an_address_wherever_one_stands() -> None:
    patterns = {
        part["pattern"]
        for name in names()
        for part in parts(schema(name))
        if isinstance(part.get("pattern"), str) and "[Hh]" in part["pattern"]
    }
    assert len(patterns) == 1


def test_every_plan_has_its_price_and_its_rate() -> None:
    assert tuple(TIERS) == PLANS
    assert vocabulary.DEFAULT_BASE_URL.startswith("https://")


# What a form and a request must refuse, in any language.


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("generate_request", {"prompt": "p"}),
        ("generate_request", {"prompt": "p", "imageUrls": []}),
        ("generate_request", {"prompt": " ", "imageUrls": ["https://a.b"]}),
        ("generate_request", {"prompt": "p", "imageUrls": ["https://a.b"], "aspectRatio": None}),
        ("generate_request", {"prompt": "p", "imageUrls": ["https://a.b"], "numImages": 0}),
        ("generate_request", {"prompt": "p", "imageUrls": ["https://a.b"], "style": "old"}),
        ("generate_form", {"prompt": "p"}),
        ("generate_form", {"prompt": "p", "file1": "b.png"}),
        ("generate_form", {"prompt": "p", "file0": "a.png", "file2": "c.png"}),
        ("generate_form", {"prompt": "p", "file0": "a.png", "file5": "f.png"}),
        ("generate_form", {"prompt": "p", "file0": "a.png", "numImages": 1}),
        ("trigger_event", {}),
        ("trigger_event", {"snapshot": {}, "error": {}}),
        ("trigger_event", {"error": {"type": "AluoError", "message": "m"}}),
    ],
)
def test_a_document_with_something_missing_or_too_much_is_refused(name: str, document: Any) -> None:
    assert not validator(name).is_valid(document)


# Where they are found.


def test_a_checkout_finds_its_schemas_beside_the_package() -> None:
    assert Path(str(folder())) == PACKAGE.parent / "schemas"


def test_an_installed_package_finds_the_schemas_that_it_carries(tmp_path: Path) -> None:
    """A wheel has them in the package (pyproject's force-include) and nothing beside it."""
    installed = tmp_path / "airflow_aluo"
    (installed / "protocol").mkdir(parents=True)
    for file in ("__init__.py", "protocol/__init__.py", "protocol/schemas.py"):
        shutil.copy(PACKAGE / file, installed / file)
    shutil.copytree(PACKAGE.parent / "schemas", installed / "schemas")
    code = "from airflow_aluo.protocol.schemas import folder, names; print(folder(), *names(), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, *found = done.stdout.split()
    assert Path(where) == installed / "schemas"
    assert tuple(found) == names()


def test_the_wheel_is_told_to_carry_them() -> None:
    project = (PACKAGE.parent / "pyproject.toml").read_text("utf-8")
    assert '"schemas" = "airflow_aluo/schemas"' in project
