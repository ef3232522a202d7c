"""Figures of the package: import, first reading, throughput beside the program, memory.

    python examples/measure.py --program ../../target/release/expllm --photos 1000 --flat 10000

The photos are links to the one of the project, which has one face. Every figure is of a
process of its own, so that none sees what another has loaded.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.png"

# What is imported, beside numpy in the same environment. The package loads its parts when they
# are first named, so the reader's class counts too.
LINES = ["import expllm", "from expllm import Reader", "import numpy"]

IMPORT = """
import os, time
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
before, start, busy = memory(), time.perf_counter(), time.process_time()
{line}
took, busy = time.perf_counter() - start, time.process_time() - busy
print(f"{{1000 * took:.1f}} ms ({{1000 * busy:.1f}} of the processor), {{memory() - before:.1f}} MB")
"""

FIRST = """
import sys, time
import expllm
times = [(time.perf_counter(), time.process_time())]
def lap(name):
    times.append((time.perf_counter(), time.process_time()))
    wall, busy = (1000 * (b - a) for a, b in zip(times[-2], times[-1]))
    print(f"{name} {wall:.0f} ms ({busy:.0f} of the processor)", end="; ")
reader = expllm.Reader(threads=1)
lap("loading")
reader.read(sys.argv[1])
lap("first photo")
reader.read(sys.argv[1])
lap("second photo")
"""

MANY = """
import sys
import expllm
expllm.Reader(threads=int(sys.argv[2])).read(sys.argv[1])
"""

FLAT = """
import os, sys
import expllm
reader, left = expllm.Reader(threads=2), int(sys.argv[2])
def photos():
    for _ in range(left):
        yield sys.argv[1]
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
for at, photo in enumerate(reader.iter(photos()), 1):
    if at in (100, left // 4, left // 2, left):
        print(f"{memory():.1f} MB after {at}", end="; ", flush=True)
print()
"""


def run(code: str, *arguments: object) -> str:
    """What a program prints in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def folder(root: Path, count: int) -> Path:
    """As many photos, as links."""
    photos = root / "photos"
    photos.mkdir()
    for at in range(count):
        (photos / f"{at:05}.png").symlink_to(PHOTO)
    return photos


def seconds(command: list[str], threads: int) -> tuple[float, float]:
    """How long the clock ran, and the processor."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def throughput(options: argparse.Namespace, photos: Path) -> None:
    """Package and program in turns, by one thread and by two: medians, and the ratios of a round
    with the lowest and the highest."""
    ways: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.rounds):
        for threads in (1, 2):
            commands = {"package": [sys.executable, "-c", MANY, str(photos), str(threads)]}
            if options.program:
                out = str(photos.parent / f"{threads}.csv")
                commands["program"] = [options.program, "au", str(photos), "--out", out]
            for name, command in commands.items():
                clock, busy = seconds(command, threads)
                rate, each = options.photos / clock, 1000 * busy / options.photos
                ways.setdefault((name, threads), []).append(rate)
                print(f"{name}, threads {threads}: {rate:.1f} photos/s, {each:.1f} ms of the "
                      "processor each", flush=True)
    ratio("package, two threads over one", ways["package", 2], ways["package", 1])
    for threads in (1, 2) if options.program else ():
        named = f"package over program, threads {threads}"
        ratio(named, ways["package", threads], ways["program", threads])


def ratio(name: str, left: list[float], right: list[float]) -> None:
    """Prints the median of the ratios of the rounds."""
    each = sorted(a / b for a, b in zip(left, right))
    print(f"{name}: {statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})")


def main() -> None:
    """Prints one figure per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=shutil.which("expllm"))
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flat", type=int, default=10000)
    options = parser.parse_args()
    for at, line in enumerate(LINES * options.rounds):
        print(f"{line} ({at // len(LINES) + 1}): {run(IMPORT.format(line=line))}")
    print("reading", run(FIRST, PHOTO))
    with tempfile.TemporaryDirectory() as root:
        throughput(options, folder(Path(root), options.photos))
    if options.flat:
        print("memory", run(FLAT, PHOTO, options.flat))


if __name__ == "__main__":
    main()
