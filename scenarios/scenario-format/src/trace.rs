//! Loads recorded elsewhere: lines of `time,rate`.

use model_api::load::LoadPoint;
use model_api::{SimSpan, SimTime, SourceRef};

use crate::decode::FromText;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::TraceSpec;
use crate::source::Span;
use crate::units::Rate;

/// Most lines of a trace.
const LINES_MAX: usize = 200_000;

/// The points of a trace. Times are seconds, or durations such as `1h 30m`; rates are requests per
/// second, or such as `7200/min`.
pub(crate) fn parse(
    file_idx: u32,
    text: &str,
    spec: &TraceSpec,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<LoadPoint>> {
    let (scale, speed) = (spec.scale.map(|it| it.value.milli), spec.speed.map(|it| it.value.milli));
    if let Some(speed) = spec.speed.filter(|it| it.value.milli == 0) {
        diagnostics.push(Diagnostic::new(Code::E0021, speed.span, "time has to go on"));
        return None;
    }
    let (scale, speed) = (scale.unwrap_or(1000), speed.unwrap_or(1000));
    let mut points: Vec<LoadPoint> = Vec::new();
    let before = diagnostics.len();
    let mut start_byte = 0;
    for (number, line) in (1_u32..).zip(text.split_inclusive('\n')) {
        let place = Place { file_idx, number, start_byte };
        start_byte += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        let is_named = points.is_empty() && !line.contains(|letter: char| letter.is_ascii_digit());
        if line.trim().is_empty() || line.starts_with('#') || is_named {
            continue;
        }
        match place.point(line) {
            Ok((at, rate)) => {
                let nanos = u128::from(at.as_nanos()) * 1000 / u128::from(speed);
                let at = SimTime::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                let rate_millirps = rate.millirps.saturating_mul(scale) / 1000;
                if let Some(last) = points.last().filter(|last| last.at > at) {
                    let message = format!("the line before is later, at {}", last.at);
                    diagnostics.push(Diagnostic::new(Code::E0021, place.span(line, 0), message));
                } else if spec.steps == Some(true)
                    && let Some(last) = points.last().copied()
                {
                    points.push(LoadPoint { at, rate_millirps: last.rate_millirps });
                }
                points.push(LoadPoint { at, rate_millirps });
            }
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
        if points.len() > 2 * LINES_MAX {
            let message = format!("a trace has at most {LINES_MAX} lines");
            diagnostics.push(Diagnostic::new(Code::E0006, place.span(line, 0), message));
            return None;
        }
    }
    if points.is_empty() && diagnostics.len() == before {
        let message = format!("there is no line of `time,rate` in {}", spec.file.value);
        diagnostics.push(Diagnostic::new(Code::E0009, spec.file.span, message));
    }
    (diagnostics.len() == before).then_some(points)
}

/// A line of a file.
#[derive(Clone, Copy)]
struct Place {
    file_idx: u32,
    number: u32,
    start_byte: usize,
}

impl Place {
    fn span(self, line: &str, offset: usize) -> Span {
        let at = SourceRef { file_idx: self.file_idx, line: self.number, column: 1 };
        let start = crate::source::clamp(self.start_byte);
        let end_byte = start + crate::source::clamp(line.len());
        let whole = Span { at, start_byte: start, end_byte };
        whole.part(&line[..offset], line.len() - offset)
    }

    fn point(self, line: &str) -> Result<(SimTime, Rate), Box<Diagnostic>> {
        let wrong = |offset: usize, text: &str, expected: &str, reason: String| {
            let message = format!("`{text}` is not {expected}");
            Box::new(Diagnostic::new(Code::E0014, self.span(line, offset), message).label(reason))
        };
        let Some((time, rate)) = line.split_once(',') else {
            let message = format!("`{line}` is no line of `time,rate`");
            return Err(Box::new(Diagnostic::new(Code::E0014, self.span(line, 0), message)));
        };
        let (rate_at, rate) = (time.len() + 1, rate.trim());
        let rate =
            Rate::from_text(rate).map_err(|reason| wrong(rate_at, rate, Rate::EXPECTED, reason))?;
        let time = time.trim();
        let at = match time.parse::<f64>() {
            Ok(secs) if secs.is_finite() && (0.0..=3e9).contains(&secs) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked"
                )]
                let nanos = (secs * 1e9).round() as u64;
                SimTime::from_nanos(nanos)
            }
            Ok(_) => return Err(wrong(0, time, SimSpan::EXPECTED, "is out of range".to_owned())),
            Err(_) => SimTime::from_text(time)
                .map_err(|reason| wrong(0, time, "seconds or a duration", reason))?,
        };
        Ok((at, rate))
    }
}
