//! Suggestions for names that do not exist.

/// The candidate most like `name`, when it is close enough to have been meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
        let closer = best.is_none_or(|(least, _)| distance < least);
        if distance <= limit && closer {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The candidate most like `namespace/name`: by name alone when the namespace was left out.
pub fn nearest_object<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let bare = |candidate: &'a str| candidate.rsplit('/').next().unwrap_or(candidate);
    let wanted = name.rsplit('/').next().unwrap_or(name);
    nearest(name, candidates.clone())
        .or_else(|| candidates.clone().into_iter().find(|candidate| bare(candidate) == wanted))
        .or_else(|| {
            let close = nearest(wanted, candidates.clone().into_iter().map(bare))?;
            candidates.into_iter().find(|candidate| bare(candidate) == close)
        })
}

/// `did you mean ...?`, or the list of what there is when it is short, or some of it.
pub fn suggestion<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(close) = nearest_object(name, candidates.clone()) {
        return Some(format!("did you mean `{close}`?"));
    }
    const LISTED_MAX: usize = 12;
    const SHOWN_MAX: usize = 5;
    let names: Vec<&str> = candidates.into_iter().collect();
    match names.len() {
        0 => None,
        1..=LISTED_MAX => Some(format!("there is: {}", names.join(", "))),
        count => {
            // Who remembers a part of a name is helped by those that hold it.
            let wanted = name.rsplit('/').next().unwrap_or(name).to_lowercase();
            let holds = |candidate: &&&str| candidate.to_lowercase().contains(&wanted);
            let mut shown: Vec<&str> =
                names.iter().filter(holds).take(SHOWN_MAX).copied().collect();
            if shown.is_empty() {
                shown = names.into_iter().take(SHOWN_MAX).collect();
            }
            Some(format!("there are {count}, such as {}", shown.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name() {
        let cases = [
            ("replica", &["replicas", "selector"][..], Some("replicas")),
            ("imagePullPolcy", &["image", "imagePullPolicy"], Some("imagePullPolicy")),
            ("avialability", &["availability", "rto"], Some("availability")),
            ("zebra", &["availability", "rto"], None),
            ("AZ-A", &["az-a", "az-b"], Some("az-a")),
        ];
        for (name, candidates, expected) in cases {
            assert_eq!(nearest(name, candidates.iter().copied()), expected, "{name}");
        }
    }

    #[test]
    fn of_many_those_that_hold_the_name_are_shown() {
        let names: Vec<String> =
            (0..40).map(|idx| format!("team-{idx}/svc-{idx}-web-ui")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let help = suggestion("svc-3", names.clone()).expect("some are shown");
        assert!(help.starts_with("there are 40, such as team-3/svc-3-web-ui, "), "{help}");
        let help = suggestion("zzzzzzzz", names).expect("some are shown");
        assert!(help.contains("team-0/svc-0-web-ui"), "{help}");
    }

    #[test]
    fn an_object_is_found_without_its_namespace() {
        let names = ["shop/orders-api", "kong/kong-proxy"];
        for wrong in ["orders-api", "orders/orders-api", "order-api", "shop/order-api"] {
            assert_eq!(nearest_object(wrong, names), Some("shop/orders-api"), "{wrong}");
        }
    }
}
