// The viewer of a slide or canvas. In: the JSON in #facts and Deep Zoom tiles
// beside the page. It loads tiles as <img> alone, never by fetch or XHR, which
// browsers refuse to pages opened from disk.
"use strict";

const facts = JSON.parse(document.getElementById("facts").textContent);
const byId = (id) => document.getElementById(id);
const SMALLEST = 8; // level of at most 256 px a side, where loading begins
const STEP = 5; // percent of opacity a key press

const viewer = OpenSeadragon({
  id: "view",
  // WebGL may not read pixels of file:// images.
  drawer: "canvas",
  crossOriginPolicy: false,
  loadTilesWithAjax: false,
  showNavigationControl: false,
  showNavigator: true,
  navigatorPosition: "BOTTOM_RIGHT",
  navigatorSizeRatio: 0.17,
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  maxZoomPixelRatio: 16,
  minZoomImageRatio: 0.7,
  visibilityRatio: 0.3,
  animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches
    ? 0
    : 0.5,
  // Else half-transparent tiles show seams.
  subPixelRoundingForTransparency: {
    "*": OpenSeadragon.SUBPIXEL_ROUNDING_OCCURRENCES.ALWAYS,
  },
});

function tileSource(layer) {
  const last = Math.ceil(Math.log2(Math.max(layer.width, layer.height)));
  return new OpenSeadragon.DziTileSource({
    width: layer.width,
    height: layer.height,
    tileSize: facts.tile,
    tileOverlap: 0,
    tilesUrl: layer.name + "_files/",
    fileFormat: layer.format,
    minLevel: Math.min(SMALLEST, last),
    maxLevel: last,
  });
}

const image = facts.layers[0];
const items = new Map(); // name of a layer: its TiledImage

facts.layers.forEach((layer, index) => {
  viewer.addTiledImage({
    tileSource: tileSource(layer),
    index,
    opacity: opacityOf(layer),
    // All layers share the slide's corner; each has a scale of its own.
    width: (layer.width * layer.mpp) / (image.width * image.mpp),
    success: (event) => {
      items.set(layer.name, event.item);
      show(layer);
      if (index === 0) update();
    },
  });
});

// Overlays

function opacityOf(layer) {
  const slider = byId("opacity-" + layer.name);
  if (!slider) return 1;
  return byId("show-" + layer.name).checked ? slider.value / 100 : 0;
}

function show(layer) {
  const slider = byId("opacity-" + layer.name);
  if (slider) {
    byId("value-" + layer.name).textContent = slider.value + " %";
    slider.disabled = !byId("show-" + layer.name).checked;
  }
  const item = items.get(layer.name);
  if (item) item.setOpacity(opacityOf(layer));
}

const overlays = facts.layers.slice(1);
overlays.forEach((layer) => {
  byId("opacity-" + layer.name).addEventListener("input", () => show(layer));
  byId("show-" + layer.name).addEventListener("change", () => show(layer));
});

function toggle(layer) {
  const box = byId("show-" + layer.name);
  box.checked = !box.checked;
  show(layer);
}

function fade(change) {
  overlays
    .filter((layer) => byId("show-" + layer.name).checked)
    .forEach((layer) => {
      const slider = byId("opacity-" + layer.name);
      slider.value = Number(slider.value) + change;
      show(layer);
    });
}

// Scale bar and pointer

function length(um) {
  return um >= 1000 ? um / 1000 + " mm" : um + " µm";
}

// The largest of 1, 2, 5 times a power of ten that is no more than `um`.
function rounded(um) {
  const power = 10 ** Math.floor(Math.log10(um));
  const step = [5, 2, 1].find((n) => n * power <= um * 1.000001) || 1;
  return Number((step * power).toPrecision(1));
}

function update() {
  const item = items.get(image.name);
  if (!item) return;
  const zoom = item.viewportToImageZoom(viewer.viewport.getZoom(true));
  const perPixel = image.mpp / zoom; // um per px of the screen
  const um = rounded(140 * perPixel);
  byId("bar").style.width = um / perPixel + "px";
  byId("bar-text").textContent =
    length(um) + " · " + perPixel.toPrecision(3) + " µm/px";
  // Enlarged, the pixels are shown as they are; reduced, they are averaged.
  viewer.drawer.setImageSmoothingEnabled(zoom < 2);
}

["animation", "resize", "open", "viewport-change"].forEach((name) =>
  viewer.addHandler(name, update),
);

new OpenSeadragon.MouseTracker({
  element: "view",
  moveHandler: (event) => {
    const item = items.get(image.name);
    if (!item) return;
    const point = item.viewerElementToImageCoordinates(event.position);
    const scale = image.mpp / facts.mpp; // px of the file's level 0
    const [x, y] = [point.x * scale, point.y * scale].map(Math.floor);
    const inside =
      x >= 0 && y >= 0 && point.x < image.width && point.y < image.height;
    byId("place").textContent = inside ? `x ${x}, y ${y} px` : "";
  },
});

// Buttons and keys

const zoomBy = (factor) => {
  viewer.viewport.zoomBy(factor);
  viewer.viewport.applyConstraints();
};

function panBy(x, y) {
  const size = viewer.viewport.getBounds();
  viewer.viewport.panBy(
    new OpenSeadragon.Point((x * size.width) / 5, (y * size.height) / 5),
  );
  viewer.viewport.applyConstraints();
}

function panel() {
  byId("panel").hidden = !byId("panel").hidden;
  byId("panel-button").setAttribute("aria-expanded", !byId("panel").hidden);
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}

const keys = {
  "+": () => zoomBy(1.5),
  "=": () => zoomBy(1.5),
  "-": () => zoomBy(1 / 1.5),
  0: () => viewer.viewport.goHome(),
  ArrowLeft: () => panBy(-1, 0),
  ArrowRight: () => panBy(1, 0),
  ArrowUp: () => panBy(0, -1),
  ArrowDown: () => panBy(0, 1),
  "[": () => fade(-STEP),
  "]": () => fade(STEP),
  p: panel,
  f: fullscreen,
};
overlays.forEach((layer, place) => {
  keys[place + 1] = () => toggle(layer);
});

// OpenSeadragon's own keys act on the focused canvas only, and turn it too.
viewer.innerTracker.keyHandler = null;
viewer.innerTracker.keyDownHandler = null;

document.addEventListener("keydown", (event) => {
  const slider = event.target.type === "range";
  const arrow = event.key.startsWith("Arrow");
  if (event.ctrlKey || event.metaKey || event.altKey || (slider && arrow))
    return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

byId("zoom-in").addEventListener("click", keys["+"]);
byId("zoom-out").addEventListener("click", keys["-"]);
byId("home").addEventListener("click", keys[0]);
byId("fullscreen").addEventListener("click", fullscreen);
byId("panel-button").addEventListener("click", panel);

// What cannot be shown is told, not left black.

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
}

viewer.addHandler("tile-load-failed", (event) =>
  trouble("Cannot load " + event.tile.getUrl() + "; was the folder moved in part?"),
);
viewer.addHandler("add-item-failed", (event) => trouble(event.message));
window.viewer = viewer;
