"""Home Assistant's ingress: what its proxy says of a request, and nobody else may say.

Home Assistant's Supervisor shows an add-on's page below a path of its own, and names the user whom
Home Assistant has logged in (developers.home-assistant.io, "Presenting your app").
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from waitress.utilities import Error

# Of a WSGI environment; no header can have such a name.
VISITOR = "edge_classifier.ingress_visitor"
_PATH = "HTTP_X_INGRESS_PATH"
_ID, _NAME = "HTTP_X_REMOTE_USER_ID", "HTTP_X_REMOTE_USER_NAME"
_DISPLAY_NAME = "HTTP_X_REMOTE_USER_DISPLAY_NAME"
_PATH_FORM = re.compile(r"(/[\w-]{1,128}){1,8}", re.ASCII)
_ID_FORM = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME = 100

Application = Callable[..., Any]


class IngressVisitor(NamedTuple):
    """Whom Home Assistant has logged in; an old one does not say it: all are empty."""

    id: str
    # Empty for who logs in there without one.
    username: str
    # For people: the user name, or what they are called.
    name: str


class _ForbiddenError(Error):
    """The server's answer to who passes for the proxy."""

    code, reason = 403, "Forbidden"


def believe_ingress(application: Application, proxy: str) -> Application:
    """``application``, below the path and with the visitor that the proxy at ``proxy`` names.

    Whoever else sends such headers is refused. To be called with the address of the connection
    itself as REMOTE_ADDR.
    """

    def believing(environ: dict[str, Any], start_response: Any) -> Any:
        names = (_PATH, _ID, _NAME, _DISPLAY_NAME)
        said = {name: environ.pop(name) for name in names if name in environ}
        if not said:
            return application(environ, start_response)
        # WSGI has the bytes of a header as Latin-1 (PEP 3333); Home Assistant sends UTF-8.
        username, called = (
            said.get(name, "").encode("latin-1").decode("utf-8", "replace").strip()[:_LONGEST_NAME]
            for name in (_NAME, _DISPLAY_NAME)
        )
        visitor = IngressVisitor(said.get(_ID, ""), username, username or called)
        if (
            environ["REMOTE_ADDR"] != proxy
            or not _PATH_FORM.fullmatch(said.get(_PATH, ""))
            or (visitor.id and not _ID_FORM.fullmatch(visitor.id))
        ):
            refused = _ForbiddenError("Only Home Assistant's ingress may say who asks.")
            return refused.wsgi_response(environ, start_response)
        environ["SCRIPT_NAME"], environ[VISITOR] = said[_PATH], visitor
        return application(environ, start_response)

    return believing
