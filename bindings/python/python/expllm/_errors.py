"""Why a photo or a video could not be read."""

from __future__ import annotations


class PhotoError(ValueError):
    """A photo that cannot be read: damaged, of an unknown kind, of a wrong shape or range.

    ``photo`` names it: its path, or what it is ("array", "bytes", ...); ``reason`` says what is
    wrong and what to do.
    """

    def __init__(self, photo: str, reason: str) -> None:
        super().__init__(photo, reason)
        self.photo = photo
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.photo}: {self.reason}"


class VideoError(ValueError):
    """A video that cannot be read, or not to its end: damaged, of an unknown kind, or of one that
    needs the program ``ffmpeg`` where it is not installed.

    ``video`` is its path; ``reason`` says what is wrong and what to do.
    """

    def __init__(self, video: str, reason: str) -> None:
        super().__init__(video, reason)
        self.video = video
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.video}: {self.reason}"


def refused(photo: str, reason: str, number: int | None) -> Exception:
    """The exception for a photo: an ``OSError`` where the system refuses a file."""
    if number is None:
        return PhotoError(photo, reason)
    return OSError(number, reason.split(" (os error")[0], photo)
