// Planes from the server, kept while they fit. What is on the screen is fetched first; the rest of a stack follows when idle.

const MOST_BYTES = 768 * 2 ** 20;
const AT_ONCE = 6;
const SLOW_AFTER_MS = 140; // images that are computed are asked for once the pointer rests
const RETRY_MS = 4000;
const TYPES = { i2: Int16Array, f4: Float32Array, u1: Uint8Array };

const kept = new Map(); // url -> {data, rows, columns} or {error, at}, the oldest first
const flying = new Map(); // url -> whether it is computed
let bytes = 0, waiting = [], rest = null, timer = 0, arrived = () => {};

export function onArrival(call) { arrived = call; }

export function held(url) {
  const found = kept.get(url);
  if (found?.error && performance.now() - found.at > RETRY_MS) { kept.delete(url); return null; }
  return found ?? null;
}

// The planes of this frame that are missing: [{url, slow}]. Older wishes are dropped.
export function settle(missing) {
  waiting = missing.filter((one) => !flying.has(one.url));
  clearTimeout(timer);
  pump(false);
  if (waiting.some((one) => one.slow)) timer = setTimeout(() => pump(true), SLOW_AFTER_MS);
}

// An endless supply of further urls (a function that returns one, or null): fetched when nothing else is wanted.
export function followWith(next) { rest = next; pump(false); }

export function busy() { return flying.size > 0 || waiting.length > 0; }

export function keptPlanes() { return { count: kept.size, bytes }; }

function pump(slowToo) {
  waiting = waiting.filter((one) => {
    const slowFlying = [...flying.values()].filter(Boolean).length;
    const may = one.slow ? slowToo && slowFlying < 2 : flying.size < AT_ONCE;
    if (may) fetchPlane(one.url, one.slow, slowToo);
    return !may;
  });
  while (rest && !waiting.length && flying.size < 3 && bytes < MOST_BYTES * 0.9) {
    const url = rest();
    if (!url) { rest = null; return; }
    if (!kept.has(url) && !flying.has(url)) fetchPlane(url, false, false);
  }
}

async function fetchPlane(url, slow, slowToo) {
  flying.set(url, slow);
  let found;
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(await reasonOf(answer));
    const data = new TYPES[answer.headers.get("x-type")](await answer.arrayBuffer());
    found = { data, rows: Number(answer.headers.get("x-rows")), columns: Number(answer.headers.get("x-columns")) };
  } catch (error) {
    found = { error: error.message === "Failed to fetch" ? "the viewer has ended; start taskct view again" : error.message, at: performance.now() };
  }
  flying.delete(url);
  kept.set(url, found);
  bytes += found.data?.byteLength ?? 0;
  for (const [old, entry] of kept) {
    if (bytes <= MOST_BYTES) break;
    kept.delete(old);
    bytes -= entry.data?.byteLength ?? 0;
  }
  arrived(url);
  pump(slowToo);
}

export async function reasonOf(answer) {
  try {
    const text = await answer.text();
    return text.startsWith("{") ? (JSON.parse(text).error ?? `the viewer refused (${answer.status})`) : text.trim() || String(answer.status);
  } catch { return String(answer.status); }
}
