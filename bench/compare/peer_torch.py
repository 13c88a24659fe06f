"""PyTorch: eager, and compiled by Inductor with its usual settings. bfloat16: the whole model in bfloat16."""
import logging

import torch

import vit
from peers import Features

logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns that there is no GPU


class Torch(Features):
    def __init__(self, threads):
        torch.set_num_threads(threads)
        self.model = None

    def about(self):
        return {"name": "PyTorch", "version": torch.__version__,
                "instruction_set": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}

    def load(self, preset, precision, file, side, batch):
        self.dtype = getattr(torch, precision)
        self.model = vit.load(preset, side, file).to(self.dtype)

    def take(self, pixels):
        return torch.from_numpy(pixels)

    def run(self):
        with torch.inference_mode():
            return self.model(self.pixels.to(self.dtype)).float()


class TorchCompiled(Torch):
    """Compiled at the first forward pass; Inductor keeps what it made in TORCHINDUCTOR_CACHE_DIR."""

    def load(self, preset, precision, file, side, batch):
        super().load(preset, precision, file, side, batch)
        self.model = torch.compile(self.model)

    def run(self):
        with torch.no_grad():
            return self.model(self.pixels.to(self.dtype)).float()
