// Outlines of class maps along the edges of their pixels, as paths in pixels.

const made = new WeakMap(); // plane -> Map(class -> Path2D)

export function outlines(plane) {
  let found = made.get(plane);
  if (!found) made.set(plane, (found = trace(plane)));
  return found;
}

function trace({ data, rows, columns }) {
  const paths = new Map();
  const path = (value) => {
    if (!paths.has(value)) paths.set(value, new Path2D());
    return paths.get(value);
  };
  const edge = (a, b, draw) => {
    if (a === b) return;
    if (a) draw(path(a));
    if (b) draw(path(b));
  };
  for (let r = 0; r <= rows; r++) {
    for (let c = 0; c <= columns; c++) {
      const here = r < rows && c < columns ? data[r * columns + c] : 0;
      const above = r > 0 && c < columns ? data[(r - 1) * columns + c] : 0;
      const left = c > 0 && r < rows ? data[r * columns + c - 1] : 0;
      edge(here, above, (p) => { p.moveTo(c, r); p.lineTo(c + 1, r); });
      edge(here, left, (p) => { p.moveTo(c, r); p.lineTo(c, r + 1); });
    }
  }
  return paths;
}

const OTHERS = ["#7fd6a0", "#c7a6ff", "#ffb38a", "#8fd3ff", "#e3e37a", "#f0a8c8"];

export function labelColour(classes, k) { return classes[k].lesion ? "#ffd000" : OTHERS[k % OTHERS.length]; }
export function readerColour(classes, k) { return classes[k].lesion ? "#ff5fa2" : "#4db8ff"; }
