//! Candidates for a sentence, side by side.

use expllm_core::Verdict;

use super::line::Line;
use super::verified::{Bench, Draft, Place, Stop};
use super::{BatchPrefix, CancelToken, GenerationSettings, Prefix};
use crate::ModelError;

/// Temperature of candidates where the answer itself takes the likeliest token: enough for
/// another wording, too little for another meaning.
const TEMPERATURE: f32 = 0.7;

/// How candidates are drawn, and how much of that may still be done.
#[derive(Debug)]
pub(super) struct Redraws {
    draws: usize,
    /// Most of them at a time.
    rows: usize,
    temperature: f32,
    seed: u64,
    /// Tokens that may still be run.
    left: usize,
}

/// A candidate that stands.
pub(super) struct Found<'m> {
    pub(super) line: Line,
    /// Where its sentence ends in the text.
    pub(super) end: usize,
    /// The batch and row to go on from, with the tokens run there and the scores after them;
    /// nothing where the answer has ended.
    pub(super) place: Option<(BatchPrefix<'m>, usize, usize, Vec<f32>)>,
}

impl Redraws {
    pub(super) fn new(settings: &GenerationSettings, draws: usize, rows: usize) -> Self {
        Self {
            draws,
            rows,
            temperature: match settings.temperature > 0.0 {
                true => settings.temperature,
                false => TEMPERATURE,
            },
            seed: settings.seed,
            left: draws.saturating_mul(settings.max_new_tokens),
        }
    }

    /// Whether anything is drawn again at all.
    pub(super) fn any(&self) -> bool {
        self.draws > 0
    }

    /// Draws sentences from a place on, none beginning with the `unwanted` token, and gives one that
    /// stands. Where a token is unwanted, it has to name a unit not named yet.
    pub(super) fn find<'m>(
        &mut self,
        (prefix, start): (&Prefix<'m>, &Place),
        unwanted: Option<u32>,
        bench: &Bench<'_>,
        cancel: &CancelToken,
    ) -> Result<Option<Found<'m>>, ModelError> {
        let mut numbers = 0..self.draws;
        while !numbers.is_empty() && self.left > 0 && !cancel.is_cancelled() {
            let group: Vec<_> = numbers.by_ref().take(self.rows).collect();
            let mut batch = Candidates::new((prefix, start), &group, self);
            batch.run((start, unwanted), bench, (&mut self.left, cancel))?;
            let found = batch.best(start, usize::from(unwanted.is_some()), bench);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Sentences that are drawn side by side.
struct Candidates<'m> {
    batch: BatchPrefix<'m>,
    drafts: Vec<Draft>,
    stops: Vec<Option<Stop>>,
}

impl<'m> Candidates<'m> {
    fn new((prefix, start): (&Prefix<'m>, &Place), numbers: &[usize], draws: &Redraws) -> Self {
        let draft = |&number: &usize| {
            let mut line = start.line.clone();
            // Each place has numbers of its own.
            let seed = (start.run * draws.draws + number + 1) as u64;
            let seed = draws.seed.wrapping_add(seed);
            line.sampler = line.sampler.redrawing(draws.temperature, seed);
            Draft::new(line)
        };
        let rows = numbers.len();
        Self {
            batch: BatchPrefix::of_prefix(prefix, start.run, &start.scores, rows),
            drafts: numbers.iter().map(draft).collect(),
            stops: numbers.iter().map(|_| None).collect(),
        }
    }

    /// Runs all of them to the end of their sentence, as far as the tokens last.
    fn run(
        &mut self,
        (start, unwanted): (&Place, Option<u32>),
        bench: &Bench<'_>,
        (left, cancel): (&mut usize, &CancelToken),
    ) -> Result<(), ModelError> {
        let mut unwanted = unwanted;
        while *left > 0 && !cancel.is_cancelled() {
            let next = self.choose(unwanted.take(), bench)?;
            let count = next.iter().flatten().count();
            if count == 0 {
                break;
            }
            *left = left.saturating_sub(count);
            self.batch.push(&next)?;
            for row in (0..next.len()).filter(|&row| next[row].is_some()) {
                let state = (
                    self.batch.tokens()[row].len(),
                    &self.batch.scores()[row][..],
                );
                self.stops[row] = self.drafts[row].note(state, start, bench);
            }
        }
        Ok(())
    }

    /// The next token of each that has not stopped.
    fn choose(
        &mut self,
        unwanted: Option<u32>,
        bench: &Bench<'_>,
    ) -> Result<Vec<Option<u32>>, ModelError> {
        let mut next = vec![None; self.drafts.len()];
        for (row, next) in next.iter_mut().enumerate() {
            if self.stops[row].is_some() {
                continue;
            }
            let mut scores = self.batch.scores()[row].clone();
            if let Some(score) = unwanted.and_then(|token| scores.get_mut(token as usize)) {
                *score = f32::NEG_INFINITY;
            }
            let run = self.batch.tokens()[row].len();
            *next = self.drafts[row].line.step((&scores, run), &bench.ends)?;
            if next.is_none() {
                self.stops[row] = Some(Stop::End);
            }
        }
        Ok(next)
    }

    /// The candidate that stands and names most new units, at least `least`; the first of equals.
    fn best(mut self, start: &Place, least: usize, bench: &Bench<'_>) -> Option<Found<'m>> {
        let rate = |row: usize| {
            let stop = self.stops[row].as_ref()?;
            let (end, verdict) = bench.judge(&self.drafts[row], stop, start.end);
            let new = match verdict {
                Verdict::Stands { new_units } => new_units,
                Verdict::Hasty => 0,
                _ => return None,
            };
            (new >= least && end > start.end).then_some((new, row, end))
        };
        let rated = (0..self.drafts.len()).rev().filter_map(rate);
        // The last of equals, so from behind.
        let (_, row, end) = rated.max_by_key(|(new, ..)| *new)?;
        Some(match self.stops.swap_remove(row) {
            Some(Stop::Sentence(place)) => Found {
                line: place.line,
                end,
                place: Some((self.batch, row, place.run, place.scores)),
            },
            _ => Found {
                line: self.drafts.swap_remove(row).line,
                end,
                place: None,
            },
        })
    }
}
