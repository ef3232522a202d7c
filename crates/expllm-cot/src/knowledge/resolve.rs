//! From the written file to knowledge, with every name checked.

use std::collections::BTreeMap;

use expllm_core::{ActionUnit, Expression};

use super::error::{KnowledgeError, KnowledgeFault as Fault};
use super::file::{CombinationEntry, ContrastEntry, CueEntry, ExpressionEntry, File, Thresholds};
use super::{Combination, Contrast, Cue, CueSet, Knowledge, Pattern, Prototype};

/// The greatest weight; above 1 a single cue may outweigh rest.
const MOST: f32 = 1.5;

struct Resolver<'a> {
    file: &'a str,
    sources: BTreeMap<String, String>,
    cues: Vec<Cue>,
}

pub(super) fn knowledge(file: File, name: &str) -> Result<Knowledge, KnowledgeError> {
    check_thresholds(&file.thresholds)
        .map_err(|fault| KnowledgeError::new(name, "thresholds", fault))?;
    let mut resolver = Resolver {
        file: name,
        sources: file.sources,
        cues: Vec::new(),
    };
    for entry in &file.cue {
        let at = format!("cue {}", entry.name);
        let cue = resolver.cue(entry).map_err(|f| resolver.error(&at, f))?;
        resolver.cues.push(cue);
    }
    let prototypes = resolver.prototypes(&file.expression)?;
    let combinations = resolver.combinations(&file.combination)?;
    let contrasts = file.contrast.iter().map(|entry| resolver.contrast(entry));
    let contrasts = contrasts.collect::<Result<_, _>>()?;
    Ok(Knowledge {
        thresholds: file.thresholds,
        sources: resolver.sources,
        cues: resolver.cues,
        prototypes,
        combinations,
        contrasts,
    })
}

fn within(name: &str, value: f32, low: f32, high: f32) -> Result<f32, Fault> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    let name = name.to_owned();
    Err(Fault::OutOfRange {
        name,
        value,
        low,
        high,
    })
}

fn check_thresholds(limits: &Thresholds) -> Result<(), Fault> {
    within("absent_below", limits.absent_below, 0.0, 0.2)?;
    within("one_sided_from", limits.one_sided_from, 0.0, 1.0)?;
    within("uneven_from", limits.uneven_from, 0.0, 1.0)?;
    within("clearly", limits.clearly, 0.0, 1.0)?;
    within("probably", limits.probably, 0.0, limits.clearly)?;
    within("open_within", limits.open_within, 0.0, 1.0)?;
    within("sharpness", limits.sharpness, 0.1, 50.0)?;
    within("rest", limits.rest, 0.0, MOST)?;
    within("grimace_below", limits.grimace_below, 0.0, 1.0)?;
    Ok(())
}

impl Resolver<'_> {
    fn error(&self, entry: &str, fault: Fault) -> KnowledgeError {
        KnowledgeError::new(self.file, entry, fault)
    }

    fn cue(&self, entry: &CueEntry) -> Result<Cue, Fault> {
        if self.cues.len() == CueSet::CAPACITY {
            return Err(Fault::Count(format!("at most {} cues", CueSet::CAPACITY)));
        }
        if self.place(&entry.name).is_ok() {
            return Err(Fault::Duplicate(format!("the cue {:?}", entry.name)));
        }
        if entry.units.is_empty() || entry.units.len() > 2 {
            return Err(Fault::Count(
                "one unit, or the left and the right one".into(),
            ));
        }
        let mut units = Vec::new();
        for name in &entry.units {
            let unit: ActionUnit = name.parse().map_err(|_| Fault::UnknownUnit(name.clone()))?;
            let known = self.cues.iter().flat_map(|cue| &cue.units);
            if known.chain(&units).any(|&u| u == unit) {
                return Err(Fault::Duplicate(format!("the unit {name:?}")));
            }
            units.push(unit);
        }
        if units.len() == 2 && units[0].mirrored() != units[1] {
            let fault = "two units are the left and the right one of a movement";
            return Err(Fault::Count(fault.into()));
        }
        Ok(Cue {
            name: entry.name.clone(),
            units,
            region: entry.region,
        })
    }

    fn place(&self, name: &str) -> Result<usize, Fault> {
        let found = self.cues.iter().position(|cue| cue.name == name);
        found.ok_or_else(|| Fault::UnknownCue(name.to_owned()))
    }

    fn set(&self, names: &[String]) -> Result<CueSet, Fault> {
        names.iter().map(|name| self.place(name)).collect()
    }

    fn check_sources(&self, names: &[String]) -> Result<(), Fault> {
        let unknown = names.iter().find(|n| !self.sources.contains_key(*n));
        unknown.map_or(Ok(()), |n| Err(Fault::UnknownSource(n.clone())))
    }

    fn prototypes(
        &self,
        entries: &BTreeMap<String, ExpressionEntry>,
    ) -> Result<[Prototype; Expression::COUNT], KnowledgeError> {
        let mut all: [Prototype; Expression::COUNT] = Default::default();
        for (name, entry) in entries {
            let at = format!("expression {name}");
            let expression = expression(name).map_err(|f| self.error(&at, f))?;
            all[expression.index()] = self.prototype(entry).map_err(|f| self.error(&at, f))?;
        }
        let empty = Expression::ALL
            .into_iter()
            .find(|e| all[e.index()].weights.is_empty());
        match empty {
            None => Ok(all),
            Some(e) => {
                let fault = Fault::Count("it is missing; every expression needs its entry".into());
                let name = e.name().to_lowercase();
                Err(self.error(&format!("expression {name}"), fault))
            }
        }
    }

    fn prototype(&self, entry: &ExpressionEntry) -> Result<Prototype, Fault> {
        self.check_sources(&entry.sources)?;
        let mut weights = vec![0.0; self.cues.len()];
        let kinds = [
            (&entry.deciding, 1.0),
            (&entry.supporting, 1.0),
            (&entry.contradicting, -1.0),
        ];
        for (cue, weight, sign) in kinds
            .iter()
            .flat_map(|(m, s)| m.iter().map(|(c, w)| (c, *w, *s)))
        {
            let place = self.place(cue)?;
            let weight = within(&format!("the weight of {cue}"), weight, 0.0, MOST)?;
            if weights[place] != 0.0 {
                return Err(Fault::Duplicate(format!("the weight of {cue:?}")));
            }
            weights[place] = sign * weight;
        }
        let deciding = entry.deciding.keys().map(|name| self.place(name));
        let expects = entry.expects.iter().map(|group| self.set(group));
        Ok(Prototype {
            weights,
            deciding: deciding.collect::<Result<_, _>>()?,
            expects: expects.collect::<Result<_, _>>()?,
        })
    }

    fn combinations(
        &self,
        entries: &[CombinationEntry],
    ) -> Result<Vec<Combination>, KnowledgeError> {
        if entries.len() > 64 {
            return Err(self.error("combination", Fault::Count("at most 64 of them".into())));
        }
        let resolved = entries.iter().enumerate().map(|(place, entry)| {
            let combination = self.combination(entries, place);
            combination.map_err(|f| self.error(&format!("combination {}", entry.name), f))
        });
        resolved.collect()
    }

    fn combination(
        &self,
        entries: &[CombinationEntry],
        place: usize,
    ) -> Result<Combination, Fault> {
        let entry = &entries[place];
        if entries[..place].iter().any(|e| e.name == entry.name) {
            return Err(Fault::Duplicate(format!(
                "the combination {:?}",
                entry.name
            )));
        }
        self.check_sources(&entry.sources)?;
        let pattern = self.built_pattern(entries, entry, &mut Vec::new())?;
        let evidence = entry.evidence.iter().map(|(name, &weight)| {
            let weight = within(&format!("the evidence for {name}"), weight, -1.0, 1.0)?;
            Ok((expression(name)?, weight))
        });
        Ok(Combination {
            name: entry.name.clone(),
            pattern,
            evidence: evidence.collect::<Result<_, Fault>>()?,
        })
    }

    /// The pattern of an entry with those that it builds on; `path` are the entries above it.
    fn built_pattern<'e>(
        &self,
        entries: &'e [CombinationEntry],
        entry: &'e CombinationEntry,
        path: &mut Vec<&'e str>,
    ) -> Result<Pattern, Fault> {
        let cycle = path.contains(&entry.name.as_str());
        path.push(&entry.name);
        if cycle {
            return Err(Fault::Cycle(path.join(" > ")));
        }
        let mut pattern = self.own_pattern(entry)?;
        for name in &entry.builds_on {
            let below = entries.iter().find(|e| e.name == *name);
            let below = below.ok_or_else(|| Fault::UnknownCombination(name.clone()))?;
            pattern = self.built_pattern(entries, below, path)?.and(&pattern);
        }
        path.pop();
        Ok(pattern)
    }

    fn own_pattern(&self, entry: &CombinationEntry) -> Result<Pattern, Fault> {
        let any = self.set(&entry.any)?;
        let mut bounds = Vec::new();
        for (name, &low) in &entry.at_least {
            bounds.push((
                self.place(name)?,
                within(name, low, 0.0, 1.0)?,
                f32::INFINITY,
            ));
        }
        for (name, &high) in &entry.at_most {
            bounds.push((self.place(name)?, 0.0, within(name, high, 0.0, 1.0)?));
        }
        Ok(Pattern {
            all: self.set(&entry.all)?,
            one_sided: self.set(&entry.one_sided)?,
            any: if any.is_empty() { vec![] } else { vec![any] },
            none: self.set(&entry.none)?,
            absent: self.set(&entry.absent)?,
            bounds,
            only: entry.only,
        })
    }

    fn contrast(&self, entry: &ContrastEntry) -> Result<Contrast, KnowledgeError> {
        let resolved = || {
            self.check_sources(&entry.sources)?;
            Ok(Contrast {
                between: [
                    expression(&entry.between[0])?,
                    expression(&entry.between[1])?,
                ],
                cues: [self.set(&entry.first)?, self.set(&entry.second)?],
            })
        };
        let at = || format!("contrast {} and {}", entry.between[0], entry.between[1]);
        resolved().map_err(|fault| self.error(&at(), fault))
    }
}

fn expression(name: &str) -> Result<Expression, Fault> {
    name.parse()
        .map_err(|_| Fault::UnknownExpression(name.to_owned()))
}
