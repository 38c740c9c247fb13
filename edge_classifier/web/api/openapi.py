"""The API's description in OpenAPI, and who may read it."""

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.operation import Operation
from ninja.renderers import JSONRenderer

from edge_classifier.web.api.authentication import authenticate
from edge_classifier.web.api.problems import PROBLEM, refused

_JSON = "application/json"
_HTML = "text/html"


class JsonRenderer(JSONRenderer):
    """JSON with Chinese characters as they are, not escaped."""

    json_dumps_params: ClassVar = {"ensure_ascii": False}


class DocumentedApi(NinjaAPI):
    """Ninja's API, whose description has the content type of problems."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of its function: clients that are generated have short names."""
        return str(operation.view_func.__name__)

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """OpenAPI 3.1 as JSON values. Made once: it takes a while, and a lot of memory."""
        schema: dict[str, Any] = super().get_openapi_schema()
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if int(status) >= 400:
                        response["content"] = {PROBLEM: response["content"].pop(_JSON)}
                for parameter in operation["parameters"]:
                    # A list, which a schema may have, and has; OpenAPI wants names for those of a
                    # parameter.
                    parameter.pop("examples", None)
        return schema

    def get_openapi_schema(self, **_: Any) -> dict[str, Any]:
        """The same; ninja asks for it."""
        return self.openapi


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator for the description: needs a token or a login; browsers are sent to the login."""

    @wraps(view)
    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            authenticate(request)
        except HttpError as error:
            if request.get_preferred_type([_JSON, _HTML]) == _HTML:
                return redirect_to_login(request.get_full_path())
            return refused(request, error)
        return view(request, **kwargs)

    return answer
