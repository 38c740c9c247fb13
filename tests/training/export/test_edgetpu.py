"""The Edge TPU's documented rules are looked up in the file, and its compiler's answer is read."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.errors import ModelError, OutputError, UnavailableError
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.training.export import edgetpu
from edge_classifier.training.export.edgetpu import OperatorRow, compile_model

OPERATORS = schema.BuiltinOperator


CATALOGUE = load_catalogue()


def matrix_model() -> Path:
    """It has every operator whose rules are looked up below: MEAN and FULLY_CONNECTED as well."""
    return CATALOGUE.locate("efficientnet-lite0")


def first(model: Any, name: str) -> Any:
    graph = model.subgraphs[0]
    return next(op for op in graph.operators if object_api.operator_name(model, op) == name)


def tensor(model: Any, name: str, place: int) -> Any:
    """Input ``place`` of the first operator of that name; -1: its output."""
    operator = first(model, name)
    index = operator.outputs[0] if place < 0 else operator.inputs[place]
    return model.subgraphs[0].tensors[index]


EMBEDDED = [entry.name for entry in CATALOGUE.entries if entry.embedded]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_model_qualifies(name: str) -> None:
    assert edgetpu.qualifies(CATALOGUE.locate(name)) == []


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0_224_quant.tflite"])
def test_google_s_model_for_the_edge_tpu_qualifies(name: str, shared: Path) -> None:
    assert edgetpu.qualifies(shared / "models" / name) == []


def dilate(model: Any) -> None:
    first(model, "CONV_2D").builtinOptions.dilationWFactor = 2


def dilate_depthwise(model: Any) -> None:
    first(model, "DEPTHWISE_CONV_2D").builtinOptions.dilationHFactor = 2


def shuffle_weights(model: Any) -> None:
    first(model, "FULLY_CONNECTED").builtinOptions.weightsFormat = 1


def scale_per_channel(model: Any) -> None:
    weights = tensor(model, "FULLY_CONNECTED", 1)
    weights.quantization.scale = np.full(weights.shape[0], 0.01, np.float32)


def two_rows(model: Any) -> None:
    tensor(model, "FULLY_CONNECTED", -1).shape = [2, 500]


def too_many_scores(model: Any) -> None:
    tensor(model, "SOFTMAX", 0).shape = [1, 16001]


def reduce_batch(model: Any) -> None:
    axes = tensor(model, "MEAN", 1)
    model.buffers[axes.buffer].data = np.array([0, 1], np.int32).view(np.uint8)


def reduce_depth(model: Any) -> None:
    axes = tensor(model, "MEAN", 1)
    model.buffers[axes.buffer].data = np.array([1, -1], np.int32).view(np.uint8)
    tensor(model, "MEAN", 0).shape = [1, 7, 7, 1281]


def four_dimensions(model: Any) -> None:
    tensor(model, "ADD", -1).shape = [2, 7, 7, 8]


def any_size(model: Any) -> None:
    tensor(model, "CONV_2D", 0).shapeSignature = [1, -1, 224, 3]


def real_numbers(model: Any) -> None:
    tensor(model, "CONV_2D", 0).type = schema.TensorType.FLOAT32


def real_weights(model: Any) -> None:
    tensor(model, "CONV_2D", 1).type = schema.TensorType.FLOAT32


def another(code: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.operatorCodes[first(model, "SOFTMAX").opcodeIndex].builtinCode = code

    return change


def pool(model: Any) -> None:
    another(OPERATORS.MAX_POOL_2D)(model)
    operator = first(model, "MAX_POOL_2D")
    operator.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
    operator.builtinOptions = schema.Pool2DOptionsT()
    operator.builtinOptions.fusedActivationFunction = 1


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "dilation": (dilate, "operator 0, CONV_2D: needs the same dilation in x and y"),
    "dilation, depthwise": (dilate_depthwise, "DEPTHWISE_CONV_2D: needs the same dilation"),
    "format of weights": (shuffle_weights, "FULLY_CONNECTED: needs default weights format"),
    "scales of weights": (scale_per_channel, "FULLY_CONNECTED: needs one scale for all weights"),
    "output of a matrix": (two_rows, "FULLY_CONNECTED: needs one-dimensional output"),
    "many scores": (too_many_scores, "SOFTMAX: needs at most 16000 elements"),
    "mean of pictures": (reduce_batch, "MEAN: needs no reduction over the batch"),
    "mean of channels": (reduce_depth, "MEAN: needs over depth only if that is a multiple of 4"),
    "four dimensions": (four_dimensions, "ADD: a tensor is larger than 1 in more than its last"),
    "dynamic": (any_size, r"CONV_2D: a tensor's size is not fixed ([1, -1, 224, 3])"),
    "float data": (real_numbers, "CONV_2D: a tensor is FLOAT32; 8-bit integers are needed"),
    "float weights": (real_weights, "CONV_2D: a tensor is FLOAT32; 8-bit integers are needed"),
    "unsupported": (another(OPERATORS.LEAKY_RELU), "LEAKY_RELU: is not supported"),
    "custom": (another(OPERATORS.CUSTOM), "CUSTOM: is not supported"),
    "not looked up": (another(OPERATORS.SPLIT), "SPLIT: has limits that are not checked here"),
    "pool": (pool, "MAX_POOL_2D: needs no fused activation"),
}


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES)
def test_model_that_breaks_a_rule_is_told_which(
    change: Callable[[Any], None], problem: str, tmp_path: Path
) -> None:
    model = object_api.read(matrix_model().read_bytes())
    change(model)
    path = tmp_path / "changed.tflite"
    path.write_bytes(object_api.write(model))
    found = edgetpu.qualifies(path)
    assert any(problem in line for line in found), found
    assert len(found) == len(set(found))


def test_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match="not a TFLite model"):
        edgetpu.qualifies(tmp_path / "no.tflite")


def test_every_operator_has_one_kind_of_rule() -> None:
    kinds = (set(edgetpu.LIMITS), edgetpu.UNLIMITED, edgetpu.UNCHECKED)
    assert len(set().union(*kinds)) == sum(map(len, kinds))
    assert set().union(*kinds) <= set(vars(OPERATORS))


# The compiler's own words, as version 16 prints them.
PRINTED = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 1354 ms.

Input model: model.tflite
Input size: 3.10MiB
Output model: model_edgetpu.tflite
Output size: 3.28MiB
On-chip memory used for caching model parameters: 3.03MiB
On-chip memory remaining for caching model parameters: 4.21MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 65
Operation log: model_edgetpu.log
"""
ALL = (
    PRINTED
    + """
Operator                       Count      Status

ADD                            10         Mapped to Edge TPU
CONV_2D                        55         Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""
)
SOME = (
    PRINTED
    + """
Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 62
Number of operations that will run on CPU: 3

Operator                       Count      Status

DEQUANTIZE                     3          Operation is working on an unsupported data type
... All other operators were mapped successfully. See model_edgetpu.log.
"""
)
LOG = """\
Edge TPU Compiler version 16.0.384591198
Input: model.tflite
Output: model_edgetpu.tflite

Operator                       Count      Status

DEQUANTIZE                     3          Operation is working on an unsupported data type
CONV_2D                        62         Mapped to Edge TPU
"""


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in the compiler's place; it gets ``folder`` and ``model`` as Path."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def install(body: str) -> None:
        program = programs / edgetpu.PROGRAM
        head = f"#!{sys.executable}\nimport sys, time\nfrom pathlib import Path\n"
        arguments = "assert sys.argv[1:3] == ['-s', '-o'] and len(sys.argv) == 5\n"
        names = "folder, model = map(Path, sys.argv[3:])\n"
        program.write_text(head + arguments + names + body)
        program.chmod(0o755)

    return install


def writes(printed: str, log: str = "") -> str:
    """A program that says ``printed`` and makes what the compiler makes."""
    made = "(folder / (model.stem + '_edgetpu.tflite')).write_bytes(model.read_bytes())\n"
    if log:
        made += f"(folder / (model.stem + '_edgetpu.log')).write_text({log!r})\n"
    return f"{made}print({printed!r})\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(matrix_model(), tmp_path / "model.tflite"))


def test_no_compiler_is_no_error(model: Path, compiler: object) -> None:
    assert compile_model(model, model.parent) is None


def test_compilation_with_all_operators_mapped_is_read(
    model: Path, compiler: Callable[[str], None]
) -> None:
    compiler(writes(ALL))
    done = compile_model(model, model.parent / "made" / "here")
    assert done
    assert done.path == model.parent / "made" / "here" / "model_edgetpu.tflite"
    assert done.path.is_file()
    assert (done.version, done.operators, done.on_cpu) == ("16.0.384591198", 65, 0)
    assert done.streamed == "0.00B"
    assert done.rows == (
        OperatorRow("ADD", 10, "Mapped to Edge TPU"),
        OperatorRow("CONV_2D", 55, "Mapped to Edge TPU"),
    )


def test_compilation_with_operators_left_to_the_cpu_is_read_from_the_log(
    model: Path, compiler: Callable[[str], None]
) -> None:
    compiler(writes(SOME, LOG))
    done = compile_model(model, model.parent)
    assert done
    assert (done.operators, done.on_cpu) == (65, 3)
    assert done.rows == (
        OperatorRow("DEQUANTIZE", 3, "Operation is working on an unsupported data type"),
        OperatorRow("CONV_2D", 62, "Mapped to Edge TPU"),
    )


REFUSALS = {
    "by its code": "print('Invalid model: model.tflite\\nModel not quantized')\nsys.exit(1)\n",
    "by making nothing": "print('Model not quantized')\n",
    "on standard error": "print('Model not quantized', file=sys.stderr)\nsys.exit(1)\n",
}


@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS)
def test_refusal_says_why_even_where_an_earlier_file_lies(
    body: str, model: Path, compiler: Callable[[str], None]
) -> None:
    compiler(body)
    (model.parent / "model_edgetpu.tflite").write_bytes(b"of yesterday")
    with pytest.raises(ModelError, match=r"refuses it .*Model not quantized"):
        compile_model(model, model.parent)


def test_compiler_that_hangs_is_given_up(model: Path, compiler: Callable[[str], None]) -> None:
    compiler("time.sleep(600)\n")
    with pytest.raises(UnavailableError, match="has not ended after 1 s"):
        compile_model(model, model.parent, timeout_s=1)


def test_compiler_that_does_not_start_is_unavailable(
    model: Path, compiler: Callable[[str], None]
) -> None:
    compiler("")
    program = Path(os.environ["PATH"]) / edgetpu.PROGRAM
    program.write_text("#!/no/such/interpreter\n")
    with pytest.raises(UnavailableError, match="cannot be started"):
        compile_model(model, model.parent)


def test_compiler_that_speaks_otherwise_is_unavailable(
    model: Path, compiler: Callable[[str], None]
) -> None:
    compiler(writes("All is well."))
    with pytest.raises(UnavailableError, match="says nothing of operators"):
        compile_model(model, model.parent)


def test_folder_that_is_a_file_is_an_output_error(
    model: Path, compiler: Callable[[str], None]
) -> None:
    compiler(writes(ALL))
    with pytest.raises(OutputError, match="cannot be written"):
        compile_model(model, model)
