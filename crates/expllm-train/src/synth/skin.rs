//! Painting of the skin texture: tone, blotches, lips, brows, beard, hair and wrinkles.

use super::appearance::Appearance;
use super::atlas::{Atlas, HEIGHT, Place, WIDTH, place_of, texel_of};
use super::cover::Cover;
use super::math::{Vec3, mix, scale, smoothstep};
use super::noise::NoiseTile;
use super::raster::Texture;

/// Radians around the head per centimetre of the unrolled face.
const ANGLE_PER_CM: f32 = 1.0 / 10.5;

/// Below this height no hair grows on the unrolled face (beards aside).
const LOWEST_HAIR_CM: f32 = 1.6;

/// Paints the face of a person; wrinkles come on top.
pub(crate) fn paint(atlas: &Atlas, noise: &NoiseTile, person: &Appearance) -> Texture {
    let (ox, oy) = person.noise_offset;
    let mut texels = vec![[0.0; 3]; WIDTH * HEIGHT];
    let beard_colour = mix(person.skin, scale(person.hair.colour, 0.8), 0.85);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let at = y * WIDTH + x;
            let (fx, fy) = (x as f32, y as f32);
            let broad = noise.at(fx * 0.5 + ox, fy * 0.5 + oy);
            let fine = noise.at(fx * 3.1 + oy, fy * 3.1 + ox);
            let mut c = scale(person.skin, 1.0 + person.blotches * (broad + 0.6 * fine));
            let red = person.redness * atlas.red[at] * (1.0 + broad);
            c = [
                c[0] * (1.0 + 0.3 * red),
                c[1] * (1.0 - 0.5 * red),
                c[2] * (1.0 - 0.45 * red),
            ];
            if person.freckles > 0.0 {
                let spot = noise.at(fx * 2.3 + 77.0, fy * 2.3 + ox);
                let spots = smoothstep(0.35, 0.5, spot) * person.freckles * atlas.red[at].min(1.0);
                c = mix(c, [c[0] * 0.55, c[1] * 0.4, c[2] * 0.3], spots);
            }
            let hairs = 0.5 + 0.5 * fine;
            let stubble =
                (person.beard * atlas.beard[at] + person.moustache * atlas.moustache[at]).min(1.0);
            if stubble > 0.0 {
                let cover = (stubble * (0.55 + 0.6 * hairs)).min(1.0);
                c = mix(c, scale(beard_colour, 0.6 + 0.8 * hairs), cover);
            }
            let lips = atlas.lips[at] * person.lip_strength;
            c = mix(c, scale(person.lips, 1.0 + 0.15 * fine), lips);
            texels[at] = c;
        }
    }
    let mut texture = Texture {
        width: WIDTH,
        height: HEIGHT,
        texels,
    };
    paint_eye_shadow(&mut texture, atlas, person);
    for side in [17..22, 22..27] {
        paint_brow(&mut texture, noise, person, &atlas.landmarks[side]);
    }
    paint_cover(&mut texture, noise, person);
    texture
}

/// The texels around a place, as ranges of columns and rows.
fn window(low: Place, high: Place) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let (u0, v0) = texel_of((low.0, high.1));
    let (u1, v1) = texel_of((high.0, low.1));
    let clip = |c: f32, most: usize| (c.max(0.0) as usize).min(most);
    (
        clip(u0, WIDTH)..clip(u1 + 1.0, WIDTH),
        clip(v0, HEIGHT)..clip(v1 + 1.0, HEIGHT),
    )
}

/// The box around some places, grown on all sides.
fn around(places: &[Place], grow: f32) -> (Place, Place) {
    let fold = |f: fn(f32, f32) -> f32, start: f32| {
        (places.iter()).fold((start, start), |a, p| (f(a.0, p.0), f(a.1, p.1)))
    };
    let (low, high) = (fold(f32::min, f32::MAX), fold(f32::max, f32::MIN));
    ((low.0 - grow, low.1 - grow), (high.0 + grow, high.1 + grow))
}

/// Distance from a polyline and the share of its length at the nearest point.
fn along(line: &[Place], p: Place) -> (f32, f32) {
    let segments = (line.len() - 1).max(1) as f32;
    let mut best = (f32::MAX, 0.0);
    for (i, pair) in line.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = (dx * dx + dy * dy).max(1e-9);
        let t = (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0);
        let (ex, ey) = (p.0 - a.0 - t * dx, p.1 - a.1 - t * dy);
        let d = ex * ex + ey * ey;
        if d < best.0 {
            best = (d, (i as f32 + t) / segments);
        }
    }
    (best.0.sqrt(), best.1)
}

/// Darkens (or, with a negative strength, lightens) the skin along a line.
pub(crate) fn stroke(texture: &mut Texture, line: &[Place], width: f32, strength: f32) {
    let (low, high) = around(line, 2.5 * width);
    let (columns, rows) = window(low, high);
    for y in rows {
        for x in columns.clone() {
            let (d, t) = along(line, place_of(x, y));
            if d > 2.5 * width {
                continue;
            }
            // Wrinkles fade out towards their ends.
            let ends = smoothstep(0.0, 0.2, t) * smoothstep(1.0, 0.8, t);
            let dark = strength * (-(d / width).powi(2)).exp() * (0.25 + 0.75 * ends);
            let c = &mut texture.texels[y * texture.width + x];
            *c = [
                c[0] * (1.0 - 0.8 * dark),
                c[1] * (1.0 - dark),
                c[2] * (1.0 - dark),
            ];
        }
    }
}

fn paint_eye_shadow(texture: &mut Texture, atlas: &Atlas, person: &Appearance) {
    let strength = 0.08 + 0.15 * person.age + person.eye_shadow;
    for (lid, under) in [(36..40, [36, 41, 40, 39]), (42..46, [42, 47, 46, 45])] {
        let margin: Vec<Place> = (atlas.landmarks[lid.clone()].iter())
            .map(|p| (p.0, p.1 + 0.05))
            .collect();
        let upper: Vec<Place> = (atlas.landmarks[lid].iter())
            .map(|p| (p.0, p.1 + 0.35))
            .collect();
        stroke(texture, &upper, 0.45, 0.15 + 0.6 * person.eye_shadow);
        // The root of the lashes is a dark line along the lid.
        stroke(texture, &margin, 0.12, 0.35 + 0.6 * person.lashes);
        let lower: Vec<Place> = (under.iter())
            .map(|&i| (atlas.landmarks[i].0, atlas.landmarks[i].1 - 0.6))
            .collect();
        stroke(texture, &lower, 0.4, strength * 0.8);
    }
}

fn paint_cover(texture: &mut Texture, noise: &NoiseTile, person: &Appearance) {
    let cover = Cover::of(person);
    let (ox, oy) = person.noise_offset;
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (s, height) = place_of(x, y);
            if height < LOWEST_HAIR_CM {
                return;
            }
            let ragged = cover.roughness * noise.at(x as f32 * 2.0 + ox, y as f32 * 0.5 + oy);
            let share = cover.share(s * ANGLE_PER_CM, height + ragged);
            if share <= 0.0 {
                continue;
            }
            let strand = cover.roughness * noise.at(x as f32 * 4.0 + oy, y as f32 * 0.35 + ox);
            let c = &mut texture.texels[y * WIDTH + x];
            *c = mix(
                *c,
                scale(cover.colour, 1.0 + 1.4 * strand),
                share * cover.density,
            );
        }
    }
}

fn paint_brow(texture: &mut Texture, noise: &NoiseTile, person: &Appearance, line: &[Place]) {
    let brow = &person.brow;
    let inner = line.iter().map(|p| p.0.abs()).fold(f32::MAX, f32::min);
    let shift = |p: &Place| brow.lift + brow.tilt * smoothstep(3.0, 0.0, p.0.abs() - inner);
    let line: Vec<Place> = line.iter().map(|p| (p.0, p.1 + shift(p))).collect();
    // Landmarks run from the left of the picture; the inner end is last on the right brow.
    let inner_last = line[0].0 < 0.0;
    let (low, high) = around(&line, 1.0);
    let (columns, rows) = window(low, high);
    for y in rows {
        for x in columns.clone() {
            let place = place_of(x, y);
            let (d, t) = along(&line, place);
            let t = if inner_last { 1.0 - t } else { t };
            let height = brow.thickness * (0.85 + 0.3 * t) * smoothstep(1.15, 0.45, t);
            let slant = if inner_last { -1.0 } else { 1.0 };
            let strand = noise.at(
                x as f32 * 5.0 + slant * y as f32 * 4.0 + person.noise_offset.0,
                y as f32 * 1.5 + person.noise_offset.1,
            );
            let edge = height * (1.0 + 0.35 * strand);
            let cover = smoothstep(edge, 0.45 * edge, d)
                * smoothstep(brow.gap - 0.02, brow.gap + 0.1, t + 0.02)
                * brow.density
                * (0.85 + 0.3 * strand);
            let c: &mut Vec3 = &mut texture.texels[y * WIDTH + x];
            *c = mix(*c, brow.colour, cover.clamp(0.0, 1.0));
        }
    }
}
