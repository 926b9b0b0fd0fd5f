//! Who gets what: data on stdout, everything else on stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;

use crate::flags::{Color, Form, Output};

/// Where texts go, and whether they may have color there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    color: Color,
    is_quiet: bool,
}

impl Streams {
    pub(crate) fn new(color: Color, is_quiet: bool) -> Self {
        Self { color, is_quiet }
    }

    /// Whether text for stdout may have color.
    pub(crate) fn has_color_out(&self) -> bool {
        self.has_color(&io::stdout())
    }

    /// Whether text for stderr may have color.
    pub(crate) fn has_color_err(&self) -> bool {
        self.has_color(&io::stderr())
    }

    fn has_color(&self, stream: &impl anstream::stream::RawStream) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            // NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM=dumb and the terminal, in that order.
            Color::Auto => AutoStream::choice(stream) != ColorChoice::Never,
        }
    }

    /// Whether somebody looks at stderr who would like to see progress.
    pub(crate) fn has_progress(&self) -> bool {
        !self.is_quiet && io::stderr().is_terminal() && !anstyle_query::is_ci()
    }

    /// Writes data to stdout. A reader who has gone has what they wanted; what was found is found all
    /// the same, so that the exit code does not depend on them.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Says something to people, on stderr. A closed stderr is nobody's loss.
    pub(crate) fn say(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = stderr.write_all(b"\n");
        }
    }

    /// Says something that `--quiet` silences.
    pub(crate) fn mention(&self, text: &str) {
        if !self.is_quiet {
            self.say(text);
        }
    }

    /// Says what went wrong, with the word before it that people search for.
    pub(crate) fn error(&self, text: &str) {
        let word = if self.has_color_err() { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        self.say(&format!("{word}: {text}"));
    }

    /// Writes a report to where an output points.
    pub(crate) fn report(&self, output: &Output, text: &str) -> anyhow::Result<()> {
        match &output.path {
            None => Ok(self.data(text)?),
            Some(path) => write_file(path, text),
        }
    }
}

/// Writes a file into a folder that is there.
fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Refuses, before anything is run, two reports in one place (they would overwrite or mix with each
/// other) and a report in a folder that is not there (a mistyped path would make one anywhere).
pub(crate) fn check_outputs(outputs: &[Output], forms: &[Form]) -> Result<(), String> {
    for (idx, output) in outputs.iter().enumerate() {
        if !forms.contains(&output.form) {
            return Err(format!("this command has no {:?} output", output.form).to_lowercase());
        }
        let folder = output.path.as_deref().and_then(Path::parent);
        if let Some(folder) = folder.filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
            return Err(format!(
                "there is no folder {folder} to write a report to; make it first: mkdir -p {folder}",
                folder = folder.display()
            ));
        }
        if outputs[..idx].iter().any(|earlier| earlier.path == output.path) {
            let place = match &output.path {
                None => "stdout".to_owned(),
                Some(path) => path.display().to_string(),
            };
            return Err(format!("two outputs go to {place}; give one of them another path"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reports_in_one_place_are_refused() {
        let parse = |texts: &[&str]| -> Vec<Output> {
            texts.iter().map(|text| text.parse().expect("these are outputs")).collect()
        };
        let all = [Form::Human, Form::Json, Form::Junit, Form::Markdown];
        assert!(check_outputs(&parse(&["human", "json=a"]), &all).is_ok());
        assert!(check_outputs(&parse(&["human", "json"]), &all).is_err());
        assert!(check_outputs(&parse(&["junit=a", "json=a"]), &all).is_err());
        assert!(check_outputs(&parse(&["junit"]), &[Form::Human]).is_err());
    }
}
