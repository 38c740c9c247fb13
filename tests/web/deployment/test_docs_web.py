"""docs/web.md: its commands work, its proxies let the page through, its tables are true."""

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from edge_classifier import samples
from edge_classifier.cli.main import COMMANDS, build_parser, load_command
from edge_classifier.web import startup
from edge_classifier.web.classify.upload_limits import request_limit
from edge_classifier.web.config import folders, load_settings
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.models import Record
from edge_classifier.web.records.exports import FIELDS
from edge_classifier.web.review import datasets
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker, password_file
from tests.ports import HOST, free_port
from tests.waiting import eventually
from tests.web import making
from tests.web.deployment.page_examples import INSIDE, PAGE, block, blocks, installed, shell
from tests.web.recording import Sender
from tests.web.serving import PASSWORD, Page, prepare, web

REVIEW = REPOSITORY / "edge_classifier/web/review/templates/review/review.html"


BODY_MB = 101


ROLES = ("visitor", "viewer", "reviewer", "administrator")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    below = re.split(rf"^#+ {heading}$", PAGE, flags=re.MULTILINE)[1]
    table = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert table
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in table.group().splitlines()[2:]
    ]


# Settings and options


@pytest.mark.parametrize("example", blocks("toml"))
def test_settings_of_the_page_are_valid(example: str, tmp_path: Path) -> None:
    (tmp_path / "web.toml").write_text(example, "utf-8")
    load_settings.load(tmp_path / "web.toml", (), {})


def of_setting(key: str) -> Any:
    value: Any = WebSettings()
    for name in key.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("access.login_attempts", "Five wrong passwords"),
        ("access.login_wait_minutes", "wait 15 minutes"),
        ("access.session_days", "after 14 days"),
        ("access.anonymous_uploads_per_hour", "30 an hour"),
        ("access.uploads_per_hour", "2000 an hour"),
        ("uploads.at_once", "up to 20 pictures"),
        ("uploads.max_mb", "up to 20 MB"),
        ("uploads.max_megapixels", "and 50 megapixels"),
        ("uploads.keep_px", "most 1600"),
        ("server.streams", "4 an account, then 503 | 16 |"),
        ("server.port", ":8090"),
    ],
)
def test_figure_of_the_page_is_the_default(key: str, said: str) -> None:
    assert said in PAGE
    assert f"{of_setting(key):g}" in said.replace("Five", "5")
    assert key == "server.port" or f"`{key}`" in PAGE


def test_retention_of_the_page_is_the_default() -> None:
    below = PAGE.partition("**Retention.**")[2]
    found = re.findall(r"^\| `(retention\.\w+)` \| (\d+) \|", below, re.MULTILINE)
    assert [of_setting(key) for key, _ in found] == [float(value) for _, value in found]
    assert len(found) == 3


def test_settings_that_the_page_names_are_there() -> None:
    tables = "server|access|uploads|classify|mqtt|record|retention|storage"
    named = set(re.findall(rf"`((?:{tables})\.\w+)", PAGE))
    assert len(named) > 15
    for key in named:
        of_setting(key)


def commands() -> list[list[str]]:
    """Every `edge-classify ...` that is to be typed in, or stands in a sentence, with options."""
    code = "\n".join([*blocks(""), *blocks("sh"), *re.findall(r"`([^`\n]+)`", PAGE)])
    found = re.findall(r"(?:^|[ /])edge-classify +(\w.*)$", code, re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(found)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_the_page_are_understood(words: list[str]) -> None:
    name, *options = words
    assert name in COMMANDS
    parser: argparse.ArgumentParser = build_parser(name, load_command(name))
    parser.parse_args(options)


def test_commands_for_people_do_what_the_page_says(tmp_path: Path) -> None:
    assert ["web", "createadmin", "anna"] in commands()
    assert web(tmp_path, "createadmin", "anna", stdin=f"{PASSWORD}\n").returncode == 0
    checked = web(tmp_path, "manage", "check", "--deploy")
    assert "no issues" in checked.stdout, checked.stderr


# Tables


@pytest.mark.parametrize("address", sorted({row[1].strip("`") for row in rows("People")}))
def test_roles_may_open_what_the_page_says(address: str, request: pytest.FixtureRequest) -> None:
    here = [row[2:] for row in rows("People") if row[1] == f"`{address}`"]
    for role, may in zip(ROLES, zip(*here, strict=True), strict=True):
        client: Client = request.getfixturevalue(role)
        status = client.get(address).status_code
        # Several rows have one address: who may anything there may open it.
        assert status in ((302, 403) if set(may) == {"no"} else (200,)), role


def test_export_has_the_fields_that_the_page_says() -> None:
    table = PAGE.partition("**Export.**")[2].partition("What there is not")[0]
    names = [name for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
             for name in re.findall(r"`(\w+)`", cell)]  # fmt: skip
    assert names == list(FIELDS)


def test_keys_of_the_page_are_those_of_the_review() -> None:
    on_page = re.findall(r"<kbd>([^<]+)</kbd>", REVIEW.read_text("utf-8"))
    told = [key for cells in rows("Review") for key in re.findall(r"<kbd>([^<]+)</kbd>", cells[0])]
    assert set(told) == set(on_page)


def test_limit_of_a_body_is_what_the_page_says() -> None:
    assert request_limit(WebSettings().uploads) == BODY_MB * 1_000_000
    assert f"max_size {BODY_MB}MB" in PAGE
    assert f"client_max_body_size {BODY_MB}m;" in PAGE
    assert f"{BODY_MB} MB fits" in PAGE


def test_health_is_what_the_page_shows_and_its_files_are_in_the_table(tmp_path: Path) -> None:
    installed("curl", "curl")
    settings = (f"mqtt.host={HOST}", f"mqtt.port={free_port()}")
    with Page(tmp_path / "state", settings) as page:
        command = block("sh", "healthz").replace(INSIDE, f"{HOST}:{page.port}")
        answer = json.loads(shell(command, tmp_path))
        found = {path.name for path in page.state.iterdir()} - {"said.txt"}
    shown = json.loads(block("json", '"status"'))
    assert answer.keys() == shown.keys()
    for part in ("recorder", "live"):
        assert answer[part].keys() == shown[part].keys()
    told = {
        name for cells in rows("Files") for name in re.findall(r"`([\w.-]+)/?`", " ".join(cells))
    }
    assert found <= told


# Backups


def test_database_is_copied_and_put_back_as_the_page_says(tmp_path: Path) -> None:
    prepare(tmp_path, "anna")
    startup.back_up(folders.folders_of(WebSettings(state_folder=tmp_path), {}))
    assert web(tmp_path, "createadmin", "bert", stdin=f"{PASSWORD}\n").returncode == 0
    (tmp_path / "web.db-wal").touch()
    shell(block("sh", "rm -f web.db-wal"), tmp_path)
    assert "exists" in web(tmp_path, "createadmin", "anna", stdin=f"{PASSWORD}\n").stderr
    assert web(tmp_path, "createadmin", "bert", stdin=f"{PASSWORD}\n").returncode == 0


def test_backup_is_made_and_put_back_as_the_page_says(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare(state, "anna")
    ours = {
        "sudo edge-classify": f"{sys.executable} -m edge_classifier",
        "/var/lib/edge-classifier-web": str(state),
        "/mnt/usb": str(tmp_path),
    }

    def as_told(action: str) -> str:
        command = block("sh", f" {action} /mnt")
        for theirs, mine in ours.items():
            command = command.replace(theirs, mine)
        return shell(command, tmp_path)

    assert "read back and compared" in as_told("backup")
    assert web(state, "createadmin", "bert", stdin=f"{PASSWORD}\n").returncode == 0
    assert "is as it was at" in as_told("restore")
    assert web(state, "createadmin", "bert", stdin=f"{PASSWORD}\n").returncode == 0
    assert "exists" in web(state, "createadmin", "anna", stdin=f"{PASSWORD}\n").stderr


# From review to a better model


def test_dataset_is_unpacked_and_checked_as_the_page_says(db: None, tmp_path: Path) -> None:
    for number, picture in enumerate(sorted(samples.FOLDER.glob("*.jpg"))[:4]):
        name = "pets" if number % 2 else "cups"
        jpeg, truth = picture.read_bytes(), making.label(name)
        making.upload("cat", picture=jpeg, verdict="corrected", truth=truth)
    pieces = datasets.archive(Record.objects.filter(truth__isnull=False))
    (tmp_path / "dataset-2026-11-22.zip").write_bytes(b"".join(pieces))
    unpack, check, train = block("sh", "zipfile").splitlines()
    said = shell(f"{unpack}\n{check}", tmp_path)
    assert "cups" in said
    assert "pets" in said
    assert train.startswith("edge-classify train dataset")


# Recording


def test_access_list_of_the_page_lets_it_record(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text(f"topic write edge-classifier/#\n{blocks('acl')[0]}")
    users = password_file(tmp_path, **{"edge-web": "secret"})
    (tmp_path / "password").write_text("secret\n")
    lines = ("allow_anonymous true", f"password_file {users}", f"acl_file {tmp_path / 'acl'}")
    with Broker(tmp_path / "broker", lines) as broker, Sender(broker.port) as sender:
        settings = (
            *(f"mqtt.host={HOST}", f"mqtt.port={broker.port}", "mqtt.username=edge-web"),
            f"mqtt.password_file={tmp_path / 'password'}",
        )
        with Page(tmp_path / "state", settings) as page:

            def recorder() -> dict[str, Any]:
                found: dict[str, Any] = json.loads(page.ask("/healthz").body)["recorder"]
                return found

            eventually(lambda: recorder()["ok"])
            sender.events(1)
            eventually(lambda: recorder()["recorded"] == 1)
