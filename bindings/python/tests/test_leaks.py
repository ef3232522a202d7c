"""No call keeps an object, or a reference to one that lives on.

A release build of Python counts its blocks of memory, and each object that lives on counts its
references. With a debug build of Python and a package built for it, ``EXPLLM_COUNT=all`` holds the
count of all references instead (``.ci/python`` does so where there is one); what numpy counts is
left out there, since its wheels do not tell a debug build.
"""

import gc
import os
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

import expllm
from expllm import _native, cot, metrics

CALLS = 20
TURNS = 30
COUNTS_ALL = os.environ.get("EXPLLM_COUNT") == "all"

LIVES_ON = [None, True, False, 0, 1, "", (), b"", ValueError, str, bytes, tuple, list, dict,
            _native.Face, _native.Video, _native.Stages, expllm.Face, expllm.Photo, expllm.Frame]


@pytest.fixture(scope="module")
def calls(reader, photo, tmp_path_factory):
    """What is called, by name; those that use numpy begin with it."""
    root = tmp_path_factory.mktemp("leaks")
    image = Image.open(photo).convert("RGB")
    pixels, small = np.asarray(image), image.crop((100, 0, 340, 240))
    small.save(root / "clip.gif", save_all=True, append_images=[small.rotate(5)], duration=40)
    plain = reader.read(photo)
    face, units = plain[0], plain[0].units
    chain = expllm.Composer().compose(units, "happiness")

    def fails(call, error):
        try:
            call()
        except error:
            return
        raise AssertionError("nothing was raised")

    def read_open():
        with photo.open("rb") as file:
            reader.read(file)

    def build(writer):
        records = [{"file_name": "a.png", "emo": "happiness", "au": dict(units)}]
        try:
            cot.build(records, writer=writer, out=root / "out.jsonl")
        finally:
            for file in root.glob("out.jsonl*"):
                file.unlink()

    def raising(request):
        raise LookupError("no")

    return {
        "a path": lambda: reader.read(photo),
        "a file": read_open,
        "numpy: an array": lambda: reader.read([pixels]),
        "numpy: a wrong array": lambda: fails(lambda: reader.read(pixels[:, :, :2]), ValueError),
        "bytes that are no photo": lambda: fails(lambda: reader.read(b"none"), ValueError),
        "what is no photo": lambda: fails(lambda: reader.read(3), TypeError),
        "parts": lambda: (face.box, face.units, face.probabilities, face.head_pose, face.score),
        "numpy: parts": lambda: (face.landmarks, face.points, face.crop),
        "html": plain._repr_html_,
        "dictionaries": plain.to_dicts,
        "numpy: pandas": plain.to_pandas,
        "numpy: pandas for others": lambda: plain.to_pandas("openface"),
        "numpy: arrow": plain.to_arrow,
        "pickle": lambda: pickle.loads(pickle.dumps(plain)),
        "explain": lambda: face.explain(seed=3),
        "explain an unknown label": lambda: fails(lambda: face.explain(label="joy!"), ValueError),
        "compose": lambda: expllm.Composer().compose(units, "fear"),
        "check": lambda: expllm.check_chain(chain, "fear", units),
        "numpy: metrics": lambda: metrics.icc([1, 2, 3], [1, 2, 4]),
        "numpy: wrong metrics": lambda: fails(lambda: metrics.icc([1], [1, 2]), ValueError),
        "numpy: labels": lambda: metrics.kappa(["a", "b"], ["a", None]),
        "a writer": lambda: build(lambda request: str(chain)),
        "a writer that raises": lambda: fails(lambda: build(raising), LookupError),
        "a video": lambda: list(reader.video(root / "clip.gif")),
        "a video that is left": lambda: next(reader.video(root / "clip.gif")),
        "no video": lambda: fails(lambda: reader.video(root), ValueError),
        "a reader": lambda: expllm.Reader(threads=1),
    }


def counts():
    """How many there are of what must not grow."""
    gc.collect()
    if COUNTS_ALL:
        return np.array([sys.gettotalrefcount()])
    return np.array([sys.getallocatedblocks(), *map(sys.getrefcount, LIVES_ON)])


def growth(call):
    """How many more of each there are after some calls."""
    before = counts()
    for _ in range(CALLS):
        call()
    return counts() - before


def keeps(call):
    """Whether a call keeps something every time; caches of the interpreter fill up, some after
    hundreds of calls."""
    return all(growth(call).max() >= CALLS for _ in range(TURNS))


def test_no_call_keeps_anything(calls):
    counted = {n: c for n, c in calls.items() if not (COUNTS_ALL and n.startswith("numpy"))}
    assert [name for name, call in counted.items() if keeps(call)] == []
    held = []
    assert keeps(lambda: held.append([None]))
