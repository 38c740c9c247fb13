"""The page works behind the proxies of docs/web.md, as these are set up there."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_classifier import samples
from edge_classifier.web.config import load_settings
from tests.ports import HOST, free_port
from tests.waiting import eventually
from tests.web.deployment.page_examples import INSIDE, block, installed, shell
from tests.web.serving import PASSWORD, Page, hidden_token, prepare

# By which browsers reach the page in the examples.
NAME = "pi.example.org"


# Proxies


class Browser:
    """curl, which finds the page's name on this machine, and keeps cookies."""

    def __init__(self, folder: Path, port: int, authority: Path) -> None:
        self.address = f"https://{NAME}:{port}"
        self._options = (
            *("curl", "-sS", "--max-time", "60", "--cacert", str(authority)),
            *("--resolve", f"{NAME}:{port}:127.0.0.1", "-b", "jar", "-c", "jar"),
        )
        self._folder = folder

    def ask(self, path: str, *options: str) -> str:
        """Headers and body."""
        done = self._curl("-i", *options, f"{self.address}{path}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[str]]:
        """The lines of an answer that does not end, as they come."""
        command = [*self._options, "-N", f"{self.address}{path}"]
        with subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            try:
                yield process.stdout
            finally:
                process.kill()

    def is_answered(self) -> bool:
        """Whether the proxy is there, with its certificate."""
        return self._curl("-o", "/dev/null", self.address).returncode == 0

    def _curl(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._options, *options],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def log_in(self) -> str:
        """As the page's own form does."""
        token = hidden_token(self.ask("/login"))
        form = {"csrfmiddlewaretoken": token, "username": "anna", "password": PASSWORD}
        fields = [
            part for key, value in form.items() for part in ("--data-urlencode", f"{key}={value}")
        ]
        return self.ask("/login", "-e", f"{self.address}/login", *fields)


@contextmanager
def running(command: list[str], folder: Path, browser: Browser) -> Iterator[None]:
    """A proxy, from when it answers until it is told to end."""
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            eventually(lambda: browser.is_answered() or process.poll() is not None, within_s=60)
            assert process.poll() is None, (folder / "proxy.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Page]:
    """The page with the settings for a proxy, an administrator, and a broker that is not there."""
    prepare(tmp_path / "state", "anna")
    (tmp_path / "web.toml").write_text(block("toml", "behind_tls"))
    found = load_settings.load(tmp_path / "web.toml", (), {}).server
    settings = (
        f"server.behind_tls={str(found.behind_tls).lower()}",
        f"server.allowed_hosts={json.dumps(found.allowed_hosts)}",
        *(f"mqtt.host={HOST}", f"mqtt.port={free_port()}"),
    )
    with Page(tmp_path / "state", settings) as page:
        assert f"The page is at https://{NAME}/" in page.said
        yield page


def check_through(browser: Browser) -> None:
    """What a browser does, and what it must get."""
    logged_in = browser.log_in()
    assert " 302" in logged_in.splitlines()[0]
    assert re.search(r"(?i)set-cookie: sessionid=.*; Secure", logged_in)
    assert "anna" in browser.ask("/history")
    # Its first event must be there before the stream ends, which it does only after ten minutes.
    with browser.stream("/live/stream") as lines:
        assert "event: whole\n" in lines
    picture = f"pictures=@{samples.CAT}"
    token = hidden_token(browser.ask("/"))
    sent = browser.ask(
        "/classify",
        "-e",
        f"{browser.address}/",
        "-F",
        picture,
        "-F",
        f"csrfmiddlewaretoken={token}",
    )
    assert re.search(r"(?i)location: /records/", sent)


def test_page_behind_the_nginx_of_the_page_works(behind: Page, tmp_path: Path) -> None:
    nginx = installed("nginx", "nginx-light")
    shell(block("sh", "openssl req"), tmp_path)
    port, plain = free_port(), free_port()
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{plain}",
        "/etc/nginx/": f"{tmp_path}/",
        INSIDE: f"127.0.0.1:{behind.port}",
    }
    example = block("nginx", "server_name")
    for old, new in changes.items():
        assert old in example
        example = example.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    scratch = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"user root; daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}"
        f" http {{ access_log off; {scratch} {example} }}"
    )
    command = [nginx, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert "test is successful" in checked.stderr, checked.stderr
    browser = Browser(tmp_path, port, tmp_path / "edge-classifier.crt")
    with running(command, tmp_path, browser):
        check_through(browser)
        there = shell(f"curl -si -H 'Host: {NAME}' http://127.0.0.1:{plain}/live", tmp_path)
        assert f"Location: https://{NAME}/live" in there


def test_page_behind_the_caddy_of_the_page_works(behind: Page, tmp_path: Path) -> None:
    caddy = installed("caddy", "caddy")
    port = free_port()
    changes = {
        f"{NAME} {{": f"{NAME}:{port} {{",
        "# tls internal": "tls internal",
        INSIDE: f"127.0.0.1:{behind.port}",
    }
    example = block("caddy", "reverse_proxy")
    for old, new in changes.items():
        assert old in example
        example = example.replace(old, new)
    (tmp_path / "Caddyfile").write_text(
        "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n"
        f"\tstorage file_system {tmp_path}/caddy\n}}\n{example}"
    )
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    browser = Browser(tmp_path, port, tmp_path / "caddy/pki/authorities/local/root.crt")
    with running(command, tmp_path, browser):
        check_through(browser)
