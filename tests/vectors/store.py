"""Numbers as vectors hold them, and their files beside this one."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

FOLDER = Path(__file__).parent
SOURCE = "tests/vectors/make_vectors.py"
TORCH = torch.__version__.split("+")[0]


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


def rounded(tensor):
    """The nearest float32 numbers, as float64."""
    return tensor.float().double()
