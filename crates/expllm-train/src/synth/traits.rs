//! What a rendered person looks like, as far as figures are told apart by it.

use super::appearance::Appearance;

/// Looks of a rendered person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SynthTraits {
    /// Relative luminance of the skin before light falls on it, 0 (black) to 1.
    pub skin: f32,
    /// 0 (young) to 1 (deeply lined).
    pub age: f32,
    /// How dense beard or moustache are, whichever is denser: 0 (none) to 1.
    pub beard: f32,
    /// Whether glasses are worn.
    pub glasses: bool,
}

impl SynthTraits {
    pub(super) fn of(person: &Appearance) -> Self {
        // Weights of Rec. 709 for linear colours.
        let [red, green, blue] = person.skin;
        Self {
            skin: 0.2126 * red + 0.7152 * green + 0.0722 * blue,
            age: person.age,
            beard: person.beard.max(person.moustache),
            glasses: person.glasses.is_some(),
        }
    }
}
