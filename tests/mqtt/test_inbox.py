"""What other threads leave for the publisher."""

from edge_classifier.mqtt.inbox import (
    Acknowledged,
    CameraHealth,
    ClearOutbox,
    Connected,
    ConnectionLost,
    DeviceReport,
    PublisherInbox,
    RememberedValue,
    SubscriptionRefused,
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


def test_mailbox_takes_a_connection_that_signals_too_much_for_lost() -> None:
    """No acknowledgement is dropped from a link that goes on: its message would wait for ever."""
    mailbox = PublisherInbox(3)
    mailbox.signal(Connected(7, 20))
    for mid in range(5_000):
        mailbox.signal(Acknowledged(7, mid, ""))
    signals = mailbox.take(0).signals
    assert len(signals) <= 1_000
    lost, *_ = signals
    assert lost == ConnectionLost(7, "the broker signals more than can be taken")


def test_mailbox_that_is_full_of_signals_keeps_those_of_the_newest_connection() -> None:
    mailbox = PublisherInbox(3)
    for _ in range(990):
        mailbox.signal(SubscriptionRefused(1, "no"))
    mailbox.signal(Connected(2, 20))
    for mid in range(20):
        mailbox.signal(Acknowledged(2, mid, ""))
    signals = list(mailbox.take(0).signals)
    assert signals == [Connected(2, 20), *(Acknowledged(2, mid, "") for mid in range(20))]


def test_mailbox_is_bounded_whatever_connections_signal() -> None:
    mailbox = PublisherInbox(3)
    for number in range(5_000):
        mailbox.signal(ConnectionLost(number, ""))
    signals = mailbox.take(0).signals
    assert len(signals) <= 1_000
    assert signals[-1] == ConnectionLost(4_999, "")
