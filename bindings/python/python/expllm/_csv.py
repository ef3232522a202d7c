"""Tables of other tools, read as units."""

from __future__ import annotations

import os
from dataclasses import dataclass

from expllm import _native
from expllm._units import Units


@dataclass(frozen=True)
class Measured:
    """A row of a table: what a tool measured of a face."""

    units: Units
    """Intensities from 0 to 1; both sides of a face have the value where the tool tells none, and
    what the tool does not measure is missing."""
    columns: dict[str, str]
    """The row as it stands in the table."""


def read_csv(path: str | os.PathLike[str]) -> list[Measured]:
    """Reads a table of this package, OpenFace, py-feat, LibreFace, or one with columns named
    after blendshapes.

    Rows of OpenFace in which it found no face (``success`` 0) have no units.
    """
    import csv

    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        names = [name.strip() for name in rows.fieldnames or []]
        tool = _native.tool_of(names)
        if tool is None:
            raise ValueError(
                f"{os.fsdecode(path)}: no columns of action units as OpenFace, py-feat, "
                "LibreFace, MediaPipe or this package writes them"
            )
        rows.fieldnames = names
        return [_measured(row, tool) for row in rows]


def _measured(row: dict[str, str], tool: str) -> Measured:
    texts = {name: text for name, text in row.items() if isinstance(text, str)}
    numbers = {name: _number(text) for name, text in texts.items()}
    known = {name: number for name, number in numbers.items() if number is not None}
    if known.get("success") == 0:
        known = {}
    return Measured(Units(dict(_native.tool_units(known, tool))), texts)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
