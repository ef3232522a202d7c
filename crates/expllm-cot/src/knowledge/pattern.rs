//! Sets of cues and conditions on a face.

use crate::reasoning::Face;

/// A set of cues, by their places in the knowledge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CueSet(u64);

impl CueSet {
    /// How many cues a set can hold, and so how many a knowledge file may have.
    pub(crate) const CAPACITY: usize = 64;

    pub(crate) fn insert(&mut self, cue: usize) {
        self.0 |= 1 << cue;
    }

    pub(crate) fn remove(&mut self, cue: usize) {
        self.0 &= !(1 << cue);
    }

    pub(crate) const fn contains(self, cue: usize) -> bool {
        self.0 & (1 << cue) != 0
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::CAPACITY).filter(move |&cue| self.contains(cue))
    }
}

impl FromIterator<usize> for CueSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cues: I) -> Self {
        let mut set = Self::default();
        for cue in cues {
            set.insert(cue);
        }
        set
    }
}

/// Conditions on the cues of a face; all of them must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Pattern {
    /// Act, and not on one side alone.
    pub all: CueSet,
    /// Act on one side alone.
    pub one_sided: CueSet,
    /// Of each set at least one acts, on whatever side.
    pub any: Vec<CueSet>,
    /// Do not act, or are a mere trace.
    pub none: CueSet,
    /// Were measured and are surely at rest.
    pub absent: CueSet,
    /// Cue, least and greatest intensity.
    pub bounds: Vec<(usize, f32, f32)>,
    /// Nothing else acts.
    pub only: bool,
}

impl Pattern {
    pub(crate) fn matches(&self, face: &Face) -> bool {
        self.all.within(face.whole)
            && self.one_sided.within(face.one_sided)
            && !self.none.meets(face.telling())
            && self.absent.within(face.still)
            && self.any.iter().all(|any| any.meets(face.telling()))
            && (!self.only || face.acting.within(self.named()))
            && self.bounds.iter().all(|&(cue, low, high)| {
                let level = face.level(cue);
                !face.acting.contains(cue) || (low..high).contains(&level)
            })
    }

    /// Cues that the pattern lets act.
    fn named(&self) -> CueSet {
        let any = self.any.iter().fold(CueSet::default(), |a, b| a.union(*b));
        self.all.union(self.one_sided).union(any)
    }

    /// Everything that this pattern asks and `other` too.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let joined = |a: &[_], b: &[_]| [a, b].concat();
        Self {
            all: self.all.union(other.all),
            one_sided: self.one_sided.union(other.one_sided),
            any: joined(&self.any, &other.any),
            none: self.none.union(other.none),
            absent: self.absent.union(other.absent),
            bounds: [self.bounds.as_slice(), &other.bounds].concat(),
            only: self.only || other.only,
        }
    }
}
