// The console's lists: rows keep their places while they are being chosen from, and the confirmation counts what will happen.
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

  document.addEventListener("htmx:before:swap", ({ detail }) => {
    for (const { fragment } of detail.tasks) all("tbody[data-hold][id]", fragment).forEach(holdRows);
  });

  // Revoking several: how many will never start, and what becomes of those that run.
  const WILL = {
    never: (n) => `${n} ${n === 1 ? "waits and never starts" : "wait and never start"}`,
    keeps: (n) => `${n} ${n === 1 ? "runs, stops after the block in hand and keeps its finished rows" : "run, stop after the block in hand and keep their finished rows"}`,
    drops: (n) => `${n} ${n === 1 ? "runs and keeps no result" : "run and keep no result"}`,
    left: (n) => `${n} ${n === 1 ? "has left this list and is" : "have left this list and are"} stopped if still running`,
  };

  function describe() {
    const chosen = all("[data-select]:checked").map((box) => box.dataset.will);
    const parts = Object.entries(WILL).map(([will, words]) => [chosen.filter((other) => other === will).length, words]);
    const detail = parts.filter(([count]) => count).map(([count, words]) => words(count)).join("; ");
    for (const button of all("[data-revokes-selected]")) {
      button.dataset.confirm = `Revoke ${chosen.length} ${chosen.length === 1 ? "job" : "jobs"}?`;
      button.dataset.confirmDetail = `${detail}. Inputs stay, so they can be retried.`;
    }
  }

  document.addEventListener("change", describe);
  document.addEventListener("app:refreshed", describe);
})();
