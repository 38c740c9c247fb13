"""Which other pages may show this one in a frame, as Home Assistant does."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.errors import ConfigurationError
from edge_classifier.web.config.folders import folders_of, make_folders
from edge_classifier.web.config.load_settings import load
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.django_settings import django_options

HOME = "http://homeassistant.local:8123"


def options(folder: Path, *changes: str) -> dict[str, Any]:
    settings = load(None, changes, {})
    settings = dataclasses.replace(settings, state_folder=folder)
    folders = folders_of(settings, {})
    make_folders(folders)
    return django_options(settings, folders, {})


def ancestors(found: dict[str, Any]) -> list[str]:
    directives = found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    listed: list[str] = directives["frame-ancestors"]
    return listed


def test_page_is_in_no_frame_by_default(tmp_path: Path) -> None:
    found = options(tmp_path)
    assert ancestors(found) == ["'none'"]
    assert found["X_FRAME_OPTIONS"] == "DENY"


def test_page_that_is_named_may_have_this_one_in_a_frame_and_no_other(tmp_path: Path) -> None:
    found = options(tmp_path, f'server.frame_ancestors=["{HOME}"]')
    assert ancestors(found) == ["'self'", HOME]
    directives = found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == ["'self'"]


@pytest.mark.parametrize(("tls", "same_site"), [("false", "Lax"), ("true", "None")])
def test_login_works_in_the_frame_of_another_site_with_tls_only(
    tmp_path: Path, tls: str, same_site: str
) -> None:
    """Browsers take cookies with ``SameSite=None`` by HTTPS only."""
    framed = (f'server.frame_ancestors=["{HOME}"]', f"server.behind_tls={tls}")
    assert options(tmp_path, *framed)["SESSION_COOKIE_SAMESITE"] == same_site
    alone = options(tmp_path, f"server.behind_tls={tls}")
    assert alone["SESSION_COOKIE_SAMESITE"] == alone["CSRF_COOKIE_SAMESITE"] == "Lax"


@pytest.mark.parametrize(
    "origin",
    ["*", "homeassistant.local", f"{HOME}/lovelace", f"{HOME}; script-src *", "http://a b", ""],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="without a path"):
        load(None, [f'server.frame_ancestors=["{origin}"]'], {})


def test_settings_that_are_not_named_frame_nothing() -> None:
    assert WebSettings().server.frame_ancestors == ()
