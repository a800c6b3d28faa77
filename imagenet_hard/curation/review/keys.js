// Keyboard shortcuts of the review page, and scrolling to the image on small screens. One key acts on one shown image: until the page has
// answered (its stamp changes), further keys are dropped, so nothing unseen is decided. The page sets ACTIONS: key -> button.
(() => {
  const buttons = { ...ACTIONS, u: "undo", j: "next", ArrowRight: "next", ArrowLeft: "previous" };
  const fields = { l: "#labels input", n: "#note textarea" };
  let asked = null;

  const stamp = () => document.querySelector("#answer")?.dataset.stamp;
  const press = (id) => {
    if (asked && asked.stamp === stamp() && Date.now() - asked.time < 10000) return;
    asked = { stamp: stamp(), time: Date.now() };
    document.getElementById(id)?.click();
  };
  const types = (target) =>
    target.isContentEditable || target.matches("textarea, select, input:not([type=radio], [type=checkbox])");

  // While the event goes down, so that the fields can be kept from seeing it.
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.altKey || event.isComposing || !target.matches) return;
    const saves = key === "Enter" && (event.ctrlKey || event.metaKey);
    // With nothing typed, Enter would choose the first of the 1000 classes.
    const blank = key === "Enter" && target.matches(fields.l) && !target.value;
    if (saves || blank) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!saves || event.repeat) return;
      target.blur();
      press(ACTIONS["Ctrl Enter"]);
    } else if (event.repeat || event.ctrlKey || event.metaKey) {
      return;
    } else if (key === "Escape") {
      target.blur();
    } else if (types(target) || (target.type === "radio" && key.startsWith("Arrow"))) {
      return;
    } else if (key in buttons) {
      event.preventDefault();
      press(buttons[key]);
    } else if (key in fields) {
      event.preventDefault();
      document.querySelector(fields[key])?.focus();
    } else if (/^[1-9]$/.test(key)) {
      document.querySelectorAll("#reason input")[key - 1]?.click();
    }
  }, true);

  // The second half of a double click would decide the next image.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest([...Object.values(ACTIONS), "undo"].map((id) => `#${id}`).join())) {
      event.stopImmediatePropagation();
    }
  }, true);

  // On a phone the buttons are below the image: show each new image from its top.
  let last = null;
  new MutationObserver(() => {
    const figure = document.querySelector("#figure");
    if (!figure || figure.dataset.id === last) return;
    if (last !== null && figure.getBoundingClientRect().top < 0) figure.scrollIntoView();
    last = figure.dataset.id;
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
