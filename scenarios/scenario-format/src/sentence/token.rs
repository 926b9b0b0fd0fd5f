//! Words of a sentence.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::error;
use crate::diagnostic::Diagnostic;
use crate::source::{Span, Spanned};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name, a number with its unit, a share.
    Word,
    /// A text in quotes, without them.
    Text,
    /// A parenthesis, a comma, a comparison.
    Symbol,
}

/// A token and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    pub(super) span: Span,
}

/// The tokens of a sentence.
pub(super) struct Tokens<'a> {
    tokens: Peekable<IntoIter<Token<'a>>>,
    end: Span,
    /// A parenthesis is not closed.
    is_open: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a Spanned<String>, is_exact: bool) -> Result<Self, Diagnostic> {
        let sentence = Place { text, is_exact };
        let mut tokens = Vec::new();
        let mut start = 0;
        let value = text.value.as_str();
        while let Some(first) = value[start..].chars().next() {
            let rest = &value[start..];
            let (kind, len) = match first {
                _ if first.is_whitespace() => {
                    start += first.len_utf8();
                    continue;
                }
                '(' | ')' | ',' => (TokenKind::Symbol, 1),
                '<' | '>' | '=' | '!' => {
                    let is_double = rest[1..].starts_with('=');
                    (TokenKind::Symbol, if is_double { 2 } else { 1 })
                }
                '\'' | '"' => {
                    let Some(len) = rest[1..].find(first) else {
                        return Err(error(sentence.span(start, 1), "this quote is not closed"));
                    };
                    let token_text = &rest[1..=len];
                    let span = sentence.span(start, len + 2);
                    tokens.push(Token { kind: TokenKind::Text, text: token_text, span });
                    start += len + 2;
                    continue;
                }
                _ => (TokenKind::Word, rest.find(ends_word).unwrap_or(rest.len())),
            };
            tokens.push(Token { kind, text: &rest[..len], span: sentence.span(start, len) });
            start += len;
        }
        let end = sentence.span(value.trim_end().len(), 1);
        let is_open = value.matches('(').count() > value.matches(')').count();
        Ok(Self { tokens: tokens.into_iter().peekable(), end, is_open })
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        self.tokens.next()
    }

    pub(super) fn peek(&mut self) -> Option<&Token<'a>> {
        self.tokens.peek()
    }

    /// The token that is so many further on; 0 is the next.
    pub(super) fn peek_at(&self, idx: usize) -> Option<Token<'a>> {
        self.tokens.clone().nth(idx)
    }

    /// The next token; an error that names what was expected at the end.
    pub(super) fn expect(&mut self, expected: &str) -> Result<Token<'a>, Diagnostic> {
        self.next().ok_or_else(|| {
            let diagnostic =
                error(self.end, format!("expected {expected}, but the sentence ends here"));
            // `{a: latency(shop/web, p99) <= 1s}`: YAML itself cut it.
            let help = "between { and } a comma ends a text: put the sentence in quotes";
            if self.is_open { diagnostic.help(help) } else { diagnostic }
        })
    }
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '(' | ')' | ',' | '<' | '>' | '=' | '!' | '\'' | '"')
}

/// Where a sentence stands in its file.
struct Place<'a> {
    text: &'a Spanned<String>,
    is_exact: bool,
}

impl Place<'_> {
    fn span(&self, start: usize, len: usize) -> Span {
        if !self.is_exact {
            return self.text.span;
        }
        let whole = self.text.span;
        let written = (whole.end_byte - whole.start_byte) as usize;
        // A quoted scalar is two bytes longer than its text, and begins one byte later.
        let quote = if written == self.text.value.len() + 2 { "'" } else { "" };
        let before = format!("{quote}{}", &self.text.value[..start]);
        whole.part(&before, len)
    }
}
