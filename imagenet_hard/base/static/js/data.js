/* Data files are scripts that call receive(): a page from file:// may not fetch JSON. */
(() => {
  "use strict";
  const waiting = new Map();
  const root = document.body.dataset.root;

  /** The value of data/KEY.js, loaded once. */
  function load(key) {
    if (waiting.has(key)) return waiting.get(key).promise;
    const entry = {};
    entry.promise = new Promise((resolve, reject) => { entry.resolve = resolve; entry.reject = reject; });
    waiting.set(key, entry);
    const script = document.createElement("script");
    script.src = `${root}data/${key}.js`;
    script.onerror = () => entry.reject(new Error(`The data file ${key} is missing.`));
    document.head.append(script);
    return entry.promise;
  }

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  /** A test for bit i of packed bits, the first in the highest bit. */
  function bits(base64) {
    const packed = bytes(base64);
    return (i) => (packed[i >> 3] >> (7 - (i & 7))) & 1;
  }

  /** An element with attributes, text and children; text is never parsed as HTML. */
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") made.textContent = value;
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value != null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  const percent = (share, digits = 2) => (100 * share).toFixed(digits);
  const count = (n) => n.toLocaleString("en-US");
  /** "1 image", "1,200 images", "0 entries". */
  const counted = (n, one) => `${count(n)} ${n === 1 ? one : one.endsWith("ry") ? `${one.slice(0, -1)}ies` : `${one}s`}`;

  window.imagenetHard = {
    root, load, bytes, bits, element, percent, count, counted,
    receive: (key, value) => waiting.get(key)?.resolve(value),
    int8: (base64) => new Int8Array(bytes(base64).buffer),
    int16: (base64) => {
      const view = new DataView(bytes(base64).buffer);
      return Int16Array.from({ length: view.byteLength / 2 }, (_, i) => view.getInt16(2 * i, true));
    },
  };
})();
