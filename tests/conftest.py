"""Fixtures: where the real tissue lies."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """Folder of real tissue; in CI its absence fails, elsewhere it skips."""
    default = ROOT.parent / "shared" / "data"
    folder = pathlib.Path(os.environ.get("HISTOGAN_DATA", default))
    if not folder.is_dir():
        message = f"{folder}: no such folder; set HISTOGAN_DATA"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
