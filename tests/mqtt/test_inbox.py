"""What other threads leave for the publisher."""

from edge_classifier.mqtt.connection.broker_connection import (
    Acknowledged,
    Connected,
    ConnectionLost,
    SubscriptionRefused,
)
from edge_classifier.mqtt.inbox import PublisherInbox, UpdateKind
from tests.emitter import change


def nothing() -> None:
    """A task."""


def test_inbox_hands_over_all_events_in_order_and_the_newest_of_the_rest() -> None:
    inbox = PublisherInbox(10)
    done: list[str] = []
    for seq in (1, 2, 3):
        states = {(UpdateKind.STATE, "front"): lambda seq=seq: done.append(f"front {seq}")}
        inbox.put_updates(states, [change(seq)])
    inbox.put_updates({(UpdateKind.STATE, "back"): lambda: done.append("back")})
    inbox.put_updates({(UpdateKind.HEALTH, "front"): lambda: done.append("health")})
    inbox.put_updates({(UpdateKind.REMEMBER, "a"): lambda: done.append("a 1")})
    inbox.put_updates({(UpdateKind.REMEMBER, "b"): lambda: done.append("b 2")})
    inbox.put_updates({(UpdateKind.REMEMBER, "a"): lambda: done.append("a 3")})
    batch = inbox.take(0)
    assert [event.seq for event in batch.events] == [1, 2, 3]
    for update in batch.updates.values():
        update()
    assert sorted(done) == ["a 3", "b 2", "back", "front 3", "health"]
    assert not inbox.take(0)


def test_inbox_that_is_full_drops_the_oldest_event_and_counts_it() -> None:
    inbox = PublisherInbox(3)
    for seq in range(1, 6):
        inbox.put_updates({}, [change(seq)])
    assert [event.seq for event in inbox.take(0).events] == [3, 4, 5]
    assert inbox.dropped_events == 2


def test_inbox_takes_a_hundred_tasks_and_counts_the_others() -> None:
    inbox = PublisherInbox(3)
    for _ in range(103):
        inbox.put_task("clear", nothing)
    assert len(inbox.take(0).tasks) == 100
    assert inbox.dropped_tasks == 3


def test_inbox_never_drops_what_few_connections_tell() -> None:
    inbox = PublisherInbox(3)
    for number in range(500):
        inbox.put_connection_event(ConnectionLost(number, ""))
    assert len(inbox.take(0).connection_events) == 500


def test_inbox_takes_a_connection_that_signals_too_much_for_lost() -> None:
    """No acknowledgement is dropped while it goes on: its message would wait for ever."""
    inbox = PublisherInbox(3)
    inbox.put_connection_event(Connected(7, 20))
    for mid in range(5_000):
        inbox.put_connection_event(Acknowledged(7, mid, ""))
    events = inbox.take(0).connection_events
    assert len(events) <= 1_000
    lost, *_ = events
    assert lost == ConnectionLost(7, "the broker signals more than can be taken")


def test_inbox_that_is_full_keeps_the_events_of_the_newest_connection() -> None:
    inbox = PublisherInbox(3)
    for _ in range(990):
        inbox.put_connection_event(SubscriptionRefused(1, "no", 1))
    inbox.put_connection_event(Connected(2, 20))
    for mid in range(20):
        inbox.put_connection_event(Acknowledged(2, mid, ""))
    events = list(inbox.take(0).connection_events)
    assert events == [Connected(2, 20), *(Acknowledged(2, mid, "") for mid in range(20))]


def test_inbox_is_bounded_whatever_connections_signal() -> None:
    inbox = PublisherInbox(3)
    for number in range(5_000):
        inbox.put_connection_event(ConnectionLost(number, ""))
    events = inbox.take(0).connection_events
    assert len(events) <= 1_000
    assert events[-1] == ConnectionLost(4_999, "")
