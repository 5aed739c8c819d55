// HU -> pixels: windows, differences, noise, probabilities.

const pack = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
const GREY = palette([[0, 0, 0], [255, 255, 255]]);
const HEAT = palette([[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]]);
let lut = new Uint32Array(65536), lutFor = "";

function palette(stops) {
  const found = new Uint32Array(256);
  for (let k = 0; k < 256; k++) {
    const at = (k / 255) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at)), part = at - low;
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(stops[low][c] * (1 - part) + stops[low + 1][c] * part));
    found[k] = pack(r, g, b);
  }
  return found;
}

// 0..255 for each value between low and high, ends clipped; what a window shows.
export const step = (value, low, high) => Math.max(0, Math.min(255, Math.round(((value - low) / (high - low)) * 255)));

function windowTable(low, high) {
  if (lutFor !== `${low} ${high}`) {
    for (let k = 0; k < 65536; k++) lut[k] = GREY[step(k - 32768, low, high)];
    lutFor = `${low} ${high}`;
  }
  return lut;
}

// Paint a plane into `pixels` (Uint32Array); `how` is {mode, low, high, reference, probability}.
export function paint(pixels, plane, how) {
  const values = plane.data, n = values.length;
  if (how.mode === "difference") {
    const other = how.reference.data, scale = 127.5 / how.high;
    for (let k = 0; k < n; k++) {
      const at = (values[k] - other[k]) * scale + 127.5;
      pixels[k] = GREY[at > 255 ? 255 : at > 0 ? at | 0 : 0];
    }
  } else if (values instanceof Int16Array && how.mode === "image") {
    const table = windowTable(how.low, how.high);
    for (let k = 0; k < n; k++) pixels[k] = table[values[k] + 32768];
  } else {
    const colours = how.mode === "noise" ? HEAT : GREY, scale = 255 / (how.high - how.low);
    for (let k = 0; k < n; k++) {
      const at = (values[k] - how.low) * scale + 0.5;
      pixels[k] = colours[at > 255 ? 255 : at > 0 ? at | 0 : 0];
    }
  }
  if (how.probability) blend(pixels, how.probability.data);
}

// An orange veil, as dense as the probability.
function blend(pixels, probability) {
  for (let k = 0; k < pixels.length; k++) {
    const a = probability[k] / 400;
    if (a < 0.01) continue;
    const p = pixels[k], mix = (v, c) => (v * (1 - a) + c * a) | 0;
    pixels[k] = pack(mix(p & 255, 255), mix((p >> 8) & 255, 140), mix((p >> 16) & 255, 0));
  }
}

export function colourBar(mode) { return mode === "noise" ? HEAT : GREY; }
