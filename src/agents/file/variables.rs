//! `${NAME}` in a value: the environment's, put in its place.

/// Looks a variable up in the worker's environment.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// `text` with every `${NAME}` replaced and every `$${` as `${`. Says what is wrong without a word of the text.
pub(super) fn filled_in(text: &str, variables: Variables<'_>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &reference[2..];
            continue;
        }
        filled.push_str(before);
        let (name, after) =
            reference[2..].split_once('}').filter(|(name, _)| is_name(name)).ok_or(UNREADABLE)?;
        filled.push_str(&variables(name).ok_or_else(|| unset(name))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

const UNREADABLE: &str =
    "expected a name and `}` after `${`, as in ${TOKEN}; write $${ where no variable is meant";

fn unset(name: &str) -> String {
    format!("${{{name}}} is not set: set {name} in the worker's environment")
}

fn is_name(name: &str) -> bool {
    let all = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    all && name.starts_with(|first: char| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        filled_in(text, &|name| (name == "A_1").then(|| "${x}".to_owned()))
    }

    #[test]
    fn a_variable_is_replaced_once_and_what_it_holds_is_not_read_again() {
        assert_eq!(fill("Bearer ${A_1}, ${A_1}!").unwrap(), "Bearer ${x}, ${x}!");
        assert_eq!(fill("none $ $5 {A_1} $A_1 }").unwrap(), "none $ $5 {A_1} $A_1 }");
        assert_eq!(fill("$${A_1} $$${A_1}").unwrap(), "${A_1} $${A_1}");
    }

    #[test]
    fn a_variable_that_is_not_set_or_not_named_is_said_without_the_text() {
        assert_eq!(fill("s3cret ${B}").unwrap_err(), "${B} is not set: set B in the worker's environment");
        for bad in ["s3cret ${", "s3cret ${}", "${s3cret here}", "${1}", "${A_1"] {
            let said = fill(bad).unwrap_err();
            assert!(said.contains("expected a name") && !said.contains("s3cret"), "{said}");
        }
    }
}
