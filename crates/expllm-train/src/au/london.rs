//! Figures on people who show a neutral and a smiling face each, by group.

use std::collections::BTreeMap;
use std::path::Path;

use expllm_core::{AuReading, Expression, Photo};
use expllm_data::Tree;
use expllm_metrics::Bootstrap;
use rayon::prelude::*;

use super::panel::MOVEMENTS;
use super::path::FacePath;
use super::score::AuScores;
use crate::TrainError;

/// By how much a smile must exceed the same person's neutral face.
const LEAST_RISE: f32 = 0.1;

/// A person with both faces, and the groups that they belong to by their own account.
struct Person {
    groups: Vec<String>,
    age: f32,
    neutral: Photo,
    smiling: Photo,
}

/// What was read from a person.
struct PersonRead {
    groups: Vec<String>,
    neutral: bool,
    happiness: bool,
    risen: bool,
}

/// Measures on an archive with `people.csv` (`person,age,gender,ethnicity`) and a picture of every
/// person in `neutral` and in `smiling`. Pictures without a found face count as misread.
///
/// # Errors
///
/// When the archive is damaged or a network fails.
pub fn score_london(archive: &Path, path: &FacePath) -> Result<AuScores, TrainError> {
    let people = with_age_thirds(read_people(&Tree::open(archive)?)?);
    let read: Vec<PersonRead> = people
        .into_par_iter()
        .map(|person| read_person(person, path))
        .collect::<Result<_, _>>()?;
    let mut groups: BTreeMap<&str, Vec<&PersonRead>> = BTreeMap::new();
    for person in &read {
        for group in &person.groups {
            groups.entry(group).or_default().push(person);
        }
    }
    let mut scores = AuScores::default();
    push_group("all", &read.iter().collect::<Vec<_>>(), &mut scores);
    for (group, people) in groups {
        push_group(group, &people, &mut scores);
    }
    Ok(scores)
}

/// Shares of a group with their intervals.
fn push_group(group: &str, people: &[&PersonRead], scores: &mut AuScores) {
    type Is = fn(&PersonRead) -> bool;
    let shares: [(&str, Is, &'static str); 3] = [
        ("neutral kept neutral", |p| p.neutral, ">= 0.97"),
        ("smile called happiness", |p| p.happiness, ">= 0.90"),
        (
            "smile above the same person's neutral",
            |p| p.risen,
            ">= 0.95",
        ),
    ];
    for (what, is, wanted) in shares {
        let values: Vec<f64> = people.iter().map(|p| f64::from(u8::from(is(p)))).collect();
        let share = Bootstrap::default().mean(&values);
        let wanted = if group == "all" { wanted } else { "" };
        scores.push_estimate(format!("London, {group}: {what}"), share, wanted);
    }
}

fn read_person(person: Person, path: &FacePath) -> Result<PersonRead, TrainError> {
    let neutral = path.read_largest(&person.neutral)?;
    let smiling = path.read_largest(&person.smiling)?;
    let shows = |reading: &Option<AuReading>, expression| {
        let seen = reading.as_ref().and_then(|r| r.probabilities);
        seen.is_some_and(|seen| seen.top() == expression)
    };
    let pull = |reading: &Option<AuReading>| {
        let smile = MOVEMENTS.iter().find(|m| m.name == "lip_corner_pull")?;
        smile.intensity(&reading.as_ref()?.action_units)
    };
    let rise = pull(&smiling).zip(pull(&neutral)).map(|(a, b)| a - b);
    Ok(PersonRead {
        neutral: shows(&neutral, Expression::Neutral),
        happiness: shows(&smiling, Expression::Happiness),
        risen: rise.is_some_and(|rise| rise >= LEAST_RISE),
        groups: person.groups,
    })
}

fn read_people(tree: &Tree) -> Result<Vec<Person>, TrainError> {
    let wrong = |reason: String| TrainError::Layout {
        path: "people.csv".into(),
        reason,
    };
    let text = tree.read_text("people.csv")?;
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let mut people = Vec::new();
    for row in table.records() {
        let row = row.map_err(|e| wrong(e.to_string()))?;
        let cell = |i: usize| row.get(i).unwrap_or_default();
        let photo = |kind: &str| decode(tree, &format!("{kind}/{}.jpg", cell(0)));
        let (Some(neutral), Some(smiling)) = (photo("neutral")?, photo("smiling")?) else {
            continue;
        };
        people.push(Person {
            groups: vec![
                format!("gender {}", cell(2)),
                format!("ethnicity {}", cell(3)),
            ],
            age: cell(1).parse().unwrap_or(f32::NAN),
            neutral,
            smiling,
        });
    }
    Ok(people)
}

/// Adds the third by age; people who did not say theirs are in none.
fn with_age_thirds(mut people: Vec<Person>) -> Vec<Person> {
    let mut ages: Vec<f32> = people
        .iter()
        .map(|p| p.age)
        .filter(|age| age.is_finite())
        .collect();
    ages.sort_by(f32::total_cmp);
    let cut = |third: usize| {
        ages.get(ages.len() * third / 3)
            .copied()
            .unwrap_or(f32::NAN)
    };
    let (first, second) = (cut(1), cut(2));
    for person in people.iter_mut().filter(|person| person.age.is_finite()) {
        let name = match person.age {
            age if age < first => "youngest third",
            age if age < second => "middle third",
            _ => "oldest third",
        };
        person.groups.push(name.to_owned());
    }
    people
}

/// A picture of the archive; `None` where it is absent.
fn decode(tree: &Tree, file: &str) -> Result<Option<Photo>, TrainError> {
    let Some(source) = tree.source(file) else {
        return Ok(None);
    };
    let wrong = |reason: String| TrainError::Layout {
        path: file.to_owned(),
        reason,
    };
    let picture = image::load_from_memory(&source.read()?).map_err(|e| wrong(e.to_string()))?;
    let picture = picture.into_rgb8();
    let (width, height) = (picture.width(), picture.height());
    let photo = Photo::new(width, height, picture.into_raw());
    photo.map(Some).map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(group: &str, happiness: bool) -> PersonRead {
        PersonRead {
            groups: vec![group.to_owned()],
            neutral: true,
            happiness,
            risen: happiness,
        }
    }

    #[test]
    fn shares_count_people_and_have_intervals() {
        let people = [
            read("a", true),
            read("a", false),
            read("a", true),
            read("a", true),
        ];
        let mut scores = AuScores::default();
        push_group("a", &people.iter().collect::<Vec<_>>(), &mut scores);
        let [neutral, happiness, _] = &scores.figures[..] else {
            panic!("three figures a group")
        };
        assert_eq!((neutral.value, neutral.n), (1.0, 4));
        assert_eq!(happiness.value, 0.75);
        let [low, high] = happiness.interval.unwrap();
        assert!(low < 0.75 && high <= 1.0);
    }
}
