"""ASAP's XML: kinds of annotation, groups, and real ones."""

import pytest

from histogan_tf.data import asap
from histogan_tf.errors import InputError

GROUPS = """<AnnotationGroups>
  <Group Name="tumour" PartOfGroup="None" Color="#64FE2E"><Attributes /></Group>
  <Group Name="necrosis" PartOfGroup="tumour" Color="#64FE2E" />
  <Group Name="loop" PartOfGroup="loop" />
</AnnotationGroups>"""


def annotation(kind, points, group="tumour"):
    found = "".join(
        f'<Coordinate Order="{n}" X="{x}" Y="{y}" />'
        for n, (x, y) in reversed(list(enumerate(points)))
    )
    return (
        f'<Annotation Name="A" Type="{kind}" PartOfGroup="{group}"'
        f' Color="#F4FA58"><Coordinates>{found}</Coordinates></Annotation>'
    )


def read(tmp_path, *annotations):
    path = tmp_path / "a.xml"
    path.write_text(
        '<?xml version="1.0"?><ASAP_Annotations><Annotations>'
        f"{''.join(annotations)}</Annotations>{GROUPS}</ASAP_Annotations>"
    )
    return asap.read(path)


BOX = [(1, 1), (5, 1), (5, 4), (1, 4)]


@pytest.mark.parametrize("kind", ["Polygon", "Spline", "Rectangle"])
def test_areas(tmp_path, kind):
    # The coordinates stand in the file in reverse: Order rules.
    (drawn,) = read(tmp_path, annotation(kind, BOX))
    assert drawn.shape.area == 12 and drawn.shape.exterior.is_ccw
    assert drawn.names == ("tumour",) and drawn.certain


@pytest.mark.parametrize("kind", ["Dot", "PointSet", "Measurement"])
def test_dots_have_no_area(tmp_path, kind):
    (drawn,) = read(tmp_path, annotation(kind, [(3, 3)]))
    assert drawn.shape.is_empty and drawn.names == ("tumour",)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("necrosis", ("necrosis", "tumour")),
        ("None", ("A",)),
        ("loop", ("loop",)),
        ("unlisted", ("unlisted",)),
    ],
)
def test_groups(tmp_path, group, names):
    (drawn,) = read(tmp_path, annotation("Polygon", BOX, group))
    assert drawn.names == names
    # A name alone may be no class.
    assert drawn.certain == (group != "None")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a", r"b\.xml: not XML"),
        ("<Annotations/>", "root element 'Annotations'; ASAP_Annotations"),
        (
            "<ASAP_Annotations><Annotations>"
            + annotation("Polygon", [("x", 1)])
            + "</Annotations></ASAP_Annotations>",
            "annotation 'A': coordinates: ",
        ),
        (
            "<ASAP_Annotations><Annotations>"
            + annotation("Polygon", [("nan", 1)])
            + "</Annotations></ASAP_Annotations>",
            "not finite",
        ),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "b.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        asap.read(path)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.xml: No such file"):
        asap.read(tmp_path / "none.xml")


def test_real_annotations(real_data):
    found = asap.read(real_data / "annotations/asap_cmu1.xml")
    assert len(found) == 4
    assert {drawn.names[0] for drawn in found} == {"malignant", "benign"}
    left, top, _, _ = found[0].shape.bounds
    assert left == pytest.approx(6197.44482) and top > 20000
    areas = [round(drawn.shape.area) for drawn in found]
    assert areas == [1084643, 1189522, 87575, 958292]
