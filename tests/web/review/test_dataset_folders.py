"""Whatever labels are called, training takes the folders."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_classifier.config.toml import document
from edge_classifier.dataset.folder import scan
from edge_classifier.web.review.folder_names import NAMES_FILE, folder_names, names_table
from tests.web.making import jpeg

_PICTURE = jpeg()
_LABELS = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=12),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
        st.sampled_from(["cat", "Cat", "CON", "nul.txt", "..", "a/b", "a\\b", "unsure", "Unknown"]),
        st.sampled_from(
            ["0 a", "1 b", "2 c", "train", "test", "未知", "lost+found", "é", "e\u0301"]
        ),
    ),
    min_size=2,
    max_size=6,
    unique=True,
)


@given(labels=_LABELS, chinese=st.lists(st.text(max_size=5), min_size=6, max_size=6))
@example(labels=["0 a", "1 b"], chinese=[""] * 6)
@example(labels=["train", "test"], chinese=[""] * 6)
@example(labels=["Cat", "cat", "CAT"], chinese=["猫"] * 6)
def test_folders_of_any_labels_are_taken_by_training(labels: list[str], chinese: list[str]) -> None:
    folders = folder_names(labels)
    names = names_table(folders, dict(zip(labels, chinese, strict=False)))
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for folder in folders.values():
            root.joinpath(folder).mkdir(exist_ok=True)
            root.joinpath(folder, "a.jpg").write_bytes(_PICTURE)
        root.joinpath(NAMES_FILE).write_text(document(names), "utf-8")
        if len(set(folders.values())) > 1:  # One class is nothing to tell apart.
            assert set(scan(root).labels) == set(folders.values())


@given(labels=_LABELS)
def test_folder_names_are_safe_on_every_file_system(labels: list[str]) -> None:
    for folder in folder_names(labels).values():
        assert not set(folder) & set('/\\<>:"|?*\0')
        assert folder[0] not in ". "
        assert folder[-1] not in ". "
        assert len(folder.encode()) <= 160


@pytest.mark.parametrize(
    ("labels", "folders"),
    [
        pytest.param(["cat", "St. Bernard"], ["cat", "St. Bernard"], id="kept"),
        pytest.param(["雏菊", "naïve"], ["雏菊", "naïve"], id="any script"),
        pytest.param(["../../etc/passwd"], ["_.._etc_passwd"], id="path"),
        pytest.param(["a\0b\x1bc"], ["a_b_c"], id="control characters"),
        pytest.param(["con", "LPT1.x"], ["_con", "_LPT1.x"], id="devices of Windows"),
        pytest.param(["cat", "Cat"], ["cat-2", "Cat"], id="differ in case only"),
        pytest.param(["Unknown", "unknown", "未知"], ["unknown"] * 3, id="unknown"),
        pytest.param(["unsure", "cat"], ["_unsure", "cat"], id="what training leaves out"),
        pytest.param(
            ["Names.TOML", "names.toml"], ["_Names.TOML", "_names.toml-2"], id="the file beside"
        ),
        pytest.param(["...", "."], ["label-2", "label"], id="nothing left"),
    ],
)
def test_folder_name_of_a_label(labels: list[str], folders: list[str]) -> None:
    found = folder_names(labels)
    assert [found[label] for label in labels] == folders


def test_names_chinese_is_there_for_all_labels_or_none() -> None:
    folders = folder_names(["cat", "dog", "unknown"])
    assert names_table(folders, {"cat": "猫", "dog": "狗"}) == {
        "cat": {"zh": "猫"},
        "dog": {"zh": "狗"},
    }
    assert names_table(folders, {"cat": "猫"}) == {}


def test_names_label_that_could_not_be_a_folder_keeps_its_name() -> None:
    folders = folder_names(["cat/dog", "cow"])
    assert names_table(folders, {}) == {"cat_dog": {"en": "cat/dog"}, "cow": {"en": "cow"}}
