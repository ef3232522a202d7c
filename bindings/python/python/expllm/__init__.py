"""Action units, expressions and explanations of every face of a photo, offline.

>>> import expllm
>>> readings = expllm.Reader().read("photo.jpg")
>>> readings.to_pandas()

Intensities of action units lie in [0, 1] and count as active above 0.2; left is the subject's
left; coordinates are pixels from the top left corner; angles are degrees.
"""

# As in typing, which takes longer to load than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from expllm import cot as cot
    from expllm import metrics as metrics
    from expllm._csv import Measured, read_csv
    from expllm._errors import PhotoError, VideoError
    from expllm._explaining import Chain, Checked, Composer, Explanation, Finding, check_chain
    from expllm._native import VERSION as __version__
    from expllm._reader import Reader
    from expllm._readings import Face, Photo, Readings
    from expllm._units import ACTIVE_THRESHOLD, EXPRESSIONS, UNITS, Unit, Units
    from expllm._video import Frame, Video
else:
    # Loaded when they are first asked for, so that a program that may need faces starts at once.
    _HOMES = {
        "_csv": ["Measured", "read_csv"],
        "_errors": ["PhotoError", "VideoError"],
        "_explaining": ["Chain", "Checked", "Composer", "Explanation", "Finding", "check_chain"],
        "_reader": ["Reader"],
        "_readings": ["Face", "Photo", "Readings"],
        "_units": ["ACTIVE_THRESHOLD", "EXPRESSIONS", "UNITS", "Unit", "Units"],
        "_video": ["Frame", "Video"],
    }

    def __getattr__(name):
        from importlib import import_module

        if name in ("cot", "metrics"):
            return import_module(f"expllm.{name}")
        if name == "__version__":
            value = import_module("expllm._native").VERSION
        else:
            homes = (home for home, names in _HOMES.items() if name in names)
            home = next(homes, None)
            if home is None:
                raise AttributeError(f"module 'expllm' has no attribute {name!r}")
            value = getattr(import_module(f"expllm.{home}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


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
    "cot",
    "metrics",
    "read_csv",
]
