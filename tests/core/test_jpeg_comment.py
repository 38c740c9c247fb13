"""Comments in JPEG files: what is put in is found again, and nothing breaks on other bytes."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.jpeg_comment import (
    SnapshotFrame,
    comment_of,
    event_comment,
    event_of,
    frame_comment,
    frame_of,
    with_comment,
)

ID = "00112233445566778899aabbccddeeff"
START = b"\xff\xd8"
APPLICATION = b"\xff\xe0\x00\x04ab"
SCAN = b"\xff\xda\x00\x02" + b"\xff\xfe\x00\x03a"


def picture() -> bytes:
    pixels = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def comment(content: bytes) -> bytes:
    return b"\xff\xfe" + (len(content) + 2).to_bytes(2, "big") + content


def test_comment_is_found_again_and_changes_no_pixel() -> None:
    plain = picture()
    marked = with_comment(plain, "this & that ü")
    assert comment_of(plain) is None
    assert comment_of(marked) == "this & that ü"
    assert len(marked) == len(plain) + 4 + len("this & that ü".encode())
    before, after = (
        cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in (plain, marked)
    )
    assert before is not None
    np.testing.assert_array_equal(before, after)


def test_comment_goes_behind_the_leading_application_segments_alone() -> None:
    jpeg = START + APPLICATION + APPLICATION + comment(b"old") + APPLICATION + SCAN
    ours = START + APPLICATION + APPLICATION + comment(b"new") + comment(b"old")
    assert with_comment(jpeg, "new") == ours + APPLICATION + SCAN
    assert comment_of(with_comment(jpeg, "new")) == "new"


@pytest.mark.parametrize(
    ("jpeg", "found"),
    [
        (START + comment(b"a") + SCAN, "a"),
        (START + comment(b"a") + comment(b"b"), "a"),
        (START + b"\xff\xff\xff" + comment(b"behind fill bytes"), "behind fill bytes"),
        (START + comment(b""), ""),
        (START + comment(b"\xff"), "\ufffd"),
        (START + SCAN, None),
        (START + b"\xff\xd9" + comment(b"a"), None),
        (START + b"\x00" + comment(b"a"), None),
        (START + comment(b"cut off")[:-1], None),
        (START + b"\xff\xfe\x00\x01a", None),
        (START + b"\xff\xfe\x00", None),
        (START + b"\xff", None),
        (START, None),
        (b"", None),
        (comment(b"a"), None),
    ],
)
def test_comment_of_a_file_is_the_first_before_its_scan(jpeg: bytes, found: str | None) -> None:
    assert comment_of(jpeg) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (event_comment(ID), ID),
        (f"{event_comment(ID)}\n", None),
        (event_comment(ID.upper()), None),
        (event_comment(ID[1:]), None),
        (event_comment(f"{ID}0"), None),
        ("made by somebody else", None),
        (ID, None),
    ],
)
def test_event_of_a_snapshot_is_that_of_a_comment_of_ours(text: str, found: str | None) -> None:
    assert event_of(with_comment(picture(), text)) == found


def test_event_of_a_picture_without_a_comment_is_none() -> None:
    assert event_of(picture()) is None


@pytest.mark.parametrize(("jpeg", "text"), [(b"GIF89a", "a"), (b"", "a"), (START, "a" * 65_534)])
def test_comment_that_cannot_be_written_is_an_error(jpeg: bytes, text: str) -> None:
    with pytest.raises(ValueError, match="no JPEG, or too long"):
        with_comment(jpeg, text)


@given(st.text(max_size=200).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_comment_of_any_text_is_found_again(text: str) -> None:
    assert comment_of(with_comment(START + APPLICATION + SCAN, text)) == text


@given(st.binary(max_size=400))
def test_comment_of_any_bytes_is_some_text_or_none(content: bytes) -> None:
    for jpeg in (content, START + content, START + b"\xff\xfe" + content):
        assert event_of(jpeg) is None
        marked = with_comment(jpeg, "ours") if jpeg.startswith(START) else None
        assert marked is None or comment_of(marked) == "ours"


def test_search_ends_soon_in_a_large_file_without_an_end() -> None:
    # Of this thread: what else the machine does takes nothing from it.
    begin = time.thread_time()
    for filling in (b"\xff", b"\xff\xe0\x00\x02", b"\xff\xfe"):
        assert event_of(START + filling * (20_000_000 // len(filling))) is None
    assert time.thread_time() - begin < 1


@pytest.mark.parametrize("box", [None, (0.1, 0.2, 0.5, 0.25), (0.0, 0.0, 1.0, 1.0)])
def test_frame_is_told_behind_the_event_which_every_version_reads(
    box: tuple[float, float, float, float] | None,
) -> None:
    jpeg = with_comment(with_comment(picture(), frame_comment(1_795_000_000.2384, box)), "event")
    assert comment_of(jpeg) == "event"
    assert frame_of(jpeg) == SnapshotFrame(1_795_000_000_238, box)


@pytest.mark.parametrize(
    "text",
    [
        "edge-classifier frame",
        "edge-classifier frame -1",
        "edge-classifier frame 1 0.5000 0.5000 0.5000",
        "edge-classifier frame 1 0.5 0.5 0.5 0.5",
        f"edge-classifier frame {'9' * 16}",
        "edge-classifier frame 1 nan nan nan nan",
    ],
)
def test_frame_of_what_no_daemon_writes_is_none(text: str) -> None:
    assert frame_of(with_comment(picture(), text)) is None


@pytest.mark.parametrize("shares", ["0.9000 0.0000 0.2000 0.5000", "0.1000 0.1000 0.0000 0.5000"])
def test_frame_with_a_box_outside_of_it_has_none(shares: str) -> None:
    jpeg = with_comment(picture(), f"edge-classifier frame 1 {shares}")
    assert frame_of(jpeg) == SnapshotFrame(1, None)
