//! All figures of a benchmark as bars, drawn to scale within each title and unit.

use std::{error::Error, path::Path};

use cordon_benches::Figure;
use plotters::{
    prelude::{
        Color, DrawingArea, IntoDrawingArea, PathElement, RGBColor, Rectangle, SVGBackend, ShapeStyle, Text,
        WHITE,
    },
    style::{
        FontStyle, IntoFont, IntoTextStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::page::number;

const WIDTH: i32 = 1000;
/// Where bars begin, and where the longest ends.
const BARS: [i32; 2] = [420, 760];
const ROW: i32 = 22;
const TITLE: i32 = 34;
const INK: RGBColor = RGBColor(40, 40, 40);
const OURS: RGBColor = RGBColor(46, 110, 180);
const PEER: RGBColor = RGBColor(170, 170, 170);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws a benchmark's figures into a file.
pub(crate) fn draw(path: &Path, name: &str, figures: &[Figure]) -> Result<(), Box<dyn Error>> {
    let titles = figures.chunk_by(|one, other| one.title == other.title);
    let height = TITLE
        + titles
            .map(|rows| TITLE + ROW * i32::try_from(rows.len()).unwrap_or(0))
            .sum::<i32>()
        + ROW;
    let size = (WIDTH.cast_unsigned(), height.cast_unsigned());
    let canvas = SVGBackend::new(path, size).into_drawing_area();
    canvas.fill(&WHITE)?;
    write(&canvas, name, (12, 8), HPos::Left, FontStyle::Bold)?;
    let mut y = TITLE;
    for rows in figures.chunk_by(|one, other| one.title == other.title) {
        write(
            &canvas,
            &rows[0].title,
            (12, y + 8),
            HPos::Left,
            FontStyle::Italic,
        )?;
        y += TITLE;
        for figure in rows {
            bar(&canvas, figure, scale(rows, &figure.unit), y)?;
            y += ROW;
        }
    }
    canvas.present()?;
    Ok(())
}

/// Pixels for one of a unit, so that the longest bar of these rows has its room.
fn scale(rows: &[Figure], unit: &str) -> f64 {
    let most = rows
        .iter()
        .filter(|figure| figure.unit == unit)
        .map(|figure| figure.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    f64::from(BARS[1] - BARS[0]) / most
}

fn bar(canvas: &Canvas<'_>, figure: &Figure, scale: f64, y: i32) -> Result<(), Box<dyn Error>> {
    #[expect(clippy::cast_possible_truncation, reason = "pixels of the picture")]
    let at = |value: f64| BARS[0] + (value * scale).round() as i32;
    let colour = if figure.ours { OURS } else { PEER };
    let (top, middle, bottom) = (y + 3, y + ROW / 2, y + ROW - 3);
    write(
        canvas,
        &figure.what,
        (BARS[0] - 8, y + 4),
        HPos::Right,
        FontStyle::Normal,
    )?;
    canvas.draw(&Rectangle::new(
        [(BARS[0], top), (at(figure.median), bottom)],
        colour.filled(),
    ))?;
    let spread = [(at(figure.least), middle), (at(figure.most), middle)];
    canvas.draw(&PathElement::new(spread, ShapeStyle::from(&INK).stroke_width(1)))?;
    let ratio = figure
        .ratio
        .map(|ratio| format!(", {ratio:.2} x"))
        .unwrap_or_default();
    let figures = format!("{} {}{ratio}", number(figure.median), figure.unit);
    write(
        canvas,
        &figures,
        (at(figure.most) + 8, y + 4),
        HPos::Left,
        FontStyle::Normal,
    )
}

fn write(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    anchor: HPos,
    style: FontStyle,
) -> Result<(), Box<dyn Error>> {
    let font = ("sans-serif", 13).into_font().style(style);
    let style: TextStyle<'_> = font
        .into_text_style(canvas)
        .color(&INK)
        .pos(Pos::new(anchor, VPos::Top));
    canvas.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}
