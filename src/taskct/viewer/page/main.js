// The page: studies from the server, one state, one drawing loop.

import { $, doseWords, fill, reflect, say, wire, wirePanel } from "./controls.js";
import { drawCurve, drawProfile } from "./charts.js";
import { labelColour, readerColour } from "./outlines.js";
import { arrange, colourOf, draw, placeOf } from "./panels.js";
import { followWith, held, keptPlanes, onArrival, reasonOf, settle } from "./planes.js";
import { asText, heldScores, isSlow, onScores, scoresUrl, settleScores } from "./scores.js";
import { dosedMethods, fromHash, keepWithin, state, toHash } from "./state.js";
import { measureFrames, setVolumeWindow, showVolume } from "./three_planes.js";

let studies = [], panels = [], pointer = null, lesions = [], lesion = -1, dirty = true, curveAt = [], drawnFrames = 0, hashTimer = 0;

const facts = () => studies[state.study];
const app = { facts, changed, point, jump, copy, open };
const isSlowPlane = (method) => facts().computed && facts().shown[method].length > 0;
const planeUrl = (kind, method, dose, plane, more = "") => `plane/${state.study}/${kind}/${method}/${Math.max(0, dose)}/${plane}${more}`;
const readerOf = () => facts().readers.find((r) => r.name === state.reader);

function changed() {
  keepWithin(facts());
  dirty = true;
  clearTimeout(hashTimer);
  hashTimer = setTimeout(() => history.replaceState(null, "", toHash()), 150);
}

function point(place) { pointer = place; dirty = true; }

function frame() {
  requestAnimationFrame(frame);
  if (!dirty || !studies.length) return;
  dirty = false;
  drawnFrames += 1;
  const study = facts(), missing = [];
  panels = reflect(study);
  $("panels").hidden = state.three;
  $("three").hidden = !state.three;
  if (state.three) { three(study); charts(study); return; }
  arrange($("panels"), panels.length, study, state.profile ? 310 : 110, (panel) => wirePanel(panel, app));
  const want = (kind, method, dose, more) => {
    const url = planeUrl(kind, method, dose, state.plane, more), found = held(url);
    if (!found) missing.push({ url, slow: isSlowPlane(method) || kind !== "hu" && kind !== "labels" });
    return { url, found };
  };
  panels.forEach((one, k) => {
    const panel = $("panels").children[k], has = one.dose < 0 || study.shown[one.method].includes(one.dose);
    const shown = shownOf(one, want, has), pictures = [shown.image, shown.reference, shown.veil].filter(Boolean);
    const failed = pictures.map((p) => p.found?.error).find(Boolean), ready = pictures.length > 0 && pictures.every((p) => p.found?.data);
    const labels = study.labelled && state.labels ? want("labels", 0, 0).found : null;
    const marks = state.reader && has ? want("marks", one.method, one.dose, `?reader=${encodeURIComponent(state.reader)}`).found : null;
    const how = { mode: shown.mode, ...limits(shown.mode), reference: shown.reference?.found, probability: shown.veil?.found };
    draw(panel, {
      key: `${pictures.map((p) => p.url).join(" ")} ${how.mode} ${how.low} ${how.high}`, plane: ready ? shown.image.found : null, how,
      labels: labels?.data ? labels : null, marks: marks?.data ? marks : null, pointer,
    }, study, state);
    caption(panel, one, k, { has, ready, failed, mode: shown.mode });
  });
  settle(missing);
  readout(study);
  charts(study);
}

// The planes that a panel needs: in a map of differences the reference stays an image.
function shownOf(one, want, has) {
  if (!has) return { mode: "image" };
  const mode = state.mode === "difference" && one.method === 0 ? "image" : state.mode;
  const image = want(mode === "noise" ? "noise" : "hu", one.method, one.dose);
  const reference = mode === "difference" ? want("hu", 0, 0) : null;
  const asked = state.probability >= 0 && readerOf()?.probability;
  const veil = asked ? want("probability", one.method, one.dose, `?reader=${encodeURIComponent(state.reader)}&of_class=${state.probability}`) : null;
  return { mode, image, reference, veil };
}

function limits(mode) {
  if (mode === "image") return { low: state.level - state.width / 2, high: state.level + state.width / 2 };
  return { low: mode === "noise" ? 0 : -state.difference, high: state[mode] };
}

function caption(panel, one, k, { has, ready, failed, mode }) {
  const study = facts(), [, name, score, busy] = panel.children;
  const dose = one.dose >= 0 ? `, ${doseWords(study, one.dose)}` : "", what = { image: "", difference: ", minus the reference", noise: ", noise map" }[mode];
  const words = `${study.methods[one.method]}${dose}${what}`;
  if (name.dataset.words !== words) {
    const spot = document.createElement("i");
    spot.style.background = colourOf(one.method);
    name.replaceChildren(spot, words);
    name.dataset.words = words;
  }
  panel.firstChild.setAttribute("role", "img");
  panel.firstChild.setAttribute("aria-label", `${words}, ${study.planes[state.plane]}`);
  const numbers = scoresOf(one), shown = Array.isArray(numbers) ? numbers.filter((s) => s.label === state.score || s.label === numbers[0].label || s.label.startsWith("Dice")) : [];
  const scored = shown.slice(0, 4).map(asText), said = scored.join(" · ");
  if (score.textContent !== said) score.replaceChildren(...scored.flatMap((text, n) => [...(n ? [" · "] : []), Object.assign(document.createElement("span"), { textContent: text })]));
  busy.hidden = ready && !failed;
  busy.textContent = failed ?? (has ? (isSlowPlane(one.method) ? "reconstructing ..." : "reading ...") : "no image at this dose");
  panel.dataset.ready = String(ready && panel.painted !== "");
}

const scoresOf = (one) => heldScores(scoresUrl(state.study, one.method, one.dose, state.plane, state.reader));

function readout(study) {
  if (!pointer) { legend(study); return; }
  const values = panels.map((one) => {
    const found = held(planeUrl("hu", one.method, one.dose, state.plane));
    if (!found?.data) return "";
    const value = found.data[pointer.row * found.columns + pointer.column], dose = one.dose >= 0 ? ` ${study.doses[one.dose]}` : "";
    return `${study.methods[one.method]}${dose} ${(Math.round(value * 10) / 10).toString().replace("-", "−")} HU`;
  });
  $("readout").textContent = `row ${pointer.row}, column ${pointer.column}: ${values.filter(Boolean).join(" · ")}`;
}

// What the outlines are, where no pixel is pointed at.
function legend(study) {
  const parts = [];
  const add = (head, colour, own = study.classes.map((_, k) => k)) => {
    parts.push(`${parts.length ? " · " : ""}${head}: `);
    own.slice(0, 6).forEach((k) => {
      const spot = document.createElement("span");
      spot.className = "spot";
      spot.style.background = colour(study.classes, k);
      parts.push(spot, `${study.classes[k].name} `);
    });
    if (own.length > 6) parts.push("... ");
  };
  if (study.labelled && state.labels) add("solid outlines, the labels", labelColour);
  if (state.reader) add(`dashed, marked by ${state.reader}`, readerColour, readerOf().classes);
  $("readout").replaceChildren(...parts);
}

function charts(study) {
  $("profile").hidden = !state.profile || state.three;
  if (!$("profile").hidden) profile(study);
  if (study.doses.length) curve(study);
  else settleScores(panels.filter((p) => p.method).map((p) => ({ url: scoresUrl(state.study, p.method, p.dose, state.plane, state.reader), computed: false, visible: true })));
}

function profile(study) {
  const row = pointer?.row ?? -1;
  const lines = row < 0 ? [] : panels.flatMap((one) => {
    const found = held(planeUrl("hu", one.method, one.dose, state.plane));
    const dashed = state.side === "doses" && one.method > 0 && one.dose !== state.dose;
    return found?.data ? [{ colour: colourOf(one.method), dashed, values: found.data.subarray(row * found.columns, (row + 1) * found.columns) }] : [];
  });
  drawProfile($("profile"), lines, { step_mm: study.spacing_mm[2], column: pointer?.column ?? 0, words: row < 0 ? "HU" : `HU along row ${row}` });
}

function curve(study) {
  const dosed = state.side === "doses" ? [state.method] : state.on.filter((m) => study.shown[m].length);
  const wanted = [], lines = [], names = new Map();
  const add = (method, dose, visible) => {
    const url = scoresUrl(state.study, method, dose, state.plane, state.reader), found = heldScores(url);
    wanted.push({ url, computed: isSlowPlane(method), visible });
    for (const one of Array.isArray(found) ? found : []) names.set(one.label, one.unit);
    return Array.isArray(found) ? found : [];
  };
  for (const one of panels) if (one.dose < 0 && (one.method || state.reader)) add(one.method, one.dose, true);
  for (const method of dosed) {
    const order = [...study.shown[method]].sort((a, b) => Math.abs(a - state.dose) - Math.abs(b - state.dose));
    const numbers = new Map(order.map((dose) => [dose, add(method, dose, dose === state.dose || state.side === "doses")]));
    lines.push({ colour: colourOf(method), points: study.shown[method].flatMap((dose) => numbers.get(dose).filter((s) => s.label === state.score).map((s) => [dose, s.value])) });
  }
  if (state.three) wanted.length = 0;
  settleScores(wanted.sort((a, b) => b.visible - a.visible));
  const select = $("score"), labels = [...names.keys()];
  if (labels.join("|") !== select.dataset.labels) {
    select.replaceChildren(...labels.map((label) => new Option(label, label)));
    select.dataset.labels = labels.join("|");
  }
  if (labels.length && !labels.includes(state.score)) {
    const lesionDice = study.classes.filter((c) => c.lesion).map((c) => `Dice, ${c.name}`).find((label) => labels.includes(label));
    state.score = (state.reader && lesionDice) || labels[0];
    dirty = true;
  }
  select.value = state.score;
  const full = state.reader ? scoresOf({ method: 0, dose: -1 }) : null, level = Array.isArray(full) ? full.find((s) => s.label === state.score)?.value : undefined;
  curveAt = drawCurve($("curve"), lines, { labels: study.doses, photons: study.photons, now: state.dose, unit: names.get(state.score) ? `${state.score}, ${names.get(state.score)}` : state.score, level });
  $("curve-note").textContent = !dosed.length ? "move the slider: this slice is scanned at that dose and reconstructed" : level !== undefined ? `dashed: what ${state.reader} reaches in the reference` : isSlow() ? "points appear at the doses that you visit" : "";
}

function three(study) {
  const say3 = (words) => { $("three-note").textContent = words; };
  if (three.shown !== `${state.study} ${state.labels}`) {
    three.shown = `${state.study} ${state.labels}`;
    showVolume($("gl"), { study: state.study, voxels: study.shape[0] * study.shape[1] * study.planes.length, labelled: study.labelled, labels: state.labels, level: state.level, width: state.width, say: say3 });
  } else setVolumeWindow(state.level, state.width);
}

async function listLesions() {
  const of = state.study, answer = await fetch(`lesions/${of}`);
  if (!answer.ok || of !== state.study) return;
  lesions = await answer.json();
  lesion = -1;
  $("lesions-head").textContent = lesions.length ? `${facts().classes.some((c) => c.lesion) ? "Lesions" : "Regions"} (${lesions.length})` : "Lesions";
  $("lesions").replaceChildren(...lesions.map((one, k) => {
    const item = document.createElement("li"), button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(document.createElement("span"), { textContent: one.name }), Object.assign(document.createElement("span"), { textContent: `${facts().planes[one.plane]}, ${one.diameter_mm.toFixed(0)} mm` }));
    button.addEventListener("click", () => goTo(k));
    item.append(button);
    return item;
  }));
  if (!lesions.length) $("lesions").append(Object.assign(document.createElement("li"), { className: "note", textContent: "no labels" }));
}

function goTo(k) {
  lesion = k;
  const one = lesions[k], [rows, columns] = facts().shape;
  Object.assign(state, { plane: one.plane, x: (one.column + 0.5) / columns, y: (one.row + 0.5) / rows, zoom: Math.max(state.zoom, 2.5), three: false });
  pointer = { row: Math.round(one.row), column: Math.round(one.column) };
  changed();
}

function jump(step) { if (lesions.length) goTo((lesion + step + lesions.length) % lesions.length); }

async function copy() {
  history.replaceState(null, "", toHash());
  try { await navigator.clipboard.writeText(location.href); say("the link is copied; it works while this viewer runs"); } catch { say("copy the address of this page: it holds the view"); }
}

// A study as it is opened: the reference and what is stored of it; nothing is computed before it is asked for.
function open(number, changes = {}) {
  state.study = Math.min(studies.length - 1, Math.max(0, number));
  const study = facts(), stored = study.methods.map((_, m) => m).filter((m) => !m || !isSlowPlane(m));
  Object.assign(state, { plane: Math.floor(study.planes.length / 2), dose: Math.floor((study.doses.length - 1) / 2), method: dosedMethods(study)[0] ?? 0, on: stored.slice(0, 8), x: 0.5, y: 0.5, zoom: 1, reader: study.readers[0]?.name ?? "", probability: -1, score: "", three: false });
  if (study.computed) state.dose = 0;
  Object.assign(state, changes, { study: state.study });
  for (const panel of $("panels").children) panel.painted = "";
  fill(study, app);
  changed();
  followWith(outwards(study));
  listLesions();
}

// Planes of the stored images from where one looks to both ends.
function outwards(study) {
  const from = state.plane, of = state.study, methods = study.methods.map((_, m) => m).filter((m) => !isSlowPlane(m)), urls = [];
  if (study.planes.length < 3) return null;
  for (let k = 0; k < study.planes.length; k++) {
    for (const plane of k ? [from + k, from - k] : [from]) {
      if (plane < 0 || plane >= study.planes.length) continue;
      for (const m of methods) for (const d of study.shown[m].length ? study.shown[m] : [0]) urls.push(`plane/${of}/hu/${m}/${d}/${plane}`);
    }
  }
  let at = 0;
  return () => (of === state.study && at < urls.length ? urls[at++] : null);
}

async function begin() {
  onArrival(() => { dirty = true; });
  onScores(() => { dirty = true; });
  const answer = await fetch("studies");
  if (!answer.ok) { say(await reasonOf(answer)); return; }
  studies = await answer.json();
  $("study").replaceChildren(...studies.map((s, k) => new Option(s.title + (s.unfinished ? " (unfinished)" : ""), k)));
  $("study").parentElement.hidden = false;
  wire(app);
  const asked = fromHash(location.hash);
  open(asked.study ?? 0, asked);
  addEventListener("hashchange", () => { const next = fromHash(location.hash); if (next.study !== undefined && next.study !== state.study) open(next.study, next); else { Object.assign(state, next); changed(); } });
  addEventListener("resize", () => { dirty = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { fill(facts(), app); dirty = true; });
  $("curve").addEventListener("click", (event) => {
    const x = event.clientX - $("curve").getBoundingClientRect().left;
    state.dose = curveAt.reduce((best, at, k) => (Math.abs(at - x) < Math.abs(curveAt[best] - x) ? k : best), 0);
    changed();
  });
  frame();
}

// For measurements and tests: what is shown, and where.
window.taskctView = { state, facts, frames: () => drawnFrames, kept: keptPlanes, measureFrames, placeOf: (k, row, column) => placeOf($("panels").children[k], row, column, facts(), state) };
begin();
