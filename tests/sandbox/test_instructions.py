import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.sandbox.instructions import COLOURS, Colour, Instruction, Kind, read

BLUE = COLOURS["blue"]


@pytest.mark.parametrize(
    ("prompt", "instruction"),
    [
        ("Change product to blue", Instruction(Kind.COLOUR, "", BLUE)),
        ("Change the product color to blue", Instruction(Kind.COLOUR, "", BLUE)),
        ("Add a coffee cup on the desk", Instruction(Kind.ADD, "coffee cup")),
        (
            "Change background to beach scene",
            Instruction(Kind.BACKGROUND, "change background to beach scene"),
        ),
        ("Center the product", Instruction(Kind.CENTRE)),
        ("Remove watermark from photo", Instruction(Kind.REMOVE, "watermark")),
    ],
)
def test_the_vendors_examples_are_understood(prompt: str, instruction: Instruction) -> None:
    assert read(prompt) == instruction


@pytest.mark.parametrize(
    ("prompt", "kind", "colour"),
    [
        ("make it RED", Kind.COLOUR, COLOURS["red"]),
        ("Recolour the shoe from red to navy", Kind.COLOUR, COLOURS["navy"]),
        ("Paint it #0a64FF", Kind.COLOUR, (10, 100, 255)),
        ("A green bottle, please", Kind.COLOUR, COLOURS["green"]),
        ("Add a red ribbon to the box", Kind.ADD, COLOURS["red"]),
        ("Put a blue mug next to the laptop", Kind.ADD, BLUE),
        ("Put the product in the middle", Kind.CENTRE, None),
        ("Place it in the center, please", Kind.CENTRE, None),
        ("Add a logo in the center", Kind.ADD, None),
        ("Recenter the bottle on its background", Kind.CENTRE, None),
        ("Remove the background", Kind.BACKGROUND, COLOURS["white"]),
        ("White background", Kind.BACKGROUND, COLOURS["white"]),
        ("Set the back drop to green", Kind.BACKGROUND, COLOURS["green"]),
        ("Add a tree in the background", Kind.ADD, None),
        ("Get rid of the price label", Kind.REMOVE, None),
        ("Make it nicer", Kind.OTHER, None),
        ("Sharper!", Kind.OTHER, None),
        ("把产品变成蓝色", Kind.OTHER, None),
    ],
)
def test_other_ways_to_say_it_are_understood(prompt: str, kind: Kind, colour: Colour | None) -> None:
    instruction = read(prompt)
    assert (instruction.kind, instruction.colour) == (kind, colour)


def test_the_thing_is_named_without_its_article_and_its_place() -> None:
    assert read("add  an Old Lamp\nbeside the bed.").what == "old lamp"
    assert read("Remove the spoon!").what == "spoon"


@given(st.text())
def test_every_text_is_some_instruction(prompt: str) -> None:
    assert read(prompt).kind in Kind
