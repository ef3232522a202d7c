//! Key observations: every active movement once, with its side and a word of strength.

use super::bank::{Bank, Role};
use super::listing;
use super::telling::{Degree, Told, capital, is_both, is_upper, region};
use super::voice::Voice;
use crate::knowledge::{Knowledge, Region};
use crate::reasoning::{Analysis, Extent};

/// Small movements that are enough for a sentence of their own.
const GROUP: usize = 3;

/// How much room the observations may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Sentences with all that belongs to them.
    Full,
    /// Short clauses.
    Plain,
    /// Short clauses, and small movements by their names alone.
    Brief,
    /// Every movement in a clause of its own.
    Long,
    /// A list of clauses by strength.
    Clauses,
    /// A list of movements by side and strength.
    List,
}

pub(super) struct Observer<'a, 'v> {
    pub bank: &'static Bank,
    pub analysis: &'a Analysis,
    pub voice: &'v mut Voice,
    pub detail: Detail,
}

impl Observer<'_, '_> {
    pub(super) fn observations(&mut self) -> String {
        let caveat = self.voice.sentence(self.bank, Role::Caveat, self.analysis);
        let told = self.movements();
        match caveat.is_empty() {
            true => told,
            false => format!("{caveat} {told}"),
        }
    }

    fn movements(&mut self) -> String {
        if self.analysis.face.acting.is_empty() {
            return self.voice.sentence(self.bank, Role::Still, self.analysis);
        }
        match self.detail {
            Detail::Clauses => return listing::clauses(self.bank, self.analysis),
            Detail::List => return listing::listing(self.bank, self.analysis),
            Detail::Full | Detail::Plain | Detail::Brief | Detail::Long => {}
        }
        let (chunks, small) = self.chunks();
        let mut sentences: Vec<String> = Vec::new();
        let mut before: Option<bool> = None;
        for (at, chunk) in chunks.iter().enumerate() {
            let upper = is_upper(chunk[0].cue);
            let intro = self.intro(before, upper, chunk, chunks.len(), at);
            let body = self.body(chunk);
            let tail = self.consequence(chunk, &body);
            let text = format!("{intro}{body}{tail}");
            sentences.push(format!("{}.", capital(&text)));
            before = Some(upper);
        }
        if !small.is_empty() {
            sentences.push(self.group(&small, chunks.is_empty()));
        }
        if let Some(rest) = self.rest() {
            sentences.push(rest.to_owned());
        }
        sentences.join(" ")
    }

    /// Small movements in one sentence, with one word of strength for all of them.
    fn group(&mut self, small: &[Told], alone: bool) -> String {
        let has = |degree| small.iter().any(|t| t.degree == degree);
        let how = match (has(Degree::Trace), has(Degree::Slight)) {
            (true, true) => self.voice.pick(&["slight at most", "slight or fainter"]),
            (true, false) => "faint",
            _ => "slight",
        };
        let leads: &[&str] = match alone {
            true => &[
                "Every movement is",
                "All the movements are",
                "All that moves is",
            ],
            false => &[
                "Everything else is",
                "The finer movements are",
                "The rest is",
                "Smaller movements are",
            ],
        };
        let lead = self.voice.pick(leads);
        let mut small = small.to_vec();
        small.sort_by_key(|told| told.cue); // From the brows down.
        let named = self.detail == Detail::Brief || small.len() > GROUP && self.voice.chance(0.4);
        let clauses: Vec<String> = small
            .iter()
            .map(|&told| {
                if named {
                    self.named(told)
                } else {
                    self.plain(told)
                }
            })
            .collect();
        let (last, others) = clauses.split_last().map_or(("", &[][..]), |(l, o)| (l, o));
        format!("{lead} {how}: {} and {last}.", others.join(", "))
    }

    /// Active cues in sentences, the strongest region first, and the small ones that share one.
    fn chunks(&mut self) -> (Vec<Vec<Told>>, Vec<Told>) {
        let (told, small) = self.parted();
        (self.chunked(told), small)
    }

    /// Active cues, strongest first, without the small ones where these are many.
    fn parted(&mut self) -> (Vec<Told>, Vec<Told>) {
        let knowledge = Knowledge::builtin();
        let face = &self.analysis.face;
        let mut told: Vec<Told> = face
            .acting
            .iter()
            .map(|cue| Told::new(knowledge, self.analysis, cue))
            .collect();
        told.sort_by(|a, b| face.level(b.cue).total_cmp(&face.level(a.cue)));
        let (small, large): (Vec<_>, Vec<_>) = told.iter().copied().partition(Told::is_small);
        let many = small.len() >= GROUP && (small.len() > GROUP || large.is_empty());
        let grouped = small.len() >= GROUP
            && self.detail != Detail::Long
            && (self.detail != Detail::Full || self.voice.chance(if many { 0.7 } else { 0.35 }));
        match grouped {
            true => (large, small),
            false => (told, Vec::new()),
        }
    }

    fn chunked(&mut self, told: Vec<Told>) -> Vec<Vec<Told>> {
        let first = told.first().is_some_and(|t| is_upper(t.cue));
        let (near, far): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|t| is_upper(t.cue) == first);
        if near.len() == 1 && far.len() == 1 && !near[0].is_sided() && !far[0].is_sided() {
            return vec![vec![near[0], far[0]]];
        }
        if near.is_empty() {
            return Vec::new();
        }
        let mut chunks = self.split(near);
        chunks.extend(self.split(far));
        chunks
    }

    /// Cuts one half of the face into sentences; sided movements come last in theirs.
    fn split(&mut self, told: Vec<Told>) -> Vec<Vec<Told>> {
        let (sided, even): (Vec<_>, Vec<_>) = told.into_iter().partition(Told::is_sided);
        let most = match even.len() {
            4 => 2,
            3 if self.voice.chance(0.3) => 2,
            _ => 3,
        };
        let mut chunks: Vec<Vec<Told>> = even.chunks(most).map(<[_]>::to_vec).collect();
        for one in sided {
            match chunks.last_mut() {
                Some(last) if last.len() == 1 && !last[0].is_sided() => last.push(one),
                _ => chunks.push(vec![one]),
            }
        }
        // The strongest sentence first.
        let level = |chunk: &Vec<Told>| chunk[0].left.max(chunk[0].right);
        chunks.sort_by(|a, b| level(b).total_cmp(&level(a)));
        chunks
    }

    fn intro(
        &mut self,
        before: Option<bool>,
        upper: bool,
        chunk: &[Told],
        chunks: usize,
        at: usize,
    ) -> &'static str {
        if self.detail != Detail::Full {
            return "";
        }
        let crossing = before.is_some_and(|b| b != upper);
        let lips = chunk
            .iter()
            .all(|t| !is_upper(t.cue) && region(t.cue) == Region::Mouth);
        let choices: &[&str] = match (crossing, upper) {
            (true, true) => &["in the upper face, ", "higher up, ", "", ""],
            (true, false) if lips => &[
                "in the lower face, ",
                "at the mouth, ",
                "around the mouth, ",
                "",
                "",
            ],
            (true, false) => &["in the lower face, ", "", ""],
            (false, false) if at == 0 && chunks > 1 && chunk.len() == 3 && lips => &[
                "the mouth moves most: ",
                "most of the movement is at the mouth: ",
                "",
                "",
                "",
            ],
            _ => &[""],
        };
        self.voice.pick(choices)
    }

    fn body(&mut self, chunk: &[Told]) -> String {
        match *chunk {
            [a] => self.clause(a, true),
            [a, b] => self.two(a, b),
            [a, b, c] => self.three(a, b, c),
            _ => {
                let clauses: Vec<_> = chunk.iter().map(|&t| self.clause(t, false)).collect();
                clauses.join(", ")
            }
        }
    }

    fn two(&mut self, a: Told, b: Told) -> String {
        let same = a.degree == b.degree && !a.is_doubtful() && !b.is_doubtful();
        let fits = !b.is_sided() && !b.is_doubtful();
        if let Some(state) = self.shared_state(a, b) {
            let (x, y) = (self.subject(a).0, self.subject(b).0);
            let how = self.how_state(state, a.degree);
            return match is_both(&x) || is_both(&y) || a.degree == Degree::Extreme {
                true => format!("{x} and {y} are {how}"),
                false => format!("{x} and {y} are both {how}"),
            };
        }
        if same
            && fits
            && !a.is_sided()
            && self.detail != Detail::Long
            && self.voice.chance(0.25)
            && !matches!(a.degree, Degree::Trace | Degree::Extreme)
        {
            let (x, y) = (self.plain(a), self.plain(b));
            let how = self.voice.pick(a.degree.behind());
            return format!("{x} and {y}, both {how}");
        }
        let first = self.clause(a, false);
        if fits && self.voice.chance(0.35) {
            return format!("{first}, with {}", self.nominal(b));
        }
        let glue = self.voice.pick(&[", and ", ", and ", ", while "]);
        format!("{first}{glue}{}", self.clause(b, true))
    }

    fn three(&mut self, a: Told, b: Told, c: Told) -> String {
        let any = |is: fn(&Told) -> bool| [a, b, c].iter().any(is);
        let doubtful = any(Told::is_doubtful);
        let long = self.detail == Detail::Long;
        let all_same = a.degree == b.degree && b.degree == c.degree && !doubtful && !long;
        let plain = !matches!(a.degree, Degree::Trace | Degree::Extreme);
        if all_same && plain && !any(Told::is_sided) && self.voice.chance(0.5) {
            let (x, y, z) = (self.plain(a), self.plain(b), self.plain(c));
            let how = self.voice.pick(a.degree.behind());
            return format!("{x}, {y} and {z}, all {how}");
        }
        if self.shared_state(a, b).is_some() {
            let pair = self.two(a, b);
            return match self.voice.chance(0.5) {
                true => format!("{pair}, with {}", self.nominal(c)),
                false => format!("{pair}, and {}", self.clause(c, true)),
            };
        }
        let first = self.clause(a, false);
        match self.voice.below(if doubtful { 1 } else { 3 }) {
            _ if doubtful => {
                let (second, third) = (self.clause(b, false), self.clause(c, true));
                format!("{first}, {second} and {third}")
            }
            0 => format!("{first}, with {} and {}", self.nominal(b), self.nominal(c)),
            1 => {
                let second = self.clause(b, false);
                format!("{first}, and {second}, with {}", self.nominal(c))
            }
            _ => {
                let (second, third) = (self.clause(b, false), self.clause(c, true));
                format!("{first}, {second} and {third}")
            }
        }
    }

    /// The state that two even movements of one degree share.
    fn shared_state(&self, a: Told, b: Told) -> Option<&'static str> {
        let whole = |t: Told| matches!(t.extent, Extent::Even | Extent::Single);
        let doubtful = a.is_doubtful() || b.is_doubtful() || self.detail == Detail::Long;
        if a.degree != b.degree || !whole(a) || !whole(b) || doubtful {
            return None;
        }
        let (x, y) = (a.words(self.bank), b.words(self.bank));
        x.state
            .iter()
            .find(|s| y.state.contains(s))
            .map(String::as_str)
    }

    /// What the last movement of a sentence does to the face.
    fn consequence(&mut self, chunk: &[Told], body: &str) -> &'static str {
        let Some(last) = chunk
            .last()
            .filter(|t| matches!(t.extent, Extent::Single | Extent::Even))
        else {
            return "";
        };
        let cue = |told: &Told| Knowledge::builtin().cues()[told.cue].name.as_str();
        let has = |name: &str| chunk.iter().any(|t| cue(t) == name);
        let listed = body.ends_with("all moderately") || body.contains(", with ");
        if self.detail != Detail::Full || listed || !self.voice.chance(0.45) {
            return "";
        }
        let strong = matches!(last.degree, Degree::Marked | Degree::Extreme);
        let choices: &[&str] = match cue(last) {
            "lids_up" if strong => &[
                ", so the eyes are very wide",
                ", which leaves the eyes very wide",
            ],
            "lids_up" => &[
                ", which widens the eyes a little",
                ", so the eyes are wider than at rest",
            ],
            "jaw" if strong => &[", so the mouth is wide open"],
            "jaw" => &[", so the mouth is open"],
            "lip_up" | "lip_down" if has("lip_up") && has("lip_down") => &[
                ", so the lips part",
                ", which parts the lips",
                ", so both lips draw back from the teeth",
            ],
            "lip_down" => &[", which parts the lips a little", ", so the lips part"],
            _ => &[""],
        };
        self.voice.pick(choices)
    }

    /// That nothing else moves, where that is sure.
    fn rest(&mut self) -> Option<&'static str> {
        let face = &self.analysis.face;
        let quiet = face.measured.iter().all(|cue| {
            face.still.contains(cue) || face.acting.contains(cue) && !self.half_known(cue)
        });
        let knowledge = Knowledge::builtin();
        let mut feafa = knowledge.cues().iter().enumerate();
        let known = feafa.all(|(place, cue)| {
            !cue.units.iter().all(|unit| unit.is_feafa()) || face.measured.contains(place)
        });
        if self.detail != Detail::Full || !quiet || !known || face.acting.len() > 3 {
            return None;
        }
        Some(self.voice.pick(&[
            "Nothing else moves.",
            "The rest of the face is still.",
            "No other movement is visible.",
            "No other movement can be seen.",
            "The rest of the face stays at rest.",
            "Nothing else in the face moves.",
        ]))
    }

    /// Whether one side of an acting cue is neither active nor surely at rest.
    fn half_known(&self, cue: usize) -> bool {
        let told = Told::new(Knowledge::builtin(), self.analysis, cue);
        match self.analysis.face.state(cue).extent {
            Extent::Near | Extent::Leaning(_) => true,
            Extent::OneSided(_) => !told.still_side,
            _ => false,
        }
    }
}
