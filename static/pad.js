// The pad: an image to draw on, cell by cell. It speaks in two events on the document: "pad:show" with the values to show
// (null: a cell nobody filled in), and "pad:drawn" with the values after a stroke or a key.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const STEP_KEYS = { "+": 1, "=": 1, "-": -1, "−": -1 };
  const MOVE_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const pad = { svg: null, rows: 0, columns: 0, low: 0, high: 1, values: [], cells: [], at: 0, last: null, pointer: null };

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function add(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return pad.svg.appendChild(element);
  }

  function build(svg) {
    const { rows, columns, low, high } = svg.closest("form").dataset;
    Object.assign(pad, { svg, rows: Number(rows), columns: Number(columns), low: Number(low), high: Number(high), at: 0 });
    svg.replaceChildren();
    pad.values = Array(pad.rows * pad.columns).fill(pad.low);
    pad.cells = pad.values.map((_, at) =>
      add("rect", { x: at % pad.columns, y: Math.floor(at / pad.columns), width: 1, height: 1, fill: "currentColor", "fill-opacity": 0 }));
    const across = Array.from({ length: pad.rows - 1 }, (_, row) => `M0 ${row + 1}H${pad.columns}`);
    const down = Array.from({ length: pad.columns - 1 }, (_, column) => `M${column + 1} 0V${pad.rows}`);
    add("path", { class: "pad-grid", d: [...across, ...down].join("") });
    pad.cursor = add("rect", { class: "pad-cursor", width: 1, height: 1 });
    moveCursor(0);
  }

  function paint() {
    pad.values.forEach((value, at) =>
      pad.cells[at].setAttribute("fill-opacity", clamp((value - pad.low) / (pad.high - pad.low), 0, 1).toFixed(3)));
  }

  function drawn() {
    paint();
    document.dispatchEvent(new CustomEvent("pad:drawn", { detail: [...pad.values] }));
  }

  // Pointer: a soft round brush along the way since the last point; a pen's pressure makes it wider.
  const whole = (share) => Math.round(pad.low + share * (pad.high - pad.low));
  const softness = (distance, pressure) => clamp((0.95 + 0.5 * pressure - distance) / 0.7, 0, 1);

  function distanceToWay(x, y, from, to) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const along = dx || dy ? clamp(((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy), 0, 1) : 0;
    return Math.hypot(x - from.x - along * dx, y - from.y - along * dy);
  }

  function stroke(from, to, pressure) {
    pad.values.forEach((value, at) => {
      const distance = distanceToWay((at % pad.columns) + 0.5, Math.floor(at / pad.columns) + 0.5, from, to);
      pad.values[at] = Math.max(value, whole(softness(distance, pressure)));
    });
  }

  function pointOf(event) {
    const box = pad.svg.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * pad.columns, y: ((event.clientY - box.top) / box.height) * pad.rows };
  }

  function follow(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const point = pointOf(each);
      stroke(pad.last ?? point, point, each.pressure || 0.5);
      pad.last = point;
    }
    drawn();
  }

  document.addEventListener("pointerdown", (event) => {
    if (!pad.svg?.contains(event.target) || event.button) return;
    Object.assign(pad, { last: null, pointer: event.pointerId });
    pad.svg.setPointerCapture(event.pointerId);
    follow(event);
  });
  document.addEventListener("pointermove", (event) => event.pointerId === pad.pointer && follow(event));
  for (const end of ["pointerup", "pointercancel"])
    document.addEventListener(end, (event) => event.pointerId === pad.pointer && (pad.pointer = null));

  // Keyboard: one cell at a time.
  function moveCursor(at) {
    pad.at = at;
    pad.cursor.setAttribute("x", at % pad.columns);
    pad.cursor.setAttribute("y", Math.floor(at / pad.columns));
  }

  function sayCell() {
    const [row, column] = [Math.floor(pad.at / pad.columns) + 1, (pad.at % pad.columns) + 1];
    document.getElementById("pad-cell").textContent = `Row ${row}, column ${column}: ${pad.values[pad.at]}`;
  }

  function moveBy([x, y]) {
    const column = clamp((pad.at % pad.columns) + x, 0, pad.columns - 1);
    const row = clamp(Math.floor(pad.at / pad.columns) + y, 0, pad.rows - 1);
    moveCursor(row * pad.columns + column);
  }

  function set(value) {
    pad.values[pad.at] = clamp(value, pad.low, pad.high);
    drawn();
  }

  function press(key) {
    if (key in MOVE_KEYS) moveBy(MOVE_KEYS[key]);
    else if (key in STEP_KEYS) set(pad.values[pad.at] + (STEP_KEYS[key] * (pad.high - pad.low)) / 16);
    else if (key === " ") set(pad.high);
    else if (key === "Delete" || key === "Backspace") set(pad.low);
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.target !== pad.svg || event.ctrlKey || event.metaKey || event.altKey || !press(event.key)) return;
    event.preventDefault();
    sayCell();
  });

  document.addEventListener("pad:show", ({ detail }) => {
    const svg = document.getElementById("pad");
    if (!svg) return;
    if (svg !== pad.svg) build(svg);
    pad.values = pad.values.map((_, at) => detail[at] ?? pad.low);
    paint();
  });
})();
