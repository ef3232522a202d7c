//! A z-buffer rasteriser with four samples per pixel.

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
        let x = (u.max(0.0) as usize).min(self.width - 1);
        let y = (v.max(0.0) as usize).min(self.height - 1);
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
        let side = self.side as f32;
        // Sample centres lie at halves.
        let low = |p: f32, q: f32, r: f32| (p.min(q).min(r) - 0.5).ceil().max(0.0) as usize;
        let high = |p: f32, q: f32, r: f32| (p.max(q).max(r) - 0.5).floor().min(side - 1.0);
        let (x0, x1) = (low(a.x, b.x, c.x), high(a.x, b.x, c.x));
        let (y0, y1) = (low(a.y, b.y, c.y), high(a.y, b.y, c.y));
        if x1 < x0 as f32 || y1 < y0 as f32 {
            return;
        }
        let (x1, y1) = (x1 as usize, y1 as usize);
        let inv = 1.0 / area;
        // Barycentric weights of b and c and their steps along x and y.
        let (wbx, wby) = ((c.y - a.y) * inv, -(c.x - a.x) * inv);
        let (wcx, wcy) = (-(b.y - a.y) * inv, (b.x - a.x) * inv);
        for y in y0..=y1 {
            let dy = y as f32 + 0.5 - a.y;
            for x in x0..=x1 {
                let dx = x as f32 + 0.5 - a.x;
                let wb = dx * wbx + dy * wby;
                let wc = dx * wcx + dy * wcy;
                let wa = 1.0 - wb - wc;
                if wa < 0.0 || wb < 0.0 || wc < 0.0 {
                    continue;
                }
                let z = wa * a.z + wb * b.z + wc * c.z;
                let at = y * self.side + x;
                if z <= self.depth[at] {
                    continue;
                }
                let lerp = |p: f32, q: f32, r: f32| wa * p + wb * q + wc * r;
                let mut colour = [0, 1, 2].map(|i| lerp(a.light[i], b.light[i], c.light[i]));
                if let Some(texture) = pass.texture {
                    let texel = texture.at(lerp(a.u, b.u, c.u), lerp(a.v, b.v, c.v));
                    let gloss = lerp(a.gloss, b.gloss, c.gloss);
                    colour = [0, 1, 2].map(|i| colour[i] * texel[i] + gloss);
                }
                if pass.opacity >= 1.0 {
                    self.depth[at] = z;
                    self.colour[at] = colour;
                } else if self.depth[at] > f32::MIN {
                    let old = self.colour[at];
                    self.colour[at] =
                        [0, 1, 2].map(|i| old[i] + pass.opacity * (colour[i] - old[i]));
                }
            }
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
}
