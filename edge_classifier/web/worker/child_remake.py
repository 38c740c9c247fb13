"""Making a picture anew from its pixels, for a lesson: no file that somebody sent is kept."""

import io

from PIL import Image

from edge_classifier.vision.pictures import load_picture
from edge_classifier.web.worker.child_pictures import encoded, shrunk, thumbnail
from edge_classifier.web.worker.messages import SIGNATURE_SIDE, Remade, RemakeTask

# The shortest side that a picture may be cut to.
_LEAST_PX = 32


def remake(task: RemakeTask, parts: tuple[bytes, ...]) -> Remade:
    """The picture at ``task.picture``, or in the first of ``parts``. Raises PictureError."""
    # Cut first, then shrunk: a small part of a large picture keeps its pixels.
    enough = None if task.box else (task.keep_px, task.keep_px)
    stream = io.BytesIO(parts[0]) if parts else None
    loaded = load_picture(
        task.picture, stream=stream, at_least=enough, pixel_limit=task.pixel_limit
    )
    image = Image.fromarray(loaded.frame.pixels)
    if box := task.box:
        # As far as it lies in the picture, and is more than a speck.
        left, top = max(0.0, box.left), max(0.0, box.top)
        right, bottom = min(1.0, box.left + box.width), min(1.0, box.top + box.height)
        edges = (left * image.width, top * image.height, right * image.width, bottom * image.height)
        x0, y0, x1, y1 = map(round, edges)
        if min(x1 - x0, y1 - y0) >= _LEAST_PX:
            image = image.crop((x0, y0, x1, y1))
    image = shrunk(image, task.keep_px)
    side = (SIGNATURE_SIDE, SIGNATURE_SIDE)
    return Remade(
        jpeg=encoded(image),
        thumbnail=thumbnail(image),
        signature=image.convert("L").resize(side, Image.Resampling.BOX).tobytes(),
        width=image.width,
        height=image.height,
    )
