//! From bytes to text.

use model_api::SourceRef;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, clamp};
use crate::yaml::FILE_BYTES_MAX;

/// Why bytes are no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextProblem {
    code: Code,
    message: String,
    at: SourceRef,
    byte: u32,
}

impl TextProblem {
    pub(crate) fn diagnostic(self, file_idx: u32) -> Diagnostic {
        let at = SourceRef { file_idx, ..self.at };
        let span = Span { at, start_byte: self.byte, end_byte: self.byte + 1 };
        Diagnostic::new(self.code, span, self.message)
    }
}

/// The text of a file, a byte order mark removed. With a problem, what can be shown of it.
pub(crate) fn decode(name: &str, bytes: Vec<u8>) -> (String, Option<TextProblem>) {
    let problem = |code, text: &str, byte: usize, message: String| {
        let before = &text.as_bytes()[..byte.min(text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        let at = SourceRef { file_idx: 0, line: clamp(line), column: clamp(column) };
        Some(TextProblem { code, message, at, byte: clamp(byte) })
    };
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!(
            "{name} has {} bytes, more than the {FILE_BYTES_MAX} that are read",
            bytes.len()
        );
        return (String::new(), problem(Code::E0002, "", 0, message));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = format!("{name} is UTF-16; save it as UTF-8");
        return (String::new(), problem(Code::E0003, "", 0, message));
    }
    let bytes = match bytes.strip_prefix(&[0xef, 0xbb, 0xbf]) {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    // A NUL first: it says "binary" more clearly than a broken character behind it.
    let nul = bytes.iter().position(|byte| *byte == 0);
    match String::from_utf8(bytes) {
        Ok(text) => {
            let found = nul.and_then(|byte| {
                problem(Code::E0003, &text, byte, format!("{name} is no text: it holds a NUL byte"))
            });
            (text, found)
        }
        Err(error) => {
            let byte = nul.unwrap_or(usize::MAX).min(error.utf8_error().valid_up_to());
            let what = if nul == Some(byte) { "a NUL byte" } else { "a byte that is not UTF-8" };
            let text = String::from_utf8_lossy(&error.into_bytes()[..byte]).into_owned();
            let found =
                problem(Code::E0003, &text, byte, format!("{name} is no text: it holds {what}"));
            (text, found)
        }
    }
}
