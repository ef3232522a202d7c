// What the page asks the server for.

/** An answer that is no success, with the reason in the server's words. */
export class Refused extends Error {
  constructor(status, reason, after) {
    super(reason);
    Object.assign(this, { status, after });
  }
}

/** Remembers the token until the window is closed. */
export function setToken(token) {
  sessionStorage.setItem("token", token);
}

async function post(path, file, accept, signal) {
  const form = new FormData();
  form.append("file", file, "photo");
  const headers = { accept };
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method: "POST", body: form, headers, signal });
  if (answer.ok) return answer;
  const reason = await answer.json().then((body) => body.error.message, () => answer.statusText);
  throw new Refused(answer.status, reason, answer.headers.get("retry-after") ?? 1);
}

/** Asks again, a few times, as long as too many others wait. */
async function patient(ask) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429 || tries === 5) throw error;
      await new Promise((done) => setTimeout(done, 1000 * error.after));
    }
  }
}

/** The faces of a picture, without chains. */
export async function readUnits(file, signal) {
  const answer = await post("/api/au", file, "application/json", signal);
  return faces(await answer.json());
}

/** The faces of a picture with their chains; `hear(name, value)` hears the parts as they come. */
export async function analyze(file, hear, signal) {
  const answer = await patient(() => post("/api/analyze", file, "text/event-stream", signal));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "", done = null;
  for (;;) {
    const { value, done: ended } = await reader.read();
    if (ended) break;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const event = parse(text.slice(0, end));
      if (event) done = take(event, hear) ?? done;
    }
  }
  if (!done) throw new Error("the server broke off");
  return done;
}

function take({ name, data }, hear) {
  const value = JSON.parse(data);
  if (value.error) throw new Error(value.error.message);
  if (name === "words") return void hear(name, value);
  const rows = faces(value);
  hear(name, rows);
  return name === "done" ? rows : undefined;
}

function parse(event) {
  const field = (name) => event.split("\n").find((line) => line.startsWith(name))?.slice(name.length);
  const data = field("data: ");
  return data && { name: field("event: ") || "", data };
}

/** The rows that are faces; the reason why others are missing goes along. */
function faces(rows) {
  const found = rows.filter((row) => row.face !== null);
  found.trouble = rows.map((row) => row.error).find(Boolean);
  return found;
}
