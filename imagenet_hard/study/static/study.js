/* The report's charts: accuracy by scale for each source, and how fast covers grow. */
(() => {
  "use strict";
  const { chart, colour, palette, legend } = window.imagenetHard;
  const data = JSON.parse(document.getElementById("data").textContent);
  // Asked for at each drawing: the theme may have changed.
  const colours = () => palette(data.classifiers.length);
  const fixed = (value) => `${value.toFixed(1)} %`;

  /* Powers of two, or the scales themselves where few of these are among them, none too near to another. */
  const [low, high] = d3.extent([...data.scales, 224]);
  const powers = d3.range(13).map((power) => 2 ** power).filter((scale) => scale >= low && scale <= high);
  const apart = high / low > 4 ? 1.4 : 1.08;
  const scaleTicks = powers.length > 2 ? powers : data.scales.reduce((kept, scale) => (kept.length && scale < apart * kept.at(-1) ? kept : [...kept, scale]), []);
  const few = data.scales.length <= 12;  // then lines alone show little, and of one scale nothing

  const sources = [...new Set(data.curves.map((curve) => curve.source))];
  for (const figure of document.querySelectorAll("[data-source]")) {
    const source = sources[Number(figure.dataset.source)];
    const curves = data.curves.filter((curve) => curve.source === source);
    const points = (key) => curves.flatMap((curve) => curve[key].map((y, i) => ({ classifier: curve.classifier, scale: data.scales[i], y })));
    const one = points("one_crop"), nine = points("best_of_9");
    chart(figure, `Accuracy by scale on ${source}: the central anchor and the best of nine.`, () => ({
      height: 300, marginLeft: 40, marginBottom: 40,
      // Of base 10, d3 would leave the label of 64 away.
      x: { type: "log", base: 2, label: "Scale (shorter side, pixels)", domain: low < high ? [low, high] : [low / 2, 2 * high], ticks: scaleTicks, tickFormat: String },
      y: { label: "Accuracy, %", domain: [0, 100], grid: true },
      color: { domain: data.classifiers, range: colours() },
      marks: [
        Plot.ruleX([224], { stroke: colour("line-strong") }),
        Plot.line(one, { x: "scale", y: "y", z: "classifier", stroke: "classifier", strokeDasharray: "4 4" }),
        Plot.line(nine, { x: "scale", y: "y", z: "classifier", stroke: "classifier", strokeWidth: 2 }),
        ...(few ? [Plot.dot(one, { x: "scale", y: "y", stroke: "classifier", r: 3.5 }), Plot.dot(nine, { x: "scale", y: "y", fill: "classifier", r: 2.5 })] : []),
        Plot.tip(nine, Plot.pointer({ x: "scale", y: "y", title: (d) => `${d.classifier}\nscale ${d.scale}, best of 9: ${fixed(d.y)}`, fill: colour("surface") })),
      ],
      caption: legend(data.classifiers, colours(), "dashed: centre; solid: best of 9"),
    }));
  }

  const grown = data.covers.flatMap((cover) => cover.solved.map((y, i) => ({ classifier: cover.classifier, zooms: i + 1, y })));
  const most = Math.max(2, d3.max(grown, (d) => d.zooms) ?? 0);
  const counts = [...new Set([1, ...d3.ticks(1, most, 10).filter(Number.isInteger)])];
  chart(document.getElementById("cover-chart"), "Share of the solvable images that the first zooms of each greedy cover solve.", () => (grown.length ? {
    height: 320, marginLeft: 44, marginBottom: 40,
    x: { label: "Zooms", domain: [1, most], ticks: counts, tickFormat: "d" },
    y: { label: "Solved, % of the solvable", domain: [0, 100], grid: true },
    color: { domain: data.classifiers, range: colours() },
    marks: [
      Plot.line(grown, { x: "zooms", y: "y", z: "classifier", stroke: "classifier", strokeWidth: 2, curve: "step-after" }),
      Plot.dot(grown, { x: "zooms", y: "y", fill: "classifier", r: 2.5 }),
      Plot.tip(grown, Plot.pointer({ x: "zooms", y: "y", title: (d) => `${d.classifier}\n${d.zooms} zooms: ${fixed(d.y)}`, fill: colour("surface") })),
    ],
    caption: legend(data.classifiers, colours()),
  } : null), "No image is right under any zoom.");
  document.body.dataset.ready = "";
})();
