"""Training steps on one batch of 8: do the losses agree, how long is a step, how much memory."""
import statistics

import numpy as np
from safetensors.numpy import save_file

from cells import TRAIN_GOALS, TRAIN_LIMITS
from sides import Failure, against_best, take_turns

CLASSES = 3
STEPS = 3  # whose losses are compared


def start(models, cell):
    """The first values of the head and of the low-rank terms' A, which every side takes."""
    file = models.cache / f"start-{cell.preset}.safetensors"
    if not file.exists():
        rng, bound = np.random.default_rng(11), cell.dim**-0.5
        values = {"head.weight": 0.01 * rng.standard_normal((CLASSES, cell.dim)), "head.bias": np.zeros(CLASSES)}
        for block in range(cell.depth):
            for part in "qv":
                values[f"blocks.{block}.attn.qkv.lora_A.{part}"] = rng.uniform(-bound, bound, (8, cell.dim))
        save_file({name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}, file)
    return file


def open_side(models, cell, method, precision, name):
    side = models.start(name if name == "vitals" else f"train-{name}")
    try:
        side.trainable = side.ask("train", method, cell.preset, precision, models.weights(cell), cell.side,
                                  start(models, cell))["trainable"]
        side.ask("pixels", models.pixels(cell))
    except Failure:
        side.close()
        raise
    side.name = name
    return side


def compare_training(models, cell, method, precision, names, options):
    """The result of one row. A peer that fails is named in it and left out; vitals has to work."""
    result = {"case": f"{cell.model}, {method}", "cell": cell.key, "method": method, "precision": precision,
              "goal": TRAIN_GOALS[precision].get(method), "failed": {}, "losses": {}, "trainable": {}, "disagree": [],
              "memory_mib": {}}
    about = {}
    if "training" in options.parts:
        about = take_steps(models, cell, method, precision, names, options, result)
    if "training-memory" in options.parts and not options.prepare:
        for name in [name for name in names if name not in result["failed"]]:
            with open_side(models, cell, method, precision, name) as side:
                side.ask("steps", STEPS)
                result["memory_mib"][name] = side.ask("memory")["peak_memory_mib"]
    return result, about


def take_steps(models, cell, method, precision, names, options, result):
    """Losses and times go to the result; gives what the peers say of themselves."""
    sides, once = {}, {}
    try:
        for name in names:
            try:
                side = sides[name] = open_side(models, cell, method, precision, name)
                answer = side.ask("steps", STEPS)
                result["losses"][name], once[side] = answer["losses"], min(answer["seconds"])
                result["trainable"][name] = side.trainable
            except Failure as failure:
                if name == "vitals":
                    raise
                result["failed"][name] = str(failure)
                if name in sides:
                    sides.pop(name).close()
        first, later = TRAIN_LIMITS[precision]
        for name, losses in result["losses"].items():
            ours = result["losses"]["vitals"]
            if abs(losses[0] - ours[0]) > first * ours[0] or abs(losses[-1] - ours[-1]) > later * ours[0]:
                result["disagree"].append(name)
        if options.prepare:
            return {}

        def steps(side):
            count = max(1, round((0.15 if options.quick else 0.6) / once[side]))
            return statistics.median(side.ask("steps", count)["seconds"])

        result |= take_turns(options.rounds, {side: steps for side in sides.values()}, options.patience)
        against_best(result)
        return {f"train-{name}": side.ask("about") for name, side in sides.items() if name != "vitals"}
    finally:
        for side in sides.values():
            side.close()
