//! The conclusion: one sentence with the label, the cue that decides and a fitting certainty.

use expllm_core::Expression;

use super::bank::{Bank, Role};
use super::runs;
use super::telling::capital;
use super::voice::Voice;
use crate::reasoning::{Analysis, Certainty, Support};

/// Words of a conclusion.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=20;
/// How often a conclusion of another length is drawn again.
const TRIES: usize = 12;
/// Ways to join a claim and a reason, and those of them in which the claim comes first.
const ALL_FORMS: usize = 9;
const CLAIM_FIRST: usize = 5;
/// Probability below which only what is missing is worth telling.
const DOUBTFUL: f32 = 0.35;

pub(super) struct Closer<'a, 'v> {
    pub bank: &'static Bank,
    pub analysis: &'a Analysis,
    pub voice: &'v mut Voice,
    /// Whether there is room for the claim alone.
    pub brief: bool,
}

impl Closer<'_, '_> {
    pub(super) fn conclusion(&mut self) -> String {
        let mut clause = self.drawn();
        for _ in 0..TRIES {
            if self.brief || LENGTH.contains(&runs(&clause)) {
                break;
            }
            clause = self.drawn();
        }
        format!("{}.", capital(&clause))
    }

    fn drawn(&mut self) -> String {
        let role = if self.brief { None } else { self.reason_role() };
        match role {
            Some(role) => self.argued(role),
            None => self.text(Role::Claim),
        }
    }

    /// What the reason says; `None` where the bank has no reason for this face.
    fn reason_role(&mut self) -> Option<Role> {
        let roles: &[Role] = match (self.analysis.stance, self.analysis.certainty) {
            (Support::Unsupported, _) => &[Role::Against],
            (Support::Rest, _) if self.analysis.label != Expression::Neutral => &[Role::Against],
            (Support::Supported, _) if self.analysis.probability < DOUBTFUL => &[Role::Doubt],
            (Support::Supported, Certainty::Tentatively) => &[Role::Doubt, Role::Doubt, Role::Noun],
            _ => &[Role::Because, Role::Because, Role::Noun],
        };
        let fits = |role: &&Role| {
            let mut phrases = self.bank.phrases(**role, self.analysis.label);
            phrases.any(|p| p.condition.holds(self.analysis))
        };
        let fitting: Vec<Role> = roles.iter().filter(fits).copied().collect();
        (!fitting.is_empty()).then(|| fitting[self.voice.below(fitting.len())])
    }

    fn argued(&mut self, role: Role) -> String {
        let reason = self.text(role);
        if role != Role::Noun {
            let claim = self.text(Role::Claim);
            return self.joined(&claim, &reason);
        }
        let (noun, plural) = match reason.strip_prefix('+') {
            Some(noun) => (noun, true),
            None => (reason.as_str(), false),
        };
        let clash = noun.contains(" with ");
        match self.voice.below(10) {
            _ if denies(noun) => return format!("{}, given {noun}", self.text(Role::Claim)),
            0 | 1 if !clash => return format!("with {noun}, {}", self.text(Role::Claim)),
            2 | 3 => return format!("{}, given {noun}", self.text(Role::Claim)),
            4 => return format!("given {noun}, {}", self.text(Role::Claim)),
            _ => {}
        }
        let makes = self.text(Role::Makes);
        let words = makes
            .split(' ')
            .map(|word| match (word.split_once('/'), plural) {
                (Some((_, many)), true) => many,
                (Some((one, _)), false) => one,
                (None, _) => word,
            });
        format!("{noun} {}", words.collect::<Vec<_>>().join(" "))
    }

    fn joined(&mut self, claim: &str, reason: &str) -> String {
        let forms = if denies(reason) {
            CLAIM_FIRST
        } else {
            ALL_FORMS
        };
        match self.voice.below(forms) {
            0 => format!("{claim}, because {reason}"),
            1 => format!("{claim}, since {reason}"),
            2 => format!("{claim}: {reason}"),
            3 => format!("{claim}, as {reason}"),
            4 => format!("{claim}, for {reason}"),
            5 => format!("since {reason}, {claim}"),
            6 => format!("{reason}, and so {claim}"),
            7 => format!("because {reason}, {claim}"),
            _ => format!("{reason}, so {claim}"),
        }
    }

    fn text(&mut self, role: Role) -> String {
        self.voice.sentence(self.bank, role, self.analysis)
    }
}

/// Whether a reason denies something; before the claim it would seem to deny the label too.
fn denies(reason: &str) -> bool {
    const DENIALS: [&str; 10] = [
        "no", "not", "nothing", "neither", "nor", "none", "never", "without", "missing", "absence",
    ];
    reason.split(' ').any(|word| DENIALS.contains(&word))
}
