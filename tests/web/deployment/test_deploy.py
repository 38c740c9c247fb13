"""What Django itself has to say about the safety of its settings."""

from pathlib import Path

import pytest

from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import ServerSettings, WebSettings
from edge_classifier.web.django_settings import django_options
from tests.web.serving import web

# HSTS, redirection, and cookies over HTTPS only.
ONLY_WITH_TLS = {f"security.W0{number}" for number in ("04", "08", "12", "16")}


@pytest.mark.parametrize("behind_tls", ["true", "false"])
def test_check_of_deployment_is_clean(tmp_path: Path, behind_tls: str) -> None:
    assignment = f"server.behind_tls={behind_tls}"
    command = ["manage", "check", "--deploy", "--fail-level", "WARNING"]
    done = web(tmp_path, "--set", assignment, *command)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def settings_of(server: ServerSettings, folder: Path) -> dict[str, object]:
    return django_options(WebSettings(server=server), Folders(folder, folder, folder), {})


def test_check_of_deployment_is_silenced_for_what_only_tls_has(tmp_path: Path) -> None:
    assert set(settings_of(ServerSettings(), tmp_path)["SILENCED_SYSTEM_CHECKS"]) == ONLY_WITH_TLS  # type: ignore[call-overload]


def test_check_of_deployment_behind_tls_is_silenced_for_other_names_only(tmp_path: Path) -> None:
    found = settings_of(ServerSettings(behind_tls=True), tmp_path)
    assert found["SILENCED_SYSTEM_CHECKS"] == ["security.W005", "security.W021"]
    assert found["SECURE_HSTS_SECONDS"] == 365 * 86400
    for name in ("SESSION", "CSRF", "LANGUAGE"):
        assert found[f"{name}_COOKIE_SECURE"] is True


def test_database_that_is_named_is_used_and_its_password_is_not_told(tmp_path: Path) -> None:
    pytest.importorskip("dj_database_url", reason="the extra [fleet] is not installed")
    url = {"DATABASE_URL": "postgresql://edge:swordfish@db.example/web"}
    folders = Folders(tmp_path, tmp_path, tmp_path)
    found = django_options(WebSettings(), folders, url)["DATABASES"]["default"]
    assert (found["HOST"], found["NAME"], found["PASSWORD"]) == ("db.example", "web", "swordfish")
