#!/usr/bin/env python3
"""Draws the roofline (Williams, Waterman, Patterson 2009) of a block's operations as SVG.

    build-bench/bench/operations_bench --benchmark_filter='(product|attention|layer_norm)/.*/257/' \\
      --benchmark_out=operations.json --benchmark_out_format=json
    bench/compare/roofline.py operations.json docs/images/roofline.svg [--tokens 257] [--threads N]

Across: floating-point operations for each byte that an operation has to read or write at least once (its inputs, its
weights as they are packed, its output; LayerNorm counts 8 operations a number). Up: GFLOP/s. The level ceilings are the
measured peaks of this machine, the slanted ones its measured bandwidths; all of them stand in the JSON file. Needs
Python alone.
"""
import argparse
import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

DIMS = {"S": 384, "B": 768, "L": 1024}
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
COLOURS = {"float32": "#0072b2", "bfloat16": "#d55e00", "int8": "#009e73"}  # Okabe and Ito
LAYERS = {"qkv": (1, 3, 0), "proj": (1, 1, 1), "fc1": (1, 4, 0), "fc2": (4, 1, 1)}  # in, out in D; output read too
NAMES = {"fc1": "fc1 + GELU", "attention": "attention", "layer_norm": "LayerNorm"}


def operation(words, tokens):
    """(model, precision, operation, FLOP, bytes) of a benchmark's name, None for others."""
    if words[0] == "product" and words[1] in WEIGHT_BYTES and words[3] == str(tokens):
        model, layer = words[2].split("_")
        if model not in DIMS or layer not in LAYERS:
            return None
        into, out, again = LAYERS[layer]
        into, out = into * DIMS[model], out * DIMS[model]
        moved = 4 * tokens * (into + (1 + again) * out) + WEIGHT_BYTES[words[1]] * into * out
        return model, words[1], NAMES.get(layer, layer), 2 * tokens * into * out, moved
    if words[0] == "attention" and words[1] in WEIGHT_BYTES and words[3] == str(tokens) and words[2] in DIMS:
        dim = DIMS[words[2]]
        return words[2], words[1], NAMES["attention"], 4 * tokens**2 * dim, 16 * tokens * dim
    if words[0] == "layer_norm" and words[2] == str(tokens) and words[1] in DIMS:
        numbers = tokens * DIMS[words[1]]
        return words[1], "float32", NAMES["layer_norm"], 8 * numbers, 8 * numbers
    return None


def read(file, tokens, threads):
    """Points [(model, precision, operation, FLOP/byte, GFLOP/s)], peaks {precision: GFLOP/s}, bandwidths {name: GB/s}."""
    report = json.loads(Path(file).read_text(encoding="utf-8"))
    of_threads = f", {threads} thread" + ("s" if threads > 1 else "")
    peaks, bandwidths = {}, {}
    for key, value in report["context"].items():
        if key.endswith(of_threads):
            name, _, kind = key.removesuffix(of_threads).rpartition(" ")
            {"peak": peaks, "bandwidth": bandwidths}.get(kind, {})[name] = float(value.split()[0])
    points = []
    for run in report["benchmarks"]:
        words = run["name"].split("/")
        label = f"{threads}_thread" + ("s" if threads > 1 else "")
        if label not in words or run.get("run_type", "iteration") != "iteration":
            continue
        found = operation(words, tokens)
        if found:
            model, precision, name, flop, moved = found
            rate = run["GFLOP/s"] if "GFLOP/s" in run else run["GB/s"] * flop / moved
            points.append((model, precision, name, flop / moved, rate))
    return points, peaks, bandwidths, report["context"].get("instruction set", "")


class Picture:
    """Both axes logarithmic."""

    width, height, left, right, top, bottom = 940, 640, 70, 30, 60, 60

    def __init__(self, x, y):
        self.x, self.y, self.parts = x, y, []

    def across(self, value):
        low, high = map(math.log, self.x)
        return self.left + (math.log(value) - low) / (high - low) * (self.width - self.left - self.right)

    def up(self, value):
        low, high = map(math.log, self.y)
        return self.height - self.bottom - (math.log(value) - low) / (high - low) * (self.height - self.top
                                                                                     - self.bottom)

    def line(self, x1, y1, x2, y2, colour, more=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>')

    def text(self, x, y, words, colour="#222", anchor="start", size=12, turn=0):
        turned = f' transform="rotate({turn:.1f} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"'
                          f' font-size="{size}"{turned}>{escape(words)}</text>')

    def point(self, x, y, colour, filled):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" stroke="{colour}" stroke-width="1.8"'
                          f' fill="{colour if filled else "#fff"}"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}"'
                f' font-family="DejaVu Sans, Helvetica, Arial, sans-serif">\n'
                f'<rect width="{self.width}" height="{self.height}" fill="#fff"/>\n' + "\n".join(self.parts)
                + "\n</svg>\n")


def axes(picture, title, below):
    picture.text(picture.left, 24, title, size=16)
    picture.text(picture.left, 43, below, colour="#555", size=12)
    bottom, end = picture.height - picture.bottom, picture.width - picture.right
    for axis, (low, high) in (("x", picture.x), ("y", picture.y)):
        for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
            for step in (1, 2, 5):
                value = step * 10.0**decade
                if not low <= value <= high:
                    continue
                if axis == "x":
                    at = picture.across(value)
                    picture.line(at, picture.top, at, bottom, "#eee")
                    picture.text(at, bottom + 18, f"{value:g}", anchor="middle")
                else:
                    at = picture.up(value)
                    picture.line(picture.left, at, end, at, "#eee")
                    picture.text(picture.left - 8, at + 4, f"{value:g}", anchor="end")
    picture.text((picture.left + end) / 2, bottom + 42, "arithmetic intensity, FLOP a byte", anchor="middle", size=13)
    picture.text(20, (picture.top + bottom) / 2, "GFLOP/s", anchor="middle", size=13, turn=-90)


def ceilings(picture, peaks, bandwidths):
    highest = max(peaks.values())
    for i, (name, rate) in enumerate(sorted(bandwidths.items(), key=lambda item: item[1])):
        start = max(picture.x[0], picture.y[0] / rate)
        end = min(highest / rate, picture.x[1])
        picture.line(picture.across(start), picture.up(start * rate), picture.across(end), picture.up(end * rate),
                     "#777", 'stroke-width="1.5"' + (' stroke-dasharray="6 4"' if i else ""))
        dx = picture.across(end) - picture.across(start)
        dy = picture.up(end * rate) - picture.up(start * rate)
        at = start * 1.12
        picture.text(picture.across(at), picture.up(at * rate) - 6, f"{name} {rate:.0f} GB/s", colour="#555",
                     turn=math.degrees(math.atan2(dy, dx)))
    for name, peak in peaks.items():
        start = max(picture.x[0], peak / max(bandwidths.values()))
        picture.line(picture.across(start), picture.up(peak), picture.width - picture.right, picture.up(peak),
                     COLOURS[name], 'stroke-width="2"')
        picture.text(picture.across(14), picture.up(peak) - 6, f"{name} peak {peak:.0f} GFLOP/s", colour=COLOURS[name])


def labels(picture, points, peaks, at, above):
    """Names of one precision's points on a slant, in the points' order, joined to them by thin lines."""
    points = sorted(points, key=lambda point: point[3])
    gap = 21
    middle = sum(picture.across(point[3]) for point in points) / len(points)
    for i, (model, precision, name, intensity, rate) in enumerate(points):
        x, y = picture.across(intensity), picture.up(rate)
        to = middle + (i - (len(points) - 1) / 2) * gap
        colour = COLOURS[precision]
        picture.line(x, y, to, at, colour, 'stroke-width="0.7" stroke-opacity="0.6"')
        words = f"{model} {name} {100 * rate / peaks[precision]:.0f} %"
        if above:
            picture.text(to + 3, at - 3, words, colour=colour, size=11, turn=-55)
        else:
            picture.text(to + 3, at + 9, words, colour=colour, size=11, turn=55)


def draw(points, peaks, bandwidths, tokens, threads, isa):
    points = [point for point in points if point[1] in peaks]
    peaks = {name: peak for name, peak in peaks.items() if any(point[1] == name for point in points)}
    picture = Picture((0.4, 400), (12, 2.9 * max(peaks.values())))
    axes(picture, f"One block of ViT-S (rings) and ViT-B (discs), {tokens} tokens, {threads} threads, {isa}",
         "Percents are of the measured peak of the precision")
    ceilings(picture, peaks, bandwidths)
    order = sorted(peaks, key=peaks.get)
    for precision in order:
        heavy = [point for point in points if point[1] == precision and point[2] != NAMES["layer_norm"]]
        light = [point for point in points if point[1] == precision and point[2] == NAMES["layer_norm"]]
        if heavy and precision in (order[0], order[-1]):
            above = precision == order[-1] and len(order) > 1
            at = picture.up(peaks[precision] * 1.17) if above else picture.up(min(p[4] for p in heavy) * 0.72)
            labels(picture, heavy, peaks, at, above)
        for model, _, _, intensity, rate in heavy + light:
            picture.point(picture.across(intensity), picture.up(rate), COLOURS[precision], model != "S")
        if light:
            picture.text(picture.across(light[0][3]) + 9, picture.up(light[0][4]) + 4, NAMES["layer_norm"],
                         colour=COLOURS[precision], size=11)
    return picture.svg()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operations", help="what operations_bench wrote with --benchmark_out_format=json")
    parser.add_argument("svg", type=Path)
    parser.add_argument("--tokens", type=int, default=257)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    points, peaks, bandwidths, isa = read(options.operations, options.tokens, options.threads)
    if not points or not peaks or not bandwidths:
        print(f"roofline.py: error: {options.operations}: no operations at {options.tokens} tokens with"
              f" {options.threads} threads; was operations_bench run with --threads {options.threads}?", file=sys.stderr)
        return 1
    options.svg.write_text(draw(points, peaks, bandwidths, options.tokens, options.threads, isa), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
