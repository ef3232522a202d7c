//! What a person sees while `expllm cot build` runs.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use expllm_cot::{BuiltRecord, Status, Summary, Usage};
use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::tell;
use crate::CliError;

/// Prices of a million tokens.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Prices {
    /// Price per million prompt tokens, for the estimate.
    #[arg(long, default_value_t = 0.0)]
    price_in: f64,
    /// Price per million answer tokens, for the estimate.
    #[arg(long, default_value_t = 0.0)]
    price_out: f64,
}

impl Prices {
    fn cost(self, usage: Usage) -> f64 {
        let (input, output) = (usage.prompt_tokens as f64, usage.completion_tokens as f64);
        (input * self.price_in + output * self.price_out) / 1e6
    }

    /// Tokens, and what they cost where prices were given.
    pub fn spending(self, usage: Usage) -> String {
        let (input, output) = (usage.prompt_tokens, usage.completion_tokens);
        let tokens = format!("{input} + {output} tokens");
        match self.price_in > 0.0 || self.price_out > 0.0 {
            true => format!("{tokens}, cost {:.2}", self.cost(usage)),
            false => tokens,
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere; bad rows as they come.
pub struct Progress {
    bar: ProgressBar,
    prices: Prices,
    source: String,
    spent: Usage,
    /// Records of this run, not those found finished.
    records: u64,
    bad: u64,
    told: Instant,
}

impl Progress {
    /// More bad rows than this are not read by anybody; all of them stand in the output.
    const BAD_SHOWN: u64 = 20;

    /// How often there is a line where no bar can be drawn.
    const LINE_EVERY: Duration = Duration::from_secs(60);

    /// Begins behind what an earlier run finished; `total` where it is known.
    pub fn new(
        source: &Path,
        prices: Prices,
        (done, total): (u64, Option<u64>),
    ) -> Result<Self, CliError> {
        let (bar, style) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{bar:20} {pos}/{len} records, {rate}, {eta} left{msg}",
            ),
            None => (
                ProgressBar::no_length(),
                "{spinner} {pos} records, {rate}, {elapsed} gone{msg}",
            ),
        };
        let style = ProgressStyle::with_template(style).map_err(CliError::library)?;
        bar.set_style(
            style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                // The next drawing may succeed.
                let _ = write!(out, "{:.1}/s", state.per_sec());
            }),
        );
        bar.set_position(done);
        bar.reset_eta();
        Ok(Self {
            bar,
            prices,
            source: source.display().to_string(),
            spent: Usage::default(),
            records: 0,
            bad: 0,
            told: Instant::now(),
        })
    }

    /// Counts a record.
    pub fn record(&mut self, record: &BuiltRecord) {
        self.records += 1;
        self.spent.add(record.usage);
        self.bar.inc(1);
        self.bad_row(record);
        if self.spent.prompt_tokens > 0 {
            self.bar.set_message(format!(", {}", self.spending()));
        }
        if self.bar.is_hidden() && self.told.elapsed() >= Self::LINE_EVERY {
            self.told = Instant::now();
            tell(&self.line());
        }
    }

    fn line(&self) -> String {
        let mut line = self.bar.position().to_string();
        if let Some(total) = self.bar.length() {
            line.push_str(&format!(" of {total}"));
        }
        line.push_str(&format!(" records, {:.1}/s", self.bar.per_sec()));
        if self.bar.length().is_some() {
            line.push_str(&format!(", {} left", HumanDuration(self.bar.eta())));
        }
        if self.spent.prompt_tokens > 0 {
            line.push_str(&format!(", {}", self.spending()));
        }
        line
    }

    /// What was spent, and what the whole of this run may cost at this rate.
    fn spending(&self) -> String {
        let mut text = self.prices.spending(self.spent);
        let cost = self.prices.cost(self.spent);
        if let Some(total) = self.bar.length().filter(|_| cost > 0.0) {
            let left = total.saturating_sub(self.bar.position());
            let whole = cost * (1.0 + left as f64 / self.records.max(1) as f64);
            text.push_str(&format!(" of about {whole:.2}"));
        }
        text
    }

    fn bad_row(&mut self, record: &BuiltRecord) {
        let Some(reason) = record.error.as_ref() else {
            return;
        };
        self.bad += 1;
        if self.bad <= Self::BAD_SHOWN {
            self.bar.suspend(|| match record.status {
                Status::Rejected => tell(&format!("{}: {reason}", self.source)),
                _ => tell(&format!(
                    "record {} ({}): {reason}",
                    record.index, record.file_name
                )),
            });
        }
    }

    /// Ends the bar; says where bad rows are that were not shown.
    pub fn finish(&self, out: &Path) {
        self.bar.finish_and_clear();
        if self.bad > Self::BAD_SHOWN {
            let more = self.bad - Self::BAD_SHOWN;
            tell(&format!(
                "{more} more such records are in {}",
                out.display()
            ));
        }
    }

    /// What a run did, line by line.
    pub fn report(&self, summary: &Summary, done: u64) -> String {
        let mut lines = vec![format!(
            "{} records written, {done} in the file",
            summary.records
        )];
        let statuses = summary.by_status.iter();
        lines.extend(statuses.map(|(status, count)| format!("  {status}: {count}")));
        let findings = summary.findings.iter();
        lines.extend(findings.map(|(check, count)| format!("  finding {check}: {count}")));
        if summary.usage.prompt_tokens > 0 {
            lines.push(format!("  {}", self.prices.spending(summary.usage)));
        }
        lines.join("\n") + "\n"
    }
}
