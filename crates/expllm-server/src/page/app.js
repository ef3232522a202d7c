"use strict";

const $ = (id) => document.getElementById(id);
const REGIONS = [
  [/brow/, { left: [22, 26], right: [17, 21] }],
  [/eye|lid/, { left: [42, 47], right: [36, 41] }],
  [/nose/, { both: [27, 35] }],
  [/cheek/, { left: [12, 15, 45, 35], right: [1, 4, 36, 31] }],
  [/jaw|chin/, { both: [5, 11] }],
  [/lip|dimple/, { left: [51, 57], right: [48, 51, 57, 59], both: [48, 59] }],
];
let photo = null, faces = [], shown = 0, lit = [];

function plural(n, word) { return `${n} ${word}${n === 1 ? "" : "s"}`; }

async function take(file) {
  if (!file) return;
  $("status").textContent = "Reading the photo …";
  document.body.classList.add("loading");
  try {
    const form = new FormData();
    form.append("file", file, file.name || "photo");
    const [answer, bitmap] = await Promise.all([
      fetch("/api/analyze", { method: "POST", body: form }),
      createImageBitmap(file).catch(() => null),
    ]);
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    photo = bitmap;
    faces = body.filter((row) => row.face !== null && row.face !== undefined);
    const trouble = body.map((row) => row.error).find(Boolean);
    $("status").textContent = trouble || (faces.length ? plural(faces.length, "face") + " found." : "No face was found.");
    $("stage").hidden = !photo;
    $("out").hidden = faces.length === 0;
    show(0);
  } catch (error) {
    $("status").textContent = "This did not work: " + error.message;
  } finally {
    document.body.classList.remove("loading");
  }
}

function show(index) {
  shown = index;
  lit = [];
  tabs();
  draw();
  const face = faces[index];
  if (!face) return;
  const shares = Object.entries(face.probabilities || {}).sort((a, b) => b[1] - a[1]);
  $("label").textContent = capital(face.expression || "");
  $("shares").replaceChildren(...shares.slice(0, 3).map(([name, value]) => bar("div", capital(name), value)));
  const active = Object.entries(face.action_units).filter(([, v]) => v >= 0.2).sort((a, b) => b[1] - a[1]);
  $("units").replaceChildren(...active.map(([name, value]) => {
    const item = bar("li", capital(name.replaceAll("_", " ")), value);
    item.dataset.units = name;
    return listen(item);
  }));
  if (!active.length) $("units").textContent = "None above 0.2.";
  chain(face);
}

function tabs() {
  $("tabs").hidden = faces.length < 2;
  $("tabs").replaceChildren(...faces.map((face, at) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.setAttribute("aria-selected", at === shown);
    tab.textContent = `Face ${at + 1}: ${capital(face.expression || "")}`;
    tab.onclick = () => show(at);
    return tab;
  }));
}

function bar(kind, name, value) {
  const row = document.createElement(kind);
  const label = document.createElement("span");
  const number = document.createElement("span");
  const meter = document.createElement("meter");
  label.textContent = name;
  number.textContent = value.toFixed(2);
  meter.max = 1;
  meter.value = value;
  meter.setAttribute("aria-label", name);
  row.append(label, number, meter);
  return row;
}

function chain(face) {
  const parts = new Map();
  for (const sentence of face.sentences || []) {
    if (!parts.has(sentence.part)) {
      const paragraph = document.createElement("p");
      const heading = document.createElement("strong");
      heading.textContent = sentence.part + " ";
      paragraph.append(heading);
      parts.set(sentence.part, paragraph);
    }
    const span = document.createElement("span");
    span.className = "sentence" + (sentence.supported ? "" : " unsupported");
    span.textContent = sentence.text;
    if (sentence.units.length) {
      span.dataset.units = sentence.units.join(" ");
      listen(span);
    }
    parts.get(sentence.part).append(span, " ");
  }
  $("chain").replaceChildren(...parts.values());
  const unsupported = (face.sentences || []).filter((s) => !s.supported).length;
  $("grounding").textContent = unsupported
    ? `${plural(unsupported, "sentence")} not supported by the action units.`
    : "Every sentence agrees with the action units.";
}

function listen(element) {
  const on = () => light(element.dataset.units.split(" "));
  element.tabIndex = 0;
  element.onmouseenter = on;
  element.onfocus = on;
  element.onmouseleave = () => light([]);
  element.onblur = () => light([]);
  return element;
}

function light(units) {
  lit = units;
  for (const element of document.querySelectorAll("[data-units]")) {
    const shares = element.dataset.units.split(" ").some((unit) => lit.includes(unit));
    element.classList.toggle("lit", shares);
  }
  draw();
}

function draw() {
  if (!photo) return;
  const canvas = $("canvas");
  const scale = Math.min(1, 1600 / photo.width);
  canvas.width = Math.round(photo.width * scale);
  canvas.height = Math.round(photo.height * scale);
  const pen = canvas.getContext("2d");
  pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
  pen.scale(scale, scale);
  faces.forEach((face, at) => outline(pen, face, at === shown));
  const face = faces[shown];
  if (face) lit.forEach((unit) => glow(pen, face, unit));
}

function outline(pen, face, chosen) {
  const b = face.box, thick = Math.max(1, b.width / 100);
  pen.lineWidth = thick * (chosen ? 1.6 : 1);
  pen.strokeStyle = chosen ? "#4da3ff" : "rgba(255,255,255,.7)";
  pen.strokeRect(b.x, b.y, b.width, b.height);
  if (!chosen) return;
  pen.fillStyle = "#fff";
  for (const [x, y] of face.landmarks || []) {
    pen.beginPath();
    pen.arc(x, y, thick * 0.9, 0, 7);
    pen.fill();
  }
}

function glow(pen, face, unit) {
  const region = REGIONS.find(([pattern]) => pattern.test(unit));
  if (!region || !(face.landmarks || []).length) return;
  const side = unit.startsWith("left") ? "left" : unit.startsWith("right") ? "right" : "both";
  const sides = region[1][side] ? [region[1][side]] : Object.values(region[1]);
  for (const ends of sides) {
    const picked = ends.length === 2 ? face.landmarks.slice(ends[0], ends[1] + 1) : ends.map((i) => face.landmarks[i]);
    const xs = picked.map((p) => p[0]), ys = picked.map((p) => p[1]);
    const pad = face.box.width * 0.06;
    pen.beginPath();
    pen.ellipse((Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2,
      (Math.max(...xs) - Math.min(...xs)) / 2 + pad, (Math.max(...ys) - Math.min(...ys)) / 2 + pad, 0, 0, 7);
    pen.fillStyle = "rgba(255,170,60,.35)";
    pen.strokeStyle = "rgba(255,170,60,.95)";
    pen.lineWidth = Math.max(1, face.box.width / 90);
    pen.fill();
    pen.stroke();
  }
}

function capital(text) { return text.charAt(0).toUpperCase() + text.slice(1); }

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function table() {
  if (!faces.length) return "";
  const units = Object.keys(faces[0].action_units), labels = Object.keys(faces[0].probabilities || {});
  const head = ["face", "x", "y", "width", "height", ...units, ...labels];
  const rows = faces.map((f, at) => [at, f.box.x, f.box.y, f.box.width, f.box.height,
    ...units.map((u) => f.action_units[u] ?? ""), ...labels.map((l) => f.probabilities[l] ?? "")]);
  return [head, ...rows].map((row) => row.join(",")).join("\n") + "\n";
}

$("file").onchange = (event) => take(event.target.files[0]);
$("json").onclick = () => save("faces.json", new Blob([JSON.stringify(faces, null, 1)], { type: "application/json" }));
$("csv").onclick = () => save("faces.csv", new Blob([table()], { type: "text/csv" }));
$("png").onclick = () => $("canvas").toBlob((blob) => save("faces.png", blob));
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
