//! Metrics of a run in files: `metrics.jsonl` to read, and an event file for TensorBoard.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::TrainError;

/// Writes metrics; what a stopped run had written is kept.
pub(super) struct Events {
    lines: (PathBuf, File),
    board: (PathBuf, File),
}

impl Events {
    /// Opens both files in the folder of the run.
    pub(super) fn open(folder: &Path) -> Result<Self, TrainError> {
        let open = |path: PathBuf| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.map_err(|e| TrainError::file(&path, e))?;
            Ok::<_, TrainError>((path, file))
        };
        let board = folder.join("events.out.tfevents.expllm");
        let fresh = !board.exists();
        let mut events = Self {
            lines: open(folder.join("metrics.jsonl"))?,
            board: open(board)?,
        };
        if fresh {
            // Field 3 of an event: the version of the format.
            let mut event = vec![0x09];
            event.extend(now().to_le_bytes());
            event.push(0x1a);
            bytes_field(&mut event, b"brain.Event:2");
            events.record(&event)?;
        }
        Ok(events)
    }

    /// Writes named numbers of a step.
    pub(super) fn write(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let mut object = Map::new();
        object.insert("step".to_owned(), json!(step));
        for (name, value) in values {
            object.insert((*name).to_owned(), json!(value));
        }
        let line = format!("{}\n", Value::Object(object));
        let (path, file) = &mut self.lines;
        file.write_all(line.as_bytes())
            .map_err(|e| TrainError::file(path.clone(), e))?;
        for (name, value) in values {
            self.record(&scalar_event(step as u64, name, *value as f32))?;
        }
        Ok(())
    }

    /// One record of the file format: length, its checksum, data, its checksum.
    fn record(&mut self, data: &[u8]) -> Result<(), TrainError> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_checksum(data).to_le_bytes());
        let (path, file) = &mut self.board;
        file.write_all(&record)
            .map_err(|e| TrainError::file(path.clone(), e))
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |time| time.as_secs_f64())
}

/// An event with one scalar: wall time (1), step (2), summary (5) with a value (1) of tag (1)
/// and number (2).
fn scalar_event(step: u64, tag: &str, value: f32) -> Vec<u8> {
    let mut inner = vec![0x0a];
    bytes_field(&mut inner, tag.as_bytes());
    inner.push(0x15);
    inner.extend(value.to_le_bytes());
    let mut summary = vec![0x0a];
    bytes_field(&mut summary, &inner);
    let mut event = vec![0x09];
    event.extend(now().to_le_bytes());
    event.push(0x10);
    varint(&mut event, step);
    event.push(0x2a);
    bytes_field(&mut event, &summary);
    event
}

fn bytes_field(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// CRC-32C, rotated and shifted as the record format asks.
fn masked_checksum(data: &[u8]) -> u32 {
    let mut checksum = u32::MAX;
    for &byte in data {
        checksum ^= u32::from(byte);
        for _ in 0..8 {
            let carry = checksum & 1;
            checksum = (checksum >> 1) ^ (carry * 0x82f6_3b78);
        }
    }
    let checksum = !checksum;
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // CRC-32C of nine digits is 0xe3069283 (RFC 3720).
        let masked = 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_checksum(b"123456789"), masked);
    }

    #[test]
    fn records_frame_their_data_and_lines_are_json() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::open(dir.path()).unwrap();
        events.write(300, &[("loss", 1.5)]).unwrap();
        drop(events);
        Events::open(dir.path()).unwrap().write(301, &[]).unwrap();
        let text = std::fs::read_to_string(dir.path().join("metrics.jsonl")).unwrap();
        assert_eq!(text, "{\"loss\":1.5,\"step\":300}\n{\"step\":301}\n");
        let bytes = std::fs::read(dir.path().join("events.out.tfevents.expllm")).unwrap();
        let (mut at, mut records) = (0, 0);
        while at < bytes.len() {
            let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            let data = &bytes[at + 12..at + 12 + length];
            let stored = &bytes[at + 12 + length..at + 16 + length];
            assert_eq!(stored, masked_checksum(data).to_le_bytes());
            at += 16 + length;
            records += 1;
        }
        assert_eq!(records, 2);
    }
}
