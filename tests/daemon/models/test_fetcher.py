"""A model that is asked for by its hash is brought here, beside all else; its fate is told."""

import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_classifier.config.settings import ModelSourceSettings
from edge_classifier.daemon.models.active_model import RequestedModel
from edge_classifier.modelfile.bundle import append_bundle
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.models.source import TOKEN, Source, serving
from tests.modelfile.test_model_zip import zip_file
from tests.tiny import Tiny, build

NAME = "garden 3"


def crashing(path: Path) -> bytes:
    """A model that ends any process that loads it: its fifth word was found by trying."""
    data = bytearray(build(path).read_bytes())
    struct.pack_into("<i", data, 16, 0)
    return bytes(data)


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """A model that is not on this machine."""
    with serving(build(tmp_path / "elsewhere.tflite", Tiny(size=(24, 24))).read_bytes()) as made:
        yield made


def daemon_of(
    folder: Path, url: str, requested: RequestedModel = RequestedModel()
) -> InProcessDaemon:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(TOKEN)
    settings = ModelSourceSettings(source=url, token_file=folder / "token")
    daemon = InProcessDaemon(folder, source=settings)
    daemon.configuration = daemon.make_configuration(requested)
    daemon.commands = daemon.make_commands()
    daemon.start()
    return daemon


@pytest.fixture
def daemon(source: Source, tmp_path: Path) -> Iterator[InProcessDaemon]:
    made = daemon_of(tmp_path / "daemon", source.url)
    yield made
    assert made.cameras.stop(20)


STATES = ["waiting", "fetching", "trying", "loading", "running", "failed"]


def states(daemon: InProcessDaemon) -> list[str]:
    """Of the change of model, as they were told, each once; quick ones may be left out."""
    found = [info["model_change"] for info in daemon.publisher.infos]
    told = list(dict.fromkeys(change["state"] for change in found if change))
    assert told == sorted(told, key=STATES.index)
    return told


def test_model_is_fetched_tried_and_runs(daemon: InProcessDaemon, source: Source) -> None:
    sha256 = sha256_of(source.body)
    first, last = daemon.answers("model", model=NAME, sha256=sha256)
    assert first["data"] == {"fetching": NAME}
    assert last["data"]["model"] == f"{NAME}@{sha256[:8]}"
    assert daemon.publisher.infos[-1]["model"] == f"{NAME}@{sha256[:8]}"
    assert states(daemon)[-1] == "running"
    assert "trying" in states(daemon)
    change = daemon.publisher.infos[-1]["model_change"]
    assert (change["model"], change["sha256"]) == (NAME, sha256)
    kept = daemon.publisher.remembered_values["overrides"]
    assert (kept["model"], kept["sha256"]) == (NAME, sha256)
    daemon.goes_on()
    # It is here now, under its name, too.
    assert daemon.done("model", model="")["model"].startswith("rgb@")
    assert daemon.done("model", model=NAME)["model"] == f"{NAME}@{sha256[:8]}"
    assert len(daemon.answers("model", model=NAME, sha256=sha256)) == 1
    assert len(source.requests) == 1


def test_model_that_was_fetched_runs_after_a_restart_without_its_source(
    daemon: InProcessDaemon, source: Source
) -> None:
    sha256 = sha256_of(source.body)
    daemon.answers("model", model=NAME, sha256=sha256)
    daemon.configuration = daemon.make_configuration(RequestedModel(NAME, sha256))
    daemon.start()
    assert daemon.model_name == NAME
    assert len(source.requests) == 1


def test_model_that_is_not_the_one_that_was_promised_changes_nothing(
    daemon: InProcessDaemon, source: Source
) -> None:
    before = daemon.configuration.models.first.id
    _, last = daemon.answers("model", model=NAME, sha256="ab" * 32)
    assert "SHA-256 differs" in last["error"]
    assert daemon.configuration.models.first.id == before
    change = daemon.publisher.infos[-1]["model_change"]
    assert change["state"] == "failed"
    assert "SHA-256 differs" in change["error"]
    daemon.goes_on()


def hostile_bodies(works: bytes, folder: Path) -> dict[bytes, str]:
    """What a source sends under the right hash, and what is to be said of it."""
    whole = zip_file(folder / "a.zip", {"model.tflite": works, "labels.txt": b"a\nb\nc"})
    many = folder / "many.tflite"
    many.write_bytes(works)
    append_bundle(many, {"labels.txt": b"x\n" * 5_000_000})
    zipped = "is a zip and no model; upload it to a page, which takes the model out"
    return {
        b"no model at all": "is not a TFLite model",
        b"<!doctype html><p>Log in first": "is a web page, not a model",
        works[: len(works) // 2]: "the runtime cannot load it",
        whole.read_bytes(): zipped,
        whole.read_bytes()[:500]: zipped,
        many.read_bytes(): "the zip inside it is too large to be labels",
        b"": "is empty",
    }


def test_what_a_source_sends_in_the_place_of_a_model_is_told_in_the_response_and_info(
    daemon: InProcessDaemon, source: Source, tmp_path: Path
) -> None:
    before = daemon.configuration.models.first.id
    for body, said in hostile_bodies(source.body, tmp_path).items():
        source.body = body
        *_, last = daemon.answers("model", model=NAME, sha256=sha256_of(body))
        assert said in last["error"]
        change = daemon.publisher.infos[-1]["model_change"]
        assert (change["state"], change["error"]) == ("failed", last["error"])
    assert daemon.configuration.models.first.id == before
    assert daemon.fetched.folders() == []
    daemon.goes_on()


def test_model_that_crashes_costs_a_child_and_nothing_else(
    daemon: InProcessDaemon, source: Source, tmp_path: Path
) -> None:
    source.body = crashing(tmp_path / "crashing.tflite")
    before = daemon.configuration.models.first.id
    _, last = daemon.answers("model", model=NAME, sha256=sha256_of(source.body))
    assert "crashed (SIGSEGV) when it was tried on this machine" in last["error"]
    assert states(daemon)[-1] == "failed"
    assert daemon.configuration.models.first.id == before
    assert daemon.fetched.folders() == []
    daemon.goes_on()


def test_model_is_not_fetched_where_no_place_is_named(tmp_path: Path, source: Source) -> None:
    daemon = daemon_of(tmp_path / "alone", "")
    (last,) = daemon.answers("model", model=NAME, sha256=sha256_of(source.body))
    assert "is not on this machine. models.source can name the web page" in last["error"]
    assert source.requests == []
    daemon.cameras.stop(20)


def test_model_that_is_here_under_its_name_is_not_fetched(
    daemon: InProcessDaemon, source: Source
) -> None:
    file = daemon.models / "german.tflite"
    (only,) = daemon.answers("model", model="german", sha256=sha256_of(file.read_bytes()))
    assert only["data"]["model"].startswith("german@")
    daemon.uploads.mkdir()
    uploaded = build(daemon.uploads / "street.tflite", Tiny(size=(16, 16)))
    (only,) = daemon.answers("model", model="street", sha256=sha256_of(uploaded.read_bytes()))
    assert only["data"]["model"].startswith("street@")
    assert source.requests == []


def test_model_with_a_name_of_one_that_is_another_here_is_fetched(
    daemon: InProcessDaemon, source: Source
) -> None:
    sha256 = sha256_of(source.body)
    _, last = daemon.answers("model", model="german", sha256=sha256)
    assert last["data"]["model"] == f"german@{sha256[:8]}"
    assert len(daemon.configuration.models.first.labels) == 3


@pytest.mark.parametrize("name", ["../rgb", ".", "a/b", "x" * 300])
def test_model_whose_name_no_file_can_have_is_not_fetched(
    daemon: InProcessDaemon, source: Source, name: str
) -> None:
    (last,) = daemon.answers("model", model=name, sha256=sha256_of(source.body))
    assert "is no name for a model's file" in last["error"]
    assert source.requests == []


def test_frames_and_other_changes_go_on_while_a_model_comes(
    daemon: InProcessDaemon, source: Source
) -> None:
    gate = threading.Event()
    source.before_piece = gate.wait
    sha256 = sha256_of(source.body)
    assert daemon.done("model", model=NAME, sha256=sha256) == {"fetching": NAME}
    daemon.goes_on()
    assert daemon.done("reload")["changed"] == []
    german = daemon.done("model", model="german", camera="yard")
    assert german["model"].startswith("german@")
    daemon.goes_on()
    gate.set()
    daemon.turn_until(lambda: daemon.model_name == NAME)


@pytest.fixture
def gate(source: Source) -> Iterator[threading.Event]:
    """Until it is set, no byte of a model comes."""
    gate = threading.Event()
    source.before_piece = gate.wait
    yield gate
    gate.set()


def outcomes(daemon: InProcessDaemon, transaction: int) -> list[str | None]:
    """The errors in all answers to a request, None for each that has none."""
    found = [dict(payload) for _, payload in daemon.publisher.responses]
    return [one["error"] for one in found if one["transaction"] == transaction]


def send(daemon: InProcessDaemon, transaction: int, **body: object) -> None:
    request = json.dumps({"transaction": transaction, **body})
    daemon.commands.receive("model", request.encode())


@pytest.mark.parametrize(
    "later", [{"model": ""}, {"model": "german"}, {"model": "german", "sha256": "here"}]
)
def test_model_that_comes_after_another_one_was_asked_for_does_not_take_over(
    daemon: InProcessDaemon, source: Source, gate: threading.Event, later: dict[str, str]
) -> None:
    send(daemon, 1, model=NAME, sha256=sha256_of(source.body))
    daemon.turn_until(lambda: source.requests)
    here = sha256_of((daemon.models / "german.tflite").read_bytes())
    later = {key: here if value == "here" else value for key, value in later.items()}
    send(daemon, 2, **later)
    daemon.turn_until(lambda: outcomes(daemon, 2))
    assert outcomes(daemon, 2) == [None]
    fetching, given_up = outcomes(daemon, 1)
    assert fetching is None
    assert given_up
    assert "another model has been asked for since" in given_up
    runs = daemon.configuration.models.first.id
    assert runs.startswith(("rgb@", "german@"))
    gate.set()
    # What comes now was asked for after it.
    source.body = build(daemon.folder / "next.tflite", Tiny(size=(32, 32))).read_bytes()
    daemon.answers("model", model="next", sha256=sha256_of(source.body), camera="yard")
    assert daemon.configuration.models.first.id == runs
    assert len(outcomes(daemon, 1)) == 2


def test_model_that_is_here_does_not_wait_for_one_that_comes(
    daemon: InProcessDaemon, source: Source, gate: threading.Event
) -> None:
    send(daemon, 1, model=NAME, sha256=sha256_of(source.body))
    daemon.turn_until(lambda: source.requests)
    here = sha256_of((daemon.models / "german.tflite").read_bytes())
    assert daemon.done("model", model="german", sha256=here, camera="yard")["cameras"] == ["yard"]
    gate.set()
    daemon.turn_until(lambda: daemon.model_name == NAME)
    assert outcomes(daemon, 1) == [None, None]


def test_model_that_is_asked_for_twice_is_fetched_once_and_both_are_answered(
    daemon: InProcessDaemon, source: Source, gate: threading.Event
) -> None:
    for transaction in (1, 2):
        send(daemon, transaction, model=NAME, sha256=sha256_of(source.body))
    daemon.turn_until(lambda: outcomes(daemon, 2))
    gate.set()
    daemon.turn_until(lambda: len(outcomes(daemon, 1)) == len(outcomes(daemon, 2)) == 2)
    assert outcomes(daemon, 1) == outcomes(daemon, 2) == [None, None]
    assert daemon.model_name == NAME
    assert len(source.requests) == 1


def test_model_that_two_cameras_are_to_have_is_fetched_once(
    daemon: InProcessDaemon, source: Source, gate: threading.Event
) -> None:
    for transaction, camera in ((1, "door"), (2, "yard")):
        send(daemon, transaction, model=NAME, sha256=sha256_of(source.body), camera=camera)
    daemon.turn_until(lambda: outcomes(daemon, 1) and outcomes(daemon, 2))
    gate.set()
    daemon.turn_until(lambda: len(outcomes(daemon, 1)) == len(outcomes(daemon, 2)) == 2)
    assert outcomes(daemon, 1) == outcomes(daemon, 2) == [None, None]
    assert len(source.requests) == 1
