// The map seen from above and the timeline of the tracks, as SVG.

const SVG = "http://www.w3.org/2000/svg";

function add(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

// As in the report (report.html.j2): places are in percent of the width, a row is 20 pixels high.
export function drawTimeline(svg, plot) {
  svg.replaceChildren();
  if (!plot) return;
  const height = 20 * plot.rows.length;
  svg.setAttribute("height", height + 24);
  for (const [at, label] of plot.ticks) {
    add(svg, "line", { class: "grid", x1: `${at}%`, x2: `${at}%`, y1: 0, y2: height });
    add(svg, "text", { x: `${at}%`, y: height + 16, "text-anchor": "middle" }, label);
  }
  plot.rows.forEach((row, index) => {
    const top = 20 * index;
    const group = add(svg, "g", {});
    add(group, "title", {}, `Object ${row.id}: ${row.text}`);
    add(group, "text", { x: -10, y: top + 14, "text-anchor": "end", class: row.marked ? "marked" : "" }, row.id);
    for (const [left, width] of row.bars)
      add(group, "rect", { x: `${left}%`, y: top + 4, width: `${width}%`, height: 12, rx: 3, fill: row.colour });
  });
  for (const at of plot.keyframes)
    add(svg, "line", { class: "key", x1: `${at}%`, x2: `${at}%`, y1: 0, y2: height });
}

const MARGIN = 0.7; // metres around what is shown
const FEWEST = 3; // metres that are shown at least

// x to the right, y upwards (REP 103), in metres. A circle holds two standard deviations.
export function drawMap(svg, map) {
  svg.replaceChildren();
  const placed = map.places.filter((place) => place.point);
  const points = [...map.path, ...placed.map((place) => place.point), ...(map.robot ? [[map.robot.x, map.robot.y]] : [])];
  if (!points.length) {
    svg.removeAttribute("viewBox");
    return;
  }
  const [left, right] = range(points.map((point) => point[0]));
  const [bottom, top] = range(points.map((point) => point[1]));
  const size = Math.max(right - left, top - bottom);
  svg.setAttribute("viewBox", `${left} ${-top} ${right - left} ${top - bottom}`);
  const step = [0.5, 1, 2, 5, 10, 20, 50].find((metres) => size / metres <= 12) ?? 100;
  for (let x = Math.ceil(left / step) * step; x <= right; x += step)
    add(svg, "line", { class: "grid", x1: x, x2: x, y1: -top, y2: -bottom });
  for (let y = Math.ceil(bottom / step) * step; y <= top; y += step)
    add(svg, "line", { class: "grid", x1: left, x2: right, y1: -y, y2: -y });
  add(svg, "polyline", { class: "path", points: map.path.map(([x, y]) => `${x},${-y}`).join(" ") });
  const unit = size / 60;
  for (const place of placed) {
    const [x, y] = place.point;
    const group = add(svg, "g", { "data-mark": place.id });
    add(group, "title", {}, `Mark ${place.id}: (${x}, ${y}) ± ${place.sigma} m`);
    add(group, "circle", { cx: x, cy: -y, r: Math.max(2 * place.sigma, unit / 2), fill: place.background, opacity: 0.25 });
    add(group, "circle", { cx: x, cy: -y, r: unit / 2, fill: place.background });
    add(group, "text", { x: x + unit * 0.8, y: -y - unit * 0.5, "font-size": unit * 2.2 }, place.id);
  }
  if (map.robot) {
    const { x, y, yaw } = map.robot;
    const arrow = `M ${2 * unit} 0 L ${-unit} ${unit} L ${-unit} ${-unit} Z`;
    const turn = `translate(${x} ${-y}) rotate(${(-yaw * 180) / Math.PI})`;
    add(svg, "path", { class: "robot", d: arrow, transform: turn });
  }
}

function range(values) {
  const low = Math.min(...values), high = Math.max(...values);
  const more = Math.max(MARGIN, (FEWEST - (high - low)) / 2);
  return [low - more, high + more];
}
