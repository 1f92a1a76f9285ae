// The list's poll, where websockets are cut off: rows in place from the topmost one shown, newer ones gather.
(() => {
  "use strict";

  function keepWindow() {
    const shown = document.getElementById("jobs");
    const newest = shown?.firstElementChild?.id?.replace(/^job-/, "");
    if (!newest) return;
    for (const id of ["jobs", "new-jobs"]) {
      const body = document.getElementById(id);
      if (!body?.dataset.poll) continue;
      const address = new URL(body.dataset.poll, location.href);
      address.searchParams.set("newest", newest);
      body.dataset.poll = address.pathname + address.search;
    }
  }

  document.addEventListener("app:refreshed", keepWindow);
  keepWindow();
})();
