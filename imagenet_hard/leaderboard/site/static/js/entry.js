/* An entry's page: calibration, the comparison with another entry, all classes. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, chart, colour, percent, count, counted } = shared;
  const { board: slug, entry: id, index } = document.body.dataset;
  const byId = (each) => document.getElementById(each);
  const MOST_FLIPS = 50;
  const own = Number(index);

  function calibration() {
    const rows = [...document.querySelectorAll("#calibration-table tbody tr")].map((row) => ({
      confidence: 100 * row.dataset.confidence, right: (100 * row.dataset.right) / row.dataset.total, images: Number(row.dataset.total),
    }));
    chart(byId("calibration-chart"), "Reliability diagram: share right against confidence in up to 15 bins; the numbers are in the table beside it.", (width) => ({
      height: Math.min(420, width), marginLeft: 44, marginBottom: 44, marginTop: 26,
      x: { domain: [0, 100], label: "Confidence, %" }, y: { domain: [0, 100], label: "Right, %", grid: true },
      r: { range: [3, 13] },
      marks: [
        Plot.line([[0, 0], [100, 100]], { stroke: "currentColor", strokeOpacity: 0.4, strokeDasharray: "3 4" }),
        Plot.ruleX(rows, { x: "confidence", y1: "confidence", y2: "right", stroke: colour("hot"), strokeWidth: 2 }),
        Plot.dot(rows, { x: "confidence", y: "right", r: "images", fill: colour("c1"), stroke: colour("surface") }),
        Plot.tip(rows, Plot.pointer({ x: "confidence", y: "right", fill: colour("surface"), stroke: colour("line-strong"), lineHeight: 1.4, title: (d) => `confidence ${d.confidence.toFixed(1)} %\nright ${d.right.toFixed(1)} %\n${count(d.images)} images` })),
      ],
    }));
  }

  const cell = (text, numeric = false) => element("td", { class: numeric ? "num" : null, text });

  async function classes(mine) {
    const names = await shared.load("classes");
    const rows = names.flatMap((name, i) => {
      const total = mine.classTotal[i], right = mine.classCorrect[i];
      return total ? [{ i, share: right / total, text: `${name} ${i}`.toLowerCase(), row: element("tr", {}, element("th", { scope: "row", text: name }), cell(right, true), cell(total, true), cell(percent(right / total, 1), true)) }] : [];
    });
    const search = byId("class-search");
    const orders = { index: (a, b) => a.i - b.i, hard: (a, b) => a.share - b.share || a.i - b.i, easy: (a, b) => b.share - a.share || a.i - b.i };
    const order = byId("class-order");
    const show = () => byId("class-rows").replaceChildren(...rows
      .filter((r) => r.text.includes(search.value.toLowerCase())).sort(orders[order.value]).map((r) => r.row));
    for (const control of [search, order]) control.addEventListener("input", show);
    byId("class-tools").hidden = false;
    show();
  }

  async function compare(board, mine, rival) {
    const [other, images, names] = await Promise.all([
      shared.load(`${slug}/entries/${board.entries[rival].id}`), shared.load(`${slug}/images`), shared.load("classes"),
    ]);
    const a = shared.bits(mine.correct), b = shared.bits(other.correct);
    const [pa, pb] = [shared.int16(mine.predicted), shared.int16(other.predicted)];
    const only = (x, y) => images.id.flatMap((_, i) => (x(i) && !y(i) ? [i] : []));
    const [mineName, rivalName] = [board.entries[own].name, board.entries[rival].name];
    const tied = shared.bits(board.tied)(own * board.entries.length + rival);
    const table = (title, list) => [
      element("h3", { text: `${title}: ${counted(list.length, "image")}${list.length > MOST_FLIPS ? `, the first ${MOST_FLIPS}` : ""}` }),
      element("div", { class: "scroll tall", role: "region", "aria-label": title, tabindex: "0" }, element("table", { class: "plain" },
        element("thead", {}, element("tr", {}, ...["Image", "Labels", mineName, rivalName].map((text) => element("th", { scope: "col", text })))),
        element("tbody", {}, ...list.slice(0, MOST_FLIPS).map((i) => element("tr", {}, element("th", { scope: "row", class: "id", text: images.id[i] }),
          cell(images.labels[i].map((c) => names[c]).join(", ") || "–"), cell(names[pa[i]] ?? "(no class)"), cell(names[pb[i]] ?? "(no class)")))))),
    ];
    byId("flips-result").replaceChildren(
      ...shared.pairFacts(shared.cells(a, b, board.n), mineName, rivalName, tied),
      ...table(`Only ${mineName} is right`, only(a, b)), ...table(`Only ${rivalName} is right`, only(b, a)),
    );
  }

  /** The badge's Markdown with whole addresses, which the page alone knows. */
  function wholeAddresses() {
    const code = byId("badge-code");
    if (code) code.textContent = code.textContent.replace(/\(((?:badges|entries)\/[^()]+)\)/g, (_, path) => `(${new URL(`../${path}`, location.href).href})`);
  }

  async function start() {
    wholeAddresses();
    if (byId("calibration-chart")) calibration();
    const [board, mine] = await Promise.all([shared.loadBoard(slug), shared.load(`${slug}/entries/${id}`)]);
    await classes(mine);
    const select = byId("rival");
    select.append(...board.entries.flatMap((e, i) => (i === own ? [] : [element("option", { value: i, text: `${e.rank}. ${e.name}` })])));
    if (select.options.length) {
      select.value = String(own > 0 ? own - 1 : 1);
      select.addEventListener("change", () => compare(board, mine, Number(select.value)));
      byId("rival-picker").hidden = false;
      await compare(board, mine, Number(select.value));
    } else byId("flips-result").replaceChildren(element("p", { text: "There is no other entry on this board yet." }));
    document.body.dataset.ready = "true";
  }
  start();
})();
