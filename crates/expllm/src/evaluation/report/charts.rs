//! Charts as inline SVG. Colours keep their order when printed in grey.

use std::fmt::Write;

use expllm_metrics::{Calibration, Confusion};

/// A row of bars, each from 0 to 1.
pub struct Bar {
    /// What the row is about.
    pub label: String,
    /// The lengths; an undefined one is left empty.
    pub values: Vec<Option<f64>>,
}

const COLOURS: [&str; 3] = ["#1b4f8a", "#4d8fd1", "#a8cbee"];

/// The confusion matrix, shaded by the share of each true class.
pub fn confusion(matrix: &Confusion, names: &[&str]) -> String {
    let classes = matrix.classes();
    let columns = classes + usize::from(matrix.unanswered() > 0);
    let (cell, left, top) = (46, 78, 74);
    // The slanted name of the last column reaches beyond it.
    let (width, height) = (left + columns * cell + 44, top + classes * cell + 4);
    let mut svg = open(
        width,
        height,
        "Confusion matrix: rows are truth, columns answers",
    );
    for column in 0..columns {
        let name = names.get(column).unwrap_or(&"no answer");
        let x = left + column * cell + cell / 2;
        let y = top - 8;
        let _ = write!(
            svg,
            r#"<text transform="translate({x} {y}) rotate(-45)">{}</text>"#,
            escape(name)
        );
    }
    for (row, name) in names.iter().enumerate() {
        let y = top + row * cell;
        let support = matrix.support(row);
        let _ = write!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
            left - 6,
            y + cell / 2 + 4,
            escape(name)
        );
        for column in 0..columns {
            let count = matrix.count(row, (column < classes).then_some(column));
            let share = count as f64 / support.max(1) as f64;
            let ink = if share > 0.5 { "#fff" } else { "#111" };
            let x = left + column * cell;
            let _ = write!(
                svg,
                r##"<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#1b4f8a" fill-opacity="{share:.3}" stroke="#ccc"/><text x="{}" y="{}" text-anchor="middle" fill="{ink}">{count}</text>"##,
                x + cell / 2,
                y + cell / 2 + 4,
            );
        }
    }
    svg + "</svg>"
}

/// Accuracy against confidence; the diagonal is perfect, the width of a dot its share of samples.
pub fn reliability(calibration: &Calibration) -> String {
    let total: u64 = calibration.bins().iter().map(|b| b.n).sum();
    if total == 0 {
        return String::new();
    }
    let (side, left, top) = (260.0, 44.0, 10.0);
    let mut svg = open(320, 316, "Reliability diagram");
    let _ = write!(
        svg,
        r##"<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="#999"/><path d="M{left} {} L{} {top}" stroke="#999" stroke-dasharray="4 4"/>"##,
        top + side,
        left + side,
    );
    for tick in [0.0, 0.5, 1.0] {
        let (x, y) = (left + tick * side, top + side - tick * side);
        let _ = write!(
            svg,
            r#"<text x="{x}" y="{}" text-anchor="middle">{tick}</text><text x="{}" y="{}" text-anchor="end">{tick}</text>"#,
            top + side + 16.0,
            left - 6.0,
            y + 4.0,
        );
    }
    for bin in calibration.bins().iter().filter(|b| b.n > 0) {
        let n = bin.n as f64;
        let (confidence, accuracy) = (bin.confidence / n, bin.correct as f64 / n);
        let radius = 3.0 + 9.0 * (n / total as f64).sqrt();
        let _ = write!(
            svg,
            r##"<circle cx="{:.1}" cy="{:.1}" r="{radius:.1}" fill="#1b4f8a" fill-opacity="0.75"><title>{} samples: confidence {confidence:.3}, accuracy {accuracy:.3}</title></circle>"##,
            left + confidence * side,
            top + side - accuracy * side,
            bin.n,
        );
    }
    svg + r#"<text x="174" y="306" text-anchor="middle">confidence</text><text transform="translate(12 140) rotate(-90)" text-anchor="middle">accuracy</text></svg>"#
}

/// Rows of up to three bars.
pub fn bars(rows: &[Bar]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let (left, length, thick, gap) = (140, 250, 12, 9);
    let most = rows.iter().map(|r| r.values.len()).max().unwrap_or(0);
    let step = most * thick + gap;
    let mut svg = open(
        left + length + 50,
        rows.len() * step + 6,
        "Bars from 0 to 1",
    );
    for (index, row) in rows.iter().enumerate() {
        let top = index * step + 4;
        let middle = top + most * thick / 2 + 4;
        let _ = write!(
            svg,
            r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>"#,
            left - 6,
            escape(&row.label)
        );
        for (place, value) in row.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let (y, width) = (top + place * thick, value * length as f64);
            let colour = COLOURS[place % COLOURS.len()];
            let _ = write!(
                svg,
                r#"<rect x="{left}" y="{y}" width="{width:.1}" height="{}" fill="{colour}"/><text x="{:.1}" y="{}" class="small">{value:.2}</text>"#,
                thick - 1,
                left as f64 + width + 4.0,
                y + thick - 3,
            );
        }
    }
    svg + "</svg>"
}

pub(super) fn open(width: usize, height: usize, title: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img"><title>{}</title>"#,
        escape(title)
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_a_chart() {
        let rows = [Bar {
            label: "<script>&".into(),
            values: vec![Some(0.5), None],
        }];
        let svg = bars(&rows);
        assert!(svg.contains("&lt;script&gt;&amp;") && !svg.contains("<script>"));
        assert_eq!(svg.matches("<rect").count(), 1);
    }

    #[test]
    fn an_unanswered_column_is_drawn_only_when_needed() {
        let mut matrix = Confusion::new(2);
        matrix.add(0, Some(1)).unwrap();
        assert!(!confusion(&matrix, &["a", "b"]).contains("no answer"));
        matrix.add(0, None).unwrap();
        assert!(confusion(&matrix, &["a", "b"]).contains("no answer"));
        assert_eq!(reliability(&Calibration::new(4)), "");
    }
}
