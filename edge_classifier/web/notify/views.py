"""The page of notifications: its rules, what a rule would have sent, what was sent, and tests."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.errors import ConfigurationError
from edge_classifier.installation import how_to_add
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Record
from edge_classifier.web.notify import outbox
from edge_classifier.web.notify.addresses import read_addresses
from edge_classifier.web.notify.forms import RuleForm, as_query, as_toml
from edge_classifier.web.notify.message_text import REASONS
from edge_classifier.web.notify.replay import MOST, replay
from edge_classifier.web.notify.rules import in_messages
from edge_classifier.web.notify.sending import PROBLEMS
from edge_classifier.web.notify.tables import Notification
from edge_classifier.web.wording import explained, sentences, translated

# Messages that were sent, and those of a trial that are shown; sightings of one of them.
_LISTED, _TRIED, _SHOWN = 20, 50, 12


@dataclass(frozen=True, slots=True)
class DisplayedRule:
    """One rule of the settings."""

    rule: NotificationRule
    # What kinds of addresses it has, as ``ntfy``; nothing else of them is shown.
    services: list[str]
    # Why it has none.
    problem: str
    # The form that tries it.
    query: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have sent."""

    # Each with the records that it would tell of, and why.
    messages: list[list[tuple[Record, str]]]
    count: int
    is_whole: bool
    most: int
    toml: str


@require_safe
@requires(AccessLevel.ADMINISTRATOR)
def page(request: HttpRequest) -> HttpResponse:
    """The page; with ``day`` in its address, a rule is tried on that day."""
    services = request.services
    form = RuleForm(request.GET if "day" in request.GET else None)
    rules = []
    for rule in services.settings.notify:
        try:
            found, problem = read_addresses(rule), ""
        except ConfigurationError as error:
            found, problem = [], f"{error.subject}: {explained(error)}"
        kinds = [one.service or gettext("not an address") for one in found]
        rules.append(DisplayedRule(rule, kinds, problem, as_query(rule)))
    context: dict[str, Any] = {
        "form": form,
        "rules": rules,
        "notifier": services.notifier,
        "trouble": sentences(translated(services.notifier.problem)) if services.notifier else "",
        "failures": services.notifier.failures if services.notifier else [],
        "how_to_add_apprise": "" if find_spec("apprise") else how_to_add("notify"),
        "sent": [
            (one, gettext(PROBLEMS.get(one.problem, one.problem)) if one.problem else "")
            for one in Notification.objects.order_by("-id")[:_LISTED]
        ],
    }
    if form.is_bound and form.is_valid():
        context["trial"] = _trial(form)
    return render(request, "notify/notify.html", context)


def _trial(form: RuleForm) -> Trial:
    rule = form.rule()
    found = replay(rule, *form.span())
    told = in_messages(rule, found.matches)
    shown = [message[:_SHOWN] for message in told[:_TRIED]]
    ids = [match.sighting.id for message in shown for match in message]
    records = Record.objects.select_related("label", "camera").in_bulk(ids)
    return Trial(
        [
            [
                (records[match.sighting.id], gettext(REASONS[match.reason]) if match.reason else "")
                for match in message
                if match.sighting.id in records
            ]
            for message in shown
        ],
        len(told),
        found.is_whole,
        MOST,
        as_toml(rule),
    )


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def test(request: HttpRequest) -> HttpResponse:
    """Send a test message of the rule ``rule``; the page shows how that ended."""
    services = request.services
    name = request.POST.get("rule", "")
    rule = next((one for one in services.settings.notify if one.name == name), None)
    if rule is None or services.notifier is None:
        messages.error(request, gettext("There is no such rule."))
    elif outbox.add_test(rule, timezone.now()):
        services.notifier.wake()
        messages.success(request, gettext("A test message is on its way; see below how it went."))
    else:
        messages.error(request, gettext("A test message of this rule is still on its way."))
    return redirect("notify")
