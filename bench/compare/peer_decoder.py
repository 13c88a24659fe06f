"""PyTorch's side of segmentation.py: the study's decoders in eager PyTorch, as one writes them there.

    peer_decoder.py THREADS [--cpu-time | init FILE KIND DIM CLASSES SIDE | tokens FILE BATCH N DIM BLOCKS CLASSES SIDE]

`init` writes random initial values for both sides, `tokens` a batch, and end. Else: the commands of segmentation_worker.cpp on stdin. bfloat16: autocast,
with float32 parameters, as PyTorch's users train.
"""
import json
import resource
import struct
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


CLOCK = time.process_time if sys.argv[2:3] == ["--cpu-time"] else time.perf_counter


def read(file):
    """Tensors of a .safetensors file, and its metadata."""
    with open(file, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
        data = f.read()
    types = {"F32": np.float32, "U8": np.uint8}
    metadata = header.pop("__metadata__", {})
    return {name: torch.from_numpy(np.frombuffer(data[slice(*e["data_offsets"])], types[e["dtype"]])
                                   .reshape(e["shape"]).copy()) for name, e in header.items()}, metadata


def write(file, tensors, metadata):
    header, at, parts = {"__metadata__": metadata}, 0, []
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        part = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": {torch.float32: "F32", torch.uint8: "U8"}[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(part)]}
        at += len(part)
        parts.append(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


class Linear(nn.Module):
    def __init__(self, dim, classes, side):
        super().__init__()
        self.classifier, self.side = nn.Conv2d(dim, classes, 1), side
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, blocks):
        return F.interpolate(self.classifier(blocks[-1]), (self.side, self.side), mode="bilinear")


class Step(nn.Module):
    def __init__(self, dim, inside, outside):
        super().__init__()
        self.up = nn.ConvTranspose2d(inside, outside, 2, 2)
        self.skip_conv, self.skip_norm = nn.Conv2d(dim, outside, 3, padding=1), nn.BatchNorm2d(outside)
        self.conv, self.norm = nn.Conv2d(2 * outside, outside, 3, padding=1), nn.BatchNorm2d(outside)

    def forward(self, x, skip):
        x = self.up(x)
        skip = F.interpolate(F.relu(self.skip_norm(self.skip_conv(skip))), x.shape[2:], mode="bilinear",
                             align_corners=True)
        return F.relu(self.norm(self.conv(torch.cat([x, skip], 1))))


class Unet(nn.Module):
    def __init__(self, dim, classes, side):
        super().__init__()
        self.up1, self.up2 = Step(dim, dim, dim // 2), Step(dim, dim // 2, dim // 4)
        self.up3, self.up4 = Step(dim, dim // 4, dim // 8), Step(dim, dim // 8, classes)
        self.side = side

    def forward(self, blocks):
        x = self.up1(blocks[4], blocks[3])
        x = self.up3(self.up2(x, blocks[2]), blocks[1])
        return F.interpolate(self.up4(x, blocks[0]), (self.side, self.side), mode="bicubic")


def dice(logits, masks):
    p = logits.softmax(1)
    g = F.one_hot(masks, logits.shape[1]).permute(0, 3, 1, 2)
    both, all_of = (p * g).sum((2, 3)), p.sum((2, 3)) + g.sum((2, 3))
    return (1 - (2 * both + 1e-5) / (all_of + 1e-5)).mean()


LOSSES = {"dice": dice, "cross_entropy": F.cross_entropy, "combined": lambda z, m: dice(z, m) + F.cross_entropy(z, m)}


def make(kind, dim, classes, side):
    return {"linear": Linear, "unet": Unet}[kind](dim, classes, side)


class Peer:
    optimizer = None

    def decoder(self, precision, file, _batch, threads):
        torch.set_num_threads(int(threads))
        values, about = read(file)
        self.model = make(about["decoder"], int(about["dim"]), int(about["classes"]), int(about["height"]))
        self.model.load_state_dict(values, strict=False)
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
        return {"parameters": sum(p.numel() for p in self.model.parameters())}

    def tokens(self, file):
        values, _ = read(file)
        blocks = [values[f"block.{i}"] for i in range(len(values) - 1)]
        side = round(blocks[0].shape[1] ** 0.5)
        # (B, N, D) seen as (B, D, h, w): PyTorch's own layout for channels last, which its kernels take without a copy.
        self.blocks = [b.reshape(b.shape[0], side, side, -1).permute(0, 3, 1, 2) for b in blocks]
        self.masks = values["masks"].long()
        return {}

    def layout(self, name):
        """"contiguous" or "channels_last", whichever is to be timed."""
        form = torch.channels_last if name == "channels_last" else torch.contiguous_format
        self.model = self.model.to(memory_format=form)
        self.blocks = [b.contiguous(memory_format=form) for b in self.blocks]
        return {}

    def step(self, count, loss, rate):
        if not self.optimizer:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=float(rate), momentum=0.9)
        self.model.train()
        seconds, losses = [], []
        for _ in range(int(count)):
            start = CLOCK()
            with self.autocast:
                logits = self.model(self.blocks)
            value = LOSSES[loss](logits.float(), self.masks)
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()
            losses.append(value.item())
            seconds.append(CLOCK() - start)
        return {"seconds": seconds, "losses": losses}

    def predict(self, count):
        self.model.eval()
        seconds = []
        with torch.inference_mode():
            for _ in range(int(count)):
                start = CLOCK()
                with self.autocast:
                    self.model(self.blocks).argmax(1).to(torch.uint8)
                seconds.append(CLOCK() - start)
        return {"seconds": seconds}

    def memory(self):
        return {"peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main():
    if sys.argv[2:3] == ["init"]:
        file, kind, *sizes = sys.argv[3:]
        torch.manual_seed(0)
        dim, classes, side = map(int, sizes)
        values = {n: v for n, v in make(kind, dim, classes, side).state_dict().items() if "num_batches" not in n}
        write(file, values, {"decoder": kind, "dim": str(dim), "classes": str(classes), "height": str(side),
                             "width": str(side)})
        return
    if sys.argv[2:3] == ["tokens"]:
        torch.manual_seed(1)
        batch, n, dim, blocks, classes, side = map(int, sys.argv[4:])
        values = {f"block.{i}": torch.randn(batch, n, dim) for i in range(blocks)}
        coarse = torch.randint(0, classes, (batch, 1, 8, 8)).float()
        values["masks"] = F.interpolate(coarse, (side, side))[:, 0].to(torch.uint8)
        write(sys.argv[3], values, {})
        return
    peer = Peer()
    for line in sys.stdin:
        command, *words = line.rstrip("\n").split("\t")
        if command == "quit":
            return
        try:
            print(json.dumps(getattr(peer, command)(*words)), flush=True)
        except Exception as e:  # any failure is an answer
            print(json.dumps({"error": repr(e)}), flush=True)


if __name__ == "__main__":
    main()
