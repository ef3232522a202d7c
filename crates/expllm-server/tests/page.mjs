// The page in Chromium: page.mjs ADDRESS LOCKED CHROMIUM NODE_MODULES PHOTO CAMERA SCREENSHOTS. LOCKED is a server that wants
// the token "open-sesame". NODE_MODULES has playwright-core and
// axe-core, which `npm install --prefix target/browser playwright-core@1 axe-core@4` fetches. Prints figures; fails where
// the page does not do what it should.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const [address, locked, chromium, modules, photo, camera, shots] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium: browserType } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");
const picture = (await readFile(photo)).toString("base64");
await mkdir(shots, { recursive: true });

const browser = await browserType.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${camera}`],
});

/** A new page; whatever it complains about or asks of other hosts ends up in `wrong`. */
async function opened({ width, height, colorScheme }, at = address) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, permissions: ["camera"], acceptDownloads: true });
  const page = await context.newPage();
  const wrong = [];
  const sizes = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => /^(blob|data):/.test(request.url()) || request.url().startsWith(at) || wrong.push(request.url()));
  page.on("response", (response) => response.url().includes("/api/") || sizes.push(response.body().then((body) => body.length, () => 0)));
  await page.goto(at);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  const bytes = async () => (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  return { page, wrong, paint, bytes };
}

/** Drops photos on the page; gives the milliseconds until the first word. */
function drop(page, names) {
  return page.evaluate(async ([picture, names]) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    for (const name of names) dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
    performance.clearMarks("first word");
    const start = performance.now();
    document.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    for (;;) {
      const [mark] = performance.getEntriesByName("first word");
      if (mark) return mark.startTime - start;
      await new Promise((done) => setTimeout(done, 5));
    }
  }, [picture, names]);
}

async function accessible(page, what) {
  // The rules run in a world of their own, which the page's policy does not bind.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = (expression) => session.send("Runtime.evaluate", { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  await run(axe);
  const { result } = await run("axe.run().then((found) => found.violations.map(({id, impact, nodes}) => ({id, impact, html: nodes.map((n) => n.html + ' ' + n.failureSummary)})))");
  const serious = result.value.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(serious, [], what);
  return result.value.map(({ id, impact }) => `${impact}: ${id}`);
}

const lit = (page, within) => page.locator(`${within} .lit`).count();
const pixels = (page) => page.evaluate(() => document.getElementById("canvas").toDataURL());

/** Points at sentences, units and the picture, with the pointer and with keys. */
async function linked(page) {
  const sentence = page.locator("#chain .sentence[data-units]").first();
  const before = await pixels(page);
  await sentence.hover();
  assert.ok(await lit(page, "#units") > 0, "a sentence lights its units");
  assert.notEqual(await pixels(page), before, "a sentence lights its region");
  await page.locator("h1").hover();
  assert.equal(await lit(page, "body"), 0);
  await page.locator("#units li").first().focus();
  assert.ok(await lit(page, "#chain") > 0, "a unit lights its sentence by keyboard");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.closest("#units, #chain") !== null), true);
  await page.evaluate(() => document.activeElement.blur());
  await page.locator("#canvas").scrollIntoViewIfNeeded();
  const box = await page.locator("#canvas").boundingBox();
  let found = 0;
  for (let y = 0.05; y < 1 && !found; y += 0.02) {
    for (let x = 0.05; x < 1 && !found; x += 0.03) {
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
      found = await lit(page, "#units");
    }
  }
  assert.ok(found > 0, "the region lights its units");
  assert.ok(await lit(page, "#chain") > 0, "the region lights its sentence");
  await page.mouse.move(0, 0);
}

async function downloaded(page, id) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(id)]);
  return readFile(await download.path());
}

async function files(page) {
  const [face] = JSON.parse(await downloaded(page, "#json"));
  assert.equal(face.landmarks.length, 68);
  assert.equal(face.file, "a, b.png");
  const [head, row, ...others] = (await downloaded(page, "#csv")).toString().trim().split("\n");
  assert.ok(head.includes("left_lip_corner_pull") && head.startsWith("file,face,x,y"));
  assert.ok(row.startsWith('"a, b.png",0,') && others.length === 0);
  assert.equal((await downloaded(page, "#png")).subarray(1, 4).toString(), "PNG");
}

async function photos(name, size) {
  const { page, wrong, paint, bytes } = await opened(size);
  await accessible(page, `${name}, empty`);
  const word = await drop(page, ["a, b.png"]);
  await page.waitForSelector("#chain .sentence");
  const others = await accessible(page, name);
  assert.match(await page.locator("#label").textContent(), /Happiness/);
  assert.match(await page.locator("#trust").textContent(), /Confidence [01]\.\d\d/);
  assert.equal(await page.locator("#chain strong").count(), 3);
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  await linked(page);
  await page.locator("#chain .sentence[data-units]").first().hover();
  await page.screenshot({ path: `${shots}/${name}_lit.png`, fullPage: true });
  await files(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, "nothing is wider than the window");
  await drop(page, ["second.png", "third.png"]);
  await page.waitForFunction(() => document.querySelectorAll("#strip li").length === 3);
  await page.locator("#strip button").first().click();
  const total = await bytes();
  assert.ok(total > 10_000 && total < 300_000, `${total} bytes`);
  assert.deepEqual(wrong, []);
  await page.context().close();
  console.log(`${name}: first paint ${paint.toFixed(0)} ms, photo to first word ${word.toFixed(0)} ms, ${total} bytes, axe: ${others.join(", ") || "nothing"}`);
}

/** Numbers that are shown of a still face, and how often they change. */
async function live(name, size) {
  const { page, wrong } = await opened(size);
  await page.click("#camera");
  await page.waitForSelector("#units li");
  await page.waitForTimeout(2000);
  const seen = await page.evaluate(async () => {
    const shown = () => [...document.querySelectorAll("#units li")].map((row) => [row.dataset.name, row.children[1].textContent]);
    const changes = { rows: 0, numbers: 0, most: 0, label: 0 };
    let [before, label] = [shown(), document.getElementById("label").textContent];
    const count = before.length, start = performance.now();
    while (performance.now() - start < 5000) {
      await new Promise((done) => setTimeout(done, 50));
      const now = shown();
      const same = now.map(([name]) => name).join() === before.map(([name]) => name).join();
      changes.rows += !same;
      if (same) now.forEach(([, text], at) => {
        const change = Math.abs(text - before[at][1]);
        changes.numbers += change > 0;
        changes.most = Math.max(changes.most, change);
      });
      changes.label += document.getElementById("label").textContent !== label;
      [before, label] = [now, document.getElementById("label").textContent];
    }
    return { count, ...changes, rate: document.getElementById("rate").textContent };
  });
  assert.ok(seen.count > 0 && seen.label === 0, JSON.stringify(seen));
  await accessible(page, "camera");
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  const rows = JSON.parse(await downloaded(page, "#json"));
  assert.ok(rows.length > 5 && rows.every((row) => row.time >= 0));
  await page.click("#explain");
  await page.waitForSelector("#chain .sentence");
  assert.equal(await page.locator("#camera").getAttribute("aria-pressed"), "false");
  assert.deepEqual(wrong, []);
  await page.context().close();
  console.log(`camera: ${seen.rate}; of ${seen.count} units in 5 s: numbers changed ${seen.numbers} times by at most ${seen.most.toFixed(2)}, the list ${seen.rows} times, the label ${seen.label} times`);
}

/** A clip, which the browser itself makes of the photo: two seconds in which it moves a little. */
function dropClip(page, name) {
  return page.evaluate(async ([picture, name]) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const photo = await createImageBitmap(new Blob([bytes]));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [photo.width, photo.height];
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const start = performance.now();
    const timer = setInterval(() => canvas.getContext("2d").drawImage(photo, 8 * Math.sin((performance.now() - start) / 200), 0), 40);
    recorder.start();
    await new Promise((done) => setTimeout(done, 2000));
    clearInterval(timer);
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(parts, name, { type: "video/webm" }));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, [picture, name]);
}

async function clip(name, size) {
  const { page, wrong } = await opened(size);
  await dropClip(page, "talk.webm");
  await page.waitForSelector("#units li");
  await page.waitForFunction(() => document.getElementById("video").ended);
  await accessible(page, "clip");
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  const rows = JSON.parse(await downloaded(page, "#json"));
  const times = [...new Set(rows.map((row) => row.time))];
  assert.ok(times.length > 3 && times.every((time) => time >= 0 && time < 5), `frames at ${times}`);
  assert.ok(rows.every((row) => row.file === "talk.webm"));
  assert.deepEqual(wrong, []);
  await page.context().close();
  console.log(`clip: ${times.length} frames of two seconds read`);
}

/** A server that wants a token: the page asks for it and goes on with the photo. */
async function token(name, size) {
  const { page, wrong } = await opened(size, locked);
  const word = drop(page, ["photo.png"]);
  await page.waitForSelector("#key:not([hidden])");
  await accessible(page, "token");
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  const say = async (token) => {
    await page.fill("#token", token);
    await Promise.all([page.waitForResponse((response) => response.url().includes("/api/")), page.keyboard.press("Enter")]);
  };
  await say("another");
  await page.waitForSelector("#key:not([hidden])");
  await say("open-sesame");
  await page.waitForSelector("#chain .sentence");
  await word;
  assert.ok(wrong.length === 2 && wrong.every((text) => text.includes("401")), wrong.join());
  await page.context().close();
  console.log("token: asked for twice, then the photo was read");
}

const desk = { width: 1280, height: 900 }, phone = { width: 390, height: 844 };
await photos("desk_light", { ...desk, colorScheme: "light" });
await photos("desk_dark", { ...desk, colorScheme: "dark" });
await photos("phone_light", { ...phone, colorScheme: "light" });
await photos("phone_dark", { ...phone, colorScheme: "dark" });
await live("camera_desk", { ...desk, colorScheme: "light" });
await clip("clip_desk", { ...desk, colorScheme: "light" });
await token("token_phone", { ...phone, colorScheme: "light" });
await browser.close();
