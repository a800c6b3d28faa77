/* The entries of a board by the names of their fields, from the rows of its data file. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const named = (names, row) => Object.fromEntries(names.map((name, i) => [name, row[i]]));
  shared.loadBoard = (slug) => shared.load(`${slug}/board`)
    .then((board) => ({ ...board, entries: board.rows.map((row) => named(board.fields, row)) }));
})();
