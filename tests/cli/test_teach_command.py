"""``edge-classify teach`` as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_classifier.errors import ExitCode
from tests import smalldisk
from tests.conftest import Cli
from tests.teach.lessons import COLOURS, fill, lesson, tiny_model


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_lesson_is_written_told_and_taken_by_the_other_commands(cli: Cli, tmp_path: Path) -> None:
    folder, out = lesson(tmp_path / "colours", 12), tmp_path / "colours.tflite"
    base = tiny_model(tmp_path)
    report = tmp_path / "report"
    done = cli("teach", folder, "--base", base, "--out", out, "--report", report)
    assert done.returncode == ExitCode.OK, done.stderr
    said = done.stdout.decode()
    assert "of 36 pictures that it had not seen" in said
    assert f"wrote {out}" in said
    facts = json.loads((report / "report.json").read_text("utf-8"))
    assert facts["accuracy"]["top1"]["count"] == 36
    assert cli("models", "info", out).returncode == ExitCode.OK
    measured = cli("evaluate", out, folder)
    assert measured.returncode == ExitCode.OK, measured.stderr
    picture = fill(tmp_path / "new", COLOURS["red"], 1, first=5) / "5.png"
    assert b"red" in cli("--model", out, "--image", picture, "--top-k", "1").stdout


def test_json_has_the_figures_of_a_report_and_what_to_do(cli: Cli, tmp_path: Path) -> None:
    folder, base = lesson(tmp_path / "colours", 4), tiny_model(tmp_path)
    done = cli("teach", folder, "--base", base, "--out", tmp_path / "a.tflite", "--json")
    facts = json.loads(done.stdout)
    assert facts["accuracy"]["top1"]["count"] == 12
    assert facts["teach"]["base"] == "tiny"
    assert [one["pictures"] for one in facts["teach"]["want_more"]] == [4, 4, 4]


def test_progress_is_told_to_programs_a_line_a_step(cli: Cli, tmp_path: Path) -> None:
    folder, base = lesson(tmp_path / "colours", 4), tiny_model(tmp_path)
    places = ("--out", tmp_path / "a.tflite", "--features", tmp_path / "kept")
    done = cli("teach", folder, "--base", base, *places, "--progress-json")
    told = [json.loads(one) for one in done.stderr.decode().splitlines() if one.startswith("{")]
    assert {"stage": "pictures", "done": 12, "of": 12} in told
    assert {"stage": "learning", "done": 33, "of": 33} in told
    assert told[-1] == {"stage": "writing", "done": 0, "of": 1}
    assert len(list((tmp_path / "kept").glob("*/*/*.features"))) == 12


def test_what_is_found_in_the_pictures_is_told_once_by_its_weight(cli: Cli, tmp_path: Path) -> None:
    folder, base = lesson(tmp_path / "colours", 4), tiny_model(tmp_path)
    shutil.copy(folder / "red" / "0.png", folder / "red" / "again.png")
    done = cli("teach", folder, "--base", base, "--out", tmp_path / "a.tflite")
    assert done.returncode == ExitCode.OK, done.stderr
    told = [line for line in done.stderr.decode().splitlines() if "again.png" not in line]
    found = [line for line in told if "warning:" in line or "note:" in line]
    assert found
    assert all(
        line.startswith(("edge-classify: warning: ", "edge-classify: note: "))
        and line.count("note:") + line.count("warning:") == 1
        for line in found
    )


def test_state_without_a_third_answer_has_no_unknown(cli: Cli, tmp_path: Path) -> None:
    folder, out = lesson(tmp_path / "door", 6, ("red", "green")), tmp_path / "door.tflite"
    done = cli("teach", folder, "--no-unknown", "--out", out, "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    facts = json.loads(done.stdout)
    assert facts["data"]["labels"] == 2
    assert facts["teach"]["unknown"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--out", "model.bin"], ExitCode.USAGE, "does not end in .tflite"),
        (["--out", "nowhere/a.tflite"], ExitCode.CANNOT_WRITE, "nowhere: no such folder"),
        (["--out", "a.tflite", "--no-unknown", "--other", "."], ExitCode.USAGE, "no class for"),
        (["--out", "a.tflite", "--base", "none"], ExitCode.MISSING_FILE, "no such model"),
    ],
)
def test_what_cannot_be_done_is_told_first(
    arguments: list[str], code: ExitCode, words: str, cli: Cli, tmp_path: Path
) -> None:
    done = cli("teach", lesson(tmp_path / "colours", 2), *arguments)
    assert done.returncode == code
    assert words in done.stderr.decode()


def test_one_class_alone_is_refused(cli: Cli, tmp_path: Path) -> None:
    done = cli("teach", lesson(tmp_path / "colours", 3, ("red",)), "--out", tmp_path / "a.tflite")
    assert done.returncode == ExitCode.BAD_DATA
    assert b"two are needed to tell them apart" in done.stderr


def test_full_disk_is_told_and_leaves_the_old_file(cli: Cli, tmp_path: Path) -> None:
    folder, base = lesson(tmp_path / "colours", 4), tiny_model(tmp_path)
    with smalldisk.tmpfs(tmp_path / "disk", "1m") as disk:
        out = disk / "a.tflite"
        out.write_bytes(b"old")
        smalldisk.fill(disk)
        done = cli("teach", folder, "--base", base, "--out", out)
        assert done.returncode == ExitCode.CANNOT_WRITE
        assert b"cannot be written (No space left on device)" in done.stderr
        assert out.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("ending", "code"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, ExitCode.INTERRUPTED)],
)
def test_lesson_that_is_ended_leaves_nothing_and_the_next_one_succeeds(
    ending: signal.Signals, code: int, cli: Cli, tmp_path: Path
) -> None:
    """Ended when the first features are kept; the rest takes a good deal longer."""
    folder, out = lesson(tmp_path / "colours", 60), tmp_path / "out" / "a.tflite"
    out.parent.mkdir()
    arguments = ["teach", str(folder), "--out", str(out)]
    command = [sys.executable, "-m", "edge_classifier", *arguments]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    kept = tmp_path / "state" / "edge-classifier" / "features"
    end = time.monotonic() + 60
    while not list(kept.glob("*/*/*.features")) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(child.pid, ending)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert ending is signal.SIGKILL or b"interrupted" in said
    assert list(out.parent.iterdir()) == []
    assert cli(*arguments).returncode == ExitCode.OK
    assert [path.name for path in out.parent.iterdir()] == ["a.tflite"]


NO_SCHEMA = """
import sys
sys.modules["ai_edge_litert.schema_py_generated"] = None
from edge_classifier.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_runtime_without_the_schema_gets_a_clear_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NO_SCHEMA, "teach", str(tmp_path), "--out", "a.tflite"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == ExitCode.UNAVAILABLE
    assert b"it comes with ai-edge-litert, which there is for 64-bit systems only" in done.stderr
