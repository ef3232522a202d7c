use super::*;
use crate::readers::testing::{Fixture, ids, skipped};

fn label(dataset: &Dataset, record: usize, unit: &str) -> Option<FacsLabel> {
    dataset.records[record]
        .facs
        .get(&unit.parse().unwrap())
        .copied()
}

fn kinds(dataset: &Dataset) -> Vec<&'static str> {
    skipped(dataset).iter().map(|(_, r)| r.kind()).collect()
}

#[test]
fn disfa_joins_units_by_frame() {
    let fixture = Fixture::new(&[
        ("ActionUnit_Labels/SN001/SN001_au1.txt", "1,0\n2,3\nx\n"),
        ("ActionUnit_Labels/SN001/SN001_au12.txt", "1,5\n2,1\n3,0\n"),
        ("Images/SN001/00001.jpg", "1"),
        ("Images/SN001/00002.jpg", "2"),
        ("Images/SN002/00002.jpg", "3"),
    ]);
    let dataset = fixture.read(Layout::Disfa);
    assert_eq!(
        ids(&dataset),
        ["Images/SN001/00001.jpg", "Images/SN001/00002.jpg"]
    );
    assert_eq!(
        label(&dataset, 1, "1"),
        Some(FacsLabel::Grade(FacsGrade::C))
    );
    assert_eq!(
        label(&dataset, 0, "AU12"),
        Some(FacsLabel::Grade(FacsGrade::E))
    );
    assert_eq!(dataset.records[0].subject.as_deref(), Some("SN001"));
    assert_eq!(
        kinds(&dataset),
        ["malformed", "missing image", "missing annotation"]
    );
}

#[test]
fn both_cameras_of_disfa_are_read() {
    let fixture = Fixture::new(&[
        ("ActionUnit_Labels/SN001/SN001_au12.txt", "1,2\n2,0\n"),
        ("Images/LeftVideoSN001/LeftVideoSN001_comp_00001.jpg", "l1"),
        ("Images/LeftVideoSN001/LeftVideoSN001_comp_00002.jpg", "l2"),
        (
            "Images/RightVideoSN001/RightVideoSN001_comp_00001.jpg",
            "r1",
        ),
        (
            "Images/RightVideoSN001/RightVideoSN001_comp_00003.jpg",
            "r3",
        ),
    ]);
    let dataset = fixture.read(Layout::Disfa);
    let read: Vec<_> = (dataset.records.iter())
        .map(|r| (r.image.read().unwrap(), r.frame))
        .collect();
    let wanted = [(b"l1", 1), (b"r1", 1), (b"l2", 2)];
    let wanted = wanted.map(|(bytes, frame)| (bytes.to_vec(), Some(frame)));
    assert_eq!(read, wanted);
    assert_eq!(label(&dataset, 0, "12"), label(&dataset, 1, "12"));
    assert_eq!(kinds(&dataset), ["missing annotation"]);
}

#[test]
fn disfa_plus_has_trials() {
    let fixture = Fixture::new(&[
        (
            "Labels/SN001/A1_Trial_1/AU1.txt",
            "# notes\n000.jpg\t0\n001.jpg 4\n",
        ),
        ("Images/SN001/A1_Trial_1/000.jpg", "1"),
        ("Images/SN001/A1_Trial_1/001.jpg", "2"),
    ]);
    let dataset = fixture.read(Layout::DisfaPlus);
    assert_eq!(dataset.records.len(), 2);
    assert_eq!(
        label(&dataset, 1, "1"),
        Some(FacsLabel::Grade(FacsGrade::D))
    );
    assert!(dataset.skipped.is_empty());
}

#[test]
fn bp4d_leaves_unknown_codes_out() {
    let fixture = Fixture::new(&[
        (
            "AUCoding/AU_OCC/F001_T1.csv",
            "0,1,12\n7,1,9\n8,0,1\n9,2,2\n",
        ),
        ("2D/F001/T1/0007.jpg", "1"),
        ("2D/F001/T1/008.jpg", "2"),
    ]);
    let dataset = fixture.read(Layout::Bp4d);
    assert_eq!(dataset.records.len(), 2);
    assert_eq!(
        (label(&dataset, 0, "1"), label(&dataset, 0, "12")),
        (Some(FacsLabel::Present), None)
    );
    assert_eq!(label(&dataset, 1, "1"), Some(FacsLabel::Absent));
    assert_eq!(kinds(&dataset), ["malformed"]);
}

#[test]
fn feafa_reads_24_numbers_per_frame() {
    let numbers = ["0.5"; 24].join(" ");
    let fixture = Fixture::new(&[
        ("v1/0001.jpg", "1"),
        ("v1/0001.auw", &numbers),
        ("v1/0002.jpg", "2"),
        ("v1/0003.jpg", "3"),
        ("v1/0003.auw", "0.5 0.5"),
    ]);
    let dataset = fixture.read(Layout::Feafa);
    assert_eq!(ids(&dataset), ["v1/0001.jpg"]);
    assert_eq!(dataset.records[0].action_units.unwrap().feafa(), [0.5; 24]);
    assert_eq!(kinds(&dataset), ["missing annotation", "malformed"]);
}
