//! How well units are read from rendered people who look differently.

use expllm_core::ActionUnit;
use expllm_metrics::{Agreement, MetricError};

use crate::synth::SynthTraits;

/// A rendered face beside what was read from it.
#[derive(Debug, Clone)]
pub struct ReadRender {
    /// Looks of the person.
    pub traits: SynthTraits,
    /// True intensities, in AU order.
    pub truth: [f32; ActionUnit::COUNT],
    /// Intensities read, in AU order.
    pub found: [f32; ActionUnit::COUNT],
}

/// Beards at least this dense count as beards.
const BEARD: f32 = 0.2;

/// The groups that figures are given for, each with its members. Thirds are of the people given.
pub fn groups(faces: &[ReadRender]) -> Vec<(&'static str, Vec<&ReadRender>)> {
    let [darkest, middle, lightest] = thirds(faces, |traits| traits.skin);
    let [youngest, _, most_lined] = thirds(faces, |traits| traits.age);
    let which = |is: &dyn Fn(&SynthTraits) -> bool| -> Vec<&ReadRender> {
        faces.iter().filter(|face| is(&face.traits)).collect()
    };
    vec![
        ("darkest third of skins", darkest),
        ("middle third of skins", middle),
        ("lightest third of skins", lightest),
        ("least lined third", youngest),
        ("most lined third", most_lined),
        ("beard or moustache", which(&|t| t.beard >= BEARD)),
        ("no beard", which(&|t| t.beard < BEARD)),
        ("glasses", which(&|t| t.glasses)),
        ("no glasses", which(&|t| !t.glasses)),
    ]
}

/// The faces in three parts of nearly equal size, from the smallest value of a trait on.
fn thirds(faces: &[ReadRender], value: impl Fn(&SynthTraits) -> f32) -> [Vec<&ReadRender>; 3] {
    let mut sorted: Vec<_> = faces.iter().collect();
    sorted.sort_by(|a, b| value(&a.traits).total_cmp(&value(&b.traits)));
    let (low, rest) = sorted.split_at(faces.len() / 3);
    let (middle, high) = rest.split_at(rest.len() / 2);
    [low.to_vec(), middle.to_vec(), high.to_vec()]
}

/// Pearson r of every unit; NaN where a unit does not vary.
///
/// # Errors
///
/// When an intensity is not a number.
pub fn correlations<'a>(
    faces: impl IntoIterator<Item = &'a ReadRender>,
) -> Result<Vec<f64>, MetricError> {
    let mut units = vec![Agreement::default(); ActionUnit::COUNT];
    for face in faces {
        for (unit, (truth, found)) in units.iter_mut().zip(face.truth.iter().zip(face.found)) {
            unit.add(f64::from(*truth), f64::from(found))?;
        }
    }
    Ok(units.iter().map(|u| u.pcc().unwrap_or(f64::NAN)).collect())
}

/// Mean distance of intensities from the truth, over all units; NaN without faces.
pub fn mean_error(faces: &[&ReadRender]) -> f64 {
    let distance = |face: &&ReadRender| -> f64 {
        let pairs = face.truth.iter().zip(face.found);
        pairs
            .map(|(truth, found)| f64::from((truth - found).abs()))
            .sum()
    };
    faces.iter().map(distance).sum::<f64>() / (faces.len() * ActionUnit::COUNT) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faces() -> Vec<ReadRender> {
        (0..30)
            .map(|i| {
                let truth = std::array::from_fn(|unit| ((i * 7 + unit * 3) % 10) as f32 / 10.0);
                ReadRender {
                    traits: SynthTraits {
                        skin: (i * 11 % 30) as f32 / 30.0,
                        age: (i * 17 % 30) as f32 / 30.0,
                        beard: if i % 3 == 0 { 0.5 } else { 0.0 },
                        glasses: i % 5 == 0,
                    },
                    truth,
                    // Darker skins are read with a larger error.
                    found: truth.map(|v| v + if i * 11 % 30 < 10 { 0.2 } else { 0.1 }),
                }
            })
            .collect()
    }

    #[test]
    fn groups_hold_whom_they_name_and_pairs_hold_everybody() {
        let faces = faces();
        let groups = groups(&faces);
        let members = |name: &str| &groups.iter().find(|(n, _)| *n == name).unwrap().1;
        assert!(
            members("darkest third of skins")
                .iter()
                .all(|f| f.traits.skin < 0.33)
        );
        assert!(
            members("lightest third of skins")
                .iter()
                .all(|f| f.traits.skin > 0.66)
        );
        assert!(
            members("most lined third")
                .iter()
                .all(|f| f.traits.age > 0.66)
        );
        assert_eq!(members("beard or moustache").len(), 10);
        assert_eq!(members("glasses").len() + members("no glasses").len(), 30);
        assert!(members("glasses").iter().all(|f| f.traits.glasses));
    }

    #[test]
    fn errors_tell_groups_apart() {
        let faces = faces();
        let groups = groups(&faces);
        assert!((mean_error(&groups[0].1) - 0.2).abs() < 1e-6);
        assert!((mean_error(&groups[2].1) - 0.1).abs() < 1e-6);
        let r = correlations(groups[2].1.iter().copied()).unwrap();
        assert!(r.iter().all(|r| (r - 1.0).abs() < 1e-6));
    }
}
