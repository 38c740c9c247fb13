"""A model that a program sends: tried by the real child process, and installed, or nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.web.config.settings import UploadSettings
from edge_classifier.web.services import Services
from tests import tiny
from tests.web.api.client import Program, problem, program
from tests.web.conftest import FOLDERS, SETTINGS
from tests.web.installed_models.daemons import Change
from tests.web.working import working

KIND = "application/octet-stream"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, page: Services, change: Change) -> Iterator[Path]:
    """An empty folder of models, and a child process."""
    folder = tmp_path / "installed"
    folder.mkdir()
    with working(FOLDERS.models) as worker:
        change(folders=replace(page.folders, models=folder), worker=worker)
        yield folder


@pytest.fixture
def network(tmp_path: Path) -> bytes:
    return tiny.build(tmp_path / "tiny.tflite").read_bytes()


def sent(by: Program, body: bytes, name: str = "garden 3", kind: str = KIND) -> Any:
    path = f"/models?name={name}"
    return by.ask("post", path, data=body, content_type=kind)


def test_model_is_installed_once_and_known_by_its_file(
    db: None, models: Path, network: bytes
) -> None:
    ann = program("administrator")
    answer = sent(ann, network)
    assert answer.status_code == 201
    sha256 = hashlib.sha256(network).hexdigest()
    told = answer.json()
    assert (told["name"], told["sha256"]) == (f"garden-3-{sha256[:8]}", sha256)
    assert (models / f"{told['name']}.tflite").read_bytes() == network
    # Under whatever name it comes.
    again = sent(ann, network, "street")
    assert (again.status_code, again.json()) == (200, told)
    assert told in ann.get("/models")["models"]


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_model_is_taken_from_administrators_only(
    db: None, models: Path, network: bytes, role: str
) -> None:
    answer = sent(program(role), network)
    assert answer.status_code == 403
    assert "administrator" in problem(answer)["detail"]
    assert not list(models.glob("*.tflite"))


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"no model", KIND, 422, "TFLite"),
        (b"TFL3", "text/plain", 415, "with the type application/octet-stream"),
        (b"x" * 100_001, KIND, 413, "larger than 0.1 MB"),
    ],
)
def test_what_is_no_model_is_refused_and_leaves_nothing(
    db: None, change: Change, models: Path, body: bytes, kind: str, status: int, said: str
) -> None:
    change(settings=replace(SETTINGS, uploads=UploadSettings(model_max_mb=0.1)))
    answer = sent(program("administrator"), body, kind=kind)
    assert answer.status_code == status
    assert said in problem(answer)["detail"]
    assert not [one for one in models.iterdir() if one.name != ".facts"]


def test_model_without_a_name_is_refused(db: None, network: bytes) -> None:
    ann = program("administrator")
    assert sent(ann, network, "").status_code == 422
