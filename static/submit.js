// The Submit page: numbers checked while they are typed and kept in step with the pad, the address, the change of model.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const one = (selector, root = document) => root.querySelector(selector);
  const listen = (event, handle) => document.addEventListener(event, handle);
  const onClick = (selector, handle) =>
    listen("click", (event) => {
      const element = event.target.closest?.(selector);
      if (element) handle(element, event);
    });
  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  // Numbers in the text ---------------------------------------------------------------------------------------------
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const MOST_CHARACTERS = 1 << 20;

  function numbersIn(text) {
    const words = text.trim().replace(/^\[/, "").replace(/\]$/, "").trim();
    const tokens = words ? words.replace(/[\s,;]+$/, "").split(/\s*[,;]\s*|\s+/) : [];
    const wrong = tokens.findIndex((token) => !NUMBER.test(token));
    return { tokens, wrong, values: tokens.map((token) => (NUMBER.test(token) ? Number(token) : null)) };
  }

  function verdict({ tokens, wrong }, width) {
    if (wrong >= 0) return `Value ${(wrong + 1).toLocaleString("en")}: ${tokens[wrong] ? `'${tokens[wrong].slice(0, 40)}' is not a number` : "empty"}`;
    return `${tokens.length.toLocaleString("en")} of ${counted(width, "value")}`;
  }

  function showCount() {
    const width = Number(byId("vector-form").dataset.width);
    const read = numbersIn(byId("vector").value);
    const count = byId("vector-count");
    count.textContent = verdict(read, width);
    count.dataset.state = read.wrong >= 0 || read.tokens.length > width ? "bad" : read.tokens.length === width ? "ok" : "short";
    return read;
  }

  function textChanged() {
    byId("vector").removeAttribute("aria-invalid");
    const { values } = showCount();
    document.dispatchEvent(new CustomEvent("pad:show", { detail: values }));
    showStrip(values);
  }

  function textOf(values) {
    const columns = Number(byId("vector-form").dataset.columns) || values.length;
    const lines = [];
    for (let at = 0; at < values.length; at += columns) lines.push(values.slice(at, at + columns).join(","));
    return lines.join(",\n");
  }

  function fill(values) {
    byId("vector").value = values.length ? textOf(values) : "";
    textChanged();
  }

  listen("input", ({ target }) => {
    if (target.id === "vector") textChanged();
    if (target.id === "json") target.removeAttribute("aria-invalid");
  });
  listen("pad:drawn", ({ detail }) => {
    byId("vector").value = textOf(detail);
    byId("vector").removeAttribute("aria-invalid");
    showCount();
  });
  onClick("[data-clear-vector]", () => fill([]));

  // The strip of a vector that is no image
  const SVG = "http://www.w3.org/2000/svg";
  const MOST_BARS = 512;

  function barsOf(values) {
    const size = Math.ceil(values.length / MOST_BARS) || 1;
    const groups = Array.from({ length: Math.ceil(values.length / size) }, (_, at) => values.slice(at * size, (at + 1) * size));
    return groups.map((group) => group.reduce((sum, value) => sum + (value ?? 0), 0) / group.length);
  }

  function showStrip(values) {
    const svg = one("#strip svg");
    if (!svg) return;
    const bars = barsOf(values);
    const [low, high] = [Math.min(...bars), Math.max(...bars)];
    svg.setAttribute("viewBox", `0 0 ${Math.max(1, bars.length)} 1`);
    svg.setAttribute("aria-label", `The input as a strip of ${counted(values.length, "value")}`);
    svg.replaceChildren(...bars.map((value, at) => barAt(at, high > low ? (value - low) / (high - low) : 0)));
  }

  function barAt(at, ink) {
    const rect = document.createElementNS(SVG, "rect");
    const attributes = { x: at, y: 0, width: 1, height: 1, fill: "currentColor", "fill-opacity": ink.toFixed(2) };
    for (const [name, value] of Object.entries(attributes)) rect.setAttribute(name, value);
    return rect;
  }

  // Examples: the next one at each click ------------------------------------------------------------------------------
  let example = -1;

  onClick("[data-fill-example]", (link, event) => {
    event.preventDefault();
    const examples = JSON.parse(byId("examples").textContent);
    example = (example + 1) % examples.length;
    fill(examples[example].vector);
  });

  // A small file on the field -----------------------------------------------------------------------------------------
  async function readInto(file) {
    if (file.size > MOST_CHARACTERS)
      return tell("vector", `The file has ${counted(file.size, "byte")}; at most ${MOST_CHARACTERS.toLocaleString("en")} are read here. Send it as CSV.`);
    byId("vector-problem").replaceChildren();
    byId("vector").value = (await file.text()).trim();
    textChanged();
  }

  listen("change", ({ target }) => {
    if (target.id !== "vector-file" || !target.files.length) return;
    readInto(target.files[0]);
    target.value = "";
  });

  // The same words the server would use, in the same place
  function tell(tab, words) {
    const problem = document.createElement("div");
    problem.className = "problem";
    problem.tabIndex = -1;
    problem.setAttribute("role", "alert");
    const line = document.createElement("p");
    line.className = "problem-words";
    line.textContent = words;
    problem.append(line);
    byId(`${tab}-problem`).replaceChildren(problem);
    problem.focus();
  }

  // Dropping: on the field of a vector, or on the zone of a table, which upload.js sends ---------------------------------------------------
  const placeToDrop = (event) => event.target.closest?.("#vector, #drop");
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");

  listen("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    const place = placeToDrop(event);
    event.dataTransfer.dropEffect = place ? "copy" : "none";
    for (const each of document.querySelectorAll("#vector, #drop")) each.classList.toggle("is-over", each === place);
  });
  const leave = () => document.querySelectorAll(".is-over").forEach((each) => each.classList.remove("is-over"));
  listen("dragleave", (event) => event.relatedTarget || leave());
  listen("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    leave();
    const [place, file] = [placeToDrop(event), event.dataTransfer.files[0]];
    if (place?.id === "vector" && file) readInto(file);
    if (place?.id === "drop" && file) document.dispatchEvent(new CustomEvent("upload:file", { detail: file }));
  });

  // The address names what a reload should bring back: the tab and the draft --------------------------------------------
  function showAddress() {
    const tab = one('#compose [role="tab"][aria-selected="true"]').id.slice("tab-".length);
    const wanted = new URLSearchParams({ model: byId("model").value, tab, ...(draft && { draft }) });
    history.replaceState(history.state, "", `?${wanted}`);
  }

  listen("app:tab", ({ target }) => target.closest("#compose") && showAddress());

  let draft = one("[data-draft]")?.dataset.draft;

  function noteDraft() {
    const now = one("[data-draft]")?.dataset.draft;
    if (now === draft) return;
    draft = now;
    showAddress();
    if (!draft && document.activeElement === document.body) byId("file").focus();
  }

  // Another model brings new forms; what was typed goes on into them -----------------------------------------------------
  const FIELDS = ["vector", "json"];
  let compose = byId("compose");
  let kept = null;

  function keep() {
    const texts = FIELDS.map((id) => byId(id)?.value ?? "");
    kept = { texts, tab: one('#compose [role="tab"][aria-selected="true"]')?.id };
  }

  function carryOver() {
    compose = byId("compose");
    if (!byId("vector-form")) return;
    FIELDS.forEach((id, at) => (byId(id).value = kept.texts[at]));
    byId(kept.tab)?.click();
    byId("model").focus();
    textChanged();
    showAddress();
  }

  listen("htmx:before:swap", keep);
  listen("app:refreshed", () => {
    if (!byId("vector-form")) return;
    if (byId("compose") !== compose) carryOver();
    noteDraft();
    for (const id of FIELDS) if (byId(`${id}-problem`).childElementCount) byId(id).setAttribute("aria-invalid", "true");
  });
  if (byId("vector-form")) textChanged();
})();
