"""``edge-classify watch``: a camera in the terminal, without settings and without a broker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Cli
from tests.tiny import Tiny, build


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that names the brightest colour, surely enough to be published."""
    path = build(tmp_path / "tiny.tflite", Tiny())
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\n", "utf-8")
    return path


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A folder with a picture that is red."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "red.png")
    return folder


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A second of red, then a second of blue, as OpenCV writes it."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    for colour in [(0, 0, 255)] * 8 + [(255, 0, 0)] * 16:
        writer.write(np.full((48, 64, 3), colour, np.uint8))
    writer.release()
    return path


def only_notes(said: bytes) -> bool:
    """Whether nothing but what the tiny model leaves open was said."""
    return all(line.startswith(b"edge-classify: note: ") for line in said.splitlines())


def test_watch_a_folder_prints_a_line_a_change_and_ends_with_it(
    cli: Cli, red: Path, tiny: Path
) -> None:
    done = cli("watch", red, "--model", tiny)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    # It waits for its dwell time, comes, and stays: thirty frames, three lines.
    assert "red 0.99  published: nothing (dwell: red for 0.00 s, needs 0.50 s)" in lines[0]
    assert "published: red (changed: unknown -> red 0.99)" in lines[1]
    assert "published: red (unchanged: red 0.99)" in lines[2]
    assert len(lines) == 3
    assert only_notes(done.stderr)


def test_watch_a_video_as_json_tells_each_change_and_why(cli: Cli, film: Path, tiny: Path) -> None:
    done = cli("watch", film, "--model", tiny, "--json")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    events = [one["label"] for one in records if one["is_event"]]
    assert events == ["red", "blue"]
    first = records[0]
    assert first["reason"] == "dwell"
    assert first["label"] == "unknown"
    assert first["best"] == {"label": "red", "score": pytest.approx(0.996, abs=0.01)}
    assert set(first) >= {"at", "camera", "score", "path", "box", "why"}


def test_watch_ends_after_the_seconds_it_was_given(cli: Cli, film: Path, tiny: Path) -> None:
    done = cli("watch", film, "--model", tiny, "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert b"blue" not in done.stdout


def test_watch_ends_cleanly_on_an_interrupt(red: Path, tiny: Path) -> None:
    arguments = [str(red), "--model", str(tiny)]
    command = [sys.executable, "-m", "edge_classifier", "watch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stderr
        assert b"red" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
        assert only_notes(child.stderr.read())


def test_watch_on_a_terminal_rewrites_one_line_and_keeps_what_would_be_published(
    red: Path, tiny: Path
) -> None:
    watch = f"{sys.executable} -m edge_classifier watch {red} --model {tiny}"
    command = ["script", "-qec", f"stty cols 60 rows 20; {watch}", "/dev/null"]
    # As in a shell that says how wide another terminal is, and does not look again.
    surroundings = {**os.environ, "COLUMNS": "200", "SHELL": "/bin/sh"}
    done = subprocess.run(command, capture_output=True, timeout=120, check=True, env=surroundings)
    kept = [line.rsplit("\x1b[K", 1)[-1].strip() for line in done.stdout.decode().split("\n")]
    assert [line for line in kept if "unknown -> red 0.99" in line]
    # Thirty frames, and few lines: what was said first, the change, the last state, the end.
    assert len([line for line in kept if ": note: " not in line]) == 4
    # What ends with a line feed stays, and may be longer than the terminal is wide.
    rewritten = [text for text in done.stdout.decode().split("\x1b[K")[1:] if "\n" not in text]
    assert len(rewritten) > 10
    assert all(len(text.rstrip("\r")) < 60 for text in rewritten)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere.mp4",), 69, "nowhere.mp4: no such file"),
        (("gopher://host/",), 78, "is not a stream address"),
        (("rtsp://me:hunter2@127.0.0.1:9/x",), 69, "rtsp://***@127.0.0.1:9/***"),
        (("0", "--camera", "front"), 2, "give one of the two"),
        (("0", "--set", "mqtt.host=x"), 2, "Add --camera"),
    ],
)
def test_watch_what_cannot_be_watched_says_why_once(
    cli: Cli, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = cli("watch", *arguments)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.decode().splitlines()
    assert words in line
    assert "hunter2" not in line
    assert done.stdout == b""


def test_watch_a_camera_of_the_settings_takes_all_that_they_say(
    cli: Cli, red: Path, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[model]\nuse = "{tiny}"\n[decision]\ndwell_s = 0\n'
        f'[cameras.front]\nsource = "pictures:{red}"\ndecision.aliases = {{ red = "crimson" }}\n'
        '[cameras.back]\nsource = "0"\n',
        "utf-8",
    )
    done = cli("watch", "--config", file, "--camera", "front", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "published: crimson (changed: unknown -> crimson 0.99)" in done.stdout.decode()
    other = cli("watch", "--config", file, "--camera", "side")
    assert other.returncode == 2
    assert b"There are front, back." in other.stderr
