"""Times vitals against its peers: the same work, the same weights, in rounds that take turns. See run.sh.

Every side is a process that stays alive while it is timed and is asked over a pipe (worker.cpp, peers.py), so nothing
but the work is timed. What counts is the median over the rounds of the ratio within a round (sides.py). results.md and
results.json are written again after every row, so a run that is ended leaves what it had.
"""
import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from cells import CELLS, ENGINES, GOALS, METHODS, PARTS, PEERS, SEARCHERS, TRAINERS
from features import Models, compare_features, compare_threads
from searches import compare_auroc, compare_knn
from sides import Failure, Side
from table import table
from training import compare_training

HERE = Path(__file__).parent


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


def write(path, text):
    beside = path.with_suffix(path.suffix + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def names(parser, option, text, known):
    """A list of the command line, in the order of `known`."""
    wanted = [word for word in text.split(",") if word]
    if not wanted or set(wanted) - set(known):
        parser.error(f"{option}: some of {','.join(known)}, joined by commas")
    return [name for name in known if name in wanted]


def command_line():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", required=True, help="compare_worker")
    parser.add_argument("--out", required=True, type=Path, help="folder for results.md, results.json and the models")
    parser.add_argument("--published", type=Path, help="the published ViT-S weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--patience", type=float, help="seconds to wait for undisturbed rounds, each row")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--precisions")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--methods", default=",".join(METHODS), help="what the part `training` trains")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--prepare", action="store_true", help="only make the models")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--command", default="bench/compare/run.sh")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    if options.patience is None:
        options.patience = 0 if options.quick else 180
    options.slow_rounds = min(5, options.rounds)
    options.cells = names(parser, "--cells", options.cells, CELLS)
    options.peers = names(parser, "--peers", options.peers, PEERS)
    options.methods = names(parser, "--methods", options.methods, METHODS)
    options.parts = names(parser, "--parts", options.parts, PARTS)
    options.asked = options.precisions is not None
    options.precisions = names(parser, "--precisions", options.precisions or ",".join(GOALS), GOALS)
    return options


class Run:
    def __init__(self, options):
        self.options = options
        # Other versions of the peers or of the conversion make other models.
        state = b"".join((HERE / name).read_bytes() for name in ("requirements.txt", "convert.py", "vit.py", "inputs.py"))
        self.cache = options.out / f"models-{hashlib.sha256(state).hexdigest()[:8]}"
        self.cache.mkdir(parents=True, exist_ok=True)
        self.models = Models(self.start, self.cache, options.published, options.threads)
        self.report = {"command": options.command, "date": time.strftime("%Y-%m-%d"), "threads": options.threads,
                       "quick": options.quick, "processor": processor(), "load_before": os.getloadavg(), "sides": {},
                       "peak_gflops": {}, "features": [], "training": [], "scaling": [], "searches": []}
        self.failures = []

    def start(self, name, threads=None):
        threads = threads or self.options.threads
        if name == "vitals":
            return Side(name, [self.options.worker, str(threads)], threads)
        # Inductor's compilers would be processes that nobody asked for.
        environment = {"TORCHINDUCTOR_CACHE_DIR": str(self.cache / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        return Side(name, [sys.executable, str(HERE / "peers.py"), name, str(threads)], threads, environment)

    def keep(self, part, result):
        self.report[part].append(result)
        self.write()
        words = [result["case"], *([result["precision"]] if "precision" in result else [])]
        if "ratio" in result:
            words.append(f"ratio {result['ratio']:.2f} to {result['best_peer']}")
        if "rounds" in result:
            words.append(f"{result['rounds_undisturbed']} of {result['rounds']} rounds undisturbed")
        print("   " + ", ".join(words), file=sys.stderr, flush=True)

    def write(self):
        engines = [name for name in ENGINES if name in self.options.peers]
        text = table(self.report, engines)
        write(self.options.out / "results.json", json.dumps(self.report, indent=1) + "\n")
        write(self.options.out / "results.md", text)
        return text

    def attempt(self, work):
        """A row that fails does not end the others."""
        try:
            return work()
        except Failure as failure:
            self.failures.append(str(failure))
            print(f"compare.py: error: {failure}", file=sys.stderr, flush=True)
            return None

    def all_features(self, precisions):
        for key in self.options.cells:
            for precision in self.options.precisions:
                peers = [e for e in ENGINES if e in self.options.peers and precision in ENGINES[e].formats]
                have = precision in precisions
                if not have and not self.options.asked:
                    continue  # until the library can
                row = self.attempt(lambda: compare_features(self.models, CELLS[key], precision,
                                                            (["vitals"] if have else []) + peers, self.options,
                                                            self.report["peak_gflops"]))
                if row:
                    result, about = row
                    self.report["sides"].update(about)
                    self.failures += [f"{result['case']}, {precision}: {name}: {reason}"
                                      for name, reason in result["failed"].items()]
                    self.failures += [f"{result['case']}, {precision}: the outputs of {name} disagree"
                                      for name in result["disagree"]]
                    self.keep("features", result)

    def all_training(self):
        options = self.options
        names = ["vitals", *(name for name in TRAINERS if name in options.peers)]
        for cell in [CELLS[key] for key in options.cells if CELLS[key].batch > 1]:
            for method in options.methods:
                for precision in [p for p in options.precisions if p != "int8"]:
                    row = self.attempt(lambda: compare_training(self.models, cell, method, precision, names, options))
                    if not row:
                        continue
                    result, about = row
                    self.report["sides"].update(about)
                    where = f"{result['case']}, {precision}"
                    self.failures += [f"{where}: {name}: {reason}" for name, reason in result["failed"].items()]
                    self.failures += [f"{where}: the losses of {name} disagree" for name in result["disagree"]]
                    self.keep("training", result)

    def all_searches(self):
        options = self.options
        with tempfile.TemporaryDirectory(prefix="vitals-compare-") as folder, self.start("vitals") as ours:
            if "knn" in options.parts:
                sides = {}
                try:
                    for name in SEARCHERS:
                        if name.partition("-")[0] in options.peers:
                            sides[name] = self.start(f"search-{name}" if name.startswith("torch") else name)
                            self.report["sides"][sides[name].name] = sides[name].ask("about")
                    if sides:
                        self.keep("searches", compare_knn(ours, sides, Path(folder), options))
                finally:
                    for side in sides.values():
                        side.close()
            if "auroc" in options.parts and "numpy" in options.peers:
                with self.start("numpy") as theirs:
                    self.report["sides"]["numpy"] = theirs.ask("about")
                    self.keep("searches", compare_auroc(ours, theirs, Path(folder), options))

    def all(self):
        with self.start("vitals") as ours:
            about = ours.ask("about")
        self.report["sides"]["vitals"] = {"name": "vitals", **about}
        self.report["peak_gflops"] = about["peak_gflops"]
        if {"features", "memory"} & set(self.options.parts) and set(self.options.peers) & set(ENGINES):
            self.all_features(about["precisions"])
        if {"training", "training-memory"} & set(self.options.parts):
            self.all_training()
        if self.options.prepare:
            return
        if "threads" in self.options.parts and self.options.threads > 1:
            for precision in [p for p in self.options.precisions if p in about["precisions"]]:
                result = self.attempt(lambda: compare_threads(self.models, precision, self.options.threads,
                                                              self.options))
                if result:
                    self.keep("scaling", result)
        if {"knn", "auroc"} & set(self.options.parts):
            self.attempt(self.all_searches)


def main():
    options = command_line()
    run = Run(options)
    begin = time.monotonic()
    run.attempt(run.all)
    if not options.prepare:
        run.report["load_after"] = os.getloadavg()
        run.report["seconds"] = time.monotonic() - begin
        print(run.write(), end="")
    for failure in run.failures:
        print(f"compare.py: error: {failure}", file=sys.stderr)
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
