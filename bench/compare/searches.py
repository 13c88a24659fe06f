"""Nearest neighbours and bootstrapped AUROC at the size of NIH's ChestX-ray14, vitals beside its peers."""
import numpy as np
from safetensors.numpy import load_file, save_file

from cells import SEARCHERS
from sides import Failure, against_best, take_turns

ITEMS, QUERIES, WIDTH, TOP = 86_524, 25_596, 384, 200  # train + val, test; ViT-S features
LABELS = 15
FEW = 16  # queries of the short search that tells what is done once


def compare_knn(ours, theirs, folder, options):
    """theirs: {name of SEARCHERS: side}."""
    slice_ = 128 if options.quick else QUERIES // 10
    rng = np.random.default_rng(1)
    # Features have clusters; so have these.
    centres = rng.standard_normal((64, WIDTH), dtype=np.float32)
    tensors = {}
    for name, rows in (("train", ITEMS), ("queries", slice_)):
        tensors[name] = centres[rng.integers(0, 64, rows)] + 1.5 * rng.standard_normal((rows, WIDTH), dtype=np.float32)
    file, out = folder / "matrices.safetensors", folder / "neighbours.safetensors"
    save_file(tensors, file)
    found = {}
    for name, side in {"vitals": ours, **theirs}.items():
        side.ask("matrices", file)
        side.ask("neighbours", TOP, 64, out)
        found[name] = load_file(out)
    reference = found["vitals"]
    same, apart = {}, {}
    for name in theirs:
        pairs = zip(reference["index"], found[name]["index"])
        same[name] = min(len(np.intersect1d(a, b)) / TOP for a, b in pairs)
        apart[name] = float(np.abs(reference["cosine"] - found[name]["cosine"]).max())
        if name != "torch-bfloat16" and (same[name] < 0.99 or apart[name] > 1e-5):
            raise Failure(f"kNN: vitals and {SEARCHERS[name]} agree on {same[name]:.1%} of a query's neighbours,"
                          f" similarities {apart[name]:.1e} apart")

    def search(side):
        few = side.ask("knn", TOP, FEW)["seconds"][0]
        many = side.ask("knn", TOP, slice_)["seconds"][0]
        return few + (many - few) / (slice_ - FEW) * (QUERIES - FEW)

    result = {"case": f"kNN, {QUERIES:,} x {ITEMS:,} x {WIDTH}, top {TOP}", "unit": "s", "differences": apart,
              "same_neighbours": same, "timed_queries": slice_}
    result |= take_turns(options.slow_rounds, {side: search for side in (ours, *theirs.values())}, options.patience)
    names = {side.name: name for name, side in theirs.items()}
    result["times"] = {names.get(name, name): times for name, times in result["times"].items()}
    against_best(result, but=("torch-bfloat16",))  # exact search against exact search
    return result


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
    if apart > 1e-10 or ends > 0.005:
        raise Failure(f"AUROC: values differ by {apart:.1e}, intervals by {ends:.4f}")
    result = {"case": f"AUROC, {QUERIES:,} x {LABELS}, {samples:,} bootstraps", "unit": "s",
              "differences": {"numpy": apart}}
    result |= take_turns(options.slow_rounds, {side: lambda side: side.ask("auroc", samples)["seconds"][0]
                                               for side in (ours, theirs)}, options.patience)
    return against_best(result)
