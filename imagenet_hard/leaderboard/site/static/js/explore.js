/* The explorer: a list of images to filter, a page an image, a page a class. The address says which. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, address, count, counted } = shared;
  const slug = document.body.dataset.board;
  const byId = (id) => document.getElementById(id);
  const PAGE = 100, CONTROLS = ["q", "origin", "class", "labels", "right", "other", "agree", "sort"];
  const VIEWS = ["list", "image", "class-view"];
  const title = document.title;

  function start(head, images, names) {
    const m = head.entries.length, form = byId("tools");
    const set = shared.imageSet(slug, head, images, names);
    const place = new Map(images.id.map((id, i) => [id, i]));
    let limit = PAGE, view = null, chosen = [], latest = 0;

    /** A link that changes a part of the address; one to a list or a page leaves the other page. */
    function link(changes, text) {
      const next = address.params();
      for (const [key, value] of Object.entries({ image: "", of: "", ...changes })) value ? next.set(key, value) : next.delete(key);
      return element("a", { href: `#${next.toString().replaceAll("%2C", ",")}`, text });
    }
    const classLink = (c) => link({ of: String(c) }, names[c]);
    const picture = head.pictures && ((i, kind) => element("img", { src: `${shared.root}${head.pictures}/${i}${kind === "thumb" ? "-small" : ""}.jpg`, class: kind, loading: kind === "thumb" ? "lazy" : null, alt: kind === "thumb" ? "" : `Image ${images.id[i]}` }));
    const signed = (thousandths) => (thousandths / 1000).toFixed(3).replace("-", "−");
    const cell = (content, name = null) => element("td", { class: name }, ...[].concat(content));
    const joined = (labels) => labels.flatMap((c, k) => (k ? [", ", classLink(c)] : [classLink(c)]));
    const sources = images.origins.length > 1;
    const heads = [...(picture ? [["Picture"]] : []), ["Image"], ["Labels"], ...(sources ? [["Source"]] : []), ["Right", "num"], ["Commonest wrong answer"], ...(images.doubt ? [["Doubt", "num"]] : [])];
    const headRow = () => element("tr", {}, ...heads.map(([text, name]) => element("th", { scope: "col", class: name, text })));
    const row = (i) => element("tr", {}, ...(picture ? [cell(picture(i, "thumb"))] : []),
      element("th", { scope: "row", class: "id" }, link({ image: images.id[i] }, images.id[i])), cell(images.labels[i].length ? joined(images.labels[i]) : "–"), ...(sources ? [cell(set.origin(i) || "–")] : []),
      cell(`${count(images.solvedBy[i])} / ${count(m)}`, "num"), cell(images.wrong[i] < 0 ? "–" : [classLink(images.wrong[i]), ` (${count(images.votes[i])})`]),
      ...(images.doubt ? [cell(signed(images.doubt[i]), "num")] : []));
    const imageTable = (label, rows) => element("div", { class: "scroll card", role: "region", "aria-label": label, tabindex: "0" },
      element("table", { class: "plain images" }, element("thead", {}, headRow()), element("tbody", {}, ...rows.map(row))));
    const explorer = { slug, head, images, names, link, classLink, picture, imageTable, signed, labels: set.labels, origin: set.origin };

    /** The choices of a control, and what the address asks for though it is not among them. */
    function fill(id, pairs) { byId(id).append(...pairs.map(([value, text]) => element("option", { value, text }))); }
    function select(control, value) {
      if (control.tagName === "SELECT" && ![...control.options].some((o) => o.value === value)) control.append(element("option", { value, text: value }));
      if (control.value !== value) control.value = value;
    }
    const used = (values) => [...new Set(values)].sort((a, b) => a - b);
    const classes = (values) => used(values).filter((c) => c >= 0).map((c) => [String(c), names[c]]).sort((a, b) => a[1].localeCompare(b[1], "en"));
    fill("origin", images.origins.map((each) => [each, each || "one source"]));
    fill("labels", used(images.labels.map((each) => each.length)).map((k) => [String(k), counted(k, "label")]));
    for (const id of ["origin", "labels"]) byId(id).closest(".field").hidden = byId(id).options.length < 3;
    byId("class").closest(".field").hidden = !images.doubt;

    /** The long choices, thousands of names: after the list is in sight. */
    function fillLong() {
      for (const id of ["class", "other", "a", "b"]) byId(id).length = 1;
      fill("class", classes(images.labels.flat()));
      fill("other", classes(images.wrong));
      for (const id of ["a", "b"]) fill(id, head.entries.map(([entry, name, rank]) => [entry, `${rank}. ${name}`]));
      controls(address.params());
      document.body.dataset.ready = "true";
    }

    function showList(meaningless) {
      byId("table").tHead.replaceChildren(headRow());
      byId("table").tBodies[0].replaceChildren(...chosen.slice(0, limit).map(row));
      const n = images.id.length, told = chosen.length === n ? counted(n, "image") : `${count(chosen.length)} of ${counted(n, "image")}`;
      byId("count").textContent = told + (meaningless.length ? `. The address says ${meaningless.join(", ")}, which means nothing here and is passed over.` : "");
      byId("empty").hidden = chosen.length > 0;
      byId("more").hidden = chosen.length <= limit;
      return "";
    }

    function controls(params) {
      for (const key of CONTROLS) select(byId(key), params.get(key) ?? "");
      const who = (params.get("who") ?? "").split(",").map((each) => /^([a-z]+):(.*)$/.exec(each) ?? []);
      ["a", "b"].forEach((id, k) => { select(byId(id), who[k]?.[2] ?? ""); if (who[k]?.[1]) select(byId(`${id}-is`), who[k][1]); });
    }

    async function follow() {
      const params = address.params(), mine = ++latest;
      controls(params);
      const found = await set.chosen(params);
      if (mine !== latest) return; // the address has changed meanwhile
      chosen = found.rows;
      const i = place.get(params.get("image")), c = set.classOf(params.get("of") ?? "");
      const next = i !== undefined ? "image" : c !== null ? "class-view" : "list";
      const missing = next === "list" && ["image", "of"].filter((key) => params.get(key)).map((key) => `${key}=${params.get(key)}`);
      const section = byId(next);
      const said = next === "image" ? await shared.showImage(section, explorer, i, { rows: chosen, at: chosen.indexOf(i) })
        : next === "class-view" ? await shared.showClass(section, explorer, c) : showList([...found.meaningless, ...missing]);
      if (mine !== latest) return;
      for (const each of VIEWS) byId(each).hidden = each !== next;
      document.title = said ? `${said}, ${title}` : title;
      if (view !== null && (next !== "list" || view !== "list")) { section.querySelector("h2").focus({ preventScroll: true }); section.scrollIntoView(); }
      view = next;
    }

    let typing = false;
    const choose = (changes, replace) => { limit = PAGE; address.choose(changes, replace); };
    byId("q").addEventListener("input", () => { choose({ q: byId("q").value }, typing); typing = true; });
    byId("q").addEventListener("change", () => { typing = false; });
    for (const key of CONTROLS.slice(1)) byId(key).addEventListener("change", () => choose({ [key]: byId(key).value }));
    for (const id of ["a", "a-is", "b", "b-is"]) byId(id).addEventListener("change", () => choose({ who: ["a", "b"].filter((k) => byId(k).value).map((k) => `${byId(`${k}-is`).value}:${byId(k).value}`).join(",") }));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => { event.preventDefault(); choose(Object.fromEntries(set.keys.map((key) => [key, ""]))); });
    byId("more").firstElementChild.addEventListener("click", () => { limit += 5 * PAGE; showList([]); });
    byId("save-csv").addEventListener("click", () => shared.save(`${slug}-chosen.csv`, set.asCsv(chosen)));
    byId("save-ids").addEventListener("click", () => shared.save(`${slug}-chosen.txt`, chosen.map((i) => `${images.id[i]}\n`).join(""), "text/plain"));
    address.follow(follow);
    follow().then(() => requestAnimationFrame(() => setTimeout(fillLong)));
  }

  Promise.all([shared.load(`${slug}/explorer/head`), shared.load(`${slug}/images`), shared.load("classes")]).then((all) => start(...all));
})();
