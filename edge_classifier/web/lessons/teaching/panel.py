"""The part of a lesson's page that is about teaching it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.utils.translation import get_language

from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching import taught_files
from edge_classifier.web.lessons.teaching.device_use import Place
from edge_classifier.web.lessons.teaching.results import shown
from edge_classifier.web.lessons.teaching.tables import ModelUse, TaughtModel

_MOST_PLACES = 200


def panel_context(request: HttpRequest, lesson: Lesson) -> dict[str, Any]:
    """What ``teaching/panel.html`` shows: the run, and what the newest model is worth."""
    services = request.services
    run = services.teacher.run_of(lesson)
    models = list(lesson.taught.prefetch_related("uses")[: taught_files.MOST_KEPT])
    newest = models[0] if models else None
    uses = _last_uses([use for one in models for use in one.uses.all()])
    return {
        "lesson": lesson,
        "run": run,
        "problem": "" if run else services.teacher.problem_of(lesson),
        "newest": newest,
        "result": shown(newest, list(lesson.classes.all())) if newest else None,
        "is_behind": newest is not None and newest.taught_from < lesson.changed_at,
        "has_report": newest is not None and report_page(request, lesson, newest.number).is_file(),
        "has_file": newest is not None and model_path(request, newest) is not None,
        "earlier": models[1:],
        "places": heard_places(request),
        "uses": uses,
        "is_busy": bool(run) or any(use.status == ModelUse.Status.ASKED for use in uses),
        "has_broker": services.live is not None,
        "most_mb": services.settings.uploads.model_max_mb,
    }


def _last_uses(uses: Iterable[ModelUse]) -> list[ModelUse]:
    """What each place was asked last; where that has failed or been undone, also what it runs."""
    found: dict[tuple[str, str], list[ModelUse]] = {}
    for use in sorted(uses, key=lambda use: use.asked_at, reverse=True):
        last = found.setdefault((use.device, use.camera), [])
        is_settled = last and last[-1].status in (ModelUse.Status.RUNS, ModelUse.Status.ASKED)
        if not last or (not is_settled and use.status == ModelUse.Status.RUNS):
            last.append(use)
    return [use for place in sorted(found) for use in found[place]]


def heard_places(request: HttpRequest) -> list[Place]:
    """Devices that have been heard of, each before its cameras where it has several."""
    live = request.services.live
    found: list[Place] = []
    for name, _, cameras in live.outline().devices if live else ():
        # Cameras are all offline with their device.
        is_offline = bool(cameras) and all(one.is_offline for one in cameras)
        found.append(Place(name, is_offline=is_offline))
        if len(cameras) > 1:
            found += [Place(name, one.name, one.title, one.is_offline) for one in cameras]
    return found[:_MOST_PLACES]


def heard_cameras(request: HttpRequest) -> list[Place]:
    """Cameras that have been heard of, whoever is offline last."""
    live = request.services.live
    found = live.outline().cameras[:_MOST_PLACES] if live else []
    return [Place(device, one.name, one.title, one.is_offline) for device, one in found]


def report_page(request: HttpRequest, lesson: Lesson, number: int) -> Path:
    """Where the page of a report is, in the reader's language; it may not be there."""
    language = "zh-Hans" if (get_language() or "").startswith("zh") else "en"
    return taught_files.report_page(request.services.folders, lesson, number, language)


def model_path(request: HttpRequest, taught: TaughtModel) -> Path | None:
    """Where its file is: as it was taught, or among the installed models; None: nowhere."""
    services = request.services
    path = taught_files.model_file(services.folders, taught.lesson, taught.number)
    if path.is_file():
        return path
    installed = services.models.installed() if taught.model else []
    return next((one.path for one in installed if one.sha256 == taught.sha256), None)
