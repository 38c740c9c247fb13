"""``edge-classify run --explain``: what became of frames, without a line for each."""

from functools import partial
from pathlib import Path

import pytest

from edge_classifier.cli.run import Explanations
from tests.daemon.parts import PipelineBench, colour_model


def test_frames_alike_share_a_line_and_no_change_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = PipelineBench(colour_model(tmp_path / "rgb.tflite"))
    explanations = Explanations()
    bench.on_result = partial(explanations, bench.pipeline)
    for colour in ("red", "blue"):
        for _ in range(51):
            bench.see(colour, 0.5)
    lines = capsys.readouterr().out.splitlines()
    changes = [line for line in lines if "->" in line]
    assert "unknown -> red" in changes[0]
    assert any("red -> blue" in line for line in changes)
    assert len(lines) < 15
    # Of every frame but the newest ones something is said: alone, or in a number.
    numbers = [int(line.rpartition("(")[2].split()[0]) if "alike" in line else 1 for line in lines]
    assert 82 <= sum(numbers) <= 102


def test_frames_of_one_camera_do_not_hide_those_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = colour_model(tmp_path / "rgb.tflite")
    explanations = Explanations()
    for name in ("door", "yard"):
        bench = PipelineBench(model, name=name)
        bench.on_result = partial(explanations, bench.pipeline)
        bench.see("red")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["door", "yard"]
