//! Motion JPEG without another program: a stream of pictures one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use expllm_core::Photo;
use expllm_face::PhotoReader;
use image::RgbImage;
use image::imageops::{FilterType, resize};

use super::window::Window;
use super::{ClipInfo, ClipOptions, Frame, MAX_PIXELS, Opened, Start};
use crate::VideoError;

/// Bytes of a picture, at most.
const MAX_BYTES: usize = 64 << 20;

/// Opens a stream at a rate, since it carries no times. Pictures of another size than the first
/// are brought to that one.
pub fn open(path: &Path, options: &ClipOptions) -> Result<Opened, VideoError> {
    let io = |error| VideoError::unreadable(path, error);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut pictures = Pictures::new(BufReader::new(file));
    let first = match pictures.next() {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(VideoError::unreadable(path, error)),
        None => return Err(VideoError::unreadable(path, "holds no picture")),
    };
    let (options, rate) = (*options, options.rate);
    let size = decoded(&first)
        .ok()
        .map(|photo| (photo.width(), photo.height()));
    let info = ClipInfo {
        expected_frames: Some(expected(length / first.len().max(1) as u64, &options)),
        rate: Some(rate),
        base_rate: Some(rate),
        size,
        ..ClipInfo::default()
    };
    let stream = Stream {
        path: path.to_path_buf(),
        pictures: Box::new(std::iter::once(Ok(first)).chain(pictures)),
        rate,
        window: Window::new(options),
        size,
        read: 0,
    };
    let start: Start = Box::new(move || Box::new(stream));
    Ok(Opened { info, start })
}

/// How many of so many pictures are wanted.
fn expected(all: u64, options: &ClipOptions) -> u64 {
    let end = options
        .to
        .map_or(all as f64, |to| (to * options.rate).min(all as f64));
    let within = (end - options.from * options.rate).max(0.0);
    (within / options.every as f64).ceil() as u64
}

fn decoded(bytes: &[u8]) -> Result<Photo, String> {
    let reader = PhotoReader {
        max_pixels: MAX_PIXELS,
        ..PhotoReader::default()
    };
    reader.decode(bytes).map_err(|error| error.to_string())
}

/// The pictures of a stream as frames.
struct Stream {
    path: PathBuf,
    pictures: Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>,
    /// Pictures a second.
    rate: f64,
    window: Window,
    /// Size of the first picture in pixels, where it can be read.
    size: Option<(u32, u32)>,
    /// Pictures so far.
    read: u64,
}

impl Stream {
    /// The next picture, if it is wanted.
    fn wanted(&mut self, picture: &[u8]) -> Option<Result<Frame, VideoError>> {
        let time = self.read as f64 / self.rate;
        self.read += 1;
        let number = self.window.number(time)?;
        let photo = decoded(picture).and_then(|photo| self.fitted(photo));
        Some(match photo {
            Ok(photo) => Ok(Frame {
                number,
                time,
                photo,
            }),
            Err(reason) => Err(VideoError::Frame {
                number,
                time,
                reason,
            }),
        })
    }

    /// The picture in the size of the first that could be read.
    fn fitted(&mut self, photo: Photo) -> Result<Photo, String> {
        let own = (photo.width(), photo.height());
        let (width, height) = *self.size.get_or_insert(own);
        if own == (width, height) {
            return Ok(photo);
        }
        let picture = RgbImage::from_raw(own.0, own.1, photo.pixels().to_vec());
        let picture = picture.ok_or("a picture without pixels")?;
        let fitted = resize(&picture, width, height, FilterType::Triangle);
        Photo::new(width, height, fitted.into_raw()).map_err(|error| error.to_string())
    }
}

impl Iterator for Stream {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.window.over {
            match self.pictures.next() {
                Some(Ok(picture)) => {
                    if let Some(frame) = self.wanted(&picture) {
                        return Some(frame);
                    }
                }
                Some(Err(error)) => {
                    self.window.over = true;
                    return Some(Err(VideoError::Broken {
                        path: self.path.clone(),
                        frames: self.read,
                        reason: error.to_string(),
                    }));
                }
                None => self.window.over = true,
            }
        }
        None
    }
}

/// Cuts a stream into its pictures; one is held at a time. An error is the last item.
struct Pictures<R> {
    stream: R,
    ended: bool,
    /// Where in a picture the stream is.
    place: Place,
    picture: Vec<u8>,
}

/// Where in a picture a byte stands, after the markers of ITU-T T.81, annex B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between pictures; whether the last byte may begin one.
    Between { marked: bool },
    /// Between segments.
    Segments { marked: bool },
    /// At the first byte of a segment's length.
    Length { code: u8 },
    /// At the second byte.
    LengthEnd { code: u8, high: u8 },
    /// In a segment with so many bytes to come; pictures in it are no pictures of the stream.
    Within { code: u8, left: u16 },
    /// In the compressed data.
    Data { marked: bool },
}

/// What a byte does to a picture.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It goes on, or has not begun.
    On,
    /// It begins with this byte.
    Begins,
    /// It ends with this byte.
    Ends,
    /// It has ended before the byte ahead of this one, without an end mark: another begins.
    Next,
}

const MARK: u8 = 0xFF;
const START: u8 = 0xD8;
const END: u8 = 0xD9;
const SCAN: u8 = 0xDA;

impl Place {
    fn step(&mut self, byte: u8) -> Step {
        let marked = byte == MARK;
        match *self {
            Self::Between { marked: true } if byte == START => {
                *self = Self::Segments { marked: false };
                return Step::Begins;
            }
            Self::Between { .. } => *self = Self::Between { marked },
            Self::Segments { marked: true } if !marked => return self.mark(byte, false),
            Self::Segments { .. } => *self = Self::Segments { marked },
            Self::Length { code } => *self = Self::LengthEnd { code, high: byte },
            Self::LengthEnd { code, high } => {
                let left = u16::from_be_bytes([high, byte]).saturating_sub(2);
                *self = Self::Within { code, left }.settled();
            }
            Self::Within { code, left } => {
                let left = left.saturating_sub(1);
                *self = Self::Within { code, left }.settled();
            }
            Self::Data { marked: true } if !marked => return self.mark(byte, true),
            Self::Data { .. } => *self = Self::Data { marked },
        }
        Step::On
    }

    /// After the byte that marks: what the code says.
    fn mark(&mut self, code: u8, in_data: bool) -> Step {
        match code {
            END => {
                *self = Self::Between { marked: false };
                return Step::Ends;
            }
            START => {
                *self = Self::Segments { marked: false };
                return Step::Next;
            }
            // Stuffed bytes and restarts, which belong to the data, and marks without a length.
            0x00 | 0x01 | 0xD0..=0xD7 => {
                *self = match in_data {
                    true => Self::Data { marked: false },
                    false => Self::Segments { marked: false },
                };
            }
            code => *self = Self::Length { code },
        }
        Step::On
    }

    /// What comes after the last byte of a segment.
    const fn settled(self) -> Self {
        match self {
            Self::Within {
                code: SCAN,
                left: 0,
            } => Self::Data { marked: false },
            Self::Within { left: 0, .. } => Self::Segments { marked: false },
            other => other,
        }
    }
}

impl<R: BufRead> Pictures<R> {
    const fn new(stream: R) -> Self {
        Self {
            stream,
            ended: false,
            place: Place::Between { marked: false },
            picture: Vec::new(),
        }
    }

    /// Takes bytes up to the end of a picture; gives how many, and the picture if it has ended.
    fn take(&mut self) -> io::Result<(usize, Option<Vec<u8>>)> {
        let bytes = self.stream.fill_buf()?;
        for (at, &byte) in bytes.iter().enumerate() {
            let step = self.place.step(byte);
            if step == Step::Begins {
                self.picture.push(MARK);
            }
            if !matches!(self.place, Place::Between { .. }) || step == Step::Ends {
                self.picture.push(byte);
            }
            let ended = match step {
                Step::On | Step::Begins => continue,
                Step::Ends => std::mem::take(&mut self.picture),
                Step::Next => {
                    let mut picture = std::mem::replace(&mut self.picture, vec![MARK, START]);
                    // What began the next one becomes the end of this one.
                    picture.pop();
                    picture.push(END);
                    picture
                }
            };
            return Ok((at + 1, Some(ended)));
        }
        Ok((bytes.len(), None))
    }

    fn picture(&mut self) -> io::Result<Option<Vec<u8>>> {
        let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        loop {
            let (taken, picture) = self.take()?;
            self.stream.consume(taken);
            if picture.is_some() {
                return Ok(picture);
            }
            if self.picture.len() > MAX_BYTES {
                return invalid(format!("a picture has more than {MAX_BYTES} bytes"));
            }
            if taken == 0 {
                return match self.place {
                    Place::Between { .. } => Ok(None),
                    _ => invalid("the last picture is cut off".to_owned()),
                };
            }
        }
    }
}

impl<R: BufRead> Iterator for Pictures<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let picture = self.picture();
        self.ended = !matches!(picture, Ok(Some(_)));
        picture.transpose()
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::Clip;

    fn jpeg((width, height): (u32, u32), shade: u8) -> Vec<u8> {
        let picture = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([shade, (17 * x) as u8, (31 * y) as u8])
        });
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        picture.write_with_encoder(encoder).unwrap();
        bytes
    }

    /// A picture that holds another in a segment of its own, as cameras write them.
    fn with_thumbnail(shade: u8) -> Vec<u8> {
        let (whole, small) = (jpeg((16, 12), shade), jpeg((8, 8), 0));
        let length = (small.len() + 2) as u16;
        let mut bytes = whole[..2].to_vec();
        bytes.extend([MARK, 0xE2]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(small);
        bytes.extend(&whole[2..]);
        bytes
    }

    fn frames(bytes: &[u8], options: &ClipOptions) -> Vec<Result<Frame, VideoError>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.mjpeg");
        std::fs::write(&path, bytes).unwrap();
        Clip::open(&path, options).unwrap().frames.collect()
    }

    #[test]
    fn pictures_come_at_the_rate_that_is_said() {
        let shades = [20, 60, 100, 140, 180, 220];
        let stream: Vec<u8> = shades.into_iter().flat_map(with_thumbnail).collect();
        let all = frames(&stream, &ClipOptions::default());
        for (at, frame) in all.iter().enumerate() {
            let frame = frame.as_ref().unwrap();
            assert_eq!((frame.photo.width(), frame.photo.height()), (16, 12));
            assert!(frame.photo.pixels()[0].abs_diff(shades[at]) < 25);
            assert!((frame.time - 0.04 * at as f64).abs() < 1e-9);
        }
        assert_eq!(all.len(), 6);
        let options = ClipOptions {
            rate: 10.0,
            from: 0.1,
            to: Some(0.4),
            every: 2,
        };
        let some = frames(&stream, &options);
        let places: Vec<_> = some.iter().map(|f| f.as_ref().unwrap()).collect();
        let places: Vec<_> = places.iter().map(|f| (f.number, f.time)).collect();
        assert_eq!(places, [(0, 0.1), (2, 0.3)]);
    }

    #[test]
    fn what_lies_between_is_passed_over_and_a_missing_end_is_mended() {
        let one = jpeg((16, 12), 50);
        let mut stream = one[..one.len() - 2].to_vec();
        stream.extend(&one);
        stream.extend(b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n\xFF");
        stream.extend(&one);
        let all = frames(&stream, &ClipOptions::default());
        assert_eq!(all.iter().filter(|frame| frame.is_ok()).count(), 3);
        assert_eq!(
            all[0].as_ref().unwrap().photo,
            all[2].as_ref().unwrap().photo
        );
    }

    #[test]
    fn a_cut_end_is_said_and_a_bad_picture_costs_no_other() {
        let one = jpeg((16, 12), 50);
        let mut bad = one.clone();
        let scan = bad.windows(2).position(|two| two == [MARK, SCAN]).unwrap();
        bad.drain(scan + 14..bad.len() - 2);
        let cut = &one[..one.len() - 9];
        let stream = [&one, &bad, &jpeg((8, 6), 50), cut].concat();
        let all = frames(&stream, &ClipOptions::default());
        assert!(matches!(all[1], Err(VideoError::Frame { number: 1, .. })));
        let other = &all[2].as_ref().unwrap().photo;
        assert_eq!((other.width(), other.height()), (16, 12));
        let error = all[3].as_ref().unwrap_err().to_string();
        assert!(error.contains("broken after 3 frames"), "{error}");
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn sizes_that_are_too_large_are_refused_before_memory_is_taken() {
        let mut huge = jpeg((16, 12), 50);
        let frame = huge.windows(2).position(|two| two == [MARK, 0xC0]).unwrap();
        huge[frame + 5..frame + 9].fill(0xFF);
        let all = frames(&huge, &ClipOptions::default());
        let error = all[0].as_ref().unwrap_err();
        assert!(matches!(error, VideoError::Frame { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(
            bytes in prop::collection::vec(prop::sample::select(vec![0_u8, 2, 3, 0xD0, 0xD8, 0xD9, 0xDA, 0xE0, 0xFF]), 0..200),
        ) {
            let all: Vec<_> = Pictures::new(&bytes[..]).collect();
            let held: usize = all.iter().flatten().map(Vec::len).sum();
            prop_assert!(held <= bytes.len() + all.len());
            for picture in all.iter().flatten() {
                prop_assert!(picture.starts_with(&[MARK, START]) && picture.ends_with(&[END]));
            }
        }
    }
}
