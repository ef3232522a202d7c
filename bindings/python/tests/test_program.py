"""The package reads what the program reads."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PHOTOS = Path(os.environ.get("EXPLLM_SHARED", ROOT.parent / "shared")) / "photos"


def program() -> Path:
    """The program: ``EXPLLM_PROGRAM``, or what was built in this clone."""
    found = Path(os.environ.get("EXPLLM_PROGRAM", ROOT / "target" / "release" / "expllm"))
    if not found.is_file():
        pytest.skip(f"no program at {found}; build it, or say where it is in EXPLLM_PROGRAM")
    return found


def close(left, right, place=""):
    """Equal in every part, numbers to 1e-6 of their size (pixels are large)."""
    if isinstance(left, dict):
        assert left.keys() == right.keys(), place
        for key, value in left.items():
            close(value, right[key], f"{place}/{key}")
    elif isinstance(left, list):
        assert len(left) == len(right), place
        for at, value in enumerate(left):
            close(value, right[at], f"{place}/{at}")
    elif isinstance(left, float):
        assert left == pytest.approx(right, abs=1e-6, rel=1e-6), place
    else:
        assert left == right, place


def test_the_same_values_as_the_program(reader, photo):
    photos = [photo, *sorted(PHOTOS.glob("*.*"))]
    said = subprocess.run(
        [program(), "au", "--format", "json", *photos], capture_output=True, check=True
    )
    wanted = json.loads(said.stdout)
    close(reader.read(photos).to_dicts(), wanted)
    assert any(row["face"] is not None for row in wanted)
