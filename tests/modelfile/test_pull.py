"""Fetching models from a real HTTP server on the loopback interface."""

import errno
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from edge_classifier.errors import DownloadError, OutputError
from edge_classifier.modelfile.catalogue import Catalogue, load_catalogue
from edge_classifier.modelfile.pull import pull
from tests.conftest import Cli
from tests.tiny import Tiny, build


class Server:
    """Serves one body; can be told to lie, to stop half way, or to refuse."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.announce = len(body)
        self.status = 200
        self.requests = 0
        self.url = ""
        # Where a request is sent on to; once, or for ever.
        self.location = ""


@contextmanager
def serving(body: bytes) -> Iterator[Server]:
    """An HTTP server on a free loopback port."""
    server = Server(body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests += 1
            if server.location and self.path != "/moved":
                self.send_response(302)
                self.send_header("Location", server.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(server.status)
            self.send_header("Content-Length", str(server.announce))
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/model.tflite"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    """A real, tiny model."""
    return build(tmp_path / "source.tflite", Tiny()).read_bytes()


def catalogue_for(folder: Path, url: str, body: bytes, name: str = "tiny") -> Path:
    """A catalogue file that offers ``body`` at ``url``."""
    digest = hashlib.sha256(body).hexdigest()
    path = folder / "catalogue.toml"
    path.write_text(
        f"""
        default = "{name}"
        [[model]]
        name = "{name}"
        file = "tiny.tflite"
        title = "A tiny model"
        labels = 3
        input = [8, 8]
        licence = "Apache-2.0"
        source = "{url}"
        url = "{url}"
        sha256 = "{digest}"
        """,
        "utf-8",
    )
    return path


def loaded(folder: Path, server: Server, body: bytes) -> Catalogue:
    """The catalogue that offers ``body`` from ``server``."""
    return load_catalogue(catalogue_for(folder, server.url, body))


def leftovers(catalogue: Catalogue) -> list[Path]:
    """Files in the folder of pulled models."""
    folder = catalogue.pulled_folder
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_pull_a_good_server_installs_the_verified_file_and_reports_progress(
    tmp_path: Path, model: bytes
) -> None:
    seen: list[tuple[int, int]] = []
    with serving(model) as server:
        catalogue = loaded(tmp_path, server, model)
        path = pull(catalogue, catalogue.entries[0], lambda *step: seen.append(step))
    assert path.read_bytes() == model
    assert path == catalogue.locate("tiny")
    assert seen[-1] == (len(model), len(model))


def test_pull_a_file_that_is_there_is_not_fetched_again(tmp_path: Path, model: bytes) -> None:
    with serving(model) as server:
        catalogue = loaded(tmp_path, server, model)
        for _ in range(2):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
        assert server.requests == 1


def test_pull_a_damaged_file_that_is_there_is_replaced(tmp_path: Path, model: bytes) -> None:
    with serving(model) as server:
        catalogue = loaded(tmp_path, server, model)
        path = pull(catalogue, catalogue.entries[0], lambda *_: None)
        path.write_bytes(model[:100])
        pull(catalogue, catalogue.entries[0], lambda *_: None)
        assert path.read_bytes() == model


def test_pull_other_bytes_than_promised_installs_nothing(tmp_path: Path, model: bytes) -> None:
    with serving(model[:-1] + b"!") as server:
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(DownloadError, match="SHA-256 differs"):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
    assert leftovers(catalogue) == []


def test_pull_a_connection_cut_half_way_leaves_nothing_and_then_succeeds(
    tmp_path: Path, model: bytes
) -> None:
    with serving(model[: len(model) // 2]) as server:
        server.announce = len(model)
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(DownloadError):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
        assert leftovers(catalogue) == []
        server.body = model
        assert pull(catalogue, catalogue.entries[0], lambda *_: None).read_bytes() == model


def test_pull_a_server_error_is_said_with_the_way_by_hand_and_its_connection_closed(
    tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[requests.Response] = []
    really_get = requests.get

    def get(url: str, **options: Any) -> requests.Response:
        answers.append(really_get(url, **options))
        return answers[-1]

    monkeypatch.setattr(requests, "get", get)
    with serving(model) as server:
        server.status = 503
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(DownloadError, match=r"503.*put it at .*tiny\.tflite"):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
    assert [answer.raw.closed for answer in answers] == [True]


def offered() -> list[str]:
    """Names of all entries that are fetched."""
    return [entry.name for entry in load_catalogue().entries if entry.offered and entry.url]


@pytest.mark.parametrize("name", offered())
def test_pull_each_offered_entry_installs_the_real_file_after_an_interruption_and_a_redirect(
    shared: Path, name: str
) -> None:
    catalogue = load_catalogue()
    entry = catalogue.require(name)
    body = (shared / "models" / entry.file).read_bytes()
    with serving(body[: len(body) // 2]) as server:
        server.announce = len(body)
        mirrored = replace(entry, url=server.url)
        with pytest.raises(DownloadError, match="ended too early"):
            pull(catalogue, mirrored, lambda *_: None)
        assert leftovers(catalogue) == []
        server.body = body[:-1] + b"!"
        with pytest.raises(DownloadError, match="SHA-256 differs"):
            pull(catalogue, mirrored, lambda *_: None)
        assert leftovers(catalogue) == []
        server.body, server.location = body, "/moved"
        path = pull(catalogue, mirrored, lambda *_: None)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    assert catalogue.locate(name) == path


def test_pull_a_body_without_an_announced_length_that_is_cut_short_is_not_kept(
    tmp_path: Path, model: bytes
) -> None:
    with serving(model[:1000]) as server:
        server.announce = 1000
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(DownloadError, match="SHA-256 differs"):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
    assert leftovers(catalogue) == []


def test_pull_addresses_that_lead_in_a_circle_are_given_up(tmp_path: Path, model: bytes) -> None:
    with serving(model) as server:
        server.location = server.url
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(DownloadError, match="from one address to the next"):
            pull(catalogue, catalogue.entries[0], lambda *_: None)
    assert leftovers(catalogue) == []


def _bad_certificate() -> ssl.SSLCertVerificationError:
    """As OpenSSL raises it."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (socket.gaierror(-3, "Temporary failure in name resolution"), "is there a network"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
        (TimeoutError("timed out"), "does not answer in time"),
        (_bad_certificate(), "the certificate of models.example is not good .self-signed"),
    ],
)
def test_pull_without_a_way_to_the_server_is_said_in_a_plain_sentence(
    tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch, failure: OSError, sentence: str
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = "http://models.example/tiny.tflite"
    catalogue = load_catalogue(catalogue_for(tmp_path, url, model))
    with pytest.raises(DownloadError, match=sentence) as caught:
        pull(catalogue, catalogue.entries[0], lambda *_: None)
    said = str(caught.value)
    assert "Error" not in said
    assert "Errno" not in said
    assert "models verify tiny" in said


def test_pull_into_a_folder_that_cannot_be_made_names_the_folder_not_the_network(
    tmp_path: Path, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("EDGE_CLASSIFIER_MODELS", str(tmp_path / "file/models"))
    with serving(model) as server:
        catalogue = loaded(tmp_path, server, model)
        with pytest.raises(OutputError, match=r"EDGE_CLASSIFIER_MODELS") as caught:
            pull(catalogue, catalogue.entries[0], lambda *_: None)
    assert "network" not in str(caught.value)


def test_pull_a_model_without_checksum_is_refused_before_any_request(tmp_path: Path) -> None:
    catalogue = load_catalogue()
    entry = catalogue.require("mobilenet-v2-insects")
    with pytest.raises(DownloadError, match="not offered"):
        pull(catalogue, entry, lambda *_: None)


def test_models_pull_on_the_command_line_prints_the_path_and_the_model_then_runs(
    tmp_path: Path, model: bytes, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(model) as server:
        file = catalogue_for(tmp_path, server.url, model)
        monkeypatch.setenv("EDGE_CLASSIFIER_CATALOGUE", str(file))
        before = cli("models", "path")
        pulled = cli("models", "pull", "tiny")
        path = cli("models", "path").stdout.decode().strip()
        verified = cli("models", "verify")
    assert before.returncode == 66
    assert b"models pull tiny" in before.stderr
    assert pulled.returncode == 0
    assert pulled.stdout.decode().split("\t") == ["tiny", f"{path}\n"]
    assert verified.stdout.startswith(b"tiny\tok\t")


def test_models_pull_without_network_says_what_to_do_and_exits_69(
    tmp_path: Path, model: bytes, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(model) as server:
        url = server.url
    monkeypatch.setenv("EDGE_CLASSIFIER_CATALOGUE", str(catalogue_for(tmp_path, url, model)))
    done = cli("models", "pull", "tiny")
    assert done.returncode == 69
    assert b"Without a network" in done.stderr
    assert b"Traceback" not in done.stderr


def test_models_verify_a_changed_file_is_called_damaged_and_exits_65(
    tmp_path: Path, model: bytes, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(model) as server:
        file = catalogue_for(tmp_path, server.url, model)
        catalogue = load_catalogue(file)
        path = pull(catalogue, catalogue.entries[0], lambda *_: None)
    path.write_bytes(model + b"x")
    monkeypatch.setenv("EDGE_CLASSIFIER_CATALOGUE", str(file))
    done = cli("models", "verify", "tiny")
    assert done.returncode == 65
    assert b"DAMAGED" in done.stdout
