"""The same network for other programs: uint8 in and out, and TFLite Metadata that says how.

MediaPipe's tasks, the Task Library and Android's samples take no int8 input. A QUANTIZE operator
on either side moves each number by 128, which loses nothing. Needs no torch.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.labels.taxonomy_file import taxonomy_text
from edge_classifier.errors import ModelError
from edge_classifier.files import cannot_write, own_name_beside, replacing
from edge_classifier.model_loading import LoadedModel
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.bundle import (
    CARD_FILE,
    CONTRACT_FILE,
    TAXONOMY_FILE,
    append_bundle,
    read_bundle,
)
from edge_classifier.training.export.metadata import label_files, metadata

_METADATA_NAME = "TFLITE_METADATA"
_INT8, _UINT8 = schema.TensorType.INT8, schema.TensorType.UINT8
_NOTE = "\n- Exported for other programs: uint8 on both sides, TFLite Metadata. The same network.\n"


def write_portable(model: LoadedModel, source: Path, target: Path) -> None:
    """Write the network of ``model``, loaded from ``source``, to ``target``.

    Its labels, the names above them, contract and card come with it. Raises ModelError for a model
    that wants blue first, OutputError.
    """
    contract = model.resolved.contract
    if contract.colour_order is not ColourOrder.RGB:
        raise ModelError(str(source), "wants blue first; TFLite Metadata cannot say that")
    kept = read_bundle(source)
    card = kept.get(CARD_FILE, f"# {model.name}\n".encode()).decode("utf-8", "replace")
    members: dict[str, str | bytes] = {
        **kept,
        **label_files(contract),
        CONTRACT_FILE: contract.to_json(),
        CARD_FILE: card.rstrip("\n") + _NOTE,
    }
    # Those in the file need not be those in use.
    members.pop(TAXONOMY_FILE, None)
    if contract.taxonomy.class_nodes:
        members[TAXONOMY_FILE] = taxonomy_text(contract.taxonomy, contract.labels)
    graph = with_uint8(source.read_bytes(), metadata(contract, model.name))
    try:
        with own_name_beside(target) as unfinished, replacing(target, beside=unfinished) as file:
            file.write(graph)
            file.flush()
            # Their readers do not inflate.
            append_bundle(unfinished, members, deflate=False)
    except OSError as error:
        raise cannot_write(target, error) from error


def with_uint8(model: bytes, note: bytes) -> bytes:
    """``model`` with int8 input and output made uint8, and with ``note`` as its only metadata."""
    loaded = object_api.read(model)
    graph = loaded.subgraphs[0]
    (source,), target = graph.inputs, graph.outputs[0]
    if graph.tensors[source].type == _INT8:
        outer = _add_uint8_twin(graph, source)
        graph.operators.insert(0, _requantize(loaded, outer, source))
        graph.inputs = [outer]
        _rename_in_signatures(loaded, source, outer)
    if graph.tensors[target].type == _INT8:
        outer = _add_uint8_twin(graph, target)
        graph.operators.append(_requantize(loaded, target, outer))
        graph.outputs = [outer]
        _rename_in_signatures(loaded, target, outer)
    stored = schema.BufferT()
    stored.data = np.frombuffer(note, np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _METADATA_NAME, len(loaded.buffers)
    loaded.buffers.append(stored)
    loaded.metadata = [entry]
    return object_api.write(loaded)


def _add_uint8_twin(graph: Any, index: int) -> int:
    """The number of a new tensor that holds what the int8 tensor ``index`` holds, plus 128."""
    inner, outer = graph.tensors[index], schema.TensorT()
    outer.name, inner.name = inner.name, inner.name + b"_int8"
    outer.shape, outer.shapeSignature = inner.shape, inner.shapeSignature
    outer.type, outer.buffer = _UINT8, 0
    outer.quantization = schema.QuantizationParametersT()
    outer.quantization.scale = inner.quantization.scale
    outer.quantization.zeroPoint = np.array(inner.quantization.zeroPoint, np.int64) + 128
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _requantize(model: Any, source: int, target: int) -> Any:
    """A QUANTIZE operator from one tensor to another."""
    kind = schema.BuiltinOperator.QUANTIZE
    known = [code.builtinCode for code in model.operatorCodes]
    if kind not in known:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        model.operatorCodes.append(code)
        known.append(kind)
    operator = schema.OperatorT()
    operator.opcodeIndex = known.index(kind)
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator


def _rename_in_signatures(model: Any, old: int, new: int) -> None:
    for signature in model.signatureDefs or ():
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            if entry.tensorIndex == old:
                entry.tensorIndex = new
