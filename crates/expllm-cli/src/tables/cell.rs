//! Columns and what stands in them.

use parquet::data_type::ByteArray;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Words.
    Text,
    /// Whole numbers.
    Whole,
    /// Numbers of single precision.
    Number,
    /// Numbers of double precision.
    Precise,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether something stands there in every row.
    pub always: bool,
}

impl Column {
    /// A column in which something stands in every row.
    pub fn always(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            always: true,
            ..Self::maybe(name, kind)
        }
    }

    /// A column that may be empty.
    pub fn maybe(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            kind,
            always: false,
        }
    }
}

/// What stands in a column of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number of single precision.
    Number(f32),
    /// A number of double precision.
    Precise(f64),
}

impl Cell {
    /// Words, or nothing.
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(text.to_owned()))
    }

    /// A place that is counted from 0, or nothing.
    pub fn whole(number: Option<usize>) -> Self {
        number.map_or(Self::Empty, |number| Self::Whole(number as i64))
    }

    /// A number, or nothing.
    pub fn number(number: Option<f32>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }
}

/// What stands in one column of some rows.
#[derive(Debug)]
pub enum Values {
    /// Words.
    Text(Vec<Option<ByteArray>>),
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers of single precision.
    Number(Vec<Option<f32>>),
    /// Numbers of double precision.
    Precise(Vec<Option<f64>>),
}

impl Values {
    /// No rows so far.
    pub fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text(Vec::new()),
            ColumnKind::Whole => Self::Whole(Vec::new()),
            ColumnKind::Number => Self::Number(Vec::new()),
            ColumnKind::Precise => Self::Precise(Vec::new()),
        }
    }

    /// Adds a row; gives whether the cell is of the column's kind.
    pub fn push(&mut self, cell: Cell) -> bool {
        match (self, cell) {
            (Self::Text(all), Cell::Text(text)) => all.push(Some(text.as_str().into())),
            (Self::Whole(all), Cell::Whole(number)) => all.push(Some(number)),
            (Self::Number(all), Cell::Number(number)) => all.push(Some(number)),
            (Self::Precise(all), Cell::Precise(number)) => all.push(Some(number)),
            (Self::Text(all), Cell::Empty) => all.push(None),
            (Self::Whole(all), Cell::Empty) => all.push(None),
            (Self::Number(all), Cell::Empty) => all.push(None),
            (Self::Precise(all), Cell::Empty) => all.push(None),
            _ => return false,
        }
        true
    }

    /// What stands in a row; nothing in rows that are not there.
    pub fn get(&self, row: usize) -> Cell {
        match self {
            Self::Text(all) => match all.get(row) {
                Some(Some(text)) => Cell::Text(String::from_utf8_lossy(text.data()).into_owned()),
                _ => Cell::Empty,
            },
            Self::Whole(all) => value(all, row).map_or(Cell::Empty, Cell::Whole),
            Self::Number(all) => value(all, row).map_or(Cell::Empty, Cell::Number),
            Self::Precise(all) => value(all, row).map_or(Cell::Empty, Cell::Precise),
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        match self {
            Self::Text(all) => all.clear(),
            Self::Whole(all) => all.clear(),
            Self::Number(all) => all.clear(),
            Self::Precise(all) => all.clear(),
        }
    }
}

fn value<T: Copy>(all: &[Option<T>], row: usize) -> Option<T> {
    all.get(row).copied().flatten()
}
