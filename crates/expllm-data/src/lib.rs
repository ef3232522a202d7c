//! Facial expression and action unit data sets as one record type.
//!
//! A [`Layout`] names how a data set lies on disk; [`Layout::read`] turns a folder, or a `.tar`
//! of it that nobody has to unpack, into a [`Dataset`]: its [`Record`]s in a stable order and,
//! beside them, every item that was [`Skipped`], each with its reason.
//!
//! ```
//! use expllm_data::{Layout, ReadOptions, Split};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! # std::fs::create_dir_all(root.path().join("train/happy"))?;
//! # std::fs::write(root.path().join("train/happy/1.png"), b"not really a picture")?;
//! let dataset = Layout::Folder.read(root.path(), &ReadOptions::default())?;
//! let record = &dataset.records[0];
//! assert_eq!(record.id, "train/happy/1.png");
//! assert_eq!(record.split, Some(Split::Train));
//! let encoded: Vec<u8> = record.image.read()?;
//! # Ok(())
//! # }
//! ```

mod dataset;
mod error;
mod facs;
mod kind;
mod layout;
mod readers;
mod record;
mod source;
mod tar;
mod text;
mod tree;

pub use dataset::{Dataset, ReadOptions, SkipReason, Skipped};
pub use error::DataError;
pub use facs::{FacsLabel, FacsSide, FacsUnit};
pub use kind::is_image_file;
pub use layout::Layout;
pub use record::{Compound, Record, Split, Votes};
pub use source::ImageSource;
pub use tar::{TarIndex, TarMember, read_index};
pub use tree::Tree;
