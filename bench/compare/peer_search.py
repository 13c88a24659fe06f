"""The searches and the bootstrap as one writes them with numpy, faiss-cpu and PyTorch.

Cosine similarity: the k most similar rows of train for each of the first m queries, most similar first. Norms, and what
else is done once for the items, are part of the time, as they are for vitals.
"""
import numpy as np
from safetensors.numpy import load_file, save_file

from peers import timed

BLOCK = 256  # queries at once


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class Search:
    def __init__(self, threads):
        self.threads = threads

    def matrices(self, file):
        tensors = load_file(file)
        self.train, self.queries = tensors["train"], tensors["queries"]
        return {}

    def knn(self, k, m):
        return {"seconds": [timed(lambda: self.search(int(k), int(m)))[0]]}

    def neighbours(self, k, m, out):
        index, cosine = self.search(int(k), int(m))
        save_file({"index": index, "cosine": cosine}, out)
        return {}

    def commands(self):
        return {"matrices": self.matrices, "knn": self.knn, "neighbours": self.neighbours}


class Faiss(Search):
    """Exact: a flat index of inner products."""

    def __init__(self, threads):
        import faiss
        super().__init__(threads)
        self.faiss = faiss
        faiss.omp_set_num_threads(threads)

    def about(self):
        options = self.faiss.get_compile_options().split()
        return {"name": "faiss-cpu", "version": self.faiss.__version__, "instruction_set": " ".join(options),
                "threads": self.faiss.omp_get_max_threads()}

    def search(self, k, m):
        index = self.faiss.IndexFlatIP(self.train.shape[1])
        index.add(unit(self.train))
        cosine, found = index.search(unit(self.queries[:m]), k)
        return found, cosine


class TorchSearch(Search):
    """A product and topk for a block of queries."""

    precision = "float32"

    def __init__(self, threads):
        import torch
        super().__init__(threads)
        torch.set_num_threads(threads)
        self.torch, self.dtype = torch, getattr(torch, self.precision)

    def about(self):
        return {"name": f"PyTorch {self.precision}", "version": self.torch.__version__,
                "instruction_set": self.torch.backends.cpu.get_cpu_capability(),
                "threads": self.torch.get_num_threads()}

    def search(self, k, m):
        torch = self.torch
        index, cosine = np.empty((m, k), np.int64), np.empty((m, k), np.float32)
        with torch.inference_mode():
            train, queries = (torch.nn.functional.normalize(torch.from_numpy(x)).to(self.dtype)
                              for x in (self.train, self.queries[:m]))
            for first in range(0, m, BLOCK):
                top = (queries[first:first + BLOCK] @ train.T).topk(k, dim=1)
                index[first:first + BLOCK], cosine[first:first + BLOCK] = top.indices, top.values.float()
        return index, cosine


class TorchSearchBfloat16(TorchSearch):
    """Not exact: about one neighbour in a hundred is another one."""

    precision = "bfloat16"


class Numpy(Search):
    def about(self):
        from threadpoolctl import threadpool_info
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        blas = ", ".join(f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools)
        return {"name": "numpy", "version": np.__version__, "instruction_set": blas,
                "threads": max((pool["num_threads"] for pool in pools), default=1)}

    def search(self, k, m):
        train, queries = unit(self.train), unit(self.queries[:m])
        index, cosine = np.empty((m, k), np.int64), np.empty((m, k), np.float32)
        for first in range(0, m, BLOCK):
            similarity = queries[first:first + BLOCK] @ train.T
            top = np.argpartition(similarity, -k, axis=1)[:, -k:]
            values = np.take_along_axis(similarity, top, 1)
            order = np.argsort(-values, axis=1, kind="stable")
            index[first:first + BLOCK] = np.take_along_axis(top, order, 1)
            cosine[first:first + BLOCK] = np.take_along_axis(values, order, 1)
        return index, cosine

    def predictions(self, file):
        tensors = load_file(file)
        self.targets, self.scores = tensors["targets"], tensors["scores"]
        return {}

    def auroc(self, samples):
        """Scores sorted once a column; a resample is a weight for each item (ties count one half)."""
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
        return {**super().commands(), "predictions": self.predictions, "auroc": self.auroc}
