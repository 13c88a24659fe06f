"""Sides that are asked over a pipe, and rounds in which they take turns.

Threads that wait for each other suffer out of proportion when another program takes a core, and the sides suffer
differently. So a round waits until nothing else runs and is watched: where anything else took more than 5 % of the
processors, it does not count and another one is tried, until `patience` ends.
"""
import json
import os
import statistics
import subprocess
import time
from pathlib import Path


class Failure(Exception):
    """A side that failed, or sides that disagree."""


class Side:
    """A process that answers commands, one a line."""

    def __init__(self, name, command, threads, environment=None):
        environment = {**os.environ, **(environment or {})}
        # A kernel or cache size forced on OpenBLAS from outside would slow numpy down.
        for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            environment.pop(variable, None)
        for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(threads)
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ask(self, *words):
        try:
            self.process.stdin.write("\t".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Watch:
    """What share of the processors everything but our own processes took since the last call; None if not known."""

    def __init__(self, sides):
        self.processes = [os.getpid()] + [side.process.pid for side in sides if side.process]
        self.before = self.now()

    def now(self):
        try:
            first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
            own = 0
            for process in self.processes:
                # After the name in parentheses; fields 14 to 17 of proc(5): user and system time, its own and that of children
                # that have ended.
                fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                own += sum(map(int, fields[11:15]))
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


def take_turns(count, work, patience):
    """Times of `count` undisturbed rounds, or of all that were tried.

    work: {side: function of the side that gives one time}. Who goes first changes from round to round. Returns
    {"times": {name: [one a round]}, ...}.
    """
    sides = list(work)
    clean, disturbed = [], []
    end = time.monotonic() + patience
    while len(clean) < count and (len(clean) + len(disturbed) < count or time.monotonic() < end):
        watch = Watch(sides)
        time.sleep(0.3)
        while not quiet(watch.others()) and time.monotonic() < end:
            time.sleep(0.5)
        first = (len(clean) + len(disturbed)) % len(sides)
        times = {}
        for side in sides[first:] + sides[:first]:
            times[side.name] = work[side](side)
            time.sleep(0.05)  # threads of this side that still wait busily go to sleep
        (clean if quiet(watch.others()) else disturbed).append(times)
    enough = len(clean) >= min(3, count)
    rounds = clean if enough else clean + disturbed
    return {"times": {side.name: [times[side.name] for times in rounds] for side in sides},
            "rounds_undisturbed": len(clean), "rounds": len(clean) + len(disturbed), "quotable": enough}


def against_best(result, ours="vitals", but=()):
    """Adds medians, the fastest peer (none of `but`), and the ratio of our time to its (median over rounds, range)."""
    times = result["times"]
    result["median"] = {name: statistics.median(values) for name, values in times.items()}
    peers = [name for name in times if name != ours and name not in but]
    if peers and ours in times:
        result["best_peer"] = best = min(peers, key=result["median"].get)
        ratios = sorted(a / b for a, b in zip(times[ours], times[best]))
        result |= {"ratio": statistics.median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1]}
    return result
