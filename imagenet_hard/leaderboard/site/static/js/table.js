/* The ranking: the rows stand in the page; TanStack Table says which to show, and in which order.
   What is chosen stands in the address: q, sort, columns, entry, and a filter by its name. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const { element, address, count, counted } = shared;
  const PAGE = 200;
  const MOST_NAMED = 8;

  const present = (value) => (value === null || value === "" ? undefined : value);
  /** A number to sort by several fields, the first above all: ranks are below a million. */
  const together = (e, names) => names.reduce((sum, name) => sum * 1e6 + e[name], 0);
  const FITS = {
    exact: (value, wanted) => value === wanted,
    range: (value, wanted) => {
      const [low, high] = wanted.split("-").map(Number);
      return value !== undefined && value > low * 1e6 && (!high || value <= high * 1e6);
    },
    flag: (value, wanted) => (value ? "yes" : "no") === wanted,
  };

  /** The columns that the page shows, and one more for each filter. */
  const columns = (board) => [
    ...board.columns.map((c) => ({
      id: c.key, sortUndefined: "last", sortDescFirst: c.descending, sortingFn: c.number ? "auto" : "alphanumeric",
      accessorFn: (e) => (c.sort.length > 1 ? together(e, c.sort) : present(e[c.sort[0]])),
    })),
    ...board.filters.map((f) => ({
      id: `filter ${f.key}`, accessorFn: (e) => present(e[f.field]),
      filterFn: (row, id, wanted) => FITS[f.kind](row.getValue(id), wanted),
    })),
  ];

  function ranking(board, slug) {
    const body = document.querySelector("#table tbody");
    const rows = [...body.rows];
    const heads = [...document.querySelectorAll("#table thead th")];
    const form = document.getElementById("tools");
    const search = document.getElementById("search");
    const filters = board.filters.map((each) => each.key);
    let limit = PAGE;

    const data = board.entries.map((e, i) => ({
      ...e, i, text: board.search.map((name) => e[name]).join(" ").toLowerCase(),
    }));
    const table = TableCore.createTable({
      data, columns: columns(board), renderFallbackValue: null, state: {}, onStateChange: () => {},
      getCoreRowModel: TableCore.getCoreRowModel(),
      getSortedRowModel: TableCore.getSortedRowModel(),
      getFilteredRowModel: TableCore.getFilteredRowModel(),
      globalFilterFn: (row, _id, words) => words.every((word) => row.original.text.includes(word)),
      getColumnCanGlobalFilter: (column) => column.id === "name",
    });
    let state = { ...table.initialState, sorting: [{ id: "rank", desc: false }] };
    const update = (change) => { state = typeof change === "function" ? change(state) : change; apply(); render(); };
    const apply = () => table.setOptions((previous) => ({ ...previous, state, onStateChange: update }));
    apply();

    function render() {
      const shown = table.getSortedRowModel().rows;
      body.replaceChildren(...shown.slice(0, limit).map((row) => rows[row.original.i]));
      const all = rows.length, n = shown.length;
      document.getElementById("count").textContent = n === all ? counted(all, "entry") : `${count(n)} of ${counted(all, "entry")}`;
      document.getElementById("empty").hidden = n > 0;
      const more = document.getElementById("more");
      more.hidden = n <= limit;
      more.firstElementChild.textContent = `Show all ${counted(n, "entry")}`;
      for (const th of heads) {
        const sort = state.sorting.find((s) => s.id === th.dataset.key);
        if (sort) th.setAttribute("aria-sort", sort.desc ? "descending" : "ascending");
        else th.removeAttribute("aria-sort");
      }
    }

    for (const th of heads) {
      const button = element("button", { type: "button", class: "sort" });
      button.append(...th.childNodes, element("span", { class: "arrow", "aria-hidden": "true" }));
      th.append(button);
      button.addEventListener("click", () => {
        const column = table.getColumn(th.dataset.key);
        const now = column.getIsSorted();
        const down = now ? now === "asc" : column.getFirstSortDir() === "desc";
        address.choose({ sort: th.dataset.key === "rank" && !down ? "" : (down ? "-" : "") + th.dataset.key });
      });
    }

    const boxes = [...form.querySelectorAll(".columns input")];
    const narrow = matchMedia("(max-width: 700px)").matches;
    const empty = (id) => data.every((e) => table.getRow(String(e.i)).getValue(id) === undefined);
    for (const box of boxes) {
      const { shown } = board.columns.find((c) => c.key === box.value);
      box.defaultChecked = box.checked = (shown === "narrow" || (shown === "wide" && !narrow)) && !empty(box.value);
    }
    function showColumns() {
      const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
      heads.forEach((th, column) => {
        th.hidden = hidden.has(th.dataset.key);
        for (const row of rows) row.cells[column].hidden = th.hidden;
      });
    }
    for (const { key, field } of board.filters) {
      form.elements[key].closest(".field").hidden = new Set(data.map((e) => present(e[field]))).size < 2;
    }

    const tied = shared.bits(board.tied), told = document.getElementById("ties");
    let marked = [];
    function mark(row) {
      for (const each of marked) each.classList.remove("tie", "tie-self");
      marked = [];
      told.textContent = "";
      row ??= rows[place.get(address.params().get("entry"))];
      if (!row) return;
      const i = Number(row.dataset.i);
      const others = [];
      rows.forEach((each, j) => {
        if (j !== i && !tied(i * rows.length + j)) return;
        each.classList.add(j === i ? "tie-self" : "tie");
        marked.push(each);
        if (j !== i) others.push(data[j].name);
      });
      const more = others.length - MOST_NAMED;
      told.textContent = !others.length ? `${data[i].name} is told apart from every other entry.`
        : `${data[i].name} is not told apart from ${others.slice(0, MOST_NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}.`;
    }
    for (const type of ["mouseover", "focusin"]) body.addEventListener(type, (e) => mark(e.target.closest("tr")));
    for (const type of ["mouseleave", "focusout"]) body.addEventListener(type, () => mark(null));

    // The address is the one place that says what is shown: controls write it, and all of it is read again.
    const place = new Map(data.map((e, i) => [e.id, i]));
    const usual = boxes.filter((box) => box.defaultChecked).map((box) => box.value).join();
    let last = null;
    function follow() {
      const asked = address.params();
      const q = asked.get("q") ?? "";
      if (search.value !== q) search.value = q;
      for (const name of filters) {
        const value = asked.get(name) ?? "";
        form.elements[name].value = [...form.elements[name].options].some((o) => o.value === value) ? value : "";
      }
      const columns = asked.has("columns") ? new Set(asked.get("columns").split(",")) : null;
      for (const box of boxes) box.checked = columns ? columns.has(box.value) : box.defaultChecked;
      const [, down, key] = /^(-?)(.*)$/.exec(asked.get("sort") ?? "");
      state = { ...state, sorting: [heads.some((th) => th.dataset.key === key) ? { id: key, desc: down === "-" } : { id: "rank", desc: false }] };
      apply();
      for (const name of filters) table.getColumn(`filter ${name}`).setFilterValue(form.elements[name].value || undefined);
      const words = q.toLowerCase().split(/\s+/).filter(Boolean);
      table.setGlobalFilter(words.length ? words : undefined);
      showColumns();
      const entry = asked.get("entry");
      const at = place.has(entry) ? table.getSortedRowModel().rows.findIndex((r) => r.original.id === entry) : -1;
      if (at >= limit) limit = Infinity;
      render();
      mark(null);
      if (at >= 0 && entry !== last) rows[place.get(entry)].scrollIntoView({ block: "center" });
      last = entry;
    }

    // One step of Back for a whole search, not for each letter.
    let typing = false;
    search.addEventListener("input", () => { address.choose({ q: search.value }, typing); typing = true; });
    search.addEventListener("change", () => { typing = false; });
    for (const name of filters) form.elements[name].addEventListener("change", () => address.choose({ [name]: form.elements[name].value }));
    form.querySelector(".columns").addEventListener("change", () => {
      const shown = boxes.filter((box) => box.checked).map((box) => box.value).join();
      address.choose({ columns: shown === usual ? "" : shown || "none" });
    });
    body.addEventListener("click", (event) => {
      const link = event.target.closest(".col-rank a");
      if (!link) return;
      event.preventDefault();
      address.choose({ entry: data[link.closest("tr").dataset.i].id });
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      limit = PAGE;
      typing = false;
      render();
      address.choose(Object.fromEntries(["q", "sort", "columns", "entry", ...filters].map((key) => [key, ""])));
    });
    document.getElementById("empty-reset").addEventListener("click", () => form.reset());
    document.querySelector("#more button").addEventListener("click", () => { limit = Infinity; render(); });
    document.getElementById("save-shown").addEventListener("click", () => shared.save(`${slug}-shown.csv`, shared.csv(
      board, heads.filter((th) => !th.hidden).map((th) => th.dataset.key), table.getSortedRowModel().rows.map((row) => row.original))));
    document.getElementById("save-shown").hidden = false;
    form.hidden = false;
    address.follow(follow);
    follow();
  }

  shared.ranking = ranking;
})();
