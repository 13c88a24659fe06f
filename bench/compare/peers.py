"""The other sides of bench/compare: libraries behind the same commands as worker.cpp (see there).

peers.py NAME THREADS

torch, torch-compiled, onnxruntime, onnxruntime-fused and openvino answer load, pixels, forward, features; numpy, faiss,
search-torch and search-torch-bfloat16 answer matrices, knn, neighbours; numpy also predictions and auroc; train-torch and
train-torch-compiled answer train, pixels, steps. All answer about and memory. A library is imported when its side starts, and nothing else, so that its memory is its own.
"""
import contextlib
import importlib
import json
import sys
import time

SIDES = {"torch": ("peer_torch", "Torch"), "torch-compiled": ("peer_torch", "TorchCompiled"),
         "onnxruntime": ("peer_onnx", "OnnxRuntime"), "onnxruntime-fused": ("peer_onnx", "OnnxRuntime"),
         "openvino": ("peer_openvino", "OpenVino"), "numpy": ("peer_search", "Numpy"), "faiss": ("peer_search", "Faiss"),
         "search-torch": ("peer_search", "TorchSearch"),
         "search-torch-bfloat16": ("peer_search", "TorchSearchBfloat16"), "train-torch": ("peer_train", "Train"),
         "train-torch-compiled": ("peer_train", "TrainCompiled")}


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return {"peak_memory_mib": int(line.split()[1]) / 1024}
    return {"peak_memory_mib": None}


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


class Features:
    """What every engine that runs the model shares: `run()` gives the tokens (B, N, D) of `self.pixels`, in float32."""

    pixels = None

    def read_pixels(self, file):
        from safetensors.numpy import load_file
        self.pixels = self.take(load_file(file)["pixels"])
        return {}

    def take(self, pixels):
        return pixels

    def forward(self, n):
        return {"seconds": [timed(self.run)[0] for _ in range(int(n))]}

    def features(self, out):
        import numpy as np
        from safetensors.numpy import save_file
        tokens = np.asarray(self.run())
        save_file({"cls": np.ascontiguousarray(tokens[:, 0]), "patches": np.ascontiguousarray(tokens[:, 1:])}, out)
        return {}

    def load_timed(self, preset, precision, file, side, batch):
        return {"seconds": [timed(lambda: self.load(preset, precision, file, int(side), int(batch)))[0]]}

    def commands(self):
        return {"load": self.load_timed, "pixels": self.read_pixels, "forward": self.forward,
                "features": self.features}


def main():
    module, name = SIDES[sys.argv[1]]
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # libraries that print do not end up between the answers
        peer = getattr(importlib.import_module(module), name)(int(sys.argv[2]))
        commands = {**peer.commands(), "about": peer.about, "memory": peak_memory}
        for line in sys.stdin:
            words = line.rstrip("\n").split("\t")
            if words == ["quit"]:
                break
            try:
                answer = commands[words[0]](*words[1:])
            except Exception as error:  # whatever it is, the other side has to hear of it
                answer = {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
