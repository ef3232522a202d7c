"""The metrics of the project over arrays; formulas and sources stand in docs/metrics.md.

A metric that is undefined on sound input (no samples, nothing varies) is ``None``; input that
does not fit together is a ``ValueError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from expllm import _native

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "accuracy", "ccc", "f1", "icc", "icc2", "kappa", "macro_f1", "mae", "mcc", "mse", "pcc",
    "uar", "weighted_f1",
]


def _numbers(values: ArrayLike, what: str) -> bytes:
    import numpy as np

    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be a list of numbers, found {array.dtype} {array.shape}")
    return array.astype("<f8").tobytes()


def _agreement(truth: ArrayLike, prediction: ArrayLike) -> dict[str, float | None]:
    return _native.agreement(_numbers(truth, "truth"), _numbers(prediction, "prediction"))


def mae(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Mean absolute error."""
    return _agreement(truth, prediction)["mae"]


def mse(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Mean squared error."""
    return _agreement(truth, prediction)["mse"]


def pcc(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Pearson's correlation, from -1 to 1; ``None`` when one side does not vary."""
    return _agreement(truth, prediction)["pcc"]


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Lin's concordance correlation, from -1 to 1."""
    return _agreement(truth, prediction)["ccc"]


def icc(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Intraclass correlation ICC(3,1): two-way mixed, single, consistency."""
    return _agreement(truth, prediction)["icc3"]


def icc2(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Intraclass correlation ICC(2,1): two-way random, single, agreement."""
    return _agreement(truth, prediction)["icc2"]


def f1(
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    truth_threshold: float = 0.5,
    threshold: float = 0.5,
) -> float | None:
    """F1 of a unit that occurs where its number is at least a threshold.

    A truth that is not a number was not coded and is passed over. 0 when neither side holds an
    occurrence. ``truth_threshold`` of DISFA's grades is 2.
    """
    numbers = _numbers(truth, "truth"), _numbers(prediction, "prediction")
    return _native.occurrence(*numbers, (truth_threshold, threshold))["f1"]


def _confusion(truth: ArrayLike, prediction: ArrayLike) -> dict[str, float | None]:
    import numpy as np

    sides = [np.asarray(side) for side in (truth, prediction)]
    if any(side.ndim != 1 for side in sides):
        raise ValueError("labels must be lists")
    labels: dict[Any, int] = {}
    ways = [[_place(label, labels) for label in side.tolist()] for side in sides]
    data = [np.array(way, dtype="<i8").tobytes() for way in ways]
    return _native.confusion(data[0], data[1], len(labels))


def _place(label: Any, labels: dict[Any, int]) -> int:
    """The class of a label; ``None`` and what is not a number are no valid answer."""
    if label is None or label != label:
        return -1
    return labels.setdefault(label, len(labels))


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Correct samples over all samples; a prediction of ``None`` is wrong."""
    return _confusion(truth, prediction)["accuracy"]


def uar(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Unweighted mean recall over the classes that occur in truth."""
    return _confusion(truth, prediction)["uar"]


def macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Unweighted mean F1 over the classes that occur on either side."""
    return _confusion(truth, prediction)["macro_f1"]


def weighted_f1(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Mean F1 weighted by the samples of each true class."""
    return _confusion(truth, prediction)["weighted_f1"]


def kappa(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Cohen's kappa."""
    return _confusion(truth, prediction)["kappa"]


def mcc(truth: ArrayLike, prediction: ArrayLike) -> float | None:
    """Matthews correlation for many classes."""
    return _confusion(truth, prediction)["mcc"]
