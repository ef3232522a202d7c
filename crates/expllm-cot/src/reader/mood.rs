//! Whether a movement is told of the face, missing in it, or only supposed.
//!
//! "The brows are lowered" tells; "anger would bring the brows down", "fear lifts the brows" and
//! "a smile usually narrows the eyes" suppose; "what tells disgust from anger is a wrinkled nose,
//! and this face has none" names what is missing.

use std::ops::Range;

use expllm_core::Expression;

use super::lexicon::Mark;
use super::sentence::Sentence;
use crate::labels;

/// How a word stands to the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It is said of this face.
    Told,
    /// It is said of moods or of faces in general, or of what would be.
    Supposed,
    /// It was expected and is not there.
    Missing,
}

/// What a clause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// An expression or gesture in general: "anger", "a laugh", "a frightened face".
    Mood,
    /// "it", "they", "which", or the subject of the clause before.
    Pronoun,
    Other,
}

/// Whether a word names an expression or a gesture.
pub(super) fn is_mood(sentence: &Sentence, at: usize) -> bool {
    let word = sentence.word(at);
    sentence.is(at, Mark::Gesture)
        || word
            .parse()
            .ok()
            .or_else(|| labels::family(word))
            .is_some_and(|e: Expression| e != Expression::Neutral)
}

/// The mood of each word.
pub(super) fn moods(sentence: &Sentence) -> Vec<Mood> {
    let mut moods = vec![Mood::Told; sentence.len()];
    let mut was_general = false;
    for (index, clause) in sentence.clauses.iter().enumerate() {
        let before = clause
            .start
            .checked_sub(1)
            .map_or(Mood::Told, |at| moods[at]);
        let goes_on = before == Mood::Supposed
            && (shares_verb(sentence, clause) || goes_on_listing(sentence, clause));
        let from = match supposed_from(sentence, clause, &mut was_general) {
            _ if goes_on => clause.start,
            from => from,
        };
        moods[from.min(clause.end)..clause.end].fill(Mood::Supposed);
        imagine(sentence, clause, &mut moods);
        if index > 0 && is_missed(sentence, clause) {
            moods[sentence.clauses[index - 1].clone()].fill(Mood::Missing);
        }
        if index > 0 && (answers_missing(sentence, clause) || is_missed(sentence, clause)) {
            miss_list(sentence, index - 1, &mut moods);
            let before = &sentence.clauses[index - 1];
            miss(sentence, before, &mut moods);
        }
    }
    miss_behind_as(sentence, &mut moods);
    if let Some(from) = names_what_is_missing(sentence) {
        moods[from..].fill(Mood::Missing);
    }
    moods
}

/// "What it lacks is the glare", "what is absent is a wrinkled nose": all that follows.
fn names_what_is_missing(sentence: &Sentence) -> Option<usize> {
    const EARLY: usize = 7;
    let verb = (1..EARLY.min(sentence.len())).find(|&at| {
        matches!(sentence.word(at), "is" | "are") && {
            let before = sentence.word(at - 1);
            sentence.is(at - 1, Mark::Missing) || before.starts_with("lack")
        }
    })?;
    (sentence.word(0) == "what").then_some(verb + 1)
}

/// "... corners that sink and a chin that pushes up": the list of what is looked for goes on.
fn goes_on_listing(sentence: &Sentence, clause: &Range<usize>) -> bool {
    let first = subject_start(sentence, clause);
    matches!(sentence.word(clause.start), "and" | "or")
        && matches!(sentence.word(first), "a" | "an")
        && (first + 1..first + 5).any(|at| sentence.word(at) == "that")
}

/// "..., and they are missing", "which is missing here".
fn is_missed(sentence: &Sentence, clause: &Range<usize>) -> bool {
    let first = subject_start(sentence, clause);
    matches!(sentence.word(first), "they" | "it" | "both" | "which")
        && matches!(sentence.word(first + 1), "is" | "are")
        && (first + 2..first + 4).any(|at| sentence.is(at, Mark::Missing))
}

/// "... but tighten the mouth", "... or the chin pushes up": what was said of the verb before
/// holds here too.
fn shares_verb(sentence: &Sentence, clause: &Range<usize>) -> bool {
    let first = subject_start(sentence, clause);
    let is_bare_verb = is_verb(sentence, first) && sentence.part_at(first + 1).is_none();
    sentence.word(clause.start) == "or" || is_bare_verb
}

/// The first word of a clause that is only supposed; its end where there is none.
fn supposed_from(sentence: &Sentence, clause: &Range<usize>, was_general: &mut bool) -> usize {
    let first = subject_start(sentence, clause);
    let (subject, verb) = subject(sentence, clause, first);
    let is_about_mood = match subject {
        Subject::Mood => true,
        Subject::Pronoun => *was_general || follows_mood(sentence, first),
        // "Surprise claims the mouth, for its brows fly up".
        Subject::Other => *was_general && sentence.word(first) == "its",
    };
    *was_general = is_about_mood;
    let general = is_about_mood && moves(sentence, clause, verb);
    let whole = general
        || is_about_mood && subject == Subject::Other
        || sentence.is(clause.start, Mark::Condition) && !is_as_if(sentence, clause.start)
        || clause.start == 0 && matches!(sentence.word(0), "were" | "had")
        || sentence.word(first) == "only"
            && (first..clause.end).any(|i| sentence.is(i, Mark::Modal));
    if whole || decides(sentence, clause, first) {
        return clause.start;
    }
    let opens = |at: &usize| {
        sentence.is(*at, Mark::Modal)
            || sentence.is(*at, Mark::Habit)
            || sentence.word(*at) == "as" && sentence.word(*at + 2) == "rule"
    };
    clause.clone().find(opens).unwrap_or(clause.end)
}

fn is_as_if(sentence: &Sentence, at: usize) -> bool {
    at > 0 && sentence.word(at - 1) == "as" && matches!(sentence.word(at), "if" | "when" | "though")
}

/// "As if raising a brow", "typical of smiling": supposed as far as the next mark.
fn imagine(sentence: &Sentence, clause: &Range<usize>, moods: &mut [Mood]) {
    let opens = |at: &usize| {
        is_as_if(sentence, *at)
            || sentence.is(*at, Mark::General) && matches!(sentence.word(*at + 1), "of" | "in")
    };
    for at in clause.clone().filter(opens) {
        let until = (at..clause.end)
            .find(|&i| sentence.breaks(i))
            .unwrap_or(clause.end);
        moods[at..until].fill(Mood::Supposed);
    }
}

/// Behind the words that join a clause to the one before.
fn subject_start(sentence: &Sentence, clause: &Range<usize>) -> usize {
    let joins = |at: &usize| {
        let word = sentence.word(*at);
        let joins = sentence.is(*at, Mark::Clause) && word != "which"
            || matches!(
                word,
                "and" | "or" | "so" | "for" | "nor" | "as" | "here" | "then" | "yet"
            );
        !joins && !sentence.breaks(*at)
    };
    clause.clone().find(joins).unwrap_or(clause.end)
}

/// What the subject of a clause is, and where its verb stands.
fn subject(sentence: &Sentence, clause: &Range<usize>, first: usize) -> (Subject, usize) {
    let (mut is_mood_so_far, mut names_part) = (false, false);
    let pronoun = matches!(sentence.word(first), "it" | "they" | "which" | "that");
    let verb = (first..clause.end).find(|&at| {
        let nominal = is_mood_so_far || pronoun && at > first;
        let verb = sentence.is(at, Mark::Finite)
            || sentence.is(at, Mark::Soft)
            || sentence.is(at, Mark::Modal)
            || nominal
                && (sentence.is(at, Mark::Moves)
                    || is_verb(sentence, at)
                    || is_unknown_verb(sentence, at));
        is_mood_so_far |= !names_part && is_mood(sentence, at);
        names_part |= sentence.part_at(at).is_some() || sentence.sense(at).action.is_some();
        verb && at > first
    });
    let definite = sentence.is(first, Mark::Definite) && !is_core_of(sentence, first);
    let kind = match (pronoun, is_mood_so_far && !definite) {
        (true, _) => Subject::Pronoun,
        (_, true) => Subject::Mood,
        _ => Subject::Other,
    };
    (kind, verb.unwrap_or(clause.end))
}

/// "The core of surprise", "the mark of disgust".
fn is_core_of(sentence: &Sentence, first: usize) -> bool {
    sentence.word(first + 2) == "of"
        && matches!(
            sentence.word(first + 1),
            "core" | "mark" | "hallmark" | "heart" | "sign"
        )
}

fn is_verb(sentence: &Sentence, at: usize) -> bool {
    let word = sentence.word(at);
    let is_noun = at > 0 && matches!(sentence.word(at - 1), "a" | "an" | "the" | "no");
    !is_noun
        && sentence.sense(at).action.is_some()
        && !word.ends_with("ed")
        && !word.ends_with("ing")
}

/// Some other verb in -s: "distress underlies a stretch of the corner".
fn is_unknown_verb(sentence: &Sentence, at: usize) -> bool {
    let word = sentence.word(at);
    word.ends_with('s') && !word.ends_with("ss") && word.len() > 4 && !is_mood(sentence, at)
}

/// "Disgust, which raises the lip": the noun before "which" is a mood.
fn follows_mood(sentence: &Sentence, first: usize) -> bool {
    sentence.word(first) == "which"
        && (first.saturating_sub(3)..first).any(|at| is_mood(sentence, at))
}

/// Whether the verb of a clause tells what a mood does, rather than how it is seen here.
fn moves(sentence: &Sentence, clause: &Range<usize>, verb: usize) -> bool {
    if verb >= clause.end || matches!(sentence.word(verb), "is" | "are" | "was" | "were") {
        return false;
    }
    let seen_here = matches!(
        sentence.word(verb),
        "show" | "shows" | "lie" | "lies" | "appears" | "come" | "comes"
    ) && is_this_face(sentence, verb + 1);
    !seen_here
        && (sentence.is(verb, Mark::Moves)
            || sentence.is(verb, Mark::Modal)
            || is_verb(sentence, verb))
}

/// "In the raised brows", "across in subtly puckered lips": a movement of this face.
fn is_this_face(sentence: &Sentence, from: usize) -> bool {
    sentence.word(from) == "in" && sentence.is(from + 1, Mark::Definite)
        || sentence.word(from) == "behind"
        || (from..from + 5).any(|at| sentence.sense(at).strength.is_some())
}

/// "Narrowed eyes would have made it friendlier": what stands before the verb is not there.
fn decides(sentence: &Sentence, clause: &Range<usize>, first: usize) -> bool {
    let is_would = |at: &usize| matches!(sentence.word(*at), "would" | "might" | "could");
    let Some(modal) = clause.clone().find(is_would) else {
        return false;
    };
    !sentence.is(first, Mark::Definite)
        && (modal + 1..=modal + 2).any(|at| sentence.is(at, Mark::Decide))
}

/// "... and this face has neither", "both are still".
fn answers_missing(sentence: &Sentence, clause: &Range<usize>) -> bool {
    clause.clone().any(|at| match sentence.word(at) {
        "neither" | "none" => {
            let next = sentence.word(at + 1);
            at + 1 >= clause.end
                || sentence.breaks(at + 1)
                || sentence.is(at + 1, Mark::Finite)
                || next == "of" && matches!(sentence.word(at + 2), "them" | "these" | "which")
        }
        "both" => {
            matches!(sentence.word(at + 1), "are" | "remain" | "stay")
                && (at + 2..clause.end.min(at + 5))
                    .any(|i| sentence.is(i, Mark::Still) || sentence.is(i, Mark::Missing))
        }
        _ => false,
    })
}

/// "Corners that sink and a chin that pushes up": what stands before the last of the list.
fn miss_list(sentence: &Sentence, mut last: usize, moods: &mut [Mood]) {
    while last > 0 && goes_on_listing(sentence, &sentence.clauses[last]) {
        last -= 1;
        miss(sentence, &sentence.clauses[last], moods);
    }
}

/// "... are missing, as is a raised chin".
fn miss_behind_as(sentence: &Sentence, moods: &mut [Mood]) {
    let opens =
        |at: usize| sentence.word(at) == "as" && matches!(sentence.word(at + 1), "is" | "are");
    let Some(from) = (1..sentence.len()).find(|&at| opens(at)) else {
        return;
    };
    if (0..from).any(|at| sentence.is(at, Mark::Missing)) {
        moods[from..].fill(Mood::Missing);
    }
}

/// What a clause supposes, or defines by "what", is missing in the face.
fn miss(sentence: &Sentence, clause: &Range<usize>, moods: &mut [Mood]) {
    let is_definition = sentence.word(clause.start) == "what";
    for mood in &mut moods[clause.clone()] {
        if is_definition || *mood == Mood::Supposed {
            *mood = Mood::Missing;
        }
    }
}
