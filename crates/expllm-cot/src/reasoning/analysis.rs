//! Evidence for each expression, and what follows from it for one label.

use expllm_core::{AuVector, Doubt, Expression, ExpressionProbabilities, ExpressionSet};

use super::face::{Extent, Face};
use super::{Certainty, Support};
use crate::knowledge::{CueSet, Knowledge};

/// Intensity from which a cue counts in full.
const FULL: f32 = 0.7;
/// What a movement of one side alone counts.
const ONE_SIDE: f32 = 0.5;
/// Net evidence from which a label is supported at all.
const SUPPORT: f32 = 0.15;
/// Net evidence from which something clearly speaks for a label.
const SPEAKS: f32 = 0.35;
/// Where the units favour another expression by this much, they do not support the label.
const FAR_BEHIND: f32 = 0.65;
/// A second reading below this probability is not worth a word.
const PLAUSIBLE: f32 = 0.08;
/// Intensity of a movement that no face at rest shows.
const STRONG: f32 = 0.6;
/// Intensities up to which a movement is slight, and does not yet go far.
const SLIGHT: f32 = 0.35;
const MODERATE: f32 = 0.45;
/// More movements than a calm face has.
const BUSY: usize = 5;
/// A label is given for a reason: what it adds to the evidence of the units.
const GIVEN: f32 = 0.05;

/// A face, a label and what the knowledge makes of them, by places in the knowledge.
#[derive(Debug, Clone)]
pub(crate) struct Analysis {
    pub face: Face,
    pub label: Expression,
    /// Combinations that hold, as bits in the order of the knowledge.
    pub combinations: u64,
    pub stance: Support,
    pub certainty: Certainty,
    /// Probability of the label.
    pub probability: f32,
    /// The nearest other reading, where there is a plausible one.
    pub rival: Option<(Expression, f32)>,
    /// Whether the rival is so near that both readings are open.
    pub open: bool,
    /// What the units alone suggest most.
    pub shown: Expression,
    /// Cues by what they say for the label, the most telling first.
    pub favour: Vec<usize>,
    /// Cues by what they say against it, the most telling first.
    pub against: Vec<usize>,
    /// Expected cues that are surely missing, the most telling first.
    pub missing: Vec<usize>,
    /// The active cue that speaks most for the rival, and more for it than for the label.
    pub rivals_cue: Option<usize>,
    /// Whether raised corners are part of a grimace and no smile.
    pub grimace: bool,
    /// Whether the units speak for the label at all.
    pub spoken_for: bool,
    /// Why the face could be read only in part.
    pub in_part: Option<Doubt>,
}

impl Analysis {
    pub(crate) fn new(
        knowledge: &Knowledge,
        units: &AuVector,
        label: Expression,
        given: Option<&ExpressionProbabilities>,
        set: ExpressionSet,
    ) -> Self {
        let mut face = Face::new(knowledge, units);
        let mut combinations = combinations_of(knowledge, &face);
        let evidence = evidence(knowledge, &face, combinations);
        let own = probabilities(knowledge, &evidence, label, set);
        let given = given.map(|p| Expression::ALL.map(|e| p.within(set).get(e).get()));
        let all = given.unwrap_or(own);
        let probability = all[label.index()];
        let smile = all[Expression::Happiness.index()];
        let grimace = is_grimace(knowledge, combinations, label, smile);
        if let Some((corners, bit)) = grimace {
            face.set_apart(corners);
            combinations = combinations_of(knowledge, &face) | bit;
        }
        let shown = best(&evidence, set, |_| true).unwrap_or(Expression::Neutral);
        let rival = best(&all, set, |e| e != label).map(|e| (e, all[e.index()]));
        let rival = rival.filter(|&(_, p)| p >= PLAUSIBLE);
        let limits = &knowledge.thresholds;
        let open = rival.is_some_and(|(_, p)| (p - probability).abs() < limits.open_within);
        let stance = stance(&face, label, shown, &evidence);
        let (favour, against) = sides(knowledge, &face, label);
        Self {
            combinations,
            stance,
            certainty: certainty(limits, probability)
                .min(most_certain(&face, label))
                .min(borne_out(&face, &favour, given.is_some())),
            probability,
            rival,
            open: open && stance == Support::Supported,
            shown,
            favour,
            against,
            missing: missing(knowledge, &face, label),
            rivals_cue: rival.and_then(|(other, _)| rivals_cue(knowledge, &face, label, other)),
            grimace: grimace.is_some(),
            spoken_for: evidence[label.index()] >= SPEAKS,
            in_part: None,
            face,
            label,
        }
    }

    /// The analysis of a face of which only part could be read: it is a degree less sure.
    pub(crate) fn read_in_part(self, why: Doubt) -> Self {
        let certainty = match self.certainty {
            Certainty::Clearly => Certainty::Probably,
            _ => Certainty::Tentatively,
        };
        Self {
            certainty,
            in_part: Some(why),
            ..self
        }
    }

    /// Whether the units speak for the label, and by far more for another one.
    pub(crate) fn outweighed(&self) -> bool {
        self.stance == Support::Unsupported && self.shown != Expression::Neutral && self.spoken_for
    }

    /// Whether a combination holds, by its place in the knowledge.
    pub(crate) const fn holds(&self, combination: usize) -> bool {
        self.combinations & (1 << combination) != 0
    }
}

fn certainty(limits: &crate::knowledge::Thresholds, probability: f32) -> Certainty {
    match probability {
        p if p >= limits.clearly => Certainty::Clearly,
        p if p >= limits.probably => Certainty::Probably,
        _ => Certainty::Tentatively,
    }
}

/// A face in which something moves is never clearly neutral, and one that moves much hardly at all.
fn most_certain(face: &Face, label: Expression) -> Certainty {
    let strong = |cue: usize| face.level(cue) >= STRONG;
    match label {
        Expression::Neutral if face.acting.len() > BUSY || face.acting.iter().any(strong) => {
            Certainty::Tentatively
        }
        Expression::Neutral if !face.acting.is_empty() => Certainty::Probably,
        _ => Certainty::Clearly,
    }
}

/// Without the probabilities of a network, faint movements alone make no label sure.
fn borne_out(face: &Face, favour: &[usize], given: bool) -> Certainty {
    let levels = favour.iter().map(|&cue| face.level(cue));
    match levels.reduce(f32::max) {
        Some(level) if !given && level < SLIGHT => Certainty::Tentatively,
        Some(level) if !given && level < MODERATE => Certainty::Probably,
        _ => Certainty::Clearly,
    }
}

/// The raised corners of a grimace, with the bit of that combination: where frown, nose or a stretch
/// go with them and joy is unlikely.
fn is_grimace(
    knowledge: &Knowledge,
    combinations: u64,
    label: Expression,
    happiness: f32,
) -> Option<(usize, u64)> {
    let corners = knowledge.cue("corners")?;
    let bit = 1 << knowledge.combination("grimace")?;
    let unlikely = label != Expression::Happiness && happiness < knowledge.thresholds.grimace_below;
    (unlikely && combinations & bit != 0).then_some((corners, bit))
}

fn rivals_cue(
    knowledge: &Knowledge,
    face: &Face,
    label: Expression,
    rival: Expression,
) -> Option<usize> {
    let weight = |e: Expression, cue: usize| knowledge.prototypes[e.index()].weights[cue];
    let says = |cue: usize| weight(rival, cue) * force(face, cue);
    let whole = face.whole.iter();
    let apart = whole.filter(|&c| weight(rival, c) > weight(label, c).max(0.0));
    apart.max_by(|&a, &b| says(a).total_cmp(&says(b)))
}

fn combinations_of(knowledge: &Knowledge, face: &Face) -> u64 {
    let all = knowledge.combinations.iter().enumerate();
    all.filter(|(_, c)| c.pattern.matches(face))
        .fold(0, |bits, (place, _)| bits | 1 << place)
}

/// How much a cue counts, 0 to 1.
fn force(face: &Face, cue: usize) -> f32 {
    let state = face.state(cue);
    let full = (state.level() / FULL).min(1.0);
    match state.extent {
        Extent::Inactive => 0.0,
        Extent::OneSided(_) => full * ONE_SIDE,
        _ => full,
    }
}

fn evidence(knowledge: &Knowledge, face: &Face, holding: u64) -> [f32; Expression::COUNT] {
    let mut sums = [0.0; Expression::COUNT];
    sums[Expression::Neutral.index()] = knowledge.thresholds.rest;
    for cue in face.acting.iter() {
        let force = force(face, cue);
        for expression in Expression::ALL {
            let weights = &knowledge.prototypes[expression.index()].weights;
            sums[expression.index()] += force * weights[cue];
        }
    }
    for (place, combination) in knowledge.combinations.iter().enumerate() {
        if holding & (1 << place) != 0 {
            let cues = combination.pattern.all.union(combination.pattern.one_sided);
            let least = cues.iter().map(|cue| face.level(cue) / FULL);
            let least = least.fold(1.0, f32::min);
            for &(expression, weight) in &combination.evidence {
                sums[expression.index()] += least * weight;
            }
        }
    }
    sums
}

fn probabilities(
    knowledge: &Knowledge,
    evidence: &[f32; Expression::COUNT],
    label: Expression,
    set: ExpressionSet,
) -> [f32; Expression::COUNT] {
    let sharpness = knowledge.thresholds.sharpness;
    let weigh = |e: Expression| match set.contains(e) {
        true if e == label => (sharpness * (evidence[e.index()] + GIVEN)).exp(),
        true => (sharpness * evidence[e.index()]).exp(),
        false => 0.0,
    };
    let weights = Expression::ALL.map(weigh);
    let sum: f32 = weights.iter().sum();
    weights.map(|w| w / sum)
}

/// The expression of the set with the greatest value among those wanted.
fn best(
    values: &[f32; Expression::COUNT],
    set: ExpressionSet,
    wanted: impl Fn(Expression) -> bool,
) -> Option<Expression> {
    let all = set.expressions().iter().copied().filter(|&e| wanted(e));
    all.max_by(|a, b| values[a.index()].total_cmp(&values[b.index()]))
}

fn stance(
    face: &Face,
    label: Expression,
    shown: Expression,
    evidence: &[f32; Expression::COUNT],
) -> Support {
    let own = evidence[label.index()];
    let other = evidence[shown.index()];
    let far = shown != Expression::Neutral && other - own > FAR_BEHIND;
    if face.acting.is_empty() {
        Support::Rest
    } else if own < SUPPORT || far {
        Support::Unsupported
    } else {
        Support::Supported
    }
}

/// Cues for the label and cues against it, the most telling first.
fn sides(knowledge: &Knowledge, face: &Face, label: Expression) -> (Vec<usize>, Vec<usize>) {
    let weights = &knowledge.prototypes[label.index()].weights;
    let says = |cue: usize| weights[cue] * force(face, cue);
    let mut cues: Vec<usize> = face.acting.iter().filter(|&c| weights[c] != 0.0).collect();
    cues.sort_by(|&a, &b| says(b).abs().total_cmp(&says(a).abs()));
    cues.into_iter().partition(|&cue| weights[cue] > 0.0)
}

fn missing(knowledge: &Knowledge, face: &Face, label: Expression) -> Vec<usize> {
    let groups = knowledge.prototypes[label.index()].expects.iter();
    let gone = groups.filter(|group| !group.meets(face.acting));
    let surely = |group: &CueSet| {
        let known: CueSet = group
            .iter()
            .filter(|&c| face.measured.contains(c))
            .collect();
        (!known.is_empty() && known.within(face.still)).then_some(known)
    };
    gone.filter_map(surely).flat_map(CueSet::iter).collect()
}
