"""Writes from_python.safetensors beside this file. Needs torch and safetensors: python make_safetensors_fixture.py"""

from pathlib import Path

import torch
from safetensors.torch import save_file

tensors = {
    "conv.weight": torch.tensor([[0.1, -2.5, 3.0], [1e-40, float("inf"), -0.0]], dtype=torch.float32),
    "half": torch.tensor([1.0, -0.333251953125, 65504.0, 5.960464477539063e-08, float("-inf")], dtype=torch.float16),
    "brain": torch.tensor([[1.0], [-3.140625], [1e38]], dtype=torch.bfloat16),
    "steps": torch.tensor(16_777_216, dtype=torch.int64),
    "empty": torch.zeros((0, 3)),
}
save_file(tensors, Path(__file__).with_name("from_python.safetensors"), metadata={"type": "UNet_FM", "note": "caf\u00e9"})
