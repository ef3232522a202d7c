use std::path::Path;
use expllm_core::*; use expllm_train::*; use expllm_train::au::*; use expllm_train::synth::*; use expllm_face::*; use expllm_au::*;
use burn::store::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let steps: usize = a[1].parse().unwrap(); let nsyn: usize = a[2].parse().unwrap(); let lm = &a[3]; let name = &a[4];
    let t0 = std::time::Instant::now();
    let device = burn::tensor::Device::flex();
    let lc = LandmarkNetworkConfig::new();
    let mut ln = lc.init(&device);
    let bytes = std::fs::read(lm).unwrap();
    load_weights(&mut ln, &bytes, "lm").unwrap();
    let ln = LandmarkNet::new(ln, &lc, &device);
    let wild = expllm_data::Tree::open(Path::new("/work/shared/data/wild.tar")).unwrap();
    let fer = expllm_data::Tree::open(Path::new("/work/shared/data/fer2013.tar")).unwrap();
    let synth = FaceSynthesizer::new(FaceKit::read("/work/shared/data/ict_facekit.safetensors").unwrap(), SynthConfig::default()).unwrap();
    let nc = AuNetworkConfig::new();
    let out = format!("/work/runs/{name}.safetensors");
    let mut wild_train = read_wild(&wild, "train").unwrap();
    let hold = wild_train.split_off(wild_train.len() - 700);
    let faces = AuFaces { synthetic: synthetic_faces(&synth, 1, nsyn), wild: real_faces(wild_train, &ln).unwrap(), fer: real_faces(read_fer2013(&fer, "train").unwrap(), &ln).unwrap() };
    println!("data {} {} {} in {:?}", faces.synthetic.len(), faces.wild.len(), faces.fer.len(), t0.elapsed());
    let run = RunConfig::new(steps, 96, 2e-3).with_checkpoint_every(200);
    let net = train_au(&faces, &nc, &run, Path::new(&format!("/work/runs/{name}")), &device, |p| println!("{p:?} {:?}", t0.elapsed())).unwrap();
    let first = AuNet::new(net.clone(), &nc, &device);
    let t = fit_temperature(FacePath { landmarks: &ln, units: &first }, &hold).unwrap();
    println!("temperature {t}");
    let net = net.with_temperature(t);
    let mut st = SafetensorsStore::from_file(&out).overwrite(true).with_to_adapter(FloatCastAdapter::to(burn::tensor::DType::F16));
    net.save_into(&mut st).unwrap();
    let det = AuNet::new(net, &nc, &device);
    let s = score_au(FacePath { landmarks: &ln, units: &det }, &synth, &read_wild(&wild, "valid").unwrap(), &read_fer2013(&fer, "valid").unwrap()).unwrap();
    for f in s.figures { println!("{:<60} {:.4} {} n={}", f.name, f.value, f.wanted, f.n); }
}
