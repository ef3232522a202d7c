"""Reading the people of videos."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from expllm import _native, _tables
from expllm._errors import VideoError
from expllm._readings import Face

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from expllm._tables import Columns, Row


@dataclass(frozen=True)
class Frame:
    """A frame of a video with its people, or why they could not be read."""

    file: str
    """The video."""
    number: int
    """From 0 at the first frame that was asked for, before ``every`` leaves frames out."""
    time: float
    """Time stamp of the container in seconds."""
    people: dict[int, Face]
    """What was read of each person, by a number that stays the same throughout the video."""
    reason: str | None = None
    """Why the frame as a whole could not be read."""

    @property
    def error(self) -> str | None:
        """What is wrong with the frame and its faces, in words."""
        wrong = [] if self.reason is None else [self.reason]
        faces = ((person, face.error) for person, face in self.people.items())
        wrong += [f"person {person}: {error}" for person, error in faces if error is not None]
        return "; ".join(wrong) or None

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dictionary per person, as in the program's JSON lines; one without any where nobody
        is."""
        return [_tables.timed_dict(row) for row in self._rows()]

    def _rows(self) -> list[Row]:
        people: Iterable[tuple[int | None, Face | None]] = self.people.items() or [(None, None)]
        return [self._row(person, face) for person, face in people]

    def _row(self, person: int | None, face: Face | None) -> Row:
        own = None if face is None else face.error
        error = self.reason if own is None else own
        return _tables.Row(self.number, self.file, face, error, self.time, person)

    def __repr__(self) -> str:
        shown = "".join(f"\n  {person}: {face!r}" for person, face in self.people.items())
        wrong = "" if self.reason is None else f", {self.reason}"
        return f"<Frame {self.number} at {self.time:.3f} s{wrong}>{shown}"


class Video(Iterator[Frame]):
    """The frames of a video, one by one in constant memory: what ``Reader.video`` gives.

    A few frames are read ahead on another thread while the last ones are used. Ends early with a
    ``VideoError`` where the video is cut or damaged; the frames before it are good. ``close``, or
    the end of a ``with`` block, ends the reading.
    """

    def __init__(
        self,
        native: _native.Video,
        file: str,
        crops: int,
        progress: Callable[[int], object] | None,
    ) -> None:
        self.file = file
        """The video."""
        self.expected_frames, self.rate, self.size = native.info
        self._native, self._crops, self._progress = native, max(0, crops), progress
        self._done = 0

    expected_frames: int | None
    """How many frames will come, as far as the container tells; a guess for progress."""
    rate: float | None
    """Frames per second on average, before frames are left out."""
    size: tuple[int, int] | None
    """Width and height of the upright frames in pixels."""

    def __next__(self) -> Frame:
        try:
            read = self._native.next()
        except ValueError as error:
            raise VideoError(self.file, str(error)) from None
        if read is None:
            raise StopIteration
        number, time, people, reason = read
        faces = {person: self._face(at, face) for at, (person, face) in enumerate(people)}
        self._done += 1
        if self._progress is not None:
            self._progress(self._done)
        return Frame(self.file, number, time, faces, reason)

    def _face(self, index: int, native: _native.Face) -> Face:
        face = Face(native, index, self.file)
        if self._crops > 0:
            self._crops -= 1
            return face
        return replace(face, native=native.without_crop())

    def close(self) -> None:
        """Ends the reading; no more frames come."""
        self._native.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def to_pandas(self, columns: Columns = "expllm") -> pandas.DataFrame:
        """The frames that are left as a table, a row per person; a frame without anybody gives
        one whose ``person`` is missing.

        ``columns="expllm"`` are those of the program's table: time, frame, person, then as
        ``Readings.to_pandas``. The tables of other tools have the number of the frame in
        ``frame``.
        """
        return _tables.to_pandas(self._rows(), columns, timed=True)

    def to_arrow(self, columns: Columns = "expllm") -> pyarrow.Table:
        """The same table for Arrow and Parquet."""
        return _tables.to_arrow(self._rows(), columns, timed=True)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The frames that are left as dictionaries, one per person."""
        return [row for frame in self for row in frame.to_dicts()]

    def _rows(self) -> list[Row]:
        return [row for frame in self for row in frame._rows()]

    def __repr__(self) -> str:
        known = [
            "" if self.size is None else f"{self.size[0]} x {self.size[1]}",
            "" if self.rate is None else f"{self.rate:.3g} frames/s",
            "" if self.expected_frames is None else f"about {self.expected_frames} frames",
        ]
        return f"<Video {self.file}: {', '.join(filter(None, known)) or 'unknown size'}>"


def opened(
    stages: _native.Stages,
    path: str | os.PathLike[Any],
    stretch: _native._Stretch,
    crops: int,
    progress: Callable[[int], object] | None,
) -> Video:
    """The frames of a video that is looked at before."""
    _check(*stretch)
    file = _file(path)
    try:
        return Video(stages.video(file, stretch), file, crops, progress)
    except ValueError as error:
        raise VideoError(file, str(error)) from None


def _file(path: object) -> str:
    """The path of what is there."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"a video must be a path, found {type(path).__name__}")
    file = os.fsdecode(path)
    if "\0" in file:
        raise VideoError(file.replace("\0", "\\0"), "a path cannot hold a zero byte")
    if not file.startswith("camera:"):
        os.stat(file)  # Raises what the system says.
    return file


def _check(every: int, start: float, end: float | None, fps: float) -> None:
    if not 1 <= every < 2**63:
        raise ValueError(f"every must be at least 1, found {every}")
    if not (math.isfinite(start) and start >= 0):
        raise ValueError(f"start must be a time from 0 seconds on, found {start}")
    if end is not None and not (math.isfinite(end) and end >= start):
        raise ValueError(f"end must be a time from start ({start} seconds) on, found {end}")
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be above 0, found {fps}")
