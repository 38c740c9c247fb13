"""Model files, for daemons."""

import logging
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from ninja import Path, Router
from ninja.errors import HttpError
from ninja.security import HttpBearer

from edge_classifier.web.accounts import throttle, tokens
from edge_classifier.web.api.problems import PROBLEM, TooManyError, errors
from edge_classifier.web.installed_models import device_tokens
from edge_classifier.web.installed_models.file_response import file_response
from edge_classifier.web.models import DeviceToken

_log = logging.getLogger(__name__)
router = Router(tags=["Devices"])
_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class DeviceTokenAuth(HttpBearer):
    """A device's token. A person's is refused: a device that is stolen must not have had one."""

    openapi_description = "A device's token, which administrators make at /models/tokens."

    def authenticate(self, request: HttpRequest, token: str) -> DeviceToken:
        """Raises HttpError for any other token."""
        limits = request.services.throttle
        wait_s = limits.allow_guess(request)
        if wait_s is not None:
            raise TooManyError("Too many wrong tokens from this address.", wait_s)
        if found := device_tokens.find(token):
            return found
        who = throttle.address(request)
        if tokens.user_of(token):
            _log.warning("models: %s sent a person's token", who)
            raise HttpError(HTTPStatus.FORBIDDEN, "Models are fetched with a device's token.")
        limits.count_guess(request)
        _log.warning("models: %s sent a token that is not known, or was revoked", who)
        raise HttpError(HTTPStatus.UNAUTHORIZED, "This token is not known, or was revoked.")


@router.api_operation(["HEAD"], "/models/{sha256}", auth=DeviceTokenAuth(), include_in_schema=False)
@router.get(
    "/models/{sha256}",
    auth=DeviceTokenAuth(),
    response=errors(403, 404, 422, 503),
    summary="The file of a model",
    openapi_extra={
        "responses": {
            200: {"description": "All of it", "content": _FILE},
            206: {"description": "The range that was asked for", "content": _FILE},
            304: {"description": "`If-None-Match` has its hash"},
            416: {"description": "It has no such range", "content": {PROBLEM: {}}},
        }
    },
)
def model_file(
    request: HttpRequest, sha256: str = Path(pattern="^[0-9a-f]{64}$", description="Of the file")
) -> HttpResponse:
    """The file with this SHA-256. For daemons, which resume by `Range` what was cut off."""
    services = request.services
    model = next((one for one in services.models.installed() if one.sha256 == sha256), None)
    if model is None:
        raise HttpError(HTTPStatus.NOT_FOUND, "There is no such model here.")
    return file_response(request, model, services.downloads, ("device", request.auth.pk))
