//! A z-buffer rasteriser with four samples per pixel.

use std::ops::Range;

use super::math::Vec3;

/// Samples per pixel along each axis.
pub(crate) const SUPER: usize = 2;

/// A projected vertex with what is interpolated over a triangle.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vertex {
    /// Samples from the left edge.
    pub x: f32,
    /// Samples from the top edge.
    pub y: f32,
    /// Nearness: larger is nearer to the camera.
    pub z: f32,
    /// Incoming light, or the finished colour where there is no texture.
    pub light: Vec3,
    /// Reflected highlight, added after the texture.
    pub gloss: f32,
    /// Place in the texture, in texels.
    pub u: f32,
    pub v: f32,
}

/// A square texture of linear colours.
#[derive(Debug, Clone)]
pub(crate) struct Texture {
    pub width: usize,
    pub height: usize,
    pub texels: Vec<Vec3>,
}

impl Texture {
    /// The nearest texel; places outside give the edge.
    fn at(&self, u: f32, v: f32) -> Vec3 {
        // Casts to 32 bits are cheaper than those to 64.
        let x = (u.max(0.0) as i32 as usize).min(self.width - 1);
        let y = (v.max(0.0) as i32 as usize).min(self.height - 1);
        self.texels[y * self.width + x]
    }
}

/// How the triangles of one mesh are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    /// Multiplied with the light when there is one.
    pub texture: Option<&'a Texture>,
    /// 1 is opaque; less lets the colour behind shine through and leaves the depth as it is.
    pub opacity: f32,
}

fn blend(w: [f32; 3], v: [f32; 3]) -> f32 {
    w[0] * v[0] + w[1] * v[1] + w[2] * v[2]
}

/// Colours and depths of a picture that is being drawn.
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    /// Samples along each edge.
    pub side: usize,
    depth: Vec<f32>,
    colour: Vec<Vec3>,
}

impl Canvas {
    /// An empty canvas for a picture of `size` by `size` pixels.
    pub fn new(size: usize) -> Self {
        let side = size * SUPER;
        Self {
            side,
            depth: vec![f32::MIN; side * side],
            colour: vec![[0.0; 3]; side * side],
        }
    }

    /// Draws the triangles that face the camera.
    pub fn draw(&mut self, vertices: &[Vertex], triangles: &[[u32; 3]], pass: Pass<'_>) {
        for triangle in triangles {
            let corners = triangle.map(|v| &vertices[v as usize]);
            self.triangle(corners, pass);
        }
    }

    fn triangle(&mut self, [a, b, c]: [&Vertex; 3], pass: Pass<'_>) {
        // Twice the signed area; the image's y grows downwards, so front faces are negative.
        let area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
        if area >= -1e-6 || !area.is_finite() {
            return;
        }
        let (columns, rows) = (self.span(a.x, b.x, c.x), self.span(a.y, b.y, c.y));
        let inv = 1.0 / area;
        // Barycentric weights of b and c and their steps along x and y.
        let (wbx, wby) = ((c.y - a.y) * inv, -(c.x - a.x) * inv);
        let (wcx, wcy) = (-(b.y - a.y) * inv, (b.x - a.x) * inv);
        for y in rows {
            let dy = y as f32 + 0.5 - a.y;
            let dx = columns.start as f32 + 0.5 - a.x;
            let (mut wb, mut wc) = (dx * wbx + dy * wby, dx * wcx + dy * wcy);
            let row = y * self.side;
            for x in columns.clone() {
                let weights = [1.0 - wb - wc, wb, wc];
                wb += wbx;
                wc += wcx;
                if weights[0] < 0.0 || weights[1] < 0.0 || weights[2] < 0.0 {
                    continue;
                }
                let z = blend(weights, [a.z, b.z, c.z]);
                if z > self.depth[row + x] {
                    self.sample(row + x, z, weights, [a, b, c], pass);
                }
            }
        }
    }

    /// Samples whose centres (at halves) lie between the smallest and largest of three numbers.
    fn span(&self, p: f32, q: f32, r: f32) -> Range<usize> {
        let clip = |c: f32| (c + 0.5).clamp(0.0, self.side as f32) as i32 as usize;
        clip(p.min(q).min(r))..clip(p.max(q).max(r))
    }

    /// Colours one sample that is nearer than what was there.
    fn sample(&mut self, at: usize, z: f32, w: [f32; 3], v: [&Vertex; 3], pass: Pass<'_>) {
        let mix = |f: fn(&Vertex) -> f32| blend(w, v.map(f));
        let mut colour = [
            mix(|v| v.light[0]),
            mix(|v| v.light[1]),
            mix(|v| v.light[2]),
        ];
        if let Some(texture) = pass.texture {
            let texel = texture.at(mix(|v| v.u), mix(|v| v.v));
            let gloss = mix(|v| v.gloss);
            colour = [0, 1, 2].map(|i| colour[i] * texel[i] + gloss);
        }
        if pass.opacity >= 1.0 {
            self.depth[at] = z;
            self.colour[at] = colour;
        } else if self.depth[at] > f32::MIN {
            let old = self.colour[at];
            self.colour[at] = [0, 1, 2].map(|i| old[i] + pass.opacity * (colour[i] - old[i]));
        }
    }

    /// Mean green of the samples that something was drawn on; 0 when nothing was.
    pub fn mean_brightness(&self) -> f32 {
        let drawn = self.depth.iter().zip(&self.colour);
        let (sum, count) = drawn
            .filter(|(depth, _)| **depth > f32::MIN)
            .fold((0.0f32, 0u32), |(sum, n), (_, c)| (sum + c[1], n + 1));
        sum / count.max(1) as f32
    }

    /// Averages the samples of each pixel over a background of `size * size` colours.
    pub fn resolve(&self, background: &mut [Vec3]) {
        let size = self.side / SUPER;
        let share = 1.0 / (SUPER * SUPER) as f32;
        for (pixel, out) in background.iter_mut().enumerate() {
            let (x, y) = (pixel % size * SUPER, pixel / size * SUPER);
            let (mut sum, mut empty) = ([0.0f32; 3], 0.0f32);
            for dy in 0..SUPER {
                for dx in 0..SUPER {
                    let at = (y + dy) * self.side + x + dx;
                    if self.depth[at] > f32::MIN {
                        let c = self.colour[at];
                        sum = [sum[0] + c[0], sum[1] + c[1], sum[2] + c[2]];
                    } else {
                        empty += 1.0;
                    }
                }
            }
            *out = [0, 1, 2].map(|i| (sum[i] + empty * out[i]) * share);
        }
    }

    /// The share of each pixel that something opaque was drawn on.
    pub fn cover(&self) -> Vec<f32> {
        let size = self.side / SUPER;
        let mut cover = vec![0.0; size * size];
        for (at, _) in (0..).zip(&self.depth).filter(|(_, d)| **d > f32::MIN) {
            let (x, y) = (at % self.side / SUPER, at / self.side / SUPER);
            cover[y * size + x] += 1.0 / (SUPER * SUPER) as f32;
        }
        cover
    }
}
