"""Runs PyTorch eager on the work of the benchmarks, for `against_torch.ts`.

Prints a line with the names of all works; then, for each line "INDEX COUNT" of standard
input, runs that work that often and prints the milliseconds that it took. Needs torch.

`python tests/bench/torch_networks.py --cases '[{"model": "base", "filters": [8, 16],
"tEmb": 16, "batchSize": 32}]'`. Needs torch.
"""

import argparse
import json
import runpy
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

NETWORKS = Path(__file__).parent.parent / "vectors" / "networks.py"
TYPES = {"base": "UNet_FM", "residual": "UNet_FM_Residuals"}


class ThreeConvolutions(nn.Module):
    def __init__(self, channels):
        super().__init__()
        convs = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.convs = nn.ModuleList(convs)

    def forward(self, x):
        first, second, third = self.convs
        return third(F.gelu(second(F.gelu(first(x)))))


def perceptron(width, hidden):
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MixerBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.token_norm, self.channel_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = perceptron(49, width // 2)
        self.channels = perceptron(width, 4 * width)

    def forward(self, x):
        y = x + self.tokens(self.token_norm(x).mT).mT
        return y + self.channels(self.channel_norm(y))


class Mixer(nn.Module):
    """The MLP mixer of mixer.ts."""

    def __init__(self, width):
        super().__init__()
        self.stem, self.head = nn.Linear(16, width), nn.Linear(width, 16)
        self.blocks = nn.Sequential(*(MixerBlock(width) for _ in range(4)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        patches = x.reshape(-1, 7, 4, 7, 4).transpose(2, 3).reshape(-1, 49, 16)
        y = self.head(self.norm(self.blocks(self.stem(patches))))
        return y.reshape(-1, 7, 7, 4, 4).transpose(2, 3).reshape(x.shape)


def time_mlp(inputs, features):
    """The time embedding, with the names of examples/*.ts."""
    return nn.Sequential(
        nn.Linear(inputs, features), nn.GELU(), nn.Linear(features, features)
    )


def modulated(x, shift, scale):
    return x * (1 + scale) + shift


class DiTBlock(nn.Module):
    def __init__(self, heads, width):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = perceptron(width, 4 * width)

    def forward(self, x, c):
        parts = self.modulation(c)[:, None].chunk(6, dim=-1)
        shift, scale, gate, shift2, scale2, gate2 = parts
        qkv = self.qkv(modulated(self.norm(x), shift, scale))
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        y = x + gate * self.out(mixed.transpose(1, 2).flatten(2))
        return y + gate2 * self.mlp(modulated(self.norm(y), shift2, scale2))


class DiT(nn.Module):
    """The network of examples/dit.ts without labels."""

    def __init__(self, patch, width, depth, heads):
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.places = nn.Embedding((28 // patch) ** 2, width)
        self.time = time_mlp(width, width)
        self.blocks = nn.ModuleList(DiTBlock(heads, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, patch**2)
        waves = 1000 * 10000 ** -(torch.arange(width // 2) / (width // 2))
        self.register_buffer("waves", waves, persistent=False)

    def forward(self, x, t):
        angles = t[:, None] * self.waves
        c = F.silu(self.time(torch.cat([angles.cos(), angles.sin()], dim=1)))
        patches = self.patches(x)
        h, w = patches.shape[2:]
        y = patches.flatten(2).mT + self.places.weight
        for block in self.blocks:
            y = block(y, c)
        shift, scale = self.modulation(c)[:, None].chunk(2, dim=-1)
        pixels = self.last(modulated(self.norm(y), shift, scale))
        pixels = pixels.unflatten(2, (x.shape[2] // h, -1)).unflatten(1, (h, w))
        return pixels.transpose(2, 3).reshape(x.shape)


class ConvNeXtBlock(nn.Module):
    def __init__(self, width, features):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.embedding = nn.Linear(features, width)
        self.norm = nn.GroupNorm(1, width)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(2 * width, width, 1)

    def forward(self, x, embedding):
        h = self.depthwise(x) + self.embedding(embedding)[:, :, None, None]
        return x + self.narrow(F.gelu(self.widen(self.norm(h))))


class ConvNeXt(nn.Module):
    """The network of examples/convnext.ts without labels."""

    def __init__(self, widths, depth, features):
        super().__init__()
        inner = list(zip(widths, widths[1:]))
        blocks = lambda width: nn.ModuleList(  # noqa: E731
            ConvNeXtBlock(width, features) for _ in range(depth)
        )
        self.time = time_mlp(1, features)
        self.stem = nn.Conv2d(1, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(i, o, 2, stride=2) for i, o in inner)
        self.up = nn.ModuleList(nn.ConvTranspose2d(o, i, 2, 2) for i, o in inner)
        self.joins = nn.ModuleList(nn.Conv2d(2 * i, i, 1) for i, _ in inner)
        self.encoder = nn.ModuleList(blocks(width) for width in widths)
        self.decoder = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, x, t):
        embedding = self.time(t[:, None])
        h, skips = self.stem(x), []
        for i, level in enumerate(self.encoder):
            if i > 0:
                skips.append(h)
                h = self.down[i - 1](h)
            for block in level:
                h = block(h, embedding)
        for i in reversed(range(len(skips))):
            h, size = self.up[i](h), skips[i].shape[2:]
            if h.shape[2:] != size:
                h = F.interpolate(h, size, mode="bilinear", align_corners=False)
            h = self.joins[i](torch.cat([h, skips[i]], dim=1))
            for block in self.decoder[i]:
                h = block(h, embedding)
        return self.last(h)


def work(name, images, step):
    return {"name": name, "amount": images, "step": step}


def network_works(name, model, optimizer, x, more, args):
    """Training steps (forward, MSE, backward, optimizer) and forward passes."""
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    model = model.to(x.device, memory_format=layout)
    x = x.contiguous(memory_format=layout)
    target = torch.randn_like(x)
    opt = optimizer(model.parameters())

    def train():
        opt.zero_grad(set_to_none=True)
        F.mse_loss(model(x, *more), target).backward()
        opt.step()

    @torch.no_grad()
    def forward():
        model(x, *more)

    for what, step in (("train", train), ("forward", forward)):
        yield work(f"{what} {name}", len(x), step)


def convolution_work(name, channels, size, kernel, stride, groups, device, args):
    """Steps of a convolution: forward, and the gradients of x, weight and bias."""
    layout = torch.channels_last if args.channels_last else torch.contiguous_format
    x = torch.randn(args.convolution_batch, channels, size, size, device=device)
    x = x.contiguous(memory_format=layout).requires_grad_()
    conv = nn.Conv2d(
        channels, channels, kernel, stride=stride, padding=kernel // 2, groups=groups
    ).to(device, memory_format=layout)
    slope = torch.randn_like(conv(x))

    def step():
        torch.autograd.grad(conv(x), [x, conv.weight, conv.bias], slope)

    return work(name, len(x), step)


def works(args, device):
    for convolution in args.convolutions:
        yield convolution_work(**convolution, device=device, args=args)

    networks = runpy.run_path(str(NETWORKS))
    for case in args.cases:
        model, filters, t_emb = case["model"], case["filters"], case["tEmb"]
        batch = case["batchSize"]
        network = networks["build"](**networks["config"](TYPES[model], filters, t_emb))
        name = f"{model} [{','.join(map(str, filters))}] T {t_emb}, batch {batch}"
        x = torch.randn(batch, 1, 28, 28, device=device)
        t = torch.rand(batch, device=device)
        yield from network_works(name, network, torch.optim.AdamW, x, (t,), args)

    x = torch.randn(32, 32, 28, 28, device=device)
    name = "three 3x3 convolutions, batch 32"
    yield from network_works(name, ThreeConvolutions(32), torch.optim.Adam, x, (), args)

    mixers = args.own.pop("mixers", [])
    own = [(f"MLP mixer, {width} channels", Mixer(width), ()) for width in mixers]
    t = torch.rand(32, device=device)
    for name, options in args.own.items():
        network = {"DiT": DiT, "ConvNeXt": ConvNeXt}[name](**options)
        own.append((f"examples/{name.lower()}.ts", network, (t,)))
    for name, network, more in own:
        x = torch.randn(32, 1, 28, 28, device=device)
        name = f"{name}, batch 32"
        yield from network_works(name, network, torch.optim.AdamW, x, more, args)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=json.loads, default=[])
    parser.add_argument("--own", type=json.loads, default={})
    parser.add_argument("--convolutions", type=json.loads, default=[])
    parser.add_argument("--convolution-batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--channels-last", action=argparse.BooleanOptionalAction, default=True
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # Compared with f32: TF32 would round the factors to 10 bits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    device = torch.device(args.device)
    if args.device == "cuda":
        where = torch.cuda.get_device_name()
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        where = f"{capability}, {args.threads} threads"
    known = list(works(args, device))
    names = [work["name"] for work in known]
    say({"device": f"PyTorch {torch.__version__}, {where}", "names": names})
    for line in sys.stdin:
        index, count = map(int, line.split())
        start = time.perf_counter()
        for _ in range(count):
            known[index]["step"]()
        if args.device == "cuda":
            torch.cuda.synchronize()
        say(1000 * (time.perf_counter() - start))


def say(what):
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
