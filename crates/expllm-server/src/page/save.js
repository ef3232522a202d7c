// Files for the person before the page.

/** Offers a file. */
export function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has its own hold on the file by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Faces as they came from the server, with the names of their files. */
export function json(rows) {
  return new Blob([JSON.stringify(rows.map(({ name, time, face }) => ({ ...face, file: name, time })), null, 1)], { type: "application/json" });
}

/** A table with a row for each face. */
export function csv(rows) {
  const keys = (of) => [...new Set(rows.flatMap(({ face }) => Object.keys(face[of] || {})))];
  const units = keys("action_units"), labels = keys("probabilities");
  const timed = rows.some(({ time }) => time !== undefined);
  const head = ["file", ...(timed ? ["time"] : []), "face", "x", "y", "width", "height", "confidence", "expression", ...units, ...labels];
  const lines = rows.map(({ name, time, face }) => [
    name, ...(timed ? [time] : []), face.face, face.box.x, face.box.y, face.box.width, face.box.height, face.confidence, face.expression,
    ...units.map((unit) => face.action_units[unit]), ...labels.map((label) => face.probabilities?.[label]),
  ]);
  return new Blob([[head, ...lines].map((line) => line.map(field).join(",") + "\n").join("")], { type: "text/csv" });
}

function field(value) {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
