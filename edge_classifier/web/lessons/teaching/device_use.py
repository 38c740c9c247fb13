"""A taught model on devices: asked for over MQTT beside the page's requests, and taken back."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from edge_classifier.errors import EdgeClassifierError, UsageError
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.database_away import is_away
from edge_classifier.web.installed_models.store import InstalledModel, ModelStore
from edge_classifier.web.lessons.teaching import taught_files
from edge_classifier.web.lessons.teaching.tables import ModelUse, TaughtModel
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.wording import explained, quoted

_log = logging.getLogger(__name__)
# A device may have to fetch the file first, over a slow network, and takes a while to try it.
ANSWER_S = 300.0
_AT_ONCE = 4
_CHUNK = 1 << 20
# What daemons older than these keys answer.
_NO_SUCH_KEY = "takes no"
# A status, and what is said of it.
_Outcome = tuple[Any, str]


def install(taught: TaughtModel, models: ModelStore, folders: Folders) -> InstalledModel:
    """``taught`` among the installed models, under the lesson's name and its number.

    Raises what ``ModelStore.add`` does, and UsageError where its file has gone.
    """
    there = next((one for one in models.installed() if one.sha256 == taught.sha256), None)
    if there is None:
        path = taught_files.model_file(folders, taught.lesson, taught.number)
        report = taught_files.report_page(folders, taught.lesson, taught.number)
        figures = report.with_suffix(".json")
        try:
            with path.open("rb") as file:
                there = models.add(
                    str(taught),
                    iter(partial(file.read, _CHUNK), b""),
                    figures.read_bytes() if figures.is_file() else b"",
                )
        except FileNotFoundError as error:
            raise UsageError(
                path.name, "is not kept any more", "Teach the lesson again."
            ) from error
    if taught.model != there.name:
        taught.model = there.name
        # Not ``save``, which fails where somebody has just deleted it.
        TaughtModel.objects.filter(pk=taught.pk).update(model=there.name)
    return there


@dataclass(frozen=True, slots=True)
class Place:
    """A device, or one camera of it."""

    device: str
    # Empty: all.
    camera: str = ""
    # What people call the camera.
    title: str = field(default="", compare=False)
    is_offline: bool = field(default=False, compare=False)

    @property
    def key(self) -> str:
        """As forms and addresses name it; neither part has a slash."""
        return f"{self.device}/{self.camera}"

    @property
    def name(self) -> str:
        """For people."""
        if self.title and self.title != self.camera:
            return self.title
        return self.key if self.camera else self.device


class DeviceModels:
    """Asks devices to run models, a few at a time; what they answer is in the database."""

    def __init__(self, live: LiveClient, models: ModelStore) -> None:
        self._live, self._models = live, models
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="device-model")

    def close(self) -> None:
        """Ask no more; who has not answered yet is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def use(self, taught: TaughtModel, model: InstalledModel, places: Iterable[Place]) -> None:
        """Ask each of ``places`` to run ``model``, the installed ``taught``."""
        for place in places:
            # The model that it says it runs; empty: it says nothing.
            device = self._live.device(place.device) or {}
            camera = self._live.camera(place.device, place.camera) if place.camera else None
            found = (camera or {}).get("model") or device.get("model")
            before = str(found or "")
            use, is_new = ModelUse.objects.get_or_create(
                taught=taught,
                device=place.device,
                camera=place.camera,
                defaults={"asked_at": timezone.now()},
            )
            use.asked_at, use.status, use.message = timezone.now(), ModelUse.Status.ASKED, ""
            # Asked twice, what it ran before the first time is what it goes back to.
            if is_new or before != model.version:
                use.before = before
            use.save()
            body = {"model": model.name, "sha256": model.sha256}
            self._submit(use, partial(self._switch, use, body))

    def back(self, use: ModelUse) -> None:
        """Ask the device of ``use`` to run what it ran before."""
        use.asked_at, use.status, use.message = timezone.now(), ModelUse.Status.ASKED, ""
        use.save()
        self._submit(use, partial(self._switch_back, use))

    def _submit(self, use: ModelUse, work: Callable[[], _Outcome]) -> None:
        def run() -> None:
            try:
                use.status, use.message = work()
            except EdgeClassifierError as error:
                use.status, use.message = ModelUse.Status.FAILED, explained(error)
            except Exception as error:  # noqa: BLE001 (a thread's end would be seen by nobody)
                _log.exception("a device was not asked")
                use.status, use.message = ModelUse.Status.FAILED, type(error).__name__
            try:
                # It may have gone with its lesson.
                ModelUse.objects.filter(pk=use.pk).update(status=use.status, message=use.message)
            except DatabaseError as error:
                trace = None if is_away(error) else error
                _log.warning("what a device answered is not kept: %s", error, exc_info=trace)
            finally:
                connection.close()

        self._threads.submit(run)

    def _switch(self, use: ModelUse, body: dict[str, str]) -> _Outcome:
        answer = self._ask(use, body)
        if answer.get("status") != "ok":
            return ModelUse.Status.FAILED, quoted(answer.get("error"))
        data = answer.get("data")
        resting = data.get("resting_rules") if isinstance(data, dict) else None
        lines = [quoted(rule) for rule in resting] if isinstance(resting, list) else []
        return ModelUse.Status.RUNS, "\n".join(lines)

    def _switch_back(self, use: ModelUse) -> _Outcome:
        """By name, or to the configured model where nothing else has that name."""
        name = use.before.partition("@")[0]
        known = {one.version: one.sha256 for one in self._models.installed()}
        body = {"model": name}
        if sha256 := known.get(use.before):
            body["sha256"] = sha256
        answer = self._ask(use, body) if name else {}
        if answer.get("status") != "ok":
            answer = self._ask(use, {"model": ""})
        if answer.get("status") != "ok":
            return ModelUse.Status.FAILED, quoted(answer.get("error"))
        data = answer.get("data")
        running = quoted(data.get("model")) if isinstance(data, dict) else ""
        return ModelUse.Status.BACK, running

    def _ask(self, use: ModelUse, body: dict[str, str]) -> dict[str, Any]:
        """Its answer; a daemon that does not know a key is asked without ``sha256``."""
        whole = {**body, **({"camera": use.camera} if use.camera else {})}
        answer = self._live.request(use.device, "model", whole, ANSWER_S)
        if "sha256" in whole and f"{_NO_SUCH_KEY} sha256" in str(answer.get("error")):
            del whole["sha256"]
            answer = self._live.request(use.device, "model", whole, ANSWER_S)
        return answer
