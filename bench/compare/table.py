"""results.md: what compare.py measured, in Markdown."""
from cells import ENGINES, SEARCHERS, TRAINERS


def number(value):
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(result):
    if "ratio" not in result:
        return "-"
    return (f"**{result['ratio']:.2f}**{'' if result['quotable'] else '*'}"
            f" ({result['ratio_min']:.2f} to {result['ratio_max']:.2f},"
            f" {result['rounds_undisturbed']} of {result['rounds']})")


def goal(result):
    if "ratio" not in result or not result["quotable"]:
        return f"<= {result['goal']:.2f}"
    return f"<= {result['goal']:.2f} {'met' if result['ratio'] <= result['goal'] else 'MISSED'}"


def cls_alone(result):
    if "cls_ms" not in result:
        return "-"
    return number(result["cls_ms"]) + (f" ({result['cls_ratio']:.2f})" if "cls_ratio" in result else "")


def agreement(result):
    def show(value):
        return f"{value:.0e}" if result["precision"] == "float32" else f"{value:.4f}"

    peers = [value for name, value in result["agreement"].items() if name != "vitals"]
    worst = (max if result["precision"] == "float32" else min)(peers) if peers else None
    return " / ".join(show(v) if v is not None else "-" for v in (result["agreement"].get("vitals"), worst))


def memory(result):
    found = result["memory_mib"]
    peers = {name: value for name, value in found.items() if name != "vitals"}
    ours = found.get("vitals")
    if not peers:
        return f"{ours:.0f}" if ours else "-"
    best = min(peers, key=peers.get)
    if ours is None:
        return f"- / {peers[best]:.0f} ({ENGINES[best].label})"
    return f"{ours:.0f} / {peers[best]:.0f} ({ENGINES[best].label}) = {ours / peers[best]:.2f}"


def features(results, engines):
    """One row for each cell and precision; ms an image."""
    lines = ["| model, side, batch | precision | vitals | " + " | ".join(ENGINES[e].label for e in engines)
             + " | vitals / best peer | goal | CLS alone | CLS agrees: vitals / worst peer | peak MiB: vitals / leanest peer |",
             "|" + " --- |" * (8 + len(engines))]
    for r in results:
        def cell(name):
            if name in r["failed"]:
                return "failed"
            if name not in r.get("median", {}):
                return "-"
            mark = "\\*" if name in r["disagree"] else ""
            text = number(r["median"][name]) + mark
            if name == "vitals" and "percent_of_peak" in r:
                text += f" ({r['percent_of_peak']:.0f} %)"
            return f"**{text}**" if name == r.get("best_peer") else text

        lines.append(f"| {r['case']} | {r['precision']} | " + " | ".join(map(cell, ("vitals", *engines)))
                     + f" | {ratio(r)} | {goal(r)} | {cls_alone(r)} | {agreement(r)} | {memory(r)} |")
    return lines


def training(results):
    """Seconds a step and peak memory."""
    peers = [name for name in TRAINERS if any(name in r[what] for r in results for what in ("losses", "failed", "memory_mib"))]
    lines = ["| model, what trains | precision | vitals | " + " | ".join(TRAINERS[p] for p in peers)
             + " | vitals / better peer | goal | first loss, third: vitals / peer | peak MiB: "
             + " / ".join(["vitals", *(TRAINERS[p].rpartition(" ")[2] for p in peers)]) + " |",
             "|" + " --- |" * (7 + len(peers))]
    for r in results:
        def cell(name):
            if name in r["failed"]:
                return "failed"
            return f"{r['median'][name]:.3f}" + ("\\*" if name in r["disagree"] else "") if name in r.get("median", {}) else "-"

        def losses(i):
            return " / ".join(f"{r['losses'][n][i]:.5f}" for n in ("vitals", *peers[:1]) if n in r["losses"]) or "-"

        found = [r["memory_mib"].get(name) for name in ("vitals", *peers)]
        memory = " / ".join(f"{m:.0f}" if m else "-" for m in found)
        others = [m for m in found[1:] if m]
        if found[0] and others:
            memory += f" = {found[0] / min(others):.2f} of the leaner"
        aim = goal(r) if r["goal"] else "-"
        lines.append(f"| {r['case']} | {r['precision']} | " + " | ".join(map(cell, ("vitals", *peers)))
                     + f" | {ratio(r)} | {aim} | {losses(0)}, {losses(-1)} | {memory} |")
    return lines


def threads(results):
    lines = ["| vitals alone | precision | 1 thread | all threads | faster by | percent of the peak |",
             "| --- | --- | --- | --- | --- | --- |"]
    for r in results:
        peak = f"{r['percent_of_peak']:.0f} % of {r['peak_gflops']:.0f} GFLOP/s" if "percent_of_peak" in r else "-"
        lines.append(f"| {r['case']} | {r['precision']} | {number(r['one_ms'])} ms | {number(r['all_ms'])} ms"
                     f" ({r['threads']}) | {r['speedup']:.2f} | {peak} |")
    return lines


def searches(results):
    lines = ["| work | vitals | peers | vitals / best peer |", "| --- | --- | --- | --- |"]
    for r in results:
        ours = number(r["median"]["vitals"]) + f" {r['unit']}"
        shares = r.get("same_neighbours", {})
        peers = "; ".join(f"{SEARCHERS[name]} {number(value)}"
                          + (f" (not exact: {shares[name]:.1%})" if shares.get(name, 1) < 0.99 else "")
                          for name, value in r["median"].items() if name != "vitals")
        lines.append(f"| {r['case']} | {ours} | {peers} | {ratio(r)} |")
    return lines


def table(report, engines):
    sides = "; ".join(f"{side['name']} {side['version']} ({side['instruction_set']})"
                      for side in {side["name"]: side for side in report["sides"].values()}.values())
    peaks = ", ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in report["peak_gflops"].items())
    lines = [f"Printed by `{report['command']}` on {report['date']}.", "",
             f"Processor: {report['processor']['name']}, {report['processor']['count']} cores"
             f" ({', '.join(report['processor']['vectors']) or 'no vector extensions known'}); {report['threads']}"
             f" threads each; measured peak {peaks}.", f"Sides: {sides}.",
             f"Load average (1 min) before: {report['load_before'][0]:.1f}."]
    if report["features"]:
        lines += ["", *features(report["features"], engines), "",
                  "ms an image; in brackets the percent of the measured peak of that precision. CLS agrees with"
                  " PyTorch's float32: largest difference (float32), smallest cosine (bfloat16, int8). CLS alone: vitals asked"
                  " for the CLS token only, which saves most of the last block; the peers' graphs compute every token"
                  " (in brackets our time over the best peer's)."]
    if report["training"]:
        lines += ["", *training([r for r in report["training"] if "median" in r or r["memory_mib"]]), "",
                  "Seconds a step: forward, backward and AdamW (PyTorch's is fused) on one batch of 8 at 224, CLS into a linear"
                  " head; the same weights, pictures and first values. PyTorch: bfloat16 is autocast; LoRA by PEFT on separate"
                  " query and value layers. Memory: VmHWM of a process of its own that makes three steps."]
    if report["scaling"]:
        lines += ["", *threads(report["scaling"])]
    if report["searches"]:
        lines += ["", *searches(report["searches"])]
    lines += ["", "Ratio: our time over the fastest peer's, median of the rounds in which nothing else ran (range; so many"
              " of so many); below 1 vitals is faster."]
    every = report["features"] + report["training"] + report["searches"]
    if not all(r.get("quotable", True) for r in every):
        lines += ["", "\\* beside a ratio: other programs took processors in nearly every round; all rounds are in the"
                  " figure, which is not to be quoted."]
    if any(r["disagree"] for r in report["training"]):
        lines += ["", "\\* beside a step's time: its losses are further from ours than they may be."]
    if any(r["disagree"] for r in report["features"]):
        lines += ["", "\\* beside a time: its outputs are further from PyTorch's float32 than they may be."]
    for r in report["features"] + report["training"]:
        lines += [f"\nFailed: {r['case']}, {r['precision']}: {reason}" for reason in r["failed"].values()]
    return "\n".join(lines) + "\n"
