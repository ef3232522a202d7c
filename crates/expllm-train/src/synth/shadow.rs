//! What a light or the open sky can see of a head.

use super::facekit::{FaceKit, Part};
use super::math::{Vec3, cross, dot, normalize};

/// Directions over the sphere from which openness is measured.
const DIRECTIONS: usize = 72;

/// Nearest surface of a head as seen from far away in one direction.
pub(crate) struct DepthMap {
    /// Right, up and towards the viewer.
    axes: [Vec3; 3],
    low: [f32; 2],
    /// Cells per centimetre.
    scale: f32,
    side: usize,
    depth: Vec<f32>,
}

impl DepthMap {
    /// Looks at triangles from a direction on a map of `side * side` cells.
    pub fn new<'a>(
        direction: Vec3,
        positions: &[Vec3],
        meshes: impl Iterator<Item = &'a [[u32; 3]]>,
        side: usize,
    ) -> Self {
        let forward = normalize(direction);
        let helper = if forward[1].abs() > 0.9 {
            [1.0, 0.0, 0.0]
        } else {
            [0.0, 1.0, 0.0]
        };
        let right = normalize(cross(helper, forward));
        let axes = [right, cross(forward, right), forward];
        let seen: Vec<Vec3> = positions.iter().map(|&p| axes.map(|a| dot(a, p))).collect();
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for p in &seen {
            low = [low[0].min(p[0]), low[1].min(p[1])];
            high = [high[0].max(p[0]), high[1].max(p[1])];
        }
        let extent = (high[0] - low[0]).max(high[1] - low[1]).max(1e-3);
        let mut map = Self {
            axes,
            low,
            scale: (side - 1) as f32 / extent,
            side,
            depth: vec![f32::MIN; side * side],
        };
        for triangles in meshes {
            for t in triangles {
                map.splat(t.map(|v| seen[v as usize]));
            }
        }
        map
    }

    /// Keeps the nearest depth in every cell whose centre the triangle covers.
    fn splat(&mut self, corners: [Vec3; 3]) {
        let [a, b, c] = corners.map(|p| {
            let cell = |i: usize| (p[i] - self.low[i]) * self.scale;
            [cell(0), cell(1), p[2]]
        });
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
        // Triangles that face away lie behind others that do not.
        if area < 1e-6 {
            return;
        }
        let inv = 1.0 / area;
        let range = |i: usize| {
            let clip = |c: f32| (c + 0.5).clamp(0.0, self.side as f32) as i32 as usize;
            let (p, q, r) = (a[i], b[i], c[i]);
            clip(p.min(q).min(r))..clip(p.max(q).max(r))
        };
        let (columns, rows) = (range(0), range(1));
        let (wbx, wby) = ((c[1] - a[1]) * inv, -(c[0] - a[0]) * inv);
        let (wcx, wcy) = (-(b[1] - a[1]) * inv, (b[0] - a[0]) * inv);
        for y in rows {
            let dy = y as f32 + 0.5 - a[1];
            for x in columns.clone() {
                let dx = x as f32 + 0.5 - a[0];
                let (wb, wc) = (dx * wbx + dy * wby, dx * wcx + dy * wcy);
                if wb >= 0.0 && wc >= 0.0 && wb + wc <= 1.0 {
                    let z = a[2] + wb * (b[2] - a[2]) + wc * (c[2] - a[2]);
                    let cell = &mut self.depth[y * self.side + x];
                    *cell = cell.max(z);
                }
            }
        }
    }

    /// Share of the cells around a point from which the point is not hidden by more than
    /// `bias` centimetres.
    pub fn visible(&self, p: Vec3, bias: f32) -> f32 {
        let at = self.axes.map(|a| dot(a, p));
        // Cell centres lie at halves.
        let cell = |i: usize| ((at[i] - self.low[i]) * self.scale - 0.5).max(0.0) as i32 as usize;
        let (x, y) = (cell(0).min(self.side - 2), cell(1).min(self.side - 2));
        let mut share = 0.0;
        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let over = self.depth[(y + dy) * self.side + x + dx] - at[2];
            // A ramp instead of a step keeps the edge of the shadow soft.
            share += 0.25 * (1.0 - (over - bias) / bias).clamp(0.0, 1.0);
        }
        share
    }
}

/// Meshes that throw shadows.
pub(crate) fn casters(kit: &FaceKit) -> impl Iterator<Item = &[[u32; 3]]> {
    (kit.triangles.iter())
        .filter(|(part, _)| *part == Part::Skin)
        .map(|(_, triangles)| triangles.as_slice())
}

/// For each vertex of the average head, the share of its half-space that is open.
pub(crate) fn openness(kit: &FaceKit, normals: &[Vec3]) -> Vec<f32> {
    let mut open = vec![0.0f32; normals.len()];
    let mut total = vec![1e-6f32; normals.len()];
    for i in 0..DIRECTIONS {
        // Points of a Fibonacci spiral are spread evenly over the sphere.
        let y = 1.0 - 2.0 * (i as f32 + 0.5) / DIRECTIONS as f32;
        let around = i as f32 * 2.399_963;
        let r = (1.0 - y * y).sqrt();
        let direction = [r * around.cos(), y, r * around.sin()];
        let map = DepthMap::new(direction, &kit.neutral, casters(kit), 128);
        for (v, &normal) in normals.iter().enumerate() {
            let facing = dot(normal, direction);
            if facing > 0.0 {
                total[v] += facing;
                open[v] += facing * map.visible(kit.neutral[v], 0.35);
            }
        }
    }
    open.iter()
        .zip(total)
        .map(|(o, t)| (o / t).min(1.0))
        .collect()
}
