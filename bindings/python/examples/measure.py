"""Figures of the package: import, first reading, throughput beside the program, memory.

    python examples/measure.py --program ../../target/release/expllm --photos 1000 --flat 10000

The photos are links to the one of the project, which has one face. Every figure is of a
process of its own, so that none sees what another has loaded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.png"

IMPORT = """
import resource, sys, time
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
import expllm
took = time.perf_counter() - start
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(f"{1000 * took:.0f} ms, {grown / 1024:.1f} MB")
"""

FIRST = """
import sys, time
start = time.perf_counter()
import expllm
reader = expllm.Reader(threads=1)
loaded = time.perf_counter()
reader.read(sys.argv[1])
first = time.perf_counter()
reader.read(sys.argv[1])
print(f"load {1000 * (loaded - start):.0f} ms, first {1000 * (first - loaded):.0f} ms, "
      f"second {1000 * (time.perf_counter() - first):.0f} ms")
"""

MANY = """
import sys, time
import expllm
start = time.perf_counter()
found = len(expllm.Reader(threads=int(sys.argv[2])).read(sys.argv[1]))
print(found, time.perf_counter() - start)
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


def rate(count: int, seconds: float) -> str:
    """Photos per second."""
    return f"{count / seconds:.1f} photos/s"


def program(path: str, photos: Path, threads: int, out: Path) -> float:
    """Seconds that the program takes."""
    start = time.perf_counter()
    threads_of = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [path, "au", str(photos), "--out", str(out / f"{threads}.csv")]
    subprocess.run(command, check=True, env=threads_of, capture_output=True)
    return time.perf_counter() - start


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
            found, seconds = run(MANY, photos, threads).split()
            print(f"package, {threads} threads: {rate(options.photos, float(seconds))}, {found} faces")
            if options.program:
                took = program(options.program, photos, threads, Path(root))
                print(f"program, {threads} threads: {rate(options.photos, took)}")
    if options.flat:
        print("memory", run(FLAT, PHOTO, options.flat))


if __name__ == "__main__":
    main()
