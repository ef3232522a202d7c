//! Rows of many tables in one order.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use super::key::{Key, Order};
use crate::CliError;

/// A table and its rows.
pub struct Named<T> {
    /// The file.
    pub path: PathBuf,
    /// What stands in it.
    pub rows: T,
}

/// What went into the one table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Photos or clips.
    pub files: u64,
}

/// The order in which the rows of every table rise; `None` where there is none.
///
/// Where both do, clips are in the natural order and photos in that of their paths, as the program
/// finds them.
///
/// # Errors
///
/// When a table cannot be read, holds a row twice, or rows of photos beside rows of clips.
pub fn order_of<R, T>(tables: Vec<Named<T>>) -> Result<Option<Order>, CliError>
where
    T: Iterator<Item = Result<(Key, R), CliError>>,
{
    let mut orders = vec![Order::Path, Order::Natural];
    let mut of_clips = None;
    for table in tables {
        let mut before: Option<Key> = None;
        for row in table.rows {
            let (key, _) = row?;
            if *of_clips.get_or_insert(key.time.is_some()) != key.time.is_some() {
                let text = "holds rows of photos where others are of clips; merge them apart";
                return Err(CliError::Usage(format!("{} {text}", table.path.display())));
            }
            if let Some(before) = &before {
                if *before == key {
                    return Err(twice(&key, (&table.path, &table.path)));
                }
                orders.retain(|order| order.compare(before, &key) == Ordering::Less);
            }
            before = Some(key);
        }
    }
    Ok(match of_clips {
        Some(true) => orders.last().copied(),
        _ => orders.first().copied(),
    })
}

fn twice(key: &Key, (one, other): (&Path, &Path)) -> CliError {
    let what = key.shown();
    CliError::Usage(if one == other {
        format!("{what} stands in {} twice", one.display())
    } else {
        let (one, other) = (one.display(), other.display());
        format!("{what} stands in {one} and in {other}; give every shard once")
    })
}

/// Hands all rows on, in an order that every table has, or, without one, file after file, one of
/// each table in turn, as shards deal them. Of every table one row is held.
///
/// # Errors
///
/// When a photo, or a frame of a clip, stands in two tables.
pub fn join<R, T>(
    tables: Vec<Named<T>>,
    order: Option<Order>,
    write: impl FnMut(R) -> Result<(), CliError>,
) -> Result<Counts, CliError>
where
    T: Iterator<Item = Result<(Key, R), CliError>>,
{
    match order {
        Some(order) => in_order(tables, order, write),
        None => in_turn(tables, write),
    }
}

/// The next row of a table.
struct Head<R> {
    key: Key,
    row: R,
    /// The place of its table.
    table: usize,
    order: Order,
}

impl<R> Ord for Head<R> {
    /// The heap gives the largest first, which is to be the row that comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        let rows = self.order.compare(&other.key, &self.key);
        rows.then(other.table.cmp(&self.table))
    }
}

impl<R> PartialOrd for Head<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> PartialEq for Head<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<R> Eq for Head<R> {}

fn in_order<R, T>(
    mut tables: Vec<Named<T>>,
    order: Order,
    mut write: impl FnMut(R) -> Result<(), CliError>,
) -> Result<Counts, CliError>
where
    T: Iterator<Item = Result<(Key, R), CliError>>,
{
    let next = |tables: &mut Vec<Named<T>>, table: usize| -> Result<Option<Head<R>>, CliError> {
        let row = tables[table].rows.next().transpose()?;
        Ok(row.map(|(key, row)| Head {
            key,
            row,
            table,
            order,
        }))
    };
    let mut heads = BinaryHeap::new();
    for table in 0..tables.len() {
        heads.extend(next(&mut tables, table)?);
    }
    let mut counts = Counts::default();
    let mut last: Option<(Key, usize)> = None;
    while let Some(Head {
        key, row, table, ..
    }) = heads.pop()
    {
        heads.extend(next(&mut tables, table)?);
        if let Some((before, other)) = &last
            && *other != table
            && before.is_beside(&key)
        {
            return Err(twice(&key, (&tables[*other].path, &tables[table].path)));
        }
        let is_new = last
            .as_ref()
            .is_none_or(|(before, _)| before.file != key.file);
        counts.files += u64::from(is_new);
        counts.rows += 1;
        last = Some((key, table));
        write(row)?;
    }
    Ok(counts)
}

/// Remembers eight bytes of each file.
fn in_turn<R, T>(
    tables: Vec<Named<T>>,
    mut write: impl FnMut(R) -> Result<(), CliError>,
) -> Result<Counts, CliError>
where
    T: Iterator<Item = Result<(Key, R), CliError>>,
{
    let waiting = tables.into_iter().map(|table| Named {
        path: table.path,
        rows: table.rows.peekable(),
    });
    let mut waiting: VecDeque<Named<Peekable<T>>> = waiting.collect();
    let (mut counts, mut known) = (Counts::default(), HashSet::new());
    while let Some(mut table) = waiting.pop_front() {
        let Some(first) = table.rows.next() else {
            continue;
        };
        let (key, row) = first?;
        let mut hasher = DefaultHasher::new();
        key.file.hash(&mut hasher);
        if !known.insert(hasher.finish()) {
            let (file, path) = (&key.file, table.path.display());
            let text = format!("{file} stands in two places, one of them in {path}");
            return Err(CliError::Usage(text));
        }
        write(row)?;
        counts.files += 1;
        counts.rows += 1;
        let same = |row: &Result<(Key, R), CliError>| {
            row.as_ref().map_or(true, |(own, _)| own.file == key.file)
        };
        while let Some(row) = table.rows.next_if(same) {
            write(row?.1)?;
            counts.rows += 1;
        }
        waiting.push_back(table);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Rows = std::vec::IntoIter<Result<(Key, Key), CliError>>;

    fn named(tables: &[Vec<Key>]) -> Vec<Named<Rows>> {
        let rows = |keys: &Vec<Key>| -> Vec<_> {
            keys.iter().map(|k| Ok((k.clone(), k.clone()))).collect()
        };
        let one = |(at, keys): (usize, &Vec<Key>)| Named {
            path: format!("{at}.csv").into(),
            rows: rows(keys).into_iter(),
        };
        tables.iter().enumerate().map(one).collect()
    }

    fn joined(tables: &[Vec<Key>]) -> Result<Vec<Key>, String> {
        let order = order_of(named(tables)).map_err(|e| e.to_string())?;
        let mut rows = Vec::new();
        let counts = join(named(tables), order, |row| {
            rows.push(row);
            Ok(())
        });
        let counts = counts.map_err(|e| e.to_string())?;
        assert_eq!(counts.rows as usize, rows.len());
        Ok(rows)
    }

    fn photo(file: &str, face: Option<u64>) -> Key {
        Key {
            file: file.to_owned(),
            time: None,
            frame: 0,
            face,
        }
    }

    fn frame(file: &str, number: u64, person: u64) -> Key {
        Key {
            file: file.to_owned(),
            time: Some(number as f64 / 25.0),
            frame: number,
            face: Some(person),
        }
    }

    /// Rows of files, dealt to tables as `--shard` does.
    fn dealt(files: &[Vec<Key>], tables: usize) -> Vec<Vec<Key>> {
        let of = |part: usize| files.iter().skip(part).step_by(tables).flatten().cloned();
        (0..tables).map(|part| of(part).collect()).collect()
    }

    proptest! {
        #[test]
        fn shards_become_the_whole_in_any_order(
            faces in prop::collection::vec(0_u64..3, 1..30), tables in 1_usize..6, turn in 0_usize..6,
        ) {
            for clips in [false, true] {
                let file = |(number, count): (usize, &u64)| -> Vec<Key> {
                    let name = format!("set/{number}.x");
                    match (clips, count) {
                        (true, _) => (0..=*count).map(|n| frame(&name, n, n % 2)).collect(),
                        (false, 0) => vec![photo(&name, None)],
                        (false, _) => (0..*count).map(|n| photo(&name, Some(n))).collect(),
                    }
                };
                let mut files: Vec<_> = faces.iter().enumerate().map(file).collect();
                if !clips {
                    files.sort_by(|a, b| a[0].file.cmp(&b[0].file));
                }
                let mut shards = dealt(&files, tables);
                shards.rotate_left(turn % tables);
                prop_assert_eq!(joined(&shards).unwrap(), files.concat());
            }
        }
    }

    #[test]
    fn files_without_an_order_are_taken_in_turn() {
        let files = ["c", "b", "a", "d", "e"].map(|name| vec![photo(name, Some(0))]);
        assert_eq!(joined(&dealt(&files, 2)).unwrap(), files.concat());
    }

    #[test]
    fn stretches_of_one_clip_follow_each_other() {
        let mut late = frame("a.mp4", 100, 0);
        late.frame = 0;
        let tables = [
            vec![late.clone()],
            vec![frame("a.mp4", 0, 0), frame("a.mp4", 9, 0)],
        ];
        assert_eq!(joined(&tables).unwrap().last(), Some(&late));
    }

    #[test]
    fn what_stands_in_two_places_is_named() {
        let twice = [
            vec![photo("a", Some(0)), photo("b", Some(0))],
            vec![photo("b", Some(1))],
        ];
        let said = joined(&twice).unwrap_err();
        assert!(said.starts_with("b stands in 0.csv and in 1.csv"), "{said}");
        let frames = [vec![frame("a", 1, 0)], vec![frame("a", 1, 1)]];
        let said = joined(&frames).unwrap_err();
        assert!(said.starts_with("a at 0.040 s stands in"), "{said}");
        let own = [vec![photo("a", Some(0)), photo("a", Some(0))]];
        assert!(joined(&own).unwrap_err().contains("twice"));
        let apart = [vec![
            photo("b", Some(0)),
            photo("a", Some(0)),
            photo("b", Some(0)),
        ]];
        assert!(joined(&apart).unwrap_err().contains("two places"));
        let mixed = [vec![photo("b", Some(0))], vec![frame("a", 1, 0)]];
        assert!(joined(&mixed).unwrap_err().contains("merge them apart"));
    }
}
