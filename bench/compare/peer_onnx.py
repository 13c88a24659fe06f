"""ONNX Runtime: any of the graphs that convert.py writes, with all of its own optimisations."""
import onnxruntime

from peers import Features


class OnnxRuntime(Features):
    def __init__(self, threads):
        self.threads, self.session = threads, None

    def about(self):
        return {"name": "ONNX Runtime", "version": onnxruntime.__version__, "instruction_set": "its own choice",
                "threads": self.threads}

    def load(self, preset, precision, file, side, batch):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.add_free_dimension_override_by_name("batch", batch)
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(self):
        return self.session.run(None, {"pixels": self.pixels})[0]
