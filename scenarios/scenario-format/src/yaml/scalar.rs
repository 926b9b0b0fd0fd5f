//! What a scalar means.

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, quotes and escapes resolved.
    pub text: String,
    /// Written without quotes, so that it may be something else than text.
    pub is_plain: bool,
}

/// Whose rules decide what a plain scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.2 core schema: our own documents.
    Core,
    /// YAML 1.1 as `sigs.k8s.io/yaml` reads it (goyaml.v2 `resolve.go`): `yes`, `on`, `y` and their
    /// opposites are truth values, `010` is octal.
    Kubernetes,
}

/// What a scalar is.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalarValue<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(&'a str),
}

impl Scalar {
    /// Its meaning by the rules of a dialect.
    pub fn resolve(&self, dialect: Dialect) -> ScalarValue<'_> {
        let text = self.text.as_str();
        if !self.is_plain {
            return ScalarValue::String(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return ScalarValue::Null,
            "true" | "True" | "TRUE" => return ScalarValue::Bool(true),
            "false" | "False" | "FALSE" => return ScalarValue::Bool(false),
            _ => {}
        }
        if dialect == Dialect::Kubernetes {
            match text {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                    return ScalarValue::Bool(true);
                }
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                    return ScalarValue::Bool(false);
                }
                _ => {}
            }
        }
        if let Some(number) = integer(text, dialect) {
            return ScalarValue::Int(number);
        }
        match float(text) {
            Some(number) => ScalarValue::Float(number),
            None => ScalarValue::String(text),
        }
    }
}

fn integer(text: &str, dialect: Dialect) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let parse = |digits: &str, radix: u32| {
        let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        is_number.then(|| i64::from_str_radix(digits, radix).ok()).flatten()
    };
    let magnitude = if let Some(hex) = digits.strip_prefix("0x") {
        parse(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        parse(octal, 8)
    } else if dialect == Dialect::Kubernetes && digits.len() > 1 && digits.starts_with('0') {
        parse(digits, 8)
    } else {
        parse(digits, 10)
    };
    magnitude?.checked_mul(sign)
}

fn float(text: &str) -> Option<f64> {
    let begins_like_a_number = text
        .trim_start_matches(['-', '+'])
        .starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let is_ascii_number = text
        .chars()
        .all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+' | 'e' | 'E'));
    if !(begins_like_a_number && is_ascii_number && text.contains(|c: char| c.is_ascii_digit())) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_their_reader_says() {
        let core = |text: &str| {
            Scalar { text: text.into(), is_plain: true }.resolve(Dialect::Core)
                == ScalarValue::String(text)
        };
        for text in ["yes", "on", "10m", "1.2.3", "-", ".", "e5", "1_000", "0o9", "::", "1e"] {
            assert!(core(text), "{text} is text");
        }
        let cases = [
            ("010", ScalarValue::Int(10), ScalarValue::Int(8)),
            ("0644", ScalarValue::Int(644), ScalarValue::Int(420)),
            ("0x1f", ScalarValue::Int(31), ScalarValue::Int(31)),
            ("-3", ScalarValue::Int(-3), ScalarValue::Int(-3)),
            ("1.5", ScalarValue::Float(1.5), ScalarValue::Float(1.5)),
            ("1e3", ScalarValue::Float(1000.0), ScalarValue::Float(1000.0)),
            ("off", ScalarValue::String("off"), ScalarValue::Bool(false)),
            ("~", ScalarValue::Null, ScalarValue::Null),
        ];
        for (text, core, kubernetes) in cases {
            let scalar = Scalar { text: text.into(), is_plain: true };
            assert_eq!(scalar.resolve(Dialect::Core), core, "{text}");
            assert_eq!(scalar.resolve(Dialect::Kubernetes), kubernetes, "{text}");
        }
    }
}
