// The console's lists: rows keep their places while they are being chosen from.
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // While the pointer or the focus is in a list, or boxes are checked, no row moves: new ones come in below, and one that left is dimmed.
  const isHeld = (body) => body.matches(":hover") || body.contains(document.activeElement) || body.querySelector(":checked");

  // Its box stays: whoever chose the job still wants it stopped, wherever it is now.
  function asGone(row) {
    const gone = row.cloneNode(true);
    gone.classList.add("is-gone");
    for (const chip of all(".chip", gone)) chip.replaceWith(Object.assign(document.createElement("span"), { className: "chip chip-off", textContent: "Moved on" }));
    for (const clock of all("time[data-elapsed]", gone)) clock.removeAttribute("data-elapsed");
    for (const box of all("[data-will]", gone)) box.dataset.will = "left";
    return gone;
  }

  function holdRows(fresh) {
    const shown = document.getElementById(fresh.id);
    if (!shown || !isHeld(shown)) return;
    const arrived = new Map([...fresh.rows].map((row) => [row.id, row]));
    const kept = [...shown.rows].map((row) => arrived.get(row.id) ?? asGone(row));
    fresh.replaceChildren(...kept, ...[...arrived.values()].filter((row) => !kept.includes(row)));
  }

  // What somebody opened stays open.
  function keepOpen(fresh) {
    fresh.open = document.getElementById(fresh.id)?.open ?? fresh.open;
  }

  document.addEventListener("htmx:before:swap", ({ detail }) => {
    for (const { fragment } of detail.tasks) {
      all("tbody[data-hold][id]", fragment).forEach(holdRows);
      all("details[id]", fragment).forEach(keepOpen);
    }
  });
})();
