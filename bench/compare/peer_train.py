"""PyTorch and PEFT, training: eager, and compiled by Inductor. bfloat16 is autocast, with float32 weights."""
import time

import torch
from torch.nn import functional as F

import vit
from peer_torch import Torch

RATE = 1e-4


class Train(Torch):
    def about(self):
        import peft
        return {**super().about(), "name": "PyTorch + PEFT", "version": f"{torch.__version__}, {peft.__version__}"}

    def prepare(self, method, preset, precision, file, side, start):
        """One of full, lora (rank 8 on q and v, alpha 16), bitfit, head; AdamW, all in one call (fused)."""
        from safetensors.torch import load_file
        first = load_file(start)
        self.dtype, self.method = getattr(torch, precision), method
        self.head = torch.nn.Linear(first["head.weight"].shape[1], first["head.weight"].shape[0])
        model = vit.load(preset, int(side), file)
        if method == "lora":
            from peft import LoraConfig, inject_adapter_in_model
            config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"])
            model = inject_adapter_in_model(config, model.split_qkv())
        elif method != "head":
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name != "mask_token" and (method == "full" or name.endswith("bias")))
        with torch.no_grad():
            self.head.weight.copy_(first["head.weight"])
            self.head.bias.copy_(first["head.bias"])
            for name, parameter in model.named_parameters():
                if "lora_A" in name:
                    block, part = name.split(".")[1], {"query": "q", "value": "v"}[name.split(".")[3]]
                    parameter.copy_(first[f"blocks.{block}.attn.qkv.lora_A.{part}"])
        self.backbone = model.train()
        self.model = self.whole(self.logits)
        self.trainable = [p for p in (*model.parameters(), *self.head.parameters()) if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trainable, lr=RATE, weight_decay=0.01, fused=True)
        return {"trainable": sum(p.numel() for p in model.parameters() if p.requires_grad)}

    def logits(self, pixels):
        with torch.set_grad_enabled(self.method != "head"):
            tokens = self.backbone(pixels)
        return self.head(tokens[:, 0])

    def whole(self, function):
        return function

    def steps(self, n):
        labels = torch.arange(len(self.pixels)) % self.head.out_features
        seconds, losses = [], []
        for _ in range(int(n)):
            begin = time.perf_counter()
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
                loss = F.cross_entropy(self.model(self.pixels).float(), labels)
            loss.backward()
            self.optimizer.step()
            losses.append(float(loss.detach()))
            seconds.append(time.perf_counter() - begin)
        return {"seconds": seconds, "losses": losses}

    def commands(self):
        return {"train": self.prepare, "pixels": self.read_pixels, "steps": self.steps}


class TrainCompiled(Train):
    def whole(self, function):
        return torch.compile(function)
