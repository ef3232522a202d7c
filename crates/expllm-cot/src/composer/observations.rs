//! The first part of a chain: which units are active and what each suggests.

use expllm_core::{Expression, Strength};

use super::grammar::{Voice, finish_sentence};
use super::movement::Mention;

/// From this weight on, a movement is a sign of an expression.
pub(super) const SIGN: f32 = 0.3;

/// How often a sign of the label is explained by the label and not by its general meaning.
const EXPLAINED_BY_LABEL: f64 = 0.6;

/// How many movements get a clause of their own, and what happens to the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Up to this many clauses; the rest is listed with a one-word meaning each.
    Clauses(usize),
    /// Names alone, grouped by strength.
    Names,
}

/// Writes the part; `mentions` are the strongest first.
pub(super) fn observations(
    voice: &mut Voice,
    mentions: &[Mention],
    label: Expression,
    detail: Detail,
) -> String {
    match detail {
        _ if mentions.is_empty() => finish_each(&voice.say("still", &[])),
        Detail::Names => names(voice, mentions),
        Detail::Clauses(own) => {
            let (main, rest) = mentions.split_at(own.min(mentions.len()));
            // A list of one reads badly.
            let (main, rest) = if rest.len() == 1 {
                (mentions, &[][..])
            } else {
                (main, rest)
            };
            let mut sentences = clauses(voice, main, label);
            if !rest.is_empty() {
                sentences.push(list(voice, rest));
            }
            sentences.join(" ")
        }
    }
}

fn clauses(voice: &mut Voice, mentions: &[Mention], label: Expression) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut rest = mentions;
    while let [first, more @ ..] = rest {
        let mut text = clause(voice, first, label);
        rest = more;
        if let [second, more @ ..] = rest
            && voice.chance(0.5)
        {
            let joint = voice.say("joint", &[]);
            text = format!("{text} {joint} {}", clause(voice, second, label));
            rest = more;
        }
        let text = match sentences.is_empty() {
            true => voice.say("opening", &[("CLAUSE", &text)]),
            false if voice.chance(0.35) => format!("{} {text}", voice.say("lead.next", &[])),
            false => text,
        };
        sentences.push(finish_sentence(&text));
    }
    sentences
}

/// One movement with what it suggests.
fn clause(voice: &mut Voice, mention: &Mention, label: Expression) -> String {
    let meaning = meaning(voice, mention, label);
    match voice.below(20) {
        0..8 => {
            let clause = mention.clause(voice);
            format!("{clause}, {} {meaning}", voice.say("suggest.ing", &[]))
        }
        8..14 => {
            let subject = mention.noun_phrase(voice);
            let verb = if subject.plural {
                "suggest.pl"
            } else {
                "suggest.sg"
            };
            format!("{} {} {meaning}", subject.text, voice.say(verb, &[]))
        }
        14..17 => {
            let clause = mention.clause(voice);
            format!("{clause}, {} {meaning}", voice.say("token", &[]))
        }
        _ => {
            let shows = voice.say("shows.in", &[]);
            format!("{meaning} {shows} {}", mention.noun_phrase(voice).text)
        }
    }
}

fn meaning(voice: &mut Voice, mention: &Mention, label: Expression) -> String {
    let explained = mention.weight(label) >= SIGN && voice.chance(EXPLAINED_BY_LABEL);
    let mut text = String::new();
    if voice.chance(0.85) {
        text.push_str(&voice.say("adj", &[]));
        text.push(' ');
    }
    if explained {
        voice.label_noun(&mut text);
    } else {
        text.push_str(&voice.word(mention.movement.key, "noun", &[]));
    }
    text
}

fn list(voice: &mut Voice, mentions: &[Mention]) -> String {
    let lead = voice.say("list.lead", &[]);
    let items: Vec<_> = mentions
        .iter()
        .map(|mention| {
            let phrase = mention.noun_phrase(voice).text;
            let noun = voice.word(mention.movement.key, "noun", &[]);
            format!("{} ({noun})", phrase.trim_end_matches(','))
        })
        .collect();
    finish_sentence(&format!("{lead} {}", join_list(&items)))
}

fn names(voice: &mut Voice, mentions: &[Mention]) -> String {
    let forms: Vec<_> = mentions.iter().flat_map(|m| m.bare(voice)).collect();
    let groups: Vec<_> = [
        (Strength::Strong, "strongly active:"),
        (Strength::Moderate, "moderately active:"),
        (Strength::Slight, "slightly active:"),
    ]
    .iter()
    .filter_map(|(strength, lead)| {
        let texts: Vec<_> = forms
            .iter()
            .filter(|(s, _)| s == strength)
            .map(|(_, text)| text.clone())
            .collect();
        (!texts.is_empty()).then(|| format!("{lead} {}", texts.join(", ")))
    })
    .collect();
    let list = finish_sentence(&groups.join("; "));
    format!("{list} {}", voice.sentence("bare.sum", &[]))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn join_list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// Finishes a text of several sentences.
fn finish_each(text: &str) -> String {
    let sentences: Vec<_> = text.split_terminator('.').map(finish_sentence).collect();
    sentences.join(" ")
}
