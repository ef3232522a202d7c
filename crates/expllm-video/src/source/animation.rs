//! Animated GIF, WebP and PNG, without another program.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use expllm_core::Photo;
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, ImageDecoder, ImageFormat, ImageResult, RgbaImage};

use super::window::Window;
use super::{ClipInfo, ClipOptions, Frame, MAX_PIXELS, Opened, Start};
use crate::VideoError;

/// Frames shown for no time at all are shown this long, in seconds, as browsers do.
const DEFAULT_DELAY: f64 = 0.1;

/// Whether a format is read here.
pub const fn reads(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Gif | ImageFormat::WebP | ImageFormat::Png
    )
}

/// Opens an animation; a picture that does not move is a clip of one frame.
pub fn open(path: &Path, format: ImageFormat, options: &ClipOptions) -> Result<Opened, VideoError> {
    let (size, pictures) = decoder(path, format)?;
    let (path, options) = (path.to_path_buf(), *options);
    let info = ClipInfo {
        size: Some(size),
        ..ClipInfo::default()
    };
    let start: Start = Box::new(move || Box::new(Animation::new(path, pictures(), options)));
    Ok(Opened { info, start })
}

/// Pictures with how long each is shown, in seconds. The library ties them to one thread.
type Pictures = Box<dyn Iterator<Item = ImageResult<(RgbaImage, f64)>>>;

/// Size in pixels, and the pictures once they are wanted.
type Decoder = ((u32, u32), Box<dyn FnOnce() -> Pictures + Send>);

fn decoder(path: &Path, format: ImageFormat) -> Result<Decoder, VideoError> {
    let file = File::open(path).map_err(|e| VideoError::unreadable(path, e))?;
    let file = BufReader::new(file);
    let decode = |error| VideoError::unreadable(path, error);
    match format {
        ImageFormat::Gif => moving(path, GifDecoder::new(file).map_err(decode)?),
        ImageFormat::WebP => moving(path, WebPDecoder::new(file).map_err(decode)?),
        _ => {
            let png = PngDecoder::new(file).map_err(decode)?;
            let size = small_enough(path, png.dimensions())?;
            if png.is_apng().map_err(decode)? {
                let frames = png.apng().map_err(decode)?;
                return Ok((size, Box::new(move || shown(frames.into_frames()))));
            }
            let picture = image::DynamicImage::from_decoder(png).map_err(decode)?;
            let one = std::iter::once(Ok((picture.into_rgba8(), 0.0)));
            Ok((size, Box::new(move || Box::new(one))))
        }
    }
}

fn moving<D>(path: &Path, decoder: D) -> Result<Decoder, VideoError>
where
    D: ImageDecoder + AnimationDecoder<'static> + Send + 'static,
{
    let size = small_enough(path, decoder.dimensions())?;
    Ok((size, Box::new(move || shown(decoder.into_frames()))))
}

fn shown(frames: image::Frames<'static>) -> Pictures {
    let timed = |frame: image::Frame| {
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let seconds = f64::from(numerator) / f64::from(denominator.max(1)) / 1000.0;
        (frame.into_buffer(), seconds)
    };
    Box::new(frames.map(move |frame| frame.map(timed)))
}

fn small_enough(path: &Path, (width, height): (u32, u32)) -> Result<(u32, u32), VideoError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let reason = format!("has frames of {width} x {height} pixels, more than {MAX_PIXELS}");
        return Err(VideoError::unreadable(path, reason));
    }
    Ok((width, height))
}

/// The pictures of an animation on a time line.
struct Animation {
    path: PathBuf,
    pictures: Pictures,
    window: Window,
    time: f64,
    /// Pictures so far.
    read: u64,
}

impl Animation {
    fn new(path: PathBuf, pictures: Pictures, options: ClipOptions) -> Self {
        Self {
            path,
            pictures,
            window: Window::new(options),
            time: 0.0,
            read: 0,
        }
    }

    /// The next picture with its time.
    fn picture(&mut self) -> Option<Result<(f64, RgbaImage), VideoError>> {
        let (path, frames) = (&self.path, self.read);
        let broken = |error: image::ImageError| VideoError::Broken {
            path: path.clone(),
            frames,
            reason: error.to_string(),
        };
        let (picture, delay) = match self.pictures.next()?.map_err(broken) {
            Ok(picture) => picture,
            Err(error) => return Some(Err(error)),
        };
        let time = self.time;
        self.time += if delay > 0.0 { delay } else { DEFAULT_DELAY };
        self.read += 1;
        Some(Ok((time, picture)))
    }

    /// The picture as a frame, if it is wanted.
    fn wanted(&mut self, (time, picture): (f64, RgbaImage)) -> Option<Frame> {
        let number = self.window.number(time)?;
        let photo = on_white(&picture)?;
        Some(Frame {
            number,
            time,
            photo,
        })
    }
}

impl Iterator for Animation {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.window.over {
            match self.picture() {
                Some(Ok(picture)) => {
                    if let Some(frame) = self.wanted(picture) {
                        return Some(Ok(frame));
                    }
                }
                Some(Err(error)) => {
                    self.window.over = true;
                    return Some(Err(error));
                }
                None => self.window.over = true,
            }
        }
        None
    }
}

/// The picture with white behind its transparent pixels.
fn on_white(picture: &RgbaImage) -> Option<Photo> {
    let over = |pixel: &[u8]| -> [u8; 3] {
        let alpha = u32::from(pixel[3]);
        std::array::from_fn(|i| {
            ((u32::from(pixel[i]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        })
    };
    let pixels = picture.as_raw().chunks_exact(4).flat_map(over).collect();
    Photo::new(picture.width(), picture.height(), pixels).ok()
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Rgba};

    use super::*;
    use crate::Clip;

    fn gif(path: &Path, frames: u8) {
        let mut encoder = GifEncoder::new(File::create(path).unwrap());
        for number in 0..frames {
            let picture = RgbaImage::from_pixel(4, 3, Rgba([10 * number, 0, 0, 255]));
            let delay = Delay::from_numer_denom_ms(40 * (1 + u32::from(number % 2)), 1);
            let frame = image::Frame::from_parts(picture, 0, 0, delay);
            encoder.encode_frame(frame).unwrap();
        }
    }

    #[test]
    fn frames_of_a_gif_have_the_times_of_their_delays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.gif");
        gif(&path, 5);
        let frames: Vec<_> = Clip::open(&path, &ClipOptions::default())
            .unwrap()
            .frames
            .map(Result::unwrap)
            .collect();
        let times: Vec<_> = frames
            .iter()
            .map(|f| (f.time * 1000.0).round() as u32)
            .collect();
        assert_eq!(times, [0, 40, 120, 160, 240]);
        let options = ClipOptions {
            every: 2,
            from: 0.04,
            to: Some(0.2),
            ..ClipOptions::default()
        };
        let some: Vec<_> = Clip::open(&path, &options).unwrap().frames.collect();
        let numbers: Vec<_> = some.iter().map(|f| f.as_ref().unwrap().number).collect();
        assert_eq!(numbers, [0, 2]);
    }

    #[test]
    fn a_gif_that_is_cut_keeps_its_first_frames_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.gif");
        gif(&path, 9);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let frames: Vec<_> = Clip::open(&path, &ClipOptions::default())
            .unwrap()
            .frames
            .collect();
        let good = frames.iter().filter(|frame| frame.is_ok()).count();
        assert!((3..9).contains(&good), "{good}");
        let last = frames.last().unwrap().as_ref().unwrap_err();
        assert!(matches!(last, VideoError::Broken { .. }), "{last}");
    }
}
