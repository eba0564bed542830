"""DICOM slides: one file a series, by a stand-in for openslide."""

import pathlib

import openslide
import pytest

from histogan_tf.data import dicom_series


@pytest.fixture
def opened(monkeypatch):
    """Files of one slide start with the same letter; `x` opens nothing."""

    class Slide:
        def __init__(self, path):
            if path.name.startswith("x"):
                raise openslide.OpenSlideError("no slide")
            self.properties = {"openslide.quickhash-1": path.name[0]}
            names.append(path.name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    names = []
    monkeypatch.setattr(openslide, "OpenSlide", Slide)
    return names


def test_the_first_file_of_a_slide_stays(opened):
    names = (
        "d/a1.dcm", "d/a2.DCM", "d/b1.dcm", "d/a.svs", "d/x1.dcm", "d/x2.dcm",
        "e/a1.dcm",
    )  # fmt: skip
    found = dicom_series.one_each(map(pathlib.Path, names))
    assert [str(path) for path in found] == [
        "d/a1.dcm", "d/b1.dcm", "d/a.svs", "d/x1.dcm", "d/x2.dcm", "e/a1.dcm"
    ]  # fmt: skip
    # Other slides are not opened.
    assert opened == ["a1.dcm", "a2.DCM", "b1.dcm", "a1.dcm"]
