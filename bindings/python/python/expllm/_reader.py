"""Reading the faces of photos."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from expllm import _native
from expllm._errors import PhotoError, refused
from expllm._inputs import Named, each, is_one
from expllm._readings import Face, Photo, Readings

if TYPE_CHECKING:
    from expllm._inputs import Many
    from expllm._video import Video

_AHEAD = 8
"""Photos read at a time, per thread."""

Errors = Literal["raise", "keep"]

_SHARED: dict[tuple[int, int | None], Reader] = {}
"""Readers of this process, by it and their threads."""


class Reader:
    """Reads every face of a photo: box, landmarks, head pose, action units and expression.

    The weights are part of the package. A reader may be used by several threads at once and is
    copied into other processes as a new one; after a fork the child makes its own.

    ``threads``: how many threads read; ``None`` takes one per core.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        count = 0 if threads is None else operator.index(threads)
        if not (threads is None or 1 <= count <= 1024):
            raise ValueError(f"threads must be from 1 to 1024, found {threads}")
        self._threads = threads
        self._stages = _native.Stages(count)

    @classmethod
    def shared(cls, *, threads: int | None = None) -> Reader:
        """The one reader of this process with so many threads, made when it is first asked for.

        For functions that an engine runs in its workers, call after call; a forked child gets its
        own.
        """
        key = (os.getpid(), threads)
        if key not in _SHARED:
            _SHARED[key] = cls(threads=threads)
        return _SHARED[key]

    def __repr__(self) -> str:
        return f"Reader(threads={self._stages.threads})"

    def __reduce__(self) -> tuple[Callable[[int | None], Reader], tuple[int | None]]:
        return (_reader, (self._threads,))

    def read(
        self,
        photos: Many,
        *,
        cropped: bool = False,
        errors: Errors | None = None,
        crops: int = 24,
        progress: Callable[[int], object] | None = None,
    ) -> Readings:
        """Reads the faces of one photo or of many, in order.

        ``photos``: a path, the bytes of an image file, a binary file, a numpy array (grey, RGB
        or RGBA, channels last: ``uint8`` 0 to 255, ``uint16`` 0 to 65535, other integers 0 to
        255, floats 0 to 1), a PIL image; a folder, a list or iterator of these, or a mapping
        whose keys name them.

        ``cropped`` takes each photo as the crop of one face. ``errors``: ``"raise"`` (the
        default for one photo) raises what is wrong with a photo, ``"keep"`` (the default for
        many) notes it in ``Photo.error`` and goes on. ``crops``: how many faces keep their
        pixels for notebooks, 48 KiB each. ``progress`` is called with the number of photos done.
        """
        if errors not in (None, "raise", "keep"):
            raise ValueError(f'errors must be "raise" or "keep", found {errors!r}')
        keep = errors == "keep" or (errors is None and not is_one(photos))
        found: list[Photo] = []
        for photo in self.iter(photos, cropped=cropped, crops=crops):
            if not keep and photo.exception is not None:
                raise photo.exception
            found.append(photo)
            if progress is not None:
                progress(len(found))
        return Readings(found)

    def iter(self, photos: Many, *, cropped: bool = False, crops: int = 0) -> Iterator[Photo]:
        """Reads photo after photo, a few ahead, in constant memory; errors are in each photo."""
        named = each(photos)
        size = 1 if is_one(photos) else _AHEAD * self._stages.threads
        while batch := list(islice(named, size)):
            for photo in self._batch(batch, cropped):
                kept = max(0, crops)
                crops = kept - len(photo.faces)
                yield photo.without_crops(beyond=kept)

    def video(
        self,
        path: str | os.PathLike[Any],
        *,
        every: int = 1,
        start: float = 0.0,
        end: float | None = None,
        fps: float = 25.0,
        crops: int = 0,
        progress: Callable[[int], object] | None = None,
    ) -> Video:
        """The frames of a video, each with what was read of the people in it, in constant memory.

        ``path``: a video, an animated GIF, WebP or PNG, a folder of frames in the natural order
        of their names, or a camera (``"camera:0"``, Linux and macOS). Animations and folders are
        read by this package, everything else by the programs ``ffmpeg`` and ``ffprobe``, which
        must be on the search path.

        ``every``: one of so many frames is read. ``start`` and ``end``: times in seconds of the
        first and the last frame that is wanted. ``fps``: frames per second of a folder of frames.
        ``crops``: how many faces keep their pixels, 48 KiB each. ``progress`` is called with the
        number of frames done.

        >>> for frame in reader.video("talk.mp4"):
        ...     for person, face in frame.people.items():
        ...         print(frame.time, person, face.units.jaw_drop)
        """
        from expllm._video import opened

        stretch = (operator.index(every), float(start), end, float(fps))
        return opened(self._stages, path, stretch, crops, progress)

    def _batch(self, batch: list[Named], cropped: bool) -> list[Photo]:
        sources = [photo.source for photo in batch if photo.source is not None]
        outcomes = iter(self._stages.read(sources, cropped))
        return [_photo(photo, outcomes) for photo in batch]


def _photo(named: Named, outcomes: Iterator[_native._Outcome]) -> Photo:
    if named.source is None:
        return Photo(named.file, 0, 0, [], named.error)
    width, height, faces, refusal = next(outcomes)
    error: Exception | None = None
    if refusal is not None:
        error = refused(named.title, *refusal)
    wrapped = [Face(face, index, named.file) for index, face in enumerate(faces)]
    return Photo(named.file, width, height, wrapped, error)


def _reader(threads: int | None) -> Reader:
    return Reader(threads=threads)


__all__ = ["PhotoError", "Reader"]
