"""Makes tests/data/vit.safetensors: what small Vision Transformers, and the real ViT-S/14, must give.

An independent model in PyTorch, float64, written from the papers. Weights and pixels of the small models are not stored:
both sides compute them from the name of the tensor (`numbers` below; the same function stands in the test). Run it where
torch, numpy and safetensors are installed:

    python3 tools/goldens.py tests/data/vit.safetensors [dinov2_vits14_pretrain.pth]
"""
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file


def numbers(name, count):
    """count numbers in [-0.5, 0.5): a multiplicative hash of the index, shifted by the FNV-1a hash of the name."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 % 2**32
    i = np.arange(count, dtype=np.uint64)
    x = (i * np.uint64(2654435761) + np.uint64(h)) % np.uint64(2**32)
    x ^= x >> np.uint64(15)
    x = x * np.uint64(2246822519) % np.uint64(2**32)
    x ^= x >> np.uint64(13)
    return (x.astype(np.float64) / 2**32 - 0.5).astype(np.float32)


def weights(dim, depth, heads, patch, grid, registers, swiglu):
    shapes = {"cls_token": (1, 1, dim), "pos_embed": (1, 1 + grid * grid, dim), "mask_token": (1, dim),
              "patch_embed.proj.weight": (dim, 3, patch, patch), "patch_embed.proj.bias": (dim,),
              "norm.weight": (dim,), "norm.bias": (dim,)}
    if registers:
        shapes["register_tokens"] = (1, registers, dim)
    for i in range(depth):
        b = f"blocks.{i}."
        linears = {"attn.qkv": (3 * dim, dim), "attn.proj": (dim, dim)}
        if swiglu:
            hidden = (int(4 * dim * 2 / 3) + 7) // 8 * 8
            linears |= {"mlp.w12": (2 * hidden, dim), "mlp.w3": (dim, hidden)}
        else:
            linears |= {"mlp.fc1": (4 * dim, dim), "mlp.fc2": (dim, 4 * dim)}
        for name, (out, inn) in linears.items():
            shapes |= {b + name + ".weight": (out, inn), b + name + ".bias": (out,)}
        for name in ("norm1", "norm2"):
            shapes |= {b + name + ".weight": (dim,), b + name + ".bias": (dim,)}
        shapes |= {b + "ls1.gamma": (dim,), b + "ls2.gamma": (dim,)}
    out = {}
    for name, shape in shapes.items():
        x = numbers(name, math.prod(shape)).reshape(shape)
        if name.endswith("gamma") or "norm" in name and name.endswith("weight"):
            x = x + np.float32(1)          # around one, so that forgetting it shows
        out[name] = torch.tensor(x, dtype=torch.float64)
    return out


def positions(pos, h, w, rule):
    m = math.isqrt(pos.shape[1] - 1)
    if h == m and w == m:
        return pos
    grid = pos[:, 1:].reshape(1, m, m, -1).permute(0, 3, 1, 2)
    if rule == "offset":
        grid = F.interpolate(grid, scale_factor=((h + 0.1) / m, (w + 0.1) / m), mode="bicubic")
    else:
        grid = F.interpolate(grid, size=(h, w), mode="bicubic", antialias=rule == "antialias")
    return torch.cat([pos[:, :1], grid.permute(0, 2, 3, 1).reshape(1, h * w, -1)], 1)


def forward(s, pixels, heads, patch, rule):
    """Tokens after the final norm: CLS, registers, patches."""
    x = F.conv2d(pixels, s["patch_embed.proj.weight"], s["patch_embed.proj.bias"], stride=patch)
    h, w = x.shape[2:]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([s["cls_token"].expand(len(x), -1, -1), x], 1) + positions(s["pos_embed"], h, w, rule)
    if "register_tokens" in s:
        x = torch.cat([x[:, :1], s["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], 1)
    d = x.shape[-1]
    norm = lambda t, name: F.layer_norm(t, (d,), s[name + ".weight"], s[name + ".bias"], 1e-6)
    linear = lambda t, name: F.linear(t, s[name + ".weight"], s[name + ".bias"])
    i = 0
    while f"blocks.{i}.norm1.weight" in s:
        b = f"blocks.{i}."
        q, k, v = linear(norm(x, b + "norm1"), b + "attn.qkv").unflatten(-1, (3, heads, d // heads)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + s[b + "ls1.gamma"] * linear(y, b + "attn.proj")
        y = norm(x, b + "norm2")
        if b + "mlp.w12.weight" in s:
            gate, value = linear(y, b + "mlp.w12").chunk(2, -1)
            y = linear(F.silu(gate) * value, b + "mlp.w3")
        else:
            y = linear(F.gelu(linear(y, b + "mlp.fc1")), b + "mlp.fc2")
        x = x + s[b + "ls2.gamma"] * y
        i += 1
    return norm(x, "norm")


def main():
    torch.set_grad_enabled(False)
    out = {}
    pixels = lambda b, h, w: torch.tensor(numbers("pixels", b * 3 * h * w).reshape(b, 3, h, w) * 4, dtype=torch.float64)
    for name, shape in {"mlp": (24, 2, 3, 4, 3, 0, False), "registers": (32, 2, 2, 4, 3, 2, False),
                        "swiglu": (24, 2, 2, 4, 3, 0, True)}.items():
        s = weights(*shape)
        for rule in ("offset", "size", "antialias"):
            for h, w in ((12, 12), (8, 20)):
                out[f"{name}/{rule}/{h}x{w}"] = forward(s, pixels(2, h, w), shape[2], 4, rule).numpy().astype(np.float32)
    target = sys.argv[1]
    if len(sys.argv) > 2:
        s = {k: v.double() for k, v in torch.load(sys.argv[2], weights_only=True).items()}
        for h, w in ((224, 224), (518, 518), (280, 420)):
            cls = forward(s, pixels(1, h, w), 6, 14, "offset")[:, 0]
            out[f"vits14/{h}x{w}"] = cls.numpy().astype(np.float32)
    else:
        out |= {k: v for k, v in load_file(target).items() if k.startswith("vits14/")}   # kept where the weights are not at hand
    save_file(out, target)


main()
