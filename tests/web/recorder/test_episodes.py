"""Episodes, glimpses and better pictures: each on record once, in whatever order they come."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from edge_classifier.web.maintenance import cleanup
from edge_classifier.web.models import DeletedEvent, EventPicture, Label, Picture, Record, User
from edge_classifier.web.recorder.received import read
from edge_classifier.web.recorder.write_records import write_batch
from edge_classifier.web.records import deletion, picture_storage
from edge_classifier.web.review import verdicts
from tests.web.recording import (
    EVENT,
    SNAPSHOT,
    end_payload,
    event_id,
    event_payload,
    glimpse_payload,
    snapshot_payload,
)

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEPT = timedelta(days=8)
ELSEWHERE = "edge-classifier/attic/front"
# What an event of a daemon that tells ends has beside it.
NEW: dict[str, Any] = {"path": ["animal", "cat"], "top": [{"label": "cat", "score": 0.75}]}


def take(*messages: tuple[str, bytes], now: datetime = NOW) -> int:
    """Write them in one batch; how many were new."""
    read_all = [
        read(topic, payload, "edge-classifier", 100_000, KEPT, lambda: now)
        for topic, payload in messages
    ]
    return write_batch([one for one in read_all if one])


def begin(number: int = 1, **changed: Any) -> tuple[str, bytes]:
    return EVENT, event_payload(number, **{**NEW, **changed})


def end(number: int = 1, **changed: Any) -> tuple[str, bytes]:
    return EVENT, end_payload(number, **changed)


def picture(frame_s: float | None, number: int = 1, **more: Any) -> tuple[str, bytes]:
    return SNAPSHOT, snapshot_payload(number, frame_s, **more)


def shown(record: Record) -> bytes:
    assert record.picture
    return picture_storage.read(picture_storage.picture_name(record.picture.sha256))


# --- beginnings and ends -----------------------------------------------------------------------

BEGIN, END, PICTURE = begin(), end(), picture(None)
ORDERS = [[[one] for one in order] for order in itertools.permutations([BEGIN, END, PICTURE])] + [
    [[END, BEGIN, PICTURE]],
    [[BEGIN, BEGIN, END, END]],
    [[END], [END, BEGIN], [BEGIN, END]],
]


@pytest.mark.parametrize("batches", ORDERS)
def test_episode_is_one_complete_record_in_whatever_order_its_parts_come(
    batches: Sequence[Sequence[tuple[str, bytes]]],
) -> None:
    for batch in batches:
        take(*batch)
    record = Record.objects.select_related("camera", "label").get()
    assert (record.key, str(record.camera)) == (UUID(event_id(1)), "pi/front")
    assert (record.label.name, record.before, record.seq) == ("cat", "unknown", 1)
    assert record.at == datetime(2026, 11, 22, 11, 39, 0, 238000, UTC)
    assert (record.score, record.entry_score) == (0.96, 0.75)
    assert (record.duration_s, record.peak_after_s) == (12.5, 4)
    assert record.margin == pytest.approx(0.92)
    assert record.top == [["cat", 0.96], ["lynx", 0.03]]
    assert record.detail["path"] == ["animal", "cat"]
    assert (record.source, record.delay_ms, record.device_at) == ("event", 7.4, None)
    assert bool(record.picture) == any(PICTURE in batch for batch in batches)
    assert EventPicture.objects.count() == 0


def test_each_part_of_an_episode_is_new_once() -> None:
    assert [take(begin()), take(end()), take(begin(), end()), take(end())] == [1, 1, 0, 0]
    assert [take(end(2)), take(begin(2)), take(begin(2)), take(begin(3), end(3))] == [1, 1, 0, 2]


def test_end_that_came_without_its_beginning_is_a_record() -> None:
    take(end())
    record = Record.objects.get()
    assert (record.score, record.entry_score, record.duration_s) == (0.96, None, 12.5)
    assert (record.before, record.seq, record.label.name) == ("", None, "cat")
    assert record.label.first_seen == record.at


def test_end_of_a_long_stay_is_when_it_began_and_not_a_wrong_clock() -> None:
    take(end(started="2026-10-22T12:00:00Z", peak_ts="2026-10-22T12:00:01Z", duration_s=2.6e6))
    record = Record.objects.get()
    assert (record.at, record.device_at) == (datetime(2026, 10, 22, 12, tzinfo=UTC), None)


def test_end_with_a_more_specific_label_names_the_record() -> None:
    take(begin())
    take(end(label="tabby", path=["animal", "cat", "tabby"]))
    record = Record.objects.get()
    assert (record.label.name, record.detail["path"][-1]) == ("tabby", "tabby")
    assert record.label.first_seen == record.at


def test_end_leaves_a_reviewed_record_its_label_and_gives_it_the_rest() -> None:
    take(begin(), PICTURE)
    anna = User.objects.create_user("anna", role="reviewer")
    verdicts.judge(Record.objects.get(), "confirmed", None, anna)
    take(end(label="tabby", path=["animal", "cat", "tabby"]))
    record = Record.objects.select_related("truth").get()
    assert record.label == record.truth
    assert (record.verdict, record.detail["path"]) == ("confirmed", ["animal", "cat"])
    assert (record.score, record.duration_s) == (0.96, 12.5)


def test_end_never_lowers_a_score() -> None:
    take(begin(score=0.8, margin=0.7), end(peak_score=0.5))
    record = Record.objects.get()
    assert (record.score, record.margin) == (0.8, 0.7)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_nobody_ends_the_episode_of_another_camera(order: list[int]) -> None:
    stranger = f"{ELSEWHERE}/event", end_payload(1, label="dog", peak_score=1)
    messages = [begin(), stranger]
    take(messages[order[0]])
    take(messages[order[1]])
    record = Record.objects.get()
    # Whoever is first has the key; ids are not known before their event is.
    assert (record.label.name, record.duration_s) == (
        ("cat", None) if order[0] == 0 else ("dog", 12.5)
    )


# --- glimpses ----------------------------------------------------------------------------------


def test_glimpse_is_a_record_of_its_own_kind_and_no_sight() -> None:
    messages = (EVENT, glimpse_payload(5)), picture(None, 5)
    assert [take(*messages), take(*messages)] == [1, 0]
    record = Record.objects.select_related("label").get()
    assert (record.source, record.key, record.seq) == ("glimpse", UUID(event_id(5)), 5)
    assert (record.score, record.duration_s, record.peak_after_s) == (0.96, 0.8, 0.8)
    assert record.detail["reason"] == "dwell"
    assert (record.detail["needs_s"], record.detail["frames"]) == (1.0, 3)
    assert record.picture is not None
    assert (record.label.first_seen, record.label.first_glimpsed) == (None, record.at)


def test_names_of_glimpses_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "MOST_NAMES", 2)
    for number in range(5):
        take((EVENT, glimpse_payload(number, label=f"made up {number}")))
    Record.objects.all().delete()
    assert cleanup.delete_unused_names() == 3
    assert Label.objects.count() == 2


# --- better pictures ---------------------------------------------------------------------------

BOX = (0.1, 0.2, 0.5, 0.25)


@pytest.mark.parametrize("is_apart", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_better_picture_replaces_the_former_in_whatever_order_they_come(
    order: tuple[int, ...], is_apart: bool
) -> None:
    messages = [picture(at, box=BOX if at == 3 else None) for at in order]
    take(begin())
    for batch in [[one] for one in messages] if is_apart else [messages[:2], messages[2:]]:
        take(*batch)
    record = Record.objects.get()
    assert shown(record) == picture(3, box=BOX)[1]
    assert (record.detail["box"], record.detail["frame_ms"]) == (list(BOX), 3000)
    assert Picture.objects.count() == 1
    assert EventPicture.objects.count() == 0


def test_former_picture_leaves_no_file() -> None:
    take(begin(), picture(1))
    former = Record.objects.get().picture
    take(picture(2))
    assert former is not None
    assert not default_storage.exists(picture_storage.picture_name(former.sha256))
    assert not Picture.objects.filter(pk=former.pk).exists()


def test_better_picture_without_a_box_takes_that_of_the_former_away() -> None:
    take(begin(box={"left": 0, "top": 0, "width": 0.5, "height": 1}), picture(1, box=BOX))
    assert Record.objects.get().detail["box"] == list(BOX)
    take(picture(2))
    assert "box" not in Record.objects.get().detail


@pytest.mark.parametrize("order", [[1, 2], [2, 1]])
def test_picture_that_waits_for_its_event_is_replaced_too(order: list[int]) -> None:
    for frame_s in order:
        take(picture(frame_s))
    assert (EventPicture.objects.count(), Picture.objects.count()) == (1, 1)
    take(begin())
    assert shown(Record.objects.get()) == picture(2)[1]


def judged() -> None:
    anna = User.objects.create_user("anna", role="reviewer")
    verdicts.judge(Record.objects.get(), "confirmed", None, anna)


def ended_long_ago() -> None:
    take(end())
    Record.objects.update(recorded_at=timezone.now() - timedelta(days=2))


@pytest.mark.parametrize("change", [judged, ended_long_ago])
def test_picture_of_what_is_done_stays(change: Any) -> None:
    take(begin(), picture(1), now=timezone.now())
    change()
    take(picture(2), now=timezone.now())
    assert shown(Record.objects.get()) == picture(1)[1]
    assert (EventPicture.objects.count(), Picture.objects.count()) == (0, 1)


@pytest.mark.parametrize("frame_s", [1, 0.5, None])
def test_picture_that_is_no_later_changes_nothing(frame_s: float | None) -> None:
    take(begin(), picture(1))
    take(picture(frame_s, box=BOX))
    assert shown(Record.objects.get()) == picture(1)[1]
    assert (EventPicture.objects.count(), Picture.objects.count()) == (0, 1)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_nobody_gives_a_picture_to_an_event_of_another_camera(order: list[int]) -> None:
    messages = [begin(), (f"{ELSEWHERE}/snapshot", snapshot_payload(1, 9))]
    for number in order:
        take(messages[number])
    assert Record.objects.get().picture is None
    take(picture(1))
    assert shown(Record.objects.get()) == picture(1)[1]


# --- what was deleted --------------------------------------------------------------------------


def test_event_that_was_deleted_while_it_lasted_does_not_come_back() -> None:
    take(begin(), picture(1), now=timezone.now())
    assert deletion.delete(Record.objects.all()) == 1
    take(picture(2), end(), begin())
    assert not Record.objects.exists()
    assert not Picture.objects.exists()
    assert cleanup.forget_deleted_events(timezone.now()) == 0
    assert cleanup.forget_deleted_events(timezone.now() + timedelta(days=31)) == 1


def test_deletion_remembers_no_more_than_events_that_may_go_on() -> None:
    recent = timezone.now()
    take(begin(1), end(1), begin(2, to="unknown"), (EVENT, event_payload(3)), now=recent)
    take(begin(4), (EVENT, glimpse_payload(5)), now=recent)
    take(begin(6), now=recent - timedelta(days=8))
    deletion.delete(Record.objects.all())
    assert [one.key for one in DeletedEvent.objects.all()] == [UUID(event_id(4))]


def test_names_that_a_device_tells_are_those_of_the_chinese_page() -> None:
    Label.objects.create(name="animal")
    told = {"zh": {"cat": "猫", "animal": "动物", "car": "汽车"}}

    take(begin(1, names=told), begin(2, names={"zh": {"cat": "喵"}}))

    found = dict(Label.objects.values_list("name", "chinese"))
    # The first that is told stays, and what the event is not about makes no label.
    assert found == {"cat": "猫", "animal": "动物"}


def test_way_to_a_label_has_the_chinese_names_that_a_device_tells() -> None:
    path = {"path": ["animal", "mammal", "cat"], "path_names": ["Tier", "Säugetier", "Katze"]}
    take(begin(1, **path, names={"zh": {"mammal": "哺乳动物", "cat": "猫"}}))
    assert Record.objects.get().detail["path_names"] == ["Tier", "哺乳动物", "猫"]
