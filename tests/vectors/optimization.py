"""Optimisers and learning-rate schedules, step by step."""

import json
import math

import torch
from store import FOLDER, SOURCE, TORCH, rounded, save
from torch import nn

# Optimisers

OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.01}, None),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.01}, None),
    "sgd_momentum": (
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        None,
    ),
    "sgd": (torch.optim.SGD, {"lr": 0.1}, None),
    "adamw_clipped": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.01}, 1.0),
}


def write_optimizers(seed):
    torch.manual_seed(seed)
    shapes = {"a": (5, 3), "b": (7,)}
    start = {k: torch.randn(shape).double() for k, shape in shapes.items()}
    # Global norms on both sides of 1: clipping acts in some steps. One gradient stays 0.
    scales = [1.0, 0.1, 3.0, 0.05, 0.5]
    gradients = [
        {k: rounded(scale * torch.randn(shape)) for k, shape in shapes.items()}
        for scale in scales
    ]
    for gradient in gradients:
        gradient["b"][3] = 0
    norms = [math.hypot(*g["a"].flatten(), *g["b"]) for g in gradients]
    assert min(norms) < 1 < max(norms)

    tensors = {f"param.{k}": p for k, p in start.items()}
    for step, gradient in enumerate(gradients, 1):
        tensors |= {f"grad.{step}.{k}": g for k, g in gradient.items()}
    settings = {}
    for name, (kind, options, max_norm) in OPTIMIZERS.items():
        parameters = {k: p.clone().requires_grad_() for k, p in start.items()}
        optimizer = kind(parameters.values(), **options)
        settings[name] = {"optimizer": kind.__name__, **options}
        if kind is not torch.optim.SGD:
            settings[name] |= {k: optimizer.defaults[k] for k in ("betas", "eps")}
        if max_norm is not None:
            settings[name]["max_norm"] = max_norm
        for step, gradient in enumerate(gradients, 1):
            for k, p in parameters.items():
                p.grad = gradient[k].clone()
            if max_norm is not None:
                nn.utils.clip_grad_norm_(parameters.values(), max_norm)
            optimizer.step()
            for k, p in parameters.items():
                tensors[f"{name}.{step}.{k}"] = p.detach().clone()
    metadata = {
        "seed": str(seed),
        "settings": json.dumps(settings),
        "norms": json.dumps(norms),
    }
    save("optimizers", tensors, metadata)


# Learning-rate schedules

# Falls, stalls, gains below the relative threshold of 1e-4, rises, one real gain.
PLATEAU_LOSSES = [
    *(1.0, 0.8, 0.7, 0.65, 0.66, 0.651, 0.65, 0.655, 0.652, 0.649),
    *(0.6489, 0.64889, 0.64888, 0.64887, 0.64886, 0.64885, 0.64884, 0.64, 0.63, 0.635),
    *(0.63, 0.63, 0.63, 0.63, 0.63, 0.63, 0.63, 0.63, 0.63, 0.63),
    *(0.63, 0.63, 0.62995, 0.62, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75),
]


def write_schedules():
    schedulers = torch.optim.lr_scheduler

    def optimizer(lr):
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)

    def rates(kind, lr, **settings):
        """The rate each of 30 steps is taken with."""
        opt = optimizer(lr)
        hidden = {"cycle_momentum": False} if kind is schedulers.OneCycleLR else {}
        scheduler = kind(opt, **settings, **hidden)
        values = []
        for step in range(30):
            if step > 0:
                opt.step()
                scheduler.step()
            values.append(opt.param_groups[0]["lr"])
        return {"settings": settings, "learning_rates": values}

    one_cycle = rates(
        schedulers.OneCycleLR,
        lr=1.0,  # unused: the scheduler sets max_lr / div_factor
        max_lr=2e-3,
        total_steps=30,
        pct_start=0.1,
        anneal_strategy="cos",
        div_factor=25,
        final_div_factor=1e4,
        three_phase=False,
    )
    cosine = rates(schedulers.CosineAnnealingLR, lr=1e-3, T_max=30, eta_min=0)
    cosine["settings"]["lr"] = 1e-3

    opt = optimizer(1e-3)
    settings = {"mode": "min", "factor": 0.5, "patience": 5}
    settings |= {"threshold": 1e-4, "threshold_mode": "rel"}
    plateau = schedulers.ReduceLROnPlateau(opt, **settings)
    after = []
    for loss in PLATEAU_LOSSES:
        plateau.step(loss)
        after.append(opt.param_groups[0]["lr"])

    schedules = {
        "source": SOURCE,
        "torch": TORCH,
        "OneCycleLR": one_cycle,
        "CosineAnnealingLR": cosine,
        "ReduceLROnPlateau": {
            "settings": {"lr": 1e-3, **settings},
            "losses": PLATEAU_LOSSES,
            "learning_rates": after,
        },
    }
    (FOLDER / "schedules.json").write_text(json.dumps(schedules, indent=2) + "\n")
