"""Devices are taken as asked for or refused in one line; threads follow what the machine grants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.devices import DeviceError, compute_threads, resolve_device


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(("devices", "expected"), [(0, "cpu"), (1, "cuda:0"), (4, "cuda:0")])
def test_auto_takes_the_first_gpu_or_else_the_cpu(
    monkeypatch: pytest.MonkeyPatch, devices: int, expected: str
) -> None:
    pretend(monkeypatch, devices)
    assert resolve_device("auto") == expected


@pytest.mark.parametrize(("wanted", "expected"), [("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")])
def test_a_gpu_that_is_there_is_taken_by_number(monkeypatch: pytest.MonkeyPatch, wanted: str, expected: str) -> None:
    pretend(monkeypatch, 2)
    assert resolve_device(wanted) == expected


@pytest.mark.parametrize(("wanted", "devices"), [("cuda", 0), ("cuda:1", 1), ("cuda:9", 2)])
def test_a_gpu_that_is_not_there_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, wanted: str, devices: int
) -> None:
    pretend(monkeypatch, devices)
    with pytest.raises(DeviceError, match="is not there") as caught:
        resolve_device(wanted)
    assert repr(wanted) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wanted", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:²", "CPU", "cpu:0", "cuda:1\n", "mps"]
)
def test_a_word_that_names_no_device_is_refused(wanted: str) -> None:
    with pytest.raises(DeviceError, match="use auto, cpu, cuda or cuda:N"):
        resolve_device(wanted)


def test_a_quota_of_the_container_limits_the_threads(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert available_threads(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert available_threads(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_threads(tmp_path) == cores


def test_the_older_form_of_the_quota_is_read_too_and_nonsense_is_no_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert available_threads(tmp_path) == 1
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("what")
    assert available_threads(tmp_path) == available_threads(tmp_path / "nothing")


def test_the_number_of_threads_is_put_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    inside = []

    def fail() -> None:
        with compute_threads(before + 1):
            inside.append(torch.get_num_threads())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


def pretend(monkeypatch: pytest.MonkeyPatch, devices: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
