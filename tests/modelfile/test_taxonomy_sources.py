"""Which taxonomy belongs to a model, and what becomes of one that does not fit."""

from pathlib import Path

import pytest

from edge_classifier.errors import ContractError, MissingFileError
from edge_classifier.model_loading import LoadedModel, ModelChoice
from edge_classifier.modelfile.bundle import append_bundle
from edge_classifier.modelfile.resolve import ContractOverrides
from tests.modelfile.model_files import contract_text, load
from tests.modelfile.test_model_zip import zip_file
from tests.tiny import COLOURS, Tiny, build

LABELS = "\n".join(COLOURS)
WARM = "name\tparent\nwarm\t\nred\twarm\n"


def nodes(loaded: LoadedModel) -> list[str]:
    return [node.name for node in loaded.resolved.contract.taxonomy.nodes]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with labels and a taxonomy inside."""
    path = build(tmp_path / "tiny.tflite")
    append_bundle(
        path, {"contract.json": contract_text(), "labels.txt": LABELS, "taxonomy.tsv": WARM}
    )
    return path


def test_taxonomy_in_the_model_is_read_with_its_labels(model: Path) -> None:
    resolved = load(model).resolved

    assert resolved.contract.taxonomy.class_nodes == (0, None, None)
    assert resolved.taxonomy_from == "taxonomy.tsv in the model"
    assert resolved.notes == ()


def test_model_without_one_has_no_taxonomy(tmp_path: Path) -> None:
    resolved = load(build(tmp_path / "tiny.tflite")).resolved

    assert resolved.contract.taxonomy.nodes == ()
    assert resolved.taxonomy_from == "none"


@pytest.mark.parametrize("ending", ["tsv", "csv"])
def test_file_beside_the_model_comes_before_the_one_inside(model: Path, ending: str) -> None:
    path = model.with_name(f"tiny.taxonomy.{ending}")
    path.write_text("name,parent\ncold,\nblue,cold\n")

    loaded = load(model)

    assert (nodes(loaded), loaded.resolved.taxonomy_from) == (["cold"], str(path))


def test_file_that_is_asked_for_comes_first(model: Path, tmp_path: Path) -> None:
    model.with_name("tiny.taxonomy.tsv").write_text("name,parent\ncold,\nblue,cold\n")
    (tmp_path / "mine.txt").write_text("name,parent\nodd,\ngreen,odd\n")

    loaded = load(model, taxonomy=tmp_path / "mine.txt")

    assert (nodes(loaded), loaded.resolved.taxonomy_from) == (["odd"], str(tmp_path / "mine.txt"))


def test_taxonomy_serves_labels_found_anywhere(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text(LABELS)
    (tmp_path / "tiny.taxonomy.tsv").write_text(WARM)

    assert nodes(load(path)) == ["warm"]


def test_taxonomy_in_the_model_goes_with_labels_that_are_replaced_by_others(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("rot\ngrün\nblau\n")
    resolved = load(model, labels=tmp_path / "mine.txt").resolved

    assert resolved.contract.taxonomy.nodes == ()
    assert resolved.notes == (
        f"the taxonomy in tiny.tflite does not fit the labels of {tmp_path / 'mine.txt'}: left out",
    )


def test_background_that_is_put_before_the_labels_moves_no_class(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(classes=4))
    text = "".join(
        f'item {{ id: {at} name: "{name}" }}\n' for at, name in enumerate(COLOURS, start=1)
    )
    (tmp_path / "labelmap.pbtxt").write_text(text)
    (tmp_path / "tiny.taxonomy.tsv").write_text(WARM)

    contract = load(path).resolved.contract

    assert contract.labels == ("background", *COLOURS)
    assert contract.taxonomy.class_nodes == (None, 0, None, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"name\tparent\nwarm\t\nrde\twarm\n", r"line 3: rde is no label .*--taxonomy"),
        (b"warm: red\n", "its first line is not"),
        ("name\tparent\nwärm\t\nred\twärm\n".encode("latin-1"), "UTF-8"),
        (b"x" * 1_000_001, "too large"),
    ],
)
def test_taxonomy_that_cannot_be_right_is_refused_wherever_it_lies(
    data: bytes, said: str, tmp_path: Path
) -> None:
    inside = build(tmp_path / "inside.tflite")
    append_bundle(inside, {"labels.txt": LABELS, "taxonomy.tsv": data})
    with pytest.raises(ContractError, match=said):
        load(inside)
    beside = build(tmp_path / "beside.tflite")
    (tmp_path / "labels.txt").write_text(LABELS)
    (tmp_path / "beside.taxonomy.tsv").write_bytes(data)
    with pytest.raises(ContractError, match=said):
        load(beside)


def test_file_that_is_asked_for_and_cannot_be_read_is_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such taxonomy file"):
        load(model, taxonomy=tmp_path / "none.tsv")
    with pytest.raises(ContractError, match="cannot be read as a taxonomy"):
        load(model, taxonomy=tmp_path)


def test_model_is_read_again_when_its_taxonomy_has_changed(model: Path, tmp_path: Path) -> None:
    named = tmp_path / "folder" / "mine"
    named.parent.mkdir()
    named.write_text(WARM)
    for overrides in (ContractOverrides(), ContractOverrides(taxonomy=named)):
        choice = ModelChoice(str(model), "cpu", overrides)
        loaded = load(model, taxonomy=overrides.taxonomy)
        assert not loaded.has_changed_on_disk(choice)
        (overrides.taxonomy or model.with_name("tiny.taxonomy.tsv")).write_text(WARM + "# More\n")
        assert loaded.has_changed_on_disk(choice)


@pytest.mark.parametrize("name", ["taxonomy.tsv", "here/model.taxonomy.csv"])
def test_zip_with_a_taxonomy_beside_the_labels_is_taken_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = build(tmp_path / "built.tflite").read_bytes()
    members = {"model.tflite": built, "labels.txt": LABELS.encode(), name: WARM.encode()}

    assert nodes(load(zip_file(tmp_path / "made.zip", members))) == ["warm"]
