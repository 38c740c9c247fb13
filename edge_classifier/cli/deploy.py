"""``edge-classify models deploy``: a roll-out on a web page, followed from a terminal."""

import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from edge_classifier.config.secrets import read_secret
from edge_classifier.core.text import escaped
from edge_classifier.errors import (
    ConfigurationError,
    ExitCode,
    MissingFileError,
    UnavailableError,
    UsageError,
)
from edge_classifier.files import is_file, why_missing
from edge_classifier.modelfile.catalogue import sha256_of

TOKEN_VARIABLE = "EDGE_CLASSIFIER_TOKEN"  # noqa: S105 (where it is, not what)
_TIMEOUT_S, _PERIOD_S = 30.0, 2.0
# The page answers an upload when a process of its own has run the model.
_TRIAL_S = 300.0
# What is a file, and no name.
_SUFFIXES = (".tflite", ".zip")
# A page that is started again is away for a moment.
_PATIENCE_S = 120.0
# Option, key of the request, and what it says; a dot: in ``limits``. Without one, the page decides.
_NUMBERS = (
    ("--first", "first", int, "devices of the first step (1)"),
    ("--batch", "batch", int, "devices of each further step (10)"),
    ("--watch", "watch_minutes", float, "minutes for which each is watched (30)"),
    ("--patience", "patience_minutes", float, "minutes longer, where events are few (60)"),
    ("--away", "away_minutes", float, "minutes that an absent device is waited for (10)"),
    ("--hours", "hours", float, "in all; who returns until then gets the model (24)"),
    ("--max-lost", "limits.lost", int, "devices that may refuse, fail or be away (1)"),
    ("--max-unknown", "limits.unknown", float, "rise of the share of time in unknown (0.1)"),
    ("--max-slower", "limits.slower", float, "times as long a frame (1.5)"),
    ("--max-restarts", "limits.restarts", int, "restarts while it is watched (1)"),
    ("--max-disagreement", "limits.disagreement", float, "share of other labels than before (0.5)"),
    ("--observations", "limits.observations", int, "changes of label to judge a camera by (20)"),
)
_OVER = ("done", "halted", "stopped")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="name of a model that is on the page, or a .tflite file, which is uploaded first",
    )
    parser.add_argument(
        "--to",
        nargs="+",
        required=True,
        metavar="NAME",
        help="devices, or cameras of theirs; * and ? stand for anything. The first one is first",
    )
    parser.add_argument(
        "--camera",
        default="",
        metavar="NAME",
        help="only this camera of each device, as a model of its own (default: the common model)",
    )
    parser.add_argument(
        "--page", type=_page_address, required=True, metavar="URL", help="https://page.example.org"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"with the token of an administrator (default: ${TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="the authority of the page's certificate"
    )
    parser.add_argument("--running", default="", metavar="MODEL", help="only those that run it")
    parser.add_argument(
        "--label", default="", help="only those that have shown it, or whose model knows it"
    )
    for option, key, kind, help_ in _NUMBERS:
        parser.add_argument(option, type=kind, dest=key, metavar="N", help=help_)
    parser.add_argument(
        "--needs-evidence", action="store_true", help="halt where too little was seen to judge"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--no-wait", action="store_true", help="begin it, and do not wait for its end"
    )


def deploy(options: Namespace, *_: object, sleep: Callable[[float], None] = time.sleep) -> ExitCode:
    """Begin a roll-out, tell how it goes, and return how it ended."""
    page = PageApi(options.page, _token(options), options.ca_file)
    model = _on_page(page, options)
    body: dict[str, Any] = {
        "model": model,
        "to": options.to,
        "camera": options.camera,
        "running": options.running,
        "label": options.label,
        "dry_run": options.dry_run,
        "limits": {"needs_evidence": options.needs_evidence},
    }
    for _option, key, _kind, _help in _NUMBERS:
        value, name = getattr(options, key), key.removeprefix("limits.")
        if value is not None:
            (body["limits"] if name != key else body)[name] = value
    begun = page.ask("/rollouts", body)
    told = begun
    if not (options.dry_run or options.no_wait):
        told = _follow(page, begun, sleep)
    if options.json:
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        _print(told)
    if options.dry_run or options.no_wait:
        return ExitCode.OK
    if told["state"] == "halted":
        # It went back.
        return ExitCode.BAD_DATA
    has_all = all(one["state"] == "kept" for one in told["devices"])
    return ExitCode.OK if told["state"] == "done" and has_all else ExitCode.UNAVAILABLE


def _on_page(page: "PageApi", options: Namespace) -> str:
    """The name that the model has on the page, to which its file is sent where it is not there."""
    path = Path(options.model)
    if path.suffix not in _SUFFIXES:
        return str(options.model)
    if not is_file(path):
        raise MissingFileError(str(path), why_missing(path, "file"))
    sha256 = sha256_of(path)
    models: list[dict[str, str]] = page.ask("/models")["models"]
    if here := next((one["name"] for one in models if one["sha256"] == sha256), ""):
        print(escaped(f"{path.name} is on the page already: {here}"), file=sys.stderr)
        return here
    if options.dry_run:
        remedy = "Without --dry-run it is uploaded first; or upload it on the page, under Models."
        raise UsageError("--dry-run", f"{path.name} is not on the page yet", remedy)
    with path.open("rb") as file:
        told = page.ask(f"/models?{urlencode({'name': path.stem})}", file)
    print(escaped(f"{path.name} has been uploaded and tried: {told['name']}"), file=sys.stderr)
    return str(told["name"])


def _page_address(text: str) -> str:
    """An address to which a token may be sent."""
    found = urlsplit(text)
    is_here = found.hostname in ("localhost", "127.0.0.1", "::1")
    if found.scheme != "https" and not (found.scheme == "http" and is_here):
        raise ArgumentTypeError("must begin with https:// (http:// for this very machine)")
    if not found.hostname:
        raise ArgumentTypeError("names no machine")
    return text.rstrip("/")


def _token(options: Namespace) -> str:
    if options.token_file:
        if not is_file(options.token_file):
            raise MissingFileError(str(options.token_file), why_missing(options.token_file, "file"))
        found = read_secret(options.token_file, "")
        token = found.reveal() if found else ""
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        remedy = f"Make one on the page, at /tokens; name its file, or set ${TOKEN_VARIABLE}."
        raise UsageError("--token-file", "there is no token", remedy)
    return token


@dataclass(frozen=True, slots=True)
class PageApi:
    """The page's API, as far as it is needed here."""

    page: str
    token: str
    ca_file: Path | None = None

    def ask(self, path: str, body: Mapping[str, Any] | BinaryIO | None = None) -> dict[str, Any]:
        """The answer to GET, or with ``body`` to POST: as JSON, or a file as it is.

        Raises UnavailableError for a page that does not answer, and UsageError, MissingFileError or
        ConfigurationError for one that refuses.
        """
        kind, timeout_s = "application/json", _TIMEOUT_S
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        length = {}
        if data is not None and not isinstance(data, bytes):
            kind, timeout_s = "application/octet-stream", _TRIAL_S
            # Else it would be sent in chunks, and nobody knew beforehand how much comes.
            length = {"Content-Length": str(os.fstat(data.fileno()).st_size)}
        request = urllib.request.Request(  # noqa: S310 (http and https only: _page_address)
            f"{self.page}/api/v1{path}",
            data=data,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind, **length},
        )
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            opener = urllib.request.build_opener(
                _NoRedirect, urllib.request.HTTPSHandler(context=context)
            )
            with opener.open(request, timeout=timeout_s) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(self.page, error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(self.page, f"does not answer ({reason})") from error
        if not isinstance(found, dict):
            raise UnavailableError(self.page, "answers what makes no sense")
        return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the page that was named, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: it is an error then."""


def _refusal(page: str, error: urllib.error.HTTPError) -> Exception:
    try:
        detail = str(json.load(error)["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        detail = f"answers {error.code}"
    if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ConfigurationError(page, detail)
    if error.code == HTTPStatus.NOT_FOUND:
        return MissingFileError(page, detail)
    if error.code in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST):
        return UsageError(page, detail)
    return UnavailableError(page, detail)


def _follow(page: PageApi, begun: dict[str, Any], sleep: Callable[[float], None]) -> dict[str, Any]:
    """Tell what is written into the record, until it is over."""
    told, shown, missing_s = begun, 0, 0.0
    print(
        f"roll-out {begun['id']} goes on by itself: {page.page}/rollouts/{begun['id']}",
        file=sys.stderr,
    )
    while True:
        for line in told["record"][shown:]:
            device = f"{line['device']}: " if line["device"] else ""
            print(escaped(f"{line['at'][11:19]}  {device}{line['text']}"), file=sys.stderr)
        shown = len(told["record"])
        if told["state"] in _OVER:
            return told
        sleep(_PERIOD_S)
        try:
            told, missing_s = page.ask(f"/rollouts/{begun['id']}"), 0.0
        except UnavailableError:
            missing_s += _PERIOD_S
            if missing_s >= _PATIENCE_S:
                raise


def _print(told: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("step", "device", "state", "before", "what was found"):
        table.add_column(column, no_wrap=column == "device")
    for one in told["devices"]:
        said = "; ".join(filter(None, (one["note"], *one["findings"])))
        state = f"{one['state']}, away" if one["away"] else one["state"]
        step = str(one["step"] or "first")
        table.add_row(step, *map(escaped, (one["device"], state, one["before"], said)))
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)
