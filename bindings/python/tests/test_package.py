"""What the package says of itself holds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import expllm

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parents[1]


def test_the_lines_of_the_readme_run(monkeypatch, capsys):
    first = re.search(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(first[1], "README.md", "exec"), {})
    assert "happiness" in capsys.readouterr().out


def test_every_name_of_the_package_is_there_and_nothing_else():
    assert set(expllm.__all__) <= set(dir(expllm))
    for name in expllm.__all__:
        assert getattr(expllm, name) is not None
    with pytest.raises(AttributeError, match="reader"):
        expllm.reader


def test_an_import_loads_nothing_that_is_not_asked_for():
    code = (
        "import sys, expllm; first = set(sys.modules); expllm.Reader; "
        "print('expllm._native' in first, {'numpy', 'pandas', 'csv', 'html'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=True,
                          text=True, env={"PYTHONPATH": str(Path(expllm.__file__).parents[1])})
    assert said.stdout.split() == ["False", "set()"]


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
