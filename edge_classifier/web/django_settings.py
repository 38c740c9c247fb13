"""Django's settings, made from those of the page."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from edge_classifier.errors import ConfigurationError
from edge_classifier.installation import how_to_add
from edge_classifier.web.classify.upload_limits import FORM_BYTES
from edge_classifier.web.config.folders import Folders, secret_key
from edge_classifier.web.config.hosts import allowed_hosts
from edge_classifier.web.config.settings import WebSettings

_FOLDER = Path(__file__).parent
DATABASE_VARIABLE = "DATABASE_URL"
_YEAR_S = 365 * 86400
_DAY_S = 86400
_STORAGE_CONNECT_S, _STORAGE_READ_S = 3, 20
# Checks of Django about what only TLS makes possible.
_TLS_CHECKS = ("04", "08", "12", "16")
LANGUAGES = (("en", "English"), ("zh-hans", "简体中文"))


def django_options(
    settings: WebSettings, folders: Folders, environment: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Everything for ``django.conf.settings.configure``. Raises OutputError for its key."""
    return {
        "SECRET_KEY": secret_key(folders),
        "DEBUG": False,
        "ALLOWED_HOSTS": allowed_hosts(settings.server),
        "ROOT_URLCONF": "edge_classifier.web.urls",
        "WSGI_APPLICATION": None,
        "AUTH_USER_MODEL": "web.User",
        "DATABASES": {"default": database(folders, environment)},
        "USE_TZ": True,
        "TIME_ZONE": environment.get("TZ") or local_zone(),
        "DATA_UPLOAD_MAX_NUMBER_FILES": settings.uploads.at_once,
        "DATA_UPLOAD_MAX_MEMORY_SIZE": FORM_BYTES,
        "FILE_UPLOAD_HANDLERS": ["edge_classifier.web.classify.upload_limits.UploadLimitHandler"],
        "FILE_UPLOAD_TEMP_DIR": str(folders.scratch),
        "FILE_UPLOAD_PERMISSIONS": 0o600,
        "LOGGING_CONFIG": None,
        "CACHES": {
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                # Throttles count in it: Django's 300 could be flushed from many addresses.
                "OPTIONS": {"MAX_ENTRIES": 10_000},
            }
        },
        "STORAGES": {
            "default": storage_backend(settings, folders),
            "staticfiles": {
                "BACKEND": "edge_classifier.web.accounts.ingress.StaticFiles",
            },
        },
        "USE_I18N": True,
        "FORMAT_MODULE_PATH": "edge_classifier.web.formats",
        "LANGUAGE_CODE": "en",
        "LANGUAGES": list(LANGUAGES),
        "LOCALE_PATHS": [str(_FOLDER / "locale")],
        **_APPLICATION,
        **_headers(settings),
        **_cookies(settings),
        **_transport(settings),
        **_login(settings),
    }


def _folders(name: str) -> list[Path]:
    """The folders of this name, of all subjects that have one. Django finds the page's own."""
    return sorted(_FOLDER.glob(f"*/{name}"))


_APPLICATION: Mapping[str, Any] = {
    "INSTALLED_APPS": [
        "edge_classifier.web.apps.Web",
        "edge_classifier.web.apps.Administration",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
        "edge_classifier.web.apps.Logins",
        "csp",
        "ninja",
    ],
    "MIDDLEWARE": [
        "edge_classifier.web.services.with_services",
        "edge_classifier.web.accounts.ingress.keep_cookies",
        # Outside of all that refuses, so that every refusal below /api/ has the API's shape.
        "edge_classifier.web.api.problems.problem_details_middleware",
        # Before the one that answers for static files, so that these get the headers, too.
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "csp.middleware.CSPMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "edge_classifier.web.accounts.sessions.renew_sessions",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "edge_classifier.web.accounts.ingress.log_in",
        "edge_classifier.web.accounts.sessions.note_visits",
        "django.contrib.messages.middleware.MessageMiddleware",
        "axes.middleware.AxesMiddleware",
    ],
    "AUTHENTICATION_BACKENDS": [
        "axes.backends.AxesStandaloneBackend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [str(folder) for folder in _folders("templates")],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                    "edge_classifier.web.accounts.template_context.template_context",
                ],
                "loaders": [
                    (
                        "django.template.loaders.cached.Loader",
                        [
                            "django.template.loaders.filesystem.Loader",
                            "django.template.loaders.app_directories.Loader",
                        ],
                    )
                ],
            },
        }
    ],
    "STATIC_URL": "/static/",
    # To browsers all lie in one folder, static/web/.
    "STATICFILES_DIRS": [("web", str(folder)) for folder in _folders("static")],
    "STATICFILES_FINDERS": [
        "django.contrib.staticfiles.finders.FileSystemFinder",
        "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    ],
    "WHITENOISE_USE_FINDERS": True,  # No step to collect files: they are read where they lie.
    "LOGIN_URL": "login",
    "LOGIN_REDIRECT_URL": "first",
    "LOGOUT_REDIRECT_URL": "login",
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
}


_HEADERS: Mapping[str, Any] = {
    "SECURE_CONTENT_TYPE_NOSNIFF": True,
    "SECURE_REFERRER_POLICY": "same-origin",
    "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
    "X_FRAME_OPTIONS": "DENY",
    "WHITENOISE_ALLOW_ALL_ORIGINS": False,
    "CONTENT_SECURITY_POLICY": {
        "DIRECTIVES": {
            "default-src": [NONE],
            "script-src": [SELF],
            "style-src": [SELF],
            # blob: a picture that is shown before it is sent.
            "img-src": [SELF, "blob:", "data:"],
            "connect-src": [SELF],
            "manifest-src": [SELF],
            "form-action": [SELF],
            "base-uri": [NONE],
            "frame-ancestors": [NONE],
        }
    },
}


def _headers(settings: WebSettings) -> dict[str, Any]:
    """Those of every answer, with the pages that may have this one in a frame."""
    ancestors = settings.server.frame_ancestors
    # Home Assistant's sidebar has the page in a frame, from an address of its own.
    if not ancestors and not settings.server.ingress.proxy:
        return dict(_HEADERS)
    policy = _HEADERS["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    # X-Frame-Options knows no other page by name; browsers that know the policy go by that alone
    # (Content Security Policy Level 3, 6.4.2).
    return {
        **_HEADERS,
        "X_FRAME_OPTIONS": "SAMEORIGIN",
        "CONTENT_SECURITY_POLICY": {
            "DIRECTIVES": {**policy, "frame-ancestors": [SELF, *ancestors]},
        },
    }


def _cookies(settings: WebSettings) -> dict[str, Any]:
    tls = settings.server.behind_tls
    # In a frame on a page of another site, browsers send no others, and these by HTTPS only.
    same_site = "None" if tls and settings.server.frame_ancestors else "Lax"
    return {
        "SESSION_COOKIE_AGE": int(settings.access.session_days * _DAY_S),
        "SESSION_COOKIE_SECURE": tls,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": same_site,
        "CSRF_COOKIE_SECURE": tls,
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": same_site,
        "CSRF_FAILURE_VIEW": "edge_classifier.web.error_views.csrf_failure",
        "LANGUAGE_COOKIE_SECURE": tls,
        "LANGUAGE_COOKIE_HTTPONLY": True,
        "LANGUAGE_COOKIE_SAMESITE": same_site,
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


def _login(settings: WebSettings) -> dict[str, Any]:
    access = settings.access
    return {
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": name}
            for name in (
                "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
                "django.contrib.auth.password_validation.MinimumLengthValidator",
                "edge_classifier.web.accounts.common_passwords.UncommonPassword",
                "django.contrib.auth.password_validation.NumericPasswordValidator",
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


def database(folders: Folders, environment: Mapping[str, str]) -> dict[str, Any]:
    """SQLite in the state folder, unless $DATABASE_URL names another. Raises ConfigurationError."""
    if url := environment.get(DATABASE_VARIABLE):
        return _from_url(url)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folders.database),
        "OPTIONS": {
            # A writer takes its turn at the beginning of its transaction, and waits for it, rather
            # than failing in the middle. FULL: what is acknowledged outlives a power cut.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            " PRAGMA journal_size_limit=16000000; PRAGMA temp_store=MEMORY;",
        },
    }


def _from_url(url: str) -> dict[str, Any]:
    try:
        import dj_database_url  # Here, because only a fleet has it.
    except ImportError as error:
        remedy = how_to_add("fleet")
        raise ConfigurationError(DATABASE_VARIABLE, "needs the extra [fleet]", remedy) from error
    try:
        found = dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True)
    except (ValueError, dj_database_url.ParseError) as error:
        # Its text would show the password.
        remedy = "Write postgresql://USER:PASSWORD@HOST/DATABASE."
        raise ConfigurationError(
            DATABASE_VARIABLE, "is not the address of a database", remedy
        ) from error
    return dict(found)


def storage_backend(settings: WebSettings, folders: Folders) -> dict[str, Any]:
    """Where pictures go, for Django."""
    storage = settings.storage
    if not storage.bucket:
        options: dict[str, Any] = {"location": str(folders.pictures), "base_url": None}
        return {
            "BACKEND": "edge_classifier.web.records.picture_storage.AtomicFileStorage",
            "OPTIONS": options,
        }
    try:
        from botocore.config import Config  # Here, because only a fleet has it.
    except ImportError as error:
        remedy = how_to_add("fleet")
        raise ConfigurationError("storage.bucket", "needs the extra [fleet]", remedy) from error

    options = {
        # Its own would have a page wait for five minutes.
        "client_config": Config(
            connect_timeout=_STORAGE_CONNECT_S,
            read_timeout=_STORAGE_READ_S,
            retries={"total_max_attempts": 2},
        ),
        "bucket_name": storage.bucket,
        "endpoint_url": storage.endpoint or None,
        "file_overwrite": True,
        "querystring_auth": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


def local_zone() -> str:
    """The machine's time zone by its name; UTC where it cannot be told."""
    zone = Path("/etc/localtime")
    _, found, name = str(zone.resolve()).partition("/zoneinfo/")
    return name if found else "UTC"
