//! The first part of a chain: which units are active and what each suggests.

use expllm_core::{Expression, Strength};

use super::grammar::{Voice, finish_sentence};
use super::movement::Mention;

/// From this weight on, a movement is a sign of an expression.
pub(super) const SIGN: f32 = 0.3;

/// How often a sign of the label is explained by the label and not by its general meaning.
const EXPLAINED_BY_LABEL: f64 = 0.6;

/// How often a general meaning is a likeness ("as if asking a question").
const LIKENED: f64 = 0.15;

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
        let Clause {
            mut text,
            leads_well,
        } = clause(voice, first, label);
        rest = more;
        if let [second, more @ ..] = rest
            && voice.chance(0.5)
        {
            let second = clause(voice, second, label);
            let joint = voice.say(
                if second.leads_well {
                    "joint"
                } else {
                    "joint.short"
                },
                &[],
            );
            text = format!("{text} {joint} {}", second.text);
            rest = more;
        }
        let text = match sentences.is_empty() {
            _ if !leads_well || mentions.len() == 1 => text,
            true => voice.say("opening", &[("CLAUSE", &text)]),
            false if voice.chance(0.35) => format!("{} {text}", voice.say("lead.next", &[])),
            false => text,
        };
        sentences.push(finish_sentence(&text));
    }
    sentences
}

/// A main clause.
struct Clause {
    text: String,
    /// Whether an adverb and a comma can stand in front: not before a participle or "with".
    leads_well: bool,
}

impl Clause {
    fn plain(text: String) -> Self {
        let leads_well = true;
        Self { text, leads_well }
    }

    fn fronted(text: String) -> Self {
        let leads_well = false;
        Self { text, leads_well }
    }
}

/// One movement with what it suggests.
fn clause(voice: &mut Voice, mention: &Mention, label: Expression) -> Clause {
    let explained = mention.weight(label) >= SIGN && voice.chance(EXPLAINED_BY_LABEL);
    let topic = (!explained).then_some(mention.movement.key);
    if topic.is_some() && voice.chance(LIKENED) {
        let clause = mention.clause(voice);
        let likeness = voice.word(mention.movement.key, "as", &[]);
        return Clause::plain(format!("{clause}, {likeness}"));
    }
    // Verbs for a singular follow the meaning in the last form.
    let form = voice.below(20);
    let rule = if form < 18 { "meaning" } else { "phrase.one" };
    let meaning = voice.meaning(rule, topic);
    let link = match form {
        0..6 => "suggest.ing",
        6..8 => "suggest.sg",
        8..11 => "token",
        11..15 => return Clause::plain(phrase_first(voice, mention, &meaning)),
        15..17 => {
            let subject = mention.fronted(voice);
            let verb = suggests(voice, subject.plural);
            return Clause::fronted(format!("{} {verb} {meaning}", subject.text));
        }
        17 => {
            let phrase = mention.noun_phrase(voice).text;
            let (phrase, verb) = (phrase.trim_end_matches(','), voice.say("face.sg", &[]));
            return Clause::fronted(format!("with {phrase}, the face {verb} {meaning}"));
        }
        _ => {
            let (shows, phrase) = (voice.say("shows.in", &[]), mention.noun_phrase(voice));
            return Clause::plain(format!("{meaning} {shows} {}", phrase.text));
        }
    };
    let clause = mention.clause(voice);
    let which = if link == "suggest.sg" { "which " } else { "" };
    let link = voice.say(link, &[]);
    Clause::plain(format!("{clause}, {which}{link} {meaning}"))
}

fn phrase_first(voice: &mut Voice, mention: &Mention, meaning: &str) -> String {
    let subject = mention.noun_phrase(voice);
    let verb = suggests(voice, subject.plural);
    format!("{} {verb} {meaning}", subject.text)
}

fn suggests(voice: &mut Voice, plural: bool) -> String {
    voice.say(if plural { "suggest.pl" } else { "suggest.sg" }, &[])
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
