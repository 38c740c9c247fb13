"""picamera2 on libcamera's virtual pipeline: the real libraries, with a picture for a camera.

The virtual pipeline shows a picture instead of a sensor's image, and has no ISP: whatever format
is asked for, it gives NV12. Three places of picamera2 take a Raspberry Pi for granted, and are
changed here, in the copy that the tests use.
"""

from pathlib import Path

from tests.conftest import REPOSITORY
from tests.system.debian import SITE, Root, bootstrap
from tests.system.machine import dependencies, kept, need, need_package

# What the camera sees, below the root; read when it is opened.
PICTURE = "opt/harness/scene.jpg"
CHECKOUT = "/srv/checkout"

_PICAMERA2 = "picamera2==0.3.38"
_PACKAGES = (
    "python3-dev",
    "python3-pip",
    "python3-libcamera",
    "python3-prctl",
    "gcc",
    "libc6-dev",
    "ca-certificates",
)
_CAMERA = f"""
"Virtual0":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [10, 30]
  frames:
    path: "/{PICTURE}"
  location: "CameraLocationBack"
  model: "picture"
"""
# Names of picture formats for a preview that nobody opens; the real one is for a Pi's display.
_PYKMS = """
class _Names(type):
    def __getattr__(cls, name):
        return name


class PixelFormat(metaclass=_Names):
    pass
"""
_CHANGES = {
    # No sensor, so no raw modes: those of the video are as good.
    "[libcamera.StreamRole.Raw]": "[libcamera.StreamRole.VideoRecording]",
    # Memory by libcamera's own allocator: the Pi's makes one plane of each frame.
    "import DmaAllocator\n": "import LibcameraAllocator\n",
    "DmaAllocator()": "LibcameraAllocator(None)",
    "        self.allocator.allocate(": (
        "        self.allocator.camera = self.camera\n        self.allocator.allocate("
    ),
}
_SHIM = Path(__file__).with_name("dma_heap.c")


def installed() -> Path:
    """A root file system with picamera2, made at the first call; skips where it cannot be."""
    need("mmdebstrap", "unshare", "setpriv")
    recipe = (_PICAMERA2, _PACKAGES, _CAMERA, _PYKMS, _CHANGES, dependencies(), _SHIM.read_text())
    return kept("picamera2", recipe, _install)


def with_camera(folder: Path, picture: Path) -> Root:
    """The root in which ``picture`` is what the camera sees, with this project on its path."""
    shown = {REPOSITORY: CHECKOUT, picture: f"/{PICTURE}"}
    return Root(folder, shown, environment={"PYTHONPATH": CHECKOUT})


def _install(folder: Path) -> None:
    need_package("picamera2")
    bootstrap(folder, *_PACKAGES)
    root = Root(folder)
    root.pip_install(_PICAMERA2, *dependencies())
    site = folder / SITE
    (site / "pykms.py").write_text(_PYKMS, "utf-8")
    _change(site / "picamera2/picamera2.py")
    settings = folder / "usr/share/libcamera/pipeline/virtual/virtual.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(_CAMERA, "utf-8")
    _preload_heap(root)


def _change(source: Path) -> None:
    text = source.read_text("utf-8")
    for before, after in _CHANGES.items():
        assert before in text, f"{_PICAMERA2} is not the one that was changed: {before!r}"
        text = text.replace(before, after)
    source.write_text(text, "utf-8")


def _preload_heap(root: Root) -> None:
    """Let every program in ``root`` have a DMA heap."""
    source = root.folder / "opt/harness/dma_heap.c"
    source.parent.mkdir(parents=True)
    source.write_text(_SHIM.read_text("utf-8"), "utf-8")
    library = "/opt/harness/dma_heap.so"
    options = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = root.run("/usr/bin/gcc", *options, "-o", library, "/opt/harness/dma_heap.c")
    assert done.returncode == 0, done.stderr
    (root.folder / "etc/ld.so.preload").write_text(f"{library}\n", "utf-8")
