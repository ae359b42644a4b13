"""Random convolutions, their gradients and second derivatives, by PyTorch in float64.

`python tests/vectors/convolutions.py --count 12 --seed 46081 FOLDER/NAME` writes NAME.safetensors. Needs torch and
safetensors.
"""

import argparse
import json
import random

import torch
import torch.nn.functional as F
from store import rounded, save


def draw(rng):
    """Options of a convolution or a transposed one, and the shapes of x and w."""
    while True:
        groups = rng.choice([1, 1, 1, 2, 3, 5])
        inputs, outputs = (groups * rng.randint(1, 6) for _ in range(2))
        if rng.random() < 0.25:  # depthwise, with one or more outputs per channel
            groups = inputs
            outputs = inputs * rng.randint(1, 2)
        many = rng.random() < 0.15  # channels for which transforms pay
        if many:
            groups, inputs, outputs = 1, rng.randint(5, 20), rng.randint(5, 20)
        kernel = [rng.randint(1, 7), rng.randint(1, 7)]
        if rng.random() < 0.5:
            kernel[1] = kernel[0]
        pair = lambda low, high: [rng.randint(low, high) for _ in range(2)]
        plain = many or rng.random() < 0.2
        options = {
            "stride": [1, 1] if plain else pair(1, 3),
            "padding": pair(0, 1 + max(kernel)),
            "dilation": pair(1, 2) if many else [1, 1] if plain else pair(1, 3),
            "groups": groups,
        }
        image = [rng.randint(1, 12), rng.randint(1, 15)]
        transposed = rng.random() < 0.4
        if transposed:
            options["outputPadding"] = [rng.randrange(s) for s in options["stride"]]
        weight = [inputs, outputs // groups] if transposed else [outputs, inputs // groups]
        case = {"transposed": transposed, "options": options}
        batch = rng.randint(2, 9) if many else rng.randint(1, 3)
        shapes = {"x": [batch, inputs, *image], "w": [*weight, *kernel]}
        shapes["bias"] = [outputs]
        try:
            result = run(case, *(torch.zeros(s, device="meta") for s in shapes.values()))
        except RuntimeError:  # the kernel is larger than the padded image, or nothing is left
            continue
        most = max(result.numel(), torch.Size(shapes["x"]).numel())
        if result.numel() > 0 and most <= (20000 if many else 2000):
            return case, shapes


def run(case, x, w, bias):
    options = dict(case["options"])
    if case["transposed"]:
        options["output_padding"] = options.pop("outputPadding")
        return F.conv_transpose2d(x, w, bias, **options)
    return F.conv2d(x, w, bias, **options)


def uniform(shape):
    return rounded(2 * torch.rand(shape) - 1)


def solve(case, shapes):
    """Inputs, the result y, gradients of sum(v y^2), and those of their products with directions."""
    inputs = {k: uniform(shape).requires_grad_() for k, shape in shapes.items()}
    y = run(case, *inputs.values())
    v = uniform(y.shape)
    directions = {k: uniform(shape) for k, shape in shapes.items()}
    loss = (v * y.square()).sum()
    first = torch.autograd.grad(loss, inputs.values(), create_graph=True)
    along = sum((g * d).sum() for g, d in zip(first, directions.values(), strict=True))
    second = torch.autograd.grad(along, inputs.values())
    return {
        **inputs,
        "y": y,
        "v": v,
        **{f"along.{k}": d for k, d in directions.items()},
        **{f"d{k}": g for k, g in zip(inputs, first, strict=True)},
        **{f"dd{k}": g for k, g in zip(inputs, second, strict=True)},
    }


def write_convolutions(name, count, seed):
    torch.manual_seed(seed)
    rng = random.Random(seed)
    cases, tensors = [], {}
    for index in range(count):
        case, shapes = draw(rng)
        cases.append(case)
        tensors |= {f"{index}.{k}": t for k, t in solve(case, shapes).items()}
    save(name, tensors, {"seed": str(seed), "cases": json.dumps(cases)})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=46081)
    parser.add_argument("name", help="path without .safetensors")
    args = parser.parse_args()
    write_convolutions(args.name, args.count, args.seed)


if __name__ == "__main__":
    main()
