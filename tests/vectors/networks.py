"""The networks of the vectors, as PyTorch has them."""

import math

import torch
import torch.nn.functional as F
from torch import nn

BASE, RESIDUAL = "UNet_FM", "UNet_FM_Residuals"


def time_mlp(t_emb):
    return nn.Sequential(nn.Linear(1, t_emb), nn.GELU(), nn.Linear(t_emb, t_emb))


def label_emb(classes, t_emb):
    """A row for each class, and one for "none"."""
    return nn.Embedding(classes + 1, t_emb) if classes else None


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
    def __init__(self, filters, t_emb, channels, attn, groups, classes=0):
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
        self.label_emb = label_emb(classes, t_emb)

    def forward(self, x, t, labels=None):
        t_emb = self.time_mlp(t[:, None])
        if labels is not None:
            t_emb = t_emb + self.label_emb(labels)
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
    def __init__(self, filters, t_emb, channels, attn, groups, classes=0):
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
        self.label_emb = label_emb(classes, t_emb)

    def forward(self, x, t, labels=None):
        t_emb = self.time_mlp(t[:, None])
        if labels is not None:
            t_emb = t_emb + self.label_emb(labels)
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


NETWORKS = {BASE: BaseUNet, RESIDUAL: ResidualUNet}


def build(type, **settings):
    return NETWORKS[type](**settings)


def config(type, filters, t_emb, channels=1, attn=False, groups=8, **classes):
    sizes = {"filters": filters, "t_emb": t_emb, "channels": channels}
    return {"type": type, **sizes, "attn": attn, "groups": groups, **classes}
