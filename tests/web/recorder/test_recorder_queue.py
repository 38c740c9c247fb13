"""What waits to be written: bounded, in order, and never lost inside."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.recorder.queue import Delivery, DeliveryQueue
from tests.waiting import eventually


def delivery(size: int = 1) -> Delivery:
    return Delivery("topic", bytes(size), lambda: None)


def everything(inbox: DeliveryQueue) -> list[Delivery]:
    return inbox.take(10_000, wait_s=0, linger_s=0)


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 10), st.integers(1, 50))
def test_inbox_holds_no_more_than_its_bounds_or_one_message(
    sizes: list[int], most: int, most_bytes: int
) -> None:
    inbox = DeliveryQueue(most, most_bytes)
    sent = [delivery(size) for size in sizes]
    taken_in = [one for one in sent if inbox.put(one, patience_s=0)]
    assert len(inbox) == len(taken_in) <= most
    assert sum(len(one.payload) for one in taken_in) <= most_bytes or len(taken_in) == 1
    assert everything(inbox) == taken_in
    assert taken_in[:1] == sent[:1]


def test_inbox_gives_room_back_when_messages_are_taken() -> None:
    inbox = DeliveryQueue(most_bytes=10)
    assert inbox.put(delivery(10))
    assert not inbox.put(delivery(1), patience_s=0)
    assert len(everything(inbox)) == 1
    assert inbox.put(delivery(10), patience_s=0)


def test_inbox_lets_who_brings_a_message_wait_for_room() -> None:
    inbox = DeliveryQueue(most=1)
    assert inbox.put(delivery())
    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(inbox.put(delivery(), 20)))
    thread.start()
    assert len(everything(inbox)) == 1
    thread.join(20)
    assert outcomes == [True]


def test_inbox_waits_for_more_to_be_written_together_but_not_beyond_a_batch() -> None:
    inbox = DeliveryQueue()
    taken: list[list[Delivery]] = []
    take = threading.Thread(target=lambda: taken.append(inbox.take(3, wait_s=20, linger_s=20)))
    take.start()
    for _ in range(4):
        inbox.put(delivery())
    take.join(10)
    assert [len(batch) for batch in taken] == [3]
    assert len(inbox) == 1


def test_inbox_that_is_closed_takes_nothing_in_and_gives_out_what_is_there() -> None:
    inbox = DeliveryQueue(most=1)
    inbox.put(delivery())
    refused: list[bool] = []
    waiting = threading.Thread(target=lambda: refused.append(inbox.put(delivery(), 20)))
    waiting.start()
    inbox.close()
    waiting.join(10)
    assert refused == [False]
    assert len(inbox.take(10, wait_s=20, linger_s=20)) == 1
    assert inbox.take(10, wait_s=20, linger_s=20) == []


def test_inbox_without_messages_is_left_in_time() -> None:
    done = threading.Event()

    def take() -> None:
        assert DeliveryQueue().take(10, wait_s=0.01, linger_s=60) == []
        done.set()

    threading.Thread(target=take).start()
    eventually(done.is_set)
