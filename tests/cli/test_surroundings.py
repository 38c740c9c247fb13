"""Odd file names, closed streams, full disks, no home, interrupts: one line and a stated code."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from PIL import Image

from edge_classifier import samples
from edge_classifier.cli.main import COMMANDS
from edge_classifier.modelfile.catalogue import cache_folder, load_catalogue
from tests.conftest import Cli
from tests.tiny import Tiny, build
from tests.waiting import eventually

COMMAND = f"{sys.executable} -m edge_classifier"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that names the brightest colour."""
    path = build(tmp_path / "tiny.tflite", Tiny())
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\n", "utf-8")
    return path


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A picture that is red, in a folder of its own."""
    path = tmp_path / "photos" / "red.png"
    path.parent.mkdir()
    Image.new("RGB", (40, 30), "red").save(path)
    return path


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, for redirections that only a shell can make."""
    env = {**os.environ, **environment}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=60, check=False, env=env
    )


@pytest.mark.parametrize("option", ["--annotate", "--contact-sheet"])
def test_a_target_that_is_a_classified_picture_is_refused_and_kept(
    cli: Cli, red: Path, tiny: Path, option: str
) -> None:
    before = red.read_bytes()
    done = cli("--image", red, option, red, "--model", tiny)
    assert done.returncode == 2
    assert b"would overwrite" in done.stderr
    assert red.read_bytes() == before


def test_annotating_a_folder_of_pictures_into_itself_is_refused(
    cli: Cli, red: Path, tiny: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30), "red").save(red.parent / name)
    done = cli("--image", red.parent, "--annotate", red.parent, "--model", tiny)
    assert done.returncode == 2
    assert b"would overwrite" in done.stderr


def test_two_drawings_with_one_name_are_refused(cli: Cli, red: Path, tiny: Path) -> None:
    out = red.with_name("out.png")
    done = cli("--image", red, "--annotate", out, "--contact-sheet", out, "--model", tiny)
    assert done.returncode == 2
    assert not out.exists()


@pytest.mark.parametrize("target", ["/proc/sheet.png", "/nowhere/sheet.png"])
def test_a_place_that_cannot_be_written_is_said_before_any_work(
    cli: Cli, red: Path, tiny: Path, target: str
) -> None:
    done = cli("--image", red, "--contact-sheet", target, "--model", tiny)
    assert done.returncode == 73
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert not Path("/nowhere").exists()


_TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([_TOO_LONG], 2),
        (["PICTURE", "--annotate", f"{_TOO_LONG}.png"], 73),
        (["data", "check", _TOO_LONG], 66),
        (["teach", _TOO_LONG, "--out", "a.tflite"], 66),
        (["teach", ".", "--out", f"{_TOO_LONG}/a.tflite"], 73),
        (["evaluate", "mobilenet-v2-int8", _TOO_LONG], 66),
        (["web", "--set", "state_folder=STATE", "restore", _TOO_LONG], 66),
        (["config", "init", "--output", "-", "--camera", f"/{_TOO_LONG}"], 0),
    ],
)
def test_a_name_that_no_file_can_have_is_no_bug_of_the_program(
    cli: Cli, red: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """What the system refuses to look at: a name that is too long, a folder that is not open."""
    state = f"state_folder={tmp_path / 'state'}"
    given = {"PICTURE": red, "state_folder=STATE": state}
    done = cli(*(given.get(word, word) for word in arguments))
    assert done.returncode == code, done.stderr
    assert b"internal error" not in done.stderr


def test_names_that_are_no_text_survive_every_output(cli: Cli, red: Path, tiny: Path) -> None:
    odd = os.fsdecode(os.fsencode(red.parent) + b"/bad\xff\x1b]0;title\x07\n.png")
    red.rename(odd)
    sheet = red.parent.parent / "sheet.png"
    for form in ("text", "json", "jsonl", "csv"):
        arguments = ("--model", tiny, "--format", form, "--contact-sheet", sheet)
        done = cli("--image", odd, *arguments)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
        done.stdout.decode("utf-8")
    text = cli("--image", odd, "--model", tiny).stdout
    assert len(text.splitlines()) == 1
    missing = cli("--image", odd + "x", "--model", tiny)
    assert b"\x1b" not in missing.stderr
    assert sheet.is_file()


def test_a_full_disk_under_standard_output_exits_73_with_one_line(red: Path) -> None:
    done = shell(f"{COMMAND} --image {red} > /dev/full")
    assert done.returncode == 73
    assert len(done.stderr.splitlines()) == 1
    assert b"No space left" in done.stderr


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("--image - <&-", 65)]
)
def test_closed_streams_are_no_bug(red: Path, tiny: Path, redirection: str, code: int) -> None:
    done = shell(f"{COMMAND} --image {red} --model {tiny} {redirection}")
    assert done.returncode == code, done.stderr
    assert b"internal error" not in done.stderr


def test_chinese_labels_on_an_ascii_terminal_are_escaped(red: Path) -> None:
    done = shell(f"{COMMAND} --image {red} --lang zh", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"\\u" in done.stdout


def test_a_user_without_home_has_folders_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    assert load_catalogue().pulled_folder == Path("/var/lib/edge-classifier/models")
    assert cache_folder() == Path("/var/cache/edge-classifier")


def unread(pipe: int) -> int:
    """Bytes that nobody has taken out yet."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


@pytest.mark.parametrize("reference", ["-", "pipe.jpg"])
def test_an_interrupt_ends_a_read_that_never_comes(
    tmp_path: Path, tiny: Path, reference: str
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with subprocess.Popen(
        [sys.executable, "-m", "edge_classifier", "--image", reference, "--model", str(tiny)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as child:
        assert child.stdin
        assert child.stderr
        # Opened when the other side has opened it, too.
        with child.stdin if reference == "-" else (tmp_path / "pipe.jpg").open("wb") as writer:
            writer.write(b"\xff")
            writer.flush()
            # It is in the midst of its read when the first byte is gone.
            eventually(lambda: not unread(writer.fileno()), 60)
            child.send_signal(signal.SIGINT)
            assert child.wait(60) == 130
        error = child.stderr.read()
    assert b"interrupted" in error
    assert b"Fatal" not in error


def test_a_narrow_terminal_keeps_the_scores(red: Path, tiny: Path) -> None:
    for width in (40, 60, 100):
        command = f"stty cols {width} rows 30; {COMMAND} --image {red} --model {tiny}"
        done = shell(f"script -qec '{command}' /dev/null", COLUMNS=str(width), TERM="xterm")
        assert b"0.996" in done.stdout, done.stdout


def test_a_language_that_the_model_has_not_is_said(cli: Cli) -> None:
    done = cli("--image", samples.CAT, "--lang", "fr")
    assert done.returncode == 0
    assert b"no names for --lang fr, only for en, zh" in done.stderr
    assert cli("--image", samples.CAT, "--lang", "ZH-cn").stderr == b""


def test_a_word_that_is_no_command_is_answered_with_the_nearest_or_with_what_there_is(
    cli: Cli,
) -> None:
    for arguments, words in (
        (("model", "list"), b"model: no such command, and no such file. Did you mean models?"),
        (("trian", "data/"), b"Did you mean train?"),
        (("help",), f"There are {', '.join(COMMANDS)}".encode()),
    ):
        done = cli(*arguments)
        assert done.returncode == 2
        assert words in done.stderr


def test_without_an_argument_a_short_map_names_every_command(cli: Cli) -> None:
    done = cli()
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    for name in COMMANDS:
        assert sum(line.startswith(f"  edge-classify {name} ") for line in lines) == 1
    assert max(map(len, lines)) <= 80


def test_pictures_need_no_option_and_may_stand_anywhere(
    cli: Cli, red: Path, tiny: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(red.read_bytes())
    model = ("--model", tiny, "--top-k", "1")
    expected = f"{red}\tred 0.996\n{other}\tred 0.996\n".encode()
    assert cli(red, other, *model).stdout == expected
    assert cli(red, *model, other).stdout == expected
    assert cli(*model, red, other).stdout == expected
    assert cli(red, *model, "--image", other).stdout == expected
    assert cli(red.parent / "*.png", *model).returncode == 0


def test_a_picture_that_is_not_there_is_not_taken_for_a_command(cli: Cli) -> None:
    done = cli("dog.jpg")
    assert done.returncode == 66
    assert b"dog.jpg: no such file or folder" in done.stderr


def test_options_without_a_picture_say_that_one_is_missing(cli: Cli) -> None:
    done = cli("--top-k", "2")
    assert done.returncode == 2
    assert b"pictures: none is named. For example: edge-classify cat.jpg" in done.stderr


def test_hidden_pictures_in_a_folder_are_left_out(cli: Cli, red: Path, tiny: Path) -> None:
    (red.parent / "._red.png").write_bytes(b"a resource fork")
    hidden = red.parent / ".thumbnails"
    hidden.mkdir()
    (hidden / "red.png").write_bytes(red.read_bytes())
    done = cli("--image", red.parent, "--model", tiny)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1


def test_a_catalogue_that_is_none_is_a_configuration_error(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"\xff\xd8\xff", b"default = 1\nmodel = [1]", b"model = 3"):
        file = tmp_path / "catalogue.toml"
        file.write_bytes(content)
        monkeypatch.setenv("EDGE_CLASSIFIER_CATALOGUE", str(file))
        done = cli("models", "list")
        assert done.returncode == 78, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_exit_code_is_of_the_first_failure_even_if_a_drawing_fails_later(
    cli: Cli, red: Path, tiny: Path
) -> None:
    """The tall picture is one that no JPEG can hold; it comes after one that is no picture."""
    (red.parent / "a.jpg").write_bytes(b"no picture")
    Image.new("L", (1, 65_510)).save(red.parent / "tall.png")
    out = red.parent.parent / "out"
    done = cli("--image", red.parent, "--annotate", out, "--model", tiny)
    assert done.returncode == 65
    assert b"cannot be stored as .jpg" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["red.jpg"]
    (red.parent / "a.jpg").unlink()
    assert cli("--image", red.parent, "--annotate", out, "--model", tiny).returncode == 73


def test_a_pulled_model_that_was_changed_is_said(
    cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(e.file for e in load_catalogue().entries if e.name == "mobilenet-v2")
    folder = tiny.parent / "pulled"
    folder.mkdir()
    (folder / name).write_bytes(tiny.read_bytes())
    monkeypatch.setenv("EDGE_CLASSIFIER_MODELS", str(folder))
    done = cli("--image", samples.CAT, "--model", "mobilenet-v2")
    assert done.returncode == 0
    assert b"not the file that the catalogue promises" in done.stderr
