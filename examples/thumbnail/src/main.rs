//! Scales a picture down: a JPEG or PNG file in, a PNG file of at most 160 by 160 pixels out.

use std::io::Cursor;

use afresh::{Context, TaskError, task};
use image::{GenericImageView, ImageFormat, ImageReader, Limits};

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 160;

/// The longest side of a picture that is taken, in pixels.
const MAX_SIDE: u32 = 10_000;

/// Bytes that decoding may take, below the task's memory: a small file may claim to be a huge picture, and refusing it
/// by name is kinder than running out of memory on every attempt.
const MAX_BYTES: u64 = 96 << 20;

#[task(max_attempts = 3, timeout = "20s", memory = "128MiB")]
fn thumbnail(file: Vec<u8>, ctx: &Context) -> Result<Vec<u8>, TaskError> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);

    // A picture that does not decode will not decode tomorrow either.
    let picture = reader.decode().map_err(TaskError::reject)?;
    ctx.progress(0.8);

    let small = picture.thumbnail(SIDE, SIDE);
    ctx.info(format_args!("{:?} to {:?} pixels", picture.dimensions(), small.dimensions()));
    let mut png = Cursor::new(Vec::new());
    small.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

fn main() {
    afresh::run!(thumbnail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_gives_the_expected_thumbnail() {
        let ctx = Context::test();
        let reply = thumbnail(include_bytes!("../input.jpg").to_vec(), &ctx).unwrap();
        assert!(reply == include_bytes!("../expected.png"), "not the expected picture");
        assert_eq!(ctx.logs(), ["info: (1280, 853) to (160, 107) pixels"]);
    }

    #[test]
    fn a_png_gives_the_expected_thumbnail() {
        let reply = thumbnail(include_bytes!("../input.png").to_vec(), &Context::test()).unwrap();
        assert!(reply == include_bytes!("../expected-of-png.png"), "not the expected picture");
    }

    #[test]
    fn what_is_no_picture_is_rejected() {
        let half = &include_bytes!("../input.png")[..500];
        for file in [b"not a picture".as_slice(), half] {
            assert!(thumbnail(file.to_vec(), &Context::test()).unwrap_err().is_rejected());
        }
    }

    #[test]
    fn a_small_file_that_is_a_huge_picture_is_rejected() {
        let mut png = Cursor::new(Vec::new());
        image::GrayImage::new(MAX_SIDE + 1, 1).write_to(&mut png, ImageFormat::Png).unwrap();
        let error = thumbnail(png.into_inner(), &Context::test()).unwrap_err();
        assert!(error.is_rejected() && error.to_string().contains("exceeds limit"), "{error}");
    }
}
