"""Pretrained networks of other packages, as weights of ours; batch normalisation is folded in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tensorflow_files import Array, bundle_variables, frozen_constants
from torch import Tensor, nn

from tvsl.everyday.detector import SSDMobileNetV2
from tvsl.everyday.hearing import CHANNELS, YAMNet
from tvsl.everyday.layers import Convolution, InvertedResidual
from tvsl.everyday.seeing import STAGES, EfficientNetLite0
from tvsl.everyday.text import LAYERS, POSITIONS, SentenceEncoder

YAMNET_EPSILON = 1e-4
EPSILON = 1e-3


def _set(
    layer: nn.Module,
    kernel: Array | Tensor,
    norm: Mapping[str, Array | Tensor] | None,
    bias: Array | Tensor | None = None,
    epsilon: float = EPSILON,
    layout: str = "tensorflow",
) -> None:
    """Set a convolution to a kernel and the batch normalisation that follows it."""
    assert isinstance(layer, Convolution)
    weight = torch.tensor(np.asarray(kernel), dtype=torch.float64)
    if layout == "tensorflow":  # (h, w, in, out), depthwise (h, w, channels, 1)
        weight = weight.permute(2, 3, 0, 1) if layer.groups > 1 else weight.permute(3, 2, 0, 1)
    shift = torch.zeros(len(weight), dtype=torch.float64)
    if bias is not None:
        shift = torch.tensor(np.asarray(bias), dtype=torch.float64)
    if norm is not None:
        part = {key: torch.tensor(np.asarray(a), dtype=torch.float64) for key, a in norm.items()}
        scale = part.get("gamma", torch.ones(1)) / (part["variance"] + epsilon).sqrt()
        weight = weight * scale[:, None, None, None]
        shift = part["beta"] - part["mean"] * scale
    assert layer.bias is not None
    if weight.shape != layer.weight.shape:
        raise ValueError(f"a kernel {tuple(weight.shape)} for {tuple(layer.weight.shape)}")
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(shift)


def yamnet(prefix: Path) -> YAMNet:
    """Build YAMNet from ``variables/variables`` of a SavedModel that holds it as a layer."""
    variables = bundle_variables(prefix)
    ending = "/.ATTRIBUTES/VARIABLE_VALUE"
    numbered: dict[int, dict[str, Array]] = {}
    for key, array in variables.items():
        if "layer_with_weights-" in key and key.endswith(ending):
            number, name = key.removesuffix(ending).split("layer_with_weights-")[1].split("/")
            numbered.setdefault(int(number), {})[name] = array
    network = YAMNet()
    convolutions = [network.stem, *network.layers]
    if len(numbered) != 2 * len(convolutions) + 1 or len(CHANNELS) * 2 + 1 != len(convolutions):
        raise ValueError(f"{len(numbered)} layers with weights: not YAMNet")
    for place, layer in enumerate(convolutions):
        kernels, norms = numbered[2 * place], numbered[2 * place + 1]
        norm = {
            "beta": norms["beta"],
            "mean": norms["moving_mean"],
            "variance": norms["moving_variance"],
        }
        kernel = kernels.get("kernel", kernels.get("depthwise_kernel"))
        assert kernel is not None
        _set(layer, kernel, norm, epsilon=YAMNET_EPSILON)
    last = numbered[2 * len(convolutions)]
    with torch.no_grad():
        network.classifier.weight.copy_(torch.tensor(last["kernel"]).T)
        network.classifier.bias.copy_(torch.tensor(last["bias"]))
    return network.eval()


def lite0(path: Path) -> tuple[EfficientNetLite0, nn.Linear]:
    """Build EfficientNet-Lite0, and its ImageNet classifier, from a PyTorch checkpoint."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()

    def load(layer: nn.Module, kernel: str, norm: str) -> None:
        values = {
            "gamma": state[f"{norm}.weight"],
            "beta": state[f"{norm}.bias"],
            "mean": state[f"{norm}.running_mean"],
            "variance": state[f"{norm}.running_var"],
        }
        _set(layer, state[f"{kernel}.weight"], values, layout="torch")

    load(network.stem, "_conv_stem", "_bn0")
    blocks = [block for stage in network.stages for block in stage.children()]
    assert len(blocks) == sum(stage[0] for stage in STAGES)
    for number, block in enumerate(blocks):
        assert isinstance(block, InvertedResidual)
        name = f"_blocks.{number}"
        if isinstance(block.expand, Convolution):
            load(block.expand, f"{name}._expand_conv", f"{name}._bn0")
        load(block.depthwise, f"{name}._depthwise_conv", f"{name}._bn1")
        load(block.project, f"{name}._project_conv", f"{name}._bn2")
    load(network.head, "_conv_head", "_bn1")
    classifier = nn.Linear(*reversed(state["_fc.weight"].shape))
    classifier.load_state_dict({"weight": state["_fc.weight"], "bias": state["_fc.bias"]})
    return network.eval(), classifier.eval()


def ssd(path: Path) -> SSDMobileNetV2:
    """Build the detector from ``frozen_inference_graph.pb``."""
    constants = frozen_constants(path)
    network = SSDMobileNetV2()

    def load(layer: nn.Module, name: str, weights: str = "weights") -> None:
        name = f"FeatureExtractor/MobilenetV2/{name}"
        norm = {
            "gamma": constants[f"{name}/BatchNorm/gamma"],
            "beta": constants[f"{name}/BatchNorm/beta"],
            "mean": constants[f"{name}/BatchNorm/moving_mean"],
            "variance": constants[f"{name}/BatchNorm/moving_variance"],
        }
        _set(layer, constants[f"{name}/{weights}"], norm)

    load(network.stem, "Conv")
    for number, block in enumerate(network.blocks):
        assert isinstance(block, InvertedResidual)
        name = "expanded_conv" if number == 0 else f"expanded_conv_{number}"
        if isinstance(block.expand, Convolution):
            load(block.expand, f"{name}/expand")
        load(block.depthwise, f"{name}/depthwise", "depthwise_weights")
        load(block.project, f"{name}/project")
    load(network.head, "Conv_1")
    sizes = ("512", "256", "256", "128")
    narrows = ("256", "128", "128", "64")
    for number, layers in enumerate(network.extra):
        assert isinstance(layers, nn.Sequential)
        wide = f"layer_19_2_Conv2d_{number + 2}_3x3_s2_{sizes[number]}"
        load(layers[0], f"layer_19_1_Conv2d_{number + 2}_1x1_{narrows[number]}")
        load(layers[1], f"{wide}_depthwise", "depthwise_weights")
        load(layers[2], wide)
    for level in range(len(network.box_heads)):
        for heads, kind in (
            (network.box_heads, "BoxEncodingPredictor"),
            (network.class_heads, "ClassPredictor"),
        ):
            name = f"BoxPredictor_{level}/{kind}"
            _set(heads[level], constants[f"{name}/weights"], None, constants[f"{name}/biases"])
    return network.eval()


def sentences(path: Path, pieces: list[int]) -> SentenceEncoder:
    """Build the sentence encoder from ``model.safetensors``, with some of its word pieces.

    Args:
        path: The file.
        pieces: Rows of the word pieces that are kept.
    """
    state = load_file(path)
    network = SentenceEncoder(len(pieces))
    names = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "norm": "output.LayerNorm",
    }
    own = {
        f"layers.{number}.{ours}.{kind}": state[f"encoder.layer.{number}.{theirs}.{kind}"]
        for number in range(LAYERS)
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }
    # Every text is of the first type, so its vector belongs to every position.
    first_type = state["embeddings.token_type_embeddings.weight"][0]
    positions = state["embeddings.position_embeddings.weight"][:POSITIONS] + first_type
    network.load_state_dict(
        own
        | {
            "words.weight": state["embeddings.word_embeddings.weight"][pieces],
            "positions.weight": positions,
            "norm.weight": state["embeddings.LayerNorm.weight"],
            "norm.bias": state["embeddings.LayerNorm.bias"],
        }
    )
    return network.eval()
