"""Checkpoints of MobileNetV2, made by other programs, for this project's input.

What is read is checked as a whole before anything is put into a network.
"""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from edge_classifier.core.contract import Triple
from edge_classifier.errors import MissingFileError, ModelError
from edge_classifier.files import is_file, why_missing, write_whole
from edge_classifier.training.networks import int8_file, keras
from edge_classifier.training.networks.blocks import TENSORFLOW_EPS, TORCH_EPS, Padding
from edge_classifier.training.networks.layer_names import from_timm, looks_like
from edge_classifier.training.networks.mobilenet_v2 import WIDTHS, MobileNetV2

PICKLES = (".bin", ".pt", ".pth", ".tar")
SAFETENSORS = ".safetensors"
SUFFIXES = (*PICKLES, SAFETENSORS, *keras.SUFFIXES, *int8_file.SUFFIXES)
# The key of a .safetensors file's metadata that states how its network was built.
_STATED = "family"
_STEM, _STEM_MEAN = "features.0.0.weight", "features.0.1.running_mean"

# Takes a sentence that the user should read.
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the network was built and fed that weights were trained in."""

    padding: Padding
    # Of batch norm.
    eps: float
    # In pixel values, RGB.
    mean: Triple
    std: Triple


# This project's: an input of (pixel - 128) / 128.
OWN = Family(padding=Padding.TENSORFLOW, eps=TENSORFLOW_EPS, mean=(128.0,) * 3, std=(128.0,) * 3)
# keras.applications.mobilenet_v2.preprocess_input with mode "tf".
KERAS = Family(padding=Padding.TENSORFLOW, eps=TENSORFLOW_EPS, mean=(127.5,) * 3, std=(127.5,) * 3)
# torchvision's and timm's: transforms of MobileNet_V2_Weights and IMAGENET_DEFAULT_MEAN.
TORCHVISION = Family(
    padding=Padding.SYMMETRIC,
    eps=TORCH_EPS,
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights under torchvision's names, (out, in, H, W)."""

    # The file's name, for messages.
    source: str
    tensors: Mapping[str, Tensor]
    family: Family


def read(path: Path) -> Checkpoint:
    """A checkpoint by torchvision, timm, Keras or ``write``, or an int8 model file.

    Raises MissingFileError, or ModelError when it cannot be read.
    """
    if not is_file(path):
        remedy = "pretrained takes embedded, imagenet, none or the path of a checkpoint."
        raise MissingFileError(str(path), why_missing(path, "checkpoint"), remedy)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelError(str(path), "is not a checkpoint", f"Known: {', '.join(SUFFIXES)}")
    if suffix in int8_file.SUFFIXES:
        return Checkpoint(str(path), int8_file.read(path), OWN)
    if suffix in keras.SUFFIXES:
        return Checkpoint(str(path), keras.read(path), KERAS)
    tensors, family = _safetensors(path) if suffix == SAFETENSORS else (_pickle(path), TORCHVISION)
    return Checkpoint(str(path), _renamed(tensors), family)


def write(path: Path, checkpoint: Checkpoint, about: str) -> None:
    """A .safetensors file with half the bytes: kernels in float16, vectors as they are.

    Batch norm's statistics are the vectors. Raises OutputError.
    """
    stored = {
        name: (tensor.half() if tensor.ndim > 1 else tensor.float()).contiguous()
        for name, tensor in checkpoint.tensors.items()
    }
    # One key, because several come out in an order that changes from run to run.
    metadata = {_STATED: json.dumps({**asdict(checkpoint.family), "about": about})}
    write_whole(path, safetensors.torch.save(stored, metadata))


def load(network: MobileNetV2, checkpoint: Checkpoint, width: float, log: Log) -> None:
    """Put a checkpoint into ``network``, built with its family's padding and eps.

    A head that is not the network's own is left out, with a word. Raises ModelError if the
    checkpoint is of another architecture or width; then nothing is changed.
    """
    wanted = _shapes(network.features.state_dict(prefix="features."))
    found = _shapes(checkpoint.tensors)
    body = {name: shape for name, shape in found.items() if not name.startswith("classifier.")}
    if body.keys() != wanted.keys():
        raise ModelError(
            checkpoint.source, f"is not a MobileNetV2: {looks_like(found)}", _wanted(width)
        )
    if body != wanted:
        raise ModelError(checkpoint.source, _other_width(body), _wanted(width))
    fitting = set(body)
    head = {name: shape for name, shape in found.items() if name not in body}
    if head == _shapes(network.classifier.state_dict(prefix="classifier.")):
        fitting |= head.keys()
    elif head:
        classes = list(head.values())[-1][0]
        left_out = f"its head for {classes} classes is left out; a new one is trained."
        log(f"{checkpoint.source}: {left_out}")
    adapted = _for_own_input(checkpoint)
    # Not strict: nobody's count of batches is kept, and the head may stay as it is.
    network.load_state_dict({name: adapted[name] for name in fitting}, strict=False)


def _wanted(width: float) -> str:
    return f"A MobileNetV2 of width {width} is wanted (network.width)."


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(tensor.shape)
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }


def _other_width(body: Mapping[str, tuple[int, ...]]) -> str:
    for width in WIDTHS:
        with torch.device("meta"):
            state = MobileNetV2(width).features.state_dict(prefix="features.")
        if _shapes(state) == body:
            return f"is a MobileNetV2 of width {width}"
    return f"is a MobileNetV2 of an unknown width ({body[_STEM][0]} channels in the first layer)"


def _for_own_input(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors in float32, for an input of (pixel - 128) / 128.

    What the network was fed is a * ours + b a channel: ``a`` goes into the first kernel, what
    ``b`` adds into its batch norm's mean. Exact but for the zeros beyond the picture's edge.
    """
    family = checkpoint.family
    tensors = {name: tensor.float() for name, tensor in checkpoint.tensors.items()}
    mean, std = torch.tensor(family.mean), torch.tensor(family.std)
    kernel = tensors[_STEM]  # (out, 3, 3, 3)
    added = kernel.sum((2, 3)) @ ((OWN.mean[0] - mean) / std)  # (out,)
    tensors[_STEM] = kernel * (OWN.std[0] / std).view(1, 3, 1, 1)
    tensors[_STEM_MEAN] = tensors[_STEM_MEAN] - added
    return tensors


def _safetensors(path: Path) -> tuple[dict[str, Tensor], Family]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            stated = (file.metadata() or {}).get(_STATED)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not stated:
            return tensors, TORCHVISION
        data = json.loads(stated)
        return tensors, Family(
            padding=Padding(data["padding"]),
            eps=float(data["eps"]),
            mean=_triple(data["mean"]),
            std=_triple(data["std"]),
        )
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def _triple(values: list[float]) -> Triple:
    red, green, blue = map(float, values)
    return red, green, blue


def _pickle(path: Path) -> dict[str, Tensor]:
    """A state dict, by itself or inside a checkpoint; never a pickled program."""
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    items = data.items() if isinstance(data, dict) else ()
    tensors = {str(key): value for key, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(str(path), "holds no state dict")
    # DataParallel's checkpoints.
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _unreadable(path: Path, error: Exception) -> ModelError:
    reason = f"{type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"
    remedy = "A state dict is wanted: torch.save(network.state_dict(), FILE)"
    return ModelError(str(path), f"cannot be read as a checkpoint ({reason})", remedy)


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names by timm made torchvision's; those of other networks stay."""
    known = from_timm()
    if not all(f"{layer}.weight" in tensors for layer in known if layer != "classifier"):
        return dict(tensors)
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        renamed[f"{known.get(layer, layer)}.{kind}"] = tensor
    return renamed
