// What every page has: the connection and its fallback, times, copying, confirmation, gathering, tabs, menu, theme, keys.
// Other rooms listen to "app:refreshed" on document, sent after anything on the page was swapped.
(() => {
  "use strict";

  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const onDocument = (event, handle, options) => document.addEventListener(event, handle, options);
  const onClick = (selector, handle) =>
    onDocument("click", (event) => {
      const element = event.target.closest?.(selector);
      if (element) handle(element, event);
    });
  const announce = (words) => (one("#announcer").textContent = words);

  // Times: relative words by the server's clock -------------------------------------------------------------------
  const behindServer_ms = Number(document.body.dataset.now) * 1000 - Date.now();
  const serverNow = () => Date.now() + behindServer_ms;
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function relativeWords(seconds) {
    if (Math.abs(seconds) < 2) return "now";
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size);
    return relative.format(Math.trunc(seconds / size), unit).replace(".", "");
  }

  function elapsedWords(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return (parts[0] ? parts : parts.slice(1)).map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
  }

  function write(element, words) {
    if (element.textContent !== words) element.textContent = words;
  }

  function tick() {
    const now = serverNow();
    for (const time of all("time[data-relative]")) write(time, relativeWords((Date.parse(time.dateTime) - now) / 1000));
    for (const time of all("time[data-elapsed]")) write(time, elapsedWords((now - Date.parse(time.dateTime)) / 1000));
  }

  // The connection: one websocket a page, its chip, and a slow poll while it is down --------------------------------
  const POLL_MS = 5000;
  const ATTEMPTS_BEFORE_OFFLINE = 4;
  // Without jitter the countdown is exact; each page draws its own first delay, so that pages do not return in step.
  htmx.config.ws = { reconnectDelay: 500 + Math.random() * 1000, reconnectMaxDelay: 15000, reconnectJitter: 0 };
  const chip = one("#connection");
  const hasSocket = Boolean(one("#socket")?.getAttribute("hx-ws:connect"));
  const link = { state: "connecting", connection: null, retryAt: 0, dataFrom: serverNow(), over: false };

  const clock = (at_ms) => new Date(at_ms).toLocaleTimeString("en-GB");
  const WORDS = {
    connecting: () => "Connecting",
    live: () => "Live",
    reconnecting: () => `Reconnecting in ${Math.max(1, Math.ceil((link.retryAt - Date.now()) / 1000))} s`,
    offline: () => `Offline, showing data from ${clock(link.dataFrom)}`,
  };

  function showLink() {
    if (!hasSocket || !chip) return;
    chip.hidden = false;
    chip.dataset.state = link.state;
    write(one("[data-words]", chip), WORDS[link.state]());
  }

  function enter(state) {
    if (state === link.state) return;
    if (state === "offline") announce(WORDS.offline());
    if (state === "live" && link.state !== "connecting") announce("Live again");
    link.state = state;
    showLink();
  }

  function socketOpened() {
    link.over = false;
    link.dataFrom = serverNow();
    enter("live");
  }

  // hx-ws says this before it waits for attempt n, not when it makes it; the delay is its own formula.
  function socketWillRetry({ detail: { connection } }) {
    link.connection = connection;
    if (!connection.attempt) return;
    const { reconnectDelay, reconnectMaxDelay } = connection.config;
    link.retryAt = Date.now() + Math.min(reconnectDelay * 2 ** (connection.attempt - 1), reconnectMaxDelay);
    enter(connection.attempt < ATTEMPTS_BEFORE_OFFLINE ? "reconnecting" : "offline");
  }

  function socketClosed({ detail: { connection, code } }) {
    if (document.hidden || !code) return;
    link.over = !connection.config.reconnectCodes.includes(code);
    if (link.over) enter("offline");
    if (REFUSED.includes(code) && performance.now() > SETTLED_MS && !hasInput()) location.reload();
  }

  // Who may see less, or nothing, is not left with what they saw; what was typed is theirs, and stays. Not where a page has just
  // been loaded: one that is refused at once would load for ever.
  const REFUSED = [4403, 4409];
  const SETTLED_MS = 5000;
  const hasInput = () => all("textarea, input:not([type=checkbox], [type=radio], [type=hidden])").some((field) => field.value !== field.defaultValue);

  // hx-ws leaves the timer of a waiting attempt running when it connects for another reason; it would drop the new socket.
  const forgetTimer = () => link.connection && clearTimeout(link.connection.timer);

  function connectNow() {
    if (link.over) return location.reload();
    if (link.state === "live") return;
    forgetTimer();
    document.dispatchEvent(new Event("visibilitychange"));
  }

  onDocument("htmx:ws:before:connection", socketWillRetry);
  onDocument("htmx:ws:after:connection", socketOpened);
  onDocument("htmx:ws:close", socketClosed);
  onDocument("htmx:ws:after:message:incoming", () => (link.dataFrom = serverNow()));
  onDocument("visibilitychange", () => document.hidden || forgetTimer());
  addEventListener("online", connectNow);
  onClick("#connection", connectNow);

  async function poll(element) {
    const answer = await fetch(element.dataset.poll || location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(element.id);
    if (!fresh || link.state === "live" || !element.isConnected) return false;
    await htmx.swap({ sourceElement: document.body, target: element, swap: "outerMorph", text: fresh.outerHTML });
    return true;
  }

  async function pollAll() {
    if (document.hidden || link.state === "live") return;
    const answered = await Promise.all(all("[data-poll]").map(poll));
    if (answered.some(Boolean)) link.dataFrom = serverNow();
  }

  // What arrives: known rows change in place, new ones gather behind a button ---------------------------------------
  const GATHERED_AT_MOST = 200;

  const firstElement = (task) => task.fragment.firstElementChild;

  // A row sent to a gatherer that is already on the page is a change of that row.
  function toKnownRow(task) {
    const gatherer = typeof task.target === "string" ? one(task.target) : task.target;
    if (!gatherer?.matches?.("[data-gather]")) return;
    const known = document.getElementById(firstElement(task)?.id ?? "");
    if (known) Object.assign(task, { target: known, swapSpec: { style: "outerMorph" } });
    else if (gatherer.hasAttribute("data-gather-known")) task.fragment = document.createDocumentFragment();
  }

  // Morphing an element keeps the white space around it in the message, a little more at every message.
  function withoutEdges({ swapSpec, fragment }) {
    if (!swapSpec?.style?.startsWith("outer")) return;
    for (const node of [...fragment.childNodes]) if (node.nodeType === Node.TEXT_NODE && !node.data.trim()) node.remove();
  }

  function showGathered() {
    for (const gatherer of all("[data-gather]")) {
      const rows = [...gatherer.children];
      rows.slice(GATHERED_AT_MOST).forEach((row) => row.remove());
      const button = one(`[data-gather-show="${gatherer.id}"]`);
      if (!button) continue;
      button.hidden = !rows.length;
      const [noun, nouns] = (button.dataset.nouns ?? "new job,new jobs").split(",");
      const count = Math.min(rows.length, GATHERED_AT_MOST);
      write(button, rows.length > GATHERED_AT_MOST ? `Show the newest ${count}` : `Show ${count} ${count === 1 ? noun : nouns}`);
    }
  }

  onClick("[data-gather-show]", (button) => {
    const gatherer = document.getElementById(button.dataset.gatherShow);
    one(gatherer.dataset.gather).prepend(...gatherer.children);
    refresh();
  });

  function refresh() {
    tick();
    showGathered();
    showTheme();
    document.dispatchEvent(new Event("app:refreshed"));
  }

  onDocument("htmx:before:swap", ({ detail }) => {
    detail.tasks.forEach(toKnownRow);
    detail.tasks.forEach(withoutEdges);
  });
  onDocument("htmx:after:swap", refresh);

  // A problem that has just appeared takes the focus, once.
  onDocument("app:refreshed", () => {
    const problem = one("[data-focus]");
    problem?.removeAttribute("data-focus");
    problem?.focus();
  });

  // Changes of state worth saying aloud: any element that carries data-announce, when its words change ---------------
  const said = new Map(all("[data-announce][id]").map((element) => [element.id, element.dataset.announce]));
  onDocument("app:refreshed", () => {
    for (const { id, dataset } of all("[data-announce][id]")) {
      if (said.has(id) && said.get(id) !== dataset.announce) announce(dataset.announce);
      said.set(id, dataset.announce);
    }
  });

  // Copying ----------------------------------------------------------------------------------------------------------
  const copyText = (button) =>
    button.dataset.copy || document.getElementById(button.dataset.copyFrom)?.textContent.trim() || "";

  onClick("[data-copy], [data-copy-from]", async (button) => {
    try {
      await navigator.clipboard.writeText(copyText(button));
      announce("Copied");
      button.classList.add("is-copied");
      setTimeout(() => button.classList.remove("is-copied"), 1200);
    } catch {
      announce("The browser did not allow copying");
    }
  });

  // Confirmation: data-confirm on a form, or on a button of one ------------------------------------------------------
  function fillConfirm(dialog, { confirm, confirmDetail = "", confirmButton = "Confirm", confirmType = "" }) {
    write(one("#confirm-question"), confirm);
    write(one("#confirm-detail"), confirmDetail);
    const label = one("#confirm-type");
    label.hidden = !confirmType;
    write(one("strong", label), confirmType);
    const [input, yes] = [one("input", label), one('[value="yes"]', dialog)];
    input.value = "";
    write(yes, confirmButton);
    yes.disabled = Boolean(confirmType);
    input.oninput = () => (yes.disabled = input.value.trim() !== confirmType);
  }

  function isConfirmed(data) {
    const dialog = one("#confirm");
    fillConfirm(dialog, data);
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((decide) =>
      dialog.addEventListener("close", () => decide(dialog.returnValue === "yes"), { once: true }));
  }

  // What was asked is what is sent: the page goes on behind the question, and its button may mean another act by then, or be gone.
  function asAsked(form, submitter) {
    const copy = form.cloneNode(false);
    copy.removeAttribute("id");
    delete copy.dataset.confirm;
    if (submitter?.hasAttribute("formaction")) copy.setAttribute("action", submitter.getAttribute("formaction"));
    for (const [name, value] of new FormData(form, submitter))
      copy.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    return copy;
  }

  onDocument("submit", async (event) => {
    const { target: form, submitter } = event;
    const asked = [submitter, form].find((element) => element?.dataset?.confirm);
    if (!asked) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const copy = asAsked(form, submitter);
    if (!(await isConfirmed(asked.dataset))) return;
    one("#asked").replaceChildren(copy);
    htmx.process(copy);
    copy.requestSubmit();
  }, true);

  // Tabs: role=tab with aria-controls, arrows move between them ------------------------------------------------------
  function choose(tab) {
    for (const other of all('[role="tab"]', tab.closest('[role="tablist"]'))) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.dispatchEvent(new CustomEvent("app:tab", { bubbles: true }));
  }

  onClick('[role="tab"]', choose);
  onDocument("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !event.target.matches?.('[role="tab"]')) return;
    const tabs = all('[role="tab"]', event.target.closest('[role="tablist"]'));
    const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  });

  // Menu, dialogs, theme ----------------------------------------------------------------------------------------------
  onClick("[data-menu]", (button) => {
    const open = one("#sidebar").classList.toggle("is-open");
    button.setAttribute("aria-expanded", open);
  });
  onClick("[data-opens]", (button) => document.getElementById(button.dataset.opens).showModal());
  onClick("[data-closes]", (button) => button.closest("dialog").close());

  const chosenTheme = () => /(?:^|; )theme=(light|dark)(?:;|$)/.exec(document.cookie)?.[1] ?? "auto";

  function showTheme() {
    for (const button of all("[data-theme-choice]"))
      button.setAttribute("aria-pressed", button.dataset.themeChoice === chosenTheme());
  }

  onClick("[data-theme-choice]", (button) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${button.dataset.themeChoice}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    document.dispatchEvent(new Event("theme:chosen"));
    showTheme();
  });

  // Selecting rows: data-select boxes, one data-select-all, and what waits for a selection ---------------------------
  function showSelection() {
    const boxes = all("[data-select]");
    const chosen = boxes.filter((box) => box.checked).length;
    for (const whole of all("[data-select-all]")) {
      whole.checked = chosen > 0 && chosen === boxes.length;
      whole.indeterminate = chosen > 0 && chosen < boxes.length;
    }
    for (const element of all("[data-selected]")) element.hidden = !chosen;
    for (const element of all("[data-selected-count]")) write(element, String(chosen));
  }

  onDocument("change", ({ target }) => {
    if (target.matches("[data-select-all]")) for (const box of all("[data-select]")) box.checked = target.checked;
    if (target.matches("[data-select], [data-select-all]")) showSelection();
  });
  onDocument("app:refreshed", showSelection);

  // Keys: off inside fields and dialogs, and wherever the user switched them off -------------------------------------
  const PLACES = { s: "/", j: "/jobs/", m: "/models/", c: "/console/" };
  const areOn = () => localStorage.getItem("shortcuts") !== "off";
  let afterG = 0;

  const rows = () => all("[data-href]").filter((row) => row.offsetParent !== null);
  const current = () => one("[data-href].is-current");

  function leaveRow() {
    current()?.removeAttribute("tabindex");
    current()?.classList.remove("is-current");
  }

  function moveRow(step) {
    const list = rows();
    const next = list[Math.max(0, Math.min(list.length - 1, list.indexOf(current()) + step))];
    if (!next) return;
    leaveRow();
    next.classList.add("is-current");
    next.tabIndex = -1;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function openRow(event) {
    if (current() && !event.target.closest("a, button")) location.assign(current().dataset.href);
  }

  function focusFilter(event) {
    const filter = one("[data-filter]");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select?.();
  }

  const KEYS = {
    "?": () => one("#keyboard").showModal(),
    "/": focusFilter,
    g: () => (afterG = Date.now()),
    j: () => moveRow(1),
    k: () => moveRow(-1),
    x: () => one("[data-select]", current() ?? document.createElement("i"))?.click(),
    r: () => one('[data-key="r"]', current() ?? document)?.click(),
    Enter: openRow,
    Escape: leaveRow,
  };

  function isTyping({ target }) {
    return target.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], dialog");
  }

  onDocument("keydown", (event) => {
    if (!areOn() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    const wasG = Date.now() - afterG < 1500;
    afterG = 0;
    const place = wasG && PLACES[event.key] && one(`.side-link[href="${PLACES[event.key]}"]`);
    if (place) location.assign(place.href);
    else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key](event);
  });

  const shortcuts = one("[data-shortcuts]");
  shortcuts.checked = areOn();
  shortcuts.addEventListener("change", () => localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"));

  // Begin ------------------------------------------------------------------------------------------------------------
  setInterval(() => {
    tick();
    showLink();
  }, 1000);
  setInterval(pollAll, POLL_MS);
  refresh();
  showLink();
})();
