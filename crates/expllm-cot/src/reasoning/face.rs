//! The cues of one face: which act, on which side, and which are surely at rest.

use expllm_core::{ActionUnit, AuVector, Side};

use crate::knowledge::{Cue, CueSet, Knowledge, Region};

/// Intensity below which a movement is no more than a trace.
const TRACE: f32 = 0.25;
/// The same for brows, whose resting shape differs most from person to person.
const TRACE_OF_BROWS: f32 = 0.3;
/// A face in which nothing goes further than this is read from its traces.
const ALL_FAINT: f32 = 0.35;

/// How a cue acts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Extent {
    /// It does not act, or was not measured.
    #[default]
    Inactive,
    /// One unit in the middle of the face.
    Single,
    /// Both sides, about alike.
    Even,
    /// Both sides, one of them clearly further.
    Uneven,
    /// One side is active and the other only just not, which is no asymmetry.
    Near,
    /// One side is active, and the other was not measured.
    Leaning(Side),
    /// One side alone.
    OneSided(Side),
}

/// One cue of a face.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CueState {
    pub extent: Extent,
    /// Intensity of the left side or of the only unit; 0 where unmeasured.
    pub left: f32,
    /// Intensity of the right side or of the only unit.
    pub right: f32,
}

impl CueState {
    /// Intensity as one number: the mean of both sides, or that of the side that acts.
    pub(crate) fn level(&self) -> f32 {
        match self.extent {
            Extent::Leaning(Side::Left) | Extent::OneSided(Side::Left) => self.left,
            Extent::Leaning(_) | Extent::OneSided(_) => self.right,
            Extent::Near => self.peak(),
            _ => f32::midpoint(self.left, self.right),
        }
    }

    /// The intensity of the further side.
    pub(crate) fn peak(&self) -> f32 {
        self.left.max(self.right)
    }
}

/// A face as the reasoner sees it.
#[derive(Debug, Clone)]
pub(crate) struct Face {
    states: Vec<CueState>,
    /// Act in any way.
    pub acting: CueSet,
    /// Act on both sides, as far as the sides can be told apart; traces too.
    pub both: CueSet,
    /// Act, and not on one side alone; without what is a mere trace beside stronger movements.
    pub whole: CueSet,
    /// Act on one side alone; without traces, too.
    pub one_sided: CueSet,
    /// Act on both sides, one of them further.
    pub uneven: CueSet,
    /// Were measured on every side and are surely at rest.
    pub still: CueSet,
    /// Were measured on every side.
    pub measured: CueSet,
}

impl Face {
    pub(crate) fn new(knowledge: &Knowledge, units: &AuVector) -> Self {
        let mut face = Self {
            states: Vec::with_capacity(knowledge.cues.len()),
            acting: CueSet::default(),
            both: CueSet::default(),
            whole: CueSet::default(),
            one_sided: CueSet::default(),
            uneven: CueSet::default(),
            still: CueSet::default(),
            measured: CueSet::default(),
        };
        for (place, cue) in knowledge.cues.iter().enumerate() {
            let state = state(knowledge, cue, units);
            face.sort(place, state.extent);
            if cue.units.iter().all(|&unit| units.get(unit).is_some()) {
                face.measured.insert(place);
                if state.peak() < knowledge.thresholds.absent_below {
                    face.still.insert(place);
                }
            }
            face.states.push(state);
        }
        face.leave_out_traces(knowledge);
        face
    }

    /// What barely acts sets no pattern where something else acts well.
    fn leave_out_traces(&mut self, knowledge: &Knowledge) {
        let levels = self.acting.iter().map(|cue| self.level(cue));
        let all_faint = levels.fold(0.0, f32::max) < ALL_FAINT;
        let trace = |cue: usize| match knowledge.cues[cue].region {
            Region::Brows => TRACE_OF_BROWS,
            _ => TRACE,
        };
        let telling: CueSet = self
            .acting
            .iter()
            .filter(|&cue| all_faint || self.level(cue) >= trace(cue))
            .collect();
        self.whole = self.whole.and(telling);
        self.one_sided = self.one_sided.and(telling);
        self.uneven = self.uneven.and(telling);
    }

    /// Takes a cue out of the patterns; it still acts.
    pub(crate) fn set_apart(&mut self, cue: usize) {
        for set in [&mut self.whole, &mut self.one_sided, &mut self.uneven] {
            set.remove(cue);
        }
    }

    /// Acts in a way that a pattern can be built on.
    pub(crate) fn telling(&self) -> CueSet {
        self.whole.union(self.one_sided)
    }

    fn sort(&mut self, place: usize, extent: Extent) {
        match extent {
            Extent::Inactive => return,
            Extent::OneSided(_) => self.one_sided.insert(place),
            Extent::Uneven => {
                self.uneven.insert(place);
                self.whole.insert(place);
            }
            Extent::Single | Extent::Even => self.whole.insert(place),
            // Of a pair of which one side is just below the threshold little can be said.
            Extent::Near | Extent::Leaning(_) => {}
        }
        self.acting.insert(place);
        if !matches!(extent, Extent::OneSided(_) | Extent::Leaning(_)) {
            self.both.insert(place);
        }
    }

    pub(crate) fn state(&self, cue: usize) -> &CueState {
        &self.states[cue]
    }

    /// Intensity of a cue; small, but not 0, where it does not act.
    pub(crate) fn level(&self, cue: usize) -> f32 {
        self.states[cue].level()
    }
}

fn state(knowledge: &Knowledge, cue: &Cue, units: &AuVector) -> CueState {
    let value = |unit: ActionUnit| units[unit].get();
    let active = |unit: ActionUnit| units[unit].is_active();
    let (left, right) = match *cue.units.as_slice() {
        [left, right] => (left, right),
        _ => (cue.units[0], cue.units[0]),
    };
    let limits = &knowledge.thresholds;
    let apart = (value(left) - value(right)).abs();
    let known = units.get(left).is_some() && units.get(right).is_some();
    let one = |side| match known {
        false => Extent::Leaning(side),
        true if apart >= limits.one_sided_from => Extent::OneSided(side),
        true => Extent::Near,
    };
    let extent = match (active(left), active(right)) {
        (false, false) => Extent::Inactive,
        _ if left == right => Extent::Single,
        (true, false) => one(Side::Left),
        (false, true) => one(Side::Right),
        _ if apart >= limits.uneven_from => Extent::Uneven,
        _ => Extent::Even,
    };
    CueState {
        extent,
        left: value(left),
        right: value(right),
    }
}
