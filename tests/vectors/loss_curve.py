"""The loss curve: a training that this suite repeats step by step."""

import json

import numpy as np
import torch
from networks import RESIDUAL, build, config
from store import save
from threefry import threefry, uniforms
from torch import nn


def random_uniform(seed, stream, counter, n):
    return torch.from_numpy(uniforms(seed, stream, counter, n))


def random_normal(seed, stream, counter, n):
    """Box and Muller's pairs."""
    a, b = (
        v >> np.uint32(8) for v in threefry(seed, stream, np.arange(n // 2), counter)
    )
    radius, angle = np.sqrt(-2 * np.log((a + 1.0) * 2.0**-24)), 2 * np.pi * b * 2.0**-24
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return torch.from_numpy(pairs.flatten())


def discs(count, size):
    """White discs on black, f32[count, 1, size, size] in -1 .. 1."""
    n = np.arange(count)[:, None, None]
    h, w = np.arange(size)[:, None], np.arange(size)
    inside = (h - 3 - 5 * n % 8) ** 2 + (w - 3 - 3 * n % 8) ** 2 <= 4 + 7 * n % 13
    return torch.from_numpy(2.0 * inside - 1).float()[:, None]


CURVE = {"seed": 46020, "images": 64, "size": 14, "batch": 4, "steps": 200}
CURVE |= {"lr": 4e-3, "weight_decay": 0.01, "clip": 1.0}


def write_loss_curve():
    """Training as `experiments/training/trainer.ts` does it, in float32."""
    settings = config(RESIDUAL, [4, 8], 8, groups=4)
    seed, size, batch = CURVE["seed"], CURVE["size"], CURVE["batch"]
    torch.manual_seed(seed)
    model = build(**settings)
    tensors = {f"param.{k}": p.detach().clone() for k, p in model.named_parameters()}
    options = {"lr": CURVE["lr"], "weight_decay": CURVE["weight_decay"]}
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    data = discs(CURVE["images"], size)
    losses = []
    for step in range(CURVE["steps"]):
        x1 = data[(step * batch + np.arange(batch)) % CURVE["images"]]
        x0 = random_normal(seed, 2, step, batch * size**2).float().view(x1.shape)
        t = random_uniform(seed, 3, step, batch).float()
        t_image = t[:, None, None, None]
        optimizer.zero_grad()
        velocity = model(t_image * x1 + (1 - t_image) * x0, t)
        loss = (velocity - (x1 - x0)).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CURVE["clip"])
        optimizer.step()
        losses.append(loss.item())
    tensors["losses"] = torch.tensor(losses)
    save(
        "loss_curve",
        tensors,
        {"config": json.dumps(settings), "settings": json.dumps(CURVE)},
    )
