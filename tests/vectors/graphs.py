"""Losses and derivatives of random graphs in f64, by PyTorch: JSON from standard input to standard output.

Run by tests/kernels/compare_graphs.ts.
"""

import json
import math
import sys

import torch
import torch.nn.functional as F


def reduction(f):
    def run(x, axes, keep, *more):
        return f(x, tuple(axes), keep, *more) if axes else x.clone()

    return run


def variance(x, axes, keep, unbiased):
    if axes:
        return x.var(tuple(axes), unbiased=unbiased, keepdim=keep)
    return torch.zeros_like(x) * x


def attend(q, k, v):
    p = torch.softmax(q.mT @ k / math.sqrt(q.shape[1]), -1)
    return v @ p.mT


def conv2d(x, w, bias, *rest):
    *residual, padding, stride, groups = rest
    y = F.conv2d(x, w, bias, stride, padding, groups=groups)
    return y + residual[0] if residual else y


def group_norm(x, gamma, beta, groups, activation):
    y = F.group_norm(x, groups, gamma, beta, 0.01)
    return F.gelu(y) if activation == "gelu" else y


def pad(x, sides):
    return F.pad(x, [side for pair in reversed(sides) for side in pair])


def concat(*given):
    *parts, axis = given
    return torch.cat(parts, axis)


def stack(*given):
    *parts, axis = given
    return torch.stack(parts, axis)


def slice_of(x, axis, start, length):
    return x.narrow(axis, start, length)


OPS = {
    "abs": torch.abs,
    "add": torch.add,
    "attend": attend,
    "averagePool2d": F.avg_pool2d,
    "clamp": torch.clamp,
    "concat": concat,
    "conv2d": conv2d,
    "convTranspose2d": lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2),
    "cos": torch.cos,
    "crossEntropy": lambda x: F.cross_entropy(x, (-x).argmax(1)),
    "divide": torch.divide,
    "exp": torch.exp,
    "gatherRows": lambda table, indices: table[torch.tensor(indices)],
    "gelu": F.gelu,
    "groupNorm": group_norm,
    "layerNorm": lambda x, g, b: F.layer_norm(x, x.shape[-1:], g, b, 0.01),
    "linear": F.linear,
    "log": torch.log,
    "logSoftmax": lambda x: F.log_softmax(x, -1),
    "matmul": torch.matmul,
    "matmulTransposedA": lambda a, b: a.mT @ b,
    "matmulTransposedB": lambda a, b: a @ b.mT,
    "max": reduction(torch.amax),
    "maxPool2d": lambda x: F.max_pool2d(x, 2),
    "maximum": torch.maximum,
    "mean": reduction(torch.mean),
    "meanSquaredError": F.mse_loss,
    "min": reduction(torch.amin),
    "minimum": torch.minimum,
    "multiply": torch.multiply,
    "negate": torch.neg,
    "pad": pad,
    "permute": torch.permute,
    "pow": torch.pow,
    "relu": torch.relu,
    "reshape": torch.reshape,
    "resizeBilinear": lambda x, h, w: F.interpolate(
        x, (h, w), mode="bilinear", align_corners=False
    ),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "slice": slice_of,
    "softmax": lambda x: torch.softmax(x, -1),
    "sqrt": torch.sqrt,
    "square": torch.square,
    "stack": stack,
    "subtract": torch.subtract,
    "sum": reduction(torch.sum),
    "tanh": torch.tanh,
    "transpose": lambda x: x.mT,
    "variance": variance,
    "where": lambda a, b: torch.where(a > b, a, b * 0.5),
    "whereLess": lambda a, b: torch.where(a < b, a.square(), b),
}


def derivatives(graph):
    leaves = [
        torch.tensor(leaf["values"])  # rounds to f32
        .double()
        .reshape(leaf["shape"])
        .requires_grad_()
        for leaf in graph["leaves"]
    ]
    values = list(leaves)
    used = set()
    for call in graph["calls"]:
        inputs = [values[i] for i in call["inputs"]]
        values.append(OPS[call["op"]](*inputs, *call["options"]))
        used.update(call["inputs"])
    loss = sum(v.square().mean() for i, v in enumerate(values) if i not in used)
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    second = []
    if graph["twice"]:
        along = sum(
            (dx.flatten() * ((torch.arange(dx.numel()) * 37) % 11 - 5) / 8).sum()
            for dx in first
        )
        none = sum(x.square().sum() * 0 for x in leaves)
        second = torch.autograd.grad(along + none, leaves)
    return {
        "loss": loss.item(),
        "first": [dx.flatten().tolist() for dx in first],
        "second": [d.flatten().tolist() for d in second],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump([derivatives(graph) for graph in json.load(sys.stdin)], sys.stdout)
