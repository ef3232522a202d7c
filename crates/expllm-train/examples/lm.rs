use std::path::Path;
use expllm_core::*; use expllm_train::*; use expllm_train::landmarks::*; use expllm_face::*;
fn main() {
    let steps: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let tree = expllm_data::Tree::open(Path::new("/work/shared/data/wild.tar")).unwrap();
    let kit = std::fs::read("/work/shared/data/ict_facekit.safetensors").unwrap();
    let st = safetensors::SafeTensors::deserialize(&kit).unwrap();
    let f: Vec<f32> = st.tensor("neutral").unwrap().data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let ix: Vec<i32> = st.tensor("landmark68").unwrap().data().chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect();
    let t: [[f32;3];68] = std::array::from_fn(|i| { let v = ix[i] as usize*3; [f[v], -f[v+1], -f[v+2]] });
    println!("pt0 {:?} pt16 {:?} pt8 {:?} nose {:?}", t[0], t[16], t[8], t[30]);
    let load = |s: &str| -> Vec<LandmarkFace> { read_wild(&tree, s).unwrap().into_iter().map(|f| { let points = f.points.unwrap(); let head_pose = fit_head_pose(&t, &points).unwrap_or_default(); LandmarkFace { image: f.image, landmarks: Landmarks { points, head_pose } } }).collect() };
    let tr = load("train"); let va = load("valid");
    println!("{} {} poses {:?}", tr.len(), va.len(), va[..5].iter().map(|f| f.landmarks.head_pose).collect::<Vec<_>>());
    let device = burn::tensor::Device::flex();
    let nc = LandmarkNetworkConfig::new();
    let run = RunConfig::new(steps, 64, 2e-3);
    let net = train_landmarks(&tr, &nc, &run, Path::new(&format!("/work/runs/lm{steps}")), &device, |p| println!("{p:?}")).unwrap();
    let det = LandmarkNet::new(net.clone(), &nc, &device);
    println!("{:?}", score_landmarks(&det, &va).unwrap());
    use burn::store::*;
    let mut st = SafetensorsStore::from_file(format!("/work/runs/lm{steps}.safetensors")).overwrite(true).with_to_adapter(FloatCastAdapter::to(burn::tensor::DType::F16));
    net.save_into(&mut st).unwrap();
}
