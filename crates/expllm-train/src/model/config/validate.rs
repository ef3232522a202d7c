//! Values that cannot be are refused by their field.

use super::{Data, NewModel, Start, TrainConfig, TrainStage};

impl TrainConfig {
    pub(super) fn validate(&self) -> Result<(), String> {
        let share = |field: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(format!("`{field}` is {value}; it must lie from 0 to 1")),
        };
        let size = |field: &str, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!(
                "`{field}` is {value}; it must lie from 1 to {most}"
            )),
        };
        share("records.label_only", self.records.label_only)?;
        share("records.chain_first", self.records.chain_first)?;
        share("records.distilled", self.records.distilled)?;
        share("optimiser.warmup", self.optimiser.warmup)?;
        let rate = self.optimiser.rate;
        if !(rate.is_finite() && rate > 0.0 && rate <= 1.0) {
            return Err(format!(
                "`optimiser.rate` is {rate}; it must lie above 0, up to 1"
            ));
        }
        if !(0.0..1.0).contains(&self.optimiser.ema) {
            let ema = self.optimiser.ema;
            return Err(format!(
                "`optimiser.ema` is {ema}; it must lie from 0 to below 1"
            ));
        }
        for (field, value) in [
            ("optimiser.weight_decay", self.optimiser.weight_decay),
            ("optimiser.clip_norm", self.optimiser.clip_norm),
        ] {
            if !(0.0..=1e6).contains(&value) {
                return Err(format!("`{field}` is {value}; it must lie from 0 to 1e6"));
            }
        }
        size("run.steps", self.run.steps, 1 << 30)?;
        size("run.batch", self.run.batch, 1 << 20)?;
        size("run.micro_batch", self.run.micro_batch, self.run.batch)?;
        size("run.devices", self.run.devices, 64)?;
        size("run.checkpoint_every", self.run.checkpoint_every, 1 << 30)?;
        size("validation.every", self.validation.every, 1 << 30)?;
        size("validation.records", self.validation.records, 1 << 24)?;
        if let Start::New(new) = &self.start {
            new.validate()?;
            if self.stage != TrainStage::Full {
                return Err("a new language model needs `stage = \"full\"`".to_owned());
            }
            if matches!(self.data, Data::Annotations(_)) {
                return Err(
                    "a new language model needs `[data.faces]` or `[data.readings]`".into(),
                );
            }
        }
        if let Data::Faces(faces) = &self.data {
            share("data.faces.imagined", faces.imagined)?;
            for set in &faces.sets {
                size("data.faces.sets.views", set.views, 64)?;
            }
            if faces.sets.iter().all(|set| set.held_back == 0) {
                return Err(
                    "`held_back` of a set in `data.faces.sets` must be above 0: faces \
                            that are not trained on validate the run"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

impl NewModel {
    fn validate(&self) -> Result<(), String> {
        if !(300..=65_536).contains(&self.vocabulary) {
            let found = self.vocabulary;
            return Err(format!(
                "`start.new.vocabulary` is {found}; it must lie from 300 to 65536"
            ));
        }
        if self.heads == 0 || !self.hidden_size.is_multiple_of(self.heads * 2) {
            return Err(format!(
                "`start.new.hidden_size` {} is no multiple of twice the {} heads",
                self.hidden_size, self.heads
            ));
        }
        Ok(())
    }
}
