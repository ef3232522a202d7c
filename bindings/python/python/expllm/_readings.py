"""What was read: faces, photos, and tables of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

from expllm._units import Units

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas
    import pyarrow

    from expllm import _native
    from expllm._explaining import Explanation
    from expllm._tables import Columns


@dataclass(frozen=True, repr=False)
class Face:
    """A face that was found: what was read from it, or why nothing was."""

    native: _native.Face
    index: int
    """Its place in the photo, the largest first."""
    file: str | None
    """The file that it is from."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left edge, top edge, width and height in pixels; may reach over the photo's edge."""
        return self.native.box

    @property
    def score(self) -> float:
        """The detector's score; higher is surer, the scale is the detector's own."""
        return self.native.score

    @property
    def points(self) -> npt.NDArray[np.float32] | None:
        """The subject's right eye, left eye, tip of the nose, right and left corner of the mouth
        as the detector saw them, ``(5, 2)``, x and y in pixels."""
        import numpy as np

        points = self.native.points
        return None if points is None else np.array(points, dtype=np.float32)

    @property
    def units(self) -> Units:
        """Intensities of the measured action units, each from 0 to 1."""
        return Units(dict(self.native.action_units))

    @property
    def expression(self) -> str | None:
        """The likeliest expression."""
        return self.native.expression

    @property
    def probabilities(self) -> dict[str, float] | None:
        """The probability of each expression, summing to 1."""
        named = self.native.probabilities
        return None if named is None else dict(named)

    @property
    def head_pose(self) -> tuple[float, float, float] | None:
        """Pitch (positive looks up), yaw (positive turns to the subject's left) and roll
        (positive tilts clockwise in the photo) in degrees."""
        return self.native.head_pose

    @property
    def confidence(self) -> float | None:
        """How far the reading can be trusted by how the face lies in the photo, from 0 to 1; below
        0.5 it should not be used for a decision. ``None`` where nothing was read."""
        return self.native.confidence

    @property
    def doubts(self) -> list[str]:
        """Why the confidence is low: ``small``, ``turned_away``, ``cut_off``."""
        return self.native.doubts

    @property
    def landmarks(self) -> npt.NDArray[np.float32] | None:
        """The 68 landmarks of the Multi-PIE scheme, ``(68, 2)``, x and y in pixels."""
        import numpy as np

        points = self.native.landmarks
        return None if points is None else np.array(points, dtype=np.float32)

    @property
    def crop(self) -> npt.NDArray[np.uint8] | None:
        """The upright face, ``(side, side, 3)``, RGB; ``None`` where it was not kept."""
        import numpy as np

        kept = self.native.crop
        if kept is None:
            return None
        side, pixels = kept
        return np.frombuffer(pixels, dtype=np.uint8).reshape(side, side, 3)

    @property
    def error(self) -> str | None:
        """Why nothing was read from this face."""
        return self.native.error

    def explain(
        self, *, label: str | None = None, classes: int = 8, seed: int = 0
    ) -> Explanation:
        """A chain of thought from the action units, without any model.

        ``label``: the expression to conclude with; ``None`` takes the likeliest. ``classes``: 8,
        or 7 without contempt. ``seed`` varies the wording.
        """
        from expllm._explaining import Explanation

        return Explanation.of(self.native.explain(label, classes, (seed + self.index) % 2**64))

    def __repr__(self) -> str:
        x, y, width, height = (round(value) for value in self.box)
        place = f"{width} x {height} at ({x}, {y})"
        if self.error is not None:
            return f"<Face {place}: {self.error}>"
        likeliest = self.expression or ""
        active = {likeliest: (self.probabilities or {}).get(likeliest, 0.0)}
        active |= self.units.active()
        return f"<Face {place}: {', '.join(f'{k} {v:.2f}' for k, v in active.items())}>"


@dataclass(frozen=True)
class Photo:
    """A photo with its faces, or why it could not be read."""

    file: str | None
    """Its path; ``None`` where it is not from a file."""
    width: int
    """In pixels; 0 where it could not be read."""
    height: int
    """In pixels; 0 where it could not be read."""
    faces: list[Face]
    """The largest first; none is not an error."""
    exception: Exception | None
    """Why it could not be read."""

    @property
    def error(self) -> str | None:
        """What is wrong with the photo and its faces, in words."""
        wrong = [] if self.exception is None else [str(self.exception)]
        faces = (face for face in self.faces if face.error is not None)
        wrong += [f"face {face.index + 1}: {face.error}" for face in faces]
        return "; ".join(wrong) or None

    def without_crops(self, beyond: int = 0) -> Photo:
        """The photo with the pixels of its first faces only."""
        if len(self.faces) <= beyond:
            return self
        bare = [replace(f, native=f.native.without_crop()) for f in self.faces[beyond:]]
        return replace(self, faces=[*self.faces[:beyond], *bare])


class Readings(Sequence[Face]):
    """The faces of one photo or of many, in order: a sequence of faces, and tables of them."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self.photos: list[Photo] = list(photos)
        """The photos in the order in which they were given."""
        self.faces: list[Face] = [face for photo in self.photos for face in photo.faces]
        """All faces, photo by photo, the largest of each first."""

    def __len__(self) -> int:
        return len(self.faces)

    def __iter__(self) -> Iterator[Face]:
        return iter(self.faces)

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: slice) -> list[Face]: ...
    def __getitem__(self, index: int | slice) -> Face | list[Face]:
        return self.faces[index]

    @property
    def errors(self) -> dict[int, str]:
        """What went wrong, by the place of the photo."""
        wrong = enumerate(photo.error for photo in self.photos)
        return {index: error for index, error in wrong if error is not None}

    def to_pandas(self, columns: Columns = "expllm") -> pandas.DataFrame:
        """A row per face; a photo without faces gives one whose ``face`` is missing.

        ``columns="expllm"`` are those of the program's table: file, face, box and score,
        35 units, 8 expressions, pose, error. ``"pyfeat"``, ``"openface"`` and ``"libreface"``
        name and scale columns as those tools do (both sides as their mean; OpenFace and
        LibreFace from 0 to 5), with what they have and we have. What is unknown is missing,
        never 0, and what has no counterpart is no column.
        """
        from expllm import _tables

        return _tables.to_pandas(_tables.photo_rows(self.photos), columns)

    def to_arrow(self, columns: Columns = "expllm") -> pyarrow.Table:
        """The same table for Arrow and Parquet; numbers are ``float32``."""
        from expllm import _tables

        return _tables.to_arrow(_tables.photo_rows(self.photos), columns)

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dictionary per face, as in the program's JSON."""
        from expllm import _tables

        return [row for photo in self.photos for row in _tables.dicts(photo)]

    def explain(
        self, *, label: str | None = None, classes: int = 8, seed: int = 0
    ) -> list[Explanation | None]:
        """A chain of thought per face; ``None`` for a face of which nothing was read."""
        return list(self.explaining(label=label, classes=classes, seed=seed))

    def explaining(
        self, *, label: str | None = None, classes: int = 8, seed: int = 0
    ) -> Iterator[Explanation | None]:
        """As ``explain``, face by face while they are asked for."""
        for face in self.faces:
            read = face.error is None
            yield face.explain(label=label, classes=classes, seed=seed) if read else None

    def __repr__(self) -> str:
        failed = len(self.errors)
        wrong = f", {failed} with errors" if failed else ""
        shown = "".join(f"\n  {face!r}" for face in self.faces[:10])
        more = f"\n  and {len(self) - 10} more" if len(self) > 10 else ""
        return f"<Readings: {len(self)} faces in {len(self.photos)} photos{wrong}>{shown}{more}"

    def _repr_html_(self) -> str:
        from expllm._html import page

        return page(self)
