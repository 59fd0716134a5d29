//! Charts as SVG, drawn on a white ground so that they can be read whatever is around them.

use std::fmt::{self, Write as _};

use crate::axis::{Axis, Spread};
use crate::label::{broken, escaped, width};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 72.0;
/// As wide as most are.
const CHARACTER: f64 = 6.6;
/// Told apart also by those who do not see all colours; shapes differ as well.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#00805c", "#aa4499"];

/// One value, and the bounds of its confidence interval if it has one.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub bounds: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Shapes joined by a line.
    Line,
    /// Shapes with their values beside them.
    Labelled,
    /// A line alone.
    Path,
    /// Pale dots, for every single value.
    Dots,
    /// A short bar across, with its value.
    Bar,
}

#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub mark: Mark,
    pub points: Vec<Point>,
}

#[derive(Debug)]
pub struct Chart<'a> {
    pub title: &'a str,
    /// What is shown of how many measurements.
    pub subtitle: String,
    pub x_title: &'a str,
    /// Places along the horizontal axis, with what is written there, from left to right.
    pub x_ticks: Vec<(f64, String)>,
    pub y_title: &'a str,
    pub spread: Spread,
    /// How values are written.
    pub show: fn(f64) -> String,
    pub series: Vec<Series>,
}

impl Chart<'_> {
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        // Writing to a string does not fail.
        let _ = self.draw(&mut svg);
        svg
    }

    fn draw(&self, svg: &mut String) -> fmt::Result {
        let points = self.series.iter().flat_map(|series| &series.points);
        let values = points.flat_map(|point| {
            let (low, high) = point.bounds.unwrap_or((point.y, point.y));
            [low, point.y, high]
        });
        let axis = Axis::over(self.spread, values);
        let (title, subtitle) = (escaped(self.title), escaped(&self.subtitle));
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" font-family=\"sans-serif\" \
             font-size=\"12\" fill=\"#222222\">\n<title>{title}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n\
             <text x=\"{LEFT}\" y=\"43\" fill=\"#555555\">{subtitle}</text>"
        )?;
        self.frame(svg, &axis)?;
        let mut legend = LEFT;
        for (at, series) in self.series.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            // A bar is longer than it is high.
            legend += if matches!(series.mark, Mark::Bar | Mark::Path) { 10.0 } else { 0.0 };
            shape(svg, at, colour, (legend + 5.0, 62.0), series.mark)?;
            let name = escaped(&series.name);
            writeln!(svg, "<text x=\"{:.1}\" y=\"66\">{name}</text>", legend + 20.0)?;
            legend += 38.0 + CHARACTER * width(&series.name);
            self.marks(svg, &axis, at, colour)?;
        }
        svg.push_str("</svg>\n");
        Ok(())
    }

    /// Grid, both axes, and what is written along them.
    fn frame(&self, svg: &mut String, axis: &Axis) -> fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, is_written) in &axis.ticks {
            let y = down(axis.place(*value));
            let colour = if *is_written { "#cccccc" } else { "#eeeeee" };
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"{colour}\"/>")?;
            if *is_written {
                let (x, y, text) = (LEFT - 8.0, y + 4.0, escaped(&(self.show)(*value)));
                writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>")?;
            }
        }
        writeln!(
            svg,
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" stroke=\"#222222\" fill=\"none\"/>"
        )?;
        let columns = u32::try_from(self.x_ticks.len()).unwrap_or(1).max(1);
        let room = (right - LEFT) / f64::from(columns) / CHARACTER;
        for (place, text) in &self.x_ticks {
            let x = self.across(*place);
            writeln!(svg, "<path d=\"M{x:.1} {bottom}v5\" stroke=\"#222222\"/>")?;
            for (line, y) in broken(text, room).iter().zip([20.0, 34.0, 48.0, 62.0]) {
                let (y, line) = (bottom + y, escaped(line));
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{line}</text>")?;
            }
        }
        let (x, y) = (f64::midpoint(LEFT, right), HEIGHT - 10.0);
        let (x_title, y_title) = (escaped(self.x_title), escaped(self.y_title));
        writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{x_title}</text>")?;
        let y = f64::midpoint(TOP, bottom);
        writeln!(
            svg,
            "<text x=\"20\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {y})\">{y_title}</text>"
        )
    }

    fn marks(&self, svg: &mut String, axis: &Axis, at: usize, colour: &str) -> fmt::Result {
        let Series { mark, points, .. } = &self.series[at];
        let place = |point: &Point| (self.across(point.x), down(axis.place(point.y)));
        if matches!(mark, Mark::Line | Mark::Path) {
            let path: Vec<_> =
                points.iter().map(place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            let path = path.join("L");
            let dashes = if *mark == Mark::Path { dashes(at) } else { "" };
            writeln!(
                svg,
                "<path d=\"M{path}\" stroke=\"{colour}\" stroke-width=\"2\"{dashes} fill=\"none\"/>"
            )?;
        }
        for point in points {
            let (x, y) = place(point);
            if let Some((low, high)) = point.bounds {
                let (low, high) = (down(axis.place(low)), down(axis.place(high)));
                let (left, right) = (x - 4.0, x + 4.0);
                writeln!(
                    svg,
                    "<path d=\"M{left:.1} {low:.1}H{right:.1}M{x:.1} {low:.1}V{high:.1}\
                     M{left:.1} {high:.1}H{right:.1}\" stroke=\"{colour}\" fill=\"none\"/>"
                )?;
            }
            if *mark != Mark::Path {
                shape(svg, at, colour, (x, y), *mark)?;
            }
            if matches!(mark, Mark::Labelled | Mark::Bar) {
                let (x, y, text) = (x + 16.0, y + 4.0, escaped(&(self.show)(point.y)));
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")?;
            }
        }
        Ok(())
    }

    /// Half a step is left free beside the first and the last tick.
    fn across(&self, x: f64) -> f64 {
        let ends = self.x_ticks.first().zip(self.x_ticks.last());
        let (first, last) = ends.map_or((0.0, 0.0), |((first, _), (last, _))| (*first, *last));
        let steps = f64::from(u32::try_from(self.x_ticks.len()).unwrap_or(1).max(2) - 1);
        let margin = if last > first { (last - first) / steps / 2.0 } else { 0.5 };
        let whole = last - first + 2.0 * margin;
        LEFT + (x - first + margin) / whole * (WIDTH - LEFT - RIGHT)
    }
}

/// Lines without marks differ in this.
fn dashes(at: usize) -> &'static str {
    ["", " stroke-dasharray=\"9 3\"", " stroke-dasharray=\"3 3\"", " stroke-dasharray=\"9 3 3 3\""]
        [at % 4]
}

fn down(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - BOTTOM - TOP)
}

fn shape(svg: &mut String, at: usize, colour: &str, (x, y): (f64, f64), mark: Mark) -> fmt::Result {
    match (mark, at % 3) {
        (Mark::Bar | Mark::Path, _) => {
            let (x, dashes) = (x - 11.0, if mark == Mark::Path { dashes(at) } else { "" });
            writeln!(
                svg,
                "<path d=\"M{x:.1} {y:.1}h22\" stroke=\"{colour}\" stroke-width=\"3\"{dashes}/>"
            )
        }
        (Mark::Dots, _) => {
            writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\" fill-opacity=\"0.45\"/>"
            )
        }
        (Mark::Line | Mark::Labelled, 0) => {
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>")
        }
        (Mark::Line | Mark::Labelled, 1) => {
            let (x, y) = (x - 4.5, y - 4.5);
            writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"9\" height=\"9\" fill=\"{colour}\"/>"
            )
        }
        (Mark::Line | Mark::Labelled, _) => {
            let (x, y) = (x, y - 6.0);
            writeln!(svg, "<path d=\"M{x:.1} {y:.1}l6 10h-12z\" fill=\"{colour}\"/>")
        }
    }
}
