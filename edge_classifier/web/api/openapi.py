"""The API's description in OpenAPI, and who may read it."""

import json
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.operation import Operation
from ninja.renderers import JSONRenderer
from ninja.responses import NinjaJSONEncoder

from edge_classifier.web.accounts.roles import AccessLevel
from edge_classifier.web.api.authentication import authenticate, require_role
from edge_classifier.web.api.problems import PROBLEM, ProblemDetails, refused

_JSON = "application/json"
_HTML = "text/html"
_SCHEMAS = "#/components/schemas/"


class JsonRenderer(JSONRenderer):
    """JSON with Chinese characters as they are, not escaped."""

    json_dumps_params: ClassVar = {"ensure_ascii": False}


class DocumentedApi(NinjaAPI):
    """Ninja's API, whose description has the content type of problems."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of its function: clients that are generated have short names."""
        return str(operation.view_func.__name__)

    @cached_property
    def openapi_text(self) -> str:
        """OpenAPI 3.1 as JSON. Made once, as it takes a while; its values take far more memory."""
        schema: dict[str, Any] = super().get_openapi_schema()
        problem = ProblemDetails.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        parts = problem.pop("$defs")
        schema["components"]["schemas"] |= {**parts, ProblemDetails.__name__: problem}
        refusal = {PROBLEM: {"schema": {"$ref": f"{_SCHEMAS}{ProblemDetails.__name__}"}}}
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if int(status) >= 400:
                        response["content"] = refusal
                for parameter in operation["parameters"]:
                    # A list, which a schema may have, and has; OpenAPI wants names for those of a
                    # parameter.
                    parameter.pop("examples", None)
        return json.dumps(schema, cls=NinjaJSONEncoder, ensure_ascii=False)

    def get_openapi_schema(self, **_: Any) -> dict[str, Any]:
        """The same as values; ninja asks for it."""
        return dict(json.loads(self.openapi_text))


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


def refuse_below(least: AccessLevel) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for an operation: whoever may not ask is told that, and not what is wrong with it.

    Ninja reads what was sent before an operation can say no.
    """

    def wrap(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                authenticate(request)
                require_role(request, least)
            except HttpError as error:
                return refused(request, error)
            return view(request, *args, **kwargs)

        return answer

    return wrap
