/* The rows and columns that are shown, as CSV: plain numbers, shares in [0, 1], as in the other downloads. */
(() => {
  "use strict";
  const share = (pair) => (pair ? pair[0] / pair[1] : null);

  /** Column of the table -> [header, value of an entry] of one or more columns of the file. */
  function fields(board) {
    return {
      rank: [["rank", (e) => e.rank[0]]],
      name: [["id", (e) => e.id], ["name", (e) => e.name], ["org", (e) => e.org], ["backend", (e) => e.backend], ["used_in_curation", (e) => String(e.curation)]],
      range: [["rank_low", (e) => e.rank[1]], ["rank_high", (e) => e.rank[2]]],
      top1: [["n_correct", (e) => e.right], ["n_total", () => board.n], ["top1", (e) => e.right / board.n]],
      interval: [["low", (e) => e.low], ["high", (e) => e.high]],
      top5: [["top5", (e) => e.top5]],
      robust: [["effective_robustness", (e) => e.robust]],
      rankdiff: [["rank_diff", (e) => e.rankDiff]],
      params: [["parameters", (e) => e.params]],
      training: [["training_data", (e) => e.training]],
      date: [["date", (e) => e.date]],
      tier: [["tier", (e) => e.tier]],
      ...Object.fromEntries(board.origins.map((name, i) => [`o${i}`, [[`top1 ${name}`, (e) => share(e.origins[name])]]])),
    };
  }

  /** No spreadsheet runs a text as a formula; quotes where a comma or a quote needs them. */
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const plain = value.replace(/\p{C}/gu, "\ufffd");
    const text = /^\s*[=+\-@]/.test(plain) ? `'${plain}` : plain;
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** `keys`: the shown columns in order; `entries`: the shown rows in order. */
  function csv(board, keys, entries) {
    const all = fields(board);
    const columns = keys.flatMap((key) => all[key]);
    const lines = [columns.map(([name]) => name), ...entries.map((e) => columns.map(([, value]) => value(e)))];
    return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  }

  function save(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    const link = window.imagenetHard.element("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  Object.assign(window.imagenetHard, { csv, save });
})();
