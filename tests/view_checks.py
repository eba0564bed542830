"""What a browser must show of `test_view`'s slide and its two overlays."""

import numpy as np
import pytest

from histogan_tf.data import images

HEIGHT, WIDTH, MPP = 900, 1300, 0.5
LOADED = """window.viewer && viewer.world.getItemCount() === 3 &&
  [0, 1, 2].every((n) => viewer.world.getItemAt(n).getFullyLoaded())"""
RESTS = """((now, then) => ["x", "y", "width"].every(
  (key) => Math.abs(now[key] - then[key]) < 1e-6))(
  viewer.viewport.getBounds(true), viewer.viewport.getBounds())"""
ZOOM = "viewer.viewport.getZoom()"
CENTRE = "viewer.viewport.getCenter().x"
OPACITY = "viewer.world.getItemAt({}).getOpacity()"


def check_layers(page):
    """All layers cover the same area, and a tile of each has its colours."""
    sizes = page.run(
        "[0, 1, 2].map((n) => viewer.world.getItemAt(n).getBounds())"
        ".map((b) => [b.x, b.y, b.width, b.height])"
    )
    for size in sizes:
        np.testing.assert_allclose(size, [0, 0, 1, HEIGHT / WIDTH], atol=2e-3)
    # 960 px show 1300 px of 0.5 um.
    text = page.run("document.getElementById('bar-text').textContent")
    assert text.startswith("50 µm") or text.startswith("100 µm")
    shown = page.run("document.getElementById('bar').offsetWidth")
    um = float(text.split()[0])
    zoom = page.run(
        "viewer.world.getItemAt(0).viewportToImageZoom("
        "viewer.viewport.getZoom(true))"
    )
    assert abs(shown - um * zoom / MPP) <= 1


def check_moves(page):
    before = page.run(ZOOM)
    page.key("+")
    assert page.run(ZOOM) > 1.4 * before
    middle = page.run(CENTRE)
    page.key("ArrowRight")
    assert page.run(CENTRE) > middle + 0.05
    page.mouse("mouseWheel", 400, 300, deltaX=0, deltaY=-240)
    page.wait(f"{ZOOM} > {1.6 * before}")
    middle = page.run(CENTRE)
    page.mouse("mousePressed", 400, 300, button="left", clickCount=1)
    for x in range(400, 300, -20):
        page.mouse("mouseMoved", x, 300, button="left", buttons=1)
    page.mouse("mouseReleased", 300, 300, button="left", clickCount=1)
    page.wait(f"{CENTRE} > {middle} + 0.02")
    page.run("document.getElementById('home').click()")
    assert page.run(ZOOM) == pytest.approx(before)


def check_sliders(page):
    assert page.run(OPACITY.format(1)) == 0.5
    page.run(
        "(() => {const s = document.getElementById('opacity-mask');"
        "s.value = 20; s.dispatchEvent(new Event('input'));})()"
    )
    assert page.run(OPACITY.format(1)) == 0.2
    assert page.run(OPACITY.format(2)) == 0.5
    page.key("]")
    assert page.run(OPACITY.format(1)) == 0.25
    assert page.run(OPACITY.format(2)) == 0.55
    page.key("2")
    assert page.run(OPACITY.format(2)) == 0
    page.key("2")
    assert page.run(OPACITY.format(2)) == 0.55
    # Arrows move a slider that has the focus, not the image.
    page.run("document.getElementById('opacity-mask').focus()")
    middle = page.run(CENTRE)
    page.key("ArrowRight")
    assert page.run(CENTRE) == pytest.approx(middle)


def check_pixels(page, folder):
    """The mask's tiles reach the screen, where they belong, and go again."""
    page.wait(RESTS)
    page.wait(LOADED)
    place = page.run(
        "(() => {const p = viewer.world.getItemAt(0)"
        ".imageToViewerElementCoordinates(new OpenSeadragon.Point(400, 300));"
        "return [Math.round(p.x), Math.round(p.y)];})()"
    )
    colors = []
    for key in ("2", "1", "1"):  # segmentation off; mask off, on
        page.key(key)
        page.run(
            "new Promise((done) => requestAnimationFrame("
            "() => requestAnimationFrame(done)))"
        )
        page.screenshot(folder / "shot.png")
        image = images.read_image(folder / "shot.png")
        x, y = place
        colors.append(image[y - 5 : y + 5, x - 5 : x + 5].mean((0, 1)))
    page.key("2")
    on, off, again = colors
    np.testing.assert_allclose(again, on, atol=3)
    np.testing.assert_allclose(
        on, 0.75 * off + 0.25 * np.array([110, 60, 150]), atol=4
    )


def check_small_window(page):
    page.resize(420, 560)
    page.wait("viewer.viewport.getContainerSize().x <= 420")
    assert page.run("document.documentElement.scrollWidth") <= 420
    assert page.run("document.getElementById('view').clientHeight") > 150
    page.key("p")
    page.wait("document.getElementById('view').clientHeight >= 550")
