//! Properties of the renderer, on a tiny kit everywhere and on the real one where it is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use expllm_core::{ActionUnit, AuVector, Intensity, Side};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

use super::math::Vec3;
use super::*;

/// Bytes and shapes of a kit file under construction.
pub(super) struct TinyKit {
    pub tensors: HashMap<&'static str, (Dtype, Vec<usize>, Vec<u8>)>,
    pub metadata: HashMap<String, String>,
}

const TINY_ROWS: usize = 12;
const TINY_COLUMNS: usize = 16;
const TINY_VERTICES: usize = TINY_ROWS * TINY_COLUMNS;

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn i32_bytes(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

impl TinyKit {
    /// The front of an ellipsoid with all shapes that the units need.
    pub fn new() -> Self {
        let mut names: Vec<&str> = ActionUnit::ALL
            .into_iter()
            .flat_map(|unit| shapes_of(unit).iter().map(|(name, _)| *name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut neutral = Vec::new();
        for row in 0..TINY_ROWS {
            for column in 0..TINY_COLUMNS {
                let angle = (column as f32 / (TINY_COLUMNS - 1) as f32 - 0.5) * 3.0;
                let height = (row as f32 / (TINY_ROWS - 1) as f32 - 0.5) * 2.6;
                let around = height.cos();
                neutral.extend([
                    8.0 * angle.sin() * around,
                    11.0 * height.sin(),
                    9.0 * angle.cos() * around,
                ]);
            }
        }
        let mut triangles = Vec::new();
        for row in 0..TINY_ROWS as i32 - 1 {
            for column in 0..TINY_COLUMNS as i32 - 1 {
                let a = row * TINY_COLUMNS as i32 + column;
                let b = a + TINY_COLUMNS as i32;
                triangles.extend([a, a + 1, b + 1, a, b + 1, b]);
            }
        }
        let landmarks: Vec<i32> = (0..68).map(|i| 20 + 2 * i).collect();
        let shape = |seed: usize| {
            (0..3 * TINY_VERTICES).map(move |i| 0.2 * ((i * 7 + seed * 13) as f32).sin())
        };
        let expression: Vec<f32> = (0..names.len()).flat_map(shape).collect();
        let identity: Vec<f32> = (100..104).flat_map(shape).collect();
        let count = TINY_VERTICES;
        let tensors = HashMap::from([
            ("neutral", (Dtype::F32, vec![count, 3], f32_bytes(&neutral))),
            (
                "triangles",
                (
                    Dtype::I32,
                    vec![triangles.len() / 3, 3],
                    i32_bytes(&triangles),
                ),
            ),
            ("landmark68", (Dtype::I32, vec![68], i32_bytes(&landmarks))),
            (
                "expression",
                (
                    Dtype::F32,
                    vec![names.len(), count, 3],
                    f32_bytes(&expression),
                ),
            ),
            (
                "identity",
                (Dtype::F32, vec![4, count, 3], f32_bytes(&identity)),
            ),
        ]);
        let metadata = HashMap::from([
            (
                "expression_names".to_owned(),
                serde_json::to_string(&names).unwrap(),
            ),
            ("regions".to_owned(), format!("{{\"face\": [0, {count}]}}")),
        ]);
        Self { tensors, metadata }
    }

    fn write(&self, dir: &Path) -> PathBuf {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (
                *name,
                TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
            )
        });
        let file = safetensors::serialize(views, Some(self.metadata.clone())).unwrap();
        let path = dir.join("kit.safetensors");
        std::fs::write(&path, file).unwrap();
        path
    }

    pub fn read(&self) -> Result<FaceKit, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        FaceKit::read(self.write(dir.path()))
    }
}

pub(super) fn tiny() -> FaceSynthesizer {
    FaceSynthesizer::new(TinyKit::new().read().unwrap(), SynthConfig { size: 48 }).unwrap()
}

/// The real kit, or a note that the test was skipped.
fn real() -> Option<FaceKit> {
    let path = expllm_testing::shared("data/ict_facekit.safetensors")?;
    Some(FaceKit::read(path).unwrap())
}

fn only(unit: ActionUnit) -> AuVector {
    let mut units = AuVector::default();
    units.set(unit, Intensity::ONE);
    units
}

#[test]
fn equal_seeds_give_equal_faces() {
    let faces = tiny();
    let (a, b) = (faces.render(7), faces.clone().render(7));
    assert_eq!(a.photo, b.photo);
    assert_eq!(a.landmarks, b.landmarks);
    assert_eq!(a.action_units, b.action_units);
    assert_ne!(a.photo, faces.render(8).photo);
    let same_person = faces.render_with_identity(a.identity, 7);
    assert_eq!(same_person.photo, a.photo);
}

#[test]
fn labels_stay_in_range_and_points_inside_the_photo() {
    let faces = tiny();
    for seed in 0..60 {
        let face = faces.render(seed);
        assert_eq!((face.photo.width(), face.photo.height()), (48, 48));
        for value in face.action_units.values() {
            assert!((0.0..=1.0).contains(&value));
        }
        for (i, p) in face.landmarks.points.iter().enumerate().skip(17) {
            let inside = |c: f32| (0.0..=48.0).contains(&c);
            assert!(inside(p.x) && inside(p.y), "seed {seed} point {i}: {p:?}");
        }
    }
}

#[test]
fn sampling_covers_every_unit_and_neutral_faces() {
    let mut draw = Draw::new(3);
    let actions: Vec<AuVector> = (0..4000).map(|_| Action::sample(&mut draw).units).collect();
    let share = |f: &dyn Fn(&AuVector) -> bool| {
        actions.iter().filter(|units| f(units)).count() as f32 / actions.len() as f32
    };
    for unit in ActionUnit::ALL {
        assert!(
            share(&|units| units[unit].get() > 0.2) > 0.04,
            "{unit} is rare"
        );
        assert!(
            share(&|units| units[unit].get() > 0.7) > 0.004,
            "{unit} is never strong"
        );
        assert!(
            share(&|units| units[unit].get() == 0.0) > 0.4,
            "{unit} is always on"
        );
    }
    assert!(share(&|units| units.values().iter().all(|&v| v == 0.0)) > 0.05);
    let one_sided = share(&|units| {
        (ActionUnit::ALL.into_iter()).any(|u| {
            u.side() == Side::Left && units[u].get() > 0.3 && units[u.mirrored()].get() == 0.0
        })
    });
    assert!(one_sided > 0.05, "{one_sided}");
}

#[test]
fn no_movement_means_zero_weights() {
    let map = BlendshapeMap::new(&TinyKit::new().read().unwrap()).unwrap();
    assert!(
        map.weights(&AuVector::default(), &[])
            .iter()
            .all(|&w| w == 0.0)
    );
    for unit in ActionUnit::ALL {
        assert!(
            map.weights(&only(unit), &[]).iter().any(|&w| w > 0.5),
            "{unit}"
        );
    }
}

proptest! {
    #[test]
    fn mirrored_units_give_mirrored_weights(values in proptest::array::uniform24(0.0f32..1.0)) {
        let kit = TinyKit::new().read().unwrap();
        let map = BlendshapeMap::new(&kit).unwrap();
        let units = AuVector::from_feafa_clamped(values);
        let straight = map.weights(&units, &[]);
        let mirrored = map.weights(&units.mirrored(), &[]);
        for (shape, name) in kit.expression_names().iter().enumerate() {
            let other = if let Some(stem) = name.strip_suffix("_L") {
                format!("{stem}_R")
            } else if let Some(stem) = name.strip_suffix("_R") {
                format!("{stem}_L")
            } else if let Some(stem) = name.strip_suffix("Left") {
                format!("{stem}Right")
            } else if let Some(stem) = name.strip_suffix("Right") {
                format!("{stem}Left")
            } else {
                name.clone()
            };
            let other = kit.expression_names().iter().position(|n| *n == other).unwrap();
            prop_assert!((straight[shape] - mirrored[other]).abs() < 1e-6, "{}", name);
        }
    }

    #[test]
    fn rotations_keep_lengths_and_follow_the_sign_convention(
        pitch in 1.0f32..40.0, yaw in 1.0f32..60.0, roll in 1.0f32..40.0,
    ) {
        use expllm_core::{Degrees, HeadPose};
        let pose = |p, y, r| HeadPose { pitch: Degrees(p), yaw: Degrees(y), roll: Degrees(r) };
        let nose = |p, y, r| camera::rotation(pose(p, y, r)).apply([0.0, 0.0, 1.0]);
        // Up is positive pitch, the right of the photo positive yaw.
        prop_assert!((nose(pitch, 0.0, 0.0)[1] - pitch.to_radians().sin()).abs() < 1e-5);
        prop_assert!((nose(0.0, yaw, 0.0)[0] - yaw.to_radians().sin()).abs() < 1e-5);
        // A clockwise tilt moves the top of the head to the right of the photo.
        let top = camera::rotation(pose(0.0, 0.0, roll)).apply([0.0, 1.0, 0.0]);
        prop_assert!((top[0] - roll.to_radians().sin()).abs() < 1e-5);
        let any = camera::rotation(pose(pitch, yaw, roll)).apply([0.3, -2.0, 1.0]);
        prop_assert!((math::dot(any, any) - 5.09).abs() < 1e-3);
    }
}

#[test]
fn left_units_move_the_right_of_a_frontal_photo() {
    let Some(kit) = real() else { return };
    let map = BlendshapeMap::new(&kit).unwrap();
    let marks = |units: &AuVector| -> Vec<Vec3> {
        let mut positions = kit.neutral.clone();
        head::express(&mut positions, &kit, &map.weights(units, &[]));
        kit.landmarks
            .iter()
            .map(|&v| positions[v as usize])
            .collect()
    };
    let rest = marks(&AuVector::default());
    let lift = |units: &AuVector, points: std::ops::Range<usize>| -> f32 {
        let moved = marks(units);
        points
            .clone()
            .map(|i| moved[i][1] - rest[i][1])
            .sum::<f32>()
            / points.len() as f32
    };
    // x grows to the right of a frontal photo, where landmarks 22 to 26 and 42 to 47 lie.
    assert!(rest[24][0] > 0.0 && rest[44][0] > 0.0 && rest[54][0] > 0.0);
    let left = only(ActionUnit::LeftBrowRaise);
    assert!(lift(&left, 22..27) > 0.3 && lift(&left, 17..22).abs() < 0.1);
    assert!(lift(&only(ActionUnit::LeftBrowLower), 22..27) < -0.1);
    assert!(lift(&only(ActionUnit::LeftEyeClose), 43..45) < -0.5);
    assert!(lift(&only(ActionUnit::LeftEyeClose), 37..39).abs() < 0.05);
    assert!(lift(&only(ActionUnit::LeftLidRaise), 43..45) > 0.2);
    let corner = marks(&only(ActionUnit::LeftLipCornerPull));
    assert!(corner[54][1] - rest[54][1] > 0.7 && (corner[48][1] - rest[48][1]).abs() < 0.1);
    let slide = marks(&only(ActionUnit::JawSlideLeft));
    assert!(slide[8][0] - rest[8][0] > 0.5);
    assert!(lift(&only(ActionUnit::JawDrop), 8..9) < -2.0);
}

#[test]
fn every_unit_of_a_pair_mirrors_the_other_on_the_real_kit() {
    let Some(kit) = real() else { return };
    let map = BlendshapeMap::new(&kit).unwrap();
    let moved = |unit: ActionUnit, i: usize| -> Vec3 {
        let mut positions = kit.neutral.clone();
        head::express(&mut positions, &kit, &map.weights(&only(unit), &[]));
        positions[kit.landmarks[i] as usize]
    };
    // Landmark pairs of brows, eyes and mouth corners across the middle line.
    for (a, b) in [(17, 26), (19, 24), (36, 45), (38, 43), (48, 54)] {
        for unit in ActionUnit::ALL {
            let (p, q) = (moved(unit, a), moved(unit.mirrored(), b));
            let d = math::sub(p, [-q[0], q[1], q[2]]);
            assert!(math::dot(d, d).sqrt() < 0.12, "{unit} {a}/{b}: {d:?}");
        }
    }
}

#[test]
fn the_real_kit_renders_a_face_over_most_of_the_photo() {
    let Some(kit) = real() else { return };
    assert!(kit.identity_modes() == 100 && kit.expression_names().len() == 57);
    let faces = FaceSynthesizer::new(kit, SynthConfig::default()).unwrap();
    for seed in 0..20 {
        let face = faces.render(seed);
        let eyes = face.landmarks.eye_distance();
        assert!((10.0..80.0).contains(&eyes), "seed {seed}: {eyes}");
        assert!(face.landmarks.points[8].y > face.landmarks.points[27].y - 10.0);
    }
}

/// The reason that a broken kit is refused with.
fn reason(kit: &TinyKit) -> String {
    match kit.read() {
        Err(error @ TrainError::FaceKit { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn broken_kits_are_refused_with_the_reason() {
    let mut kit = TinyKit::new();
    kit.tensors.remove("identity");
    assert!(reason(&kit).contains("identity"));

    let mut kit = TinyKit::new();
    let neutral = kit.tensors.get_mut("neutral").unwrap();
    neutral.2[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(reason(&kit).contains("neutral holds NaN at position 1"));

    let mut kit = TinyKit::new();
    kit.tensors.get_mut("expression").unwrap().1[0] -= 1;
    let bytes = &mut kit.tensors.get_mut("expression").unwrap().2;
    bytes.truncate(bytes.len() - 12 * TINY_VERTICES);
    assert!(reason(&kit).contains("expression has shape"));

    let mut kit = TinyKit::new();
    kit.tensors.get_mut("triangles").unwrap().2[..4].copy_from_slice(&9999i32.to_le_bytes());
    assert!(reason(&kit).contains("triangles names vertex 9999"));

    let mut kit = TinyKit::new();
    kit.metadata
        .insert("regions".into(), "{\"face\": [0, 100000]}".into());
    assert!(reason(&kit).contains("region face"));

    let mut kit = TinyKit::new();
    kit.metadata.remove("expression_names");
    assert!(reason(&kit).contains("expression_names"));
}

#[test]
fn truncated_missing_and_foreign_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = TinyKit::new().write(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        assert!(
            matches!(FaceKit::read(&path), Err(TrainError::FaceKit { .. })),
            "{keep}"
        );
    }
    assert!(matches!(
        FaceKit::read(dir.path().join("none")),
        Err(TrainError::File { .. })
    ));
}

#[test]
fn a_kit_without_a_needed_shape_is_refused() {
    let mut kit = TinyKit::new();
    let names = kit.metadata["expression_names"].replace("eyeBlink_L", "eyeWink_L");
    kit.metadata.insert("expression_names".into(), names);
    let error = FaceSynthesizer::new(kit.read().unwrap(), SynthConfig::default()).unwrap_err();
    assert!(error.to_string().contains("eyeBlink_L"));
}
