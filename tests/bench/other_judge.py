"""Judges samples of digits by an independent network, a LeNet in PyTorch.

    deno task sample runs/A --count 2000 --solver heun:steps=10 --out x.npy
    python tests/bench/other_judge.py --mnist FOLDER x.npy

FOLDER holds MNIST as IDX files. For each file of samples, f32[N, 1, 28, 28] from 0 to 1, it prints the share
recognised with p >= 0.9, the share of the requested class, taken as n mod 10 for sample n, and the
Fréchet distance of the 84 features before the last layer to those of the 10,000 test images. Training takes
about a minute. Needs torch and scipy.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import sqrtm
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
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    spread = np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + spread


def describe(name, model, images, real):
    features = model.features(images)
    confidence, guess = model.linear3(features).softmax(1).max(1)
    recognised = (confidence >= 0.9).float().mean()
    asked = (guess == torch.arange(len(images)) % 10).float().mean()
    print(
        f"{name}: {len(images)} images, {recognised:.1%} recognised, "
        f"{asked:.1%} of class n mod 10, Fréchet distance {frechet(features, real):.2f}"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("samples", nargs="*", type=Path)
    parser.add_argument("--mnist", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    images = read_images(args.mnist / "train-images-idx3-ubyte")
    test = read_images(args.mnist / "t10k-images-idx3-ubyte")
    model = train(images, read_labels(args.mnist / "train-labels-idx1-ubyte"))
    with torch.no_grad():
        guess = model(test).argmax(1)
        labels = read_labels(args.mnist / "t10k-labels-idx1-ubyte")
        print(f"accuracy {(guess == labels).float().mean():.2%}")
        real = model.features(test)
        describe("training images", model, images[:2000], real)
        for path in args.samples:
            values = torch.tensor(np.load(path)).clamp(0, 1)
            describe(path.name, model, (values * 255).round() / 255, real)


if __name__ == "__main__":
    main()
