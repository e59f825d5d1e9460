//! What `fuzz/` feeds any bytes to: everything that reads what others wrote. Each must end without a panic, and hold what
//! it asserts.

use std::path::Path;

use crate::{
    agents::{any_lines, any_response, file::Reading},
    model::{
        Namespace, SessionId,
        seal::{Content, Keyring, Place, Seal, Unopened},
    },
    runtime::{any_entry, any_state},
    store::redis::{any_claim, any_record},
};

/// Any entry of the plain door.
pub fn ingress(data: &[u8]) {
    any_entry(fields(data));
}

/// Any answer of a script, as Redis would write it.
pub fn replies(data: &[u8]) {
    any_claim(data);
}

/// Anything that may stand in a session's keys: records, mail, hints, states.
pub fn records(data: &[u8]) {
    any_record(data, fields(data));
    if let Ok(text) = std::str::from_utf8(data) {
        any_state(text);
    }
}

/// Anything under seal, or that looks so.
pub fn seals(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    _ = (Keyring::parse(text), Unopened::read(text));
    // Most bytes are no seal: so the inside of one as well.
    let (namespace, session): (Namespace, SessionId) =
        ("shop".parse().expect("a good name"), "echo/a".parse().expect("a good session"));
    let inside = format!("{{\"sealed\":{{\"v\":1,{text}}}}}");
    for json in [text, &inside] {
        let Some(Ok(seal)) = Seal::read(json) else { continue };
        let keyring = format!("{} AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", seal.key());
        let keyring = Keyring::parse(&keyring).expect("a good key");
        let place = Place::of(&namespace, Some(&session), Content::State);
        assert!(seal.open(&keyring, &place).is_err(), "nobody sealed it");
    }
}

/// Anything that a child may say.
pub fn exec_lines(data: &[u8]) {
    let (cuts, said) = data.split_at(data.len().min(8));
    any_lines(said, cuts);
}

/// Any answer over HTTP.
pub fn http_answers(data: &[u8]) {
    let Some(([high, low], rest)) = data.split_first_chunk::<2>() else { return };
    let (headers, body) = match rest.windows(2).position(|pair| pair == b"\0\0") {
        Some(at) => (fields(&rest[..at]), rest[at + 2..].to_vec()),
        None => (Vec::new(), rest.to_vec()),
    };
    any_response(u16::from_be_bytes([*high, *low]), &headers, body);
}

/// Any agents.toml: its problems have lines that it has, and show no secret.
pub fn agents_file(data: &[u8]) {
    const SECRET: &str = "s3cret-of-the-environment";
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variables = |name: &str| (name == "T").then(|| SECRET.to_owned());
    let reading = Reading::of_text("a.toml", text, Path::new("/"), &variables);
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for problem in &reading.problems {
        assert!((1..=lines).contains(&problem.line), "{problem}");
        assert!(!problem.problem.chars().any(char::is_control), "{problem:?}");
    }
    assert!(!format!("{reading:?}").contains(SECRET));
    _ = reading.into_file();
}

/// Bytes as names and values: parts that end with a zero byte, in turn.
fn fields(data: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut parts = data.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        fields.push((name, value));
    }
    fields
}
