//! The runs as small plots in one picture: a row for each contender, a column for each scenario, one scale for all.
//!
//! Memory swings between two values several times a second, so each [`STEP_MS`] is drawn as a band from the least to the most
//! that was seen in it. The scale is logarithmic: from one grid line to the next is ten times as much.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::recording::Recording;
use crate::scenario::Scenario;
use crate::summary::Summary;

const MIB: f64 = 1024.0 * 1024.0;
const STEP_MS: f64 = 200.0;
/// The scale, in MiB, and where it has lines.
const SCALE: std::ops::Range<f64> = 0.6..9000.0;
const LINES: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

/// Sizes in points.
const WIDTH: u32 = 1000;
const HEAD: u32 = 88;
const ROW: u32 = 140;
const FOOT: u32 = 28;
/// Left edge of the plots in their cell: the labels of the scale stand before it.
const EDGE: u32 = 44;

const OURS: RGBColor = RGBColor(0x0b, 0x7a, 0x75);
const THEIRS: RGBColor = RGBColor(0xc2, 0x41, 0x0c);
const BROKER: RGBColor = RGBColor(0x43, 0x38, 0xca);
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x37);
const FAINT: RGBColor = RGBColor(0xdd, 0xe1, 0xe7);

/// Writes `memory.svg` and `memory.png`, and where there are runs with a short poll interval `memory-short-poll.*` of those.
///
/// # Errors
/// If a file cannot be written.
pub fn write(recordings: &[Recording], out: &Path) -> anyhow::Result<()> {
    register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
        .and_then(|()| register_font("sans-serif", FontStyle::Bold, dejavu::sans::bold()))
        .map_err(|_| anyhow::anyhow!("failed to read the font that is built in"))?;
    for (file, polling) in [("memory", "default"), ("memory-short-poll", "10 ms")] {
        let runs: Vec<&Recording> = recordings.iter().filter(|run| run.polling.is_none_or(|p| p == polling)).collect();
        if file == "memory" || runs.iter().any(|run| !run.is_afresh()) {
            let picture = Picture::of(runs);
            let (width, height) = picture.size();
            let path = out.join(file);
            picture.draw(1, SVGBackend::new(&path.with_extension("svg"), (width, height)).into_drawing_area())?;
            let pixels = (2 * width, 2 * height);
            picture.draw(2, BitMapBackend::new(&path.with_extension("png"), pixels).into_drawing_area())?;
        }
    }
    Ok(())
}

struct Picture<'a> {
    runs: Vec<&'a Recording>,
    /// The contenders, in the order of their rows.
    names: Vec<&'a str>,
}

impl<'a> Picture<'a> {
    fn of(runs: Vec<&'a Recording>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for run in &runs {
            if !names.contains(&run.name.as_str()) {
                names.push(&run.name);
            }
        }
        Self { runs, names }
    }

    fn size(&self) -> (u32, u32) {
        (WIDTH, HEAD + ROW * self.names.len() as u32 + FOOT)
    }

    /// Draws everything; a point is so many pixels.
    fn draw<DB: DrawingBackend>(&self, point: u32, root: DrawingArea<DB, Shift>) -> anyhow::Result<()>
    where
        DB::ErrorType: 'static,
    {
        root.fill(&WHITE)?;
        let (head, rest) = root.split_vertically(HEAD * point);
        let (body, foot) = rest.split_vertically(ROW * point * self.names.len() as u32);
        self.legend(&head, point)?;
        for (index, cell) in body.split_evenly((self.names.len(), Scenario::ALL.len())).iter().enumerate() {
            let name = self.names[index / Scenario::ALL.len()];
            let scenario = Scenario::ALL[index % Scenario::ALL.len()];
            if let Some(run) = self.runs.iter().find(|run| run.name == name && run.scenario == scenario) {
                small_plot(cell, point, run)?;
            }
        }
        text(&foot, point, "seconds since the first attempt", (WIDTH / 2 - 100, 8), 12, FontStyle::Normal)?;
        Ok(root.present()?)
    }

    /// The head of the picture: what it shows, what the colours mean, and a title for each column.
    fn legend<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, point: u32) -> anyhow::Result<()>
    where
        DB::ErrorType: 'static,
    {
        let title = "A task allocates 128 MiB and fails, again and again. Memory in MiB, logarithmic";
        text(area, point, title, (EDGE, 10), 15, FontStyle::Bold)?;
        let theirs = self.runs.iter().any(|run| !run.is_afresh());
        let entries = [("Afresh’s worker", OURS), ("all of Redis", BROKER), ("Dramatiq’s worker", THEIRS)];
        for (index, (words, colour)) in entries.into_iter().take(2 + usize::from(theirs)).enumerate() {
            let x = EDGE + 150 * index as u32;
            area.draw(&Rectangle::new([pixel(point, (x, 37)), pixel(point, (x + 14, 47))], colour.filled()))?;
            text(area, point, words, (x + 20, 37), 12, FontStyle::Normal)?;
        }
        for (index, scenario) in Scenario::ALL.into_iter().enumerate() {
            let words = format!("Where {scenario}");
            text(area, point, &words, (EDGE + index as u32 * WIDTH / 2, 65), 13, FontStyle::Bold)?;
        }
        Ok(())
    }
}

fn small_plot<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, point: u32, run: &Recording) -> anyhow::Result<()>
where
    DB::ErrorType: 'static,
{
    let Summary { per_second, peak, .. } = Summary::of(run);
    let title = format!("{}: peak {:.0} MiB, {per_second:.1} attempts a second", run.name, peak / MIB);
    text(area, point, &title, (EDGE, 6), 12, FontStyle::Normal)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(24 * point)
        .margin_right(14 * point)
        .x_label_area_size(18 * point)
        .y_label_area_size(EDGE * point)
        .build_cartesian_2d(0.0..run.seconds as f64, SCALE.log_scale().with_key_points(LINES.to_vec()))?;
    chart
        .configure_mesh()
        .x_labels(7)
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .y_label_formatter(&|mib| format!("{mib:.0}"))
        .label_style(("sans-serif", 11 * point).into_font().color(&INK))
        .axis_style(FAINT)
        .bold_line_style(FAINT.stroke_width(point))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let colour = if run.is_afresh() { OURS } else { THEIRS };
    let worker = run.worker.iter().map(|sample| (sample.at - run.begin, sample.rss as f64 / MIB));
    let broker = run.broker.iter().map(|sample| (sample.at - run.begin, sample.used as f64 / MIB));
    for (colour, bands) in [(colour, bands(worker.collect())), (BROKER, bands(broker.collect()))] {
        let boxes = bands.iter().map(|band| [(band.from, band.least), (band.to, band.most)]);
        chart.draw_series(boxes.map(|corners| Rectangle::new(corners, colour.mix(0.3).filled())))?;
        let top = bands.iter().flat_map(|band| [(band.from, band.most), (band.to, band.most)]);
        chart.draw_series(LineSeries::new(top, colour.stroke_width(2 * point)))?;
        let bottom = bands.iter().flat_map(|band| [(band.from, band.least), (band.to, band.least)]);
        chart.draw_series(LineSeries::new(bottom, colour.stroke_width(point)))?;
    }
    Ok(())
}

/// What was seen within one step: in seconds, and in MiB.
struct Band {
    from: f64,
    to: f64,
    least: f64,
    most: f64,
}

/// One band for each step in which there was a sample; it reaches to the next one, for the sampler may have been kept waiting.
fn bands(points: Vec<(f64, f64)>) -> Vec<Band> {
    let step = |at: f64| (at / STEP_MS).floor() * STEP_MS / 1000.0;
    let mut bands: Vec<Band> = Vec::new();
    for chunk in points.chunk_by(|a, b| step(a.0) == step(b.0)) {
        let from = step(chunk[0].0);
        if let Some(last) = bands.last_mut() {
            last.to = from;
        }
        let least = chunk.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let most = chunk.iter().map(|point| point.1).fold(0.0, f64::max);
        bands.push(Band { from, to: from + STEP_MS / 1000.0, least, most });
    }
    bands
}

fn text<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    point: u32,
    words: &str,
    at: (u32, u32),
    size: u32,
    style: FontStyle,
) -> anyhow::Result<()>
where
    DB::ErrorType: 'static,
{
    let font = ("sans-serif", size * point, style).into_font().color(&INK);
    Ok(area.draw(&Text::new(words, pixel(point, at), font))?)
}

fn pixel(point: u32, (x, y): (u32, u32)) -> (i32, i32) {
    ((x * point).cast_signed(), (y * point).cast_signed())
}
