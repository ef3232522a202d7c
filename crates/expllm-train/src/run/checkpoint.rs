//! What a run goes on from.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;

use crate::TrainError;

/// A folder with the state of a run after some steps.
pub(crate) struct Checkpoint {
    pub path: PathBuf,
    pub(super) step: usize,
}

impl Checkpoint {
    /// The furthest complete checkpoint below `dir`.
    pub(crate) fn latest(dir: &Path) -> Result<Option<Self>, TrainError> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(TrainError::file(dir, e)),
        };
        let step_of = |name: &str| name.strip_prefix("step-")?.parse().ok();
        Ok(entries
            .flatten()
            .filter_map(|entry| {
                let step = step_of(entry.file_name().to_str()?)?;
                Some(Self {
                    path: entry.path(),
                    step,
                })
            })
            .max_by_key(|checkpoint| checkpoint.step))
    }

    /// Writes a checkpoint under another name, then renames it: it is there whole or not at
    /// all. Older ones are removed afterwards; what a failure left half written is removed too.
    pub(super) fn save<M: Module>(
        dir: &Path,
        step: usize,
        state: (&M, &ModuleOptimizer),
        more: &mut dyn FnMut(&Path) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let path = dir.join(format!("step-{step}"));
        let partial = dir.join("partial");
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial).map_err(|e| TrainError::file(&partial, e))?;
        if let Err(error) = Self::write(&partial, state).and_then(|()| more(&partial)) {
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        let previous = Self::latest(dir)?;
        let _ = fs::remove_dir_all(&path);
        fs::rename(&partial, &path).map_err(|e| TrainError::file(&path, e))?;
        if let Some(previous) = previous.filter(|p| p.step < step) {
            let _ = fs::remove_dir_all(previous.path);
        }
        Ok(())
    }

    fn write<M: Module>(
        partial: &Path,
        (model, optimiser): (&M, &ModuleOptimizer),
    ) -> Result<(), TrainError> {
        let failed = |e: burn::store::RecordError| TrainError::Checkpoint {
            path: partial.to_path_buf(),
            reason: e.to_string(),
        };
        model
            .clone()
            .into_record()
            .save(partial.join("model.bpk"))
            .map_err(failed)?;
        optimiser
            .to_record()
            .save(partial.join("optimiser.bpk"))
            .map_err(failed)
    }

    pub(super) fn load<M: Module>(
        &self,
        model: M,
        optimiser: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let failed = |e: burn::store::RecordError| TrainError::Checkpoint {
            path: self.path.clone(),
            reason: e.to_string(),
        };
        let record = ModuleRecord::load(self.path.join("model.bpk")).map_err(failed)?;
        let state = OptimizerRecord::load(self.path.join("optimiser.bpk")).map_err(failed)?;
        Ok((model.load_record(record), optimiser.load_record(state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_checkpoint_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("partial")).unwrap();
        assert!(Checkpoint::latest(dir.path()).unwrap().is_none());
    }
}
