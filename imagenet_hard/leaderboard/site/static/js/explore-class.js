/* The page of one class: what its images are taken for, what is taken for it, its hardest and easiest images. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, count, counted, percent } = shared;
  const FEW = 8;

  async function showClass(section, e, c) {
    const { slug, head, images, names, link, classLink, imageTable } = e;
    const { cell, table, fact } = shared.explored;
    const m = head.entries.length;
    const { takenFor, takes } = await shared.load(`${slug}/explorer/confusions`);
    const sizes = new Array(names.length).fill(0);
    for (const labels of images.labels) for (const label of labels) sizes[label]++;
    const own = images.id.flatMap((_, i) => (images.labels[i].includes(c) ? [i] : []));
    const wrong = images.wrong.filter((w) => w === c).length;
    const right = own.reduce((sum, i) => sum + images.solvedBy[i], 0);
    const byRight = own.toSorted((a, b) => images.solvedBy[a] - images.solvedBy[b] || images.votes[b] - images.votes[a] || a - b);
    const pairs = (title, words, rows, nothing) => element("div", { class: "card pad" }, element("h3", { text: title }), element("p", { class: "soft", text: words }),
      ...(rows.length ? [table(title, [["Class"], ["Answers", "num"], ["Share, %", "num"]], rows.map(([other, k, of]) => element("tr", {},
        element("th", { scope: "row" }, classLink(other)), cell(count(k), "num strong"), cell(of ? percent(k / (of * m), 1) : "–", "num"))))] : [element("p", { text: nothing })]));
    section.replaceChildren(
      element("p", { class: "crumb" }, link({}, "All images")),
      element("h2", { id: "class-title", tabindex: "-1", text: `${names[c]} (class ${c})` }),
      element("dl", { class: "facts small" },
        fact("Images with this label", own.length ? link({ class: String(c), other: "" }, count(own.length)) : "0"),
        fact("Answers to them that are right", element("b", { text: own.length ? `${percent(right / (own.length * m), 1)} %` : "–" }), own.length ? ` ${count(right)} of ${count(own.length * m)}` : ""),
        fact("It is the commonest wrong answer to", wrong ? link({ other: String(c), class: "" }, counted(wrong, "image")) : "no image")),
      element("div", { class: "two" },
        pairs("Taken for", "What wrong answers to its images name, and their share of all answers to its images.", (takenFor[c] ?? []).map(([x, k]) => [x, k, sizes[c]]), "Nobody takes its images for another class."),
        pairs("What is taken for it", "Labels of the images to which it is the wrong answer, and its share of all answers to images with that label.", (takes[c] ?? []).map(([x, k]) => [x, k, sizes[x]]), "Nobody takes other images for it.")),
      element("p", { class: "soft", text: "An image with several labels counts for each of them." }),
      ...(own.length ? [element("h3", { text: "Hardest images" }), imageTable("Hardest images", byRight.slice(0, FEW)),
        element("h3", { text: "Easiest images" }), imageTable("Easiest images", byRight.toReversed().slice(0, FEW))] : []),
    );
    return names[c];
  }

  shared.showClass = showClass;
})();
