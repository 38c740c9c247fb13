"""What a check finds, and how bad it says that is."""

import json
from dataclasses import replace

import pytest

from edge_classifier.dataset.check import CheckResult, Finding, Severity, check_dataset
from edge_classifier.dataset.facts import PictureFacts
from edge_classifier.dataset.folder import Dataset, Sample
from tests.dataset.made_datasets import HASH, ROOT, THERE, dataset, examined, facts_of


def kinds(found: CheckResult) -> dict[str, Finding]:
    return {finding.kind: finding for finding in found.findings}


CATS = dataset(cat=30, dog=30)


def test_findings_of_a_sound_dataset_are_none() -> None:
    found = check_dataset(CATS, examined(CATS))
    assert (found.findings, found.fatal) == ((), False)
    assert [(c.label, c.pictures, c.copies, c.alike) for c in found.classes] == [
        ("cat", 30, 0, 0),
        ("dog", 30, 0, 0),
    ]


def broken(path: str, change: PictureFacts) -> dict[str, Finding]:
    """What is found when one picture is another one."""
    return kinds(check_dataset(CATS, examined(CATS) | {ROOT / path: change}))


@pytest.mark.parametrize(
    ("change", "kind", "severity", "example"),
    [
        (PictureFacts(0, 0, "", 0, "is empty"), "unreadable", "warning", "cat/3.jpg: is empty"),
        (PictureFacts(31, 90, "x", 1), "small", "warning", "cat/3.jpg: 31 x 90"),
        (facts_of(4), "copies", "note", "cat/3.jpg = cat/4.jpg"),
        (facts_of(40), "contradiction", "warning", "cat/3.jpg = dog/10.jpg"),
        (PictureFacts(99, 99, "x", facts_of(4).hash ^ 9), "alike", "note", "cat/3.jpg = cat/4.jpg"),
        (
            PictureFacts(99, 99, "x", facts_of(40).hash ^ 9),
            "alike_across",
            "warning",
            "cat/3.jpg = dog/10.jpg",
        ),
        (PictureFacts(99, 99, "x", 1, "", "animated"), "partly", "note", "cat/3.jpg: animated"),
    ],
)
def test_findings_name_the_picture(
    change: PictureFacts, kind: str, severity: str, example: str
) -> None:
    found = broken("cat/3.jpg", change)
    assert found.keys() == {kind}
    assert (found[kind].severity, found[kind].examples) == (severity, (example,))


def test_picture_of_exactly_the_least_size_is_not_small() -> None:
    assert broken("cat/3.jpg", PictureFacts(32, 32, "x", 1)) == {}


def test_findings_of_a_class_that_nobody_can_read_are_fatal() -> None:
    unreadable = {ROOT / f"cat/{n}.jpg": PictureFacts(0, 0, "", 0, "is empty") for n in range(30)}
    found = check_dataset(CATS, examined(CATS) | unreadable)
    assert found.fatal
    assert found.findings[0].kind == "no_readable"
    assert found.classes[0].unreadable == 30


def test_findings_of_one_distinct_picture_are_fatal_unless_others_are_measured_on() -> None:
    small = dataset(cat=3, dog=30)
    same = examined(small) | {ROOT / f"cat/{n}.jpg": facts_of(0) for n in range(3)}
    assert "too_few" in kinds(check_dataset(small, same))
    validation = dataset(THERE, cat=5, dog=5)
    facts = {path: facts_of(500 + n) for n, path in enumerate(examined(validation))}
    found = check_dataset(small, same | facts, validation)
    assert not found.fatal
    assert found.classes[0].validation == 5


def test_findings_of_a_validation_picture_to_learn_from_are_a_leak() -> None:
    validation = dataset(THERE, cat=5, dog=5)
    facts = examined(CATS, validation)
    facts[THERE / "cat/0.jpg"] = facts_of(7)
    facts[THERE / "cat/1.jpg"] = PictureFacts(99, 99, "x", facts_of(8).hash ^ 1)
    found = kinds(check_dataset(CATS, facts, validation))
    assert found.keys() == {"leak"}
    assert found["leak"].examples == (
        "cat/7.jpg = val/cat/0.jpg",
        "cat/8.jpg = val/cat/1.jpg",
    )


def test_findings_of_a_validation_folder_without_a_class_name_it() -> None:
    validation = Dataset(THERE, CATS.labels, {}, (Sample(THERE / "cat/0.jpg", 0),))
    found = check_dataset(CATS, examined(CATS, validation), validation)
    assert kinds(found)["not_measured"].examples == ("dog",)
    assert not found.fatal
    facts = examined(CATS) | {THERE / "cat/0.jpg": PictureFacts(0, 0, "", 0, "is empty")}
    assert check_dataset(CATS, facts, validation).fatal


@pytest.mark.parametrize(("size", "said"), [(300, False), (301, True)])
def test_imbalance_is_said_above_ten_times(size: int, said: bool) -> None:
    uneven = dataset(cat=size, dog=30)
    assert ("imbalance" in kinds(check_dataset(uneven, examined(uneven)))) == said


def test_findings_of_a_still_camera_say_that_measures_flatter() -> None:
    still = {ROOT / f"cat/{n}.jpg": PictureFacts(99, 99, f"cat{n}", HASH ^ n) for n in range(30)}
    found = kinds(check_dataset(CATS, examined(CATS) | still))
    assert found["crowded"].examples == ("cat",)


@pytest.mark.parametrize("in_dog", [28, 1])
def test_classes_of_a_camera_that_never_moves_contradict_by_single_pictures_alone(
    in_dog: int,
) -> None:
    facts = examined(CATS)
    alike = [ROOT / f"cat/{number}.jpg" for number in range(28)]
    alike += [ROOT / f"dog/{number}.jpg" for number in range(in_dog)]
    facts |= {path: replace(facts[path], hash=HASH) for path in alike}
    found = kinds(check_dataset(CATS, facts))
    assert found["crowded"].examples == (("cat", "dog") if in_dog == 28 else ("cat",))
    assert ("alike_across" in found) == (in_dog == 1)


@pytest.mark.parametrize(
    ("left_out", "severity"), [({".txt": 2}, "note"), ({".dng": 9, ".txt": 1}, "warning")]
)
def test_left_out_files_are_counted(left_out: dict[str, int], severity: str) -> None:
    some = Dataset(ROOT, CATS.labels, {}, CATS.samples, left_out=left_out)
    found = kinds(check_dataset(some, examined(CATS)))["left_out"]
    assert found.severity == severity
    assert found.examples == tuple(f"{count} {kind}" for kind, count in left_out.items())
    assert (".dng cannot be read here" in found.text) == (severity == "warning")


@pytest.mark.parametrize(
    ("severity", "last"),
    [
        (Severity.WARNING, ["    j", "    and 3 more"]),
        (Severity.NOTE, ["    c", "    and 10 more"]),
    ],
)
def test_lines_show_some_examples_and_count_the_rest(severity: Severity, last: list[str]) -> None:
    found = CheckResult("", (), (Finding("k", severity, "text", tuple("abcdefghijklm")),))
    lines = list(found.lines())
    assert lines[0] == f"{severity}: text"
    assert lines[-2:] == last


def test_findings_are_ordered_by_severity_and_fit_into_json() -> None:
    facts = examined(CATS) | {
        ROOT / "cat/1.jpg": facts_of(2),
        ROOT / "dog/1.jpg": PictureFacts(0, 0, "", 0, "is empty"),
    }
    found = check_dataset(CATS, facts)
    assert [finding.severity for finding in found.findings] == ["warning", "note"]
    parsed = json.loads(json.dumps(found.as_dict()))
    assert parsed["fatal"] is False
    assert parsed["classes"][1]["unreadable"] == 1
    assert parsed["found"][0]["kind"] == "unreadable"
