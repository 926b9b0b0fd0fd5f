//! Why a question cannot be answered.

use std::fmt;

use scenario_format::nearest::suggestion;

/// A question that cannot be answered, and what to ask instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, as a fragment.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

/// The position of what `wanted` means among `names` (`namespace/name`): the full name, or a name
/// that only one has; without `wanted` the only one there is.
pub(crate) fn one_of(what: &str, wanted: Option<&str>, names: &[String]) -> Result<usize, Refusal> {
    let listed = || names.iter().map(String::as_str);
    let Some(wanted) = wanted else {
        return match names.len() {
            0 => Err(Refusal::new(format!("there is no {what} in the input"))),
            1 => Ok(0),
            _ => Err(Refusal::new(format!("there is more than one {what}"))
                .help(format!("name one of {}", listed().collect::<Vec<_>>().join(", ")))),
        };
    };
    if let Some(idx) = names.iter().position(|name| name == wanted) {
        return Ok(idx);
    }
    let bare = |name: &str| name.rsplit('/').next() == Some(wanted);
    let found: Vec<usize> = (0..names.len()).filter(|idx| bare(&names[*idx])).collect();
    match found.as_slice() {
        [idx] => Ok(*idx),
        [] => {
            let help = suggestion(wanted, listed());
            Err(Refusal { message: format!("there is no {what} `{wanted}`"), help })
        }
        several => {
            let names: Vec<&str> = several.iter().map(|idx| names[*idx].as_str()).collect();
            Err(Refusal::new(format!("`{wanted}` may be one of {}", names.join(", ")))
                .help("write namespace/name"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_or_the_nearest_is_named() {
        let names = ["shop/web", "shop/api", "tools/web"].map(str::to_owned);
        let found = |wanted| one_of("pod", wanted, &names).map_err(|it| it.to_string());
        assert_eq!(found(Some("shop/web")), Ok(0));
        assert_eq!(found(Some("api")), Ok(1));
        let two = "`web` may be one of shop/web, tools/web; write namespace/name";
        assert_eq!(found(Some("web")), Err(two.to_owned()));
        let typo = "there is no pod `shop/wbe`; did you mean `shop/web`?";
        assert_eq!(found(Some("shop/wbe")), Err(typo.to_owned()));
        let none = "there is more than one pod; name one of shop/web, shop/api, tools/web";
        assert_eq!(found(None), Err(none.to_owned()));
        assert_eq!(one_of("pod", None, &names[..1]), Ok(0));
        assert!(one_of("pod", None, &[]).is_err());
    }
}
