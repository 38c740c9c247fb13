"""Teaching a lesson: the run, what came of it, trying it on a camera, and using it."""

from contextlib import ExitStack
from functools import cache
from uuid import UUID

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import close_old_connections
from django.db.models import Max
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from edge_classifier.errors import EdgeClassifierError, UsageError
from edge_classifier.web.accounts.roles import SWITCHES_MODELS, AccessLevel, requires
from edge_classifier.web.installed_models.uploaded_report import MOST_BYTES
from edge_classifier.web.installed_models.views import errors_as_messages
from edge_classifier.web.lessons import storage
from edge_classifier.web.lessons.display import taught_name
from edge_classifier.web.lessons.tables import Lesson, LessonPicture
from edge_classifier.web.lessons.teaching.device_use import install
from edge_classifier.web.lessons.teaching.panel import (
    heard_cameras,
    heard_places,
    model_path,
    panel_context,
    report_page,
)
from edge_classifier.web.lessons.teaching.tables import ModelUse, RightAsItIs, TaughtModel
from edge_classifier.web.lessons.teaching.try_stream import LONGEST_PX, RATE_FPS, TryStream
from edge_classifier.web.lessons.views import lesson_or_404
from edge_classifier.web.live.views import may_watch
from edge_classifier.web.models import Label
from edge_classifier.web.templatetags.words import label_name
from edge_classifier.web.wording import translated

# Of what a report may do: it is a page of ours, with texts that come from pictures' names.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@require_GET
@requires(AccessLevel.REVIEWER)
def panel(request: HttpRequest, key: UUID) -> HttpResponse:
    """The part of the lesson's page that is about teaching, as it is now."""
    lesson = lesson_or_404(key)
    return render(request, "teaching/panel.html", panel_context(request, lesson))


@require_POST
@requires(AccessLevel.REVIEWER)
def teach(request: HttpRequest, key: UUID) -> HttpResponse:
    """Begin to teach the lesson."""
    lesson = lesson_or_404(key)
    with errors_as_messages(request):
        request.services.teacher.start(lesson)
    return _to_panel(lesson)


@require_POST
@requires(AccessLevel.REVIEWER)
def cancel(request: HttpRequest, key: UUID) -> HttpResponse:
    """End the run."""
    lesson = lesson_or_404(key)
    request.services.teacher.cancel(lesson)
    return _to_panel(lesson)


@require_POST
@requires(AccessLevel.REVIEWER)
def settle(request: HttpRequest, key: UUID) -> HttpResponse:
    """A picture that looks wrongly filed: moved to the class ``to``, or right as it is."""
    lesson = lesson_or_404(key)
    given = request.POST.get("picture", "")
    picture = LessonPicture.objects.filter(
        lesson=lesson, pk=_number(given), removed_at=None
    ).first()
    if picture is None:
        messages.error(request, _("This picture is not there any more."))
    elif "right" in request.POST:
        RightAsItIs.objects.update_or_create(picture=picture, defaults={"of": picture.of})
    elif to := lesson.classes.filter(pk=_number(request.POST.get("to", ""))).first():
        storage.move(lesson, [picture.pk], to)
    else:
        messages.error(request, _("This class is not there any more."))
    return _to_panel(lesson)


@require_GET
@requires(AccessLevel.REVIEWER)
def report(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The whole report of one model, as ``edge-classify evaluate`` writes it."""
    try:
        page = report_page(request, lesson_or_404(key), number).open("rb")
    except OSError as error:
        raise Http404 from error
    with page:
        answer = HttpResponse(page.read())
    answer.headers["Content-Security-Policy"] = _REPORT_POLICY
    return answer


@require_GET
@requires(AccessLevel.REVIEWER)
def try_live(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """A camera, with what the taught model says beside what the present one does."""
    lesson = lesson_or_404(key)
    taught = _taught_or_404(lesson, number)
    places = heard_cameras(request)
    wanted = request.GET.get("camera", "")
    chosen = next((one for one in places if one.key == wanted), None)
    context = {
        "lesson": lesson,
        "taught": taught,
        "places": places,
        # Whoever is offline is nobody's first choice.
        "chosen": chosen or next((one for one in places if not one.is_offline), None),
        "has_file": model_path(request, taught) is not None,
        "has_broker": request.services.live is not None,
    }
    return render(request, "teaching/try.html", context)


@require_GET
@requires(AccessLevel.REVIEWER)
def try_stream(request: HttpRequest, key: UUID, number: int) -> HttpResponseBase:
    """Server-sent events: frames of ``device`` and ``camera`` with the model's scores."""
    services = request.services
    taught = _taught_or_404(lesson_or_404(key), number)
    model = model_path(request, taught)
    device, camera = request.GET.get("device", ""), request.GET.get("camera", "")
    live = services.live
    if live is None or services.bursts is None or model is None:
        raise Http404
    shown = live.camera(device, camera)
    if shown is None:
        raise Http404
    # Where the camera has this very model, its unknown is the lesson's, too.
    runs_it = shown["model"].endswith(f"@{taught.sha256[:8]}")
    language, hung_up = get_language(), request.META.get("waitress.client_disconnected")
    stack = ExitStack()
    try:
        view = stack.enter_context(
            services.bursts.open(
                device, camera, rate_fps=RATE_FPS, longest_px=LONGEST_PX, owner=request.user.pk
            )
        )
    except EdgeClassifierError as error:
        return _unavailable(translated(error.problem))

    def name(label: str, chinese: str) -> str:
        with override(language):
            return taught_name(label, chinese)

    @cache
    def name_now(label: str) -> str:
        known = Label.objects.filter(name=label).first() or Label(name=label)
        close_old_connections()
        with override(language):
            return taught_name(label, known.chinese) if runs_it else label_name(known)

    stream = TryStream(
        view,
        stack,
        classify=lambda jpeg: services.worker.score(jpeg, model),
        slots=live.slots,
        name=name,
        name_now=name_now,
        may_watch=lambda: may_watch(request, AccessLevel.REVIEWER),
        is_gone=lambda: live.is_over or bool(hung_up and hung_up()),
        snapshot=lambda: live.frame(device, camera),
    )
    if not live.slots.take(stream, request.user.pk):
        stack.close()
        return _unavailable(_("Too many live pages are open."))
    close_old_connections()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


@require_POST
@requires(SWITCHES_MODELS)
def use(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """Install the model, and ask the chosen devices and cameras to run it."""
    lesson, services = lesson_or_404(key), request.services
    taught = _taught_or_404(lesson, number)
    wanted = set(request.POST.getlist("place"))
    places = [one for one in heard_places(request) if one.key in wanted]
    with errors_as_messages(request):
        model = install(taught, services.models, services.folders)
        if services.device_models and places:
            services.device_models.use(taught, model, places)
        else:
            text = _("%s is among the models now.") % model.name
            messages.success(request, text)
    return _to_panel(lesson)


@require_POST
@requires(SWITCHES_MODELS)
def go_back(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """Ask a device to run the model that it ran before."""
    lesson = lesson_or_404(key)
    found = ModelUse.objects.filter(pk=number, taught__lesson=lesson).first()
    if found and request.services.device_models:
        request.services.device_models.back(found)
    return _to_panel(lesson)


@require_http_methods(["POST"])
@requires(AccessLevel.ADMINISTRATOR)
def upload(request: HttpRequest, key: UUID) -> HttpResponse:
    """A model that was trained elsewhere, from the lesson's class folders."""
    lesson, services = lesson_or_404(key), request.services
    with errors_as_messages(request):
        file: UploadedFile | None = request.FILES.get("model")
        figures: UploadedFile | None = request.FILES.get("report")
        if getattr(request, "too_large", []):  # Known once the files have been read.
            most = services.settings.uploads.model_max_mb
            raise UsageError("model", _("The file is larger than %g MB.") % most)
        if file is None:
            raise UsageError("model", _("Choose a .tflite file, or a zip with one."))
        if figures and figures.size > MOST_BYTES:
            raise UsageError("report.json", _("report.json is too large."))
        number = 1 + (lesson.taught.aggregate(last=Max("number"))["last"] or 0)
        report_json = figures.read() if figures else b""
        added = services.models.add(f"{lesson} {number}", file.chunks(), report_json)
        TaughtModel.objects.create(
            lesson=lesson,
            number=number,
            origin=TaughtModel.Origin.TRAINED,
            taught_from=timezone.now(),
            sha256=added.sha256,
            model=added.name,
        )
        messages.success(request, _("%s has been tried, and is installed.") % added.name)
    return _to_panel(lesson)


def _taught_or_404(lesson: Lesson, number: int) -> TaughtModel:
    found = lesson.taught.filter(number=number).first()
    if found is None:
        raise Http404
    return found


def _number(text: str) -> int:
    """An id from a form; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _unavailable(text: str) -> HttpResponse:
    kind = "text/plain; charset=utf-8"
    return HttpResponse(text, content_type=kind, status=503, headers={"Retry-After": "60"})


def _to_panel(lesson: Lesson) -> HttpResponse:
    return redirect(f"{reverse('lesson', kwargs={'key': lesson.key})}#teaching")
