"""Damages what the program reads, thousands of times, and looks at what comes of it.

    .venv-dev/bin/python scripts/trials/mutate.py [--count N] [--seed N] [--only KIND ...]

Pictures, models, settings, MQTT messages and uploads, N of each; the same seed makes the same
damage. Nothing may crash, hang, or end in an exception that is none of this project's errors; a
model may crash the child process that tries it. A few of each are in the tests. Exits with 1 when
something was found; each finding has its number. Needs the extra [dev].
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutations.damage import SEED, Findings, seeded

if TYPE_CHECKING:  # Works only after Django has been set up.
    from django.test import Client

_SHOWN = 20


def main() -> int:
    """Try each kind, and print the table."""
    kinds: Mapping[str, Callable[[Path, int, int], Findings]] = {
        "pictures": _pictures,
        "models": _models,
        "settings": _settings,
        "messages": _messages,
        "uploads": _uploads,
    }
    parser = argparse.ArgumentParser(description="Damage what the program reads.")
    parser.add_argument("--count", type=int, default=5_000, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N")
    parser.add_argument("--only", nargs="+", choices=kinds, default=list(kinds), metavar="KIND")
    options = parser.parse_args()
    wrong = 0
    print(f"{'kind':10}{'tried':>8}{'s':>8}{'slowest ms':>12}{'wrong':>8}  endings", flush=True)
    for kind in options.only:
        with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
            begun = time.perf_counter()
            found = kinds[kind](Path(folder), options.count, options.seed)
        seconds = time.perf_counter() - begun
        figures = f"{found.tried:8}{seconds:8.0f}{found.slowest_s * 1000:12.0f}"
        endings = ", ".join(f"{count} {name}" for name, count in found.endings.most_common())
        print(f"{kind:10}{figures}{len(found.wrong):8}  {endings}", flush=True)
        for line in found.wrong[:_SHOWN]:
            print(f"    {line}", flush=True)
        wrong += len(found.wrong)
    return 1 if wrong else 0


def _pictures(_folder: Path, count: int, seed: int) -> Findings:
    from tests.mutations.pictures import try_pictures

    with _libraries_silenced():
        return try_pictures(count, seeded(seed))


def _models(folder: Path, count: int, seed: int) -> Findings:
    from tests.mutations.models import try_models

    return try_models(folder, count, seeded(seed))


def _settings(folder: Path, count: int, seed: int) -> Findings:
    from tests.mutations.settings import try_settings

    return try_settings(folder, count, seeded(seed))


def _messages(folder: Path, count: int, seed: int) -> Findings:
    with _page():
        from tests.mutations.messages import try_messages

        return try_messages(folder, count, seeded(seed))


def _uploads(folder: Path, count: int, seed: int) -> Findings:
    with _page() as client:
        from tests.mutations.uploads import try_uploads

        return try_uploads(client, folder, count, seeded(seed))


@contextmanager
def _page() -> Iterator["Client"]:
    """The page in this process, as the tests have it, and an administrator's browser."""
    from django.apps import apps

    from edge_classifier.web import startup
    from tests.web.conftest import FOLDERS, SETTINGS
    from tests.web.working import working

    startup.migrate(FOLDERS)
    from django.test import Client

    from edge_classifier.web.models import User
    from edge_classifier.web.services import make_services

    user, _ = User.objects.get_or_create(username="mutate", role="administrator")
    client = Client(headers={"host": "localhost"})
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    with working(FOLDERS.models) as worker:
        apps.get_app_config("web").services = make_services(SETTINGS, FOLDERS, worker)
        yield client


@contextmanager
def _libraries_silenced() -> Iterator[None]:
    """Libtiff itself writes to standard error."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
