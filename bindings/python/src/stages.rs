//! The reader, with threads of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use expllm_au::{FaceReader, Photo};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::face::Face;
use crate::photo::{Refusal, Source};
use crate::values::wrong;
use crate::video::{Stretch, Video};

/// How often a long wait looks whether the user wants it to end.
pub const SIGNALS: Duration = Duration::from_millis(100);

/// What is told of one photo: width, height, its faces, and why there are none.
type Read = (u32, u32, Vec<Face>, Option<Refusal>);

/// The networks with their weights, and the threads that they run on.
pub struct Loaded {
    /// The networks.
    pub reader: FaceReader,
    /// The threads.
    pub pool: ThreadPool,
}

/// What is loaded, for one process.
#[pyclass(frozen, module = "expllm._native")]
pub struct Stages {
    loaded: Arc<Loaded>,
    /// The process that the threads belong to: a forked child has none of them.
    process: u32,
}

#[pymethods]
impl Stages {
    /// Loads the weights; `threads` of 0 takes one per core.
    #[new]
    fn new(py: Python<'_>, threads: usize) -> PyResult<Self> {
        py.detach(|| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
            // Loaded inside the pool, so that no other threads are ever started.
            let reader = pool.install(FaceReader::pretrained).map_err(wrong)?;
            Ok(Self {
                loaded: Arc::new(Loaded { reader, pool }),
                process: std::process::id(),
            })
        })
    }

    /// How many threads read.
    #[getter]
    fn threads(&self) -> usize {
        self.loaded.pool.current_num_threads()
    }

    /// Reads some photos, in order; `cropped` takes each as the crop of one face.
    fn read(&self, py: Python<'_>, photos: Vec<Source>, cropped: bool) -> PyResult<Vec<Read>> {
        check_process(self.process)?;
        Ok(py.detach(|| {
            let one = |source: &Source| self.loaded.read_one(source, cropped);
            self.loaded.pool.install(|| match photos.as_slice() {
                [photo] => vec![one(photo)],
                photos => photos.par_iter().map(one).collect(),
            })
        }))
    }

    /// Begins to read a clip.
    fn video(&self, py: Python<'_>, path: PathBuf, stretch: Stretch) -> PyResult<Video> {
        check_process(self.process)?;
        py.detach(|| Video::open(Arc::clone(&self.loaded), path, stretch))
    }
}

/// Refuses to wait for threads that another process has.
pub fn check_process(process: u32) -> PyResult<()> {
    if std::process::id() == process {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(
        "this Reader was made before the process forked, and its threads stayed behind; make a new \
         Reader in this process",
    ))
}

impl Loaded {
    fn read_one(&self, source: &Source, cropped: bool) -> Read {
        let photo = match source.photo() {
            Ok(photo) => photo,
            Err(refusal) => return (0, 0, Vec::new(), Some(refusal)),
        };
        let (width, height) = (photo.width(), photo.height());
        match self.faces(&photo, cropped) {
            Ok(faces) => (width, height, faces, None),
            Err(reason) => (width, height, Vec::new(), Some((reason, None))),
        }
    }

    fn faces(&self, photo: &Photo, cropped: bool) -> Result<Vec<Face>, String> {
        let outcomes = match cropped {
            true => vec![self.reader.read_crop(photo)],
            false => self.reader.read(photo).map_err(|e| e.to_string())?,
        };
        Ok(outcomes.into_iter().map(Face::from).collect())
    }
}
