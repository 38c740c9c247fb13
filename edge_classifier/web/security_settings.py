"""What Django is to know about cookies, headers, passwords and those who guess them."""

from typing import Any

from csp.constants import NONE, SELF

from edge_classifier.web.settings import WebSettings

_YEAR_S = 365 * 86400
_DAY_S = 86400
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # blob: a picture that is shown before it is sent.
        "img-src": [SELF, "blob:", "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}


def safety(settings: WebSettings) -> dict[str, Any]:
    """Django's settings that have to do with safety."""
    return {
        **_cookies(settings),
        **_transport(settings),
        **_login(settings),
        "SECURE_CONTENT_TYPE_NOSNIFF": True,
        "SECURE_REFERRER_POLICY": "same-origin",
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        "WHITENOISE_ALLOW_ALL_ORIGINS": False,
        "CONTENT_SECURITY_POLICY": CONTENT_SECURITY_POLICY,
    }


def _cookies(settings: WebSettings) -> dict[str, Any]:
    tls = settings.server.behind_tls
    return {
        "SESSION_COOKIE_AGE": int(settings.access.session_days * _DAY_S),
        "SESSION_COOKIE_SECURE": tls,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_SECURE": tls,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Lax",
        "CSRF_FAILURE_VIEW": "edge_classifier.web.error_views.stale",
        "LANGUAGE_COOKIE_SECURE": tls,
        "LANGUAGE_COOKIE_HTTPONLY": True,
        "LANGUAGE_COOKIE_SAMESITE": "Lax",
        "LANGUAGE_COOKIE_AGE": _YEAR_S,
    }


def _transport(settings: WebSettings) -> dict[str, Any]:
    """What is possible with TLS only; `check --deploy` is told why the rest is missing."""
    if not settings.server.behind_tls:
        # The default is a page for this machine alone, where nobody listens in and TLS is not to be
        # had; opened without TLS, the server warns loudly itself. HSTS, redirect, Secure cookies:
        return {"SILENCED_SYSTEM_CHECKS": [f"security.W0{number}" for number in _TLS_CHECKS]}
    return {
        # Who comes past the proxy does not send a password in the clear.
        "SECURE_SSL_REDIRECT": True,
        "SECURE_REDIRECT_EXEMPT": ["^healthz$"],
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "SECURE_HSTS_SECONDS": _YEAR_S,
        # Names below this one, and a browser's list of all sites, are not for a page to decide on.
        "SILENCED_SYSTEM_CHECKS": ["security.W005", "security.W021"],
    }


_TLS_CHECKS = ("04", "08", "12", "16")


def _login(settings: WebSettings) -> dict[str, Any]:
    access = settings.access
    return {
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}"}
            for name in (
                "UserAttributeSimilarityValidator",
                "MinimumLengthValidator",
                "CommonPasswordValidator",
                "NumericPasswordValidator",
            )
        ],
        "AXES_FAILURE_LIMIT": access.login_attempts,
        "AXES_COOLOFF_TIME": access.login_wait_minutes / 60,
        # Trying while one has to wait does not make it longer: the page says how long it is.
        "AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT": False,
        "AXES_RESET_ON_SUCCESS": True,
        "AXES_LOCKOUT_PARAMETERS": [["username", "ip_address"]],
        "AXES_LOCKOUT_CALLABLE": "edge_classifier.web.accounts.views.locked",
        "AXES_CLIENT_IP_CALLABLE": "edge_classifier.web.accounts.views.address",
        # Some type the password into the field above it: the log has addresses, and no names.
        "AXES_SENSITIVE_PARAMETERS": ["username", "csrfmiddlewaretoken"],
        "AXES_DISABLE_ACCESS_LOG": True,  # It would grow without end.
        "AXES_ENABLE_ADMIN": False,  # admin.py shows what is of use.
        "AXES_VERBOSE": False,
    }
