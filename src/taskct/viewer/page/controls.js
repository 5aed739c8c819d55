// Buttons, keys, mouse and touch -> changes of the state.

import { dosedMethods, panelsOf, state } from "./state.js";
import { colourOf, pixelAt, placed } from "./panels.js";
import { WINDOWS } from "./windows.js"; // [[name, level, width]], from evaluation/windows.py

export const $ = (id) => document.getElementById(id);

const KEYS = [
  ["↑ ↓, wheel", "next slice, the one before"], ["Page ↑ ↓", "ten slices"], ["[ ]", "dose down, dose up"], ["1 to 5", "windows"],
  ["m", "methods or doses side by side"], ["i d n", "image, difference, noise"], ["c", "outlines of the labels"], ["p", "profile"],
  ["t", "three planes"], ["+ −, Ctrl and wheel, pinch", "zoom"], ["drag", "move"], ["right button, or Shift and drag", "window: sideways its width, upwards its level"],
  ["r, double click", "whole image"], ["l", "copy a link"], ["j k", "next lesion, the one before"], ["?", "these keys"],
];

// `app` has: facts(), changed(), point(place or null), jump(step), copy().
export function wire(app) {
  const change = (values) => { Object.assign(state, values); app.changed(); };
  $("windows").append(...WINDOWS.map(([name, level, width], k) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name, title: `level ${level}, width ${width} HU (${k + 1})` });
    button.addEventListener("click", () => change({ level, width }));
    button.dataset.window = `${level} ${width}`;
    return button;
  }));
  for (const button of document.querySelectorAll("[data-side]")) button.addEventListener("click", () => change({ side: button.dataset.side }));
  for (const button of document.querySelectorAll("[data-mode]")) button.addEventListener("click", () => change({ mode: button.dataset.mode }));
  for (const button of document.querySelectorAll("[data-flag]")) button.addEventListener("click", () => change({ [button.dataset.flag]: !state[button.dataset.flag] }));
  $("study").addEventListener("change", (e) => app.open(Number(e.target.value)));
  for (const name of ["method", "probability"]) $(name).addEventListener("change", (e) => change({ [name]: Number(e.target.value) }));
  for (const name of ["reader", "score"]) $(name).addEventListener("change", (e) => change({ [name]: e.target.value }));
  for (const name of ["level", "width"]) $(name).addEventListener("change", (e) => change({ [state.mode === "image" ? name : { level: "level", width: state.mode }[name]]: Number(e.target.value) || state[name] }));
  $("plane").addEventListener("input", (e) => change({ plane: Number(e.target.value) }));
  $("dose").addEventListener("input", (e) => setDose(app, Number(e.target.value)));
  $("fit").addEventListener("click", () => change({ x: 0.5, y: 0.5, zoom: 1 }));
  $("link").addEventListener("click", app.copy);
  $("help").addEventListener("click", () => $("keys").showModal());
  for (const [key, words] of KEYS) $("key-list").append(Object.assign(document.createElement("dt"), { textContent: key }), Object.assign(document.createElement("dd"), { textContent: words }));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches('input[type="number"], select') || event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    if (event.target.matches('input[type="range"]') && event.key.length > 1) return; // arrows and the like move the slider itself
    const act = {
      ArrowUp: () => change({ plane: state.plane + 1 }), ArrowDown: () => change({ plane: state.plane - 1 }),
      PageUp: () => change({ plane: state.plane + 10 }), PageDown: () => change({ plane: state.plane - 10 }),
      Home: () => change({ plane: 0 }), End: () => change({ plane: Infinity }),
      "[": () => setDose(app, state.dose + 1), "]": () => setDose(app, state.dose - 1),
      m: () => change({ side: state.side === "methods" ? "doses" : "methods" }),
      i: () => change({ mode: "image" }), d: () => change({ mode: "difference" }), n: () => change({ mode: "noise" }),
      c: () => change({ labels: !state.labels }), p: () => change({ profile: !state.profile }), t: () => change({ three: !state.three }),
      "+": () => change({ zoom: state.zoom * 1.25 }), "=": () => change({ zoom: state.zoom * 1.25 }), "-": () => change({ zoom: state.zoom / 1.25 }),
      r: () => change({ x: 0.5, y: 0.5, zoom: 1 }), l: app.copy, j: () => app.jump(1), k: () => app.jump(-1), "?": () => $("keys").showModal(),
    }[event.key] ?? (WINDOWS[Number(event.key) - 1] && (() => { const [, level, width] = WINDOWS[Number(event.key) - 1]; change({ level, width }); }));
    if (act) { event.preventDefault(); act(); }
  });
}

// A dose of the slider; a CT of which only itself is shown gets its first method, as a CT has one dose.
export function setDose(app, dose) {
  const dosed = dosedMethods(app.facts());
  if (dosed.length && state.side === "methods" && !state.on.some((m) => dosed.includes(m))) state.on = [...state.on, dosed[0]];
  state.dose = dose;
  app.changed();
}

// Mouse and touch on one panel.
export function wirePanel(panel, app) {
  const canvas = panel.firstChild, fingers = new Map();
  let apart = 0;
  const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) state.zoom *= Math.exp(-event.deltaY / 300);
    else state.plane += event.deltaY < 0 ? 1 : -1;
    app.changed();
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { Object.assign(state, { x: 0.5, y: 0.5, zoom: 1 }); app.changed(); });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) apart = spread();
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId), facts = app.facts();
    if (!before) { app.point(pixelAt(panel, event.clientX, event.clientY, facts, state)); return; }
    const dx = event.clientX - before.x, dy = event.clientY - before.y;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) {
      const now = spread();
      state.zoom *= now / (apart || now);
      apart = now;
    } else if (event.buttons & 2 || event.shiftKey) {
      if (state.mode === "image") { state.width += dx * Math.max(1, state.width / 200); state.level -= dy * Math.max(1, state.width / 400); }
      else state[state.mode] *= Math.exp(dx / 200);
    } else {
      const at = placed(canvas, facts, state), ratio = canvas.width / canvas.clientWidth;
      state.x -= (dx * ratio) / (at.sx * facts.shape[1]);
      state.y -= (dy * ratio) / (at.sy * facts.shape[0]);
    }
    app.changed();
  });
  const lift = (event) => { fingers.delete(event.pointerId); };
  canvas.addEventListener("pointerup", (event) => { lift(event); if (event.pointerType !== "mouse") app.point(pixelAt(panel, event.clientX, event.clientY, app.facts(), state)); });
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { if (!fingers.size) app.point(null); });
}

// A dose by its share of the full one and by its photons, where it has a share.
export const doseWords = (facts, dose) => (facts.doses[dose].endsWith("%") ? `${facts.doses[dose]}, ${Math.round(facts.photons[dose]).toLocaleString("en").replaceAll(",", "\u202f")} photons` : facts.doses[dose]);

// Everything that a study fixes: lists and ranges.
export function fill(facts, app) {
  const options = (select, items) => select.replaceChildren(...items.map(([value, text]) => new Option(text, value)));
  options($("method"), dosedMethods(facts).map((m) => [m, facts.methods[m]]));
  options($("reader"), [["", "none"], ...facts.readers.map((r) => [r.name, r.name])]);
  options($("probability"), [[-1, "none"], ...facts.classes.map((c, k) => [k, c.name])]);
  const dosed = facts.doses.length > 0;
  $("dose-box").hidden = !dosed;
  document.querySelectorAll("[data-side]").forEach((b) => (b.closest("fieldset").hidden = !dosed));
  document.querySelector('[data-flag="labels"]').hidden = !facts.labelled;
  document.querySelector('[data-flag="three"]').hidden = !facts.volume;
  $("by-reader").hidden = !facts.readers.length;
  $("by-reader").closest("fieldset").hidden = !facts.readers.length && !facts.labelled;
  $("dose").max = Math.max(0, facts.doses.length - 1);
  $("dose-ticks").replaceChildren(...(dosed ? [0, facts.doses.length - 1] : []).map((k) => Object.assign(document.createElement("span"), { textContent: doseWords(facts, k) })));
  $("plane").max = facts.planes.length - 1;
  $("scroll").hidden = facts.planes.length < 2;
  $("unfinished").textContent = facts.unfinished;
  $("unfinished").hidden = !facts.unfinished;
  $("notes").replaceChildren(...facts.notes.map((n) => Object.assign(document.createElement("li"), { textContent: n })));
  $("notes-box").hidden = !facts.notes.length;
  $("methods").replaceChildren(...facts.methods.map((name, m) => {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", value: m });
    box.addEventListener("change", () => { state.on = box.checked ? [...state.on, m] : state.on.filter((one) => one !== m); app.changed(); });
    const spot = document.createElement("i");
    spot.style.background = colourOf(m);
    label.append(box, spot, name + (m ? "" : " (reference)"));
    return label;
  }));
}

// The controls show the state.
export function reflect(facts) {
  const press = (selector, is) => document.querySelectorAll(selector).forEach((b) => b.setAttribute("aria-pressed", String(is(b))));
  press("[data-side]", (b) => b.dataset.side === state.side);
  press("[data-mode]", (b) => b.dataset.mode === state.mode);
  press("[data-flag]", (b) => state[b.dataset.flag]);
  press("[data-window]", (b) => b.dataset.window === `${state.level} ${state.width}`);
  const value = (id, v) => { if (document.activeElement !== $(id) && $(id).value !== String(v)) $(id).value = String(v); };
  value("level", state.mode === "image" ? Math.round(state.level) : 0);
  $("level").disabled = state.mode !== "image";
  value("width", Math.round({ image: state.width, difference: state.difference, noise: state.noise }[state.mode]));
  $("width").previousSibling.textContent = { image: "width ", difference: "± HU ", noise: "up to HU " }[state.mode];
  for (const id of ["study", "method", "reader", "probability"]) value(id, state[id]);
  $("of-method").hidden = state.side !== "doses";
  $("of-class").hidden = !facts.readers.some((r) => r.name === state.reader && r.probability);
  $("plane").value = state.plane;
  $("plane-name").textContent = `${facts.planes[state.plane]} (${state.plane + 1} of ${facts.planes.length})`;
  $("dose").value = state.dose;
  $("dose-name").textContent = facts.doses.length ? doseWords(facts, state.dose) : "";
  for (const box of $("methods").querySelectorAll("input")) box.checked = state.on.includes(Number(box.value));
  return panelsOf(facts);
}

export function say(words) {
  $("message").textContent = words;
  $("message").hidden = !words;
  clearTimeout(say.timer);
  if (words) say.timer = setTimeout(() => ($("message").hidden = true), 6000);
}
