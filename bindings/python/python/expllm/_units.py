"""The 35 action units, the 8 expressions, and the intensities of one face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from expllm import _native

ACTIVE_THRESHOLD = 0.2
"""Intensity above which a unit counts as active in text and checks."""

Side = Literal["left", "right", "both"]


@dataclass(frozen=True)
class Unit:
    """An action unit with its names elsewhere."""

    name: str
    """Name in columns, such as ``left_lip_corner_pull``."""
    movement: str
    """The movement without its side, such as ``lip corner pull``."""
    side: Side
    """The subject's ``left`` or ``right``, or ``both``."""
    facs: tuple[str, ...]
    """FACS codes, nearest first."""
    blendshapes: tuple[str, ...]
    """ARKit and MediaPipe blendshapes, the main one first."""


def _unit(row: tuple[str, str, str, list[str], list[str]]) -> Unit:
    name, movement, side, facs, shapes = row
    known: dict[str, Side] = {"left": "left", "right": "right", "both": "both"}
    return Unit(name, movement, known[side], tuple(facs), tuple(shapes))


UNITS: tuple[Unit, ...] = tuple(_unit(row) for row in _native.unit_table())
"""All 35 units; the first 24 are those of FEAFA in the order of the official data."""

EXPRESSIONS: tuple[str, ...] = tuple(_native.expression_names())
"""The expressions in order."""

_BY_NAME = {unit.name: unit for unit in UNITS}


class Units(Mapping[str, float]):
    """Intensities of the units that were measured, each from 0 to 1, by name.

    A unit that was not measured is no key. ``units.jaw_drop`` is the same as
    ``units.get("jaw_drop")``; ``units.left["lip corner pull"]`` names a movement by its side.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float]) -> None:
        unknown = [name for name in values if name not in _BY_NAME]
        if unknown:
            raise ValueError(f"unknown action unit {unknown[0]!r}; names are in expllm.UNITS")
        self._values = {unit.name: values[unit.name] for unit in UNITS if unit.name in values}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> float | None:
        if name not in _BY_NAME:
            raise AttributeError(f"no action unit {name!r}; names are in expllm.UNITS")
        return self._values.get(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_BY_NAME]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.2f}" for name, value in self.active().items())
        return f"<Units: {len(self)} measured; {shown or 'none active'}>"

    def __reduce__(self) -> tuple[type[Units], tuple[dict[str, float]]]:
        return (Units, (self._values,))

    def of_side(self, side: Side) -> dict[str, float]:
        """Intensities of one side by movement, such as ``lip corner pull``."""
        units = (_BY_NAME[name] for name in self._values)
        return {unit.movement: self._values[unit.name] for unit in units if unit.side == side}

    @property
    def left(self) -> dict[str, float]:
        """What the subject's left side does, by movement."""
        return self.of_side("left")

    @property
    def right(self) -> dict[str, float]:
        """What the subject's right side does, by movement."""
        return self.of_side("right")

    @property
    def both(self) -> dict[str, float]:
        """What both sides or the middle do, by movement."""
        return self.of_side("both")

    def active(self, threshold: float = ACTIVE_THRESHOLD) -> dict[str, float]:
        """Units above a threshold, the strongest first."""
        named = sorted(self._values.items(), key=lambda item: -item[1])
        return {name: value for name, value in named if value > threshold}
