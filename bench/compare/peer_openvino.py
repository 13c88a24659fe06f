"""OpenVINO: one stream of so many threads, shapes fixed. Beside int8, whatever is left runs in bfloat16 (faster)."""
import openvino

from peers import Features


class OpenVino(Features):
    def __init__(self, threads):
        self.threads, self.core, self.request = threads, openvino.Core(), None

    def about(self):
        return {"name": "OpenVINO", "version": openvino.__version__.split("-")[0],
                "instruction_set": "/".join(self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
                "threads": self.threads}

    def load(self, preset, precision, file, side, batch):
        model = self.core.read_model(file)
        model.reshape([batch, 3, side, side])
        compiled = self.core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16"})
        self.request = compiled.create_infer_request()

    def run(self):
        self.request.infer([self.pixels], share_inputs=True)
        return self.request.get_output_tensor(0).data
