/* Charts with Observable Plot, in the page's colours, drawn again when the theme or the width changes. */
(() => {
  "use strict";
  const shared = window.imagenetHard;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const PALETTE = ["c1", "c2", "c3", "c4", "c5", "c6"];
  const palette = (n) => Array.from({ length: n }, (_, i) => colour(PALETTE[i % PALETTE.length]));

  /** Keep `figure` drawn: make(width) gives Plot options, or null where there is nothing to draw. */
  function chart(figure, label, make, nothing = "") {
    let width = 0;
    function draw() {
      width = Math.floor(figure.clientWidth - 2 * parseFloat(getComputedStyle(figure).paddingLeft));
      if (width < 50) return;
      const options = make(width);
      if (!options) { figure.replaceChildren(shared.element("p", { class: "soft", text: nothing })); return; }
      const { caption, ...rest } = options;
      const svg = Plot.plot({ width, className: "plot", ...rest, style: { background: "transparent" } });
      // Plot's own style element would need inline styles in the security policy; its rules are in site.css.
      for (const style of svg.querySelectorAll("style")) style.remove();
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", typeof label === "function" ? label() : label);
      // What Plot labels inside an image is read as part of the image.
      for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
      figure.replaceChildren(svg, ...(caption ? [caption] : []));
    }
    new ResizeObserver(() => {
      const now = Math.floor(figure.clientWidth - 2 * parseFloat(getComputedStyle(figure).paddingLeft));
      if (Math.abs(now - width) > 2) draw();
    }).observe(figure);
    document.addEventListener("themechange", draw);
    draw();
    return draw;
  }

  function legend(names, colours, more = "") {
    return shared.element("figcaption", { class: "legend" }, ...names.map((name, i) => {
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("viewBox", "0 0 10 10");
      swatch.setAttribute("width", "10");
      swatch.setAttribute("height", "10");
      swatch.setAttribute("aria-hidden", "true");
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      for (const [key, value] of [["cx", 5], ["cy", 5], ["r", 5], ["fill", colours[i]]]) dot.setAttribute(key, value);
      swatch.append(dot);
      return shared.element("span", {}, swatch, document.createTextNode(name));
    }), ...(more ? [shared.element("span", { text: more })] : []));
  }

  /** Wilson's 95 % interval, as the package computes it. */
  function wilson(k, n) {
    const z = 1.959963984540054, p = k / n, zz = (z * z) / n;
    const half = z * Math.sqrt((p * (1 - p)) / n + zz / (4 * n));
    return [k === 0 ? 0 : (p + zz / 2 - half) / (1 + zz), k === n ? 1 : (p + zz / 2 + half) / (1 + zz)];
  }

  const shorten = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

  Object.assign(shared, { chart, colour, palette, legend, wilson, shorten });
})();
