"""What views use besides the database: how it is started, and how a request has it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from django.apps import apps
from django.http import HttpRequest, HttpResponse

from edge_classifier.web.accounts.first_run import Invitation
from edge_classifier.web.accounts.throttle import Throttle
from edge_classifier.web.backup.schedule import BackupSchedule
from edge_classifier.web.comparison.runner import ComparisonRunner
from edge_classifier.web.folders import Folders
from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.live.fragments import LiveHtml
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.maintenance.housekeeping import Housekeeping
from edge_classifier.web.recorder.received import longest_kept
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.settings import WebSettings
from edge_classifier.web.worker.picture_worker import PictureWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What views use besides the database; each request has it, by ``with_services``."""

    settings: WebSettings
    folders: Folders
    worker: PictureWorker
    models: ModelStore
    comparisons: ComparisonRunner
    throttle: Throttle
    invitation: Invitation
    # Places for downloads.
    downloads: StreamSlots
    live: LiveClient | None = None
    # The drawn pieces of all live pages; there if ``live`` is.
    live_html: LiveHtml | None = None
    recorder: Recorder | None = None
    housekeeping: Housekeeping | None = None
    backups: BackupSchedule | None = None


def start_services(settings: WebSettings, folders: Folders, stack: ExitStack) -> Services:
    """All services, started; ``stack`` ends them, the last one first."""
    worker = PictureWorker(settings.classify, settings.uploads, folders.models)
    stack.callback(worker.close)
    live = recorder = None
    if settings.mqtt.enabled:
        live = LiveClient(settings)
        live.start()
        stack.callback(live.stop)
    if settings.mqtt.enabled and settings.record.enabled:
        recorder = Recorder(settings)
        recorder.start()
        stack.callback(recorder.stop)
    housekeeping = Housekeeping(settings.retention, folders, kept=longest_kept(settings))
    housekeeping.start()
    stack.callback(housekeeping.stop)
    backups = None
    if settings.backup.every_hours:
        backups = BackupSchedule(settings, folders)
        backups.start()
        stack.callback(backups.stop)
    return make_services(
        settings,
        folders,
        worker,
        live=live,
        recorder=recorder,
        housekeeping=housekeeping,
        backups=backups,
    )


def make_services(
    settings: WebSettings,
    folders: Folders,
    worker: PictureWorker,
    *,
    live: LiveClient | None = None,
    recorder: Recorder | None = None,
    housekeeping: Housekeeping | None = None,
    backups: BackupSchedule | None = None,
) -> Services:
    """What views use, with those that run beside them: ``worker``, and what has threads."""
    most = settings.server.downloads
    return Services(
        settings=settings,
        folders=folders,
        worker=worker,
        models=ModelStore(settings.classify, folders.models, worker, live),
        comparisons=ComparisonRunner(folders.scratch),
        throttle=Throttle(settings.access),
        invitation=Invitation(),
        downloads=StreamSlots(most, max(1, most // 2)),
        live=live,
        live_html=LiveHtml(live, recorder) if live else None,
        recorder=recorder,
        housekeeping=housekeeping,
        backups=backups,
    )


def with_services(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that gives each request ``services``: those of the server."""
    web = apps.get_app_config("web")

    def middleware(request: HttpRequest) -> HttpResponse:
        request.services = web.services
        return get_response(request)

    return middleware
