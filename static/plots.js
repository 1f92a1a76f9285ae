// The overview's plots: drawn by uPlot from /console/samples/, kept up to date, each with its last values as a table.
(() => {
  "use strict";

  const POLL_MS = 5000;
  const HEIGHT = 160;
  const ROWS_TOLD = 5;
  const LINES = {
    realtime: ["--plot-1"], batch: ["--plot-2"], default: ["--plot-5"],
    succeeded: ["--plot-3"], failed: ["--bad", [6, 3]], revoked: ["--plot-5", [2, 3]],
    p50: ["--plot-1"], p95: ["--plot-2", [6, 3]], p99: ["--plot-4", [2, 3]], largest: ["--plot-4", [2, 3]],
  };

  // Steps of an axis that read well: whole jobs, and time as clocks divide it.
  const decades = (first, last) => Array.from({ length: last - first }, (_, n) => [1, 2, 5].map((digit) => digit * 10 ** (first + n))).flat();
  const STEPS = {
    "": decades(0, 9),
    s: [...decades(-4, 1), 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400, 172800, 432000],
  };

  const section = document.getElementById("plots");
  if (!section) return;
  const figures = [...section.querySelectorAll("[data-plot]")];
  const drawn = new Map();
  const known = { at: [], plots: {}, now: 0, lasts_s: 0 };

  // Words ------------------------------------------------------------------------------------------------------------
  const three = (value) => String(Number(value.toPrecision(3)));
  const seconds = (value) =>
    value === 0 ? "0" : value >= 6000 ? `${three(value / 3600)} h` : value >= 100 ? `${three(value / 60)} min` : value >= 1 ? `${three(value)} s` : `${three(value * 1000)} ms`;
  const number = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(3))).toLocaleString("en");
  const words = (value, unit) => (value == null ? "–" : unit === "s" ? seconds(value) : number(value) + unit);
  const clock = (at_s, options) => new Date(at_s * 1000).toLocaleString("en-GB", options);
  const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const DAY = { day: "numeric", month: "short" };
  const moment = (at_s) => clock(at_s, known.lasts_s > 86400 ? { ...DAY, hour: "2-digit", minute: "2-digit" } : TIME);
  const tick = (at_s, step_s) => clock(at_s, step_s >= 86400 ? DAY : step_s >= 60 ? { hour: "2-digit", minute: "2-digit" } : TIME);

  // What is known: the newest stretch may still grow, so it is asked for again ------------------------------------------
  function absorb({ at, plots, now, lasts_s }) {
    const from = known.at.findIndex((each) => each > now - lasts_s);
    const kept = known.at.findIndex((each) => each >= (at[0] ?? Infinity));
    const old = (values) => (from < 0 ? [] : values.slice(from, kept < 0 ? undefined : kept));
    for (const [name, series] of Object.entries(plots)) {
      const before = known.plots[name] ?? {};
      known.plots[name] = Object.fromEntries(Object.entries(series).map(([label, values]) => [label, [...old(before[label] ?? []), ...values]]));
    }
    Object.assign(known, { at: [...old(known.at), ...at], now, lasts_s });
  }

  // Drawing ------------------------------------------------------------------------------------------------------------
  const colour = (token) => getComputedStyle(document.documentElement).getPropertyValue(token).trim();

  // A line has two ends: a value between two gaps would not be seen.
  function alone(plot, place) {
    const values = plot.data[place];
    return [...values.keys()].filter((n) => values[n] != null && values[n - 1] == null && values[n + 1] == null);
  }

  function line(label, unit) {
    const [token, dash] = LINES[label];
    const points = { show: false, filter: alone, size: 4, fill: colour(token) };
    return { label, stroke: colour(token), dash, width: 1.5, value: (_, value) => words(value, unit), points };
  }

  const axis = (more) => ({ stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", ...more });

  function options(figure, labels, width) {
    const { unit } = figure.dataset;
    return {
      width,
      height: HEIGHT,
      padding: [8, 16, 0, 0],
      scales: {
        x: { range: () => [known.now - known.lasts_s, known.now] },
        y: { range: (_, least, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      axes: [
        axis({ values: (_, splits, __, ___, step_s) => splits.map((at_s) => tick(at_s, step_s)), space: 64, size: 28 }),
        axis({ values: (_, splits) => splits.map((value) => words(value, unit)), size: 62, ...(unit in STEPS && { incrs: STEPS[unit] }) }),
      ],
      series: [{ label: "At", value: (_, at_s) => (at_s == null ? "–" : moment(at_s)) }, ...labels.map((label) => line(label, unit))],
      cursor: { sync: { key: "console" }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { isolate: false },
      hooks: { setCursor: [showNewest], setData: [showNewest] },
    };
  }

  // While nobody points at a plot, its legend tells the newest values.
  function showNewest(plot) {
    if (plot.cursor.left >= 0 && plot.cursor.idx != null) return;
    if (known.at.length) plot.setLegend({ idx: known.at.length - 1 }, false);
  }

  const box = (figure) => figure.querySelector(".plot");

  function draw(figure) {
    const series = known.plots[figure.dataset.plot];
    const data = [known.at, ...Object.values(series)];
    const plot = drawn.get(figure);
    if (plot) return plot.setData(data);
    drawn.set(figure, new uPlot(options(figure, Object.keys(series), box(figure).clientWidth), data, box(figure)));
  }

  function cell(name, text, scope) {
    return Object.assign(document.createElement(name), { textContent: text }, scope && { scope });
  }

  function row(...cells) {
    const made = document.createElement("tr");
    made.append(...cells);
    return made;
  }

  function tell(figure) {
    const series = known.plots[figure.dataset.plot];
    const table = document.createElement("table");
    table.createCaption().textContent = `${figure.querySelector("h3").textContent}, last values`;
    table.createTHead().append(row(cell("th", "At", "col"), ...Object.keys(series).map((label) => cell("th", label, "col"))));
    const told = known.at.map((at_s, place) => [at_s, place]).slice(-ROWS_TOLD);
    table.createTBody().append(...told.map(([at_s, place]) =>
      row(cell("th", moment(at_s), "row"), ...Object.values(series).map((values) => cell("td", words(values[place], figure.dataset.unit))))));
    figure.querySelector("[data-plot-table]").replaceChildren(table);
  }

  function show() {
    section.querySelector("[data-plots-empty]").hidden = Object.values(known.plots.throughput).some((values) => values.some((value) => value != null));
    figures.forEach(draw);
    figures.forEach(tell);
  }

  function drawAnew() {
    for (const plot of drawn.values()) plot.destroy();
    drawn.clear();
    if (known.at.length) figures.forEach(draw);
  }

  // Fetching -------------------------------------------------------------------------------------------------------------
  async function refresh() {
    if (document.hidden) return;
    const since = known.at.at(-1) ?? 0;
    const answer = await fetch(`${section.dataset.samples}&since=${since}`).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    absorb(await answer.json());
    show();
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) drawn.get(target.closest("[data-plot]"))?.setSize({ width: contentRect.width, height: HEIGHT });
  });
  figures.forEach((figure) => sizes.observe(box(figure)));
  new MutationObserver(drawAnew).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, POLL_MS);
  refresh();
})();
