"""Action units, expressions and explanations of every face of a photo, offline.

>>> import expllm
>>> readings = expllm.Reader().read("photo.jpg")
>>> readings.to_pandas()

Intensities of action units lie in [0, 1] and count as active above 0.2; left is the subject's
left; coordinates are pixels from the top left corner; angles are degrees.
"""

from expllm._csv import Measured, read_csv
from expllm._errors import PhotoError, VideoError
from expllm._explaining import Chain, Checked, Composer, Explanation, Finding, check_chain
from expllm._native import VERSION as __version__
from expllm._reader import Reader
from expllm._readings import Face, Photo, Readings
from expllm._units import ACTIVE_THRESHOLD, EXPRESSIONS, UNITS, Unit, Units
from expllm._video import Frame, Video

__all__ = [
    "ACTIVE_THRESHOLD",
    "EXPRESSIONS",
    "UNITS",
    "Chain",
    "Checked",
    "Composer",
    "Explanation",
    "Face",
    "Finding",
    "Frame",
    "Measured",
    "Photo",
    "PhotoError",
    "Reader",
    "Readings",
    "Unit",
    "Units",
    "Video",
    "VideoError",
    "__version__",
    "check_chain",
    "read_csv",
]
