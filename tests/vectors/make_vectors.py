"""Writes the parity vectors beside this file: `python tests/vectors/make_vectors.py`.

Needs torch, numpy and safetensors. Every computation but the loss curve runs in float64 and is
stored as float32; what the computation starts from (parameters, x0, x1, t, xt, u, gradients of the
optimiser problem) is rounded to float32 first, so that a reader starts from the same numbers.
"""

import json
import sys
from pathlib import Path

import torch
from layers import write_layers
from likelihood import write_likelihood
from loss_curve import write_loss_curve
from networks import BASE, RESIDUAL, Attention, build, config
from optimization import write_optimizers, write_schedules
from store import rounded, save
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from torch_networks import DiT  # noqa: E402

ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
STEPS = 3


def check_parameter_counts():
    def count(*args):
        with torch.device("meta"):
            return sum(p.numel() for p in build(**config(*args)).parameters())

    assert count("UNet_FM", [16, 32, 64], 64) == 71_505
    assert count("UNet_FM", [32, 64, 128], 64) == 251_361
    assert count("UNet_FM_Residuals", [16, 32, 64], 64) == 270_545
    assert count("UNet_FM_Residuals", [32, 64, 128], 64) == 1_036_513
    assert round(count("UNet_FM", [256, 512, 1024], 512) / 1e6, 1) == 16.0
    assert round(count("UNet_FM_Residuals", [256, 512, 1024], 512) / 1e6, 1) == 66.1


# Network cases: name -> config, shape of x

CASES = {
    "base": (config(BASE, [4, 6, 8], 8, groups=2), (2, 1, 28, 28)),
    "base_attention_odd": (
        config(BASE, [4, 6, 8], 16, attn=True, groups=4),
        (3, 1, 15, 13),
    ),
    "base_one_level": (config(BASE, [6], 10, groups=3), (2, 1, 9, 8)),
    "residual": (config(RESIDUAL, [8, 16], 16, groups=4), (2, 1, 28, 28)),
    "residual_attention_odd_rgb": (
        config(RESIDUAL, [4, 8, 8], 10, channels=3, attn=True, groups=4),
        (2, 3, 13, 15),
    ),
    "residual_attention": (
        config(RESIDUAL, [8, 8, 16], 8, attn=True, groups=8),
        (2, 1, 28, 28),
    ),
    "base_classes": (config(BASE, [4, 6], 8, groups=2, classes=4), (4, 1, 10, 9)),
    "residual_classes": (
        config(RESIDUAL, [4, 8], 6, groups=4, classes=3),
        (4, 1, 9, 10),
    ),
}


def perturb(model):
    """Moves norms off (1, 0) and `final` off 0, to test the gradients behind them."""
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.weight.add_(0.2 * torch.randn_like(module.weight))
            module.bias.add_(0.2 * torch.randn_like(module.bias))
        if isinstance(module, Attention):
            module.final.weight.add_(0.3 * torch.randn_like(module.final.weight))
            module.final.bias.add_(0.1 * torch.randn_like(module.final.bias))


def write_case(name, settings, shape, seed):
    torch.manual_seed(seed)
    model = build(**settings)
    with torch.no_grad():
        perturb(model)
    model.double()  # exact: the parameters were drawn as float32

    x0 = torch.randn(shape).double()
    x1 = torch.rand(shape).double()
    t = torch.rand(shape[0]).double()
    t_image = t[:, None, None, None]
    xt = rounded(t_image * x1 + (1 - t_image) * x0).requires_grad_()
    u = rounded(x1 - x0)
    tensors = {"x0": x0, "x1": x1, "t": t, "xt": xt, "u": u}
    labels = None
    if "classes" in settings:
        classes = settings["classes"]
        labels = torch.tensor([1, classes, classes - 1, 1])  # twice one, once "none"
        tensors["labels"] = labels
    tensors |= {f"param.{k}": p.detach().clone() for k, p in model.named_parameters()}

    direction = (u, torch.ones_like(t))
    start = (xt.detach(), t)
    tensors["jvp"] = torch.func.jvp(lambda x, t: model(x, t, labels), start, direction)[1]

    optimizer = torch.optim.AdamW(model.parameters(), **ADAMW)
    losses = []
    largest = dict.fromkeys(dict(model.named_parameters()), 0.0)
    for step in range(STEPS):
        optimizer.zero_grad()
        output = model(xt, t, labels)
        loss = (output - u).square().mean()
        loss.backward()
        if step == 0:
            tensors |= {"output": output, "loss": loss, "grad_xt": xt.grad.clone()}
        for k, p in model.named_parameters():
            if step == 0:
                tensors[f"grad.{k}"] = p.grad.clone()
            largest[k] = max(largest[k], p.grad.abs().max().item())
        losses.append(loss.item())
        optimizer.step()
    tensors |= {f"after.{k}": p for k, p in model.named_parameters()}
    tensors["losses"] = torch.tensor(losses)

    # Gradients that vanish in exact arithmetic: AdamW makes steps of their rounding noise.
    zero_gradient = [k for k, g in largest.items() if g < 1e-12]
    metadata = {
        "config": json.dumps(settings),
        "seed": str(seed),
        "loss": repr(losses[0]),
        "steps": str(STEPS),
        **{k: json.dumps(v) for k, v in ADAMW.items()},
        "zero_gradient": json.dumps(zero_gradient),
    }
    save(name, tensors, metadata)


def write_transformer(seed):
    """examples/dit.ts: its velocity, and the velocity's derivative along `direction` and time."""
    torch.manual_seed(seed)
    model = DiT(patch=7, width=12, depth=2, heads=3).double()
    for parameter in model.parameters():  # the gates start at 0
        parameter.data = rounded(parameter + 0.1 * torch.randn_like(parameter))
    x, direction = torch.randn(2, 2, 1, 28, 28).float().double()
    t = torch.tensor([0.25, 0.5]).double()  # times a frequency of up to 1000 without rounding
    with sdpa_kernel(SDPBackend.MATH):  # the others have no forward mode
        output, jvp = torch.func.jvp(model, (x, t), (direction, torch.ones_like(t)))
    parameters = {f"param.{k}": p for k, p in model.named_parameters()}
    tensors = {"x": x, "t": t, "direction": direction, "output": output, "jvp": jvp}
    save("transformer", tensors | parameters, {})


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    check_parameter_counts()
    for index, (name, (settings, shape)) in enumerate(CASES.items()):
        write_case(name, settings, shape, seed=46020 + index)
    write_transformer(seed=46016)
    write_optimizers(seed=46019)
    write_schedules()
    write_loss_curve()
    write_likelihood(seed=46018)
    write_layers(seed=46017)


if __name__ == "__main__":
    main()
