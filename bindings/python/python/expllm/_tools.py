"""Tables with the columns and scales of other tools, so that notebooks for them run.

What a tool has and we have not (AU11, AU25, valence, identity) is no column; what was not
measured is missing. Head poses are left out, since tools differ in signs and in what a pose of 0
is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from expllm import _native

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expllm._tables import Row

_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The expressions of py-feat in its order; it knows no contempt."""


def matrix(data: bytes, names: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Columns of a native table of little-endian 32-bit floats."""
    import numpy as np

    values = np.frombuffer(data, dtype="<f4").reshape(-1, len(names))
    return {name: values[:, at].copy() for at, name in enumerate(names)}


def numbers(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """A column of numbers."""
    import numpy as np

    return np.array(values, dtype=np.float64)


def _units(rows: list[Row], tool: str) -> dict[str, Any]:
    """The units that we have, under the tool's names and in its scale."""
    faces = [None if row.face is None else row.face.native for row in rows]
    return matrix(_native.tool_table(faces, tool), _native.tool_columns(tool))


def _box(rows: list[Row]) -> dict[str, Any]:
    import numpy as np

    faces, unknown = (row.face for row in rows), (np.nan,) * 5
    boxes = [unknown if face is None else (*face.box, face.score) for face in faces]
    values = np.array(boxes, dtype=np.float32).reshape(-1, 5)
    names = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore")
    return {name: values[:, at].copy() for at, name in enumerate(names)}


def _landmarks(rows: list[Row]) -> dict[str, Any]:
    """``x_0`` to ``x_67``, then ``y_0`` to ``y_67``, in pixels."""
    import numpy as np

    values = np.full((len(rows), 68, 2), np.nan, dtype=np.float32)
    for at, row in enumerate(rows):
        points = None if row.face is None else row.face.landmarks
        if points is not None:
            values[at] = points
    axes = enumerate(("x", "y"))
    return {f"{axis}_{i}": values[:, i, a].copy() for a, axis in axes for i in range(68)}


def _expressions(rows: list[Row]) -> dict[str, Any]:
    import numpy as np

    known = [{} if row.face is None else row.face.probabilities or {} for row in rows]
    return {
        name: np.array([row.get(name, np.nan) for row in known], dtype=np.float32)
        for name in _EMOTIONS
    }


def _frames(rows: list[Row]) -> list[int]:
    return [row.place for row in rows]


def _files(rows: list[Row]) -> list[str | None]:
    return [row.file for row in rows]


def _who(row: Row) -> int:
    """The number of a person in a video, the place of a face in a photo."""
    if row.person is not None:
        return row.person
    return 0 if row.face is None else row.face.index


def pyfeat(rows: list[Row]) -> dict[str, Any]:
    """The columns of py-feat's ``Fex``: box, landmarks, ``AU01`` to ``AU43`` from 0 to 1,
    expressions."""
    named = {"frame": _frames(rows), **_box(rows), **_landmarks(rows)}
    return {**named, **_units(rows, "pyfeat"), **_expressions(rows), "input": _files(rows)}


def openface(rows: list[Row]) -> dict[str, Any]:
    """The columns of OpenFace: frame from 1, ``success``, landmarks, ``AU01_r`` to ``AU45_r``
    from 0 to 5."""
    read = [row.face is not None and row.face.error is None for row in rows]
    return {
        "file": _files(rows),
        "frame": [at + 1 for at in _frames(rows)],
        "face_id": [_who(row) for row in rows],
        "success": [int(found) for found in read],
        **_landmarks(rows),
        **_units(rows, "openface"),
    }


def libreface(rows: list[Row]) -> dict[str, Any]:
    """The columns of LibreFace: ``au_1_intensity`` to ``au_26_intensity`` from 0 to 5, and
    ``facial_expression``."""
    labels = [None if row.face is None else row.face.expression for row in rows]
    named = {"file": _files(rows), "frame": _frames(rows)}
    shown = [None if label is None else label.capitalize() for label in labels]
    return {**named, **_units(rows, "libreface"), "facial_expression": shown}


TABLES: dict[str, Callable[[list[Row]], dict[str, Any]]] = {
    "pyfeat": pyfeat,
    "openface": openface,
    "libreface": libreface,
}

TIMES = {"openface": "timestamp"}
"""The column of times in seconds, of tools that have one."""
