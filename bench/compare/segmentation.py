"""Times a training step of the segmentation decoders (tokens given) against eager PyTorch, and compares peak memory.

    segmentation.py --worker build-bench/bench/segmentation_worker [--python PYTHON] [--cells linear,unet] [--dim 384]
                    [--precisions float32,bfloat16] [--rounds 7] [--patience 60] [--threads 2] [--cpu-time] [--out FILE.json]

Both sides start from the same values and see the same batch of 8 images of 224 x 224 in 3 classes. Their first losses must agree. They
take turns, who goes first changes, and rounds in which other programs ran do not count. PyTorch is timed in both layouts
(contiguous and channels last); the better one counts. Prints one table.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sides import Failure, Side, against_best, take_turns

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cells", default="linear,unet")
    parser.add_argument("--precisions", default="float32,bfloat16")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--loss", default="combined")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patience", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true",
                        help="seconds of the processor, one thread: for a machine on which other programs run")
    parser.add_argument("--out")
    args = parser.parse_args()
    if args.cpu_time:
        args.threads, args.patience = 1, 0
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for cell in args.cells.split(","):
            start, tokens = Path(folder) / "start.safetensors", Path(folder) / "tokens.safetensors"
            peer = [args.python, HERE / "peer_decoder.py", str(args.threads)]
            subprocess.run([*peer, "init", start, cell, str(args.dim), "3", "224"], check=True, env=environment)
            subprocess.run([*peer, "tokens", tokens, str(args.batch), "256", str(args.dim),
                            "5" if cell == "unet" else "1", "3", "224"], check=True, env=environment)
            for precision in args.precisions.split(","):
                rows.append(row(args, cell, precision, start, tokens, peer))
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("| decoder | precision | vitals, ms a step | PyTorch contiguous | channels last | vitals / better | predict "
          "vitals / better | peak MiB vitals / PyTorch |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        times = {name: 1e3 * value for name, value in r["step"]["median"].items()}
        memory = r["memory"]
        least = min(memory["contiguous"], memory["channels last"])
        print(f"| {r['decoder']} | {r['precision']} | {times['vitals']:.1f} | {times['contiguous']:.1f} | "
              f"{times['channels last']:.1f} | {r['step']['ratio']:.2f} ({r['step']['ratio_min']:.2f}-"
              f"{r['step']['ratio_max']:.2f}){'' if r['step']['quotable'] or args.cpu_time else ' disturbed'} | "
              f"{r['predict']['ratio']:.2f} | {memory['vitals']:.0f} / {least:.0f} = {memory['vitals'] / least:.2f} |")


def row(args, cell, precision, start, tokens, peer):
    clock = ["--cpu-time"] if args.cpu_time else []
    with Side("vitals", [args.worker, *clock], args.threads) as ours, \
            Side("contiguous", [*peer, *clock], args.threads) as plain, \
            Side("channels last", [*peer, *clock], args.threads) as last:
        sides = [ours, plain, last]
        for side in sides:
            parameters = side.ask("decoder", precision, start, args.batch, args.threads)["parameters"]
            side.ask("tokens", tokens)
        plain.ask("layout", "contiguous")
        last.ask("layout", "channels_last")
        first = {side.name: side.ask("step", 3, args.loss, 0.01)["losses"] for side in sides}
        limit = 1e-3 if precision == "float32" else 3e-2
        for losses in first.values():
            if any(abs(a - b) > limit for a, b in zip(losses, first["vitals"])):
                raise Failure(f"{cell} {precision}: first losses differ: {first}")

        def timed(command, *words):
            return take_turns(args.rounds, {side: lambda s: statistics.median(s.ask(command, 3, *words)["seconds"])
                                            for side in sides}, args.patience)

        result = {"decoder": cell, "precision": precision, "parameters": parameters, "losses": first,
                  "step": against_best(timed("step", args.loss, 0.01))}
        result["memory"] = {side.name: side.ask("memory")["peak_memory_mib"] for side in sides}
        result["predict"] = against_best(timed("predict"))
        return result


if __name__ == "__main__":
    main()
