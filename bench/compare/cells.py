"""What bench/compare times: cells (a model, an image size, a batch), precisions, and who can run which of them."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    key: str  # what --cells takes
    model: str
    preset: str
    dim: int
    depth: int
    side: int
    batch: int

    @property
    def name(self):
        return f"{self.model}, {self.side}, batch {self.batch}"

    def gflop(self):
        """Products of an image: patch embedding, the blocks' linear layers, attention."""
        patches = (self.side // 14) ** 2
        tokens = 1 + patches
        return (2 * patches * 588 * self.dim
                + self.depth * (24 * tokens * self.dim**2 + 4 * tokens**2 * self.dim)) * 1e-9


SMALL, BASE, LARGE = (("ViT-S/14", "dinov2_vits14", 384, 12), ("ViT-B/14", "dinov2_vitb14", 768, 12),
                      ("ViT-L/14", "dinov2_vitl14", 1024, 24))
CELLS = {cell.key: cell for cell in (
    Cell("S224", *SMALL, 224, 1), Cell("B224", *BASE, 224, 1), Cell("L224", *LARGE, 224, 1),
    Cell("S518", *SMALL, 518, 1), Cell("B518", *BASE, 518, 1),
    Cell("S224x8", *SMALL, 224, 8), Cell("B224x8", *BASE, 224, 8))}

# How much faster than the best peer vitals has to be: our time over theirs, at most.
GOALS = {"float32": 1 / 1.05, "bfloat16": 1 / 1.15, "int8": 1 / 1.15}

# float32: largest difference of a CLS number from PyTorch's float32; else: smallest cosine with it.
LIMITS = {"float32": 1e-4, "bfloat16": 0.9995, "int8": 0.98}


@dataclass(frozen=True)
class Engine:
    label: str  # heads its column
    formats: dict  # precision: the form of the model that convert.py makes for it


ENGINES = {
    "torch": Engine("PyTorch eager", {"float32": "weights", "bfloat16": "weights"}),
    "torch-compiled": Engine("PyTorch compiled", {"float32": "weights", "bfloat16": "weights"}),
    "onnxruntime": Engine("ONNX Runtime", {"float32": "onnx", "int8": "onnx-int8"}),
    "onnxruntime-fused": Engine("ONNX Runtime fused", {"float32": "onnx-fused"}),
    "openvino": Engine("OpenVINO", {"float32": "openvino", "bfloat16": "openvino", "int8": "openvino-int8"}),
}
SEARCHERS = {"numpy": "numpy", "faiss": "faiss-cpu", "torch": "PyTorch float32", "torch-bfloat16": "PyTorch bfloat16"}
PEERS = (*ENGINES, "numpy", "faiss")
TRAINERS = {"torch": "PyTorch + PEFT eager", "torch-compiled": "PyTorch + PEFT compiled"}
METHODS = ("full", "lora", "bitfit", "head")
# A step's time over the better peer's, at most; a head alone has no goal.
TRAIN_GOALS = {"float32": {"full": 1 / 1.25, "lora": 1 / 1.3, "bitfit": 1 / 1.3},
               "bfloat16": {"full": 1 / 1.4, "lora": 1 / 1.6, "bitfit": 1 / 1.6}}
# How far the first loss, and the loss after two steps, may be from ours, as parts of the first.
TRAIN_LIMITS = {"float32": (1e-5, 1e-2), "bfloat16": (1e-2, 5e-2)}
PARTS = ("features", "memory", "threads", "knn", "auroc", "training", "training-memory")
