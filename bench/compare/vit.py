"""DINOv2's Vision Transformer as a plain PyTorch module: what the peers of bench/compare run or are converted from.

Parameters have the published names, so a checkpoint's dictionary loads as it is. Exact GELU, LayerScale, position
embeddings interpolated as DINOv2 does. Letters: B batch, N tokens (1 + patches), D width, H heads.

`Vit.make_fusable()` gives the same function in the form that ONNX Runtime's transformer optimiser recognises: separate
q, k, v, attention written out, LayerScale multiplied into the weights before it, sizes as constants.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTHS = {"dinov2_vits14": (384, 12, 6), "dinov2_vitb14": (768, 12, 12), "dinov2_vitl14": (1024, 24, 16)}


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        B, N, D = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(B, N, D))


class FusableAttention(nn.Module):
    """Attention with q, k and v from three layers and the softmax written out; made from an Attention and a scale."""

    def __init__(self, attention, gamma, tokens):
        super().__init__()
        self.heads, self.tokens, dim = attention.heads, tokens, len(gamma)
        self.query, self.key, self.value, self.proj = (nn.Linear(dim, dim) for _ in range(4))
        for i, layer in enumerate((self.query, self.key, self.value)):
            layer.weight.data = attention.qkv.weight.data[i * dim:(i + 1) * dim].clone()
            layer.bias.data = attention.qkv.bias.data[i * dim:(i + 1) * dim].clone()
        scale_into(self.proj, attention.proj, gamma)

    def forward(self, x):
        D = x.shape[2]
        q, k, v = (layer(x).view(-1, self.tokens, self.heads, D // self.heads).permute(0, 2, 1, 3)
                   for layer in (self.query, self.key, self.value))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(D // self.heads)).softmax(-1)
        return self.proj((weights @ v).permute(0, 2, 1, 3).reshape(-1, self.tokens, D))


class SplitAttention(nn.Module):
    """Attention with q, k and v from three layers, as the libraries have it that PEFT was written for."""

    def __init__(self, attention):
        super().__init__()
        self.heads, dim = attention.heads, attention.proj.in_features
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        for i, layer in enumerate((self.query, self.key, self.value)):
            layer.weight.data = attention.qkv.weight.data[i * dim:(i + 1) * dim].clone()
            layer.bias.data = attention.qkv.bias.data[i * dim:(i + 1) * dim].clone()
        self.proj = attention.proj
        self.requires_grad_(False)

    def forward(self, x):
        B, N, D = x.shape
        q, k, v = (layer(x).view(B, N, self.heads, D // self.heads).transpose(1, 2)
                   for layer in (self.query, self.key, self.value))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, D))


def scale_into(to, layer, gamma):
    """gamma * layer(x) as one layer."""
    to.weight.data = layer.weight.data * gamma[:, None]
    to.bias.data = layer.bias.data * gamma


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Scale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp, self.ls1, self.ls2 = Attention(dim, heads), Mlp(dim), Scale(dim), Scale(dim)

    def make_fusable(self, tokens):
        with torch.no_grad():
            self.attn = FusableAttention(self.attn, self.ls1.gamma.data, tokens)
            scale_into(self.mlp.fc2, self.mlp.fc2, self.ls2.gamma.data)
            self.ls1 = self.ls2 = nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 14, 14)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    """pixels (B, 3, side, side) to tokens (B, N, D) after the last LayerNorm; token 0 is CLS."""

    def __init__(self, dim, depth, heads):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, dim))  # in the checkpoint, not in this forward pass
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + 37 * 37, dim))
        self.patch_embed, self.norm = PatchEmbed(dim), nn.LayerNorm(dim, eps=1e-6)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))

    def set_side(self, side):
        """Positions for one size, interpolated now: no side is timed with interpolating."""
        size, grid = math.isqrt(self.pos_embed.shape[1] - 1), side // 14
        positions = self.pos_embed.data
        if grid != size:
            picture = positions[:, 1:].reshape(1, size, size, -1).permute(0, 3, 1, 2)
            picture = F.interpolate(picture, scale_factor=((grid + 0.1) / size,) * 2, mode="bicubic")
            positions = torch.cat([positions[:, :1], picture.flatten(2).transpose(1, 2)], 1)
        self.pos_embed = nn.Parameter(positions)
        return self

    def split_qkv(self):
        for block in self.blocks:
            block.attn = SplitAttention(block.attn)
        return self

    def make_fusable(self):
        for block in self.blocks:
            block.make_fusable(self.pos_embed.shape[1])
        return self

    def forward(self, pixels):
        x = self.patch_embed(pixels)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def load(preset, side, file):
    """The model with a checkpoint's weights (.safetensors or a PyTorch file) for images of one size."""
    if str(file).endswith(".safetensors"):
        from safetensors.torch import load_file
        weights = load_file(file)
    else:
        weights = torch.load(file, weights_only=True, mmap=True)
    # Made without memory and given the file's tensors: nothing is held twice.
    with torch.device("meta"):
        model = Vit(*WIDTHS[preset])
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False).set_side(side)
