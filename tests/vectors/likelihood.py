"""The divergence of a small residual network, and log-likelihoods under its flow."""

import json
import math

import torch
from networks import RESIDUAL, build, config
from store import rounded, save
from torch.func import jacfwd

SETTINGS = config(RESIDUAL, [4, 8], 8, groups=2)
SHAPE = (3, 1, 6, 5)
STEPS = 8


def jacobian(model, x, t):
    """dv/dx of one sample, by forward mode, [D, D]."""

    def v(flat):
        return model(flat.view(1, *SHAPE[1:]), t.view(1)).flatten()

    return jacfwd(v)(x.flatten())


def divergences(model, x, t, signs):
    """The trace of dv/dx of each sample, and epsilon^T dv/dx epsilon, [N] each."""
    found = [jacobian(model, *sample) for sample in zip(x, t)]
    trace = torch.stack([J.trace() for J in found])
    estimate = torch.stack(
        [e.flatten() @ J @ e.flatten() for J, e in zip(found, signs)]
    )
    return trace, estimate


def log_likelihood(model, x1, signs):
    """Noise and log p by both divergences; the classical Runge-Kutta method, from t = 1 to 0."""

    def derivative(state, t):
        x, _, _ = state
        t = torch.full((len(x),), t, dtype=x.dtype)
        return model(x, t), *divergences(model, x, t, signs)

    def moved(state, k, h):
        return tuple(part + h * slope for part, slope in zip(state, k))

    state = (x1, torch.zeros(len(x1)).double(), torch.zeros(len(x1)).double())
    h = -1 / STEPS
    for i in range(STEPS):
        t = 1 - i / STEPS
        k1 = derivative(state, t)
        k2 = derivative(moved(state, k1, h / 2), t + h / 2)
        k3 = derivative(moved(state, k2, h / 2), t + h / 2)
        k4 = derivative(moved(state, k3, h), t + h)
        slope = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4)]
        state = moved(state, slope, h)
    z, trace, estimate = state
    normal = -z.square().flatten(1).sum(1) / 2
    normal -= z[0].numel() / 2 * math.log(2 * math.pi)
    return z, normal + trace, normal + estimate


def write_likelihood(seed):
    torch.manual_seed(seed)
    model = build(**SETTINGS).double()
    x = rounded(torch.randn(SHAPE).double())
    t = rounded(torch.rand(SHAPE[0]).double())
    signs = (torch.rand(SHAPE) < 0.5).double() * 2 - 1
    with torch.no_grad():
        trace, estimate = divergences(model, x, t, signs)
        z, logp, logp_estimate = log_likelihood(model, x, signs)
    tensors = {
        "x": x,
        "t": t,
        "epsilon": signs,
        "divergence": trace,
        "estimate": estimate,
        "z": z,
        "logp": logp,
        "logp_estimate": logp_estimate,
    }
    tensors |= {f"param.{k}": p for k, p in model.named_parameters()}
    metadata = {
        "config": json.dumps(SETTINGS),
        "seed": str(seed),
        "solver": "rk4",
        "steps": str(STEPS),
    }
    save("likelihood", tensors, metadata)
