"""Writes the parity vectors beside this file: `python tests/vectors/make_vectors.py`.

Needs torch, numpy and safetensors. Every computation but the loss curve runs in float64 and is
stored as float32; what the computation starts from (parameters, x0, x1, t, xt, u, gradients of the
optimiser problem) is rounded to float32 first, so that a reader starts from the same numbers.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

FOLDER = Path(__file__).parent
SOURCE = "tests/vectors/make_vectors.py"
TORCH = torch.__version__.split("+")[0]
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
STEPS = 3


# Networks


def time_mlp(t_emb):
    return nn.Sequential(nn.Linear(1, t_emb), nn.GELU(), nn.Linear(t_emb, t_emb))


def conv3x3(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def spatial(vector):
    """[N, C] -> [N, C, 1, 1]."""
    return vector[:, :, None, None]


class Attention(nn.Module):
    """Self-attention over the pixels, one head; the identity when freshly initialised."""

    def __init__(self, channels, groups):
        super().__init__()
        self.gn = nn.GroupNorm(groups, channels, eps=1e-5)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.final = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def forward(self, x):
        h = self.gn(x)
        q, k, v = (f(h).flatten(2) for f in (self.q, self.k, self.v))  # [N, C, HW]
        weights = (q.mT @ k / math.sqrt(x.shape[1])).softmax(dim=-1)  # [N, query, key]
        return x + self.final((v @ weights.mT).view_as(x))


class Residual(nn.Module):
    def __init__(self, channels, t_emb, groups):
        super().__init__()
        self.gn1 = nn.GroupNorm(groups, channels, eps=1e-5)
        self.conv1 = conv3x3(channels, channels)
        self.t_proj = nn.Linear(t_emb, channels)
        self.gn2 = nn.GroupNorm(groups, channels, eps=1e-5)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x, t_emb):
        h = self.conv1(F.gelu(self.gn1(x))) + spatial(self.t_proj(t_emb))
        return x + self.conv2(F.gelu(self.gn2(h)))


class Down(nn.Module):
    def __init__(self, inputs, outputs, t_emb, groups):
        super().__init__()
        self.conv = conv3x3(inputs, outputs)
        self.residual = Residual(outputs, t_emb, groups)

    def forward(self, x, t_emb):
        return self.residual(self.conv(x), t_emb)


class Up(nn.Module):
    """Upsample, resize to the skip where sizes differ, concatenate, convolve."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convskip = conv3x3(2 * outputs, outputs)

    def forward(self, x, skip):
        x = self.upsample(x)
        if x.shape[2:] != skip.shape[2:]:
            x = F.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
        return self.convskip(torch.cat([x, skip], dim=1))


class ResidualUp(Up):
    def __init__(self, inputs, outputs, t_emb, groups):
        super().__init__(inputs, outputs)
        self.residual = Residual(outputs, t_emb, groups)

    def forward(self, x, skip, t_emb):
        return self.residual(super().forward(x, skip), t_emb)


class BaseUNet(nn.Module):
    def __init__(self, filters, t_emb, channels, attn, groups):
        super().__init__()
        self.time_mlp = time_mlp(t_emb)
        widths = list(zip([channels, *filters], filters))
        self.downs = nn.ModuleList(conv3x3(i, o) for i, o in widths)
        self.time_emb_passes = nn.ModuleList(nn.Linear(t_emb, f) for f in filters)
        self.mid = Attention(filters[-1], groups) if attn else nn.Identity()
        self.ups = nn.ModuleList(Up(o, i) for i, o in reversed(widths[1:]))
        self.time_emb_passes_up = nn.ModuleList(
            nn.Linear(t_emb, f) for f in reversed(filters[:-1])
        )
        self.last = conv3x3(filters[0], channels)

    def forward(self, x, t):
        t_emb = self.time_mlp(t[:, None])
        skips = []
        for down, pass_time in zip(self.downs, self.time_emb_passes):
            if down is not self.downs[0]:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = F.gelu(down(x) + spatial(pass_time(t_emb)))
        x = self.mid(x)
        for up, pass_time in zip(self.ups, self.time_emb_passes_up):
            x = F.gelu(up(x, skips.pop()) + spatial(pass_time(t_emb)))
        return self.last(x)


class ResidualUNet(nn.Module):
    def __init__(self, filters, t_emb, channels, attn, groups):
        super().__init__()
        self.time_mlp = time_mlp(t_emb)
        widths = list(zip([channels, *filters], filters))
        self.downs = nn.ModuleList(Down(i, o, t_emb, groups) for i, o in widths)
        self.mid_res = Residual(filters[-1], t_emb, groups)
        self.mid_attn = Attention(filters[-1], groups) if attn else nn.Identity()
        self.ups = nn.ModuleList(
            ResidualUp(o, i, t_emb, groups) for i, o in reversed(widths[1:])
        )
        self.last = conv3x3(filters[0], channels)

    def forward(self, x, t):
        t_emb = self.time_mlp(t[:, None])
        skips = []
        for down in self.downs:
            if down is not self.downs[0]:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = down(x, t_emb)
        x = self.mid_attn(self.mid_res(x, t_emb))
        for up in self.ups:
            x = up(x, skips.pop(), t_emb)
        return self.last(x)


NETWORKS = {"UNet_FM": BaseUNet, "UNet_FM_Residuals": ResidualUNet}


def build(type, **settings):
    return NETWORKS[type](**settings)


def config(type, filters, t_emb, channels=1, attn=False, groups=8):
    return locals()


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

BASE, RESIDUAL = "UNet_FM", "UNet_FM_Residuals"
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
}


def rounded(tensor):
    """The nearest float32 numbers, as float64."""
    return tensor.float().double()


def save(name, tensors, metadata):
    """Writes a safetensors file; the package's own writer orders metadata at random."""
    tensors = {k: v.detach().float().contiguous() for k, v in tensors.items()}
    assert all(v.isfinite().all() for v in tensors.values())
    header = {"__metadata__": {"source": SOURCE, "torch": TORCH, **metadata}}
    data = b""
    for k, v in tensors.items():
        start, data = len(data), data + v.numpy().astype("<f4").tobytes()
        offsets = [start, len(data)]
        header[k] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of 8
    path = FOLDER / f"{name}.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)

    back = load_file(path)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[k], v) for k, v in tensors.items())


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
    tensors |= {f"param.{k}": p.detach().clone() for k, p in model.named_parameters()}

    optimizer = torch.optim.AdamW(model.parameters(), **ADAMW)
    losses = []
    largest = dict.fromkeys(dict(model.named_parameters()), 0.0)
    for step in range(STEPS):
        optimizer.zero_grad()
        output = model(xt, t)
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


# Loss curve


def threefry(seed, stream, index, counter):
    """Threefry-2x32, 20 rounds, of an array of indices: two uint32 arrays."""
    keys = [np.uint32(seed), np.uint32(stream), np.uint32(0x1BD11BDA ^ seed ^ stream)]
    x = np.asarray(index, np.uint32) + keys[0]
    y = np.full_like(x, counter) + keys[1]
    for turn in range(20):
        by = np.uint32([13, 15, 26, 6, 17, 29, 16, 24][turn % 8])
        x = x + y
        y = ((y << by) | (y >> (np.uint32(32) - by))) ^ x
        if turn % 4 == 3:
            group = (turn + 1) // 4
            x = x + keys[group % 3]
            y = y + keys[(group + 1) % 3] + np.uint32(group)
    return x, y


def random_uniform(seed, stream, counter, n):
    pairs = np.stack(threefry(seed, stream, np.arange((n + 1) // 2), counter), axis=-1)
    return torch.from_numpy((pairs.flatten()[:n] >> np.uint32(8)) * 2.0**-24)


def random_normal(seed, stream, counter, n):
    """Box and Muller's pairs."""
    a, b = (v >> np.uint32(8) for v in threefry(seed, stream, np.arange(n // 2), counter))
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
    save("loss_curve", tensors, {"config": json.dumps(settings), "settings": json.dumps(CURVE)})


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    check_parameter_counts()
    for index, (name, (settings, shape)) in enumerate(CASES.items()):
        write_case(name, settings, shape, seed=46020 + index)
    write_optimizers(seed=46019)
    write_schedules()
    write_loss_curve()


if __name__ == "__main__":
    main()
