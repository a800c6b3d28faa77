/* The board's page: the table, then one chart after another. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, chart, colour, palette, legend, wilson, shorten, percent, count, counted } = shared;
  const slug = document.body.dataset.board;
  const byId = (id) => document.getElementById(id);
  const MOST_PICKED = 6;
  const MOST_IN_HEAT_MAP = 80;

  const signed = (k) => k.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");

  function scaling(board) {
    const rows = board.entries.map((e) => ({
      name: e.name, org: e.org, backend: e.backend || "unknown", params: e.parameters,
      date: e.date && new Date(e.date), imagenet: e.imagenet_top1_reported && 100 * e.imagenet_top1_reported,
      top1: 100 * e.top1, low: 100 * e.low, high: 100 * e.high,
    }));
    const differ = (values) => new Set(values.filter(Boolean)).size > 1;
    const AXES = {
      params: { words: "parameters", scale: d3.scaleLog, plot: (narrow) => ({ type: "log", label: "Parameters", tickFormat: (t) => d3.format("~s")(t).replace("G", "B"), ticks: narrow ? 4 : 8 }) },
      date: { words: "date", scale: d3.scaleUtc, plot: () => ({ type: "utc", label: "Date" }) },
      imagenet: { words: "ImageNet top-1 as reported", scale: d3.scaleLinear, plot: () => ({ label: "ImageNet top-1 as reported, %", nice: true }) },
    };
    const has = { params: differ(rows.map((r) => r.params)), date: differ(board.entries.map((e) => e.date)), imagenet: differ(rows.map((r) => r.imagenet)) };
    const fields = byId("scaling-switch");
    const able = Object.keys(AXES).filter((key) => has[key]);
    let axis = able[0] ?? "params";
    fields.hidden = able.length < 2;
    for (const input of fields.querySelectorAll("input")) {
      input.closest("label").hidden = !has[input.value];
      input.checked = input.value === axis;
    }
    const backends = [...new Set(rows.map((r) => r.backend))].sort();

    const draw = chart(byId("scaling-chart"), () => `Top-1 accuracy against ${AXES[axis].words}, with 95 % intervals.`, (width) => {
      const x = axis, points = rows.filter((r) => (x === "params" ? r.params > 0 : r[x] !== null && r[x] !== undefined));
      if (!has[x]) return null;
      const colours = palette(backends.length);
      const best = [];
      for (const p of d3.sort(points, (a, b) => a[x] - b[x] || b.top1 - a.top1)) {
        if (!best.length || p.top1 > best.at(-1).top1) best.push(p);
      }
      const last = d3.max(points, (p) => +p[x]);
      const steps = [...best, { ...best.at(-1), [x]: x === "date" ? new Date(last) : last }];
      const narrow = width < 560;
      // Name the best, then every earlier one whose name does not run into a name already set.
      const scale = AXES[x].scale().domain(d3.extent(points, (p) => p[x])).range([0, width - 100]);
      const high = d3.scaleLinear().domain(d3.extent(points, (p) => p.top1)).range([360, 0]);
      const named = [];
      for (const p of best.toReversed()) {
        const clear = named.every((q) => Math.abs(scale(p[x]) - scale(q[x])) > 120 || Math.abs(high(p.top1) - high(q.top1)) > 22);
        if (clear && named.length < 8) named.push(p);
      }
      return {
        height: narrow ? 330 : 430, marginLeft: 44, marginRight: narrow ? 16 : 90, marginBottom: 44, marginTop: 26,
        x: { ...AXES[x].plot(narrow), inset: 14 },
        y: { label: "Top-1, %", grid: true, nice: true },
        color: { domain: backends, range: colours },
        marks: [
          Plot.line(steps, { x, y: "top1", curve: "step-after", stroke: "currentColor", strokeOpacity: 0.35, strokeDasharray: "3 4" }),
          Plot.ruleX(points, { x, y1: "low", y2: "high", stroke: "backend", strokeOpacity: 0.55, strokeWidth: 1.5 }),
          Plot.dot(points, { x, y: "top1", fill: "backend", r: 4.5, stroke: colour("surface"), strokeWidth: 1.2 }),
          narrow ? null : Plot.text(named, { x, y: "top1", text: (d) => shorten(d.name, 20), dy: -13, fill: "currentColor", stroke: colour("surface"), strokeWidth: 4, fontWeight: 600, paintOrder: "stroke" }),
          Plot.tip(points, Plot.pointer({ x, y: "top1", fill: colour("surface"), stroke: colour("line-strong"), lineHeight: 1.4, title: (d) => `${d.name}\n${d.org}\n${d.top1.toFixed(2)} %  (${d.low.toFixed(2)} to ${d.high.toFixed(2)})${d.params ? `\n${d3.format(".3~s")(d.params).replace("G", "B")} parameters` : ""}${d.imagenet ? `\n${d.imagenet.toFixed(2)} % on ImageNet as reported` : ""}` })),
        ],
        caption: backends.length > 1 ? legend(backends, colours) : null,
      };
    }, "The entries of this board do not differ in stated parameters, dates or ImageNet accuracy.");
    fields.addEventListener("change", (event) => { axis = event.target.value; draw(); });
  }

  function parts(board) {
    const names = [
      { title: "All images", counts: board.entries.map((e) => [e.n_correct, e.n_total]) },
      ...[...board.origins, ...board.labels].map(([title, counts]) => ({ title, counts })),
    ];
    let picked = [...new Set([0, 1, Math.floor(board.entries.length / 4), Math.floor(board.entries.length / 2)])]
      .filter((i) => board.entries[i]).slice(0, MOST_PICKED);
    const select = byId("pick"), list = byId("picked");
    select.append(element("option", { value: "", text: "Choose…" }),
      ...board.entries.map((e, i) => element("option", { value: i, text: `${e.rank}. ${e.name}` })));

    const draw = chart(byId("parts-chart"), () => `Top-1 accuracy of ${picked.map((i) => board.entries[i].name).join(", ")} by group of images, with 95 % intervals.`, (width) => {
      const narrow = width < 560;
      const rows = picked.flatMap((index, k) => names.flatMap((part) => {
        const pair = part.counts[index];
        if (!pair) return [];
        const [low, high] = wilson(...pair);
        return [{ part: part.title, name: board.entries[index].name, k, top1: (100 * pair[0]) / pair[1], low: 100 * low, high: 100 * high, right: pair[0], n: pair[1] }];
      }));
      if (!rows.length) return null;
      const colours = palette(picked.length);
      const gap = 11, spread = (k) => (k - (picked.length - 1) / 2) * gap;
      const each = (k) => rows.filter((r) => r.k === k);
      return {
        height: names.length * Math.max(44, picked.length * gap + 22) + 60, marginLeft: narrow ? 96 : 150, marginBottom: 44, marginTop: 12, marginRight: 18,
        x: { label: "Top-1, %", grid: true, nice: true, zero: false },
        y: { domain: names.map((p) => p.title), label: null, tickFormat: (t) => shorten(t, narrow ? 14 : 24), tickSize: 0, type: "point", padding: 0.6 },
        marks: [
          ...picked.flatMap((_, k) => [
            Plot.ruleY(each(k), { y: "part", x1: "low", x2: "high", dy: spread(k), stroke: colours[k], strokeWidth: 2, strokeOpacity: 0.6 }),
            Plot.dot(each(k), { y: "part", x: "top1", dy: spread(k), fill: colours[k], r: 4.5, stroke: colour("surface") }),
          ]),
          Plot.tip(rows, Plot.pointerY({ y: "part", x: "top1", fill: colour("surface"), stroke: colour("line-strong"), lineHeight: 1.4, title: (d) => `${d.part}\n${d.name}\n${d.top1.toFixed(2)} %  (${d.low.toFixed(2)} to ${d.high.toFixed(2)})\n${count(d.right)} of ${count(d.n)}` })),
        ],
        caption: legend(picked.map((i) => board.entries[i].name), colours),
      };
    }, "Choose a model to draw.");

    function showPicked() {
      list.replaceChildren(...picked.map((index) => {
        const remove = element("button", { type: "button", class: "chip", "aria-label": `Remove ${board.entries[index].name}`, text: `${board.entries[index].name} ×` });
        remove.addEventListener("click", () => { picked = picked.filter((i) => i !== index); showPicked(); draw(); select.focus(); });
        return element("li", {}, remove);
      }));
      select.disabled = picked.length >= MOST_PICKED;
    }
    select.addEventListener("change", () => {
      const index = Number(select.value);
      if (select.value !== "" && !picked.includes(index)) { picked.push(index); showPicked(); draw(); }
      select.value = "";
    });
    byId("picker").hidden = false;
    showPicked();
  }

  async function alike(board) {
    const m = board.entries.length;
    if (m < 2) {
      byId("alike-chart").replaceChildren(element("p", { class: "soft", text: "Agreement needs at least two entries." }));
      return;
    }
    const agreement = await shared.load(`${slug}/agreement`);
    const kappa = shared.int8(agreement.kappa);
    const value = (i, j) => (kappa[i * m + j] === -128 ? null : kappa[i * m + j] / 100);
    const name = (i) => board.entries[i].name;
    let order = "similar";

    const draw = chart(byId("alike-chart"), () => `Heat map of the error consistency of ${counted(Math.min(m, MOST_IN_HEAT_MAP), "entry")}; the closest and the most different pairs are listed beside it.`, (width) => {
      const top = (i) => i < MOST_IN_HEAT_MAP;
      const shown = (order === "similar" ? agreement.order : [...agreement.order].sort((a, b) => a - b)).filter(top);
      const cells = shown.flatMap((i, row) => shown.map((j, column) => ({ i, j, row, column, kappa: i === j ? 1 : value(i, j) })));
      const named = width / shown.length > 9 && width > 420;
      const margin = named ? 112 : 8;
      const side = Math.min(width - margin - 8, 72 * shown.length);
      const tick = Math.max(6, Math.min(11, side / shown.length - 1));
      const values = d3.sort(cells.filter((c) => c.i < c.j && c.kappa !== null), (c) => c.kappa).map((c) => c.kappa);
      const at = (q) => d3.quantileSorted(values, q) ?? q;
      // The middle of the scale is where most pairs are: a few outliers would leave all others alike.
      const stops = [at(0.02), at(0.5), Math.max(at(0.99), at(0.5) + 0.01)];
      const ramp = d3.scaleLinear(stops, ["heat-low", "heat-mid", "heat-high"].map(colour)).interpolate(d3.interpolateLab).clamp(true);
      return {
        height: side + margin + 8, marginLeft: margin, marginTop: 8, marginBottom: margin, marginRight: width - margin - side,
        x: { type: "band", domain: shown, padding: 0.04, axis: null }, y: { type: "band", domain: shown, padding: 0.04, axis: null },
                marks: [
          Plot.cell(cells, { x: "j", y: "i", fill: (d) => (d.kappa === null ? colour("sunken") : ramp(d.kappa)) }),
          ...(named ? [
            Plot.axisY(shown, { text: (i) => shorten(name(i), 20), fontSize: tick, tickSize: 0, label: null }),
            Plot.axisX(shown, { text: (i) => shorten(name(i), 20), fontSize: tick, tickSize: 0, tickRotate: -90, label: null }),
          ] : []),
          Plot.tip(cells, Plot.pointer({ x: "j", y: "i", fill: colour("surface"), stroke: colour("line-strong"), lineHeight: 1.4, title: (d) => `${name(d.i)}\n${name(d.j)}\nκ ${d.kappa === null ? "undefined" : signed(d.kappa)}` })),
        ],
        caption: stops[2] - stops[0] < 0.05 ? null : legend(
          [0, 0.25, 0.5, 0.75, 1].map((q) => { const v = stops[0] + q * (stops[2] - stops[0]); return `κ ${signed(v)}`; }),
          [0, 0.25, 0.5, 0.75, 1].map((q) => ramp(stops[0] + q * (stops[2] - stops[0]))),
          m > MOST_IN_HEAT_MAP ? `The first ${MOST_IN_HEAT_MAP} of ${m} entries.` : ""),
      };
    });
    byId("alike-switch").hidden = false;
    byId("alike-switch").addEventListener("change", (event) => { order = event.target.value; draw(); });

    const pairs = [];
    for (let i = 0; i < m; i++) for (let j = i + 1; j < m; j++) if (value(i, j) !== null) pairs.push([i, j, value(i, j)]);
    pairs.sort((a, b) => b[2] - a[2]);
    const listed = (title, chosen) => [
      element("h3", { text: title }),
      element("ol", {}, ...chosen.map(([i, j, k]) => element("li", {}, element("span", { text: `${name(i)} and ${name(j)}` }), element("b", { text: signed(k) })))),
    ];
    const shown = Math.min(6, Math.ceil(pairs.length / 2));
    byId("alike-pairs").replaceChildren(
      ...listed("Closest pairs", pairs.slice(0, shown)),
      ...(pairs.length > 1 ? listed("Most different pairs", pairs.slice(-shown).reverse()) : []),
    );
  }

  function images(board) {
    const m = board.entries.length;
    const rows = board.solvedBy.map((images, k) => ({ k, images }));
    chart(byId("images-chart"), `Images by the number of entries that solve them: ${count(rows[0].images)} by none, ${count(rows[m].images)} by all ${m}.`, (width) => ({
      height: width < 560 ? 230 : 280, marginLeft: 54, marginBottom: 44, marginTop: 26,
      x: { label: "Entries that solve the image", domain: [-0.5, m + 0.5], ticks: m <= 12 ? d3.range(m + 1) : width < 560 ? 6 : 12, tickFormat: (t) => (Number.isInteger(t) ? t : "") },
      y: { label: "Images", grid: true },
      marks: [
        Plot.rectY(rows, { x1: (d) => d.k - 0.5, x2: (d) => d.k + 0.5, y: "images", fill: (d) => (d.k === 0 ? colour("hot") : d.k === m ? colour("c2") : colour("c1")), inset: width / (m + 1) > 6 ? 0.7 : 0 }),
        Plot.ruleY([0]),
        Plot.tip(rows, Plot.pointerX({ x: "k", y: "images", fill: colour("surface"), stroke: colour("line-strong"), lineHeight: 1.4, title: (d) => `solved by ${d.k} of ${m}\n${count(d.images)} images (${percent(d.images / board.n, 1)} %)` })),
      ],
    }));
  }

  shared.loadBoard(slug).then((board) => {
    shared.ranking(board, slug);
    const compared = shared.comparison(board, slug);
    scaling(board);
    parts(board);
    images(board);
    return Promise.all([alike(board), compared]);
  }).then(() => { document.body.dataset.ready = "true"; });
})();
