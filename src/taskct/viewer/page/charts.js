// Two line charts on canvases: HU along a row, and a score against the dose.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function begin(canvas) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  return { context, width, height };
}

// Round numbers between two values, about `count` of them.
export function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), size = [1, 2, 5, 10].find((n) => n * power >= raw) * power;
  const found = [];
  for (let k = Math.ceil(low / size - 1e-9); k * size <= high + 1e-9 * size; k++) found.push(k * size);
  return found;
}

const plain = (v) => (Math.abs(v) >= 1000 || Number.isInteger(v) ? String(Math.round(v)) : String(Math.round(v * 1000) / 1000)).replace("-", "−");

function frame(context, box, y, low, high, unit) {
  context.strokeStyle = css("--line");
  context.fillStyle = css("--soft");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(low, high, 4)) {
    context.beginPath();
    context.moveTo(box.left, y(value)); context.lineTo(box.right, y(value));
    context.stroke();
    context.fillText(plain(value), box.left - 4, y(value));
  }
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText(unit, 2, 1);
}

// lines: [{name, colour, values (array), from}]; x is in columns of `step_mm`.
export function drawProfile(canvas, lines, { step_mm, column, words }) {
  const { context, width, height } = begin(canvas);
  const all = lines.flatMap((line) => Array.from(line.values)).filter(Number.isFinite);
  if (!all.length) { context.fillStyle = css("--soft"); context.fillText("point at an image", 10, 20); return; }
  let low = Math.min(...all), high = Math.max(...all);
  if (high - low < 1) { low -= 1; high += 1; }
  const box = { left: 46, right: width - 8, top: 18, bottom: height - 22 }, n = lines[0].values.length;
  const x = (c) => box.left + ((c + 0.5) / n) * (box.right - box.left), y = (v) => box.bottom - ((v - low) / (high - low)) * (box.bottom - box.top);
  frame(context, box, y, low, high, words);
  context.fillStyle = css("--soft");
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const mm of ticks(0, n * step_mm, 6)) context.fillText(`${plain(mm)}${mm ? "" : " mm"}`, x(mm / step_mm - 0.5), box.bottom + 5);
  context.strokeStyle = css("--line");
  context.beginPath(); context.moveTo(x(column), box.top); context.lineTo(x(column), box.bottom); context.stroke();
  for (const line of lines) {
    context.strokeStyle = line.colour;
    context.lineWidth = 1.5;
    context.setLineDash(line.dashed ? [5, 3] : []);
    context.beginPath();
    line.values.forEach((v, c) => (c ? context.lineTo(x(c), y(v)) : context.moveTo(x(c), y(v))));
    context.stroke();
  }
  context.setLineDash([]);
}

// lines: [{name, colour, points: [[dose position, value]]}]; doses fall to the right. Returns x of each dose.
export function drawCurve(canvas, lines, { labels, photons, now, unit, level }) {
  const { context, width, height } = begin(canvas);
  const all = lines.flatMap((line) => line.points.map((p) => p[1])).concat(level ?? []);
  const box = { left: 46, right: width - 14, top: 18, bottom: height - 24 };
  const logs = photons.map(Math.log), most = Math.max(...logs), least = Math.min(...logs);
  const x = (k) => box.left + 8 + (most > least ? (most - logs[k]) / (most - least) : 0.5) * (box.right - box.left - 16);
  const places = labels.map((_, k) => x(k));
  let low = Math.min(...all), high = Math.max(...all);
  if (!all.length) [low, high] = [0, 1];
  if (high - low < 1e-6 * Math.abs(high) + 1e-9) { low -= 0.5 * Math.abs(low) + 0.05; high += 0.5 * Math.abs(high) + 0.05; }
  const pad = 0.08 * (high - low), y = (v) => box.bottom - ((v - low + pad) / (high - low + 2 * pad)) * (box.bottom - box.top);
  frame(context, box, y, low, high, unit);
  context.fillStyle = css("--soft");
  context.textAlign = "center";
  context.textBaseline = "top";
  let last = -1e9;
  labels.forEach((label, k) => { const wide = context.measureText(label).width + 6; if (places[k] - last >= wide) { context.fillText(label, places[k], box.bottom + 6); last = places[k]; } });
  context.strokeStyle = css("--mark");
  context.lineWidth = 1;
  context.beginPath(); context.moveTo(places[now], box.top); context.lineTo(places[now], box.bottom); context.stroke();
  if (level !== undefined) {
    context.strokeStyle = css("--black");
    context.setLineDash([5, 3]);
    context.beginPath(); context.moveTo(box.left, y(level)); context.lineTo(box.right, y(level)); context.stroke();
    context.setLineDash([]);
  }
  for (const line of lines) {
    context.strokeStyle = context.fillStyle = line.colour;
    context.lineWidth = 1.6;
    context.beginPath();
    line.points.forEach(([k, v], i) => (i ? context.lineTo(x(k), y(v)) : context.moveTo(x(k), y(v))));
    context.stroke();
    for (const [k, v] of line.points) { context.beginPath(); context.arc(x(k), y(v), k === now ? 4.2 : 2.6, 0, 7); context.fill(); }
  }
  return places;
}
