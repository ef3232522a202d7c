"""From whatever holds a photo to what the native part reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from expllm._errors import PhotoError

if TYPE_CHECKING:
    # What only checkers of types read costs time of every import.
    from typing import BinaryIO, TypeAlias, Union

    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    from expllm._native import _Source

    One: TypeAlias = Union[
        str, os.PathLike[Any], bytes, bytearray, memoryview, npt.NDArray[Any], Image, BinaryIO
    ]
    """What holds one photo."""

    Many: TypeAlias = One | Iterable[One] | Mapping[str, One]
    """What holds one photo or many."""

PHOTOS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
"""What counts as a photo inside a folder."""

MAX_PIXELS = 100_000_000
"""The most pixels that an array may have."""


@dataclass(frozen=True)
class Named:
    """A photo to read, and what to call it; ``error`` where there is none."""

    file: str | None
    source: _Source | None
    error: Exception | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.file if self.file is not None else "photo"


def is_one(photos: object) -> bool:
    """Whether this holds a single photo."""
    if isinstance(photos, (str, os.PathLike)):
        return not os.path.isdir(photos)
    if isinstance(photos, (bytes, bytearray, memoryview)) or hasattr(photos, "read"):
        return True
    if _is_array(photos):
        return bool(getattr(photos, "ndim", 0) != 4)
    return _is_pillow(photos) or not isinstance(photos, Iterable)


def each(photos: Any) -> Iterator[Named]:
    """The photos, one by one; what cannot be turned into a photo carries its error."""
    if is_one(photos):
        yield named(photos)
    elif isinstance(photos, (str, os.PathLike)):
        yield from map(named, _below(os.fsdecode(photos)))
    elif isinstance(photos, Mapping):
        yield from (replace(named(photo), file=str(name)) for name, photo in photos.items())
    else:
        yield from map(named, photos)


def named(photo: object) -> Named:
    """One photo, or why it is none."""
    file = None
    try:
        if isinstance(photo, (str, os.PathLike)):
            file = os.fsdecode(photo)
            if "\0" in file:
                raise PhotoError(file.replace("\0", "\\0"), "a path cannot hold a zero byte")
            return Named(file, file)
        return Named(None, _source(photo))
    except (PhotoError, TypeError) as error:
        return Named(file, None, error)
    except Exception as error:  # An object of another library fails in its own way.
        wrapped = PhotoError(type(photo).__name__, f"cannot be read: {error}")
        wrapped.__cause__ = error
        return Named(file, None, wrapped)


def _below(folder: str) -> list[str]:
    """The photos in a folder and the folders below it, in the order of their names."""
    found: list[str] = []
    for here, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        photos = (name for name in files if os.path.splitext(name)[1].lower() in PHOTOS)
        found += [os.path.join(here, name) for name in photos]
    return sorted(found, key=lambda path: path.split(os.sep))


def _is_array(photo: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(photo, numpy.ndarray)


def _is_pillow(photo: object) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(photo, pillow.Image)


def _source(photo: Any) -> _Source:
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, (bytearray, memoryview)):
        return bytes(photo)
    if _is_array(photo):
        return pixels(photo)
    if _is_pillow(photo):
        return _pillow(photo)
    if hasattr(photo, "read"):
        return _file(photo)
    if hasattr(photo, "__array__"):
        import numpy as np

        return pixels(np.asarray(photo))
    kinds = "a path, bytes, a binary file, a numpy array or a PIL image"
    raise TypeError(f"a photo must be {kinds}, found {type(photo).__name__}")


def _file(file: Any) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError("a file of a photo must be opened in binary mode")
    return data


def _pillow(image: Any) -> _Source:
    import numpy as np
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("I;16", "I;16L", "I;16B", "I", "F"):
        return pixels(np.asarray(upright))
    transparent = upright.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    transparent = transparent or "transparency" in upright.info
    return pixels(np.asarray(upright.convert("RGBA" if transparent else "RGB")))


def pixels(array: npt.NDArray[Any]) -> tuple[int, int, bytes]:
    """Width, height and RGB bytes of an array.

    Shapes are ``(h, w)`` and ``(h, w, 1)`` (grey), ``(h, w, 3)`` (RGB) and ``(h, w, 4)`` (RGBA,
    put on white). Ranges: ``bool``; ``uint8`` 0 to 255; ``uint16`` 0 to 65535; other integers
    0 to 255; floats 0 to 1.
    """
    import numpy as np

    shape = array.shape
    if len(shape) == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        wanted = "(height, width), or (height, width, channels) with 1, 3 or 4 channels last"
        raise PhotoError("array", f"must have the shape {wanted}, found {shape}")
    height, width, channels = array.shape
    if not 0 < height * width <= MAX_PIXELS:
        raise PhotoError("array", f"must have from 1 to {MAX_PIXELS} pixels, found {shape}")
    grades = _bytes(array)
    if channels == 4:
        grades = _on_white(grades)
    elif channels == 1:
        grades = np.repeat(grades, 3, axis=2)
    return width, height, grades.tobytes()


def _bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The array with 8 bits a channel."""
    import numpy as np

    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.type is np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if kind in "iu":
        _within(array, 255, "integers must lie from 0 to 255 (uint16: from 0 to 65535)")
        return array.astype(np.uint8)
    if kind == "f":
        _within(array, 1, "floats must lie from 0 to 1; divide by the largest value of the range")
        return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
    raise PhotoError("array", f"must hold integers, floats or bools, found {array.dtype}")


def _within(array: npt.NDArray[Any], top: int, rule: str) -> None:
    low, high = array.min(), array.max()
    # Also refuses what is not a number.
    if not (low >= 0 and high <= top):
        raise PhotoError("array", f"{rule}; found {low} to {high}")


def _on_white(rgba: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGB with white behind what is transparent, rounded as where files are read."""
    import numpy as np

    alpha = rgba[:, :, 3:].astype(np.uint32)
    front = rgba[:, :, :3] * alpha
    return ((front + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
