//! Promises about data sets and their copies.

use model_api::backup::DisasterClass;
use model_api::guarantee::{DataPromise, Limit};

use super::{Diagnostic, Parser, PromiseSpec, Spanned, TokenKind, error, nearest};

impl Parser<'_> {
    /// Whether `(name, ...` comes next.
    pub(super) fn names_a_disaster(&self) -> bool {
        self.tokens.peek_at(2).is_some_and(|third| third.text == ",")
    }

    /// `(data set, disaster) <= duration`.
    pub(super) fn exposure(&mut self, is_loss: bool) -> Result<PromiseSpec, Diagnostic> {
        let (data_set, class) = self.data_set_and_class()?;
        let comparison = self.comparison(&["<=", "<"])?;
        let limit = Limit { comparison, value: self.span()? };
        let promise = if is_loss {
            DataPromise::Loss { class, limit }
        } else {
            DataPromise::Back { class, limit }
        };
        Ok(PromiseSpec::Data { data_set, promise })
    }

    pub(super) fn restorable(&mut self) -> Result<PromiseSpec, Diagnostic> {
        let (data_set, class) = self.data_set_and_class()?;
        Ok(PromiseSpec::Data { data_set, promise: DataPromise::Restorable { class } })
    }

    pub(super) fn retention(&mut self) -> Result<PromiseSpec, Diagnostic> {
        let data_set = self.subject()?;
        let comparison = self.comparison(&[">=", ">"])?;
        let limit = Limit { comparison, value: self.span()? };
        Ok(PromiseSpec::Data { data_set, promise: DataPromise::Retention { limit } })
    }

    pub(super) fn residency(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let data_set = self.name()?;
        self.symbol(",")?;
        let token = self.tokens.expect("a jurisdiction in quotes, such as 'EU'")?;
        if token.kind != TokenKind::Text {
            let message = format!("`residency` takes a text in quotes, found `{}`", token.text);
            return Err(error(token.span, message).help("write `residency(name, 'EU')`"));
        }
        let jurisdiction = token.text.to_owned();
        self.symbol(")")?;
        Ok(PromiseSpec::Data { data_set, promise: DataPromise::Residency { jurisdiction } })
    }

    fn data_set_and_class(&mut self) -> Result<(Spanned<String>, DisasterClass), Diagnostic> {
        self.symbol("(")?;
        let data_set = self.name()?;
        self.symbol(",")?;
        let token = self.word("a disaster such as zone")?;
        let names = || DisasterClass::ALL.into_iter().map(DisasterClass::name);
        let mut all = DisasterClass::ALL.into_iter();
        let Some(class) = all.find(|class| class.name() == token.text) else {
            let help = match nearest(token.text, names()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            };
            return Err(error(token.span, format!("`{}` is no disaster", token.text)).help(help));
        };
        self.symbol(")")?;
        Ok((data_set, class))
    }
}
