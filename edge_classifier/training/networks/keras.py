"""MobileNetV2 in Keras's files: HDF5 of weights or whole models, and .keras around one."""

import io
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_classifier.errors import ModelError
from edge_classifier.training.networks.layer_names import layers, looks_like

SUFFIXES = (".h5", ".hdf5", ".keras")
_INSIDE = "model.weights.h5"
# Keras's names to torch's, in Keras's order.
_BATCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

Arrays = dict[str, NDArray[np.float32]]


def read(path: Path) -> dict[str, Tensor]:
    """The weights under torchvision's names, in torch's layout.

    Raises ModelError if it is not such a file, or not of MobileNetV2.
    """
    import h5py  # Here, because only these files need it.

    try:
        file: Path | io.BytesIO = path
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                file = io.BytesIO(archive.read(_INSIDE))
        with h5py.File(file) as opened:
            return _tensors(path, _walk(opened))
    except (OSError, KeyError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        problem = f"is not a weight file of Keras ({type(error).__name__}: {str(error)[:100]})"
        raise ModelError(str(path), problem) from error


def _walk(file: Any) -> dict[str, Arrays]:
    """Keras 2 calls a layer's group by its name; Keras 3 states the name as an attribute."""
    import h5py

    found: dict[str, Arrays] = defaultdict(dict)

    def visit(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not place.startswith("optimizer"):
            name = item.parent.attrs.get("name") or item.parent.name.rpartition("/")[2]
            found[str(name)][place.rpartition("/")[2].partition(":")[0]] = item[()]

    file.visititems(visit)
    for layer, arrays in found.items():
        # Keras 3 numbers arrays, and Keras 2 calls some kernels by another name.
        numbered = tuple(_BATCH_NORM) if len(arrays) == 4 else ("kernel", "bias")
        known = {str(place): name for place, name in enumerate(numbered)}
        known["depthwise_kernel"] = "kernel"
        found[layer] = {known.get(name, name): array for name, array in arrays.items()}
    return found


def _tensors(path: Path, found: dict[str, Arrays]) -> dict[str, Tensor]:
    wanted = [name for layer in layers() for name in layer.keras]
    if missing := [name for name in wanted if name not in found]:
        raise ModelError(
            str(path),
            f"is not a MobileNetV2 of Keras: {looks_like(found)}",
            f"It lacks {len(missing)} of {len(wanted)} layers, such as {missing[0]}.",
        )
    tensors: dict[str, Tensor] = {}
    for layer in layers():
        (convolution, norm), (kernel, statistics) = layer.torchvision, layer.keras
        # Kernels are (H, W, in, out), depthwise ones (H, W, channels, multiplier).
        order = (2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1)
        tensors[f"{convolution}.weight"] = _tensor(found[kernel]["kernel"].transpose(order))
        for theirs, ours in _BATCH_NORM.items():
            tensors[f"{norm}.{ours}"] = _tensor(found[statistics][theirs])
    # The head, whatever it is called; of several dense layers, none is the one that is wanted.
    dense = [
        arrays
        for arrays in found.values()
        if arrays.keys() == {"kernel", "bias"} and arrays["kernel"].ndim == 2
    ]
    if len(dense) == 1:
        tensors["classifier.1.weight"] = _tensor(dense[0]["kernel"].T)
        tensors["classifier.1.bias"] = _tensor(dense[0]["bias"])
    return tensors


def _tensor(array: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
