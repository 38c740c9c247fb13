"""Files that are whole or not there, and time stamps."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from edge_classifier.errors import OutputError
from edge_classifier.files import (
    default_state_folder,
    name_stamp,
    own_name_beside,
    replacing,
    utc_stamp,
    write_whole,
)


def test_file_is_replaced_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt(), ValueError()])
def test_file_whose_block_fails_stays_as_it_was(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), replacing(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [True, False])
def test_content_is_flushed_to_the_medium_before_the_name_where_it_is_durable(
    tmp_path: Path, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: steps.append((tmp_path / "file").exists()))
    with replacing(tmp_path / "file", durable=durable) as file:
        file.write(b"x")
    # The content before the name, then the name.
    assert steps == ([False, True] if durable else [])


def test_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    with replacing(tmp_path / "secret", mode=0o600):
        pass
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a" * 255, "界" * 85])
def test_file_may_have_the_longest_name_there_is(tmp_path: Path, name: str) -> None:
    write_whole(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_text_is_written_as_utf_8_whatever_it_holds(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "ä\udc80")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa4?"


def test_file_that_cannot_be_written_is_an_output_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "none" / "file"
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_whole(path, b"")
    assert caught.value.subject == str(path)


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.0004, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
    ],
)
def test_utc_stamp_is_iso_8601_in_milliseconds(utc: float, expected: str) -> None:
    assert utc_stamp(utc) == expected


def test_name_stamp_is_in_microseconds_and_may_stand_in_a_name() -> None:
    assert name_stamp(1_785_063_402.123456) == "20260726T105642123456Z"


def test_a_service_without_a_home_keeps_its_files_where_systemd_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    for environment in (
        {"STATE_DIRECTORY": f"{tmp_path}:/other"},
        {"STATE_DIRECTORY": f"{tmp_path}"},
    ):
        assert default_state_folder("program", environment) == tmp_path
    assert default_state_folder("program", {"XDG_STATE_HOME": "/state"}) == Path("/state/program")
    with pytest.raises(OutputError, match="no home"):
        default_state_folder("program", {})


_WRITER = """
import sys
from pathlib import Path
from subprocess import PIPE
from edge_classifier.files import own_name_beside
with own_name_beside(Path(sys.argv[1])) as unfinished:
    print(unfinished, flush=True)
    sys.stdin.read()
"""


def test_own_name_beside_deletes_what_killed_writers_have_left_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a [1].tflite"
    # What earlier versions left, and what others have.
    (tmp_path / f".{path.name}.4711.unfinished").touch()
    others = [tmp_path / name for name in (".a [1].tflite.x.unfinished", ".b.tflite.7.unfinished")]
    for one in others:
        one.touch()
    with own_name_beside(path) as own:
        assert sorted(tmp_path.iterdir()) == sorted([*others, own])


def test_own_name_beside_leaves_those_of_writers_whose_process_it_cannot_see(
    tmp_path: Path,
) -> None:
    """As in two containers with one folder, where each has the numbers of processes for itself."""
    path = tmp_path / "a.tflite"
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as writer:
        assert writer.stdout
        theirs = Path(writer.stdout.readline().strip())
        assert theirs.exists()
        # The number of a process that there is not.
        hidden = theirs.rename(theirs.with_name(f".{path.name}.99999999.unfinished"))
        with own_name_beside(path) as own:
            assert hidden.exists()
            assert own != hidden
        writer.kill()
    with own_name_beside(path) as own:
        assert not hidden.exists()
