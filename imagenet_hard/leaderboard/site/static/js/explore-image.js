/* The page of one image: what each entry answers, zooms that solve it, images that are answered alike. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, count, counted, percent } = shared;
  const NO_CONFIDENCE = 255;
  const SIDES = [["top left", "top", "top right"], ["left", "middle", "right"], ["bottom left", "bottom", "bottom right"]];

  const cell = (content, name = null) => element("td", { class: name }, ...[].concat(content));
  const head = (...names) => element("thead", {}, element("tr", {}, ...names.map(([text, name]) => element("th", { scope: "col", class: name, text }))));
  const table = (title, heads, rows, tall = false) => element("div", { class: tall ? "scroll tall card" : "scroll card", role: "region", "aria-label": title, tabindex: "0" },
    element("table", { class: "plain" }, head(...heads), element("tbody", {}, ...rows)));
  const fact = (name, ...content) => element("div", {}, element("dt", { text: name }), element("dd", {}, ...content));

  /** The answers to image `i` of its block, by entry: class index (-1: none named) and confidence in percent, or null. */
  function answers(block, place, m) {
    const predicted = shared.int16(block.predicted), confidence = block.confidence && shared.bytes(block.confidence);
    return Array.from({ length: m }, (_, k) => {
      const sure = confidence ? confidence[place * m + k] : NO_CONFIDENCE;
      return { k, answer: predicted[place * m + k], sure: sure === NO_CONFIDENCE ? null : sure };
    });
  }

  function zoomMaps(zooms, found) {
    if (!found) return [element("p", { class: "soft", text: "The study has not tried this image." })];
    const { anchors, scales, classifiers } = zooms;
    return classifiers.flatMap((name, k) => {
      const solved = shared.bits(found[k]);
      const right = Array.from({ length: scales.length * anchors.length }, (_, z) => z).filter(solved);
      const said = right.slice(0, 5).map((z) => { const [row, column] = anchors[z % anchors.length]; return `scale ${scales[Math.floor(z / anchors.length)]} ${SIDES[row][column]}`; });
      const words = right.length ? `${said.join(", ")}${right.length > said.length ? ` and ${right.length - said.length} more` : ""}.` : "";
      const map = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      for (const [key, value] of [["viewBox", `0 0 ${10 * scales.length} 90`], ["class", "zoom-map"], ["role", "img"], ["aria-label", `Map of zooms: a column for each of ${scales.length} scales, a row for each of nine places`]]) map.setAttribute(key, value);
      for (let z = 0; z < scales.length * anchors.length; z++) {
        const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [key, value] of [["x", 10 * Math.floor(z / anchors.length)], ["y", 10 * (z % anchors.length)], ["width", 9], ["height", 9], ["class", solved(z) ? "zoom-right" : "zoom-wrong"]]) rect.setAttribute(key, value);
        map.append(rect);
      }
      return [element("h4", { text: `${name}: ${right.length} of ${count(scales.length * anchors.length)} zooms are right` }), map, element("p", { class: "soft", text: words })];
    });
  }

  /** Fill `section` with image `i`; `set` {rows, at}: where it stands among the chosen images. */
  async function showImage(section, e, i, set) {
    const { slug, head: about, images, names, link, classLink, picture } = e;
    const m = about.entries.length, place = i % about.block;
    const block = await shared.load(`${slug}/explorer/${Math.floor(i / about.block)}`);
    const labels = images.labels[i], said = answers(block, place, m);
    const isRight = ({ answer }) => labels.includes(answer);
    const className = (c) => (c < 0 ? "(names no class)" : classLink(c));
    const correct = block.correct && shared.bits(block.correct);

    const byClass = new Map();
    for (const { answer } of said) byClass.set(answer, (byClass.get(answer) ?? 0) + 1);
    const classes = [...byClass].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const step = (title, to) => (to === undefined ? element("span", { class: "soft", text: title }) : link({ image: images.id[to] }, title));
    const near = block.near[place].flatMap((j, k) => (j < 0 ? [] : [[j, block.shared[place][k]]]));
    const doubt = images.doubt && fact("Doubt", element("b", { text: e.signed(images.doubt[i]) }), ...(images.other[i] < 0 ? [] : [" for ", classLink(images.other[i])]),
      element("span", { class: "soft", text: `: what the first answers of ${counted(about.independent, "independent entry")} give the best other class, less what they give the labels` }));
    section.replaceChildren(
      element("p", { class: "crumb" }, link({}, "All images"), " · ", step("Previous", set.rows[set.at - 1]), " · ", step("Next", set.at < 0 ? undefined : set.rows[set.at + 1]),
        element("span", { class: "soft", text: set.at < 0 ? " · not among the chosen images" : ` · ${count(set.at + 1)} of ${count(set.rows.length)} chosen` })),
      element("h2", { id: "image-title", tabindex: "-1", text: `Image ${images.id[i]}` }),
      element("div", { class: "two" },
        element("div", { class: "card pad" }, ...(picture ? [picture(i, "whole")]
          : about.viewer ? [element("p", {}, element("a", { href: `${about.viewer}?row=${images.id[i]}`, rel: "noopener noreferrer", text: `Row ${images.id[i]} in the Hub’s data set viewer` })),
            element("p", { class: "soft", text: "The picture belongs to its owner and is not shown here. With a copy of your own, imagenet-hard explore shows it beside the answers." })]
            : [element("p", { class: "soft", text: "The picture belongs to its owner and is not shown here. With a copy of your own, imagenet-hard explore --dataset shows it beside the answers." })])),
        element("dl", { class: "card pad pairs-list" },
          fact(labels.length === 1 ? "Label" : "Labels", ...(labels.length ? labels.flatMap((c, k) => (k ? [", ", classLink(c)] : [classLink(c)])) : ["not at hand"])),
          fact("Source", e.origin(i) || "one source"),
          ...(block.original[place] ? [fact("Original file", block.original[place])] : []),
          fact("Right", element("b", { text: `${count(images.solvedBy[i])} of ${count(m)}` }), ` ${about.alone ? "results" : "entries"} (${percent(images.solvedBy[i] / m, 1)} %)`),
          fact("Commonest wrong answer", ...(images.wrong[i] < 0 ? ["none"] : [classLink(images.wrong[i]), ` (${count(images.votes[i])} of ${count(m)})`])),
          ...(doubt ? [doubt] : []))),
      element("h3", { text: "What is answered" }),
      table("What is answered", [["Class"], ["Entries", "num"], ["Share, %", "num"], ["Right"]], classes.map(([c, k]) => element("tr", {},
        element("th", { scope: "row" }, className(c)), cell(count(k), "num strong"), cell(percent(k / m, 1), "num"), cell(c < 0 ? "no answer" : labels.includes(c) ? "yes" : labels.length ? "no" : "–")))),
      element("h3", { text: "Who answers what" }),
      table("Who answers what", [["Rank", "num"], ["Entry"], ["Answer"], ["Confidence, %", "num"], ["Right"]], said.map((each) => {
        const [id, name, rank] = about.entries[each.k];
        return element("tr", {}, cell(String(rank), "num"), element("th", { scope: "row" }, about.alone ? name : element("a", { href: `${shared.root}entries/${id}.html`, text: name })),
          cell(className(each.answer)), cell(each.sure === null ? "–" : String(each.sure), "num"),
          cell(each.answer < 0 ? "no answer" : (correct ? correct(place * m + each.k) : isRight(each)) ? "yes" : "no"));
      }), true),
      ...(about.zooms ? [element("h3", { text: "Zooms that solve it" }), ...zoomMaps(about.zooms, block.zooms?.[place])] : []),
      element("h3", { text: "Answered most alike" }),
      ...(near.length ? [element("p", { class: "soft", text: "Of the images to which most entries give the same class, those on which most entries give both one class." }),
        table("Answered most alike", [...(picture ? [["Picture"]] : []), ["Image"], ["Labels"], ["Same answer to both", "num"]], near.map(([j, k]) => element("tr", {},
          ...(picture ? [cell(picture(j, "thumb"))] : []), element("th", { scope: "row", class: "id" }, link({ image: images.id[j] }, images.id[j])), cell(e.labels(j) || "–"), cell(`${count(k)} of ${count(m)}`, "num"))))]
        : [element("p", { class: "soft", text: "No other image has this commonest answer." })]),
    );
    return `Image ${images.id[i]}`;
  }

  Object.assign(shared, { showImage, explored: { cell, table, fact } });
})();
