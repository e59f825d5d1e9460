//! What the table of an `http` agent says.

use std::collections::BTreeMap;

use toml::de::DeValue;
use url::Url;

use super::{
    HttpSpec, Secret,
    reading::Surroundings,
    report::Report,
    section::{Section, found, text},
    variables::filled_in,
};

/// The keys that only this type knows.
pub(super) const KEYS: [&str; 2] = ["url", "headers"];

const EXPECTED: &str = r#"an address such as "https://agents.example.com/support""#;

/// Headers that every request has anyway, or that belong to the connection.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the rest of the table; nothing if it cannot be called.
pub(super) fn read(
    section: &Section<'_>,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> Option<HttpSpec> {
    let headers = headers(section, around, report);
    let url = section.need("url", EXPECTED, report, address)?;
    Some(HttpSpec { url, headers })
}

/// Never repeats the address: it may hold a password.
fn address(value: &DeValue<'_>) -> Result<Url, String> {
    let given = text(value)?;
    if given.contains("${") {
        return Err("${…} is replaced in `env` and `headers` only: write the address itself".to_owned());
    }
    let url = Url::parse(given).map_err(|why| format!("not an address ({why}): expected {EXPECTED}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http:// or https://, found {}:", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "no user and password here: set `authorization` in `headers`, from the environment".to_owned()
        );
    }
    if url.fragment().is_some() {
        return Err("no `#` here: a server never sees what follows it".to_owned());
    }
    Ok(url)
}

fn headers(
    section: &Section<'_>,
    around: &Surroundings<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, Secret> {
    let Some(table) = section.table("headers", report) else { return BTreeMap::new() };
    let mut headers = BTreeMap::new();
    for (given, ..) in table.entries() {
        let name = given.to_ascii_lowercase();
        let is_new = !headers.contains_key(&name);
        let value = table.entry_of("headers", given, report, |value| {
            if is_new {
                header(&name, value, around)
            } else {
                Err("there already, in other letters".to_owned())
            }
        });
        if let Some(value) = value {
            headers.insert(name, Secret::new(value));
        }
    }
    headers
}

fn header(name: &str, value: &DeValue<'_>, around: &Surroundings<'_>) -> Result<String, String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("not a header's name: write letters, digits and -".to_owned());
    }
    if OURS.contains(&name) {
        return Err("tenure sets this header itself: leave it out".to_owned());
    }
    let value =
        value.as_str().ok_or_else(|| format!("expected a string in quotes, found {}", found(value)))?;
    let value = filled_in(value, around.variables)?;
    if value.bytes().any(|byte| byte != b'\t' && (byte < b' ' || byte == 0x7f)) {
        return Err("its value holds a line break or another control character".to_owned());
    }
    Ok(value)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
