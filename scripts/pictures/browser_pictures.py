"""The browser that pictures are taken with, and their files."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

FOLDER = Path(__file__).resolve().parents[2] / "docs/images/web"
QUALITY = 64
# Waits for those that are seen: others, as in a list that goes on to the right, may never come.
ALL_IMAGES = """async () => {
    const images = [...document.images].filter((image) => image.src);
    const seen = await new Promise((done) => {
        const told = (all) => done(all.filter((one) => one.isIntersecting));
        const watch = new IntersectionObserver(told);
        images.forEach((image) => watch.observe(image));
        if (!images.length) done([]);
    });
    await Promise.all(seen.map((one) => one.target.decode().catch(() => {})));
}"""


def write(path: Path, png: bytes) -> None:
    """A tenth of the bytes, without a difference that is seen."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)


@contextmanager
def chromium(playwright: Any) -> Iterator[Browser]:
    """The system's browser."""
    program = shutil.which("chromium")
    if not program:
        raise SystemExit("chromium is not installed (apt install chromium)")
    browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
    yield browser
    browser.close()
