// Lists of jobs: before several are revoked or their results removed, the confirmation counts them and says what will happen.
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Revoking several: how many will never start, and what becomes of those that run.
  const WILL = {
    never: (n) => `${n} ${n === 1 ? "waits and never starts" : "wait and never start"}`,
    keeps: (n) => `${n} ${n === 1 ? "runs, stops after the block in hand and keeps its finished rows" : "run, stop after the block in hand and keep their finished rows"}`,
    drops: (n) => `${n} ${n === 1 ? "runs and keeps no result" : "run and keep no result"}`,
    stopping: (n) => `${n} ${n === 1 ? "is" : "are"} being stopped already`,
    ended: (n) => `${n} ${n === 1 ? "has already ended and stays as it is" : "have already ended and stay as they are"}`,
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
    for (const button of all("[data-removes-selected]")) {
      button.dataset.confirm = `Remove ${chosen.length} ${chosen.length === 1 ? "result" : "results"} now?`;
    }
  }

  document.addEventListener("change", describe);
  document.addEventListener("app:refreshed", describe);
})();
