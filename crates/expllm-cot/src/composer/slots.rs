//! What stands in the slots of a wording.

use expllm_core::{Expression, Side};

use super::bank::Phrase;
use super::telling::{name, opposite};
use crate::reasoning::{Analysis, Extent};

/// The verbs of a text with a choice of two, as `rises/rise`, for its subject.
pub(super) fn agreeing(text: &str, plural: bool) -> String {
    let words = text
        .split(' ')
        .map(|word| match (word.split_once('/'), plural) {
            (Some((_, many)), true) => many,
            (Some((one, _)), false) => one,
            (None, _) => word,
        });
    words.collect::<Vec<_>>().join(" ")
}

/// A text with its expressions and sides.
pub(super) fn filled(text: &str, phrase: &Phrase, analysis: &Analysis) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    let mut text = text.replace("{label}", &analysis.label.name().to_lowercase());
    text = text.replace("{shown}", &analysis.shown.name().to_lowercase());
    if let Some((rival, _)) = analysis.rival {
        let name = match rival {
            Expression::Neutral if text.starts_with(char::is_uppercase) => {
                "a neutral face".to_owned()
            }
            _ => rival.name().to_lowercase(),
        };
        text = text.replace("{rival}", &name);
    }
    match phrase.condition.sided() {
        Some(cue) => {
            let side = leading(analysis, cue);
            text.replace("{side}", name(side))
                .replace("{other}", name(opposite(side)))
        }
        None => text,
    }
}

/// The side on which a cue acts alone or further.
fn leading(analysis: &Analysis, cue: usize) -> Side {
    let state = analysis.face.state(cue);
    match state.extent {
        Extent::OneSided(side) => side,
        _ if state.left > state.right => Side::Left,
        _ => Side::Right,
    }
}
