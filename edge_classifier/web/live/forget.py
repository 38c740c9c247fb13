"""Forgets a device that is gone: what the broker keeps on its own topics is taken back."""

import logging

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.live.live_client import LiveClient

_log = logging.getLogger(__name__)
# The broker tells us as it tells everybody.
_WITHIN_S = 5.0


@require_POST
@requires(AccessLevel.REVIEWER)
def forget(request: HttpRequest) -> HttpResponse:
    """Forget ``device``. What was recorded of it stays, and it is there again if it comes back."""
    live: LiveClient | None = request.services.live
    name = request.POST.get("device", "")
    device = live.device(name) if live else None
    if live is None or device is None:
        raise Http404
    if device["online"] is not False:
        messages.error(request, gettext("%s is not offline, and stays.") % name)
        return redirect("live")
    if not all(live.publish(topic, b"", retain=True) for topic in live.kept_topics(name)):
        messages.error(request, gettext("There is no connection to the broker just now."))
    elif live.await_gone(name, _WITHIN_S):
        _log.info("%s has %s forgotten", request.user, name)
        messages.success(request, gettext("%s is forgotten.") % name)
    else:
        text = gettext(
            "The broker still keeps what %s has told. Its access list must let this page write"
            " the topics of devices."
        )
        messages.error(request, text % name)
    return redirect("live")
