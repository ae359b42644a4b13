"""Layers with their gradients, and how PyTorch draws weights."""

import json
import math

import torch
from store import rounded, save
from torch import nn

# name -> layer, shape of x

LAYERS = {
    "linear": (lambda: nn.Linear(5, 6), (2, 3, 4, 5)),
    "linear_vector": (lambda: nn.Linear(5, 6), (5,)),
    "layer_norm": (lambda: nn.LayerNorm(7), (2, 3, 7)),
    "layer_norm_plain": (
        lambda: nn.LayerNorm(7, eps=1e-3, elementwise_affine=False),
        (4, 7),
    ),
    "sequential": (
        lambda: nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2)),
        (3, 2, 5),
    ),
}
INDICES = [[4, 0, 2], [2, 2, 1]]

# A weight large enough to see the distribution that it is drawn from.
SHAPE = (64, 48, 3, 3)
INITIALISERS = {
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "normal": lambda weight: nn.init.normal_(weight, std=0.02),
    "zeros": nn.init.zeros_,
}
DEFAULTS = {
    "Linear": lambda: nn.Linear(160, 128),
    "Conv2d": lambda: nn.Conv2d(48, 64, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(48, 64, 2, 2),
    "Embedding": lambda: nn.Embedding(128, 160),
    "LayerNorm": lambda: nn.LayerNorm(160),
}


def gradients(name, layer, x, y):
    """Those of sum(y * probe), with respect to x, unless it is indices, and the parameters."""
    probe = rounded(torch.randn(y.shape))
    inputs = {"x": x} if x.is_floating_point() else {}
    inputs |= dict(layer.named_parameters())
    found = torch.autograd.grad((y * probe).sum(), inputs.values())
    return {f"{name}.probe": probe} | {
        f"{name}.grad.{k}": g for k, g in zip(inputs, found, strict=True)
    }


def write_case(name, layer, x):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    layer.double()
    y = layer(x)
    return {
        **{f"{name}.x": x, f"{name}.y": y},
        **{f"{name}.param.{k}": p.detach().clone() for k, p in layer.named_parameters()},
        **gradients(name, layer, x, y),
    }


def spread(values):
    """Root mean square and largest of a parameter at start."""
    return [math.sqrt(values.square().mean().item()), values.abs().max().item()]


def write_layers(seed):
    torch.manual_seed(seed)
    tensors = {}
    for name, (make, shape) in LAYERS.items():
        tensors |= write_case(name, make(), rounded(torch.randn(shape)).requires_grad_())
    tensors |= write_case("embedding", nn.Embedding(5, 3), torch.tensor(INDICES))
    with torch.no_grad():
        drawn = {name: spread(draw(torch.empty(SHAPE))) for name, draw in INITIALISERS.items()}
        defaults = {
            name: {k: spread(p) for k, p in make().named_parameters()}
            for name, make in DEFAULTS.items()
        }
    metadata = {"seed": str(seed), "shape": json.dumps(SHAPE)}
    metadata |= {"initialisers": json.dumps(drawn), "defaults": json.dumps(defaults)}
    save("layers", tensors, metadata)
