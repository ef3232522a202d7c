// What was read from one face, in words and bars.

const $ = (id) => document.getElementById(id);
/** Intensity from which a unit is active. */
const ACTIVE = 0.2;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const spoken = (name) => capital(name.replaceAll("_", " "));

/** The units that are shown as active, the strongest first. */
export function activeUnits(face) {
  const active = Object.entries(face.action_units).filter(([, value]) => value >= ACTIVE);
  return active.sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

/** Shows expression, confidence and units; rows that stay are kept, so that nothing jumps. */
export function showReading(face, units, light) {
  const shares = Object.entries(face.probabilities || {}).sort((a, b) => b[1] - a[1]);
  text($("label"), capital(face.expression || "No expression was read"));
  trust(face);
  rows($("shares"), "div", shares.slice(0, 3).map(([name, value]) => [name, value]));
  rows($("units"), "li", units.map((name) => [name, face.action_units[name]]), (row, name) => {
    row.dataset.units = name;
    listen(row, light);
  });
  $("none").hidden = units.length > 0;
}

/** Confidence below which a reading should not be used, as the core has it. */
const DOUBTFUL = 0.5;

function trust(face) {
  const doubts = (face.doubts || []).map((doubt) => doubt.replaceAll("_", " ")).join(", ");
  const doubtful = face.confidence < DOUBTFUL;
  const why = doubts ? `: the face is ${doubts}` : "";
  text($("trust"), `Confidence ${face.confidence.toFixed(2)}${why}${doubtful ? ". Do not rely on this reading." : ""}`);
  $("trust").classList.toggle("doubtful", doubtful);
}

/** Bars by name in a list; those that are there are changed in place. */
function rows(list, kind, values, prepare) {
  const before = new Map([...list.children].map((row) => [row.dataset.name, row]));
  const wanted = values.map(([name, value]) => {
    const row = before.get(name) || bar(kind, name);
    if (!before.has(name)) prepare?.(row, name);
    text(row.children[1], value.toFixed(2));
    row.children[2].value = value;
    return row;
  });
  const same = wanted.length === list.children.length && wanted.every((row, at) => row === list.children[at]);
  if (!same) list.replaceChildren(...wanted);
}

function bar(kind, name) {
  const row = document.createElement(kind);
  const [label, number] = [document.createElement("span"), document.createElement("span")];
  const meter = document.createElement("meter");
  row.dataset.name = name;
  label.textContent = spoken(name);
  meter.max = 1;
  meter.setAttribute("aria-label", spoken(name));
  row.append(label, number, meter);
  return row;
}

/** Shows words of a chain that is being written. */
export function showWords(words) {
  let paragraph = $("words");
  if (!paragraph) {
    paragraph = document.createElement("p");
    paragraph.id = "words";
    $("chain").replaceChildren(paragraph);
    performance.mark("first word");
  }
  paragraph.textContent = words.replaceAll("**", "");
  $("chain").setAttribute("aria-busy", "true");
  $("grounding").textContent = "";
}

/** Shows a whole chain, each sentence with the units that it speaks of. */
export function showChain(face, light) {
  const parts = new Map();
  for (const sentence of face.sentences || []) {
    if (!parts.has(sentence.part)) parts.set(sentence.part, paragraph(sentence.part));
    parts.get(sentence.part).append(span(sentence, light), " ");
  }
  const loose = face.chain && !parts.size ? [face.chain.text] : [];
  $("chain").replaceChildren(...parts.values(), ...loose);
  $("chain").setAttribute("aria-busy", "false");
  const unsupported = (face.sentences || []).filter((sentence) => !sentence.supported).length;
  const fine = parts.size ? "Every sentence agrees with the action units." : "";
  $("grounding").textContent = unsupported ? `${plural(unsupported, "sentence")} not supported by the action units.` : fine;
}

function paragraph(heading) {
  const paragraph = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = heading + ": ";
  paragraph.append(strong);
  return paragraph;
}

function span(sentence, light) {
  const span = document.createElement("span");
  span.className = "sentence" + (sentence.supported ? "" : " unsupported");
  span.textContent = sentence.text;
  if (sentence.units.length) {
    span.dataset.units = sentence.units.join(" ");
    span.setAttribute("aria-description", "About " + sentence.units.map((unit) => unit.replaceAll("_", " ")).join(", "));
    listen(span, light);
  }
  return span;
}

/** Marks whatever speaks of one of the units. */
export function mark(units) {
  for (const element of document.querySelectorAll("[data-units]")) {
    element.classList.toggle("lit", element.dataset.units.split(" ").some((unit) => units.includes(unit)));
  }
}

function listen(element, light) {
  const on = () => light(element.dataset.units.split(" "));
  element.tabIndex = 0;
  element.onmouseenter = on;
  element.onfocus = on;
  element.onmouseleave = () => light([]);
  element.onblur = () => light([]);
}

function text(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
