"""``edge-classify doctor --bundle FILE``: what a bug report needs in one file, without secrets.

Two nets: only what may be shown is collected (settings are masked, of the environment there are
names), and whatever was collected is searched for the secrets that can be read on this machine.
"""

import http.client
import json
import os
import platform
import re
import subprocess
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_classifier.cli.common import settings_sources
from edge_classifier.config.secrets import HIDDEN, SECRET_FILES, presentable
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport, find_file
from edge_classifier.config.toml import as_tree, document, leaves
from edge_classifier.core.network.camera_address import is_stream, mask
from edge_classifier.errors import EdgeClassifierError, OutputError, UnavailableError
from edge_classifier.files import cannot_write, replacing

SERVICES = ("edge-classifier", "edge-classifier-web")
SETTINGS_FOLDER = Path("/etc/edge-classifier")
# Where the services keep files; the page's has the key that signs cookies.
_STATES = (Path("/var/lib/private/edge-classifier"), Path("/var/lib/private/edge-classifier-web"))
_LOG_LINES = 500
_LOG_BYTES = 500_000
_ANSWER_BYTES = 500_000
_TIMEOUT_S = 5.0
_PICTURES = 10
_SECRET_BYTES = 8192
# Shorter ones would blot out half of every text, and are not secrets.
_SHORTEST_SECRET = 4
# The name of an account that is as long as this may be a token, as some brokers want it.
_TOKEN_LENGTH = 12
_UNIT_FACTS = (
    "--property=Id,ActiveState,SubState,Result,ExecMainStatus,NRestarts,ActiveEnterTimestamp"
)
# Variables that are told of.
_OURS = re.compile("EDGE_CLASSIFIER|QEMU")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
# Of variables, and of the settings that are sources of cameras or logins.
_SECRET_NAME = re.compile(r"pass|secret|token|key|credential|auth|login|url|dsn", re.IGNORECASE)
# Settings and variables that name a file with a secret in it.
_FILES = (*SECRET_FILES, "key_file")
# In TOML that may be broken, and of --set.
_ASSIGNMENT = re.compile(r"""([\w.-]+)\s*=\s*("[^"\n]*"|'[^'\n]*'|[^\s,}#]+)""")
# The name of an account, unless there is none.
_USERNAME = re.compile(r'^(username = )"[^"].*?"(?=$| +#)', re.MULTILINE)
_READ_ME = """What `edge-classify doctor --bundle` has collected for a bug report.

Passwords, tokens and what might be one in a camera's address are masked with ***; no value of the
environment is in here. Names of cameras and devices, addresses of this network, and names of files
are. Look through it before it goes to somebody else.
"""


def write_bundle(
    path: Path, findings: list[dict[str, Any]], options: Namespace
) -> list[tuple[str, int]]:
    """Pack all that there is, and return the names and sizes in bytes of what is in it.

    What cannot be had is said in ``missing.txt``. Raises OutputError, also for a ``path`` that is
    there already.
    """
    from edge_classifier.config.reference import merged

    if os.path.lexists(path):
        raise OutputError(str(path), "is there already", "Name a file that is not.")
    report, wrong_settings = _read_settings(options)
    settings = report.settings if report else None
    texts: dict[str, str] = {"README.txt": _READ_ME}
    missing: list[str] = []
    sources: Mapping[str, Callable[[], str]] = {
        "doctor.json": lambda: _json(findings),
        "system.txt": _system,
        # Names alone: any value may be a secret.
        "environment.txt": lambda: "\n".join([*sorted(filter(_OURS.match, os.environ)), ""]),
        "settings.toml": lambda: (
            wrong_settings or (_without_users(merged(report, origins=True)) if report else "")
        ),
        "web-settings.toml": lambda: _without_users(document(presentable((), _web_tree()))),
        "model.json": lambda: _model(settings),
        "health.json": lambda: _answer(settings, "/healthz"),
        "metrics.txt": lambda: _answer(settings, "/metrics"),
        "services.txt": lambda: _said("systemctl", "show", _UNIT_FACTS, *SERVICES),
        "log.txt": lambda: _log(options.log),
    }
    for name, make in sources.items():
        try:
            texts[name] = make()
        except (EdgeClassifierError, OSError, subprocess.SubprocessError) as error:
            missing.append(f"{name}: {error}")
    if missing:
        texts["missing.txt"] = "\n".join(missing) + "\n"
    secrets = _known_secrets(options, settings)
    contents = {name: _without(secrets, text).encode() for name, text in texts.items()}
    if options.pictures:
        contents |= _newest_pictures(settings)
    try:
        with (
            replacing(path, mode=0o600) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle,
        ):
            for name, content in contents.items():
                bundle.writestr(name, content)
    except OSError as error:
        raise cannot_write(path, error) from error
    return [(name, len(content)) for name, content in contents.items()]


def _json(facts: object) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _read_settings(options: Namespace) -> tuple[SettingsReport[Settings] | None, str]:
    """The daemon's settings, or why there are none."""
    from edge_classifier.config.load import examine

    try:
        report = examine(settings_sources(options))
    except EdgeClassifierError as error:
        return None, f"# {error}\n"
    return report, "".join(f"# {problem}\n" for problem in report.problems)


def _without_users(text: str) -> str:
    return _USERNAME.sub(rf'\1"{HIDDEN}"', text)


def _web_tree() -> dict[str, Any]:
    from edge_classifier.web.config.load_settings import load

    return as_tree(load(None))


def _system() -> str:
    facts = [platform.platform(), f"Python {platform.python_version()}", *os.uname()]
    for place in ("/etc/os-release", "/proc/device-tree/model", "/proc/meminfo", "/proc/loadavg"):
        with suppress(OSError):
            facts += [f"--- {place}", Path(place).read_text("utf-8", "replace").strip("\0\n")]
    disk = os.statvfs("/var" if Path("/var").is_dir() else "/")
    return "\n".join([*facts, f"--- free: {disk.f_bavail * disk.f_frsize} bytes", ""])


def _model(settings: Settings | None) -> str:
    from edge_classifier.cli.models import describe
    from edge_classifier.config.settings import ModelSettings
    from edge_classifier.daemon.models.active_model import load_active_model
    from edge_classifier.daemon.models.models_in_force import load_configured_models

    if settings is None:
        return _json(describe(load_active_model(ModelSettings()).loaded))
    models = load_configured_models(settings).models
    return "".join(_json(describe(model.loaded)) for model in models)


def _answer(settings: Settings | None, page: str) -> str:
    """What the running daemon says at a page of its own."""
    where = settings.http if settings else None
    if where is None or not where.enabled or not where.port:
        raise UnavailableError(page, "the settings name no port of the daemon")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, where.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", page)
        return connection.getresponse().read(_ANSWER_BYTES).decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise UnavailableError(page, f"the daemon does not answer ({error})") from error
    finally:
        connection.close()


def _log(file: Path | None) -> str:
    """The last lines of the journal, or of the file that is named."""
    if file:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - _LOG_BYTES))
            lines = log.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()
        return "\n".join([*lines[-_LOG_LINES:], ""])
    units = [f"--unit={service}" for service in SERVICES]
    command = ("journalctl", "--quiet", "--no-pager", "--output=short-iso", *units)
    said = _said(*command, f"--lines={_LOG_LINES}")
    if not said:
        raise UnavailableError(
            "journal", "has nothing that this user may read", "Use sudo, or --log"
        )
    return said


def _said(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=30, check=False
    )
    if done.returncode:
        raise UnavailableError(command[0], done.stderr.strip()[:200] or "failed")
    return done.stdout


def _without(secrets: Iterable[str], text: str) -> str:
    """``text`` without known secrets, and with its addresses masked."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _ADDRESS.sub(lambda found: mask(found[0]), text)


def _known_secrets(options: Namespace, settings: Settings | None) -> list[str]:
    """All that this user can read, the longest first, also as they stand in JSON."""
    found = set(_secrets_of(options, settings))
    found |= {line for text in found for line in text.splitlines()}
    # USER:PASSWORD is written apart as well.
    found |= {text.partition(":")[2] for text in found if not is_stream(text)}
    found |= {json.dumps(text)[1:-1] for text in found}
    usable = {text.strip() for text in found if len(text.strip()) >= _SHORTEST_SECRET}
    return sorted(usable, key=len, reverse=True)


def _secrets_of(options: Namespace, settings: Settings | None) -> Iterator[str]:
    files = [state / "secret-key" for state in _STATES]
    for folder in ("secrets", "web-secrets"):
        with suppress(OSError):
            files += [file for file in (SETTINGS_FOLDER / folder).iterdir() if file.is_file()]
    for name, value in _assigned(options, settings):
        if name.lower().endswith(_FILES):
            files.append(Path(value))
            yield value if "/" not in value else ""
        elif (
            is_stream(value)
            or _SECRET_NAME.search(name)
            or (name.endswith("username") and len(value) >= _TOKEN_LENGTH)
        ):
            yield value
            # Of an address its password, too: a log may have that by itself.
            yield from re.findall(r"://[^/]*?:(.+)@", value)
    for file in files:
        with suppress(OSError), file.open("rb") as secret:
            yield secret.read(_SECRET_BYTES).decode("utf-8", "replace")


def _assigned(options: Namespace, settings: Settings | None) -> Iterator[tuple[str, str]]:
    """Names and values of all that was set, settings that are wrong or unreadable among them."""
    from edge_classifier.web.config import load_settings

    yield from os.environ.items()
    trees = [as_tree(settings)] if settings else []
    with suppress(EdgeClassifierError, OSError):
        trees.append(_web_tree())
    for tree in trees:
        yield from ((str(key[-1]), str(value)) for key, value in leaves(tree))
    texts = list(options.assignments)
    for file in (find_file(settings_sources(options)), load_settings.SYSTEM_FILE):
        with suppress(OSError):
            texts.append(file.read_text("utf-8", "replace") if file else "")
    for text in texts:
        yield from ((name, value.strip("\"'")) for name, value in _ASSIGNMENT.findall(text))


def _newest_pictures(settings: Settings | None) -> dict[str, bytes]:
    given = settings.device.state_folder if settings else None
    folder = (given or _STATES[0]) / "pictures"
    found: dict[str, bytes] = {}
    with suppress(OSError):
        names = sorted(folder.glob("*/*.jpg"), key=lambda path: path.name)[-_PICTURES:]
        for path in names:
            found[f"pictures/{path.parent.name}/{path.name}"] = path.read_bytes()
    return found
