//! One part of the work of many machines.

use std::str::FromStr;

/// The I-th of N parts, counted from 0: every N-th file, beginning with the I-th, so that files
/// that lie together are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: usize,
    all: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self { part: 0, all: 1 }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "must be like 0/4: the part, counted from 0, and how many there are";
        let (part, all) = text.split_once('/').ok_or_else(wanted)?;
        match (part.trim().parse(), all.trim().parse()) {
            (Ok(part), Ok(all)) if part < all => Ok(Self { part, all }),
            _ => Err(wanted().to_owned()),
        }
    }
}

impl Shard {
    /// The items of this part.
    pub fn of<T>(self, items: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        items.into_iter().skip(self.part).step_by(self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_zero() {
        assert_eq!("3/4".parse(), Ok(Shard { part: 3, all: 4 }));
        for bad in ["4/4", "1", "0/0", "-1/2", "a/b"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_item_is_in_one_part() {
        let mut items: Vec<_> = (0..3)
            .flat_map(|part| Shard { part, all: 3 }.of(0..11))
            .collect();
        items.sort_unstable();
        assert_eq!(items, (0..11).collect::<Vec<_>>());
        assert_eq!(Shard { part: 7, all: 9 }.of(0..3).count(), 0);
    }
}
