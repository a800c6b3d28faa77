/* A group of images: a list to search, a page at a time. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, count, counted } = shared;
  const { board: slug, group } = document.body.dataset;
  const byId = (id) => document.getElementById(id);
  const PAGE = 100;

  Promise.all([shared.load(`${slug}/images`), shared.load("classes")]).then(([images, names]) => {
    const inside = { none: (k) => k === 0, few: (k) => k > 0 && k <= images.few, all: (k) => k === images.m }[group];
    const list = images.solvedBy.flatMap((k, i) => (inside(k) ? [i] : [])).sort((a, b) => images.votes[b] - images.votes[a] || a - b);
    const labels = (i) => images.labels[i].map((c) => names[c]).join(", ");
    const origin = (i) => images.origins[images.origin[i]] || "–";
    const text = list.map((i) => `${images.id[i]} ${labels(i)} ${origin(i)}`.toLowerCase());
    const search = byId("search"), more = byId("more");
    let limit = PAGE;
    const cell = (value, name) => element("td", { class: name, text: value });
    function show() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const shown = list.filter((_, k) => words.every((word) => text[k].includes(word)));
      byId("rows").replaceChildren(...shown.slice(0, limit).map((i) => element("tr", {},
        element("th", { scope: "row", class: "id", text: images.id[i] }), cell(labels(i) || "–"), cell(origin(i)), cell(`${images.solvedBy[i]} / ${images.m}`, "num"),
        cell(images.wrong[i] < 0 ? "–" : `${names[images.wrong[i]]} (${images.votes[i]} of ${images.m})`))));
      byId("count").textContent = shown.length === list.length ? counted(list.length, "image") : `${count(shown.length)} of ${counted(list.length, "image")}`;
      more.hidden = shown.length <= limit;
    }
    search.addEventListener("input", () => { limit = PAGE; show(); });
    more.firstElementChild.addEventListener("click", () => { limit += 5 * PAGE; show(); });
    byId("tools").addEventListener("submit", (event) => event.preventDefault());
    byId("tools").hidden = false;
    show();
    document.body.dataset.ready = "true";
  });
})();
