// Scores of images from the server, once each; what the curve still lacks follows when nothing else is wanted.

import { busy, reasonOf } from "./planes.js";

const kept = new Map(); // url -> [{label, unit, better, value}] or null while it is fetched
const SLOW_MS = 3000; // further doses are not computed by themselves where one takes longer
let waiting = [], flying = 0, slow = false, arrived = () => {};

export function onScores(call) { arrived = call; }

export const scoresUrl = (study, method, dose, plane, reader) =>
  `scores/${study}/${method}/${Math.max(0, dose)}/${plane}${reader ? `?reader=${encodeURIComponent(reader)}` : ""}`;

export function heldScores(url) { return kept.get(url) ?? null; }

export function isSlow() { return slow; }

// Wanted scores of this frame, the most urgent first: [{url, computed, visible}].
export function settleScores(wanted) {
  waiting = wanted.filter((one) => !kept.has(one.url) && (one.visible || !slow));
  pump();
}

async function pump() {
  if (flying || !waiting.length) return;
  const next = waiting[0];
  if (next.computed && busy()) { setTimeout(pump, 200); return; }
  waiting.shift();
  flying = 1;
  kept.set(next.url, null);
  const begun = performance.now();
  try {
    const answer = await fetch(next.url);
    if (!answer.ok) throw new Error(await reasonOf(answer));
    kept.set(next.url, await answer.json());
  } catch (error) {
    kept.set(next.url, { error: error.message });
  }
  slow = next.computed && performance.now() - begun > SLOW_MS;
  flying = 0;
  arrived();
  pump();
}

export const asText = (score) => {
  const digits = Math.abs(score.value) >= 100 ? 0 : Math.abs(score.value) >= 10 ? 1 : 3;
  return `${score.label} ${score.value.toFixed(digits).replace("-", "−")}${score.unit ? " " + score.unit : ""}`;
};
