"""The other side of bench/compare: PyTorch or numpy behind the same commands as worker.cpp (see there).

peers.py torch|numpy THREADS

torch answers load, pixels, forward, features; numpy answers matrices, knn, neighbours, predictions, auroc. Both answer
about. Letters: B batch, N tokens (1 + patches), D width, H heads.
"""
import json
import math
import sys
import time


def peak_memory_mib():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


class Torch:
    """DINOv2's Vision Transformer as a plain PyTorch module, eager, float32."""

    widths = {"dinov2_vits14": (384, 12, 6), "dinov2_vitb14": (768, 12, 12), "dinov2_vitl14": (1024, 24, 16)}

    def __init__(self, threads):
        import torch
        torch.set_num_threads(threads)
        self.torch, self.model, self.pixels = torch, None, None

    def about(self):
        torch = self.torch
        capability = torch.backends.cpu.get_cpu_capability()
        return {"name": "PyTorch", "version": torch.__version__, "instruction_set": capability,
                "threads": torch.get_num_threads()}

    def build(self, dim, depth, heads):
        torch = self.torch
        nn, F = torch.nn, torch.nn.functional

        class Attention(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

            def forward(self, x):
                B, N, D = x.shape
                q, k, v = self.qkv(x).view(B, N, 3, heads, D // heads).permute(2, 0, 3, 1, 4).unbind(0)
                y = F.scaled_dot_product_attention(q, k, v)
                return self.proj(y.transpose(1, 2).reshape(B, N, D))

        class Mlp(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

            def forward(self, x):
                return self.fc2(F.gelu(self.fc1(x)))

        class Scale(nn.Module):
            def __init__(self):
                super().__init__()
                self.gamma = nn.Parameter(torch.ones(dim))

            def forward(self, x):
                return x * self.gamma

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
                self.attn, self.mlp, self.ls1, self.ls2 = Attention(), Mlp(), Scale(), Scale()

            def forward(self, x):
                x = x + self.ls1(self.attn(self.norm1(x)))
                return x + self.ls2(self.mlp(self.norm2(x)))

        class PatchEmbed(nn.Module):
            def __init__(self):
                super().__init__()
                self.proj = nn.Conv2d(3, dim, 14, 14)

            def forward(self, x):
                return self.proj(x).flatten(2).transpose(1, 2)

        class Vit(nn.Module):
            def __init__(self):
                super().__init__()
                self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
                self.mask_token = nn.Parameter(torch.zeros(1, dim))  # in the checkpoint, not in this forward pass
                self.pos_embed = nn.Parameter(torch.zeros(1, 1 + 37 * 37, dim))
                self.patch_embed, self.norm = PatchEmbed(), nn.LayerNorm(dim, eps=1e-6)
                self.blocks = nn.ModuleList(Block() for _ in range(depth))
                self.positions = {}

            def positions_for(self, h, w):
                # Kept for a size, as vitals keeps them: neither side is timed with interpolating.
                if (h, w) not in self.positions:
                    pos, side = self.pos_embed, math.isqrt(self.pos_embed.shape[1] - 1)
                    if (h, w) != (side, side):
                        grid = pos[:, 1:].reshape(1, side, side, dim).permute(0, 3, 1, 2)
                        grid = F.interpolate(grid, scale_factor=((h + 0.1) / side, (w + 0.1) / side), mode="bicubic")
                        pos = torch.cat([pos[:, :1], grid.flatten(2).transpose(1, 2)], 1)
                    self.positions[h, w] = pos
                return self.positions[h, w]

            def forward(self, pixels):
                x = self.patch_embed(pixels)
                x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1)
                x = x + self.positions_for(pixels.shape[2] // 14, pixels.shape[3] // 14)
                for block in self.blocks:
                    x = block(x)
                return self.norm(x)

        return Vit()

    def load(self, preset, file):
        from safetensors.torch import load_file
        begin = time.perf_counter()
        if file.endswith(".safetensors"):
            weights = load_file(file)
        else:
            weights = self.torch.load(file, weights_only=True)
        self.model = self.build(*self.widths[preset]).eval()
        self.model.load_state_dict(weights)
        return {"seconds": [time.perf_counter() - begin]}

    def read_pixels(self, file):
        from safetensors.torch import load_file
        self.pixels = load_file(file)["pixels"]
        return {}

    def run(self):
        with self.torch.inference_mode():
            return self.model(self.pixels)

    def forward(self, n):
        return {"seconds": [timed(self.run)[0] for _ in range(int(n))]}

    def features(self, out):
        from safetensors.torch import save_file
        tokens = self.run()
        save_file({"cls": tokens[:, 0].contiguous(), "patches": tokens[:, 1:].contiguous()}, out)
        return {}

    def commands(self):
        return {"load": self.load, "pixels": self.read_pixels, "forward": self.forward, "features": self.features}


class Numpy:
    """The same computations as one writes them in numpy."""

    def __init__(self, threads):
        import numpy
        self.np, self.threads = numpy, threads

    def about(self):
        from threadpoolctl import threadpool_info
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        blas = ", ".join(f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools)
        return {"name": "numpy", "version": self.np.__version__, "instruction_set": blas,
                "threads": max((pool["num_threads"] for pool in pools), default=1)}

    def matrices(self, file):
        from safetensors.numpy import load_file
        tensors = load_file(file)
        self.train, self.queries = tensors["train"], tensors["queries"]
        return {}

    def search(self, k, m):
        """Cosine similarity: the k most similar rows of train for each of the first m queries, most similar first."""
        np = self.np
        train = self.train / np.linalg.norm(self.train, axis=1, keepdims=True)
        queries = self.queries[:m] / np.linalg.norm(self.queries[:m], axis=1, keepdims=True)
        index, cosine = np.empty((m, k), np.int64), np.empty((m, k), np.float32)
        for first in range(0, m, 256):
            similarity = queries[first:first + 256] @ train.T
            top = np.argpartition(similarity, -k, axis=1)[:, -k:]
            values = np.take_along_axis(similarity, top, 1)
            order = np.argsort(-values, axis=1, kind="stable")
            index[first:first + 256] = np.take_along_axis(top, order, 1)
            cosine[first:first + 256] = np.take_along_axis(values, order, 1)
        return index, cosine

    def knn(self, k, m):
        return {"seconds": [timed(lambda: self.search(int(k), int(m)))[0]]}

    def neighbours(self, k, m, out):
        from safetensors.numpy import save_file
        index, cosine = self.search(int(k), int(m))
        save_file({"index": index, "cosine": cosine}, out)
        return {}

    def predictions(self, file):
        from safetensors.numpy import load_file
        tensors = load_file(file)
        self.targets, self.scores = tensors["targets"], tensors["scores"]
        return {}

    def auroc(self, samples):
        """Scores sorted once a column; a resample is a weight for each item (ties count one half)."""
        np = self.np

        def work():
            n, columns = self.targets.shape
            sorted_columns = []
            for c in range(columns):
                order = np.argsort(self.scores[:, c], kind="stable")
                scores = self.scores[order, c]
                starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
                sorted_columns.append((order, self.targets[order, c].astype(np.float64),
                                       starts if len(starts) < n else None))

            def area(column, counts):
                order, positive, starts = column
                weight = counts[order]
                pos = weight * positive
                neg = weight - pos
                if starts is not None:
                    pos, neg = np.add.reduceat(pos, starts), np.add.reduceat(neg, starts)
                below = np.cumsum(neg)
                return (pos @ below - 0.5 * (pos @ neg)) / (pos.sum() * below[-1])

            values = [area(column, np.ones(n)) for column in sorted_columns]
            rng = np.random.default_rng(0)
            areas = np.empty((int(samples), columns))
            for s in range(int(samples)):
                counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
                areas[s] = [area(column, counts) for column in sorted_columns]
            low, high = np.quantile(areas, [0.025, 0.975], axis=0)
            return {"auroc": [float(v) for v in values], "low": low.tolist(), "high": high.tolist()}

        seconds, result = timed(work)
        return {"seconds": [seconds], **result}

    def commands(self):
        return {"matrices": self.matrices, "knn": self.knn, "neighbours": self.neighbours,
                "predictions": self.predictions, "auroc": self.auroc}


def main():
    peer = {"torch": Torch, "numpy": Numpy}[sys.argv[1]](int(sys.argv[2]))
    commands = peer.commands()
    commands["about"] = lambda: {**peer.about(), "peak_memory_mib": peak_memory_mib()}
    for line in sys.stdin:
        words = line.rstrip("\n").split("\t")
        if words == ["quit"]:
            break
        try:
            answer = commands[words[0]](*words[1:])
        except Exception as error:  # whatever it is, the other side has to hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
