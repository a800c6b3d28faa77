/* Shows what the model saw at the chosen zoom; the arrow keys walk over the map as it is laid out. */
(() => {
  "use strict";
  const { rows, columns, start } = JSON.parse(document.getElementById("data").textContent);
  const crop = document.querySelector("#chosen .crop");
  const text = document.querySelector("#chosen figcaption");
  const cell = (zoom) => document.getElementById(`z${zoom}`);
  crop.style.backgroundImage = `url("${document.getElementById("sprite").src}")`;
  crop.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  const part = (index, of) => (of > 1 ? `${(100 * index) / (of - 1)}%` : "0%");
  let chosen = start;
  const choose = (zoom, focus) => {
    const before = cell(chosen);
    before.tabIndex = -1;
    before.setAttribute("aria-pressed", "false");
    chosen = zoom;
    const now = cell(zoom);
    now.tabIndex = 0;
    now.setAttribute("aria-pressed", "true");
    if (focus) now.focus();
    crop.style.backgroundPosition = `${part(zoom % columns, columns)} ${part(Math.floor(zoom / columns), rows)}`;
    text.textContent = now.getAttribute("aria-label");
  };
  const map = document.querySelector(".map");
  const zoomOf = (event) => {
    const found = event.target.closest("button.cell");
    return found ? Number(found.id.slice(1)) : null;
  };
  map.addEventListener("click", (event) => { const zoom = zoomOf(event); if (zoom !== null) choose(zoom, true); });
  map.addEventListener("pointerover", (event) => {
    const zoom = event.pointerType === "mouse" ? zoomOf(event) : null;
    if (zoom !== null) choose(zoom, false);
  });
  map.addEventListener("keydown", (event) => {
    const across = getComputedStyle(map).gridAutoFlow.startsWith("column");
    const [left, up] = across ? [columns, 1] : [1, columns];
    const step = { ArrowLeft: -left, ArrowRight: left, ArrowUp: -up, ArrowDown: up }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const anchor = chosen % columns;
    const to = chosen + step;
    if (Math.abs(step) === 1 && (anchor + step < 0 || anchor + step >= columns)) return;
    if (to >= 0 && to < rows * columns) choose(to, true);
  });
  choose(start, false);
  document.body.dataset.ready = "";
})();
