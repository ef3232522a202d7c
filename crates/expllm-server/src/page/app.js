// The page: photos, a clip or the camera in, pictures and readings out.

import { draw, unitsAt } from "/picture.js";
import { activeUnits, capital, mark, plural, showChain, showReading, showWords } from "/reading.js";
import { analyze, setToken } from "/server.js";
import { Live, frame } from "/live.js";
import { csv, json, save } from "/save.js";

const $ = (id) => document.getElementById(id);
/** Photos with what was read: {name, picture, faces, words}. */
let entries = [];
/** What is before the eyes: an entry, the index of its chosen face, the units that are lit. */
let view = { picture: null, faces: [], shown: 0, lit: [] };
let live = null, stream = null, waiting = [], held = [], busy = false;
/** Faces of a clip or camera as they were read, with their times. */
let series = [];
/** Rows of a series that are kept, about half an hour of one person. */
const LONGEST = 18_000;

function say(text) { $("status").textContent = text; }

// Photos.

function take(files) {
  const all = [...files];
  const clip = all.find((file) => file.type.startsWith("video/"));
  if (clip) return play(clip);
  if (!all.length) return;
  leave();
  series = [];
  waiting.push(...all);
  work();
}

/** Reads the photos that wait, one after the other. */
async function work() {
  if (busy) return;
  busy = true;
  document.body.classList.add("loading");
  for (let file; (file = waiting.shift());) {
    try {
      await read(file);
    } catch (error) {
      failed(error, file);
    }
  }
  document.body.classList.remove("loading");
  busy = false;
}

async function read(file) {
  say(`Reading ${file.name || "the photo"} …`);
  const picture = await createImageBitmap(file).catch(() => null);
  const entry = { name: file.name || "photo", picture, faces: [], words: [] };
  const faces = await analyze(file, (name, value) => {
    if (name === "words") {
      entry.words[value.face] = (entry.words[value.face] || "") + value.text + (value.supported ? "" : " [not supported]");
      if (view.entry === entry && view.shown === value.face) showWords(entry.words[value.face]);
    } else if (name === "faces") {
      entry.faces = value;
      entries.push(entry);
      open(entry);
    }
  });
  entry.faces = faces;
  if (view.entry === entry) open(entry, view.shown);
  say(faces.trouble || (faces.length ? plural(faces.length, "face") + " found." : "No face was found."));
}

function failed(error, file) {
  $("key").hidden = error.status !== 401;
  if (error.status === 401) {
    held = [file, ...waiting.splice(0)].filter(Boolean);
    $("token").focus();
  }
  say(error.status === 401 ? "Type the token of this server, please." : "This did not work: " + error.message);
}

function open(entry, shown = 0) {
  view = { entry, picture: entry.picture, faces: entry.faces, shown, lit: [] };
  strip();
  show();
}

/** Thumbnails of the photos, where there are several. */
function strip() {
  $("strip").hidden = entries.length < 2;
  for (const entry of entries) {
    entry.item ??= thumbnail(entry);
    if (entry.item.parentNode !== $("strip")) $("strip").append(entry.item);
    entry.item.firstChild.setAttribute("aria-current", entry === view.entry);
  }
  if (!entries.length) $("strip").replaceChildren();
}

function thumbnail(entry) {
  const [item, button, thumb] = ["li", "button", "canvas"].map((kind) => document.createElement(kind));
  const { name, picture } = entry;
  button.type = "button";
  button.setAttribute("aria-label", name);
  button.onclick = () => open(entry);
  thumb.width = thumb.height = 64;
  if (picture) {
    const side = Math.min(picture.width, picture.height);
    thumb.getContext("2d").drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, 64, 64);
  }
  button.append(thumb);
  item.append(button);
  return item;
}

// The chosen face.

function show() {
  const face = view.faces[view.shown];
  $("stage").hidden = !view.picture;
  $("out").hidden = !face;
  tabs();
  paint();
  if (!face) return;
  showReading(face, face.listed || activeUnits(face), light);
  $("said").hidden = !view.entry;
  if (!view.entry) return;
  const words = view.entry.words[view.shown];
  if (face.chain) showChain(face, light);
  else if (words) showWords(words);
}

function tabs() {
  const several = view.faces.length > 1;
  $("tabs").hidden = !several;
  const wanted = several ? view.faces.length : 0;
  if ($("tabs").children.length !== wanted) {
    $("tabs").replaceChildren(...Array.from({ length: wanted }, (_, at) => tab(at)));
  }
  view.faces.slice(0, wanted).forEach((face, at) => {
    const tab = $("tabs").children[at], text = `Face ${at + 1}: ${capital(face.expression || "")}`;
    if (tab.textContent !== text) tab.textContent = text;
    tab.setAttribute("aria-selected", at === view.shown);
    tab.tabIndex = at === view.shown ? 0 : -1;
  });
}

function tab(at) {
  const tab = document.createElement("button");
  tab.type = "button";
  tab.role = "tab";
  tab.setAttribute("aria-controls", "out");
  tab.onclick = () => choose(at);
  tab.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    choose((at + step + view.faces.length) % view.faces.length);
    $("tabs").children[view.shown].focus();
  };
  return tab;
}

function choose(at) {
  view.shown = at;
  view.lit = [];
  show();
}

function light(units) {
  view.lit = units;
  mark(units);
  paint();
}

function paint() {
  if (!view.picture) return;
  draw($("canvas"), view);
  const found = view.faces.map((face) => face.expression || "no expression").join(", ");
  const label = `The picture with ${plural(view.faces.length, "face")} marked${found && ": " + found}`;
  if ($("canvas").getAttribute("aria-label") !== label) $("canvas").setAttribute("aria-label", label);
}

// The camera and clips.

async function camera() {
  if (stream) return leave();
  leave();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
  } catch (error) {
    return say("The camera cannot be used: " + error.message);
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").textContent = "Stop the camera";
  stream.getVideoTracks()[0].onended = () => {
    leave();
    say("The camera was unplugged or taken away.");
  };
  $("video").srcObject = stream;
  begin("camera");
}

function play(clip) {
  leave();
  $("video").src = URL.createObjectURL(clip);
  $("video").controls = true;
  $("video").hidden = false;
  $("video").onerror = () => say("This clip cannot be played here.");
  begin(clip.name);
}

function begin(name) {
  series = [];
  entries = [];
  view = { picture: null, faces: [], shown: 0, lit: [] };
  strip();
  show();
  live = new Live($("video"), ({ picture, faces, raw, time, rate }) => {
    view = { ...view, picture, faces, shown: Math.min(view.shown, Math.max(0, faces.length - 1)) };
    series.push(...raw.map((face) => ({ name, time, face })));
    series.splice(0, series.length - LONGEST);
    $("rate").textContent = `${rate.toFixed(0)} frames a second`;
    show();
  }, (error) => {
    leave();
    failed(error);
  });
  $("live").hidden = $("rate").hidden = false;
  say("");
  $("video").play().catch((error) => say("This did not work: " + error.message));
}

function leave() {
  live?.stop();
  stream?.getTracks().forEach((track) => track.stop());
  live = stream = null;
  const video = $("video");
  video.onerror = null;
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.srcObject = null;
  video.controls = false;
  video.hidden = $("live").hidden = $("rate").hidden = true;
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Use the camera";
}

/** The present frame becomes a photo. */
async function explain() {
  const picture = frame($("video"), 1920);
  leave();
  series = [];
  const file = await picture.convertToBlob({ type: "image/png" });
  file.name = "frame";
  waiting.push(file);
  work();
}

/** What is saved: the series of a clip, or all photos. */
function rows() {
  if (series.length) return series;
  return entries.flatMap(({ name, faces }) => faces.map((face) => ({ name, face })));
}

$("file").onchange = (event) => take(event.target.files);
$("camera").onclick = camera;
$("explain").onclick = explain;
$("json").onclick = () => save("faces.json", json(rows()));
$("csv").onclick = () => save("faces.csv", csv(rows()));
$("png").onclick = () => $("canvas").toBlob((blob) => save("faces.png", blob));
$("canvas").onmousemove = (event) => {
  const face = view.faces[view.shown];
  if (face) light(unitsAt($("canvas"), view, event, face.listed || activeUnits(face)));
};
$("canvas").onmouseleave = () => light([]);
$("key").onsubmit = (event) => {
  event.preventDefault();
  setToken($("token").value);
  $("key").hidden = true;
  waiting.push(...held.splice(0));
  work();
};
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
