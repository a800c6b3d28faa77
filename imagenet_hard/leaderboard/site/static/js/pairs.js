/* Two entries on the same images: counts in, difference, interval and p out; and the board's comparison of two. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, wilson, percent, count } = shared;
  const byId = (id) => document.getElementById(id);

  /** {both, onlyA, onlyB, neither} from two tests of bits over n images. */
  function cells(a, b, n) {
    const found = { both: 0, onlyA: 0, onlyB: 0, neither: 0 };
    for (let i = 0; i < n; i++) found[a(i) ? (b(i) ? "both" : "onlyA") : b(i) ? "onlyB" : "neither"]++;
    return found;
  }

  /** Exact two-sided McNemar p, as the package computes it: min(1, 2 P(X <= min)), X ~ Binomial(a + b, 1/2). */
  function mcnemar(a, b) {
    const n = a + b, k = Math.min(a, b);
    let log = -n * Math.LN2;
    for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i);
    let term = 1, sum = 0;
    for (let i = k; i >= 0 && term > 1e-17 * sum; i--) { sum += term; term *= i / (n - i + 1); }
    return Math.min(1, 2 * Math.exp(log + Math.log(sum)));
  }

  /** Newcombe's 95 % interval of the difference of two paired shares (1998, method 10), from Wilson's of each. */
  function difference({ both, onlyA, onlyB, neither }) {
    const n = both + onlyA + onlyB + neither, a = both + onlyA, b = both + onlyB;
    const [p, q] = [a / n, b / n], [[lowP, highP], [lowQ, highQ]] = [wilson(a, n), wilson(b, n)];
    const margins = a * (n - a) * b * (n - b), excess = both * neither - onlyA * onlyB;
    const corrected = excess > 0 ? Math.max(excess - n / 2, 0) : excess;
    const phi = margins ? corrected / Math.sqrt(margins) : 0;
    const reach = (x, y) => Math.sqrt(Math.max(x * x - 2 * phi * x * y + y * y, 0));
    const d = (onlyA - onlyB) / n;
    return [d, d - reach(p - lowP, highQ - q), d + reach(highP - p, q - lowQ)];
  }

  const signed = (share) => `${share < 0 ? "−" : "+"}${percent(Math.abs(share))}`;
  const digits = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  function pText(p) {
    if (p >= 0.001) return `= ${p.toFixed(3)}`;
    if (p < 1e-300) return "< 10⁻³⁰⁰";
    const [mantissa, exponent] = p.toExponential(1).split("e");
    return `= ${mantissa} × 10${[...exponent].map((c) => digits[c]).join("")}`;
  }

  /** What there is to say of a pair: figures, and in words what they prove. */
  function pairFacts(found, nameA, nameB, tied) {
    const [d, low, high] = difference(found);
    const figure = (label, value, more = "") => element("div", {}, element("dt", { text: label }),
      element("dd", {}, element("b", { text: value }), ...(more ? [document.createTextNode(` ${more}`)] : [])));
    const discordant = found.onlyA + found.onlyB;
    const words = discordant === 0 ? "The two are right on exactly the same images." :
      `McNemar’s exact test of this one pair: p ${pText(mcnemar(found.onlyA, found.onlyB))}. `
      + `Over all comparisons of ${nameA} and of ${nameB}, the images ${tied ? "do not tell" : "tell"} the two apart.`;
    return [
      element("dl", { class: "facts small" },
        figure(`${nameA} minus ${nameB}, percentage points`, signed(d), `${signed(low)} to ${signed(high)}`),
        figure("Both right", count(found.both)), figure(`Only ${nameA}`, count(found.onlyA)),
        figure(`Only ${nameB}`, count(found.onlyB)), figure("Both wrong", count(found.neither))),
      element("p", { text: words }),
    ];
  }

  /** The board's comparison: #compare=ID,ID in the address, so that it can be linked to and Back works. */
  function comparison(board, slug) {
    const picks = [byId("compare-a"), byId("compare-b")], result = byId("compare-result");
    const m = board.entries.length;
    if (m < 2) { result.replaceChildren(element("p", { class: "soft", text: "A comparison needs two entries." })); return; }
    const place = new Map(board.entries.map((e, i) => [e.id, i]));
    const tied = shared.bits(board.tied);
    for (const select of picks) select.append(...board.entries.map((e, i) => element("option", { value: i, text: `${e.rank}. ${e.name}` })));

    const asked = () => {
      const ids = (shared.address.params().get("compare") ?? "").split(",");
      const both = ids.map((id) => place.get(id));
      return both.length === 2 && both.every((i) => i !== undefined) && both[0] !== both[1] ? both : null;
    };
    let latest = 0;
    async function show([a, b]) {
      picks.forEach((select, k) => {
        select.value = String([a, b][k]);
        for (const option of select.options) option.disabled = Number(option.value) === [b, a][k];
      });
      const mine = ++latest;
      const [one, other] = await Promise.all([a, b].map((i) => shared.load(`${slug}/entries/${board.entries[i].id}`)));
      if (mine !== latest) return; // another pair was chosen meanwhile
      const found = cells(shared.bits(one.correct), shared.bits(other.correct), board.n);
      const side = (e) => element("tr", {}, element("th", { scope: "row" }, element("a", { href: `${shared.root}entries/${e.id}.html`, text: e.name })),
        element("td", { class: "num strong", text: percent(e.top1) }), element("td", { class: "num", text: `${percent(e.low)}–${percent(e.high)}` }),
        element("td", { class: "num", text: e.rank }), element("td", { class: "num", text: e.rank_low === e.rank_high ? e.rank_low : `${e.rank_low}–${e.rank_high}` }));
      const heads = ["Model", "Top-1, %", "95 % interval", "Rank", "Rank range"];
      result.replaceChildren(
        element("div", { class: "scroll", role: "region", "aria-label": "The two entries", tabindex: "0" }, element("table", { class: "plain" },
          element("thead", {}, element("tr", {}, ...heads.map((text, k) => element("th", { scope: "col", class: k ? "num" : null, text })))),
          element("tbody", {}, side(board.entries[a]), side(board.entries[b])))),
        ...pairFacts(found, board.entries[a].name, board.entries[b].name, tied(a * m + b)),
      );
    }
    const choose = () => shared.address.choose({ compare: picks.map((select) => board.entries[Number(select.value)].id).join(",") });
    for (const select of picks) select.addEventListener("change", choose);
    byId("compare-swap").addEventListener("click", () => {
      [picks[0].value, picks[1].value] = [picks[1].value, picks[0].value];
      choose();
    });
    let pair = "";
    shared.address.follow(() => {
      const now = shared.address.params().get("compare") ?? "";
      if (now !== pair) show(asked() ?? [0, 1]);
      pair = now;
    });
    byId("compare-tools").hidden = false;
    const first = asked();
    pair = shared.address.params().get("compare") ?? "";
    return show(first ?? [0, 1]).then(() => { if (first) byId("compare").scrollIntoView(); });
  }

  Object.assign(shared, { cells, mcnemar, difference, pairFacts, comparison });
})();
