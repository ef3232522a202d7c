//! The reader, with threads of its own.

use expllm_au::{FaceReader, Photo};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::face::Face;
use crate::photo::{Refusal, Source};
use crate::values::wrong;

/// What is told of one photo: width, height, its faces, and why there are none.
type Read = (u32, u32, Vec<Face>, Option<Refusal>);

/// The networks with their weights, and the threads that they run on.
#[pyclass(frozen, module = "expllm._native")]
pub struct Stages {
    reader: FaceReader,
    pool: ThreadPool,
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
            let process = std::process::id();
            Ok(Self {
                reader,
                pool,
                process,
            })
        })
    }

    /// How many threads read.
    #[getter]
    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Reads some photos, in order; `cropped` takes each as the crop of one face.
    fn read(&self, py: Python<'_>, photos: Vec<Source>, cropped: bool) -> PyResult<Vec<Read>> {
        if std::process::id() != self.process {
            return Err(PyRuntimeError::new_err(
                "this Reader was made before the process forked, and its threads stayed behind; \
                 make a new Reader in this process",
            ));
        }
        Ok(py.detach(|| {
            let one = |source: &Source| self.read_one(source, cropped);
            self.pool.install(|| match photos.as_slice() {
                [photo] => vec![one(photo)],
                photos => photos.par_iter().map(one).collect(),
            })
        }))
    }
}

impl Stages {
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
