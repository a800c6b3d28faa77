/* What the reader chose stands in the address behind the #: a link leads back to it, and so does Back. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const params = () => new URLSearchParams(location.hash.slice(1));
  const listeners = [];

  /** Set or, where a value is empty, take away; a step that Back undoes unless `replace`. */
  function choose(changes, replace = false) {
    const next = params();
    for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
    const text = next.toString().replaceAll("%2C", ",");
    if (text === params().toString().replaceAll("%2C", ",")) return;
    history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${location.search}${text && "#"}${text}`);
    for (const each of listeners) each();
  }

  window.addEventListener("popstate", () => { for (const each of listeners) each(); });
  shared.address = { params, choose, follow: (listener) => listeners.push(listener) };
})();
