//! The second and third part of a chain: how the units combine, and the label.

use expllm_core::{Expression, ExpressionSet};

use super::grammar::{Values, Voice, lower_name};
use super::movement::{Mention, score};
use super::observations::{SIGN, join_list};

/// From this weight on, a movement is a main sign of an expression.
const MAIN_SIGN: f32 = 0.7;

/// A movement contradicts a label when it is a sign this clear of another expression only.
const CONTRADICTS: f32 = 0.5;

/// Units that say nothing clearer than this leave room for a neutral reading.
const CLEAR_SCORE: f32 = 0.6;

/// A rival whose score is this many times the label's explains the units better.
const OUTVOTES: f32 = 1.3;

/// A rival whose score is this many times the label's is a close alternative.
const COMES_CLOSE: f32 = 0.9;

/// How the units and the label stand to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Verdict {
    pub label: Expression,
    /// The nearest other expression that has any support.
    pub runner: Option<Expression>,
    pub support: Support,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// No unit is active.
    Still,
    /// The label explains the units best.
    Carried,
    /// Another expression explains the units about as well.
    Close,
    /// Another expression explains the units better.
    Outvoted,
    /// No active unit is a sign of the label.
    None,
}

impl Verdict {
    /// Weighs the label against the others of the set; `preferred` is taken as the runner-up
    /// where the caller knows better than the units.
    pub(super) fn new(
        mentions: &[Mention],
        label: Expression,
        set: ExpressionSet,
        preferred: Option<Expression>,
    ) -> Self {
        let own = score(mentions, label);
        let rival = set
            .expressions()
            .iter()
            .filter(|&&e| e != label && e != Expression::Neutral)
            .map(|&e| (e, score(mentions, e)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, score)| *score > 0.0);
        let rival_score = rival.map_or(0.0, |(_, score)| score);
        let bar = if label == Expression::Neutral {
            CLEAR_SCORE
        } else {
            own
        };
        let support = if mentions.is_empty() {
            Support::Still
        } else if label != Expression::Neutral && !mentions.iter().any(|m| m.weight(label) >= SIGN)
        {
            Support::None
        } else if rival_score > bar * OUTVOTES {
            Support::Outvoted
        } else if rival_score > bar * COMES_CLOSE {
            Support::Close
        } else {
            Support::Carried
        };
        let by_units = rival.map(|(e, _)| e);
        let runner = match support {
            Support::Outvoted | Support::Close => by_units,
            _ => preferred.filter(|&e| e != label).or(by_units),
        };
        Self {
            label,
            runner,
            support,
        }
    }
}

/// How much the second and third part say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    Full,
    /// Not where the units contradict each other.
    WithoutConflict,
    /// Also a conclusion of a few words.
    Short,
    /// Only which expression dominates, and why.
    Rivalry,
}

/// Writes the second part.
pub(super) fn interpretation(
    voice: &mut Voice,
    mentions: &[Mention],
    verdict: Verdict,
    scope: Scope,
) -> String {
    let mut sentences = Vec::new();
    if scope != Scope::Rivalry {
        sentences.push(combination(voice, mentions, verdict));
    }
    if scope == Scope::Full {
        sentences.extend(conflict(voice, mentions, verdict));
    }
    sentences.push(rivalry(voice, mentions, verdict));
    sentences.join(" ")
}

fn combination(voice: &mut Voice, mentions: &[Mention], verdict: Verdict) -> String {
    let neutral = verdict.label == Expression::Neutral;
    let relevant: Vec<_> = mentions
        .iter()
        .filter(|m| neutral || m.weight(verdict.label) >= SIGN)
        .collect();
    let (regions, region_count) = regions(&relevant);
    let values = [("REGIONS", regions.as_str())];
    let rule = match verdict.support {
        Support::Still if neutral => "neutral.still",
        Support::Still => "no.movement",
        _ if neutral => "neutral.moving",
        Support::None => "unsupported",
        _ if region_count > 1 => "unite.many",
        _ if relevant.len() > 1 => "unite",
        _ => "unite.one",
    };
    voice.sentence(rule, &values)
}

fn conflict(voice: &mut Voice, mentions: &[Mention], verdict: Verdict) -> Option<String> {
    if verdict.label == Expression::Neutral || verdict.support != Support::Carried {
        return None;
    }
    let against = mentions.iter().find_map(|m| {
        let other = strongest(m, verdict.label)?;
        (m.weight(verdict.label) < 0.1 && m.weight(other) >= CONTRADICTS).then_some((m, other))
    });
    let (mention, other) = against?;
    let region = format!("the {}", mention.movement.region.name());
    let values = [("AGAINST", region.as_str()), ("OTHER", lower_name(other))];
    Some(voice.sentence("conflict", &values))
}

fn strongest(mention: &Mention, label: Expression) -> Option<Expression> {
    Expression::ALL[1..7]
        .iter()
        .copied()
        .filter(|&e| e != label)
        .max_by(|&a, &b| mention.weight(a).total_cmp(&mention.weight(b)))
}

fn rivalry(voice: &mut Voice, mentions: &[Mention], verdict: Verdict) -> String {
    let Some(runner) = verdict.runner else {
        return no_rival(voice, verdict);
    };
    let rule = match verdict.support {
        Support::Outvoted | Support::None if score(mentions, runner) > 0.0 => "outvoted",
        Support::None | Support::Still => return no_rival(voice, verdict),
        Support::Close => "close",
        _ if verdict.label == Expression::Neutral => "neutral.leads",
        _ => "dominates",
    };
    let (kind, place) = reason(mentions, runner);
    let place = voice.say(place, &[]);
    let place: Values<'_> = &[("REASON.where", &place)];
    let values: Values<'_> = &[
        ("RUNNER", lower_name(runner)),
        ("REASON", &voice.word("reason", kind, place)),
        ("REASON.which", &voice.word("which", kind, place)),
        ("REASON.label", &voice.say("reason.label", &[])),
    ];
    voice.sentence(rule, values)
}

fn no_rival(voice: &mut Voice, verdict: Verdict) -> String {
    match verdict.support {
        Support::Still => voice.sentence("no.rival.still", &[]),
        _ => voice.sentence("no.rival", &[]),
    }
}

/// Why the runner-up falls behind: its main sign is missing somewhere, or it is just weaker.
fn reason(mentions: &[Mention], runner: Expression) -> (&'static str, &'static str) {
    let has_main_sign = mentions.iter().any(|m| m.weight(runner) >= MAIN_SIGN);
    let place = match runner {
        Expression::Anger => "where.brows",
        Expression::Surprise | Expression::Fear => "where.eyes",
        Expression::Disgust => "where.nose",
        Expression::Happiness | Expression::Contempt => "where.mouth",
        Expression::Sadness | Expression::Neutral => "where.overall",
    };
    match runner {
        Expression::Neutral => ("neutral", "where.overall"),
        _ if has_main_sign => ("weaker", "where.overall"),
        _ => ("missing", place),
    }
}

/// `the brows and mouth`, with the number of parts.
fn regions(mentions: &[&Mention]) -> (String, usize) {
    let mut names: Vec<String> = Vec::new();
    for mention in mentions {
        let name = mention.movement.region.name();
        if !names.iter().any(|n| n == name) && names.len() < 3 {
            names.push(name.to_owned());
        }
    }
    (format!("the {}", join_list(&names)), names.len())
}

/// Writes the third part.
pub(super) fn conclusion(voice: &mut Voice, verdict: Verdict, scope: Scope) -> String {
    let short = matches!(scope, Scope::Short | Scope::Rivalry);
    let rule = match verdict.support {
        Support::Still if verdict.label != Expression::Neutral => "conclude.honest.still",
        Support::None | Support::Outvoted if short => "conclude.honest.short",
        Support::None | Support::Outvoted => "conclude.honest",
        _ if short => "conclude.short",
        _ => "conclude",
    };
    voice.sentence(rule, &[])
}
