"""A photo of the project, and one reader for all tests."""

from pathlib import Path

import pytest

import expllm

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.png"


@pytest.fixture(scope="session")
def photo() -> Path:
    return PHOTO


@pytest.fixture(scope="session")
def reader() -> expllm.Reader:
    return expllm.Reader(threads=2)
