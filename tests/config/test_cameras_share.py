"""Cameras that take the frames of another one, and models of their own: what cannot be is told."""

from pathlib import Path

import pytest

from edge_classifier.config.load import examine
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport, SettingsSources


def read(folder: Path, **cameras: str) -> SettingsReport[Settings]:
    """Cameras by name, each with the lines of its table."""
    file = folder / "config.toml"
    tables = [f"[cameras.{name}]\n{lines}\n" for name, lines in cameras.items()]
    file.write_text("".join(tables), "utf-8")
    return examine(SettingsSources(file))


def problems(report: SettingsReport[Settings]) -> dict[str, str]:
    return {problem.key: problem.text for problem in report.problems}


FRONT = 'source = "0"'


def test_camera_takes_the_frames_of_another_and_has_a_model_of_its_own(tmp_path: Path) -> None:
    gate = 'source = "camera:front"\nmodel = "gate"\nrate_fps = 1\nlook = "whole"'
    report = read(tmp_path, front=FRONT, gate=gate)
    settings = report.require()
    assert (settings.cameras["gate"].model, settings.cameras["front"].model) == ("gate", "")
    assert not report.warnings


@pytest.mark.parametrize(
    ("cameras", "wrong"),
    [
        (
            {"gate": 'source = "camera:gate"', "front": FRONT},
            {"gate": "a camera cannot take its own frames; there are front"},
        ),
        (
            {"gate": 'source = "camera:frnt"', "front": FRONT},
            {"gate": "there is no camera frnt; there are front"},
        ),
        (
            {"gate": 'source = "camera:"', "front": FRONT},
            {"gate": "there is no camera without a name; there are front"},
        ),
        (
            {"a": 'source = "camera:b"', "b": 'source = "camera:c"', "c": 'source = "camera:a"'},
            {
                "a": "a ring: a from b from c from a; one of them needs a device of its own",
                "b": "a ring: b from c from a from b; one of them needs a device of its own",
                "c": "a ring: c from a from b from c; one of them needs a device of its own",
            },
        ),
        (
            {"a": 'source = "camera:b"', "b": 'source = "camera:front"', "front": FRONT},
            {"a": "b takes the frames of another camera itself; write camera:front"},
        ),
    ],
)
def test_camera_that_can_get_no_frames_from_another_is_refused_with_the_reason(
    tmp_path: Path, cameras: dict[str, str], wrong: dict[str, str]
) -> None:
    report = read(tmp_path, **cameras)
    assert problems(report) == {f"cameras.{name}.source": text for name, text in wrong.items()}


def test_camera_that_takes_frames_is_told_which_of_its_settings_do_nothing(tmp_path: Path) -> None:
    gate = 'source = "camera:front"\nrotate = 180\nwidth = 640\nrate_fps = 2'
    report = read(tmp_path, front=FRONT, gate=gate)
    assert {warning.key: warning.text for warning in report.warnings} == {
        "cameras.gate.rotate": "does nothing: the frames are those of front",
        "cameras.gate.width": "does nothing: the frames are those of front",
    }
