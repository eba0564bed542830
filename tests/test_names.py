"""Files of different folders that have one name: results keep the folders."""

import functools
import json
import pathlib
import shutil
import weakref

import numpy as np
import pytest
import serving_fake
import serving_fake_model
from programs import run_program, segmented

from histogan_tf import (
    canvas,
    input_files,
    styles,
    window_paint,
    work_folder,
)
from histogan_tf.data import images
from histogan_tf.errors import InputError
from trainer import item_notes, last_made, synthesize_image, view_files
from trainer.synthesize_canvas import ByWindows
from trainer.synthesize_image import AtOnce

ENDINGS = (".png", ".tif")
WAYS = {".png": AtOnce, ".ome.tif": ByWindows}


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(source):
    return list(input_files.find(str(source), ENDINGS).values())


def test_names_by_hand(tmp_path):
    touched(tmp_path, "p1/x/a.png", "p1/x/b.png", "p2/x/c.png")
    assert found(tmp_path / "p1/x") == ["a", "b"]
    assert found(tmp_path / "*/x/*.png") == ["a", "b", "c"]
    # One name twice, and all get their folders.
    touched(tmp_path, "p2/x/a.ome.tif")
    assert found(tmp_path / "*/x/*") == ["p1/a", "p1/b", "p2/a", "p2/c"]
    names = {"p1/x/a", "p1/x/b", "p2/x/a", "p2/x/c"}
    assert set(found(tmp_path / "**/*")) == names
    assert set(found(tmp_path / "**/**/*")) == names
    # Brackets of a folder's own name are no wildcard.
    touched(tmp_path, "set [1]/p1/a.png", "set [1]/p2/a.png")
    assert found(tmp_path / "set [1]/*/*") == ["p1/a", "p2/a"]
    touched(tmp_path, "p1/x/b.tif")
    with pytest.raises(InputError, match=r"b\.tif: a second .* named 'p1/b'"):
        found(tmp_path / "*/x/*")


@pytest.fixture
def cases(tmp_path, phantom_files):
    """p1 and p2, each with images/a.png and masks/a.png."""
    for number in (1, 2):
        for kind in ("images", "masks"):
            folder = tmp_path / "cases" / f"p{number}" / kind
            folder.mkdir(parents=True)
            source = phantom_files / kind / f"tile_{number}.png"
            shutil.copyfile(source, folder / "a.png")
    return tmp_path / "cases"


@pytest.fixture
def run(random_run, capsys, monkeypatch):
    def program(name, code=0, **given):
        ended, out, err = run_program(
            f"trainer.{name}", capsys, monkeypatch, run_dir=random_run, **given
        )
        assert ended == code, err
        return out or err

    return program


@pytest.mark.parametrize("by_windows", [False, True])
def test_segmented(run, cases, tmp_path, by_windows):
    segment = functools.partial(
        run, "segment", mpp=2.5, geojson=True, canvas=by_windows
    )
    segment(images=cases / "*/images/*.png", output=tmp_path / "out")
    all_made = segmented(tmp_path / "out")
    names = [entry["name"] for entry in json.loads(all_made.pop("images"))]
    assert names == ["p1/a", "p2/a"]
    for case in ("p1", "p2"):
        segment(images=cases / case / "images", output=tmp_path / case)
        one = segmented(tmp_path / case)
        del one["images"]
        rows = one.pop("areas.csv").replace(b"\na,", f"\n{case}/a,".encode())
        head, _, body = rows.partition(b"\n")
        assert all_made["areas.csv"].startswith(head)
        assert body in all_made["areas.csv"]
        assert one.keys() >= {"overlays/a.png", "outlines/a.geojson"}
        for name, value in one.items():
            place = pathlib.Path(name)
            there = str(place.parent / case / place.name)
            assert all_made.pop(there) == value, there
        # The viewer finds each patient's.
        image = cases / case / "images" / "a.png"
        shown = view_files.overlays(image, None, str(tmp_path / "out"))
        assert shown["segmentation"].parent == tmp_path / "out/masks" / case
        more = view_files.downloads(image, [], str(tmp_path / "out"))
        assert tmp_path / "out/outlines" / case / "a.geojson" in more
    assert list(all_made) == ["areas.csv"]


def test_images_that_were_moved(tmp_path):
    """Their results are shown where no other image can be meant."""
    (tmp_path / "masks" / "p1").mkdir(parents=True)
    mask = tmp_path / "masks" / "p1" / "a.png"
    mask.touch()
    record = tmp_path / "segmentation.json"
    entries = [{"file": "old/p1/a.png", "name": "p1/a"}]
    record.write_text(json.dumps({"images": entries}))
    moved = pathlib.Path("new/p1/a.png")
    shown = view_files.overlays(moved, None, str(tmp_path))
    assert shown["segmentation"] == mask
    entries.append({"file": "old/p2/a.png", "name": "p2/a"})
    record.write_text(json.dumps({"images": entries}))
    with pytest.raises(InputError, match=r"may be any of p1/a, p2/a; state"):
        view_files.overlays(moved, None, str(tmp_path))


def test_work_of_other_names_is_not_done_anew(
    run, cases, tmp_path, monkeypatch
):
    """A file whose name repeats renames others' results."""
    (cases / "p2/images/a.png").rename(cases / "p2/images/b.png")
    (cases / "p2/masks/a.png").rename(cases / "p2/masks/b.png")
    both = {
        "segment": {"images": cases / "*/images/*.png"},
        "synthesize": {"masks": cases / "*/masks/*.png"},
    }
    for name, given in both.items():
        given |= {"output": tmp_path / name, "mpp": 2.5}
        with monkeypatch.context() as patch:
            patch.setattr(work_folder, "_publish", interrupted)
            run(name, code=130, **given)
    for kind in ("images", "masks"):
        shutil.copyfile(cases / f"p1/{kind}/a.png", cases / f"p2/{kind}/a.png")
    for name, given in both.items():
        told = run(name, code=2, **given)
        assert "p1/" in told and "as 'a" in told and "now it is 'p1/a" in told
    for kind in ("images", "masks"):
        (cases / f"p2/{kind}/a.png").unlink()
    for name, given in both.items():
        run(name, **given)
        assert (tmp_path / name).is_dir()


def interrupted(*_):
    raise KeyboardInterrupt


def test_nothing_is_left_of_a_patient_who_is_gone(
    run, cases, tmp_path, monkeypatch
):
    shutil.copytree(cases / "p1", cases / "p3.json")
    given = {"images": cases / "*/images/*.png", "mpp": 2.5}
    given["output"] = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(work_folder, "_publish", interrupted)
        run("segment", code=130, **given)
    shutil.rmtree(cases / "p2")
    run("segment", **given)
    inside = sorted(path.name for path in (tmp_path / "out/masks").iterdir())
    assert inside == ["p1", "p3.json"]


def test_two_images_of_one_file_are_refused(run, cases, tmp_path):
    shutil.copytree(cases / "p2/masks", cases / "p1/masks/stages/0")
    told = run(
        "synthesize",
        code=2,
        masks=cases / "p1/masks/**/*.png",
        output=tmp_path / "out",
        mpp=2.5,
        stages=True,
    )
    assert "stages/0/a_0.png would be of" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cases"]


def test_one_thing_at_a_time():
    made, alive = [], weakref.WeakSet()

    class Large:
        pass

    @last_made.LastMade
    def make(*given):
        assert not alive
        made.append(given)
        thing = Large()
        alive.add(thing)
        return thing

    one = make("a", 1)
    assert make("a", 1) is one and made == [("a", 1)]
    del one
    for given in (("a", 2), ("a", 1)):
        assert isinstance(make(*given), Large)
    assert made == [("a", 1), ("a", 2), ("a", 1)]


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "segmentation.json").write_text("{")
    with pytest.raises(InputError, match=r"segmentation\.json: not a record"):
        view_files.overlays(pathlib.Path("a.png"), None, str(tmp_path))


@pytest.fixture
def traced(random_canvas, random_painter, monkeypatch):
    monkeypatch.setattr(canvas, "Canvas", lambda pyramid: random_canvas)
    monkeypatch.setattr(
        window_paint, "WindowPainter", lambda pyramid: random_painter
    )
    synthesize_image._canvas.cache_clear()
    yield
    synthesize_image._canvas.cache_clear()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("ending", [".png", ".ome.tif"])
def test_synthesized(run, cases, tmp_path, monkeypatch, ending):
    paint = functools.partial(
        run,
        "synthesize",
        masks=cases / "*/masks/*.png",
        mpp=2.5,
        samples=2,
        canvas=ending != ".png",
    )
    paint(output=tmp_path / "out")
    record = json.loads((tmp_path / "out" / "synthesis.json").read_text())
    files = [f"{p}/a_{s}{ending}" for p in ("p1", "p2") for s in (0, 1)]
    assert [entry["file"] for entry in record["images"]] == files
    for entry in record["images"]:
        assert (tmp_path / "out" / entry["file"]).stat().st_size > 0
        # Each patient's mask draws stains of its own.
        drawn = styles.drawn(entry["name"][:4], entry["seed"], 4)
        assert entry["style_name"] == f"train_{drawn}"
    # Stopped in the third image, and gone on with.
    calls, way = [], WAYS[ending]
    whole = way.paint

    def failing(self, *values):
        calls.append(values)
        if len(calls) == 3:
            raise KeyboardInterrupt
        whole(self, *values)

    with monkeypatch.context() as patch:
        patch.setattr(way, "paint", failing)
        paint(output=tmp_path / "again", code=130)
    there = item_notes.states(tmp_path / ".again.work")
    assert list(there) == files[:3]
    paint(output=tmp_path / "again")
    for file in files:
        one, other = (tmp_path / n / file for n in ("out", "again"))
        assert one.read_bytes() == other.read_bytes()


def test_a_server_is_asked(cases, tmp_path, capsys, monkeypatch):
    model = serving_fake_model.Model()

    def client(command, **given):
        with serving_fake.serve(model.fake()) as address:
            code, _, err = run_program(
                "serving.client",
                capsys,
                monkeypatch,
                command=command,
                server=address,
                model="m",
                mpp=2,
                **given,
            )
        assert code == 0, err

    client("segment", input=cases / "*/images/*", output=tmp_path / "s")
    for case in ("p1", "p2"):
        image = images.read_image(cases / case / "images" / "a.png")
        found = images.read_mask_raw(tmp_path / "s/masks" / case / "a.png")
        wanted = serving_fake_model.classes_of(image)
        np.testing.assert_array_equal(found, wanted)
    client("generate", input=cases / "*/masks/*", output=tmp_path / "g")
    record = json.loads((tmp_path / "g" / "synthesis.json").read_text())
    files = [entry["file"] for entry in record["images"]]
    assert files == ["p1/a_0.png", "p2/a_0.png"]
    assert all((tmp_path / "g" / file).exists() for file in files)
