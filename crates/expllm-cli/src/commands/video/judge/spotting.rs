//! Spotting by itself: the true intensities of clips, with noise instead of a network.

use std::collections::BTreeMap;

use expllm_core::{ActionUnit, ExpressionProbabilities, ExpressionSet, Intensity};
use expllm_train::synth::clip::{Clip, ClipActor, ClipConfig};
use expllm_train::synth::{FaceKit, FaceSynthesizer, SynthConfig};
use expllm_video::series::{PersonSeries, SeriesOptions};

use super::figures::Figures;
use super::truth::{Event, Truth};

/// Standard deviation of the noise of each intensity in each frame.
const NOISE: f64 = 0.03;

/// Noise that is about normal: the same for the same seed.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        // The constants of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        NOISE * ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0)
    }
}

fn read(clip: &Clip, actor: &ClipActor, noise: &mut Noise) -> PersonSeries {
    let mut series = PersonSeries::default();
    for time in (0..clip.frames()).map(|frame| clip.time(frame)) {
        let mut units = actor.units(time);
        for unit in ActionUnit::ALL {
            let value = units[unit].get() + noise.next() as f32;
            units.set(unit, Intensity::clamped(value));
        }
        series.times.push(time);
        series.units.push(units);
        let unknown = ExpressionProbabilities::from_scores([1.0; 8]);
        series.probabilities.push(unknown);
    }
    series
}

fn truth(actor: &ClipActor) -> Truth {
    let events = actor.events.iter().map(|event| Event {
        kind: event.kind,
        units: event.units.clone(),
        apex: event.apex,
        span: (event.onset, event.offset),
        height: event.height,
    });
    Truth {
        events: BTreeMap::from([(0, events.collect())]),
        ..Truth::default()
    }
}

#[test]
fn what_intensities_show_is_spotted() {
    let Some(kit) = expllm_testing::shared("data/ict_facekit.safetensors") else {
        return;
    };
    let kit = FaceKit::read(&kit).unwrap();
    let synthesizer = FaceSynthesizer::new(kit, SynthConfig::default()).unwrap();
    let mut figures = Figures::default();
    for seed in 41..47 {
        let config = ClipConfig {
            seconds: 60.0,
            rate: 25.0,
            people: 1,
            seed,
        };
        let clip = Clip::sample(&synthesizer, config);
        let actor = &clip.actors[0];
        let series = read(&clip, actor, &mut Noise(seed));
        let spotted = series.events(&SeriesOptions::default(), ExpressionSet::Eight);
        figures.add(&truth(actor), 0, &spotted).unwrap();
    }
    let f1 = [figures.movements(), figures.micro, figures.blinks].map(|c| c.f1().unwrap());
    assert!(f1.iter().all(|f1| *f1 > 0.95), "{f1:?} {figures:?}");
    let near = figures.apexes.iter().filter(|off| **off <= 0.0801).count();
    assert!(
        near * 10 >= figures.apexes.len() * 8,
        "{:?}",
        figures.apexes
    );
}
