"""Times vitals against PyTorch and numpy: the same work, the same weights, in rounds that take turns. See run.sh.

Every side is a process that stays alive and is asked over a pipe (worker.cpp, peers.py), so nothing but the work is
timed and no side's start matters. A round asks both sides one after the other, who goes first alternates; what counts
is the median over the rounds of the ratio within a round.

Threads that wait for each other suffer out of proportion when another program takes a core, and the sides suffer
differently. So a round waits until nothing else runs and is watched: where anything else took more than 5 % of the
processors, it does not count and another one is tried, until --patience ends. A case without three undisturbed rounds
is marked.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

SHAPES = {"dinov2_vits14": ("ViT-S/14", 384, 12), "dinov2_vitb14": ("ViT-B/14", 768, 12)}
ITEMS, QUERIES, WIDTH, TOP = 86_524, 25_596, 384, 200  # NIH ChestX-ray14: train + val, test; ViT-S features
LABELS = 15
FEW = 16  # queries of the short search that tells what is done once


class Failure(Exception):
    """A side that failed, or sides that disagree."""


class Side:
    """A process that answers commands."""

    def __init__(self, name, command, threads):
        environment = dict(os.environ)
        # A kernel or cache size forced on OpenBLAS from outside would slow numpy down.
        for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            environment.pop(variable, None)
        for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(threads)
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ask(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.name} ended at '{words[0]}' with exit status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{self.name}, {words[0]}: {answer['error']}")
        return answer

    def close(self):
        try:
            self.process.communicate("quit\n", timeout=20)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()


def tell(result):
    """Progress, on stderr."""
    print(f"   {result['case']}: ratio {result['ratio']:.2f},"
          f" {result['rounds_undisturbed']} of {result['rounds']} rounds undisturbed,"
          f" outputs {result['difference']:.1e} apart", file=sys.stderr, flush=True)


class Watch:
    """What share of the processors everything but our own processes took since the last call; None if not known."""

    def __init__(self, sides):
        self.processes = [os.getpid()] + [side.process.pid for side in sides]
        self.before = self.now()

    def now(self):
        try:
            first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
            own = 0
            for process in self.processes:
                # After the name in parentheses; fields 14 and 15 of proc(5): user and system time.
                fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                own += int(fields[11]) + int(fields[12])
        except (OSError, IndexError, ValueError):
            return None
        times = [int(t) for t in first]
        return sum(times), sum(times) - times[3] - times[4], own  # all, all but idle and waiting for disks, ours

    def others(self):
        before, self.before = self.before, self.now()
        if before is None or self.before is None:
            return None
        total, busy, own = (b - a for a, b in zip(before, self.before))
        return max(0.0, busy - own) / total if total else None


def quiet(others):
    return others is None or others <= 0.05


def rounds_of(count, ours, theirs, sides, options):
    """Times of `count` undisturbed rounds, or of all that were tried; each function answers one time."""
    clean, disturbed = [], []
    end = time.monotonic() + options.patience
    while len(clean) < count and (len(clean) + len(disturbed) < count or time.monotonic() < end):
        watch = Watch(sides)
        time.sleep(0.3)
        while not quiet(watch.others()) and time.monotonic() < end:
            time.sleep(0.5)
        if len(clean) % 2:
            b = theirs()
            a = ours()
        else:
            a = ours()
            b = theirs()
        (clean if quiet(watch.others()) else disturbed).append((a, b))
    enough = len(clean) >= min(3, count)
    times = clean if enough else clean + disturbed
    ratios = sorted(a / b for a, b in times)
    return {"ours": statistics.median(a for a, _ in times), "theirs": statistics.median(b for _, b in times),
            "ratio": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1],
            "rounds_undisturbed": len(clean), "rounds": len(clean) + len(disturbed), "quotable": enough}


def difference(ours, theirs):
    return float(np.abs(ours.astype(np.float64) - theirs).max() / np.abs(theirs).max())


def forward_gflop(dim, depth, side):
    """Products of an image: patch embedding, the blocks' linear layers, attention."""
    patches = (side // 14) ** 2
    tokens = 1 + patches
    return (2 * patches * 588 * dim + depth * (24 * tokens * dim**2 + 4 * tokens**2 * dim)) * 1e-9


def compare_features(ours, theirs, folder, options, peak):
    results = []
    rng = np.random.default_rng(0)
    for preset, (name, dim, depth) in SHAPES.items():
        weights = folder / f"{preset}.safetensors"
        ours.ask("weights", preset, 0, weights)
        ours.ask("load", preset, weights)
        theirs.ask("load", preset, weights)
        for batch in (1, 8):
            case = f"{name}, 224, batch {batch}"
            pixels = folder / "pixels.safetensors"
            save_file({"pixels": rng.standard_normal((batch, 3, 224, 224), dtype=np.float32)}, pixels)
            outputs = []
            for side in (ours, theirs):
                side.ask("pixels", pixels)
                out = folder / "features.safetensors"
                side.ask("features", out)
                outputs.append(load_file(out))
            apart = max(difference(outputs[0][key], outputs[1][key]) for key in ("cls", "patches"))
            once = min(theirs.ask("forward", 3)["seconds"])
            repeat = max(1, round((0.15 if options.quick else 0.6) / once))

            def forward(side):
                side.ask("forward", 1)  # wakes threads and caches after the other side's turn
                return statistics.median(side.ask("forward", repeat)["seconds"])

            rounds = rounds_of(options.rounds, lambda: forward(ours), lambda: forward(theirs), (ours, theirs),
                              options)
            result = {"case": case, "peer": "PyTorch eager", "unit": "ms an image", "goal": 1.3, "difference": apart,
                      "tolerance": 1e-4, **rounds}
            for side in ("ours", "theirs"):
                result[side] *= 1e3 / batch
            result["percent_of_peak"] = 100 * forward_gflop(dim, depth, 224) / (result["ours"] * 1e-3) / peak
            tell(result)
            results.append(result)
        weights.unlink()
    return results


def compare_knn(ours, theirs, folder, options, peak):
    slice_ = 128 if options.quick else QUERIES // 10
    rng = np.random.default_rng(1)
    # Features have clusters; so have these.
    centres = rng.standard_normal((64, WIDTH), dtype=np.float32)
    tensors = {}
    for name, rows in (("train", ITEMS), ("queries", slice_)):
        tensors[name] = centres[rng.integers(0, 64, rows)] + 1.5 * rng.standard_normal((rows, WIDTH), dtype=np.float32)
    file = folder / "matrices.safetensors"
    save_file(tensors, file)
    found = []
    for side in (ours, theirs):
        side.ask("matrices", file)
        out = folder / "neighbours.safetensors"
        side.ask("neighbours", TOP, 64, out)
        found.append(load_file(out))
    apart = float(np.abs(found[0]["cosine"] - found[1]["cosine"]).max())
    same = [len(np.intersect1d(a, b)) / TOP for a, b in zip(found[0]["index"], found[1]["index"])]

    def search(side):
        few = side.ask("knn", TOP, FEW)["seconds"][0]
        many = side.ask("knn", TOP, slice_)["seconds"][0]
        return few + (many - few) / (slice_ - FEW) * (QUERIES - FEW)

    rounds = rounds_of(3 if options.quick else options.slow_rounds, lambda: search(ours), lambda: search(theirs),
                      (ours, theirs), options)
    result = {"case": f"kNN, {QUERIES:,} x {ITEMS:,} x {WIDTH}, top {TOP}", "peer": "numpy", "unit": "s", "goal": 1.5,
              "difference": apart, "tolerance": 1e-5, "same_neighbours": min(same), "timed_queries": slice_,
              **rounds}
    result["percent_of_peak"] = 100 * 2e-9 * QUERIES * ITEMS * WIDTH / result["ours"] / peak
    tell(result)
    if min(same) < 0.99:
        raise Failure(f"kNN: only {min(same):.1%} of the neighbours of a query agree")
    return [result]


def compare_auroc(ours, theirs, folder, options):
    samples = 50 if options.quick else 1000
    rng = np.random.default_rng(2)
    targets = (rng.random((QUERIES, LABELS)) < 0.1).astype(np.uint8)
    scores = ((rng.random((QUERIES, LABELS)) + 0.4 * targets) / 1.4).astype(np.float32).astype(np.float64)
    file = folder / "predictions.safetensors"
    save_file({"targets": targets, "scores": scores}, file)
    answers = []
    for side in (ours, theirs):
        side.ask("predictions", file)
        answers.append(side.ask("auroc", samples))
    apart = float(np.abs(np.subtract(answers[0]["auroc"], answers[1]["auroc"])).max())
    # Other random draws: the ends of an interval agree to a small part of its width.
    ends = max(float(np.abs(np.subtract(answers[0][end], answers[1][end])).max()) for end in ("low", "high"))
    if ends > 0.005:
        raise Failure(f"AUROC: intervals differ by {ends:.4f}")
    rounds = rounds_of(3 if options.quick else options.slow_rounds, lambda: ours.ask("auroc", samples)["seconds"][0],
                      lambda: theirs.ask("auroc", samples)["seconds"][0], (ours, theirs), options)
    result = {"case": f"AUROC, {QUERIES:,} x {LABELS}, {samples:,} bootstraps", "peer": "numpy, presorted", "unit": "s",
              "goal": None, "difference": apart, "tolerance": 1e-10, **rounds}
    tell(result)
    return [result]


def processor():
    name, flags = platform.processor() or platform.machine(), set()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() == "flags":
                flags = set(value.split())
                break
    except OSError:
        pass
    return {"name": name, "count": os.cpu_count(),
            "vectors": [f for f in ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16") if f in flags]}


def number(value):
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(report):
    about = report["sides"]
    sides = "; ".join(f"{side['name']} {side['version']} ({side['instruction_set']}, {side['threads']} threads)"
                      for side in about.values())
    lines = [f"Printed by `{report['command']}` on {report['date']}.", "",
             f"Processor: {report['processor']['name']}, {report['processor']['count']} cores"
             f" ({', '.join(report['processor']['vectors']) or 'no vector extensions known'});"
             f" float32 peak of {report['threads']} threads {report['peak_gflops']:.0f} GFLOP/s.",
             f"Sides: {sides}.",
             f"Load average (1 min) before: {report['load_before'][0]:.1f}, after, with our own work:"
             f" {report['load_after'][0]:.1f}.", "",
             "| work | vitals | peer | | unit | ratio (range, rounds) | goal | outputs differ by |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in report["results"]:
        ours = number(r["ours"]) + (f" ({r['percent_of_peak']:.0f} % of peak)" if "percent_of_peak" in r else "")
        if r["goal"] is None:
            goal = ""
        elif not r["quotable"]:
            goal = f"<= {r['goal']}"
        else:
            goal = f"<= {r['goal']} {'met' if r['ratio'] <= r['goal'] else 'MISSED'}"
        ratio = (f"{r['ratio']:.2f}{'' if r['quotable'] else '*'} ({r['ratio_min']:.2f} to {r['ratio_max']:.2f},"
                 f" {r['rounds_undisturbed']} of {r['rounds']})")
        lines.append(f"| {r['case']} | {ours} | {r['peer']} | {number(r['theirs'])} | {r['unit']} | {ratio} | {goal} |"
                     f" {r['difference']:.1e} |")
    memory = ", ".join(f"{side['name']} {side['peak_memory_mib']:.0f} MiB" for side in about.values())
    if not all(r["quotable"] for r in report["results"]):
        lines += ["", "\\* Other programs took processors in nearly every round; all rounds are in the figure, which is"
                  " not to be quoted."]
    lines += ["", "Ratio: our time over theirs, median of the rounds in which nothing else ran (so many of so many);"
              " below 1 vitals is faster."
              f" Peak memory of each process over all its work: {memory}."]
    return "\n".join(lines) + "\n"


def write(path, text):
    beside = path.with_suffix(path.suffix + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", required=True, help="compare_worker")
    parser.add_argument("--out", required=True, type=Path, help="folder for results.md and results.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--patience", type=float, help="seconds to wait for undisturbed rounds, each case")
    parser.add_argument("--peers", default="torch,numpy")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--command", default="bench/compare/run.sh")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 15)
    if options.patience is None:
        options.patience = 0 if options.quick else 180
    options.slow_rounds = max(3, min(5, options.rounds))
    peers = [p for p in options.peers.split(",") if p]
    if not peers or set(peers) - {"torch", "numpy"}:
        parser.error("--peers: torch, numpy or both, joined by a comma")
    script = Path(__file__).with_name("peers.py")
    report = {"command": options.command, "date": time.strftime("%Y-%m-%d"), "threads": options.threads,
              "quick": options.quick, "processor": processor(), "load_before": os.getloadavg(), "results": []}
    sides = {}
    try:
        sides["vitals"] = Side("vitals", [options.worker, str(options.threads)], options.threads)
        for peer in peers:
            sides[peer] = Side(peer, [sys.executable, str(script), peer, str(options.threads)], options.threads)
        peak = report["peak_gflops"] = sides["vitals"].ask("about")["peak_gflops"]
        with tempfile.TemporaryDirectory(prefix="vitals-compare-") as name:
            folder = Path(name)
            if "torch" in peers:
                report["results"] += compare_features(sides["vitals"], sides["torch"], folder, options, peak)
            if "numpy" in peers:
                report["results"] += compare_knn(sides["vitals"], sides["numpy"], folder, options, peak)
                report["results"] += compare_auroc(sides["vitals"], sides["numpy"], folder, options)
        report["sides"] = {key: {"name": "vitals", **side.ask("about")} for key, side in sides.items()}
    except Failure as failure:
        print(f"compare.py: error: {failure}", file=sys.stderr)
        return 1
    finally:
        for side in sides.values():
            side.close()
    report["load_after"] = os.getloadavg()
    options.out.mkdir(parents=True, exist_ok=True)
    text = table(report)
    write(options.out / "results.json", json.dumps(report, indent=1) + "\n")
    write(options.out / "results.md", text)
    print(text, end="")
    wrong = [r["case"] for r in report["results"] if not r["difference"] <= r["tolerance"]]
    if wrong:
        print(f"compare.py: error: outputs disagree: {'; '.join(wrong)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
