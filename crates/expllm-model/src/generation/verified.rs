//! Answers whose sentences are held against a face before they are given.

use std::sync::Arc;

use expllm_core::{JudgedFace, NewSentence, SentenceJudge, Verdict};

use super::line::{Ends, Line};
use super::redraw::{Found, Redraws};
use super::{CancelToken, GenerationSettings, Prefix, Sampler};
use crate::{ModelError, Tokenizer};

/// Tokens after which a sentence is taken to end nowhere.
const SENTENCE_TOKENS: usize = 160;

/// Sentences in a row that lead astray, in spite of every draw, before the text ends.
const PATIENCE: u32 = 2;

/// How the sentences of answers are verified.
#[derive(Clone)]
pub struct Verification {
    /// Who judges them.
    pub judge: Arc<dyn SentenceJudge>,
    /// How many candidates are drawn, side by side, in place of a sentence that does not stand; 0
    /// only marks it.
    pub draws: u32,
}

/// A sentence of an answer, with the white space and the heading ahead of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPiece {
    /// The text.
    pub text: String,
    /// Whether it may be shown without a mark.
    pub stands: bool,
}

/// The text of an answer, sentence by sentence, each judged before it is given.
///
/// The answer is the one that [`TextStream`](super::TextStream) gives up to the first sentence that
/// does not stand. In its place candidates are drawn as one batch after the same keys and values,
/// at the temperature of the settings or, where that is 0, at 0.7; of those that stand, the one
/// that names most active units not named yet is taken, the first of equals. Where the
/// observations end too soon, candidates that go on with them are drawn in the same way.
///
/// The work is bounded: an answer has no more tokens than the settings allow, and no more than that
/// many for each draw are run in candidates. A sentence of 160 tokens is taken to end nowhere; after
/// two in a row that do, repeat themselves or are in another language, the text ends.
#[derive(Debug)]
pub struct VerifiedStream<'m> {
    prefix: Prefix<'m>,
    draft: Draft,
    /// Where the sentence that is being written began.
    start: Place,
    bench: Bench<'m>,
    redraws: Redraws,
    cancel: CancelToken,
    /// Sentences in a row that led astray.
    astray: u32,
    over: bool,
}

/// What judges sentences and ends answers.
pub(super) struct Bench<'m> {
    judge: &'m dyn SentenceJudge,
    face: JudgedFace,
    pub(super) ends: Ends,
}

impl std::fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("face", &self.face).finish()
    }
}

/// A place of an answer that can be returned to.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) line: Line,
    /// Tokens that were run there, prompt included.
    pub(super) run: usize,
    /// The scores after them.
    pub(super) scores: Vec<f32>,
    /// The end of the sentence in the text; white space may follow.
    pub(super) end: usize,
}

/// A line with the last place where its sentence may end.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) line: Line,
    mark: Option<Place>,
}

/// Why a draft pauses.
#[derive(Debug)]
pub(super) enum Stop {
    /// A sentence has ended.
    Sentence(Place),
    /// It will not end.
    TooLong(Place),
    /// The answer has ended.
    End,
}

impl Draft {
    pub(super) fn new(line: Line) -> Self {
        Self { line, mark: None }
    }

    /// Takes note that the tokens so far were run, and says whether a sentence that began at
    /// `start` has ended.
    pub(super) fn note(
        &mut self,
        (run, scores): (usize, &[f32]),
        start: &Place,
        bench: &Bench<'_>,
    ) -> Option<Stop> {
        let text = self.line.certain(&bench.ends);
        let place = |end| Place {
            line: self.line.clone(),
            run,
            scores: scores.to_vec(),
            end,
        };
        let ends =
            |mark: &Place| text.len() > mark.end && bench.judge.ends(text, mark.end) == Some(true);
        let ended = self.mark.take_if(|mark| ends(mark));
        let end = text.trim_end().len();
        let from = ended.as_ref().map_or(start.end, |place| place.end);
        if end > from && bench.judge.ends(text, end).is_none() {
            self.mark = Some(place(end));
        }
        if let Some(ended) = ended {
            return Some(Stop::Sentence(ended));
        }
        let length = self.line.tokens.len() - start.line.tokens.len();
        if length < SENTENCE_TOKENS {
            return None;
        }
        self.mark = None;
        Some(Stop::TooLong(place(text.len())))
    }
}

impl Bench<'_> {
    /// The end of the newest sentence of a draft that has paused, and what is to be said of it.
    pub(super) fn judge(&self, draft: &Draft, stop: &Stop, start: usize) -> (usize, Verdict) {
        let text = draft.line.certain(&self.ends);
        let (end, last) = match stop {
            Stop::Sentence(place) => (place.end, false),
            Stop::TooLong(place) => return (place.end, Verdict::Astray),
            Stop::End => (text.len(), true),
        };
        let text = &text[..end];
        let new = NewSentence { text, start, last };
        (end, self.judge.judge(&new, &self.face))
    }
}

impl<'m> VerifiedStream<'m> {
    /// An answer after a prefix, about a face. `rows` is the most candidates that are run at a
    /// time, at least 1.
    ///
    /// # Errors
    ///
    /// [`ModelError::Generation`].
    pub fn new(
        (prefix, tokenizer): (Prefix<'m>, &Tokenizer),
        settings: &GenerationSettings,
        (verification, face): (&'m Verification, JudgedFace),
        rows: usize,
        cancel: CancelToken,
    ) -> Result<Self, ModelError> {
        let sampler = Sampler::new(settings, prefix.tokens())?;
        let model = prefix.model();
        let ends = Ends::new(settings, model.ends, model.llm.config().max_positions);
        let line = Line::new(sampler, tokenizer, settings.max_new_tokens);
        let start = Place {
            line: line.clone(),
            run: prefix.tokens().len(),
            scores: prefix.scores().to_vec(),
            end: 0,
        };
        Ok(Self {
            prefix,
            draft: Draft::new(line),
            start,
            bench: Bench {
                judge: verification.judge.as_ref(),
                face,
                ends,
            },
            redraws: Redraws::new(settings, verification.draws as usize, rows.max(1)),
            cancel,
            astray: 0,
            over: false,
        })
    }

    fn step(&mut self) -> Result<Option<VerifiedPiece>, ModelError> {
        let Some(stop) = self.write()? else {
            return Ok(None);
        };
        let start = self.start.end;
        let (end, verdict) = self.bench.judge(&self.draft, &stop, start);
        let settled = matches!(verdict, Verdict::Stands { .. });
        if !settled && let Some(found) = self.redraw(verdict)? {
            return Ok(Some(self.go_on_from(found)));
        }
        let text = self.draft.line.certain(&self.bench.ends)[start..end].to_owned();
        self.over |= self.gives_up(verdict);
        match stop {
            Stop::Sentence(place) | Stop::TooLong(place) => self.start = place,
            Stop::End => self.over = true,
        }
        let stands = verdict.stands();
        Ok((!text.is_empty()).then_some(VerifiedPiece { text, stands }))
    }

    /// Writes until the draft pauses; nothing when the stream was cancelled.
    fn write(&mut self) -> Result<Option<Stop>, ModelError> {
        while !self.cancel.is_cancelled() {
            let run = self.prefix.tokens().len();
            let chosen = (self.draft.line).step((self.prefix.scores(), run), &self.bench.ends)?;
            let Some(token) = chosen else {
                return Ok(Some(Stop::End));
            };
            self.prefix.push(&[token])?;
            let state = (run + 1, self.prefix.scores());
            let stop = self.draft.note(state, &self.start, &self.bench);
            if stop.is_some() {
                return Ok(stop);
            }
        }
        Ok(None)
    }

    /// Another sentence in place of the draft's.
    fn redraw(&mut self, verdict: Verdict) -> Result<Option<Found<'m>>, ModelError> {
        let place = self.start.line.tokens.len();
        // What leads away from the observations is not to be begun again.
        let unwanted =
            (verdict == Verdict::Hasty).then(|| self.draft.line.tokens.get(place).copied());
        let (start, bench, cancel) = (&self.start, &self.bench, &self.cancel);
        let unwanted = unwanted.flatten();
        (self.redraws).find((&self.prefix, start), unwanted, bench, cancel)
    }

    /// Takes the sentence that was found.
    fn go_on_from(&mut self, found: Found<'m>) -> VerifiedPiece {
        self.astray = 0;
        let text = found.line.text[self.start.end..found.end].to_owned();
        let mut line = found.line;
        line.sampler = self.start.line.sampler.after(line.sampler);
        match found.place {
            Some((batch, row, run, scores)) => {
                batch.go_on_in(&mut self.prefix, row, (run, scores.clone()));
                let end = found.end;
                let line = line.clone();
                self.start = Place {
                    line,
                    run,
                    scores,
                    end,
                };
            }
            None => self.over = true,
        }
        self.draft = Draft::new(line);
        VerifiedPiece { text, stands: true }
    }

    /// Whether the text ends after a sentence for which nothing better was found.
    fn gives_up(&mut self, verdict: Verdict) -> bool {
        self.astray = match verdict {
            Verdict::Astray => self.astray + 1,
            _ => 0,
        };
        self.redraws.any() && self.astray >= PATIENCE
    }
}

impl Iterator for VerifiedStream<'_> {
    type Item = Result<VerifiedPiece, ModelError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step();
        self.over |= step.is_err();
        step.transpose()
    }
}
