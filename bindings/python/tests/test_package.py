"""What the package says of itself holds."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parents[1]


def test_the_lines_of_the_readme_run(monkeypatch, capsys):
    first = re.search(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(first[1], "README.md", "exec"), {})
    assert "happiness" in capsys.readouterr().out

def test_the_lock_is_that_of_the_workspace():
    """Other versions would compile everything twice, and read other values."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11 and newer.

    def packages(path):
        found = tomllib.loads(path.read_text())["package"]
        return {(package["name"], package["version"]) for package in found}

    own = packages(HERE / "Cargo.lock") - packages(ROOT / "Cargo.lock")
    assert {name for name, _ in own} <= {
        "expllm-python", "pyo3", "pyo3-build-config", "pyo3-ffi", "pyo3-macros",
        "pyo3-macros-backend", "target-lexicon",
    }
