"""Writes measures.json beside this file: `python tests/vectors/make_measures.py`.

Needs numpy, scipy, scikit-learn and prdc 0.2. Points come from the random numbers of this suite, so
that a reader makes the same ones: sums of four uniform numbers, each mixed with its neighbour.
"""

import json
from pathlib import Path

import numpy as np
from prdc import compute_prdc
from scipy import linalg, spatial, stats
from threefry import uniforms

SEED = 15


def points(counter, rows, width, scale, shift):
    """float32[rows, width] as float64."""
    z = uniforms(SEED, 0, counter, 4 * rows * width).reshape(rows, width, 4).sum(2) - 2
    mixed = z + 0.5 * np.roll(z, 1, axis=1)
    return (scale * mixed + shift).astype(np.float32).astype(np.float64)


def frechet_distance(a, b):
    shift = a.mean(0) - b.mean(0)
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(shift @ shift + np.trace(ca + cb - 2 * linalg.sqrtm(ca @ cb).real))


def kernel_distance(a, b):
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def among(x):
        off = k(x, x)
        np.fill_diagonal(off, 0)
        return off.sum() / (len(x) * (len(x) - 1))

    return float(among(a) + among(b) - 2 * k(a, b).mean())


def nearest_of_train(train, queries, k=1):
    return spatial.cKDTree(train).query(queries, k)


def auth_share(train, samples):
    distance, row = nearest_of_train(train, samples)
    own = nearest_of_train(train, train[row], 2)[0][:, 1]
    return float((distance > own).mean())


def measured(sets):
    drawn = {name: points(**settings) for name, settings in sets.items()}
    real, samples, train = drawn["reference"], drawn["samples"], drawn["train"]
    distances, rows = nearest_of_train(train, samples[:5], 3)
    return {
        "sets": sets,
        "frechet": frechet_distance(real, samples),
        "kernel": kernel_distance(real, samples),
        **{k: float(v) for k, v in compute_prdc(real, samples, 5).items() if k != "density"},
        "authentic": auth_share(train, samples),
        "nearest": {"rows": rows.flatten().tolist(), "squared": (distances**2).flatten().tolist()},
    }


def settings(counter, rows, width, scale=1.0, shift=0.0):
    return {"counter": counter, "rows": rows, "width": width, "scale": scale, "shift": shift}


def wilson(successes, trials):
    low, high = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
    return {"successes": successes, "trials": trials, "low": float(low), "high": float(high)}


LABELS = [0, 0, 0, 1, 1, 2, 4, 4, 4, 4]

cases = {
    "narrow": {
        "reference": settings(0, 300, 8),
        "samples": settings(1, 260, 8, 0.9, 0.2),
        "train": settings(2, 500, 8),
    },
    "wide": {
        "reference": settings(3, 400, 84, 1.0, 5.0),
        "samples": settings(4, 400, 84, 1.1, 5.05),
        "train": settings(5, 1200, 84, 1.0, 5.0),
    },
}
vectors = {
    "seed": SEED,
    "cases": {name: measured(sets) for name, sets in cases.items()},
    "entropy": {
        "labels": LABELS,
        "classes": 5,
        "bits": float(stats.entropy(np.bincount(LABELS), base=2)),
    },
    "wilson": [wilson(0, 40), wilson(33, 40), wilson(40, 40)],
}
path = Path(__file__).with_name("measures.json")
path.write_text(json.dumps(vectors, indent=2) + "\n")
