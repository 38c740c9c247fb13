"""The capture store on a real disk: within its bounds, and right again after whatever happens."""

import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from edge_classifier.daemon import picture_files
from edge_classifier.daemon.picture_files import INDEX, PictureFiles, clear, picture_name
from edge_classifier.files import utc_stamp

BEGIN = 1_760_000_000.0


def jpeg(size: int) -> bytes:
    """What passes for one of ``size`` bytes."""
    return b"\xff\xd8" + b"x" * (size - 4) + b"\xff\xd9"


def add(
    files: PictureFiles, number: int, size: int = 1000, pictures: int = 10, most: int = 10**6
) -> str:
    name = picture_name("door", BEGIN + number, number)
    facts = {"camera": "door", "why": "changed", "number": number}
    files.add(name, jpeg(size), facts, max_pictures=pictures, max_bytes=most)
    return name


def on_disk(folder: Path) -> dict[str, int]:
    """Every picture, with its bytes."""
    return {f"{path.parent.name}/{path.name}": path.stat().st_size for path in folder.glob("*/*")}


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / INDEX).read_text("utf-8").splitlines()]


def check(files: PictureFiles, folder: Path) -> None:
    """What is counted, what is told and what is there are the same."""
    there = on_disk(folder)
    assert (files.pictures, files.bytes) == (len(there), sum(there.values()))
    told = {str(line["file"]): line["bytes"] for line in lines(folder)}
    assert there.items() <= told.items()
    assert len(lines(folder)) <= 2 * len(there) + 2
    assert len(list(files.hashes())) == len(there)


def test_picture_files_describe_a_picture_in_one_line(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path / "store")
    files.add(
        picture_name("door", BEGIN + 0.123456, 0xABC),
        jpeg(1000),
        {"camera": "door", "label": "猫", "top": [["猫", 0.9]]},
        max_pictures=5,
        max_bytes=10**6,
    )
    name = "door/20251009T085320123456Z-0000000000000abc.jpg"
    assert (tmp_path / "store" / name).read_bytes() == jpeg(1000)
    assert lines(tmp_path / "store") == [
        {"file": name, "camera": "door", "label": "猫", "top": [["猫", 0.9]], "bytes": 1000}
    ]
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_picture_files_with_too_many_pictures_loses_the_oldest(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number, pictures=3) for number in range(8)]
    assert sorted(on_disk(tmp_path)) == names[-3:]
    check(files, tmp_path)


def test_picture_files_with_too_many_bytes_loses_as_many_of_the_oldest_as_it_takes(
    tmp_path: Path,
) -> None:
    files = PictureFiles(tmp_path)
    for number in range(5):
        add(files, number, size=1000, most=5000)
    last = add(files, 5, size=3500, most=5000)
    assert sorted(on_disk(tmp_path)) == [picture_name("door", BEGIN + 4, 4), last]
    check(files, tmp_path)


def test_picture_files_reopened_goes_on_where_it_was(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number, pictures=4) for number in range(6)]
    again = PictureFiles(tmp_path)
    assert [bits for _, bits in again.hashes()] == [2, 3, 4, 5]
    names.append(add(again, 6, pictures=4))
    assert sorted(on_disk(tmp_path)) == names[-4:]
    check(again, tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_picture_files_of_any_history_stays_within_its_bounds(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (a history, no secret)
    files = PictureFiles(tmp_path)
    for number in range(150):
        pictures, most = chance.choice([(5, 10**6), (50, 20_000), (3, 6000)])
        name = add(files, number, chance.randint(100, 5000), pictures, most)
        assert name in on_disk(tmp_path)
        assert (files.pictures <= pictures, files.bytes <= most) == (True, True)
        if chance.random() < 0.05:
            files = PictureFiles(tmp_path)
        check(files, tmp_path)


def test_picture_files_after_many_pictures_has_a_short_index(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    for number in range(500):
        add(files, number, size=100, pictures=5)
    assert (tmp_path / INDEX).stat().st_size < 3 * 5 * 200


def test_picture_files_takes_up_a_picture_without_a_line(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number) for number in range(3)]
    kept = (tmp_path / INDEX).read_text("utf-8").splitlines(keepends=True)
    (tmp_path / INDEX).write_text("".join(kept[:2]), "utf-8")
    again = PictureFiles(tmp_path)
    check(again, tmp_path)
    assert lines(tmp_path)[2] == {
        "file": names[2], "camera": "door", "why": "", "ts": utc_stamp(BEGIN + 2),
        "hash": "0000000000000002", "bytes": 1000,
    }  # fmt: skip


def test_picture_files_forgets_a_line_without_its_picture(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number) for number in range(3)]
    (tmp_path / names[1]).unlink()
    again = PictureFiles(tmp_path)
    check(again, tmp_path)
    assert [line["file"] for line in lines(tmp_path)] == [names[0], names[2]]


def test_picture_files_without_its_index_makes_another_in_order_of_time(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number) for number in range(4)]
    (tmp_path / INDEX).unlink()
    check(PictureFiles(tmp_path), tmp_path)
    assert [line["file"] for line in lines(tmp_path)] == names


@pytest.mark.parametrize(
    "line",
    [
        '{"file": "door/2025', "", "[1, 2]", "null", "{}", '{"file": ["a"], "bytes": 1}',
        '{"file": "door/x.jpg"}', '{"file": "../../etc/passwd", "bytes": 9}', "\x00\x00\x00",
    ],
)  # fmt: skip
def test_picture_files_drops_a_line_that_is_none_of_its_own(tmp_path: Path, line: str) -> None:
    files = PictureFiles(tmp_path)
    add(files, 0)
    with (tmp_path / INDEX).open("a") as index:
        index.write(f"{line}\n")
    again = PictureFiles(tmp_path)
    add(again, 1)
    check(again, tmp_path)
    assert [line["number"] for line in lines(tmp_path)] == [0, 1]


@pytest.mark.parametrize("cut", [1, 20])
def test_picture_files_goes_on_after_a_line_that_was_cut_off(tmp_path: Path, cut: int) -> None:
    files = PictureFiles(tmp_path)
    names = [add(files, number) for number in range(2)]
    whole = (tmp_path / INDEX).read_bytes()
    (tmp_path / INDEX).write_bytes(whole[:-cut])
    again = PictureFiles(tmp_path)
    names.append(add(again, 2))
    check(again, tmp_path)
    assert [line["file"] for line in lines(tmp_path)] == names


@pytest.mark.parametrize("left", [b"", b"\xff\xd8xxx", bytes(1000)])
def test_picture_files_removes_a_picture_that_a_power_cut_left_damaged(
    tmp_path: Path, left: bytes
) -> None:
    files = PictureFiles(tmp_path)
    add(files, 0)
    damaged = tmp_path / add(files, 1)
    damaged.write_bytes(left)
    if len(left) == 1000:
        # Of the right length, it can only be told where no line vouches for it.
        (tmp_path / INDEX).unlink()
    again = PictureFiles(tmp_path)
    assert again.pictures == 1
    assert not damaged.exists()
    check(again, tmp_path)


def test_picture_files_removes_unfinished_files_and_leaves_those_of_others(tmp_path: Path) -> None:
    name = add(PictureFiles(tmp_path), 0)
    unfinished = (tmp_path / name).with_suffix(".part")
    others = [tmp_path / "door" / "mine.jpg", tmp_path / "door" / "mine.part", tmp_path / "a.txt"]
    for path in (unfinished, *others):
        path.write_bytes(b"x")
    files = PictureFiles(tmp_path)
    assert (files.pictures, unfinished.exists()) == (1, False)
    assert clear(tmp_path) == 1
    assert all(path.exists() for path in others)


def test_picture_files_cleared_is_empty_and_can_be_filled_again(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    for number in range(5):
        add(files, number)
    assert clear(tmp_path) == 5
    assert (on_disk(tmp_path), (tmp_path / INDEX).exists()) == ({}, False)
    assert clear(tmp_path) == 0
    again = PictureFiles(tmp_path)
    add(again, 9)
    check(again, tmp_path)


def test_picture_files_whose_picture_was_deleted_by_hand_goes_on(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    (tmp_path / add(files, 0, pictures=2)).unlink()
    for number in range(1, 4):
        add(files, number, pictures=2)
    check(files, tmp_path)


WRITER = """
import sys
from pathlib import Path
from tests.daemon.test_picture_files import add
from edge_classifier.daemon.picture_files import PictureFiles
files, number = PictureFiles(Path(sys.argv[1])), int(sys.argv[2])
while True:
    add(files, number, 3000, 20)
    number += 1
    if number % 1000 == 40:
        print("the ring has turned", flush=True)
"""


def test_picture_files_of_a_process_that_was_killed_is_mended(tmp_path: Path) -> None:
    for attempt in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(attempt * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            said = writer.stdout.readline()
            writer.kill()
        assert said == b"the ring has turned\n"
        files = PictureFiles(tmp_path)
        check(files, tmp_path)
        assert 19 <= files.pictures <= 21


def test_picture_files_with_two_lines_of_one_picture_counts_it_once(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    for number in range(3):
        add(files, number)
    text = (tmp_path / INDEX).read_text("utf-8")
    (tmp_path / INDEX).write_text(text + text)
    check(PictureFiles(tmp_path), tmp_path)
    assert (tmp_path / INDEX).read_text("utf-8") == text


def test_picture_files_with_a_picture_that_cannot_be_read_keeps_the_others(tmp_path: Path) -> None:
    """A folder in its place stands for it: root may read every file."""
    files = PictureFiles(tmp_path)
    add(files, 1)
    (tmp_path / picture_name("door", BEGIN, 0)).mkdir()
    again = PictureFiles(tmp_path)
    assert again.pictures == 1
    add(again, 2)
    assert [line["number"] for line in lines(tmp_path)] == [1, 2]


def test_picture_files_takes_up_in_order_more_pictures_than_it_looks_at_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "_AT_ONCE", 4)
    files = PictureFiles(tmp_path)
    for number in range(23):
        add(files, number, pictures=100)
    told = lines(tmp_path)
    (tmp_path / INDEX).write_text("".join(json.dumps(line) + "\n" for line in told[::2]))
    again = PictureFiles(tmp_path)
    check(again, tmp_path)
    assert [bits for _, bits in again.hashes()] == [*range(0, 23, 2), *range(1, 23, 2)]
    (tmp_path / INDEX).unlink()
    assert [bits for _, bits in PictureFiles(tmp_path).hashes()] == list(range(23))


def test_picture_files_needs_little_memory_for_each_picture_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million may lie there, on a machine with 512 MB."""
    monkeypatch.setattr(picture_files, "_AT_ONCE", 100)

    def peak(pictures: int) -> tuple[int, int]:
        """Bytes while a folder of so many is opened, and while it is cleared."""
        folder = tmp_path / str(pictures)
        (folder / "door").mkdir(parents=True)
        with (folder / INDEX).open("w", encoding="utf-8") as index:
            for number in range(pictures):
                name = picture_name("door", BEGIN + number, number)
                (folder / name).write_bytes(jpeg(10))
                facts = {"file": name, "camera": "door", "why": "changed", "bytes": 10}
                index.write(json.dumps(facts) + "\n")
        found = []
        for work in (PictureFiles, clear):
            tracemalloc.start()
            try:
                work(folder)
                found.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
        opened, cleared = found
        return opened, cleared

    (few_opened, few_cleared), (many_opened, many_cleared) = peak(1_000), peak(9_000)
    assert (many_opened - few_opened) / 8_000 < 40
    assert (many_cleared - few_cleared) / 8_000 < 10
