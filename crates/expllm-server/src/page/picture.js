// The picture with what was found in it.

// Parts of the face by landmarks (68 points, 36 to 41 are the right eye of the person): ends of runs of points,
// or more than two single points.
const REGIONS = [
  [/brow/, { left: [22, 26], right: [17, 21] }],
  [/eye|lid/, { left: [42, 47], right: [36, 41] }],
  [/nose/, { both: [27, 35] }],
  [/cheek/, { left: [12, 15, 45, 35], right: [1, 4, 36, 31] }],
  [/jaw|chin/, { both: [5, 11] }],
  [/lip|dimple/, { left: [51, 52, 53, 54, 55, 62, 63, 64, 65], right: [48, 49, 50, 51, 57, 58, 59, 60, 61], both: [48, 59] }],
];

/** Draws a picture with its faces; `shown` is the chosen one, `lit` are units whose places light up. */
export function draw(canvas, { picture, faces, shown, lit }) {
  const scale = Math.min(1, 1600 / picture.width);
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  pen.scale(scale, scale);
  faces.forEach((face, at) => outline(pen, face, at === shown));
  const face = faces[shown];
  if (!face) return;
  for (const unit of lit) places(face, unit).forEach((place) => glow(pen, place, face));
}

/** The units whose places hold a point of the canvas. */
export function unitsAt(canvas, { picture, faces, shown }, { clientX, clientY }, units) {
  const frame = canvas.getBoundingClientRect(), face = faces[shown];
  if (!face || !frame.width) return [];
  const x = (clientX - frame.left) / frame.width * picture.width;
  const y = (clientY - frame.top) / frame.height * picture.height;
  const holds = ({ middle, radius }) => ((x - middle[0]) / radius[0]) ** 2 + ((y - middle[1]) / radius[1]) ** 2 <= 1;
  return units.filter((unit) => places(face, unit).some(holds));
}

/** The ellipses on a face that a unit moves. */
function places(face, unit) {
  const region = REGIONS.find(([pattern]) => pattern.test(unit));
  if (!region || !(face.landmarks || []).length) return [];
  const side = unit.startsWith("left") ? "left" : unit.startsWith("right") ? "right" : "both";
  const sides = region[1][side] ? [region[1][side]] : Object.values(region[1]);
  return sides.map((ends) => {
    const picked = ends.length === 2 ? face.landmarks.slice(ends[0], ends[1] + 1) : ends.map((i) => face.landmarks[i]);
    const [xs, ys] = [0, 1].map((axis) => picked.map((point) => point[axis]));
    const pad = face.box.width * 0.06;
    const around = (values) => [(Math.min(...values) + Math.max(...values)) / 2, (Math.max(...values) - Math.min(...values)) / 2 + pad];
    const [[x, width], [y, height]] = [around(xs), around(ys)];
    return { middle: [x, y], radius: [width, height] };
  });
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

function glow(pen, { middle, radius }, face) {
  pen.beginPath();
  pen.ellipse(...middle, ...radius, 0, 0, 7);
  pen.fillStyle = "rgba(255,170,60,.35)";
  pen.strokeStyle = "rgba(255,170,60,.95)";
  pen.lineWidth = Math.max(1, face.box.width / 90);
  pen.fill();
  pen.stroke();
}
