// Panels: canvases of one size that show the same part of their images.

import { paint } from "./paint.js";
import { labelColour, outlines, readerColour } from "./outlines.js";

const LEAST_HEIGHT = 260, GAP = 4, CAPTION = 44;
export const COLOURS = ["--black", "--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6"];
export const colourOf = (method) => getComputedStyle(document.documentElement).getPropertyValue(COLOURS[method && 1 + ((method - 1) % 7)]).trim();

// As many panels as there are images, `below` pixels of the window left free; `made` is called with each new one.
export function arrange(holder, count, facts, below, made) {
  while (holder.children.length > count) holder.lastChild.remove();
  while (holder.children.length < count) {
    const panel = document.createElement("div");
    panel.className = "panel";
    panel.innerHTML = '<canvas></canvas><p class="name"></p><p class="score"></p><p class="busy" hidden></p>';
    panel.own = document.createElement("canvas"); // the image at its own size
    panel.painted = "";
    holder.append(panel);
    made(panel);
  }
  const [rows, columns] = facts.shape, [, dy, dx] = facts.spacing_mm;
  const aspect = Math.min(1.4, (rows * dy) / (columns * dx));
  const captions = Math.max(CAPTION, ...[...holder.children].map((one) => one.offsetHeight - one.firstChild.offsetHeight)); // name and scores, in as many lines as they need
  const across = holder.clientWidth, down = Math.max(LEAST_HEIGHT, innerHeight - holder.getBoundingClientRect().top - scrollY - below);
  let best = [1, 0, 0];
  const narrow = across < 520;
  for (let n = narrow ? Math.min(2, count) : 1; n <= Math.min(count, narrow ? 2 : 6); n++) {
    const width = (across - GAP * (n - 1)) / n, lines = Math.ceil(count / n);
    const height = narrow ? width * aspect : Math.min(width * aspect, Math.max(150, (down - GAP * (lines - 1)) / lines - captions));
    const shown = Math.min(width, height / aspect);
    if (shown > best[1] + 1) best = [n, shown, height];
  }
  holder.style.gridTemplateColumns = `repeat(${best[0]}, minmax(0, 1fr))`;
  for (const panel of holder.children) {
    const canvas = panel.firstChild, ratio = devicePixelRatio || 1;
    canvas.style.height = `${Math.floor(best[2])}px`;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(Math.floor(best[2]) * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  }
}

// Device pixels per image pixel, and where pixel (0, 0) begins.
export function placed(canvas, facts, state) {
  const [rows, columns] = facts.shape, [, dy, dx] = facts.spacing_mm;
  const perMm = Math.min(canvas.width / (columns * dx), canvas.height / (rows * dy)) * state.zoom;
  const sx = perMm * dx, sy = perMm * dy;
  return { sx, sy, perMm, left: canvas.width / 2 - state.x * columns * sx, top: canvas.height / 2 - state.y * rows * sy };
}

// The pixel {row, column} under a place of the page, or null outside of the image.
export function pixelAt(panel, clientX, clientY, facts, state) {
  const canvas = panel.firstChild, box = canvas.getBoundingClientRect(), at = placed(canvas, facts, state);
  const column = Math.floor((((clientX - box.left) * canvas.width) / box.width - at.left) / at.sx);
  const row = Math.floor((((clientY - box.top) * canvas.height) / box.height - at.top) / at.sy);
  return row >= 0 && column >= 0 && row < facts.shape[0] && column < facts.shape[1] ? { row, column } : null;
}

// Where the centre of a pixel lies on the page.
export function placeOf(panel, row, column, facts, state) {
  const canvas = panel.firstChild, box = canvas.getBoundingClientRect(), at = placed(canvas, facts, state);
  return { x: box.left + ((at.left + (column + 0.5) * at.sx) * box.width) / canvas.width, y: box.top + ((at.top + (row + 0.5) * at.sy) * box.height) / canvas.height };
}

// Draw one panel. `what` is {key, plane, how, labels, marks, pointer}; without a plane the last image stays, dimmed.
export function draw(panel, what, facts, state) {
  const canvas = panel.firstChild, context = canvas.getContext("2d", { alpha: false }), [rows, columns] = facts.shape, own = panel.own;
  if (what.plane && panel.painted !== what.key) {
    if (own.width !== columns || own.height !== rows || !panel.image) {
      own.width = columns;
      own.height = rows;
      panel.image = own.getContext("2d").createImageData(columns, rows);
    }
    paint(new Uint32Array(panel.image.data.buffer), what.plane, what.how);
    own.getContext("2d").putImageData(panel.image, 0, 0);
    panel.painted = what.key;
  }
  const at = placed(canvas, facts, state);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (panel.painted) {
    context.setTransform(at.sx, 0, 0, at.sy, at.left, at.top);
    context.imageSmoothingEnabled = at.sx < 3;
    context.globalAlpha = what.plane ? 1 : 0.45;
    context.drawImage(own, 0, 0);
    context.globalAlpha = 1;
  }
  if (what.labels) stroke(context, what.labels, at, facts, labelColour, []);
  if (what.marks) stroke(context, what.marks, at, facts, readerColour, [6, 4]);
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (what.pointer) cross(context, canvas, at, what.pointer);
  letters(context, canvas);
  bar(context, canvas, at);
}

function stroke(context, plane, at, facts, colour, dash) {
  context.setTransform(at.sx, 0, 0, at.sy, at.left, at.top);
  context.lineWidth = (1.8 * (devicePixelRatio || 1)) / at.sx;
  context.setLineDash(dash.map((n) => n / at.sx));
  for (const [value, path] of outlines(plane)) {
    context.strokeStyle = colour(facts.classes, value - 1);
    context.stroke(path);
  }
  context.setLineDash([]);
}

function cross(context, canvas, at, { row, column }) {
  const x = at.left + (column + 0.5) * at.sx, y = at.top + (row + 0.5) * at.sy;
  context.strokeStyle = "#ffffff70";
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, y); context.lineTo(canvas.width, y); context.moveTo(x, 0); context.lineTo(x, canvas.height);
  context.stroke();
}

// The patient's sides: rows run to the back, columns to the left, as radiologists look.
function letters(context, canvas) {
  const ratio = devicePixelRatio || 1, edge = 5 * ratio;
  context.fillStyle = "#ffffffb0";
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText("R", edge, canvas.height / 2);
  context.textAlign = "right";
  context.fillText("L", canvas.width - edge, canvas.height / 2);
}

function bar(context, canvas, at) {
  const ratio = devicePixelRatio || 1, room = canvas.width * 0.3 / at.perMm;
  const length = [200, 100, 50, 20, 10, 5, 2, 1].find((mm) => mm <= room);
  if (!length) return;
  const x = canvas.width - 10 * ratio - length * at.perMm, y = canvas.height - 28 * ratio;
  context.fillStyle = "#ffffffb0";
  context.fillRect(x, y, length * at.perMm, 2 * ratio);
  context.font = `${10 * ratio}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "bottom";
  context.strokeStyle = "#000";
  context.lineWidth = 3 * ratio;
  context.strokeText(`${length} mm`, canvas.width - 10 * ratio, y - 2 * ratio);
  context.fillText(`${length} mm`, canvas.width - 10 * ratio, y - 2 * ratio);
}
