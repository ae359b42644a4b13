"""Linear assignment problems with scipy's least total cost; see README.md."""

import json
import pathlib

import numpy
import scipy
from scipy.optimize import linear_sum_assignment

numpy.random.seed(46020)
KINDS = {
    "uniform": lambda n: numpy.random.randint(0, 1_000_000, (n, n)),
    "ties": lambda n: numpy.random.randint(0, 4, (n, n)),
    "negative": lambda n: numpy.random.randint(-1000, 1000, (n, n)),
    "product": lambda n: numpy.outer(*numpy.random.randint(1, 100, (2, n))),
}
problems = []
for kind, make in KINDS.items():
    for n in (1, 2, 9, 24):
        cost = make(n)
        total = cost[linear_sum_assignment(cost)].sum()
        problems.append({"kind": kind, "n": n, "cost": cost.flatten().tolist(), "total": int(total)})
out = {"scipy": scipy.__version__, "problems": problems}
path = pathlib.Path(__file__).parent / "assignments.json"
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
