/* Which images are meant: the text behind the # means the same images as in leaderboard/site/image_set.py. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const OUTCOMES = ["right", "wrong", "none"];
  const whole = (text, most) => (/^[0-9]{1,5}$/.test(text) && Number(text) <= most ? Number(text) : null);

  /** The set of a board: what chooses images from its data, and what of the text means nothing. */
  function imageSet(slug, head, images, names) {
    const m = head.entries.length, n = images.id.length;
    const entries = new Map(head.entries.map((e) => [e[0], e]));
    const byName = new Map();
    for (const [i, name] of names.entries()) byName.set(name.toLowerCase(), byName.has(name.toLowerCase()) ? null : i); // null: of two classes
    const origin = (i) => images.origins[images.origin[i]];
    const labels = (i) => images.labels[i].map((c) => names[c]).join(", ");
    const classOf = (text) => whole(text, 999) ?? byName.get(text.toLowerCase()) ?? null;
    const labelled = images.labels.some((each) => each.length);
    let texts = null;

    /** A test of image i for a value of a key; null where the value means nothing. */
    const FILTERS = {
      q(value) {
        texts ??= images.id.map((id, i) => `${id} ${labels(i)} ${origin(i)}`.toLowerCase());
        const words = value.toLowerCase().split(/\s+/).filter(Boolean);
        return (i) => words.every((word) => texts[i].includes(word));
      },
      origin: (value) => (images.origins.includes(value) ? (i) => origin(i) === value : null),
      class(value) { const c = labelled ? classOf(value) : null; return c === null ? null : (i) => images.labels[i].includes(c); },
      labels(value) { const k = labelled ? whole(value, 1000) : null; return k === null ? null : (i) => images.labels[i].length === k; },
      right(value) {
        const [low, high, ...more] = value.split("-").map((each) => whole(each, 100));
        if (low === null || high === null || high === undefined || more.length) return null;
        return (i) => 100 * images.solvedBy[i] >= m * low && 100 * images.solvedBy[i] <= m * high;
      },
      other(value) { const c = classOf(value); return c === null ? null : (i) => images.wrong[i] === c; },
      agree(value) { const k = whole(value, 100); return k === null ? null : (i) => 100 * images.votes[i] >= m * k; },
      async who(value) {
        const tests = [];
        for (const each of value.split(",")) {
          const [, outcome, id] = /^([a-z]+):(.*)$/.exec(each) ?? [];
          if (!OUTCOMES.includes(outcome) || !entries.has(id)) return null;
          const said = await shared.load(`${slug}/entries/${id}`);
          const right = shared.bits(said.correct);
          const predicted = outcome === "none" ? shared.int16(said.predicted) : null;
          tests.push({ right, wrong: (i) => !right(i), none: (i) => predicted[i] < 0 }[outcome]);
        }
        return (i) => tests.every((test) => test(i));
      },
    };
    const by = (...keys) => (a, b) => { for (const key of keys) { const d = key(a) - key(b); if (d) return d; } return a - b; };
    const ORDERS = {
      hard: by((i) => images.solvedBy[i], (i) => -images.votes[i]),
      easy: by((i) => -images.solvedBy[i]),
      agree: by((i) => -images.votes[i]),
      doubt: by((i) => -(images.doubt?.[i] ?? 0)),
      id: (a, b) => a - b,
    };

    /** {rows, meaningless}: images in order, and the pairs of the address that mean nothing here. */
    async function chosen(params) {
      const tests = [], meaningless = [];
      for (const [key, make] of Object.entries(FILTERS)) {
        const value = params.get(key);
        if (!value) continue;
        const test = await make(value);
        if (test) tests.push(test);
        else meaningless.push(`${key}=${value}`);
      }
      const sort = params.get("sort") || "hard";
      if (!Object.hasOwn(ORDERS, sort) || (sort === "doubt" && !images.doubt)) meaningless.push(`sort=${sort}`);
      const rows = Array.from({ length: n }, (_, i) => i).filter((i) => tests.every((test) => test(i)));
      return { rows: rows.sort(ORDERS[sort] ?? ORDERS.hard), meaningless };
    }

    const asCsv = (rows) => shared.csvText([
      ["id", "labels", "origin", "solved_by", "commonest_wrong", "commonest_wrong_votes", ...(images.doubt ? ["doubt", "doubt_class"] : [])],
      ...rows.map((i) => [images.id[i], images.labels[i].join(" "), origin(i), images.solvedBy[i], images.wrong[i] < 0 ? null : images.wrong[i], images.votes[i],
        ...(images.doubt ? [images.doubt[i] / 1000, images.other[i] < 0 ? null : images.other[i]] : [])]),
    ]);
    return { chosen, asCsv, keys: [...Object.keys(FILTERS), "sort"], classOf, labels, origin };
  }

  shared.imageSet = imageSet;
})();
