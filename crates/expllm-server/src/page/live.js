// The camera or a clip, frame by frame through the server.

import { readUnits } from "/server.js";

/** Milliseconds between frames. */
const PERIOD = 100;
/** Frames on their way at a time. */
const AT_A_TIME = 2;
/** Widest frame that is sent, in pixels. */
const WIDEST = 480;
/** Seconds in which numbers and places follow. */
const FOLLOW = { numbers: 0.35, places: 0.08 };
/** A number that is shown changes when it is off by this much. */
const STEP = 0.02;
/** Intensity above which a unit is listed, and below which it is listed no longer. */
const LISTED = { from: 0.2, until: 0.14 };
/** By how much another expression must be likelier to be named instead. */
const LIKELIER = 0.1;

/** Sends the frames of a playing video, and tells smoothed faces: `hear({picture, faces, time, rate})`. */
export class Live {
  constructor(video, hear, fail) {
    Object.assign(this, { video, hear, fail, people: [], flying: 0, sent: 0, shown: -1, times: [] });
    this.leaving = new AbortController();
    this.timer = setInterval(() => this.tick(), PERIOD);
  }

  stop() {
    clearInterval(this.timer);
    this.leaving.abort();
  }

  async tick() {
    const { video } = this;
    if (this.flying >= AT_A_TIME || video.paused || video.ended || video.readyState < 2) return;
    this.flying += 1;
    const number = this.sent++, time = video.currentTime;
    try {
      const picture = frame(video, WIDEST);
      const blob = await picture.convertToBlob({ type: "image/jpeg", quality: 0.85 });
      const faces = await readUnits(blob, this.leaving.signal);
      // An older frame that comes later would make the picture jump back.
      if (number > this.shown) this.take(picture, faces, time, number);
    } catch (error) {
      // A busy server gets the next frame.
      if (!this.leaving.signal.aborted && error.status !== 429) this.fail(error);
    } finally {
      this.flying -= 1;
    }
  }

  take(picture, faces, time, number) {
    this.shown = number;
    const now = performance.now();
    this.times = [...this.times.filter((then) => now - then < 2000), now];
    const span = now - this.times[0];
    const rate = span > 0 ? (this.times.length - 1) / span * 1000 : 0;
    this.people = follow(this.people, faces, now);
    this.hear({ picture, faces: this.people, raw: faces, time, rate });
  }
}

/** The present frame of a video, at most so wide. */
export function frame(video, widest) {
  const scale = Math.min(1, widest / video.videoWidth);
  const picture = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
  return picture;
}

/** Faces of a frame, each led on from the one at its place in the frame before. */
export function follow(before, faces, now) {
  const left = [...before];
  return faces.map((face) => {
    const at = left.map((other) => overlap(other.box, face.box)).reduce((best, share, at, all) => (share > (all[best] ?? 0.2) ? at : best), -1);
    const [last] = at < 0 ? [] : left.splice(at, 1);
    return last ? led(last, face, (now - last.now) / 1000, now) : { ...face, now, ...fresh(face) };
  });
}

function fresh(face) {
  const listed = Object.entries(face.action_units).filter(([, value]) => value >= LISTED.from);
  return { smooth: { ...face.action_units }, chances: { ...face.probabilities }, listed: listed.map(([name]) => name) };
}

function led(last, face, seconds, now) {
  const share = (follow) => 1 - Math.exp(-seconds / follow);
  const [numbers, places] = [share(FOLLOW.numbers), share(FOLLOW.places)];
  const toward = (from, to, share) => from + share * (to - from);
  const smoothed = (from, to) => Object.fromEntries(Object.entries(to).map(([name, value]) => [name, toward(from[name] ?? value, value, numbers)]));
  const smooth = smoothed(last.smooth, face.action_units), chances = smoothed(last.chances, face.probabilities || {});
  const keep = (shown, values) => Object.fromEntries(Object.entries(values).map(([name, value]) =>
    [name, Math.abs(value - (shown?.[name] ?? -1)) < STEP ? shown[name] : value]));
  const stays = last.listed.filter((name) => smooth[name] >= LISTED.until);
  const comes = Object.keys(smooth).filter((name) => smooth[name] >= LISTED.from && !stays.includes(name));
  const likeliest = Object.keys(chances).reduce((a, b) => (chances[b] > chances[a] ? b : a), last.expression);
  const changes = chances[likeliest] > chances[last.expression] + LIKELIER;
  return {
    ...face, now, smooth, chances, listed: [...stays, ...comes],
    expression: changes ? likeliest : last.expression,
    action_units: keep(last.action_units, smooth), probabilities: keep(last.probabilities, chances),
    confidence: keep(last, { confidence: toward(last.confidence, face.confidence, numbers) }).confidence,
    box: { ...face.box, ...Object.fromEntries(["x", "y", "width", "height"].map((side) => [side, toward(last.box[side], face.box[side], places)])) },
    landmarks: face.landmarks.map((point, at) => point.map((value, axis) => toward(last.landmarks[at]?.[axis] ?? value, value, places))),
  };
}

/** The common area of two boxes as a share of both. */
function overlap(a, b) {
  const common = (low, size) => Math.max(0, Math.min(a[low] + a[size], b[low] + b[size]) - Math.max(a[low], b[low]));
  const both = common("x", "width") * common("y", "height");
  return both / (a.width * a.height + b.width * b.height - both);
}
