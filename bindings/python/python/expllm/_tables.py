"""Tables of faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from expllm import _native, _tools
from expllm._units import EXPRESSIONS, UNITS

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from expllm._readings import Face, Photo

Columns: TypeAlias = Literal["expllm", "pyfeat", "openface", "libreface"]

Row: TypeAlias = "tuple[int, Photo, Face | None]"
"""The place of a photo, the photo, and one of its faces, or none."""

PLACE = ("x", "y", "width", "height", "score")
POSE = ("pitch", "yaw", "roll")
NUMBERS = (*PLACE, *(unit.name for unit in UNITS), *EXPRESSIONS, *POSE)
"""The numbers of a face, in the order of the native table."""


def dicts(photo: Photo) -> list[dict[str, Any]]:
    """A dictionary per face, as in the program's JSON."""
    error = {} if photo.error is None else {"error": photo.error}
    faces = [face for face in photo.faces if face.error is None]
    if not faces:
        return [{"file": photo.file, "face": None, **error}]
    return [{"file": photo.file, **_dict(face), **error} for face in faces]


def _dict(face: Face) -> dict[str, Any]:
    place: dict[str, Any] = dict(zip(PLACE, (*face.box, face.score)))
    if face.native.points is not None:
        place["points"] = [{"x": x, "y": y} for x, y in face.native.points]
    known: dict[str, Any] = {"face": face.index, "box": place}
    if face.expression is not None:
        known |= {"expression": face.expression, "probabilities": face.probabilities}
    known["action_units"] = dict(face.units)
    if face.head_pose is not None:
        known["head_pose"] = dict(zip(POSE, face.head_pose))
    return known


def to_pandas(photos: list[Photo], columns: Columns) -> pandas.DataFrame:
    """A row per face, and one for a photo without any."""
    import pandas as pd

    named = {
        name: pd.array(values, dtype="Int64") if _is_count(name) else values
        for name, values in _columns(photos, columns).items()
    }
    return pd.DataFrame(named)


def to_arrow(photos: list[Photo], columns: Columns) -> pyarrow.Table:
    """The same table in Arrow; what is unknown is null."""
    import pyarrow as pa

    def column(name: str, values: Any) -> Any:
        if _is_count(name):
            return pa.array(values, pa.int64())
        if isinstance(values, list):
            return pa.array(map(_storable, values), pa.string())
        return pa.array(values, from_pandas=True)

    return pa.table({name: column(name, v) for name, v in _columns(photos, columns).items()})


def _is_count(name: str) -> bool:
    return name in ("face", "frame", "face_id", "success")


def _storable(text: str | None) -> str | None:
    """Paths of any bytes in a column of UTF-8."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(photos: list[Photo], columns: Columns) -> dict[str, Any]:
    """Lists of texts and counts, and arrays of numbers, by name."""
    rows: list[Row] = []
    for at, photo in enumerate(photos):
        faces: Sequence[Face | None] = photo.faces or [None]
        rows += [(at, photo, face) for face in faces]
    if columns == "expllm":
        return _own(rows)
    if columns in _tools.TABLES:
        return _tools.TABLES[columns](rows)
    known = ", ".join(["expllm", *_tools.TABLES])
    raise ValueError(f"columns must be one of {known}; found {columns!r}")


def _own(rows: list[Row]) -> dict[str, Any]:
    data = _native.table([None if face is None else face.native for _, _, face in rows])
    return {
        "file": [photo.file for _, photo, _ in rows],
        "face": [None if face is None else face.index for _, _, face in rows],
        **_tools.matrix(data, NUMBERS),
        "error": [photo.error for _, photo, _ in rows],
    }
