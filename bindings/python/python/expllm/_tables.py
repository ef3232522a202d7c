"""Tables of faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from expllm import _native
from expllm._units import EXPRESSIONS, UNITS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas
    import pyarrow

    from expllm._readings import Face, Photo

Columns: TypeAlias = Literal["expllm"]

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
    place = zip(PLACE, (*face.box, face.score))
    known: dict[str, Any] = {"face": face.index, "box": dict(place)}
    if face.expression is not None:
        known |= {"expression": face.expression, "probabilities": face.probabilities}
    known["action_units"] = dict(face.units)
    if face.head_pose is not None:
        known["head_pose"] = dict(zip(POSE, face.head_pose))
    return known


def to_pandas(photos: list[Photo], columns: Columns) -> pandas.DataFrame:
    """A row per face, and one for a photo without any."""
    import pandas as pd

    file, face, numbers, error = _columns(photos, columns)
    places = {"file": file, "face": pd.array(face, dtype="Int64")}
    return pd.DataFrame({**places, **numbers, "error": error})


def to_arrow(photos: list[Photo], columns: Columns) -> pyarrow.Table:
    """The same table in Arrow; what is unknown is null."""
    import pyarrow as pa

    file, face, numbers, error = _columns(photos, columns)
    named = {name: pa.array(values, from_pandas=True) for name, values in numbers.items()}
    text = pa.string()
    return pa.table(
        {
            "file": pa.array(map(_storable, file), text),
            "face": pa.array(face, pa.int64()),
            **named,
            "error": pa.array(map(_storable, error), text),
        }
    )


def _storable(text: str | None) -> str | None:
    """Paths of any bytes in a column of UTF-8."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(
    photos: list[Photo], columns: Columns
) -> tuple[
    list[str | None], list[int | None], dict[str, npt.NDArray[np.float32]], list[str | None]
]:
    """File, face, numbers and error, row by row."""
    import numpy as np

    if columns != "expllm":
        raise ValueError(f'columns must be "expllm", found {columns!r}')
    rows: list[tuple[Photo, Face | None]] = []
    for photo in photos:
        faces: Sequence[Face | None] = photo.faces or [None]
        rows += [(photo, face) for face in faces]
    data = _native.table([None if face is None else face.native for _, face in rows])
    matrix = np.frombuffer(data, dtype="<f4").reshape(len(rows), len(NUMBERS))
    numbers = {name: matrix[:, at].copy() for at, name in enumerate(NUMBERS)}
    places = [None if face is None else face.index for _, face in rows]
    return [photo.file for photo, _ in rows], places, numbers, [p.error for p, _ in rows]
