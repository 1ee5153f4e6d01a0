// The live page: shows what comes over one WebSocket, and sends what is asked for. Whatever comes is set as text.

import { drawMap, drawTimeline } from "./plots.js";

const $ = (id) => document.getElementById(id);
const RETRY = [500, 1000, 2000, 4000]; // milliseconds between attempts to connect again

let socket = null;
let attempts = 0;
let number = 0; // of the last question
const cards = new Map(); // questions under way: id -> card

function element(name, options = {}, ...children) {
  const { data, ...properties } = options;
  const node = Object.assign(document.createElement(name), properties);
  Object.assign(node.dataset, data);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

function chip(mark) {
  const node = element("span", { className: "chip", textContent: mark.id });
  node.style.background = mark.background;
  node.style.color = mark.text;
  return node;
}

// -- the connection

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/live`);
  socket.binaryType = "blob";
  socket.onopen = () => {
    attempts = 0;
    withheld = 0;
    link("live", true);
  };
  socket.onmessage = ({ data }) => (data instanceof Blob ? showPicture(data) : take(JSON.parse(data)));
  socket.onclose = ({ reason }) => {
    link(reason || "connection lost, trying again", false);
    for (const id of [...cards.keys()]) showAnswer({ id, ok: false, message: "The connection was lost; ask again." });
    setTimeout(connect, RETRY[Math.min(attempts++, RETRY.length - 1)]);
  };
}

function link(text, on) {
  $("link").textContent = text;
  $("link").classList.toggle("off", !on);
  for (const id of ["ask", "reset", "stop"]) $(id).disabled = !on;
  if (!on) $("live").parentElement.classList.remove("on");
}

function send(wish) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish));
}

function take({ kind, value }) {
  const show = {
    keyframes: (frames) => $("frames").replaceChildren(...frames.map(figure)),
    map: showMap,
    timeline: showTimeline,
    diagnostics: (nodes) => $("nodes").replaceChildren(...nodes.map(nodeCard)),
    progress: showProgress,
    answer: showAnswer,
    notice,
  };
  show[kind]?.(value);
}

let noticeEnds = 0;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = false;
  clearTimeout(noticeEnds);
  noticeEnds = setTimeout(() => ($("notice").hidden = true), 15000);
}

// -- the live picture

let withheld = 0; // pictures that the server may send once somebody looks again
const shownAt = [];

async function showPicture(blob) {
  const url = URL.createObjectURL(blob);
  const image = $("live");
  image.src = url;
  await image.decode().catch(() => {});
  URL.revokeObjectURL(url);
  image.parentElement.classList.add("on");
  shownAt.push(performance.now());
  while (shownAt.length > 30) shownAt.shift();
  if (document.hidden) withheld++;
  else send({ do: "more" });
}

document.addEventListener("visibilitychange", () => {
  for (; !document.hidden && withheld > 0; withheld--) send({ do: "more" });
});

setInterval(() => {
  const recent = shownAt.filter((at) => performance.now() - at < 2000).length;
  $("rate").textContent = recent ? `${Math.round(recent / 2)} pictures a second` : "No picture for 2 s.";
}, 1000);

// -- keyframes, map, tracks, nodes

function figure(frame) {
  const ids = frame.marks.map((mark) => mark.id).join(", ");
  const image = element("img", { src: `/picture/${frame.picture}.jpg`, width: frame.width, height: frame.height });
  image.alt = `Camera picture at ${frame.seconds} s` + (ids ? ` with marks on objects ${ids}` : " without marks");
  const caption = element("figcaption", {}, element("span", { textContent: `${frame.seconds} s` }));
  caption.append(element("span", { textContent: ids ? `marks ${ids}` : "no marks" }));
  const whole = element("figure", { className: "card", data: { marks: ids } });
  const open = element("button", { type: "button", onclick: () => whole.classList.toggle("large") }, image);
  whole.append(open, caption);
  return whole;
}

addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelectorAll("figure.large").forEach((one) => one.classList.remove("large"));
});

function showMap(map) {
  drawMap($("map"), map);
  const placed = map.places.filter((place) => place.point).length;
  const where = map.frame ? `In ${map.frame}; a` : "A";
  $("map-hint").textContent = placed
    ? `${where} circle holds two standard deviations; the arrow is the camera.`
    : "No place is known yet.";
  const without = map.places.filter((place) => !place.point && place.missing);
  $("unplaced").replaceChildren(
    ...map.remarks.map((text) => element("li", { textContent: text })),
    ...without.map((place) => element("li", {}, chip(place), ` ${place.missing}`)),
  );
}

function showTimeline(plot) {
  drawTimeline($("timeline"), plot);
  const more = plot?.hidden ? ` ${plot.hidden} more objects were visible for shorter.` : "";
  $("timeline-hint").textContent = plot
    ? `Bold numbers are marked; dashed lines are the keyframes.${more}`
    : "Nothing was tracked yet.";
}

function nodeCard(node) {
  const card = element("div", { className: `card ${node.level}` });
  card.append(element("strong", { textContent: node.name }), element("p", { textContent: node.message }));
  if (node.figures?.length) card.append(element("p", { className: "hint", textContent: node.figures.join(" · ") }));
  return card;
}

// -- questions

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("text").value.trim();
  if (!question) return;
  const id = ++number;
  const answer = element("p", { className: "answer" });
  const stage = element("p", { className: "hint", textContent: "sent" });
  const cancel = element("button", { type: "button", textContent: "Cancel", onclick: () => send({ do: "cancel", id }) });
  const card = element("article", { className: "card" }, element("h3", { textContent: question }), answer, stage, cancel);
  cards.set(id, { card, answer, stage, cancel });
  $("answers").prepend(card);
  $("text").value = "";
  send({ do: "ask", id, question });
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    $("form").requestSubmit();
  }
});

function showProgress({ id, stage, text }) {
  const at = cards.get(id);
  if (!at) return;
  at.stage.textContent = stage.replaceAll("_", " ");
  if (text) at.answer.textContent = text;
}

function showAnswer(result) {
  const at = cards.get(result.id);
  if (!at) return;
  cards.delete(result.id);
  at.stage.remove();
  at.cancel.remove();
  if (!result.ok) {
    at.answer.className = "error";
    at.answer.textContent = result.cancelled ? "Cancelled." : `No answer: ${result.message}`;
    return;
  }
  at.answer.textContent = result.answer;
  at.card.append(facts(result));
  for (const text of [result.reason, result.message]) if (text) at.card.append(element("p", { className: "hint", textContent: text }));
  for (const mark of result.marks) {
    const known = whereabouts(mark);
    if (known) at.card.append(element("p", { className: "hint" }, chip(mark), ` ${known}`));
  }
  if (result.goal && result.marks.length === 1) at.card.append(goButton(result.marks[0].id, result.goal));
  if (result.evidence.length) at.card.append(element("div", { className: "frames" }, ...result.evidence.map(figure)));
  if (result.prompt) {
    const prompt = element("pre", { textContent: result.prompt });
    at.card.append(element("details", {}, element("summary", { textContent: "What the model was asked" }), prompt));
  }
}

function facts({ source, marks, confidence, usage }) {
  const line = element("div", { className: "facts" });
  const say = (text) => line.append(element("span", { textContent: text }));
  if (source) line.append(element("span", { className: "tag", textContent: source }));
  if (marks.length) line.append(element("span", {}, "Objects ", ...marks.map(chip)));
  if (confidence) say(`confidence ${Math.round(100 * confidence)} %`);
  say(`${usage.seconds} s`);
  if (usage.images) say(`${usage.images} images`);
  if (usage.tokens) say(`${usage.tokens} tokens`);
  if (usage.cost) say(`cost ${usage.cost}`);
  if (usage.model) say(usage.model);
  return line;
}

function whereabouts(mark) {
  const parts = [];
  if (mark.distance !== null) parts.push(`${mark.distance} m away`);
  if (mark.degrees !== null) parts.push(`${Math.abs(mark.degrees)}° to the ${mark.degrees < 0 ? "right" : "left"}`);
  if (mark.point) parts.push(`at (${mark.point.join(", ")}) ± ${mark.sigma} m`);
  return parts.join(", ");
}

// -- what is asked for twice

function goButton(mark, goal) {
  const place = `(${goal.x}, ${goal.y}) in ${goal.frame || "an unnamed frame"}`;
  const onclick = async () => {
    if (await sure(`Send the robot before mark ${mark}, to ${place}? It may begin to drive at once.`))
      send({ do: "go", mark, x: goal.x, y: goal.y, frame: goal.frame });
  };
  return element("button", { type: "button", textContent: `Go to mark ${mark} …`, onclick });
}

function sure(text) {
  $("sure-text").textContent = text;
  $("sure").returnValue = "no";
  $("sure").showModal();
  return new Promise((resolve) => {
    $("sure").onclose = () => resolve($("sure").returnValue === "yes");
  });
}

for (const button of $("sure").querySelectorAll("button")) button.onclick = () => $("sure").close(button.value);
$("stop").onclick = () => send({ do: "stop" });
$("reset").onclick = async () => {
  if (await sure("Begin a new episode? Objects, keyframes and kept answers are forgotten.")) send({ do: "reset" });
};

connect();
