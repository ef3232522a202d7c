"""Metrics against numpy and by hand."""

import numpy as np
import pytest

from expllm import metrics


def test_agreement_is_that_of_numpy():
    rng = np.random.default_rng(1)
    a = rng.random(200)
    b = a + rng.normal(0, 0.2, 200)
    assert metrics.pcc(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)
    assert metrics.mae(a, b) == pytest.approx(np.abs(a - b).mean(), abs=1e-12)
    assert metrics.icc(a, a + 1) == pytest.approx(1)
    assert metrics.pcc([1, 1], [1, 2]) is None


def test_labels_and_occurrences():
    assert metrics.accuracy(["a", "b", "b"], ["a", "b", None]) == pytest.approx(2 / 3)
    assert metrics.macro_f1([0, 1], [0, 1]) == 1
    assert metrics.f1([1, 1, 0, np.nan], [1, 0, 1, 1]) == pytest.approx(0.5)
    assert metrics.f1([], []) is None


def test_input_that_does_not_fit():
    for truth, prediction in [([1], [1, 2]), ([[1]], [1]), (["a"], [1]), ([1], [np.nan])]:
        with pytest.raises(ValueError):
            metrics.mae(truth, prediction)
    with pytest.raises(ValueError):
        metrics.accuracy([1, 2], [1])
