// The state of the page, and the part of the address after # that holds it.

export const state = {
  study: 0, plane: 0, dose: 0, side: "methods", method: 1, on: [0], mode: "image",
  level: 40, width: 400, difference: 100, noise: 60, x: 0.5, y: 0.5, zoom: 1,
  labels: true, reader: "", probability: -1, score: "", profile: false, three: false,
};

const NUMBERS = ["study", "plane", "dose", "method", "level", "width", "difference", "noise", "x", "y", "zoom", "probability"];
const FLAGS = ["labels", "profile", "three"];
const WORDS = { side: ["methods", "doses"], mode: ["image", "difference", "noise"] };

export function toHash() {
  const parts = new URLSearchParams();
  for (const name of NUMBERS) parts.set(name, String(Math.round(state[name] * 1e4) / 1e4));
  for (const name of FLAGS) parts.set(name, state[name] ? "1" : "0");
  for (const name of Object.keys(WORDS)) parts.set(name, state[name]);
  parts.set("on", state.on.join(" "));
  if (state.reader) parts.set("reader", state.reader);
  if (state.score) parts.set("score", state.score);
  return "#" + parts.toString();
}

// What an address holds, as changes of the state; words and numbers that cannot be are left out.
export function fromHash(text) {
  const parts = new URLSearchParams(text.replace(/^#/, ""));
  const found = {};
  for (const name of NUMBERS) {
    const value = parts.has(name) ? Number(parts.get(name)) : NaN;
    if (Number.isFinite(value)) found[name] = value;
  }
  for (const name of FLAGS) if (parts.has(name)) found[name] = parts.get(name) === "1";
  for (const [name, legal] of Object.entries(WORDS)) if (legal.includes(parts.get(name))) found[name] = parts.get(name);
  for (const name of ["reader", "score"]) if (parts.has(name)) found[name] = parts.get(name);
  if (parts.has("on")) found.on = parts.get("on").split(" ").map(Number).filter(Number.isInteger);
  return found;
}

// Numbers that the study `facts` allows.
export function keepWithin(facts) {
  const limit = (value, low, high) => Math.min(high, Math.max(low, value));
  state.plane = limit(Math.round(state.plane), 0, facts.planes.length - 1);
  state.dose = limit(Math.round(state.dose), 0, Math.max(0, facts.doses.length - 1));
  state.on = [...new Set(state.on.filter((m) => m >= 0 && m < facts.methods.length))].sort((a, b) => a - b);
  if (!state.on.length) state.on = [0];
  const dosed = dosedMethods(facts);
  if (!dosed.includes(state.method)) state.method = dosed[0] ?? 0;
  if (!dosed.length) state.side = "methods";
  state.width = limit(state.width, 1, 8000);
  state.level = limit(state.level, -4000, 8000);
  state.difference = limit(state.difference, 1, 4000);
  state.noise = limit(state.noise, 1, 4000);
  state.zoom = limit(state.zoom, 0.5, 64);
  state.x = limit(state.x, 0, 1);
  state.y = limit(state.y, 0, 1);
  if (!facts.readers.some((r) => r.name === state.reader)) state.reader = "";
  if (state.probability >= facts.classes.length) state.probability = -1;
}

export function dosedMethods(facts) {
  return facts.methods.map((_, m) => m).filter((m) => facts.shown[m].length);
}

// What is side by side: [{method, dose}], dose -1 for what has none.
export function panelsOf(facts) {
  if (state.side === "doses" && dosedMethods(facts).length) {
    const own = facts.shown[state.method].map((dose) => ({ method: state.method, dose }));
    return [{ method: 0, dose: -1 }, ...own];
  }
  return state.on.map((method) => ({ method, dose: facts.shown[method].length ? state.dose : -1 }));
}
