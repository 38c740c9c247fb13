"""The capture store as a thread: what it keeps, what it refuses, and a disk that is full."""

import json
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edge_classifier.config.settings import StoreSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import CameraState, Ranked
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.picture_files import INDEX
from edge_classifier.daemon.store import CaptureStore, Why
from tests.waiting import eventually

BEGIN = 1_760_000_000.0
ON = StoreSettings(enabled=True)


@dataclass
class HandClock:
    """Goes when it is told to."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Frame:
    """A picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Frame(np.asarray(cv2.resize(coarse, size), np.uint8))


def state(camera: str = "door", label: str = "cat") -> CameraState:
    return CameraState(
        camera=camera,
        label=label,
        score=0.55,
        margin=0.1,
        top=(Ranked(label, 0.55),),
        since=BEGIN,
        at=BEGIN,
        seq=1,
        model="m",
        enabled=True,
        threshold=0.6,
    )


def offer(
    store: CaptureStore, seed: int, why: Why = "changed", camera: str = "door", label: str = "cat"
) -> None:
    """Hand over a scene and wait until it has been dealt with."""
    offer_frame(store, scene(seed), why, state(camera, label))


def offer_frame(
    store: CaptureStore, frame: Frame, why: Why = "changed", shown: CameraState | None = None
) -> None:
    """Likewise."""
    before = dealt_with(store)
    assert store.offer(shown or state(), why, frame, BEGIN + before)
    eventually(lambda: dealt_with(store) == before + 1)


def dealt_with(store: CaptureStore) -> int:
    status = store.status
    return status.kept + status.duplicates + status.failed


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.jpg"))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / INDEX).read_text("utf-8").splitlines()]


@contextmanager
def running(
    settings: StoreSettings, folder: Path, clock: HandClock | None = None
) -> Iterator[CaptureStore]:
    store = CaptureStore(settings, folder, clock=clock or HandClock())
    store.start()
    yield store
    assert store.stop(20)


def test_store_keeps_a_picture_and_describes_it(tmp_path: Path) -> None:
    pixels = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    facts = {"label": "cat", "score": 0.55, "margin": 0.1, "top": [["cat", 0.55]], "model": "m"}
    with running(ON, tmp_path) as store:
        assert store.offer(state(), "changed", Frame(pixels, ColourOrder.BGR), BEGIN)
        eventually(lambda: store.status.kept)
    (path,) = pictures(tmp_path)
    (line,) = lines(tmp_path)
    seen = cv2.imread(str(path))
    assert seen is not None
    assert seen.shape == (48, 64, 3)
    assert seen[20, 20, 0] > 245
    assert line == {
        "file": f"door/{path.name}", "camera": "door", "why": "changed",
        "ts": "2025-10-09T08:53:20.000Z", **facts, "box": None, "width": 64, "height": 48,
        "hash": path.stem.rpartition("-")[2], "bytes": path.stat().st_size,
    }  # fmt: skip


def test_store_drops_what_looks_like_a_kept_picture(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        for seed in (1, 2, 1, 2, 3):
            offer(store, seed)
        assert (store.status.kept, store.status.duplicates) == (3, 2)
    assert len(pictures(tmp_path)) == 3


def test_store_compares_with_pictures_of_the_same_camera_only(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        offer(store, 1, camera="door")
        offer(store, 1, camera="yard")
        assert store.status.kept == 2
    assert [line["camera"] for line in lines(tmp_path)] == ["door", "yard"]


def test_store_keeps_a_requested_picture_even_if_it_looks_the_same(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        offer(store, 1)
        offer(store, 1, why="requested")
        assert store.status.kept == 2


def test_store_started_again_remembers_what_its_pictures_look_like(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        offer(store, 1)
    with running(ON, tmp_path) as store:
        eventually(lambda: store.status.pictures == 1)
        offer(store, 1)
        assert (store.status.kept, store.status.duplicates) == (0, 1)


def test_store_stays_within_its_bounds(tmp_path: Path) -> None:
    with running(StoreSettings(enabled=True, max_pictures=4), tmp_path) as store:
        for seed in range(7):
            offer(store, seed, label=str(seed))
        status = store.status
    assert (status.pictures, status.kept) == (4, 7)
    assert status.bytes == sum(path.stat().st_size for path in pictures(tmp_path))
    assert [line["label"] for line in lines(tmp_path)][-4:] == ["3", "4", "5", "6"]


def test_store_takes_tighter_bounds_while_it_runs(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        for seed in range(5):
            offer(store, seed)
        store.configure(StoreSettings(enabled=True, max_pictures=2))
        offer(store, 5)
        assert store.status.pictures == len(pictures(tmp_path)) == 2


def test_store_makes_a_picture_that_is_too_large_fit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    with running(StoreSettings(enabled=True, max_bytes=1_000_000), tmp_path) as store:
        assert store.offer(state(), "requested", Frame(pixels), BEGIN)
        eventually(lambda: store.status.kept)
        assert 100_000 < store.status.bytes <= 1_000_000


def test_store_that_is_off_takes_nothing_and_makes_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with running(StoreSettings(), folder) as store:
        assert not store.is_uncertain("door", 0.5)
        assert not store.offer(state(), "requested", scene(1), BEGIN)
        store.configure(ON)
        assert not folder.exists()
        offer(store, 1)
    assert len(pictures(folder)) == 1


def test_store_takes_only_the_reasons_it_is_set_to(tmp_path: Path) -> None:
    with running(StoreSettings(enabled=True, changed=False, uncertain=False), tmp_path) as store:
        assert not store.offer(state(), "changed", scene(1), BEGIN)
        assert not store.is_uncertain("door", 0.5)
        offer(store, 2, why="requested")
        assert store.status.kept == 1


@pytest.mark.parametrize(
    ("score", "uncertain"), [(0.29, False), (0.3, True), (0.5, True), (0.7, True), (0.71, False)]
)
def test_store_finds_scores_between_its_bounds_uncertain(
    tmp_path: Path, score: float, uncertain: bool
) -> None:
    assert CaptureStore(ON, tmp_path).is_uncertain("door", score) is uncertain


def test_store_takes_uncertain_pictures_of_a_camera_at_its_pace(tmp_path: Path) -> None:
    clock = HandClock()
    with running(ON, tmp_path, clock) as store:
        offer(store, 1, why="uncertain")
        assert not store.is_uncertain("door", 0.5)
        assert store.is_uncertain("yard", 0.5)
        offer(store, 2, why="changed")
        clock.now_s += 4.9
        assert not store.is_uncertain("door", 0.5)
        clock.now_s += 0.1
        assert store.is_uncertain("door", 0.5)


def test_store_with_a_slow_disk_drops_and_counts(tmp_path: Path) -> None:
    # Reading this index waits until somebody writes it: a disk that hangs.
    os.mkfifo(tmp_path / INDEX)
    with running(ON, tmp_path) as store:
        taken = [store.offer(state(), "changed", scene(n), BEGIN + n) for n in range(10)]
        assert taken == 2 * [True] + 8 * [False]
        assert store.status.dropped == 8
        assert not store.stop(0.1)
        (tmp_path / INDEX).open("wb").close()
        assert store.stop(20)
        assert store.status.kept == 2


def test_store_that_is_stopped_keeps_what_is_waiting(tmp_path: Path) -> None:
    store = CaptureStore(ON, tmp_path)
    for seed in (1, 2):
        assert store.offer(state(), "changed", scene(seed), BEGIN + seed)
    store.start()
    assert store.stop(20)
    assert len(pictures(tmp_path)) == 2


def test_store_cleared_forgets_everything(tmp_path: Path) -> None:
    with running(ON, tmp_path) as store:
        offer(store, 1)
        store.clear()
        eventually(lambda: store.status.pictures == 0)
        assert pictures(tmp_path) == []
        offer(store, 1)
        assert store.status.kept == 2
    assert len(lines(tmp_path)) == 1


def test_store_given_facts_that_are_no_json_loses_that_picture_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    with running(ON, tmp_path, clock) as store:
        offer_frame(store, scene(1), shown=replace(state(), model=cast("str", object())))
        assert (store.status.failed, pictures(tmp_path)) == (1, [])
        clock.now_s += 10
        offer(store, 2)
        assert store.status.kept == 1
    assert "Traceback" in caplog.text


def test_store_without_its_folder_says_so_once_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock, folder = HandClock(), tmp_path / "store"
    folder.write_text("in the way")
    with running(ON, folder, clock) as store:
        for seed in range(5):
            offer(store, seed)
            clock.now_s += 7
        assert (store.status.kept, store.status.failed) == (0, 5)
        assert "exists" in store.status.trouble
        folder.unlink()
        clock.now_s += 10
        offer(store, 9)
        assert (store.status.kept, store.status.trouble) == (1, "")
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(": ", 1)[1].split(":")[0] for text in said] == [
        "no pictures are kept", "pictures are kept again",
    ]  # fmt: skip


def test_store_whose_folder_is_deleted_begins_another(tmp_path: Path) -> None:
    clock, folder = HandClock(), tmp_path / "store"
    with running(ON, folder, clock) as store:
        offer(store, 1)
        shutil.rmtree(folder)
        eventually(lambda: "0 of 1 pictures" in store.status.incident)
        offer(store, 1)
        status = store.status
        store.forget_incident()
        assert store.status.incident == ""
    assert (status.kept, status.failed, status.pictures, status.trouble) == (2, 0, 1, "")
    assert len(lines(folder)) == len(pictures(folder)) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs root and mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path, leaving: int) -> None:
    """Take all of the disk but ``leaving`` bytes."""
    with path.open("wb", buffering=0) as ballast:
        disk = os.statvfs(path)
        ballast.write(bytes(disk.f_bavail * disk.f_frsize - leaving))


@pytest.mark.parametrize("leaving", [0, 8192, 250_000])
def test_store_with_a_full_disk_says_so_once_and_recovers(
    small_disk: Path, caplog: pytest.LogCaptureFixture, leaving: int
) -> None:
    clock, folder, ballast = HandClock(), small_disk / "store", small_disk / "ballast"
    caplog.set_level(logging.INFO)
    with running(ON, folder, clock) as store:
        offer(store, 1)
        fill(ballast, leaving)
        large = scene(2, (1600, 1200)), scene(3, (1600, 1200))
        for number, frame in enumerate(large):
            noise = np.random.default_rng(number).integers(0, 60, frame.pixels.shape, np.uint8)
            offer_frame(store, Frame(frame.pixels | noise))
            clock.now_s += 11
        assert store.status.failed == 2
        assert "No space left" in store.status.trouble
        assert list(folder.rglob("*.part")) == []
        ballast.unlink()
        offer(store, 4)
        status = store.status
    assert (status.kept, status.failed, status.pictures, status.trouble) == (2, 2, 2, "")
    assert len(caplog.records) == 2
    assert [line["file"] for line in lines(folder)] == [
        f"door/{path.name}" for path in pictures(folder)
    ]


def test_store_can_be_cleared_while_its_disk_is_full(small_disk: Path) -> None:
    clock, folder = HandClock(), small_disk / "store"
    with running(ON, folder, clock) as store:
        offer(store, 1)
        fill(small_disk / "ballast", 0)
        offer(store, 2)
        assert store.status.failed == 1
        store.clear()
        eventually(lambda: pictures(folder) == [])


def test_store_leaves_room_for_others_on_its_disk(small_disk: Path) -> None:
    clock = HandClock()
    with running(ON, small_disk / "store", clock) as store:
        noise = np.random.default_rng(0)
        while not store.status.failed:
            pixels = noise.integers(0, 256, (300, 400, 3), np.uint8)
            offer_frame(store, Frame(pixels), "requested")
        disk = os.statvfs(small_disk)
        assert 0.04 < disk.f_bavail / disk.f_blocks < 0.15


def test_store_ends_with_its_thread(tmp_path: Path) -> None:
    with running(ON, tmp_path):
        assert "capture-store" in {thread.name for thread in threading.enumerate()}
    assert "capture-store" not in {thread.name for thread in threading.enumerate()}
