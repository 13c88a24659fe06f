"""PEFT reads a folder that vitals has written and must compute what vitals has computed.

    peft_reads.py GOLDENS FOLDER

GOLDENS holds reference.py, a PyTorch ViT, and train/backbone.safetensors; FOLDER the adapter and
expected.safetensors (pixels, cls, patches). Status 1 where an output differs by more than 1e-5 of the largest."""
import sys
import warnings
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file

goldens, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(goldens))
import reference  # noqa: E402

config = reference.Config(dim=64, depth=2, heads=2, grid=3)
base = reference.vit(config, load_file(goldens / "train" / "backbone.safetensors"))
warnings.filterwarnings("error", message=".*missing adapter keys.*")  # a layer that has no term of ours
model = peft.PeftModel.from_pretrained(base, str(folder)).eval()
expected = load_file(folder / "expected.safetensors")
with torch.no_grad():
    found = model.base_model.model.features(expected["pixels"])
cls, patches = found["cls"], found["patches"]
with torch.no_grad(), model.disable_adapter():
    plain = model.base_model.model.features(expected["pixels"])["cls"]
for name, value in (("cls", cls), ("patches", patches)):
    off = ((value - expected[name]).abs().max() / expected[name].abs().max()).item()
    print(f"{name}: {off:.2e}")
    if not off < 1e-5:
        sys.exit(f"{name} differs by {off:.2e} of the largest value")
if (plain - cls).abs().max() < 1e-3:
    sys.exit("the adapter does nothing")
