"""What views use besides the database: how it is started, and how a request has it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from django.apps import apps
from django.db import connection
from django.http import HttpRequest, HttpResponse

from edge_classifier.web.accounts.first_run import Invitation
from edge_classifier.web.accounts.throttle import Throttle
from edge_classifier.web.backup.schedule import BackupSchedule
from edge_classifier.web.comparison.runner import ComparisonRunner
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.lessons.teaching.device_use import DeviceModels
from edge_classifier.web.lessons.teaching.runs import LessonTeacher
from edge_classifier.web.live.bursts import Bursts
from edge_classifier.web.live.fragments import LiveHtml
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.lookalikes.announce import Announcer
from edge_classifier.web.lookalikes.encoder import PictureEncoder, is_wanted
from edge_classifier.web.maintenance.housekeeping import Housekeeping
from edge_classifier.web.notify.notifier import EventNotifier
from edge_classifier.web.recorder.received import longest_kept
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.rollouts.driver import RolloutDriver
from edge_classifier.web.worker.picture_worker import PictureWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What views use besides the database; each request has it, by ``with_services``."""

    settings: WebSettings
    folders: Folders
    worker: PictureWorker
    models: ModelStore
    comparisons: ComparisonRunner
    teacher: LessonTeacher
    throttle: Throttle
    invitation: Invitation
    # Places for downloads.
    downloads: StreamSlots
    live: LiveClient | None = None
    # Taught models on devices; there if ``live`` is.
    device_models: DeviceModels | None = None
    # There if ``live`` is.
    rollouts: RolloutDriver | None = None
    # Moving pictures of cameras; there if ``live`` is.
    bursts: Bursts | None = None
    # The drawn pieces of all live pages; there if ``live`` is.
    live_html: LiveHtml | None = None
    recorder: Recorder | None = None
    housekeeping: Housekeeping | None = None
    backups: BackupSchedule | None = None
    # There if there are rules.
    notifier: EventNotifier | None = None
    # Knows which pictures look alike; None where it is switched off, or the machine is small.
    encoder: PictureEncoder | None = None


def start_services(settings: WebSettings, folders: Folders, stack: ExitStack) -> Services:
    """All services, started; ``stack`` ends them, the last one first."""
    worker = PictureWorker(settings.classify, settings.uploads, folders.models)
    stack.callback(worker.close)
    live = recorder = None
    if settings.mqtt.enabled:
        live = LiveClient(settings)
        live.start()
        stack.callback(live.stop)
    notifier = None
    if settings.notify:
        # Before the recorder: whatever that records is told.
        notifier = EventNotifier(settings, folders.scratch)
        notifier.start()
        stack.callback(notifier.stop)
        # This thread needs it no more.
        connection.close()
    if settings.mqtt.enabled and settings.record.enabled:
        recorder = Recorder(settings)
        recorder.start()
        stack.callback(recorder.stop)
    housekeeping = Housekeeping(settings.retention, folders, kept=longest_kept(settings))
    housekeeping.start()
    stack.callback(housekeeping.stop)
    encoder = None
    if is_wanted(settings.lookalikes):
        encoder = PictureEncoder(settings.lookalikes, worker, Announcer(settings, live))
        encoder.start()
        stack.callback(encoder.stop)
    backups = None
    if settings.backup.every_hours:
        backups = BackupSchedule(settings, folders)
        backups.start()
        stack.callback(backups.stop)
    services = make_services(
        settings,
        folders,
        worker,
        live=live,
        recorder=recorder,
        housekeeping=housekeeping,
        backups=backups,
        notifier=notifier,
        encoder=encoder,
    )
    stack.callback(services.teacher.close)
    if services.device_models:
        stack.callback(services.device_models.close)
    if services.rollouts:
        services.rollouts.start()
        stack.callback(services.rollouts.stop)
    return services


def make_services(
    settings: WebSettings,
    folders: Folders,
    worker: PictureWorker,
    *,
    live: LiveClient | None = None,
    recorder: Recorder | None = None,
    housekeeping: Housekeeping | None = None,
    backups: BackupSchedule | None = None,
    notifier: EventNotifier | None = None,
    encoder: PictureEncoder | None = None,
) -> Services:
    """What views use, with those that run beside them: ``worker``, and what has threads."""
    most = settings.server.downloads
    models = ModelStore(settings.classify, folders.models, worker, live)
    return Services(
        settings=settings,
        folders=folders,
        worker=worker,
        models=models,
        comparisons=ComparisonRunner(folders.scratch),
        teacher=LessonTeacher(folders, models, settings.classify.memory_mb),
        throttle=Throttle(settings.access),
        invitation=Invitation(),
        downloads=StreamSlots(most, max(1, most // 2)),
        live=live,
        device_models=DeviceModels(live, models) if live else None,
        rollouts=RolloutDriver(live, models, worker) if live else None,
        bursts=live.bursts if live else None,
        live_html=LiveHtml(live, recorder, notifier) if live else None,
        recorder=recorder,
        housekeeping=housekeeping,
        backups=backups,
        notifier=notifier,
        encoder=encoder,
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
