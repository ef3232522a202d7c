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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.png"

IMPORT = """
import os, time
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
before, start, busy = memory(), time.perf_counter(), time.process_time()
import expllm
took, busy = time.perf_counter() - start, time.process_time() - busy
print(f"{1000 * took:.0f} ms ({1000 * busy:.0f} of the processor), {memory() - before:.1f} MB")
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


def rate(command: list[str], count: int, threads: int) -> str:
    """Photos per second, and how long the processor was busy with one."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{count / seconds:.1f} photos/s, {1000 * busy / count:.0f} ms of the processor each"


def main() -> None:
    """Prints one figure per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=shutil.which("expllm"))
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--flat", type=int, default=10000)
    options = parser.parse_args()
    for at in range(3):
        print("import", at + 1, run(IMPORT))
    print("reading", run(FIRST, PHOTO))
    with tempfile.TemporaryDirectory() as root:
        photos = folder(Path(root), options.photos)
        for threads in (1, 2):
            package = [sys.executable, "-c", MANY, str(photos), str(threads)]
            print(f"package, {threads} threads: {rate(package, options.photos, threads)}")
            if options.program:
                out = str(Path(root) / f"{threads}.csv")
                program = [options.program, "au", str(photos), "--out", out]
                print(f"program, {threads} threads: {rate(program, options.photos, threads)}")
    if options.flat:
        print("memory", run(FLAT, PHOTO, options.flat))


if __name__ == "__main__":
    main()
