"""A weights file is written whole or not at all, and read only if it is one of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from malsugoi_assets import disk
from malsugoi_assets.recommend.weights import WeightsError, read_weights, write_weights

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1, -2], dtype=np.int32)}


def test_what_was_written_comes_back_with_its_header(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "m.safetensors"
    write_weights(path, TENSORS, {"note": "∀", "rows": 3}, kind="toy")
    tensors, header = read_weights(path, kind="toy")
    assert header == {"note": "∀", "rows": 3}
    assert set(tensors) == {"a", "b"}
    np.testing.assert_array_equal(tensors["b"], TENSORS["b"])


def test_the_hash_is_the_files_and_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_weights(tmp_path / "1", TENSORS, {"x": 1, "y": 2}, kind="toy")
    second = write_weights(tmp_path / "2", dict(reversed(TENSORS.items())), {"y": 2, "x": 1}, kind="toy")
    assert first == second == hashlib.sha256((tmp_path / "1").read_bytes()).hexdigest()


def test_an_array_that_is_a_view_in_another_order_comes_back_right(tmp_path: Path) -> None:
    turned = TENSORS["b"].T
    write_weights(tmp_path / "m", {"t": turned}, {}, kind="toy")
    np.testing.assert_array_equal(read_weights(tmp_path / "m", kind="toy")[0]["t"], turned)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    write_weights(path, TENSORS, {}, kind="toy")
    before = path.read_bytes()

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_weights(path, {"a": np.zeros(9, np.float32)}, {}, kind="toy")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def broken(path: Path, case: str) -> None:
    write_weights(path, TENSORS, {}, kind="toy")
    data = path.read_bytes()
    if case == "cut off":
        path.write_bytes(data[:-5])
    elif case == "empty":
        path.write_bytes(b"")
    elif case == "a pickle":
        path.write_bytes(b"\x80\x04\x95" + bytes(60))
    elif case == "text":
        path.write_text("not a model")
    elif case == "huge header":
        path.write_bytes(b"\xff" * 8 + data)
    elif case == "foreign":
        save_file(TENSORS, str(path))
    elif case == "foreign metadata":
        save_file(TENSORS, str(path), metadata={"malsugoi": "[1]"})
    elif case == "other kind":
        write_weights(path, TENSORS, {}, kind="cube")
    elif case == "not finite":
        write_weights(path, {"a": np.array([1, np.nan], dtype=np.float32)}, {}, kind="toy")
    elif case == "missing":
        path.unlink()
    elif case == "a folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    "case",
    [
        "cut off",
        "empty",
        "a pickle",
        "text",
        "huge header",
        "foreign",
        "foreign metadata",
        "other kind",
        "not finite",
        "missing",
        "a folder",
    ],
)
def test_a_file_that_is_wrong_is_an_error_that_names_it(tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.safetensors"
    broken(path, case)
    with pytest.raises(WeightsError, match=r"m\.safetensors"):
        read_weights(path, kind="toy")
