//! Texts that were read, and places in them.

use std::sync::Arc;

use model_api::{Origin, SourceRef};

/// One text and the name it goes by in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name as the user knows it: a path, or `<stdin>`.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
}

/// All texts of one loading, in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a text and returns its position, the `file_idx` of places in it.
    pub fn push(&mut self, source: Source) -> u32 {
        let file_idx = u32::try_from(self.files.len()).expect("fewer than 2^32 files are read");
        self.files.push(source);
        file_idx
    }

    /// The text at a position.
    pub fn get(&self, file_idx: u32) -> Option<&Source> {
        self.files.get(file_idx as usize)
    }

    /// Names in order: what `Blueprint::files` holds.
    pub fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.clone()).collect()
    }

    /// All texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }
}

/// A stretch of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// File, line and column of its first character.
    pub at: SourceRef,
    /// Offset of its first byte.
    pub start_byte: u32,
    /// Offset behind its last byte.
    pub end_byte: u32,
}

impl Span {
    /// An [`Origin`] that knows this place only.
    pub fn origin(self) -> Origin {
        Origin { object: self.at, fields: Arc::default() }
    }

    /// The part of this span between two byte offsets from its start, on the same line.
    /// `before` is the text of the span up to that part, from which the column follows.
    pub fn part(self, before: &str, len_bytes: usize) -> Self {
        let start_byte = self.start_byte + clamp(before.len());
        let column = self.at.column + clamp(before.chars().count());
        Self {
            at: SourceRef { column, ..self.at },
            start_byte,
            end_byte: start_byte + clamp(len_bytes),
        }
    }
}

/// Offsets and columns fit 32 bits, because a file is at most [`crate::yaml::FILE_BYTES_MAX`].
pub(crate) fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A value and where it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), span: self.span }
    }
}
