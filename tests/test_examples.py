"""The examples: what they find, and that they run as a stranger runs them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import symgraph as sg

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    """The module of an example, found the way Python finds it when it runs as a script."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(name)


def run(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


# ---- the short ones ------------------------------------------------------------------------------


def test_xor_is_what_the_book_prints() -> None:
    found = example("xor").main()
    np.testing.assert_allclose(found["linear"], [0, 0, 0.5], atol=1e-14)
    np.testing.assert_array_equal(found["hidden"], [[0, 0], [1, 0], [1, 0], [2, 1]])
    np.testing.assert_array_equal(found["answers"], [0, 1, 1, 0])
    assert found["learned"] >= 8


def test_logistic_regression_agrees_with_scikit_learn() -> None:
    found = example("logistic_regression").main()
    assert found["apart"] < 1e-4
    assert found["accuracy"] > 0.97


def test_newton_converges_quadratically() -> None:
    norms = example("logistic_regression").main()["norms"]
    slow, fast = np.log(norms[-2] / norms[-3]), np.log(norms[-3] / norms[-4])
    assert slow / fast > 1.6


def test_rosenbrock_is_found_with_derivatives() -> None:
    found = example("rosenbrock").main()
    assert all(found[method] < 1e-3 for method in ("BFGS", "trust-ncg", "Newton-CG"))


def test_map_regression_is_ridge_regression() -> None:
    found = example("map_regression").main()
    assert all(apart < 1e-3 * norm for norm, apart in found.values())


def test_a_wider_prior_decays_less() -> None:
    norms = [norm for norm, _ in example("map_regression").main().values()]
    assert norms == sorted(norms)


SHORT = ("xor", "logistic_regression", "rosenbrock", "map_regression")


@pytest.mark.parametrize("name", SHORT)
def test_short_examples_run_as_scripts(name: str, tmp_path: Path) -> None:
    done = run(f"{name}.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("name", SHORT)
def test_short_examples_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 60


# ---- digits --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole demo, once; its picture goes to a folder of its own."""
    folder = tmp_path_factory.mktemp("digits")
    before = Path.cwd()
    os.chdir(folder)
    try:
        return {**example("digits").main([]), "folder": folder}
    finally:
        os.chdir(before)


def test_digits_are_learnt(digits: dict[str, Any]) -> None:
    assert digits["accuracy"] >= 0.96


def test_five_products_are_left(digits: dict[str, Any]) -> None:
    assert digits["products"] == 5


def test_the_gradient_becomes_q_minus_p(digits: dict[str, Any]) -> None:
    one_hot = "one_hot(y, 10)"
    assert digits["gradient"] == f"1 / n * (softmax(z, axis=1) - {one_hot})"


def test_curvature_agrees_with_finite_differences(digits: dict[str, Any]) -> None:
    assert digits["error"] < 1e-5


def test_eigenvalues_come_in_order_and_are_positive(digits: dict[str, Any]) -> None:
    first, second, third = digits["eigenvalues"]
    assert first >= second >= third > 0


def test_newton_and_sgd_both_learn(digits: dict[str, Any]) -> None:
    assert all(cost < 0.1 for cost in digits["costs"].values())


def test_the_step_by_hand_agrees(digits: dict[str, Any]) -> None:
    assert digits["times"]["apart"] < 1e-4


def test_the_picture_is_a_page(digits: dict[str, Any]) -> None:
    page = (digits["folder"] / "digits_graph.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "softmax" in page


def test_one_program_serves_all_batch_sizes(digits: dict[str, Any]) -> None:
    cost = [digits["step"](np.zeros((n, 64), "f"), np.zeros(n, "i8")) for n in (1, 7, 150)]
    assert all(np.isfinite(c) for c in cost)


def test_weight_decay_is_the_prior(digits: dict[str, Any]) -> None:
    """Costs differ by minus the log of N(0, sigma^2), up to what does not depend on the weights."""
    module = example("digits")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(3, 4)), np.array([0, 1, 1])
    sets = [[rng.normal(size=s) for s in ((4, 5), (5,), (5, 2), (2,))] for _ in range(2)]

    def penalty(values: list[Any]) -> float:
        p = [sg.constant(v) for v in values]
        whole = module.cost(sg.constant(x), sg.constant(y), p, 7)
        return float((whole - module.cross_entropy(module.logits(sg.constant(x), p), y)).eval())

    def prior(values: list[Any]) -> float:
        logs = [norm.logpdf(w, scale=module.SIGMA).sum() for w in (values[0], values[2])]
        return float(-sum(logs) / 7)

    assert penalty(sets[0]) - penalty(sets[1]) == pytest.approx(prior(sets[0]) - prior(sets[1]))


# ---- the user's own table ------------------------------------------------------------------------


def blobs(rows: int = 90) -> tuple[Any, Any]:
    """Three well separated clouds with labels 2, 5, 9 and features of unlike scales."""
    rng = np.random.default_rng(6)
    kind = np.arange(rows) % 3
    centres = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    return (centres[kind] + rng.normal(size=(rows, 2))) * [1.0, 1000.0], np.array([2, 5, 9])[kind]


def text_table(header: str = "") -> str:
    X, y = blobs()
    return header + "".join(f"{a},{b},{k}\n" for (a, b), k in zip(X, y, strict=True))


@pytest.mark.parametrize("header", ["", "width,height,kind\n"])
def test_csv_is_read(header: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text_table(header), encoding="utf-8")
    X, y = example("dataset").table(path)
    np.testing.assert_array_equal(X, blobs()[0])
    np.testing.assert_array_equal(y, np.arange(90) % 3)


def test_npz_is_read(tmp_path: Path) -> None:
    X, y = blobs()
    np.savez(tmp_path / "t.npz", X=X, y=y)
    found = example("dataset").table(tmp_path / "t.npz")
    np.testing.assert_array_equal(found[0], X)


def test_a_table_of_ones_own_trains(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text_table(), encoding="utf-8")
    done = run("digits.py", "--data", "t.csv", "--epochs", "20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "75 rows of 2 features in 3 classes" in done.stdout
    assert "test accuracy 100.0%" in done.stdout


def test_output_that_is_no_terminal_has_no_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text_table(), encoding="utf-8")
    done = run("digits.py", "--data", "t.csv", "--epochs", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stdout


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    example("digits").report(1, 2, 0.5)
    assert capsys.readouterr().out == f"\r  [{'#' * 15:30}] epoch   1  cost 0.5000"


def arrays(**changed: Any) -> dict[str, Any]:
    X, y = blobs()
    return {k: v for k, v in {"X": X, "y": y, **changed}.items() if v is not None}


NAN = np.where(np.arange(180).reshape(90, 2) == 7, np.nan, 1.0)
HALF = np.where(np.arange(90) == 4, 1.5, np.arange(90) % 3)

BAD_ARCHIVES = {
    "no array named y": arrays(y=None),
    "X has 90 rows, y has 89": arrays(y=np.zeros(89)),
    "X has shape (90,), y (90,)": arrays(X=np.zeros(90)),
    "X has shape (90, 0), y (90,)": arrays(X=np.zeros((90, 0))),
    "both must be numbers": arrays(y=np.array(["a"] * 90)),
    "not an archive of numeric arrays": arrays(X=np.array([[object()]] * 90)),
    "X[3, 1] is nan": arrays(X=NAN),
    "y[4] is 1.5; labels are integers": arrays(y=HALF),
    "1 different labels in 90 rows": arrays(y=np.zeros(90)),
    "90 different labels in 90 rows": arrays(y=np.arange(90)),
}


@pytest.mark.parametrize("message", BAD_ARCHIVES)
def test_a_bad_archive_is_refused(message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, **BAD_ARCHIVES[message])
    assert message in refusal(path)


BAD_TEXTS = {
    "no rows of numbers": "a,b,label\n",
    "one column only": "1\n2\n",
    "line 3 has 2 columns, line 2 3": "a,b,label\n1,2,0\n1,0\n",
    "line 2, column 1: 'tall' is not a number": "1,2,0\ntall,2,1\n",
    "line 2, column 2: '' is not a number": "1,2,0\n1,,1\n",
    "X[1, 0] is inf": "1,2,0\ninf,2,1\n",
}


@pytest.mark.parametrize("message", BAD_TEXTS)
def test_a_bad_text_is_refused(message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(BAD_TEXTS[message], encoding="utf-8")
    assert message in refusal(path)


OTHERS = {
    "there is no such file": ("missing.csv", None),
    "neither .npz": ("t.json", json.dumps([1, 2])),
    "not a text table": ("t.csv", b"\xff\xfe\x00\x01"),
    "not an archive": ("t.npz", b"PK nonsense"),
}


@pytest.mark.parametrize("message", OTHERS)
def test_another_file_is_refused(message: str, tmp_path: Path) -> None:
    name, content = OTHERS[message]
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    assert message in refusal(tmp_path / name)


def refusal(path: Path) -> str:
    module = example("dataset")
    with pytest.raises(module.DataError) as caught:
        module.table(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_bad_file_ends_the_script_with_one_line(tmp_path: Path) -> None:
    done = run("digits.py", "--data", "missing.npz", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "digits.py: missing.npz: there is no such file\n"
