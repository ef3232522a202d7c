//! Checked reading of a face kit's tensors, and the choice of what is drawn.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use super::facekit::Part;
use super::math::Vec3;

/// Teeth behind this depth are left out.
const MOLARS_CM: f32 = 7.2;

/// Regions of the kit that are drawn; the others are hidden or helper meshes.
const PARTS: [(&str, Part); 9] = [
    ("face", Part::Skin),
    ("head_neck", Part::Skin),
    ("mouth_socket", Part::Mouth),
    ("gums_tongue", Part::Gums),
    ("teeth", Part::Teeth),
    ("eyeballs", Part::Eyeball),
    ("eye_socket", Part::EyeRim),
    ("lacrimal", Part::EyeRim),
    ("eyelashes", Part::Lashes),
];

pub(super) fn json<T: serde::de::DeserializeOwned>(
    text: Option<&String>,
    key: &str,
) -> Result<T, String> {
    let text = text.ok_or_else(|| format!("the header has no {key:?}"))?;
    serde_json::from_str(text).map_err(|e| format!("{key:?} in the header: {e}"))
}

/// A float tensor of the given shape (0 stands for any size up to a million).
pub(super) fn floats(
    file: &SafeTensors<'_>,
    name: &str,
    shape: &[usize],
) -> Result<Vec<f32>, String> {
    let tensor = file.tensor(name).map_err(|e| format!("{name}: {e}"))?;
    let fits = tensor.shape().len() == shape.len()
        && tensor
            .shape()
            .iter()
            .zip(shape)
            .all(|(&found, &wanted)| found == wanted || (wanted == 0 && found > 0));
    if !fits {
        return Err(format!(
            "{name} has shape {:?}, expected {shape:?}",
            tensor.shape()
        ));
    }
    let data = tensor.data();
    let values: Vec<f32> = match tensor.dtype() {
        Dtype::F32 => (data.chunks_exact(4))
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Dtype::F16 => (data.chunks_exact(2))
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        other => return Err(format!("{name} is {other:?}, expected F16 or F32")),
    };
    match values.iter().position(|v| !v.is_finite() || v.abs() > 1e3) {
        Some(at) => Err(format!("{name} holds {} at position {at}", values[at])),
        None => Ok(values),
    }
}

pub(super) fn vertices(flat: &[f32]) -> Vec<Vec3> {
    flat.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
}

/// An `I32` tensor of vertex indices, flattened.
pub(super) fn indices(
    file: &SafeTensors<'_>,
    name: &str,
    count: usize,
) -> Result<Vec<u32>, String> {
    let tensor = file.tensor(name).map_err(|e| format!("{name}: {e}"))?;
    if tensor.dtype() != Dtype::I32 {
        return Err(format!("{name} is {:?}, expected I32", tensor.dtype()));
    }
    if name == "triangles" && (tensor.shape().len() != 2 || tensor.shape()[1] != 3) {
        return Err(format!("{name} has shape {:?}", tensor.shape()));
    }
    tensor
        .data()
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .map(|i| match u32::try_from(i) {
            Ok(v) if (v as usize) < count => Ok(v),
            _ => Err(format!("{name} names vertex {i} of {count}")),
        })
        .collect()
}

pub(super) fn part_of_vertices(
    regions: &BTreeMap<String, [usize; 2]>,
    count: usize,
) -> Result<Vec<Option<Part>>, String> {
    let mut parts = vec![None; count];
    for (name, part) in PARTS {
        let Some(&[from, to]) = regions.get(name) else {
            continue;
        };
        let range = parts
            .get_mut(from..to)
            .ok_or_else(|| format!("region {name} [{from}, {to}] of {count} vertices"))?;
        range.fill(Some(part));
    }
    Ok(parts)
}

/// All vertices of drawn parts but those that cannot be seen: the inner shell of each eyeball
/// (the cornea hides it), molars, and lashes below the height of the corners of the eyes.
pub(super) fn kept_vertices(
    neutral: &[Vec3],
    parts: &[Option<Part>],
    triangles: &[u32],
    eye_corners: f32,
) -> Vec<bool> {
    let shells = connected(neutral.len(), triangles);
    let side = |v: usize| usize::from(neutral[shells[v] as usize][0] > 0.0);
    // Front of each shell and, per side of the face, the front of the outermost one.
    let mut front: BTreeMap<u32, f32> = BTreeMap::new();
    let mut outer = [f32::MIN; 2];
    for v in (0..neutral.len()).filter(|&v| parts[v] == Some(Part::Eyeball)) {
        let z = front.entry(shells[v]).or_insert(f32::MIN);
        *z = z.max(neutral[v][2]);
        outer[side(v)] = outer[side(v)].max(neutral[v][2]);
    }
    (0..neutral.len())
        .map(|v| match parts[v] {
            Some(Part::Eyeball) => front[&shells[v]] >= outer[side(v)],
            Some(Part::Lashes) => neutral[v][1] > eye_corners,
            Some(Part::Teeth) => neutral[v][2] > MOLARS_CM,
            Some(_) => true,
            None => false,
        })
        .collect()
}

/// For each vertex, the smallest vertex connected to it.
fn connected(count: usize, triangles: &[u32]) -> Vec<u32> {
    let mut root: Vec<u32> = (0..count as u32).collect();
    let find = |root: &mut Vec<u32>, mut v: u32| {
        while root[v as usize] != v {
            root[v as usize] = root[root[v as usize] as usize];
            v = root[v as usize];
        }
        v
    };
    for t in triangles.chunks_exact(3) {
        for pair in [[t[0], t[1]], [t[1], t[2]]] {
            let (a, b) = (find(&mut root, pair[0]), find(&mut root, pair[1]));
            root[a.max(b) as usize] = a.min(b);
        }
    }
    (0..count as u32).map(|v| find(&mut root, v)).collect()
}
