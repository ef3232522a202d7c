"""Writes fixtures.json beside this file: inputs and what reference packages make of them.

Run with scikit-learn 1.9.1, scipy 1.17.1, pingouin 0.7.0, pandas, statsmodels 0.15.0,
nltk 3.10.4 and rouge 1.0.1:

    python make_fixtures.py

For each family there are 60 random and at least 10 degenerate inputs. `null` means that the
metric is undefined there: the package returns NaN, raises, or warns that it is not defined.
"""

import json
import math
import random
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
from nltk.translate.bleu_score import corpus_bleu, sentence_bleu
from rouge import Rouge
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.contingency_tables import mcnemar

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20251123)
random.seed(20251123)
RANDOM = 60


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def classification():
    inputs = []
    for _ in range(RANDOM):
        k, n = int(rng.integers(2, 9)), int(rng.integers(5, 60))
        truth = rng.integers(0, k, n)
        pred = np.where(rng.random(n) < 0.6, truth, rng.integers(0, k + 1, n))
        inputs.append((k, truth.tolist(), pred.tolist()))
    inputs += [
        (2, [0], [0]), (2, [0], [1]), (3, [0], [3]), (3, [0, 0, 0], [0, 0, 0]),
        (3, [0, 0, 0], [1, 1, 1]), (3, [0, 1, 2], [1, 2, 0]), (3, [0, 1, 2], [0, 0, 0]),
        (8, [7, 7, 7, 0], [7, 7, 7, 7]), (4, [1, 1, 2, 2], [4, 4, 4, 4]), (2, [0, 1] * 20, [1, 0] * 20),
        (5, [0, 0, 1], [4, 3, 2]), (7, [6] * 30 + [5], [6] * 31),
    ]
    cases = []
    for k, truth, pred in inputs:
        labels = list(range(k))
        seen = sorted(set(truth) | {p for p in pred if p < k})
        f1 = lambda average, over: metrics.f1_score(truth, pred, labels=over, average=average, zero_division=0)
        same = len(set(truth)) == 1 and set(truth) == set(pred)
        cases.append({
            "classes": k, "truth": truth, "prediction": pred,
            "accuracy": number(metrics.accuracy_score(truth, pred)),
            "uar": number(metrics.balanced_accuracy_score(truth, pred)),
            "macro_f1": number(f1("macro", seen)),
            "uf1": number(f1("macro", labels)),
            "weighted_f1": number(f1("weighted", labels)),
            "kappa": None if same else number(metrics.cohen_kappa_score(truth, pred)),
            "mcc": number(metrics.matthews_corrcoef(truth, pred)),
        })
    return cases


def ranking():
    inputs = []
    for case in range(RANDOM):
        k, n = int(rng.integers(3, 9)), int(rng.integers(8, 60))
        truth = rng.integers(0, k, n)
        scores = np.round(rng.random((n, k)), 4)
        if case % 2:
            scores = np.round(scores, 1)  # ties
        inputs.append((truth, scores))
    for k in (3, 4):
        flat = np.full((4, k), 0.5)
        inputs += [(np.array([0, 1, 2, 0]), flat), (np.zeros(4, int), flat), (np.full(4, k - 1), flat),
                   (np.array([0, 1, 2, 0]), np.eye(k)[[0, 1, 2, 0]]), (np.array([0, 1, 2, 0]), np.eye(k)[[1, 2, 0, 1]])]
    cases = []
    for truth, scores in inputs:
        k = scores.shape[1]
        positive = truth == 0
        mixed = positive.any() and not positive.all()
        # scikit-learn puts the higher class of equal scores first; reversing the classes gives
        # the lower one first.
        top = {str(j): number(metrics.top_k_accuracy_score(k - 1 - truth, scores[:, ::-1], k=j, labels=range(k))) for j in (1, 2)}
        cases.append({
            "truth": truth.tolist(), "scores": scores.tolist(), "top": top,
            "roc_auc": number(metrics.roc_auc_score(positive, scores[:, 0])) if mixed else None,
            "average_precision": number(metrics.average_precision_score(positive, scores[:, 0])) if positive.any() else None,
        })
    return cases


def icc(x, y):
    """ICC(2,1) and ICC(3,1) by pingouin, from five pairs on."""
    n = len(x)
    if n < 5 or (np.ptp(x) == 0 and np.ptp(y) == 0):
        return None
    frame = pd.DataFrame({"target": list(range(n)) * 2, "rater": ["x"] * n + ["y"] * n, "rating": [*x, *y]})
    table = pingouin.intraclass_corr(frame, targets="target", raters="rater", ratings="rating").set_index("Type")
    name = lambda short, long: short if short in table.index else long
    return number(table.loc[name("ICC2", "ICC(A,1)"), "ICC"]), number(table.loc[name("ICC3", "ICC(C,1)"), "ICC"])


def agreement():
    inputs = []
    for _ in range(RANDOM):
        n = int(rng.integers(5, 60))
        x = rng.random(n) * rng.choice([1, 5])
        y = rng.normal(0.8, 0.2) * x + rng.normal(0, 0.3, n)
        inputs.append((np.round(x, 4), np.round(y, 4)))
    ramp = np.arange(6.0)
    inputs += [
        (ramp, ramp), (ramp, -ramp), (ramp, ramp + 3), (ramp, 2 * ramp), (ramp, np.full(6, 2.0)),
        (np.full(6, 2.0), ramp), (np.full(6, 2.0), np.full(6, 2.0)), (np.full(6, 2.0), np.full(6, 3.0)),
        (np.array([1.0]), np.array([2.0])), (np.array([1.0, 2.0]), np.array([2.0, 1.0])),
        (np.r_[np.zeros(99), 1], np.r_[np.zeros(98), 1, 0]), (ramp + 1e6, ramp[::-1] + 1e6),
    ]
    cases = []
    for x, y in inputs:
        spread = np.var(x) + np.var(y) + (x.mean() - y.mean()) ** 2
        pair = icc(x, y)
        varies = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
        cases.append({
            "x": x.tolist(), "y": y.tolist(),
            "mae": number(metrics.mean_absolute_error(x, y)), "mse": number(metrics.mean_squared_error(x, y)),
            "pcc": number(stats.pearsonr(x, y).statistic) if varies else None,
            "ccc": number(2 * np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 0 else None,
            "icc": None if pair is None else list(pair),
        })
    return cases


def occurrence():
    inputs = [(rng.integers(0, 6, n).astype(float), np.round(rng.random(n), 3)) for n in rng.integers(1, 80, RANDOM)]
    for n in (1, 2, 9):
        inputs += [(np.zeros(n), np.zeros(n)), (np.zeros(n), np.ones(n)), (np.full(n, 5.0), np.zeros(n)), (np.full(n, 2.0), np.full(n, 0.5))]
    cases = []
    for truth, score in inputs:
        a, b = truth >= 2, score >= 0.5
        cases.append({"truth": truth.tolist(), "score": score.tolist(),
                      "f1": number(metrics.f1_score(a, b, zero_division=0)), "accuracy": number(metrics.accuracy_score(a, b))})
    return cases


def calibration():
    inputs = []
    for _ in range(RANDOM):
        k, n = int(rng.integers(2, 9)), int(rng.integers(5, 40))
        p = rng.dirichlet(np.full(k, rng.choice([0.3, 1.0])), n)
        inputs.append((rng.integers(0, k, n), p))
    for k in (2, 4):
        one = np.eye(k)[[0, 1, 0]]
        inputs += [(np.array([0, 1, 0]), one), (np.array([1, 0, 1]), one), (np.array([0, 0, 0]), np.full((3, k), 1 / k)),
                   (np.array([1]), np.eye(k)[[1]]), (np.array([0, 1, 1]), np.eye(k)[[1, 1, 1]] * 0.5 + 0.5 / k)]
    cases = []
    for truth, p in inputs:
        n, k = p.shape
        answer, confidence = p.argmax(1), p.max(1)
        fraction, mean = calibration_curve(answer == truth, confidence, n_bins=10)
        edges = np.linspace(0, 1, 11)
        sizes = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=10)
        ece = float(np.sum(sizes[sizes > 0] / n * np.abs(fraction - mean)))
        brier = metrics.brier_score_loss(truth, p, labels=list(range(k)), scale_by_half=False)
        cases.append({"truth": truth.tolist(), "p": p.tolist(), "ece": number(ece), "brier": number(brier)})
    return cases


def words(n, vocabulary):
    text = " ".join(random.choice(vocabulary) for _ in range(n))
    return text


def text():
    vocabulary = "the brow jaw lip corner is are raised lowered slightly. strongly and joy. anger, pulls".split()
    inputs = [(words(random.randint(5, 40), vocabulary), words(random.randint(5, 40), vocabulary)) for _ in range(RANDOM)]
    inputs += [("a", "a"), ("a", "b"), ("a a a a", "a"), ("a. b. c", "c. b. a"), ("a.. b", "a . b"), (" . ", "a"),
               ("the jaw drops", "The jaw drops"), ("a b c d e", "a b c d e"), ("a\nb\tc d", "a b c d"), ("e d c b a", "a b c d e"),
               ("é ü ß", "é ü"), ("x " * 50, "x y " * 25)]
    cases, scorer = [], Rouge()
    for hypothesis, reference in inputs:
        score = scorer.get_scores(hypothesis, reference)[0]
        pairs = [hypothesis, reference, hypothesis + " " + reference]
        tokens = [p.split() for p in pairs]
        own = [sentence_bleu([t for j, t in enumerate(tokens) if j != i], tokens[i]) for i in range(3)]
        grams = [tuple(t[i:i + 2]) for t in tokens for i in range(len(t) - 1)]
        cases.append({
            "hypothesis": hypothesis, "reference": reference,
            "rouge": [[score[m][s] for s in "prf"] for m in ("rouge-1", "rouge-2", "rouge-l")],
            "bleu": number(corpus_bleu([[reference.split()], [hypothesis.split()]], [hypothesis.split(), hypothesis.split()])),
            "self_bleu": number(np.mean(own)),
            "distinct_2": number(len(set(grams)) / len(grams)) if grams else None,
        })
    return cases


def tests():
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, 60, (RANDOM, 2))]
    pairs += [(0, 0), (0, 1), (1, 0), (1, 1), (0, 10), (10, 0), (5, 5), (500, 400), (1000, 1000), (3000, 2000)]
    return [{"b": b, "c": c, "p": number(mcnemar([[3, b], [c, 4]], exact=True).pvalue) if b + c else 1.0} for b, c in pairs]


def official():
    names = "Neutral Happiness Sadness Surprise Fear Disgust Anger Contempt".split()
    answers = names + ["happiness", "Happy", "Anger.", " Fear ", "", "The person is sad", "Sadness\n"]
    files = []
    for _ in range(RANDOM + 10):
        rows = [{"task": random.choice(["emo_estim"] * 4 + ["emo_analysis"]), "gt": random.choice(names), "offset": {"x": 0, "y": 0},
                 "img_path": f"{i}.jpg", "pred": random.choice(answers)} for i in range(random.randint(0, 30))]
        # The rule of the official evaluation, in this file's own words.
        graded = [r for r in rows if r["task"] == "emo_estim"]
        stripped = [r["pred"].strip() for r in graded]
        files.append({"rows": rows, "total": len(graded), "mismatches": sum(p not in names for p in stripped),
                      "correct": sum(p in names and p == r["gt"] for p, r in zip(stripped, graded))})
    return files


def spearman():
    own = np.random.default_rng(20261125)
    inputs = []
    for _ in range(RANDOM):
        n = int(own.integers(3, 80))
        x = own.random(n)
        y = own.normal(0.5, 0.5) * x + own.normal(0, 0.3, n)
        # Coarse numbers have ties.
        decimals = int(own.integers(0, 5))
        inputs.append((np.round(x, decimals), np.round(y, decimals)))
    ramp = np.arange(6.0)
    inputs += [
        (ramp, ramp), (ramp, -ramp), (ramp, np.exp(ramp)), (ramp, np.full(6, 2.0)), (np.full(6, 2.0), ramp),
        (np.full(6, 2.0), np.full(6, 3.0)), (np.array([1.0]), np.array([2.0])), (np.array([1.0, 2.0]), np.array([2.0, 1.0])),
        (np.r_[np.zeros(99), 1], np.r_[np.zeros(98), 1, 0]), (np.array([0.0, -0.0, 1.0]), ramp[:3]),
        (ramp * 1e300, ramp[::-1] * 1e-300),
    ]
    cases = []
    for x, y in inputs:
        varies = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
        cases.append({"x": x.tolist(), "y": y.tolist(), "rho": number(stats.spearmanr(x, y).statistic) if varies else None})
    return cases


if __name__ == "__main__":
    families = [classification, ranking, agreement, occurrence, calibration, text, tests, official, spearman]
    result = {family.__name__: family() for family in families}
    path = Path(__file__).with_name("fixtures.json")
    path.write_text(json.dumps(result, separators=(",", ":")))
    print({name: len(cases) for name, cases in result.items()}, path.stat().st_size)
