// A table on its way to the server: sent once, with true progress, a word on every way it can end, and kept to try again.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const one = (selector, root = document) => root.querySelector(selector);
  const listen = (event, handle) => document.addEventListener(event, handle);
  const onClick = (selector, handle) => listen("click", (event) => event.target.closest?.(selector) && handle());

  const RATE_OVER_MS = 3000;
  const WORTH_ANOTHER_TRY = [401, 408, 429];
  let sending = null; // {file, request, marks}: marks are [ms, bytes] of the last seconds
  let kept = null; // the file whose sending broke off

  // Words -------------------------------------------------------------------------------------------------------------
  const UNITS = [["GB", 1e9, 2], ["MB", 1e6, 1], ["kB", 1e3, 0]];

  function sizeWords(bytes) {
    const [unit, size, digits] = UNITS.find(([, size]) => bytes >= size) ?? UNITS.at(-1);
    return `${(bytes / size).toFixed(digits)} ${unit}`;
  }

  function timeWords(seconds) {
    return seconds < 90 ? `${Math.ceil(seconds)} s left` : `${Math.round(seconds / 60)} min left`;
  }

  function rateOf(marks) {
    const [[from_ms, from], [to_ms, to]] = [marks[0], marks.at(-1)];
    return to_ms > from_ms ? ((to - from) * 1000) / (to_ms - from_ms) : 0;
  }

  function progressWords(sent, total, marks) {
    if (sent === total) return `${sizeWords(total)} sent; reading it`;
    const rate = rateOf(marks);
    const parts = [`${sizeWords(sent)} of ${sizeWords(total)}`, `${Math.floor((100 * sent) / total)} %`];
    if (rate) parts.push(`${sizeWords(rate)}/s`, timeWords((total - sent) / rate));
    return parts.join(", ");
  }

  // What stands on the page -------------------------------------------------------------------------------------------
  function showProgress({ loaded, total }) {
    const { marks } = sending;
    marks.push([performance.now(), loaded]);
    while (marks.length > 2 && marks[0][0] < performance.now() - RATE_OVER_MS) marks.shift();
    const bar = one("#upload progress");
    if (loaded === total) bar.removeAttribute("value");
    else bar.value = loaded / total;
    one("[data-upload-words]").textContent = progressWords(loaded, total, marks);
  }

  function showSending(file) {
    byId("csv-problem").replaceChildren();
    byId("upload").hidden = !file;
    byId("csv-form").hidden = Boolean(file);
    byId("model").disabled = Boolean(file); // another model would bring another form
    one("[data-upload-name]").textContent = file?.name ?? "";
    one("[data-upload-words]").textContent = "";
    one("#upload progress").value = 0;
    if (file) one("[data-upload-cancel]").focus();
  }

  function problemOf(words) {
    const problem = document.createElement("div");
    problem.className = "problem";
    problem.tabIndex = -1;
    problem.setAttribute("role", "alert");
    const line = document.createElement("p");
    line.className = "problem-words";
    line.textContent = words;
    problem.append(line);
    return problem;
  }

  function tell(words) {
    const problem = problemOf(words);
    byId("csv-problem").replaceChildren(problem);
    problem.focus();
  }

  function offerAgain(file) {
    kept = file;
    const again = document.createElement("button");
    again.className = "btn";
    again.type = "button";
    again.dataset.uploadAgain = "";
    again.textContent = `Send ${file.name} again`;
    byId("csv-problem").append(again);
  }

  // The ways it ends --------------------------------------------------------------------------------------------------
  const swapIn = (target, text) => htmx.swap({ sourceElement: document.body, target: byId(target), swap: "innerHTML", text });
  const isOurs = (text) => new DOMParser().parseFromString(text, "text/html").querySelector("body > .problem") !== null;

  function ended() {
    const { file } = sending;
    sending = null;
    showSending(null);
    return file;
  }

  async function answered({ status, responseText }) {
    const file = ended();
    if (status === 201) {
      await swapIn("draft", responseText);
      return byId("draft-name").focus();
    }
    if (isOurs(responseText)) await swapIn("csv-problem", responseText);
    else tell(`The server answered with an error (${status}). Nothing of the file was kept.`);
    if (status >= 500 || WORTH_ANOTHER_TRY.includes(status)) offerAgain(file);
  }

  async function brokeOff() {
    const sent = sending.marks.at(-1)[1];
    const file = ended();
    const isReadable = await file.slice(0, 1).arrayBuffer().then(() => true, () => false);
    if (!isReadable) return tell("The file has changed on the disk or cannot be read any more. Choose it again.");
    const far = sent ? ` after ${sizeWords(sent)} of ${sizeWords(file.size)}` : "";
    tell(`The connection broke off${far}. Nothing was kept on the server; the file can be sent again.`);
    offerAgain(file);
  }

  function cancelled() {
    ended();
    byId("file").focus();
  }

  // Sending -----------------------------------------------------------------------------------------------------------
  function send(file) {
    const form = byId("csv-form");
    const most = Number(form.dataset.mostBytes);
    if (file.size > most) return tell(`The file has ${file.size.toLocaleString("en")} bytes; at most ${most.toLocaleString("en")} are taken.`);
    const request = new XMLHttpRequest();
    sending = { file, request, marks: [[performance.now(), 0]] };
    showSending(file);
    request.open("POST", `${form.action}?${new URLSearchParams({ name: file.name, model: form.elements.model.value })}`);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.setRequestHeader("Content-Type", "application/octet-stream"); // the server tells the kind by the first bytes
    request.upload.onprogress = showProgress;
    request.onload = () => answered(request);
    request.onerror = brokeOff;
    request.onabort = cancelled;
    request.send(file);
  }

  listen("upload:file", ({ detail }) => sending || send(detail));
  listen("change", ({ target }) => {
    if (target.id !== "file" || !target.files.length) return;
    send(target.files[0]);
    target.value = "";
  });
  onClick("[data-upload-cancel]", () => sending?.request.abort());
  onClick("[data-upload-again]", () => send(kept));
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
})();
