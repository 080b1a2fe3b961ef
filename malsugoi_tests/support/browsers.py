"""For tests with a real Chromium: they are skipped, with the reason, where none is installed."""

from __future__ import annotations

import pytest

from malsugoi_assets.mal.browser import MISSING, installed

needs_chromium = pytest.mark.skipif(installed() is None, reason=MISSING)
