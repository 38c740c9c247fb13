"""Many pictures: order, faults, and how much is under way at once.

Threads meet at events and barriers. ``PATIENCE_S`` is how long a test waits for what must come;
``GRACE_S`` how long it watches for what must not.
"""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_classifier.batch import BatchItem, classify_all
from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.contract import Contract, Crop
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Array, Quantization, TensorSpec
from edge_classifier.errors import ModelError, PictureError
from edge_classifier.vision.pictures import LoadedPicture

PATIENCE_S = 10.0
GRACE_S = 0.1
CLASSES = 250
CONTRACT = Contract(2, 2, crop=Crop.SQUASH).with_labels(tuple(str(n) for n in range(CLASSES)))
Hook = Callable[[int], None]


class FakeEngine:
    """Finds class n in a picture of grey n, after ``hook(n)``; knows when it is shared."""

    def __init__(self, hook: Hook) -> None:
        self.input = TensorSpec(
            "picture", (1, 2, 2, 3), np.dtype(np.uint8), Quantization(1 / 128, 128)
        )
        self.output = TensorSpec("scores", (CLASSES,), np.dtype(np.uint8), Quantization(1 / 256, 0))
        self.picture: Array = np.zeros((2, 2, 3), np.uint8)
        self.scores: Array = np.zeros(CLASSES, np.uint8)
        self._hook = hook
        self._alone = threading.Lock()

    def invoke(self) -> None:
        assert self._alone.acquire(blocking=False), "one engine in two threads"
        try:
            number = int(self.picture[0, 0, 0])
            self._hook(number)
            assert (self.picture == number).all(), "another picture came in"
            self.scores[:] = 0
            self.scores[number] = 255
        finally:
            self._alone.release()


def ignore(_: int) -> None:
    """The hook that does nothing."""


def classifiers(count: int, hook: Hook = ignore) -> list[Classifier]:
    return [Classifier(FakeEngine(hook), CONTRACT, AnswerOptions(top_k=1)) for _ in range(count)]


def load(reference: str) -> LoadedPicture:
    """The picture called n is all of grey n."""
    return LoadedPicture(Frame(np.full((2, 2, 3), int(reference), np.uint8)))


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def label(outcome: BatchItem) -> str | None:
    return outcome.classification.predictions[0].label if outcome.classification else None


def await_(event: threading.Event) -> None:
    assert event.wait(PATIENCE_S), "what this waits for did not come"


def finishes(work: Callable[[], object]) -> bool:
    """Whether ``work`` ends in time; a daemon, so that a hang costs this test only."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return not thread.is_alive()


@pytest.mark.parametrize("engines", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_classify_all_any_number_gives_each_its_own_outcome_in_order(
    engines: int, count: int
) -> None:
    outcomes = list(classify_all(names(count), load, classifiers(engines)))
    assert [outcome.reference for outcome in outcomes] == names(count)
    assert [label(outcome) for outcome in outcomes] == names(count)
    assert all(outcome.error is None and outcome.picture for outcome in outcomes)


def test_classify_all_first_picture_done_last_still_comes_first() -> None:
    last_is_loaded = threading.Event()

    def slow_first(reference: str) -> LoadedPicture:
        if reference == "0":
            await_(last_is_loaded)
        if reference == "4":
            last_is_loaded.set()
        return load(reference)

    outcomes = list(classify_all(names(5), slow_first, classifiers(2)))
    assert [label(outcome) for outcome in outcomes] == names(5)


def test_classify_all_bad_pictures_cost_only_themselves() -> None:
    def faulty_load(reference: str) -> LoadedPicture:
        if reference in ("0", "4"):
            raise PictureError(reference, "is no picture")
        return load(reference)

    def faulty_network(number: int) -> None:
        if number in (2, 7):
            raise ModelError(str(number), "fails on this one")

    outcomes: list[BatchItem] = []
    work = classify_all(names(10), faulty_load, classifiers(1, faulty_network))
    assert finishes(lambda: outcomes.extend(work)), "a fault kept its engine"
    assert [outcome.reference for outcome in outcomes] == names(10)
    failed = {outcome.reference: outcome.error for outcome in outcomes if outcome.error}
    assert {name: type(error) for name, error in failed.items()} == {
        "0": PictureError,
        "4": PictureError,
        "2": ModelError,
        "7": ModelError,
    }
    good = [outcome for outcome in outcomes if outcome.error is None]
    assert [label(outcome) for outcome in good] == ["1", "3", "5", "6", "8", "9"]
    bad = outcomes[4]
    assert (bad.picture, bad.classification) == (None, None)
    assert (bad.decode_ms, bad.total_ms) == (0.0, 0.0)


def test_classify_all_bug_is_raised_and_ends_the_work() -> None:
    started: list[str] = []

    def buggy(reference: str) -> LoadedPicture:
        started.append(reference)
        if reference == "3":
            raise ZeroDivisionError
        return load(reference)

    outcomes = classify_all(names(200), buggy, classifiers(1))
    assert [label(next(outcomes)) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(ZeroDivisionError):
        next(outcomes)
    assert len(started) < 50


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


@pytest.mark.parametrize("engines", [1, 2, 3])
def test_classify_all_engines_all_work_and_no_more_than_there_are(engines: int) -> None:
    crowd = Crowd()
    together = threading.Barrier(engines)
    one_too_many = threading.Event()

    def meet(_: int) -> None:
        with crowd:
            together.wait(PATIENCE_S)
            if crowd.most > engines:
                one_too_many.set()
            one_too_many.wait(GRACE_S / 5)

    outcomes = list(classify_all(names(4 * engines), load, classifiers(engines, meet)))
    assert len(outcomes) == 4 * engines
    assert crowd.most == engines


def test_classify_all_next_picture_is_decoded_while_the_network_runs() -> None:
    loads = Loads()
    run: list[int] = []

    def await_one_more(number: int) -> None:
        run.append(number)
        assert loads.reach(min(6, len(run) + 1), PATIENCE_S), "decoding waits for the network"

    outcomes = list(classify_all(names(6), loads, classifiers(1, await_one_more)))
    assert [label(outcome) for outcome in outcomes] == names(6)


class Loads:
    """A loader that says how many pictures it was asked for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def __call__(self, reference: str) -> LoadedPicture:
        with self._changed:
            self.count += 1
            self._changed.notify_all()
        return load(reference)

    def reach(self, count: int, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, timeout_s)


@pytest.mark.parametrize("engines", [1, 3])
def test_classify_all_slow_reader_finds_work_ahead_of_it_but_a_bounded_amount(
    engines: int,
) -> None:
    loads = Loads()
    # Two pictures for each thread, of which there are two at least, and the one handed over.
    ahead = 2 * max(2, engines)
    outcomes = classify_all(names(200), loads, classifiers(engines))
    for read in range(1, 4):
        next(outcomes)
        assert loads.reach(ahead + read, PATIENCE_S), "nothing is done ahead"
        assert not loads.reach(ahead + read + 1, GRACE_S), "too much is done ahead"
    assert isinstance(outcomes, Iterator)
    outcomes.close()  # type: ignore[attr-defined]


def test_classify_all_not_read_from_loads_nothing() -> None:
    loads = Loads()
    classify_all(names(200), loads, classifiers(1))
    assert not loads.reach(1, GRACE_S)


def test_classify_all_closed_early_ends_without_loading_the_rest() -> None:
    loads = Loads()
    outcomes = classify_all(names(200), loads, classifiers(2))
    next(outcomes)
    assert finishes(outcomes.close)  # type: ignore[attr-defined]
    count = loads.count
    assert count < 50
    assert not loads.reach(count + 1, GRACE_S), "work goes on after closing"


def test_classify_all_closed_while_pictures_are_being_decoded_waits_for_those_only() -> None:
    gate, entered = threading.Event(), threading.Event()
    started: list[str] = []

    def gated(reference: str) -> LoadedPicture:
        started.append(reference)
        if reference != "0":
            entered.set()
            await_(gate)
        return load(reference)

    # Nine are under way before the first is handed over, so closing meets blocked ones.
    first_done = threading.Event()
    closed = threading.Event()
    outcomes = classify_all(names(200), gated, classifiers(1))

    def read_one_and_close() -> None:
        next(outcomes)
        first_done.set()
        outcomes.close()  # type: ignore[attr-defined]
        closed.set()

    threading.Thread(target=read_one_and_close, daemon=True).start()
    await_(first_done)
    await_(entered)
    assert not closed.wait(GRACE_S)
    gate.set()
    await_(closed)
    assert len(started) <= 4
    assert list(outcomes) == []


def test_classify_all_closed_before_it_began_ends() -> None:
    outcomes = classify_all(names(5), load, classifiers(1))
    assert finishes(outcomes.close)  # type: ignore[attr-defined]


def test_classify_all_injected_clocks_time_decoding_and_sum_up() -> None:
    seconds = 100.0

    def now() -> float:
        return seconds

    def takes_an_eighth(reference: str) -> LoadedPicture:
        nonlocal seconds
        seconds += 0.125
        return load(reference)

    def takes_a_half(_: int) -> None:
        nonlocal seconds
        seconds += 0.5

    classifier = Classifier(FakeEngine(takes_a_half), CONTRACT, AnswerOptions(top_k=1), clock=now)
    (outcome,) = classify_all(["7"], takes_an_eighth, [classifier], clock=now)
    assert (outcome.decode_ms, outcome.total_ms) == (125.0, 625.0)


def test_classify_all_wait_for_a_busy_engine_is_not_in_the_total() -> None:
    seconds = 0.0
    second_is_loaded = threading.Event()

    def now() -> float:
        return seconds

    def noted_load(reference: str) -> LoadedPicture:
        if reference == "1":
            second_is_loaded.set()
        return load(reference)

    def first_is_slow(number: int) -> None:
        nonlocal seconds
        if number == 0:
            await_(second_is_loaded)
            seconds += 4.0
        else:
            seconds += 0.5

    engine = FakeEngine(first_is_slow)
    classifier = Classifier(engine, CONTRACT, AnswerOptions(top_k=1), clock=now)
    first, second = classify_all(["0", "1"], noted_load, [classifier], clock=lambda: 0.0)
    assert {first.total_ms, second.total_ms} == {4000.0, 500.0}
