"""Tables of faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from expllm import _native, _tools
from expllm._units import EXPRESSIONS, UNITS

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from expllm._readings import Face, Photo

Columns: TypeAlias = Literal["expllm", "pyfeat", "openface", "libreface"]


class Row(NamedTuple):
    """A face of a photo or of a frame, or that there is none."""

    place: int
    """The place of the photo, or the number of the frame."""
    file: str | None
    """What it is from."""
    face: Face | None
    """The face."""
    error: str | None
    """What is wrong."""
    time: float = 0.0
    """The time of the frame in seconds."""
    person: int | None = None
    """Whose face it is, in a video."""


PLACE = ("x", "y", "width", "height", "score")
POSE = ("pitch", "yaw", "roll")
NUMBERS = (*PLACE, *(unit.name for unit in UNITS), *EXPRESSIONS, *POSE, "confidence")
"""The numbers of a face, in the order of the native table."""


def dicts(photo: Photo) -> list[dict[str, Any]]:
    """A dictionary per face, as in the program's JSON."""
    error = {} if photo.error is None else {"error": photo.error}
    faces = [face for face in photo.faces if face.error is None]
    if not faces:
        return [{"file": photo.file, "face": None, **error}]
    return [{"file": photo.file, **_dict(face), **_doubts(face), **error} for face in faces]


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
    known["confidence"] = face.confidence
    return known


def _doubts(face: Face) -> dict[str, list[str]]:
    return {"doubts": face.doubts} if face.doubts else {}


def timed_dict(row: Row) -> dict[str, Any]:
    """A dictionary for a person in a frame, as in the program's JSON lines."""
    known: dict[str, Any] = {"time": row.time, "frame": row.place}
    known |= {"person": row.person, "file": row.file}
    if row.face is not None:
        known |= {"face": row.face.index} if row.face.error else _dict(row.face)
    return known if row.error is None else {**known, "error": row.error}


def photo_rows(photos: list[Photo]) -> list[Row]:
    """A row per face, and one for a photo without any."""
    return [row for at, photo in enumerate(photos) for row in _photo_rows(at, photo)]


def _photo_rows(place: int, photo: Photo) -> list[Row]:
    faces: Sequence[Face | None] = photo.faces or [None]
    return [Row(place, photo.file, face, photo.error) for face in faces]


def to_pandas(rows: list[Row], columns: Columns, *, timed: bool = False) -> pandas.DataFrame:
    """The table of some faces; ``timed`` where they are from a video."""
    import pandas as pd

    named = {
        name: pd.array(values, dtype="Int64") if _is_count(name) else values
        for name, values in _columns(rows, columns, timed).items()
    }
    return pd.DataFrame(named)


def to_arrow(rows: list[Row], columns: Columns, *, timed: bool = False) -> pyarrow.Table:
    """The same table in Arrow; what is unknown is null."""
    import pyarrow as pa

    def column(name: str, values: Any) -> Any:
        if _is_count(name):
            return pa.array(values, pa.int64())
        if isinstance(values, list):
            return pa.array(map(_storable, values), pa.string())
        return pa.array(values, from_pandas=True)

    named = _columns(rows, columns, timed)
    return pa.table({name: column(name, values) for name, values in named.items()})


def _is_count(name: str) -> bool:
    return name in ("face", "frame", "face_id", "person", "success")


def _storable(text: str | None) -> str | None:
    """Paths of any bytes in a column of UTF-8."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(rows: list[Row], columns: Columns, timed: bool) -> dict[str, Any]:
    """Lists of texts and counts, and arrays of numbers, by name."""
    if columns == "expllm":
        return {**_times(rows), **_own(rows)} if timed else _own(rows)
    if columns in _tools.TABLES:
        time = _tools.TIMES.get(columns) if timed else None
        return {**_tools.TABLES[columns](rows), **(_time(time, rows) if time else {})}
    known = ", ".join(["expllm", *_tools.TABLES])
    raise ValueError(f"columns must be one of {known}; found {columns!r}")


def _time(name: str, rows: list[Row]) -> dict[str, Any]:
    return {name: _tools.numbers([row.time for row in rows])}


def _times(rows: list[Row]) -> dict[str, Any]:
    return {
        **_time("time", rows),
        "frame": [row.place for row in rows],
        "person": [row.person for row in rows],
    }


def _own(rows: list[Row]) -> dict[str, Any]:
    data = _native.table([None if row.face is None else row.face.native for row in rows])
    return {
        "file": [row.file for row in rows],
        "face": [None if row.face is None else row.face.index for row in rows],
        **_tools.matrix(data, NUMBERS),
        "error": [row.error for row in rows],
    }
