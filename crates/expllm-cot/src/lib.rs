//! The Exp-CoT engine: checked chain-of-thought training data from labelled faces.
//!
//! Faces with labels and action units go in, instruction data with a chain of thought per face
//! comes out. A writer (the offline [`Composer`], or any language model behind [`TextWriter`])
//! writes each chain, a [`Checker`] holds every statement against the intensities, and a failed
//! text goes back to the writer with what was found.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `remote` | no | writers behind HTTP (`OpenAiWriter`), and `Engine::run` for writers that wait |
//! | `parquet` | no | data sets in columns |

mod blind;
mod checks;
mod composer;
mod engine;
mod error;
mod facs_table;
mod formats;
mod grade;
mod journal;
mod judge;
mod knowledge;
mod labels;
#[cfg(feature = "remote")]
mod openai;
mod prompt;
mod reader;
mod reasoning;
mod record;
mod repetition;
mod resume;
mod summary;
mod units;
mod verify;
mod writer;

pub use blind::{BlindKey, BlindPair, Form, QUESTIONS, Verdicts, Wins, blind, empty_form};
pub use checks::{Check, Checked, Checker, Finding};
pub use composer::{Composer, WORD_LIMIT};
pub use engine::{Engine, EngineConfig, OnFailure};
pub use error::CotError;
pub use expllm_core::ChainOfThought;
pub use facs_table::FacsTable;
pub use formats::{DatasetFormat, Row, read_rows, write_dataset, write_list};
pub use grade::{Example, Grade, Grader, UnitGrade};
pub use journal::Journal;
pub use judge::{ChainFigures, ChainScore, JudgedText, MeanScore, judge, round_trip};
pub use knowledge::{Cue, Knowledge, KnowledgeError, KnowledgeFault, Region, Thresholds};
pub use labels::{Stance, claimed as claimed_labels, concludes, stances};
#[cfg(feature = "remote")]
pub use openai::{OpenAiConfig, OpenAiWriter};
pub use prompt::{Message, PromptFiles, Prompts, describe_units};
pub use reader::{chain_sentences, ground, sentences, statements};
pub use reasoning::{Certainty, CueReading, Reasoning, Rival, Support, reason};
pub use record::{BuiltRecord, CotRecord, Status, Usage};
pub use summary::Summary;
pub use units::UnitReader;
pub use verify::ChainJudge;
pub use writer::{Draft, LocalWriter, TextWriter, WriteError, WriteRequest};
