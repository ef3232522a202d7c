//! The conclusion: one sentence with the label, the cue that decides and a fitting certainty.

use expllm_core::Expression;

use super::bank::{Bank, Role};
use super::slots::agreeing;
use super::telling::{capital, is_upper};
use super::voice::Voice;
use super::words;
use crate::reasoning::{Analysis, Certainty, Support};

/// Words of a conclusion.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=20;
/// How often a conclusion of another length is drawn again.
const TRIES: usize = 16;
/// Ways to join a claim and a reason, and those of them in which the claim comes first.
const ALL_FORMS: usize = 9;
const CLAIM_FIRST: usize = 5;
/// Probability below which only what is missing is worth telling.
const DOUBTFUL: f32 = 0.35;
/// How often what the face as a whole does is the subject.
const FROM_FACE: f64 = 0.9;
/// How often it is the ground of a claim instead.
const WITH_CLAIM: f64 = 0.35;
/// How often a further cue is named behind.
const WITH_TAIL: f64 = 0.6;
/// How often what speaks against a label is named behind.
const WITH_REASON: f64 = 0.6;

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
            if self.brief || LENGTH.contains(&words(&clause)) {
                break;
            }
            clause = self.drawn();
        }
        format!("{}.", capital(&clause))
    }

    fn drawn(&mut self) -> String {
        if self.brief {
            return self.text(Role::Claim);
        }
        if self.analysis.stance != Support::Rest
            && self.voice.chance(FROM_FACE)
            && let Some(sentence) = self.for_the_face()
        {
            return sentence;
        }
        match self.reason_role() {
            Some(role) => self.argued(role),
            None => self.text(Role::Claim),
        }
    }

    /// What the face does, and what that does for the label.
    fn for_the_face(&mut self) -> Option<String> {
        let unsupported = self.analysis.stance == Support::Unsupported;
        let whole = |cue: &usize| self.analysis.face.whole.contains(*cue);
        let main = self.analysis.favour.iter().copied().find(whole);
        let main = main.filter(|_| !unsupported);
        let subject = self.subject(main)?;
        if unsupported {
            let made = self.made(&subject, Role::Fails);
            // What speaks for another label is said already where that label outweighs this one.
            let argued = !self.analysis.outweighed()
                && self.fits(Role::Against)
                && self.voice.chance(WITH_REASON);
            if made.contains(", ") || !argued {
                return Some(made);
            }
            let because = self.voice.pick(&["because", "since", "as", "for"]);
            return Some(format!("{made}, {because} {}", self.text(Role::Against)));
        }
        let doubtful = self.analysis.probability < DOUBTFUL;
        let holds_back = self.analysis.certainty == Certainty::Tentatively
            && !self.analysis.open
            && self.fits(Role::Doubt)
            && (doubtful || self.voice.chance(0.85));
        if self.voice.chance(WITH_CLAIM) {
            return Some(self.given(&subject));
        }
        let made = self.made(&subject, Role::Makes);
        if !holds_back
            && self.voice.chance(WITH_TAIL)
            && !made.contains(", ")
            && self.fits(Role::Tail)
        {
            return Some(self.with_tail(made));
        }
        if !holds_back || made.contains(", ") {
            return Some(made);
        }
        let because = self.voice.pick(&["because", "since", "as", "for"]);
        Some(format!("{made}, {because} {}", self.text(Role::Doubt)))
    }

    /// A conclusion with a further cue, unless it speaks of that part already.
    fn with_tail(&mut self, made: String) -> String {
        let tail = self.text(Role::Tail);
        let part = tail.rsplit(' ').next().unwrap_or_default();
        match made.contains(part) {
            true => made,
            false => format!("{made}, {tail}"),
        }
    }

    /// A claim with what the face does as its ground.
    fn given(&mut self, subject: &str) -> String {
        let noun = subject.trim_start_matches('+');
        let claim = self.text(Role::Claim);
        match self.voice.below(4) {
            0 => format!("given {noun}, {claim}"),
            1 if !noun.contains(" with ") => format!("with {noun}, {claim}"),
            2 => format!("{claim}, to judge by {noun}"),
            _ => format!("{claim}, given {noun}"),
        }
    }

    /// What brows and eyes, the mouth or both do, as a noun phrase; it speaks of the deciding cue.
    fn subject(&mut self, main: Option<usize>) -> Option<String> {
        let of = |half: bool| main.filter(|&cue| is_upper(cue) == half);
        let whole = self.noun(Role::Whole, main);
        if whole.is_some() && self.voice.chance(0.5) {
            return whole;
        }
        let upper = self.noun(Role::Upper, of(true));
        let lower = self.noun(Role::Lower, of(false));
        let halves = match (upper, lower) {
            (Some(upper), Some(lower)) => Some(self.halves(&upper, &lower)),
            (Some(upper), None) if of(false).is_none() => Some(upper),
            (None, Some(lower)) if of(true).is_none() => Some(lower),
            _ => None,
        };
        halves.or(whole)
    }

    fn noun(&mut self, role: Role, about: Option<usize>) -> Option<String> {
        let noun = self.voice.fitting(self.bank, role, self.analysis, 0, about);
        (!noun.is_empty()).then_some(noun)
    }

    fn halves(&mut self, upper: &str, lower: &str) -> String {
        let bare = |noun: &str| noun.trim_start_matches('+').to_owned();
        let (over, under) = (bare(upper), bare(lower));
        let joined = |noun: &str| [" and ", " with ", " in "].iter().any(|w| noun.contains(w));
        let forms = if joined(upper) || joined(lower) { 3 } else { 6 };
        match self.voice.below(forms) {
            0 | 1 => format!("{upper} over {under}"),
            2 => format!("{upper} above {under}"),
            3 => format!("{lower} under {over}"),
            4 => format!("{lower} below {over}"),
            _ => format!("+{over} and {under}"),
        }
    }

    fn fits(&self, role: Role) -> bool {
        let mut phrases = self.bank.phrases(role, self.analysis.label);
        phrases.any(|p| {
            let face = &self.analysis.face;
            p.condition.holds(self.analysis) && p.texts.iter().any(|t| t.fits(face))
        })
    }

    /// What a noun phrase does for the label.
    fn made(&mut self, noun: &str, role: Role) -> String {
        let (noun, plural) = match noun.strip_prefix('+') {
            Some(noun) => (noun, true),
            None => (noun, false),
        };
        format!("{noun} {}", agreeing(&self.text(role), plural))
    }

    /// What the reason says; `None` where the bank has no reason for this face.
    fn reason_role(&mut self) -> Option<Role> {
        let roles: &[Role] = match (self.analysis.stance, self.analysis.certainty) {
            (Support::Unsupported, _) if self.analysis.outweighed() => &[],
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
        self.made(&reason, Role::Makes)
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
