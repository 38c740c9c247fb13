"""What other threads leave for the publisher."""

from edge_classifier.mqtt.inbox import (
    CameraHealth,
    ClearOutbox,
    ConnectionLost,
    DeviceReport,
    PublisherInbox,
    RememberedValue,
)
from edge_classifier.mqtt.retained import MessageKind
from tests.emitter import change, state


def test_mailbox_hands_over_all_events_in_order_and_the_newest_of_the_rest() -> None:
    mailbox = PublisherInbox(10)
    for seq in (1, 2, 3):
        mailbox.put(state(seq), event=change(seq))
    mailbox.put(state(9, camera="back"), CameraHealth("front", online=True, reason=""))
    mailbox.put(RememberedValue("a", "1"), RememberedValue("b", "2"), RememberedValue("a", "3"))
    mailbox.put(
        DeviceReport(MessageKind.STATS, b"1"),
        DeviceReport(MessageKind.INFO, b"2"),
        DeviceReport(MessageKind.STATS, b"3"),
    )
    batch = mailbox.take(0)
    assert [event.seq for event in batch.events] == [1, 2, 3]
    assert set(batch.latest.values()) == {
        state(3),
        state(9, camera="back"),
        CameraHealth("front", online=True, reason=""),
        RememberedValue("a", "3"),
        RememberedValue("b", "2"),
        DeviceReport(MessageKind.INFO, b"2"),
        DeviceReport(MessageKind.STATS, b"3"),
    }
    assert not mailbox.take(0)


def test_mailbox_that_is_full_drops_the_oldest_event_and_counts_it() -> None:
    mailbox = PublisherInbox(3)
    for seq in range(1, 6):
        mailbox.put(event=change(seq))
    assert [event.seq for event in mailbox.take(0).events] == [3, 4, 5]
    assert mailbox.dropped_events == 2


def test_mailbox_takes_a_hundred_letters_and_counts_the_others() -> None:
    mailbox = PublisherInbox(3)
    for _ in range(103):
        mailbox.post(ClearOutbox())
    assert len(mailbox.take(0).letters) == 100
    assert mailbox.dropped_letters == 3


def test_mailbox_never_drops_signals() -> None:
    mailbox = PublisherInbox(3)
    for number in range(500):
        mailbox.signal(ConnectionLost(number, ""))
    assert len(mailbox.take(0).signals) == 500
