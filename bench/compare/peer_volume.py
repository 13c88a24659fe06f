"""segment_volume in Python, on PyTorch and MONAI: NIfTI in, a trained decoder, mask NIfTI out.

    peer_volume.py THREADS PRECISION WEIGHTS DECODER OUTPUT VOLUME...

PRECISION: float32, autocast (bfloat16 where PyTorch's autocast says so) or bfloat16 (all parameters and maps). What is done to a slice
follows from the decoder's header (examples/segment --save-decoder): clipped to percentiles, bicubic to the model's size, min-max, ImageNet
mean and std. Prints one line of JSON: seconds of importing, of everything after it, and of each volume.
"""
import time

started = time.perf_counter()

import json
import sys
from pathlib import Path

import torch
from torch.nn import functional as F
from monai.inferers import SliceInferer
from monai.transforms import LoadImage, SaveImage

import vit
from peer_decoder import make, read

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
BATCH = 8


def backbone_tokens(model, pixels):
    """Maps of the last five blocks after the last LayerNorm, shallow to deep."""
    side = pixels.shape[2] // 14
    x = model.patch_embed(pixels)
    x = torch.cat([model.cls_token.expand(x.shape[0], -1, -1), x], 1) + model.pos_embed
    maps = []
    for i, block in enumerate(model.blocks):
        x = block(x)
        if i >= len(model.blocks) - 5:
            tokens = model.norm(x)[:, 1:]
            maps.append(tokens.reshape(x.shape[0], side, side, -1).permute(0, 3, 1, 2))
    return maps


def slices_to_classes(slices, backbone, decoder, about, dtype):
    """(B, 1, h, w) of a volume to class numbers (B, 1, h, w)."""
    if about["intensity"] == "p5p95":
        flat = slices.flatten(1)
        low, high = torch.quantile(flat, torch.tensor([0.05, 0.95]), dim=1)
        slices = slices.clamp(low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1))
    elif about["intensity"] != "none":
        low, high = map(float, about["intensity"].split(","))
        slices = slices.clamp(low, high)
    x = F.interpolate(slices, (int(about["height"]), int(about["width"])), mode="bicubic")
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    constant = high - low <= 1e-5 * torch.maximum(low.abs(), high.abs())
    x = torch.where(constant, 0.0, (x - low) / (high - low))
    x = ((x - MEAN) / STD).to(dtype)
    classes = decoder(backbone_tokens(backbone, x)).argmax(1, keepdim=True).float()
    return F.interpolate(classes, slices.shape[2:], mode="nearest-exact")


def main():
    ready = time.perf_counter()
    threads, precision, weights, decoder_file, output, *volumes = sys.argv[1:]
    torch.set_num_threads(int(threads))
    values, about = read(decoder_file)
    if about["transform"] != "paper":
        raise SystemExit(f"the transform {about['transform']} is not written here: use paper")
    decoder = make(about["decoder"], int(about["dim"]), int(about["classes"]), int(about["height"]))
    decoder.load_state_dict(values, strict=False)
    decoder = decoder.eval().to(memory_format=torch.channels_last)
    backbone = vit.load(about["model"], int(about["height"]), weights)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    backbone, decoder = backbone.to(dtype), decoder.to(dtype)
    named = about["mask_values"].split(",") if about["mask_values"] else range(int(about["classes"]))  # none: 0, 1, 2 ...
    class_values = torch.tensor([float(v) for v in named])
    load, save = LoadImage(ensure_channel_first=True), SaveImage(output, "", separate_folder=False, print_log=False,
                                                                 output_dtype="uint8")
    seconds = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
        for volume in volumes:
            start = time.perf_counter()
            image = load(volume)
            axis = int(about["axis"])
            roi = [n for i, n in enumerate(image.shape[1:]) if i != axis]
            infer = SliceInferer(axis, roi_size=roi, sw_batch_size=BATCH)
            classes = infer(image[None], lambda x: slices_to_classes(x, backbone, decoder, about, dtype))[0]
            classes.data = class_values[classes.long()]
            save(classes)
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"imports": ready - started, "after_imports": time.perf_counter() - ready, "volumes": seconds,
                      "files": [str(Path(output) / Path(v).name) for v in volumes]}))


if __name__ == "__main__":
    main()
