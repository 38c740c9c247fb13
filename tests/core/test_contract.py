"""The contract's text: what survives it, and what is refused."""

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import (
    ColourOrder,
    Contract,
    ContractFormatError,
    Crop,
    Interpolation,
    Output,
    contract_from_json,
    contract_from_mapping,
    normalization_of_range,
    range_from_text,
)
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode

FULL = Contract(
    320,
    240,
    crop=Crop.LETTERBOX,
    crop_fraction=0.9,
    interpolation=Interpolation.AREA,
    colour_order=ColourOrder.BGR,
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    output=Output.LOGITS,
    labels=("cat", "dog"),
    names={"en": ("cat", "dog"), "zh": ("猫", "狗")},
)
NUMBERS = ("width", "height", "crop_fraction")
TRIPLES = ("mean", "std")
CHOICES = ("crop", "interpolation", "colour_order", "output")


def as_text(**keys: Any) -> str:
    """A contract's JSON: valid but for what ``keys`` make of it."""
    return json.dumps({"version": 1, "width": 8, "height": 6, **keys})


def problems_of(text: str, labels: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ContractFormatError) as caught:
        contract_from_json(text, labels)
    return caught.value.problems


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any valid contract."""
    positive = st.floats(0, 999_999, exclude_min=True)
    labels = tuple(draw(st.lists(st.text(), max_size=5)))
    name = st.text(st.characters(codec="utf-8").filter(str.isprintable))
    tags = st.sampled_from(["zh", "zh-CN", "pt_BR", "en", "sr-Latn-RS"])
    names_of_one = st.lists(name, min_size=len(labels), max_size=len(labels)).map(tuple)
    mean = st.floats(-999_999, 999_999)
    return Contract(
        draw(st.integers(1, 4096)),
        draw(st.integers(1, 4096)),
        crop=draw(st.sampled_from(Crop)),
        crop_fraction=draw(st.floats(0, 1, exclude_min=True)),
        interpolation=draw(st.sampled_from(Interpolation)),
        colour_order=draw(st.sampled_from(ColourOrder)),
        mean=draw(st.tuples(mean, mean, mean)),
        std=draw(st.tuples(positive, positive, positive)),
        output=draw(st.sampled_from(Output)),
        labels=labels,
        names=draw(st.dictionaries(tags, names_of_one, max_size=3)),
    )


def test_to_json_every_field_set_comes_back_equal() -> None:
    assert contract_from_json(FULL.to_json(), FULL.labels) == FULL


def test_contract_from_json_behind_a_byte_order_mark_is_read_as_without() -> None:
    assert contract_from_json("\ufeff" + FULL.to_json(), FULL.labels) == FULL


@given(contracts())
@settings(deadline=None, max_examples=150)
def test_to_json_any_valid_contract_comes_back_equal(contract: Contract) -> None:
    assert contract.problems() == []
    assert contract_from_json(contract.to_json(), contract.labels) == contract


def test_to_json_names_in_chinese_stay_readable() -> None:
    assert "猫" in FULL.to_json()


def test_to_json_labels_are_left_to_the_file_beside_it() -> None:
    data = json.loads(FULL.to_json())
    assert "labels" not in data
    assert data["version"] == 1


def test_contract_from_json_only_size_given_takes_the_defaults() -> None:
    assert contract_from_json(as_text()) == Contract(8, 6)


def test_contract_from_json_whole_numbers_in_triples_become_floats() -> None:
    mean = contract_from_json(as_text(mean=[0, 1, 2])).mean
    assert mean == (0.0, 1.0, 2.0)
    assert all(type(value) is float for value in mean)


@pytest.mark.parametrize(
    "keys",
    [
        {"width": 1},
        {"width": 4096},
        {"height": 1},
        {"height": 4096},
        {"crop_fraction": 1},
        {"crop_fraction": 1e-9},
        {"std": [1e-9, 1, 1]},
        {"mean": [-255, 0, 255]},
        {"names": {}},
    ],
)
def test_contract_from_json_value_at_its_limit_is_accepted(keys: dict[str, Any]) -> None:
    assert contract_from_json(as_text(**keys)).problems() == []


BAD_VALUES: list[tuple[str, Any]] = [
    ("width", 0),
    ("width", -8),
    ("width", 4097),
    ("width", 8.0),
    ("width", "8"),
    ("width", None),
    ("width", [8]),
    ("height", 0),
    ("height", 4097),
    ("height", {}),
    ("crop", "middle"),
    ("crop", "CENTER"),
    ("crop", 1),
    ("crop", None),
    ("crop_fraction", 0),
    ("crop_fraction", -0.5),
    ("crop_fraction", 1.001),
    ("crop_fraction", "0.875"),
    ("interpolation", "cubic"),
    ("interpolation", ["area"]),
    ("colour_order", "rbg"),
    ("colour_order", {}),
    ("mean", 128),
    ("mean", [128]),
    ("mean", [1, 2, 3, 4]),
    ("mean", [1, 2, "3"]),
    ("mean", {"r": 1, "g": 2, "b": 3}),
    ("std", [1, 1, 0]),
    ("std", [1, -1, 1]),
    ("std", [1, 1]),
    ("std", None),
    ("output", "scores"),
    ("output", 0),
    ("names", []),
    ("names", {"zh": "猫"}),
    ("names", {"zh": ["猫", 2]}),
    ("names", {"zh": None}),
    ("labels", ["cat"]),
    ("sharpen", True),
    ("Width", 8),
]


@pytest.mark.parametrize(("key", "value"), BAD_VALUES)
def test_contract_from_json_one_bad_value_is_the_one_problem_by_its_key(
    key: str, value: Any
) -> None:
    (problem,) = problems_of(as_text(**{key: value}))
    assert problem.startswith(f"{key} is ")


@pytest.mark.parametrize(("key", "value"), [bad for bad in BAD_VALUES if bad[0] != "names"])
def test_contract_from_mapping_one_bad_value_is_refused_as_in_json(key: str, value: Any) -> None:
    with pytest.raises(ContractFormatError) as caught:
        contract_from_mapping({"width": 8, "height": 6, key: value})
    assert caught.value.problems == problems_of(as_text(**{key: value}))


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [True, False])
def test_contract_from_json_truth_value_is_no_number(key: str, value: bool) -> None:
    (problem,) = problems_of(as_text(**{key: value}))
    assert problem.startswith(f"{key} is {value}; ")


@pytest.mark.parametrize("key", TRIPLES)
def test_contract_from_json_truth_value_in_a_triple_is_no_number(key: str) -> None:
    (problem,) = problems_of(as_text(**{key: [1, True, 1]}))
    assert problem.startswith(f"{key} is ")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("key", ["crop_fraction", *TRIPLES])
def test_contract_from_json_number_that_is_not_finite_is_refused_by_its_key(
    key: str, literal: str
) -> None:
    value = f"[1, {literal}, 1]" if key in TRIPLES else literal
    text = f'{{"version": 1, "width": 8, "height": 6, "{key}": {value}}}'
    assert any(key in problem for problem in problems_of(text))


@pytest.mark.parametrize("key", ["width", "crop_fraction", *TRIPLES])
def test_contract_from_json_whole_number_beyond_floats_is_refused_by_its_key(key: str) -> None:
    huge = 10**400
    (problem, *_) = problems_of(as_text(**{key: [huge] * 3 if key in TRIPLES else huge}))
    assert key in problem


@pytest.mark.parametrize("version", [None, 0, 2, -1, "1", [1], {}, True, math.inf])
def test_contract_from_json_other_version_is_refused(version: Any) -> None:
    (problem,) = problems_of(as_text(version=version))
    assert problem.startswith(f"version is {version!r}")


def test_contract_from_json_version_missing_is_refused() -> None:
    (problem,) = problems_of('{"width": 8, "height": 6}')
    assert problem.startswith("version is ")


@pytest.mark.parametrize("key", ["width", "height"])
def test_contract_from_json_size_missing_is_said(key: str) -> None:
    data = json.loads(as_text())
    del data[key]
    assert problems_of(json.dumps(data)) == [f"{key} is missing"]


def test_contract_from_json_every_key_of_a_wrong_type_reports_all_of_them() -> None:
    keys = [*NUMBERS, *TRIPLES, *CHOICES, "names"]
    problems = problems_of(as_text(**dict.fromkeys(keys, "?"), sharpen=1, blur=2))
    assert {problem.split(" is ")[0] for problem in problems} == {*keys, "sharpen", "blur"}
    assert len(problems) == len(keys) + 2


def test_contract_from_json_every_value_out_of_range_reports_all_of_them() -> None:
    problems = problems_of(
        as_text(
            width=0,
            height=5000,
            crop_fraction=2,
            std=[0, 1, 1],
            mean=[math.nan, 0, 0],
            names={"zh": ["猫"], "de": []},
        ),
        labels=("cat", "dog"),
    )
    for key in ("width", "height", "crop_fraction", "std", "mean", "names.zh", "names.de"):
        assert any(key in problem for problem in problems), key
    assert len(problems) == 7


def test_contract_from_json_wrong_type_beside_a_wrong_range_reports_both() -> None:
    problems = problems_of(as_text(crop="middle", crop_fraction=5))
    assert sorted(problem.split(" is ")[0] for problem in problems) == ["crop", "crop_fraction"]


@pytest.mark.parametrize("labels", [(), ("cat",), ("cat", "dog", "cow")])
def test_contract_from_json_names_not_one_a_label_are_refused(labels: tuple[str, ...]) -> None:
    (problem,) = problems_of(as_text(names={"zh": ["猫", "狗"]}), labels)
    assert problem == f"names.zh has 2 names for {len(labels)} labels"


def test_contract_from_json_long_bad_value_is_shortened() -> None:
    (problem,) = problems_of(as_text(crop="x" * 10_000))
    assert len(problem) < 200


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "}", '{"version": 1,}', "width: 8", "\x00", "{'version': 1}", "1 2"],
)
def test_contract_from_json_text_that_is_not_json_is_refused(text: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("not JSON")


@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"', "true", '[{"version": 1}]'])
def test_contract_from_json_json_that_is_no_object_is_refused(text: str) -> None:
    assert problems_of(text) == ["not a JSON object"]


@pytest.mark.parametrize("start", ["[", '{"version":', '{"version": 1, "width": [' + "["])
def test_contract_from_json_bottomless_nesting_is_refused(start: str) -> None:
    (problem,) = problems_of(start * 100_000)
    assert problem.startswith("not JSON")


def test_contract_from_json_value_nested_about_as_deep_as_can_be_parsed_is_refused() -> None:
    limit = sys.getrecursionlimit()
    for depth in range(limit - 150, limit + 10):
        nested = "[" * depth + "]" * depth
        assert problems_of(f'{{"version": 1, "width": {nested}, "height": 6}}')


def test_contract_format_error_as_text_has_every_problem() -> None:
    assert str(ContractFormatError(["one", "two"])) == "one; two"


def test_problems_values_set_in_code_are_checked_too() -> None:
    (problem,) = Contract(0, 6).problems()
    assert problem == "width is 0; 1 to 4096 are allowed"


def test_with_labels_other_labels_drop_the_old_names() -> None:
    changed = FULL.with_labels(("bird",))
    assert changed.labels == ("bird",)
    assert changed.names == {}
    assert changed.problems() == []
    assert (changed.mean, changed.crop) == (FULL.mean, FULL.crop)


def test_with_labels_names_given_are_kept() -> None:
    assert FULL.with_labels(("bird",), {"zh": ("鸟",)}).names == {"zh": ("鸟",)}


@pytest.mark.parametrize("name", ["\ud800", "a\x1b[31mb", "two\nlines", "\x00"])
def test_contract_names_that_a_terminal_must_not_see_are_refused(name: str) -> None:
    (problem,) = problems_of(as_text(names={"zh": [name]}), ("cat",))
    assert problem == "names.zh has a name that cannot be printed"


@pytest.mark.parametrize("tag", ["", "z", "\x1b[31m", "zh CN", "../zh"])
def test_contract_names_under_what_is_no_language_tag_are_refused(tag: str) -> None:
    (problem,) = problems_of(as_text(names={tag: ["猫"]}), ("cat",))
    assert "language tag" in problem


@pytest.mark.parametrize(
    ("text", "range_"),
    [("0..255", (0, 255)), ("-1..1", (-1, 1)), (" 0 .. 1 ", (0, 1)), ("-2.5..2.5", (-2.5, 2.5))],
)
def test_input_range_is_read_from_text_and_is_what_black_and_white_become(
    text: str, range_: tuple[float, float]
) -> None:
    mean, std = normalization_of_range(*range_from_text(text))

    assert tuple((end - mean[0]) / std[0] for end in (0, 255)) == range_


@pytest.mark.parametrize("text", ["", "0", "0-255", "255..0", "1..1", "a..b", "0..1e9", "nan..1"])
def test_input_range_that_is_none_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r"range such as|must be below"):
        range_from_text(text)


def test_input_range_in_a_contract_stands_for_mean_and_std() -> None:
    contract = contract_from_mapping({"width": 8, "height": 8, "input_range": [-1, 1]})

    assert (contract.mean[0], contract.std[0]) == (127.5, 127.5)
    assert contract.input_range == "-1 to 1"


@pytest.mark.parametrize("value", [[1], [1, 0], ["0", "1"], "0..1", None, [0, float("nan")]])
def test_input_range_in_a_contract_that_is_wrong_is_refused(value: object) -> None:
    with pytest.raises(ContractFormatError, match="input_range is"):
        contract_from_mapping({"width": 8, "height": 8, "input_range": value})


def test_input_range_beside_mean_is_refused() -> None:
    data = {"width": 8, "height": 8, "input_range": [0, 1], "mean": [1, 1, 1]}
    with pytest.raises(ContractFormatError, match="give one of the two"):
        contract_from_mapping(data)


def test_taxonomy_of_another_number_of_classes_is_a_problem() -> None:
    taxonomy = Taxonomy((TaxonomyNode("animal"),), (0, 0), ("", ""))
    assert Contract(8, 8).with_labels(("cat", "dog"), taxonomy=taxonomy).problems() == []
    (problem,) = Contract(8, 8).with_labels(("cat",), taxonomy=taxonomy).problems()
    assert problem == "the taxonomy has 2 classes for 1 labels"


def test_taxonomy_goes_with_the_labels_that_it_is_of() -> None:
    taxonomy = Taxonomy((TaxonomyNode("animal"),), (0,), ("",))
    contract = Contract(8, 8).with_labels(("cat",), taxonomy=taxonomy)
    assert contract.with_labels(("dog",)).taxonomy == Taxonomy()
    assert "taxonomy" not in contract.to_json()
