"""What an error says to add an extra: each way to install, by pip itself, and then as it stands."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pip
import pytest

from edge_classifier import installation

ASK = "from edge_classifier.installation import how_to_add; print(how_to_add('more'))"
# The same name and the same module, in a project that builds itself: nothing is fetched.
PROJECT = """
[build-system]
requires = []
build-backend = "build_it"
backend-path = ["."]
[project]
name = "edge-classifier"
version = "1"
"""
BACKEND = """
import pathlib, zipfile
HERE = pathlib.Path(__file__).parent

def write(folder, files):
    name = "edge_classifier-1-py3-none-any.whl"
    about = "Metadata-Version: 2.1\\nName: edge-classifier\\nVersion: 1\\nProvides-Extra: more\\n"
    about += "Requires-Dist: more-of-it; extra == 'more'\\n"
    tags = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    info = "edge_classifier-1.dist-info"
    files |= {f"{info}/METADATA": about, f"{info}/WHEEL": tags, f"{info}/RECORD": ""}
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name

def build_wheel(folder, *_, **__):
    files = HERE.glob("edge_classifier/*.py")
    return write(folder, {f"edge_classifier/{one.name}": one.read_text() for one in files})

def build_editable(folder, *_, **__):
    return write(folder, {"clone.pth": str(HERE)})
"""


class Environment:
    """A virtual environment; pip finds what is in ``wheels`` only."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels = folder, folder / "wheels"
        self.run(sys.executable, "-m", "venv", "--without-pip", str(folder / "env"))
        self.python = str(folder / "env/bin/python")
        # As it is here: venv's own installer takes seconds, most of them to compile it anew.
        (self.site,) = (folder / "env/lib").glob("python*/site-packages")
        shutil.copytree(Path(pip.__file__).parent, self.site / "pip")
        self.wheels.mkdir()
        with zipfile.ZipFile(self.wheels / "more_of_it-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("more_of_it.py", "")
            info = "more_of_it-1.dist-info"
            wheel.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: more-of-it\nVersion: 1"
            )
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{info}/WHEEL", tags)
            wheel.writestr(f"{info}/RECORD", "")

    def run(self, *command: str, where: Path = Path("/")) -> str:
        """What a program writes; it is started elsewhere than in a clone if nobody says."""
        environment = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "HOME": str(self.folder)}
        environment["PIP_FIND_LINKS"] = str(self.folder / "wheels")
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            check=False,
            cwd=where,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def install(self, *what: str) -> None:
        """What a user has typed to get the package."""
        self.run(self.python, "-m", "pip", "install", *what)

    def build(self, clone: Path, place: Path) -> Path:
        """The wheel of the project, as who publishes it makes it."""
        code = "import sys, build_it; print(build_it.build_wheel(sys.argv[1]))"
        name = self.run(self.python, "-c", code, str(place), where=clone)
        return place / name

    def empty(self) -> None:
        """Leave nothing but pip."""
        for place in set(self.site.iterdir()) - {self.site / "pip"}:
            shutil.rmtree(place) if place.is_dir() else place.unlink()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def clone(environment: Environment) -> Path:
    folder = environment.folder / "a clone"
    package = folder / "edge_classifier"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "build_it.py").write_text(BACKEND)
    (package / "__init__.py").touch()
    shutil.copy(installation.__file__, package)
    return folder


def from_folder(environment: Environment, clone: Path) -> str:
    environment.install(str(clone))
    return f"'{clone}[more]'"


def from_editable_folder(environment: Environment, clone: Path) -> str:
    environment.install("-e", str(clone))
    return f"-e '{clone}[more]'"


def from_wheel(environment: Environment, clone: Path) -> str:
    wheel = environment.build(clone, environment.folder)
    environment.install(str(wheel))
    return f"'{wheel}[more]'"


def from_index(environment: Environment, clone: Path) -> str:
    environment.build(clone, environment.wheels)
    environment.install("edge-classifier")
    return "'edge-classifier[more]'"


@pytest.mark.parametrize("way", [from_folder, from_editable_folder, from_wheel, from_index])
def test_extra_is_added_by_what_is_said_in_every_way_to_install(
    environment: Environment, clone: Path, way: Callable[[Environment, Path], str]
) -> None:
    expected = way(environment, clone)
    said = environment.run(environment.python, "-c", ASK)
    assert said == f"{environment.python} -m pip install {expected}"
    environment.run("sh", "-c", said)
    environment.run(environment.python, "-c", "import more_of_it")
    # The package is still installed as it was.
    assert environment.run(environment.python, "-c", ASK) == said
    environment.empty()


class Installed:
    """An installed package as ``importlib.metadata`` shows it."""

    def __init__(self, **files: str) -> None:
        self._files = files

    def read_text(self, name: str) -> str | None:
        return self._files.get(name.removesuffix(".json"))

    def locate_file(self, path: str) -> Path:
        return Path("/usr") / path


GIT = '{"url": "https://example.org/e", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'


@pytest.mark.parametrize(
    ("files", "has_pip", "prefix", "expected"),
    [
        (
            {"direct_url": GIT},
            True,
            "/srv/env",
            "sudo PYTHON -m pip install 'edge-classifier[web] @ git+https://example.org/e@abc'",
        ),
        (
            {"direct_url": '{"url": "https://example.org/e.whl", "archive_info": {}}'},
            True,
            "/srv/env",
            "sudo PYTHON -m pip install 'edge-classifier[web] @ https://example.org/e.whl'",
        ),
        (
            {"direct_url": '{"url": "file:///home/pi/a%20b", "dir_info": {}}', "INSTALLER": "uv\n"},
            False,
            "/srv/env",
            "sudo uv pip install --python PYTHON '/home/pi/a b[web]'",
        ),
        (
            {"direct_url": '{"url": "file:///source", "dir_info": {}}', "INSTALLER": "pip\n"},
            False,
            "/opt/edge-classifier",
            "Build the image with the extra [web]: docs/container.md",
        ),
        (
            {"direct_url": '{"url": "file:///home/pi/e", "dir_info": {}}'},
            True,
            "/opt/edge-classifier/releases/20261130T054336-1",
            "sudo /home/pi/e/scripts/install.sh --web",
        ),
    ],
    ids=["git", "address", "uv", "image", "install.sh"],
)
def test_extra_of_other_installations_is_added_in_their_own_way(
    files: Mapping[str, str],
    has_pip: bool,
    prefix: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Installed(**files))
    monkeypatch.setattr(installation, "find_spec", lambda _: has_pip or None)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(sys, "prefix", prefix)
    monkeypatch.setattr(sys, "executable", "PYTHON")
    assert installation.how_to_add("web") == expected


def test_another_package_is_installed_into_the_same_environment(
    environment: Environment, clone: Path
) -> None:
    environment.install(str(clone))
    ask = "from edge_classifier.installation import how_to_install as h; print(h('more-of-it'))"
    environment.run("sh", "-c", environment.run(environment.python, "-c", ask))
    environment.run(environment.python, "-c", "import more_of_it")


def test_package_that_nobody_has_installed_is_asked_for_in_a_clone() -> None:
    code = "import importlib.metadata as m\ndef none(_): raise m.PackageNotFoundError\n"
    code += f"m.distribution = none\n{ASK}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"In a clone: {sys.executable} -m pip install '.[more]'\n"


def test_nothing_else_in_the_program_says_how_an_extra_is_installed() -> None:
    package = Path(installation.__file__).parent
    texts = {
        path.relative_to(package).as_posix(): path.read_text("utf-8")
        for kind in ("py", "html", "po", "j2")
        for path in package.rglob(f"*.{kind}")
    }
    naming = {
        name for name, text in texts.items() if "pip install" in text or "edge-classifier[" in text
    }
    assert naming <= {"installation.py"}
