//! Action units of many images by their FACS numbers, as tools measure and as coders grade them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use csv::StringRecord;
use expllm_core::UnitTool;

use crate::CotError;
use crate::formats::columns::{self, Columns, last_part};
use crate::formats::open_text;
use crate::formats::table::{IMAGES, found_no_face, tool_of};

/// The highest number of a unit of FACS that tables have columns for.
const HIGHEST: u8 = 80;

/// A table of FACS units.
#[derive(Debug, Clone, PartialEq)]
pub struct FacsTable {
    /// The tool that wrote it, of whose numbers those here are the share of its scale; `None` for
    /// grades of coders, which stand as they are.
    pub tool: Option<UnitTool>,
    /// The units that some row has.
    pub units: BTreeSet<u8>,
    /// Numbers by unit, by the name of the image without its folders, or else by frame or row.
    pub rows: BTreeMap<String, BTreeMap<u8, f64>>,
    /// Rows that cannot be used, with their line.
    pub skipped: Vec<(u64, String)>,
}

impl FacsTable {
    /// Reads what a tool measured.
    ///
    /// # Errors
    ///
    /// [`CotError::File`], or [`CotError::NoRecords`] for a table without columns of a tool.
    pub fn measured(path: &Path) -> Result<Self, CotError> {
        Self::read(path, |columns| {
            let tool = tool_of(columns).ok_or_else(|| {
                let tools = UnitTool::ALL.map(UnitTool::name).join(", ");
                format!("no columns of action units as one of these writes them: {tools}")
            })?;
            Ok(Source::Tool(tool))
        })
    }

    /// Reads grades of coders: columns `AU1`, `AU01`, `au_1`, `AU01_r` or `au_1_intensity`, in
    /// any scale.
    ///
    /// # Errors
    ///
    /// [`CotError::File`], or [`CotError::NoRecords`] for a table without such columns.
    pub fn coded(path: &Path) -> Result<Self, CotError> {
        Self::read(path, |columns| {
            let named = columns.names.iter();
            let named = named.filter_map(|name| Some((facs_of_column(name)?, name.clone())));
            let named: BTreeMap<u8, String> = named.collect();
            match named.is_empty() {
                true => Err("no columns of action units, such as AU12".to_owned()),
                false => Ok(Source::Columns(named)),
            }
        })
    }

    fn read(
        path: &Path,
        source: impl Fn(&Columns) -> Result<Source, String>,
    ) -> Result<Self, CotError> {
        let wrong = |reason| CotError::NoRecords {
            path: path.to_owned(),
            reason,
        };
        let (columns, lines) = columns::read(open_text(path)?).map_err(wrong)?;
        let source = source(&columns).map_err(wrong)?;
        let mut table = Self {
            tool: source.tool(),
            units: BTreeSet::new(),
            rows: BTreeMap::new(),
            skipped: Vec::new(),
        };
        for (line, fields) in lines {
            let added = fields.and_then(|fields| table.add(&columns, &source, (&fields, line - 1)));
            if let Err(reason) = added {
                table.skipped.push((line, reason));
            }
        }
        Ok(table)
    }

    fn add(
        &mut self,
        columns: &Columns,
        source: &Source,
        (fields, row): (&StringRecord, u64),
    ) -> Result<(), String> {
        if found_no_face(columns, fields) {
            return Err("the tool found no face here (success 0)".to_owned());
        }
        let units = source.units(columns, fields);
        if units.is_empty() {
            return Err("no action unit has a number".to_owned());
        }
        let name = key(columns, fields, row);
        if self.rows.contains_key(&name) {
            return Err(format!("{name:?} occurs twice"));
        }
        self.units.extend(units.keys());
        self.rows.insert(name, units);
        Ok(())
    }
}

/// Where numbers come from.
enum Source {
    Tool(UnitTool),
    /// The columns as they are.
    Columns(BTreeMap<u8, String>),
}

impl Source {
    fn tool(&self) -> Option<UnitTool> {
        match self {
            Self::Tool(tool) => Some(*tool),
            Self::Columns(_) => None,
        }
    }

    fn units(&self, columns: &Columns, fields: &StringRecord) -> BTreeMap<u8, f64> {
        let number = |name: &str| columns.number(fields, name);
        let entry = |(facs, value): (u8, Option<f32>)| Some((facs, f64::from(value?)));
        match self {
            Self::Tool(tool) => tool
                .facs()
                .iter()
                .map(|&facs| (facs, tool.facs_value(facs, number)))
                .filter_map(entry)
                .collect(),
            Self::Columns(named) => named
                .iter()
                .map(|(facs, name)| (*facs, number(name)))
                .filter_map(entry)
                .collect(),
        }
    }
}

fn key(columns: &Columns, fields: &StringRecord, row: u64) -> String {
    let name = columns.first(fields, IMAGES).map(last_part);
    let name = name.or_else(|| columns.get(fields, "frame"));
    name.map_or_else(|| row.to_string(), str::to_owned)
}

/// The unit of a column such as `au12`, `au_12`, `au12_r` or `au_12_intensity`, in lower case.
fn facs_of_column(name: &str) -> Option<u8> {
    let rest = name.strip_prefix("au")?;
    let rest = rest.strip_prefix('_').unwrap_or(rest);
    let rest = rest.strip_suffix("_r").unwrap_or(rest);
    let rest = rest.strip_suffix("_intensity").unwrap_or(rest);
    let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
    let facs = rest.parse().ok().filter(|_| is_number)?;
    (1..=HIGHEST).contains(&facs).then_some(facs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_units_are_known_by_their_names() {
        for name in ["au12", "au012", "au_12", "au12_r", "au_12_intensity"] {
            assert_eq!(facs_of_column(name), Some(12), "{name}");
        }
        for name in ["au12_c", "au", "au+1", "au0", "au81", "audio", "12"] {
            assert_eq!(facs_of_column(name), None, "{name}");
        }
    }
}
