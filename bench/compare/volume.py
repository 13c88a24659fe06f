"""Times segment_volume against the same program in Python on PyTorch and MONAI: whole processes, file in, mask file out.

    volume.py --program build-bench/examples/segment_volume --decoder DECODER.safetensors --weights FILE.pth [--python PYTHON]
              [--precisions float32,bfloat16] [--rounds 5] [--patience 60] [--threads 2] [--out FILE.json] VOLUME.nii.gz...

DECODER is what examples/segment --save-decoder wrote. Each side runs for the first volume alone and for all of them; from the two
follow the seconds of one more volume, without start and loading. In bfloat16 PyTorch runs twice, with autocast and with everything in
bfloat16, and the better one counts. Sides take turns, who goes first changes, and rounds in which other programs ran do not count. Masks
must agree: a Dice above 0.99 for every class over all voxels. Prints a table; exit 1 when masks differ or a side fails.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from sides import Failure, against_best, take_turns

HERE = Path(__file__).parent
LEAST_DICE = 0.99


class Program:
    """A command that is started anew for each run."""

    process = None  # nothing that stays alive between runs

    def __init__(self, name, command, threads):
        self.name, self.command, self.peak, self.answers = name, command, 0.0, []
        self.environment = {**os.environ, **{v: str(threads) for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}}

    def run(self, volumes):
        """Seconds from start to end."""
        with tempfile.TemporaryFile() as said:
            start = time.perf_counter()
            process = subprocess.Popen([*self.command, *volumes], stdout=said, stderr=subprocess.PIPE, text=True,
                                       env=self.environment)
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise Failure(f"{self.name} ended with {process.returncode}: {errors[-2000:]}")
            said.seek(0)
            self.answers.append(said.read().decode())
        self.peak = max(self.peak, usage.ru_maxrss / 1024)
        return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--program", "--decoder", "--weights"):
        parser.add_argument(name, required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    parser.add_argument("volumes", nargs="+")
    args = parser.parse_args()
    rows = []
    try:
        for precision in args.precisions.split(","):
            rows.append(row(args, precision))
    except Failure as failure:
        sys.exit(str(failure))
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("| precision | what | vitals, s | PyTorch + MONAI, s | vitals / PyTorch |\n| --- | --- | --- | --- | --- |")
    for r in rows:
        for what, result in r["times"].items():
            best = result["best_peer"]
            print(f"| {r['precision']} | {what} | {result['median']['vitals']:.2f} | {result['median'][best]:.2f} ({best}) | "
                  f"{result['ratio']:.2f} ({result['ratio_min']:.2f}-{result['ratio_max']:.2f})"
                  f"{'' if result['quotable'] else ' disturbed'} |")
        least = min(v for name, v in r["peak_mib"].items() if name != "vitals")
        print(f"| {r['precision']} | peak MiB | {r['peak_mib']['vitals']:.0f} | {least:.0f} | "
              f"{r['peak_mib']['vitals'] / least:.2f} |")
        print(f"| {r['precision']} | least Dice of the two masks | | | {min(r['dice'].values()):.4f} |")


def row(args, precision):
    peers = ["float32"] if precision == "float32" else ["autocast", "bfloat16"]
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: Path(folder) / name for name in ["vitals", *peers]}
        sides = [Program("vitals", [args.program, "--weights", args.weights, "--decoder", args.decoder, "--dtype", precision,
                                    "--decoder-dtype", precision, "--threads", str(args.threads), "--quiet", "--output",
                                    outputs["vitals"]], args.threads)]
        sides += [Program(name, [args.python, HERE / "peer_volume.py", str(args.threads), name, args.weights, args.decoder,
                                 outputs[name]], args.threads) for name in peers]
        times = {}
        counts = sorted({1, len(args.volumes)})
        for side in sides:  # files are in the system's cache, masks are there to be compared
            side.run(args.volumes)
        dice = {name: agreement(outputs["vitals"], outputs[name], args.volumes) for name in peers}
        if min(dice.values()) <= LEAST_DICE:
            raise Failure(f"{precision}: the masks differ: Dice {dice}")
        for side in sides:
            side.answers.clear()
        results = {n: take_turns(args.rounds, {side: lambda s, n=n: s.run(args.volumes[:n]) for side in sides}, args.patience)
                   for n in counts}
        for n, result in results.items():
            times[f"the command, {n} volume{'s' if n > 1 else ''}"] = against_best(result)
        # Without start and imports: Python's own clock; ours has nothing to import, so its whole process counts.
        per_count = {n: len(results[n]["times"]["vitals"]) for n in counts}
        for n in counts:
            measured = {"vitals": results[n]["times"]["vitals"]}
            for side in sides[1:]:
                said = [json.loads(a) for a in side.answers]
                measured[side.name] = [a["after_imports"] for a in said if len(a["volumes"]) == n][-per_count[n]:]
            times[f"after imports, {n} volume{'s' if n > 1 else ''}"] = against_best(
                {"times": measured, "quotable": results[n]["quotable"]})
        if len(counts) == 2:
            few, many = counts
            pairs = min(per_count.values())
            more = {side.name: [(results[many]["times"][side.name][i] - results[few]["times"][side.name][i]) / (many - few)
                                for i in range(pairs)] for side in sides}
            times["one more volume"] = against_best(
                {"times": more, "quotable": all(r["quotable"] for r in results.values())})
        imports = statistics.median(json.loads(a)["imports"] for side in sides[1:] for a in side.answers)
        return {"precision": precision, "times": times, "imports": imports, "dice": dice,
                "peak_mib": {side.name: side.peak for side in sides}}


def agreement(ours, theirs, volumes):
    """The least Dice of a class over all volumes."""
    masks = [np.concatenate([np.asarray(nibabel.load(folder / Path(v).name).dataobj).ravel() for v in volumes])
             for folder in (ours, theirs)]
    scores = []
    for value in np.union1d(*masks):
        a, b = (m == value for m in masks)
        scores.append(2 * float((a & b).sum()) / float(a.sum() + b.sum()))
    return min(scores)


if __name__ == "__main__":
    main()
