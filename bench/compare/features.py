"""Forward passes of one cell in one precision: do the outputs agree, how long, how much memory."""
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import convert
from cells import CELLS, ENGINES, GOALS, LIMITS
from inputs import pictures
from sides import Failure, against_best, take_turns


class Models:
    """The files that sides load, made at first use and kept in the folder `cache`."""

    def __init__(self, start, cache, published, threads):
        self.start, self.cache, self.published, self.threads = start, cache, published, threads

    def weights(self, cell):
        """The published checkpoint where it is at hand, else random numbers that vitals writes."""
        if cell.preset == "dinov2_vits14" and self.published:
            return self.published
        file = self.cache / f"{cell.preset}-random.safetensors"
        if not file.exists():
            beside = file.with_name("part-" + file.name)
            with self.start("vitals") as ours:
                ours.ask("weights", cell.preset, 0, beside)
            beside.rename(file)
        return file

    def file(self, cell, what):
        if what == "weights":
            return self.weights(cell)
        return convert.path(self.cache, cell.preset, cell.side, what)

    def prepare(self, cell, whats):
        """In a process of its own, so that nothing of it stays in memory."""
        whats = [what for what in whats if what != "weights" and not self.file(cell, what).exists()]
        if whats:
            command = [sys.executable, Path(__file__).with_name("convert.py"), cell.preset, self.weights(cell), cell.side,
                       self.cache, self.threads, *whats]
            done = subprocess.run(list(map(str, command)), stdout=sys.stderr, check=False)
            if done.returncode:
                raise Failure(f"{cell.name}: a model could not be converted (exit status {done.returncode})")

    def pixels(self, cell):
        file = self.cache / f"pixels-{cell.side}-{cell.batch}.safetensors"
        if not file.exists():
            save_file({"pixels": pictures(cell.batch, cell.side, convert.SEED)}, file)
        return file

    def open(self, name, cell, precision):
        """A side that has loaded model and pixels."""
        what = "weights" if name == "vitals" else ENGINES[name].formats[precision]
        side = self.start(name)
        try:
            side.ask("load", cell.preset, precision, self.file(cell, what), cell.side, cell.batch)
            side.ask("pixels", self.pixels(cell))
        except Failure:
            side.close()
            raise
        return side


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return ((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).min()


def agreement(precision, ours, reference):
    """What LIMITS is about, and whether it holds."""
    if precision == "float32":
        value = float(np.abs(ours["cls"] - reference["cls"]).max())
        patches = float(np.abs(ours["patches"] - reference["patches"]).max() / np.abs(reference["patches"]).max())
        return value, value <= LIMITS[precision] and patches <= LIMITS[precision]
    value = float(cosine(ours["cls"], reference["cls"]))
    return value, value >= LIMITS[precision]


def compare_features(models, cell, precision, names, options, peaks):
    """The result of one row. A peer that fails is named in it and left out; vitals has to work."""
    whats = [ENGINES[name].formats[precision] for name in names if name != "vitals"]
    models.prepare(cell, [*whats, f"reference-{cell.batch}"])
    reference = load_file(models.file(cell, f"reference-{cell.batch}"))
    result = {"case": cell.name, "cell": cell.key, "precision": precision, "goal": GOALS[precision], "failed": {},
              "agreement": {}, "disagree": [], "memory_mib": {}}
    sides, once = {}, {}
    out = models.cache / "features.safetensors"
    try:
        for name in names:
            try:
                side = sides[name] = models.open(name, cell, precision)
                side.ask("features", out)
                value, fine = agreement(precision, load_file(out), reference)
                once[side] = side.ask("forward", 1)["seconds"][0]
                result["agreement"][name] = value
                if not fine:
                    result["disagree"].append(name)
            except Failure as failure:
                if name == "vitals":
                    raise
                result["failed"][name] = str(failure)
                if name in sides:
                    sides.pop(name).close()
        out.unlink(missing_ok=True)
        if "features" in options.parts and not options.prepare:
            alone = []  # the CLS token alone, which vitals can be asked for

            def forward(side):
                if once[side] < 0.5:
                    side.ask("forward", 1)  # wakes threads and caches after the other sides' turns
                repeat = max(1, round((0.15 if options.quick else 0.6) / once[side]))
                seconds = statistics.median(side.ask("forward", repeat)["seconds"])
                if side.name == "vitals":  # afterwards: it must not warm up for the pass that counts
                    alone.append(statistics.median(side.ask("forward", repeat, "cls")["seconds"]))
                return seconds

            result |= take_turns(options.rounds, {side: forward for side in sides.values()}, options.patience)
            for times in result["times"].values():
                times[:] = [1e3 * time / cell.batch for time in times]
            against_best(result)
            if alone:
                result["cls_ms"] = 1e3 * statistics.median(alone) / cell.batch
                if "best_peer" in result:
                    result["cls_ratio"] = result["cls_ms"] / result["median"][result["best_peer"]]
            if "vitals" in sides and peaks.get(precision):
                result["percent_of_peak"] = 100 * cell.gflop() / (result["median"]["vitals"] * 1e-3) / peaks[precision]
        about = {name: side.ask("about") for name, side in sides.items() if name != "vitals"}
    finally:
        for side in sides.values():
            side.close()
    if "memory" in options.parts and not options.prepare:
        for name in sides:
            with models.open(name, cell, precision) as side:
                side.ask("forward", 2)
                result["memory_mib"][name] = side.ask("memory")["peak_memory_mib"]
    return result, about


def compare_threads(models, precision, threads, options):
    """ViT-B, batch 8: vitals with one thread and with all, taking turns; the peak measured in the same rounds."""
    cell = CELLS["B224x8"]
    sides, peaks = [], []
    try:
        for n in (1, threads):
            side = models.start("vitals", n)
            sides.append(side)
            side.name = f"{n}"
            side.ask("load", cell.preset, precision, models.file(cell, "weights"), cell.side, cell.batch)
            side.ask("pixels", models.pixels(cell))
            side.ask("forward", 1)

        def forward(side):
            if side.name != "1":
                peaks.append(side.ask("about")["peak_gflops"].get(precision))
            return 1e3 * side.ask("forward", 1)["seconds"][0] / cell.batch

        result = {"case": cell.name, "precision": precision, "threads": threads}
        result |= take_turns(options.rounds, {side: forward for side in sides}, options.patience)
    finally:
        for side in sides:
            side.close()
    one, all_ = result["times"]["1"], result["times"][str(threads)]
    result["speedup"] = statistics.median(a / b for a, b in zip(one, all_))
    result["one_ms"], result["all_ms"] = statistics.median(one), statistics.median(all_)
    if all(peaks):
        result["peak_gflops"] = statistics.median(peaks)
        result["percent_of_peak"] = 100 * cell.gflop() / (result["all_ms"] * 1e-3) / result["peak_gflops"]
    return result
