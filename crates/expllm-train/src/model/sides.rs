//! What changes when a face is mirrored: the sides in text.

/// Exchanges "left" and "right" wherever they stand as words, in the case that they have.
///
/// Sides in texts are the subject's own, so a mirrored face moves with the other one. "Right"
/// in another sense ("all right") does not occur in descriptions of faces.
#[must_use]
pub fn swap_sides(text: &str) -> String {
    let mut swapped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphabetic) {
        swapped.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        swapped.push_str(other_side(&rest[..end]));
        rest = &rest[end..];
    }
    swapped.push_str(rest);
    swapped
}

fn other_side(word: &str) -> &str {
    match word {
        "left" => "right",
        "right" => "left",
        "Left" => "Right",
        "Right" => "Left",
        "LEFT" => "RIGHT",
        "RIGHT" => "LEFT",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use expllm_core::{ActionUnit, AuVector, Expression, ExpressionSet};
    use expllm_cot::{Composer, ground};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_swapped_whole() {
        let text = "Left brow; the right-hand lid, bright. RIGHT!";
        assert_eq!(
            swap_sides(text),
            "Right brow; the left-hand lid, bright. LEFT!"
        );
        assert_eq!(swap_sides("Ünd 左 right"), "Ünd 左 left");
    }

    proptest! {
        #[test]
        fn swapping_twice_changes_nothing(text in "\\PC{0,80}") {
            prop_assert_eq!(swap_sides(&swap_sides(&text)), text);
        }

        #[test]
        fn a_swapped_chain_is_true_of_the_mirrored_face(
            values in proptest::array::uniform24(0.0f32..=1.0),
            seed in 0u64..1000,
        ) {
            let units = AuVector::from_feafa_clamped(values);
            let mut chain = Composer.compose(&units, Expression::Fear, ExpressionSet::Eight, seed);
            let before = ground(&chain, &units);
            let parts = [
                &mut chain.key_observations,
                &mut chain.interpretation,
                &mut chain.conclusion,
            ];
            for part in parts {
                *part = swap_sides(part);
            }
            let after = ground(&chain, &units.mirrored());
            prop_assert_eq!(before.precision(), after.precision());
            prop_assert_eq!(before.recall(), after.recall());
            let mirrored = ActionUnit::FEAFA.map(ActionUnit::mirrored);
            prop_assert!(mirrored.iter().all(|unit| ActionUnit::FEAFA.contains(unit)));
        }
    }
}
