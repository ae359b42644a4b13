"""A U-Net trained by flow matching, in plain PyTorch; README.md beside this file shows how to use it.

x is [N, C, H, W], t is [N] from 0 (noise) to 1 (data), and labels are integers [N], by default "none" for all.
"""

import json
import math

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn


def conv3x3(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def spatial(vector):
    """[N, C] -> [N, C, 1, 1]."""
    return vector[:, :, None, None]


class TimeEmbedding(nn.Sequential):
    """A small MLP of t, or of sines and cosines of 1000 t."""

    def __init__(self, width, waves=False):
        super().__init__(nn.Linear(width if waves else 1, width), nn.GELU(), nn.Linear(width, width))
        self.waves = width // 2 if waves else 0

    def forward(self, t):
        if self.waves == 0:
            return super().forward(t[:, None])
        k = torch.arange(self.waves, dtype=torch.float64) / self.waves
        angles = t[:, None] * (1000 * 10_000**-k).to(t)
        return super().forward(torch.cat([angles.cos(), angles.sin()], dim=1))


class Attention(nn.Module):
    """Self-attention over the pixels, one head."""

    def __init__(self, channels, groups):
        super().__init__()
        self.gn = nn.GroupNorm(groups, channels)
        self.q, self.k, self.v, self.final = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        h = self.gn(x)
        q, k, v = (f(h).flatten(2) for f in (self.q, self.k, self.v))  # [N, C, HW]
        weights = (q.mT @ k / math.sqrt(x.shape[1])).softmax(dim=-1)  # [N, query, key]
        return x + self.final((v @ weights.mT).view_as(x))


class ResidualBlock(nn.Module):
    def __init__(self, channels, t_emb, groups):
        super().__init__()
        self.gn1 = nn.GroupNorm(groups, channels)
        self.conv1 = conv3x3(channels, channels)
        self.t_proj = nn.Linear(t_emb, channels)
        self.gn2 = nn.GroupNorm(groups, channels)
        self.conv2 = conv3x3(channels, channels)

    def forward(self, x, embedding):
        h = self.conv1(F.gelu(self.gn1(x))) + spatial(self.t_proj(embedding))
        return x + self.conv2(F.gelu(self.gn2(h)))


class Down(nn.Module):
    def __init__(self, inputs, outputs, t_emb, groups):
        super().__init__()
        self.conv = conv3x3(inputs, outputs)
        self.residual = ResidualBlock(outputs, t_emb, groups)

    def forward(self, x, embedding):
        return self.residual(self.conv(x), embedding)


class Up(nn.Module):
    """Upsamples, resizes to the skip connection if sizes differ, concatenates and convolves."""

    def __init__(self, inputs, outputs, t_emb=0, groups=0):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.convskip = conv3x3(2 * outputs, outputs)
        self.residual = ResidualBlock(outputs, t_emb, groups) if groups else None

    def forward(self, x, skip, embedding=None):
        x = self.upsample(x)
        if x.shape[2:] != skip.shape[2:]:
            x = F.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
        x = self.convskip(torch.cat([x, skip], dim=1))
        return self.residual(x, embedding) if self.residual else x


class Flow(nn.Module):
    """The parts that both networks share. `config` comes from the file of weights."""

    def __init__(self, config, shape=(1, 28, 28), scale=1.0, shift=0.0):
        super().__init__()
        self.config, self.shape, self.scale, self.shift = config, shape, scale, shift
        t_emb, self.classes = config["t_emb"], config.get("classes", 0)
        self.time_mlp = TimeEmbedding(t_emb, config.get("time_embedding") == "sinusoidal")
        self.label_emb = nn.Embedding(self.classes + 1, t_emb) if self.classes else None
        self.step_mlp = TimeEmbedding(t_emb) if config.get("flow_map") else None
        self.guidance_mlp = TimeEmbedding(t_emb) if "max_guidance" in config else None

    def embed(self, t, labels, d, guidance):
        embedding = self.time_mlp(t)
        if self.step_mlp is not None:
            embedding = embedding + self.step_mlp(torch.zeros_like(t) if d is None else d)
        if self.guidance_mlp is not None:
            embedding = embedding + self.guidance_mlp(torch.full_like(t, guidance - 1))
        if self.label_emb is None:
            return embedding
        none = torch.full(t.shape, self.classes, device=t.device)  # the last row
        return embedding + self.label_emb(none if labels is None else labels)

    def velocity(self, x, t, labels=None):
        """dx/dt at time t."""
        output = self(x, t, labels)
        prediction = self.config.get("prediction", "velocity")
        if prediction == "velocity":
            return output
        t = spatial(t[:, None])
        if self.config.get("path") == "cosine":  # x = alpha data + sigma noise, and the derivatives
            alpha, sigma = (math.pi / 2 * t).sin(), (math.pi / 2 * t).cos()
            d_alpha, d_sigma = math.pi / 2 * sigma, -math.pi / 2 * alpha
        else:
            alpha, sigma, d_alpha, d_sigma = t, 1 - t, 1, -1
        weight = d_alpha * sigma - d_sigma * alpha
        if prediction == "data":
            return (weight * output + d_sigma * x) / sigma.clamp(min=0.05)
        return (d_alpha * x - weight * output) / alpha.clamp(min=0.05)

    def mean_velocity(self, x, t, d, labels=None, guidance=1.0):
        """The velocity that takes a flow map from t to t + d in one step; d is [N].

        Guidance, from 1 to the config's max_guidance, only affects a map that takes it as an input.
        """
        return self(x, t, labels, d, guidance)

    @torch.no_grad()
    def sample(self, count=16, steps=None, labels=None, guidance=1.0, x=None):
        """Draws pixels [N, C, H, W] from 0 (black) to 1 (white), not clipped, by Euler's method or a flow map's steps."""
        is_map = self.step_mlp is not None
        steps = steps or (1 if is_map else 50)
        times = [i / steps for i in range(steps + 1)]
        if is_map:  # the first of several evaluations leads to 1/2, the last from 7/8
            times[1:-1] = [1 / 2 + 3 / 8 * i / max(1, steps - 2) for i in range(steps - 1)]
        device = next(self.parameters()).device
        x = torch.randn(count, *self.shape, device=device) if x is None else x
        for now, then in zip(times, times[1:]):
            t = torch.full((len(x),), now, device=device)
            if is_map:
                v = self.mean_velocity(x, t, torch.full_like(t, then - now), labels, guidance)
            else:
                v = self.velocity(x, t, labels)
                if guidance != 1:  # away from the velocity without a class
                    none = self.velocity(x, t)
                    v = none + guidance * (v - none)
            x = x + v * (then - now)
        return (x - self.shift) / self.scale


class BaseUNet(Flow):
    def __init__(self, config, *format):
        super().__init__(config, *format)
        filters, t_emb, channels = config["filters"], config["t_emb"], config["channels"]
        widths = list(zip([channels, *filters], filters))
        self.downs = nn.ModuleList(conv3x3(i, o) for i, o in widths)
        self.time_emb_passes = nn.ModuleList(nn.Linear(t_emb, f) for f in filters)
        self.mid = Attention(filters[-1], config["groups"]) if config["attn"] else nn.Identity()
        self.ups = nn.ModuleList(Up(o, i) for i, o in reversed(widths[1:]))
        self.time_emb_passes_up = nn.ModuleList(nn.Linear(t_emb, f) for f in reversed(filters[:-1]))
        self.last = conv3x3(filters[0], channels)

    def forward(self, x, t, labels=None, d=None, guidance=1.0):
        embedding, skips = self.embed(t, labels, d, guidance), []
        for i, (down, project) in enumerate(zip(self.downs, self.time_emb_passes)):
            if i > 0:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = F.gelu(down(x) + spatial(project(embedding)))
        x = self.mid(x)
        for up, project in zip(self.ups, self.time_emb_passes_up):
            x = F.gelu(up(x, skips.pop()) + spatial(project(embedding)))
        return self.last(x)


class ResidualUNet(Flow):
    def __init__(self, config, *format):
        super().__init__(config, *format)
        filters, channels = config["filters"], config["channels"]
        sizes = config["t_emb"], config["groups"]
        widths = list(zip([channels, *filters], filters))
        self.downs = nn.ModuleList(Down(i, o, *sizes) for i, o in widths)
        self.mid_res = ResidualBlock(filters[-1], *sizes)
        self.mid_attn = Attention(filters[-1], sizes[1]) if config["attn"] else nn.Identity()
        self.ups = nn.ModuleList(Up(o, i, *sizes) for i, o in reversed(widths[1:]))
        self.last = conv3x3(filters[0], channels)

    def forward(self, x, t, labels=None, d=None, guidance=1.0):
        embedding, skips = self.embed(t, labels, d, guidance), []
        for i, down in enumerate(self.downs):
            if i > 0:
                skips.append(x)
                x = F.max_pool2d(x, 2)
            x = down(x, embedding)
        x = self.mid_attn(self.mid_res(x, embedding))
        for up in self.ups:
            x = up(x, skips.pop(), embedding)
        return self.last(x)


def load(path="weights.safetensors", device="cpu"):
    """Loads the network in a file of weights, ready to sample from."""
    with safe_open(path, framework="pt", device=device) as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}
    config = json.loads(metadata["config"])
    pixels = json.loads(metadata.get("normalization", '{"scale": 1, "shift": 0}'))
    shape = (config["channels"], *json.loads(metadata.get("image_size", "[28, 28]")))
    network = {"UNet_FM": BaseUNet, "UNet_FM_Residuals": ResidualUNet}[config["type"]]
    model = network(config, shape, pixels["scale"], pixels["shift"])
    model.load_state_dict(weights)
    return model.to(device).eval()
