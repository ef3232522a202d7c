//! The conclusion: one sentence with the label, the cue that decides and a fitting certainty.

use expllm_core::Expression;

use super::bank::{Bank, Role};
use super::runs;
use super::telling::capital;
use super::voice::{Voice, agreeing};
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
/// How often a tentative conclusion begins with the cue that decides.
const HEDGED_NOUN: f64 = 0.6;

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
        if !self.brief && self.is_hedged() && self.voice.chance(HEDGED_NOUN) {
            return self.hedged();
        }
        let role = if self.brief { None } else { self.reason_role() };
        match role {
            Some(role) => self.argued(role),
            None => self.text(Role::Claim),
        }
    }

    /// Whether there is something to say for the label and something to hold back.
    fn is_hedged(&self) -> bool {
        let analysis = self.analysis;
        analysis.stance == Support::Supported
            && analysis.certainty == Certainty::Tentatively
            && analysis.probability >= DOUBTFUL
            && [Role::Noun, Role::Doubt]
                .iter()
                .all(|&role| self.fits(role))
    }

    /// The cue that decides, the label, and what is missing or weak.
    fn hedged(&mut self) -> String {
        let noun = self.text(Role::Noun);
        if denies(&noun) {
            return format!("{}, given {noun}", self.text(Role::Claim));
        }
        let decided = self.made(&noun);
        if self.analysis.open {
            return decided;
        }
        let because = self.voice.pick(&["because", "since", "as", "for"]);
        format!("{decided}, {because} {}", self.text(Role::Doubt))
    }

    fn fits(&self, role: Role) -> bool {
        let mut phrases = self.bank.phrases(role, self.analysis.label);
        phrases.any(|p| p.condition.holds(self.analysis))
    }

    /// What a noun phrase does for the label.
    fn made(&mut self, noun: &str) -> String {
        let (noun, plural) = match noun.strip_prefix('+') {
            Some(noun) => (noun, true),
            None => (noun, false),
        };
        let makes = self.text(Role::Makes);
        format!("{noun} {}", agreeing(&makes, plural))
    }

    /// What the reason says; `None` where the bank has no reason for this face.
    fn reason_role(&mut self) -> Option<Role> {
        let roles: &[Role] = match (self.analysis.stance, self.analysis.certainty) {
            (Support::Unsupported, _) => &[Role::Against],
            (Support::Rest, _) if self.analysis.label != Expression::Neutral => &[Role::Against],
            (Support::Supported, _) if self.analysis.probability < DOUBTFUL => &[Role::Doubt],
            (Support::Supported, Certainty::Tentatively) => &[Role::Doubt],
            _ => &[Role::Because, Role::Because, Role::Noun],
        };
        let fitting: Vec<Role> = roles.iter().copied().filter(|&r| self.fits(r)).collect();
        (!fitting.is_empty()).then(|| fitting[self.voice.below(fitting.len())])
    }

    fn argued(&mut self, role: Role) -> String {
        let reason = self.text(role);
        if role != Role::Noun {
            let claim = self.text(Role::Claim);
            let last = role != Role::Because || denies(&reason);
            return self.joined(&claim, &reason, last);
        }
        let noun = reason.strip_prefix('+').unwrap_or(&reason);
        let clash = noun.contains(" with ");
        match self.voice.below(10) {
            _ if denies(noun) => return format!("{}, given {noun}", self.text(Role::Claim)),
            0 | 1 if !clash => return format!("with {noun}, {}", self.text(Role::Claim)),
            2 | 3 => return format!("{}, given {noun}", self.text(Role::Claim)),
            4 => return format!("given {noun}, {}", self.text(Role::Claim)),
            _ => {}
        }
        self.made(&reason)
    }

    /// Claim and reason; what is held back stands last, so that the claim is not read as denied.
    fn joined(&mut self, claim: &str, reason: &str, last: bool) -> String {
        match self.voice.below(if last { CLAIM_FIRST } else { ALL_FORMS }) {
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
