"""Writes what the peers load, from one checkpoint, into a folder: what is there already is kept.

convert.py PRESET WEIGHTS SIDE FOLDER THREADS WHAT...

WHAT: onnx, onnx-fused, onnx-int8, openvino, openvino-int8 and reference-B (PyTorch's float32 features of B pictures).
Sides of the image are fixed, the batch is chosen when a model is loaded. The file of each is `path(...)`.
"""
import logging
import os
import sys
import warnings
from pathlib import Path

from inputs import pictures

CALIBRATION = 8  # pictures
SEED = 7  # of the pictures that are timed


def path(folder, preset, side, what):
    endings = {"onnx": ".onnx", "onnx-fused": ".onnx", "onnx-int8": ".onnx", "openvino": ".xml",
               "openvino-int8": ".xml"}
    return Path(folder) / f"{preset}-{side}-{what}{endings.get(what, '.safetensors')}"


class Converter:
    def __init__(self, preset, weights, side, folder, threads):
        import torch
        torch.set_num_threads(threads)
        self.torch, self.preset, self.weights, self.side, self.folder = torch, preset, weights, side, folder

    def file(self, what):
        file = path(self.folder, self.preset, self.side, what)
        if not file.exists():
            print(f"   converting: {file.name}", file=sys.stderr, flush=True)
            beside = file.with_name("part-" + file.name)
            self.make(what, beside)
            if file.suffix == ".xml":  # its weights lie beside it
                os.replace(beside.with_suffix(".bin"), file.with_suffix(".bin"))
            os.replace(beside, file)
        return file

    def make(self, what, to):
        if what.startswith("reference-"):
            self.reference(to, int(what.partition("-")[2]))
        else:
            {"onnx": self.onnx, "onnx-fused": self.onnx_fused, "onnx-int8": self.onnx_int8, "openvino": self.openvino,
             "openvino-int8": self.openvino_int8}[what](to)

    def model(self):
        import vit
        return vit.load(self.preset, self.side, self.weights)

    def reference(self, to, batch):
        from safetensors.torch import save_file
        with self.torch.inference_mode():
            tokens = self.model()(self.torch.from_numpy(pictures(batch, self.side, SEED)))
        save_file({"cls": tokens[:, 0].contiguous(), "patches": tokens[:, 1:].contiguous()}, to)

    def export(self, model, to):
        example = self.torch.zeros(2, 3, self.side, self.side)
        self.torch.onnx.export(model, (example,), str(to), opset_version=17, input_names=["pixels"],
                               output_names=["tokens"], dynamo=False,
                               dynamic_axes={"pixels": {0: "batch"}, "tokens": {0: "batch"}})

    def onnx(self, to):
        self.export(self.model(), to)

    def onnx_fused(self, to):
        import vit
        from onnxruntime.transformers import optimizer
        dim, _, heads = vit.WIDTHS[self.preset]
        exported = to.with_name("unfused-" + to.name)
        self.export(self.model().make_fusable(), exported)
        model = optimizer.optimize_model(str(exported), model_type="vit", num_heads=heads, hidden_size=dim, opt_level=0)
        found = model.get_fused_operator_statistics()
        if not found["Attention"] or not found["BiasGelu"] or not found["SkipLayerNormalization"]:
            raise RuntimeError(f"ONNX Runtime's optimiser did not recognise the model: {found}")
        model.save_model_to_file(str(to))
        exported.unlink()

    def onnx_int8(self, to):
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(str(self.file("onnx")), str(to), weight_type=QuantType.QInt8, per_channel=True)

    def openvino(self, to):
        import openvino
        example = self.torch.zeros(1, 3, self.side, self.side)
        model = openvino.convert_model(self.model(), example_input=example, input=[-1, 3, self.side, self.side])
        openvino.save_model(model, str(to), compress_to_fp16=False)

    def openvino_int8(self, to):
        import nncf
        import openvino
        model = openvino.Core().read_model(str(self.file("openvino")))
        images = [image[None] for image in pictures(CALIBRATION, self.side, SEED + 1)]
        model = nncf.quantize(model, nncf.Dataset(images), model_type=nncf.ModelType.TRANSFORMER,
                              subset_size=CALIBRATION)
        openvino.save_model(model, str(to), compress_to_fp16=False)


def main():
    preset, weights, side, folder, threads, *wanted = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # of no GPU, of advice for other models
    converter = Converter(preset, weights, int(side), folder, int(threads))
    for what in wanted:
        converter.file(what)


if __name__ == "__main__":
    main()
