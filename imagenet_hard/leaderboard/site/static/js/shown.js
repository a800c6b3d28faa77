/* The rows and columns that are shown, as CSV: plain numbers, shares in [0, 1], as in the other downloads. */
(() => {
  "use strict";
  /** No spreadsheet runs a text as a formula; quotes where a comma or a quote needs them. */
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") return String(value);
    const plain = value.replace(/\p{C}/gu, "\ufffd");
    const text = /^\s*[=+\-@]/.test(plain) ? `'${plain}` : plain;
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** `keys`: the shown columns in order; `entries`: the shown rows in order. */
  function csv(board, keys, entries) {
    const names = keys.flatMap((key) => board.columns.find((column) => column.key === key).fields);
    return csvText([names, ...entries.map((e) => names.map((name) => e[name]))]);
  }

  const csvText = (lines) => lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";

  function save(name, text, type = "text/csv") {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = window.imagenetHard.element("a", { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  Object.assign(window.imagenetHard, { csv, csvText, save });
})();
