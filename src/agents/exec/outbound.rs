//! What is written to a child: one JSON-RPC message a line.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::agents::protocol::Params;

/// Something for the child's input.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A turn, unless it is over by the time it would be written.
    Turn { id: u64, line: Vec<u8> },
    /// Anything else.
    Line(Vec<u8>),
    /// Nothing of its own: there are cancels to tell of.
    Cancels,
}

#[derive(Serialize)]
struct Request<'r, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'static str,
    params: &'r P,
}

/// The request to take a turn.
pub(super) fn turn_line(id: u64, params: &Params<'_>) -> serde_json::Result<Vec<u8>> {
    line(&Request { jsonrpc: "2.0", id: Some(id), method: "turn", params })
}

/// The notification that nobody waits for `id` any more.
pub(super) fn cancel_line(id: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Cancel {
        id: u64,
    }
    line(&Request { jsonrpc: "2.0", id: None, method: "cancel", params: &Cancel { id } })
        .expect("numbers and words are JSON")
}

/// The answer to a request of the child's: it has none to make.
pub(super) fn no_such_method(id: &RawValue) -> Vec<u8> {
    #[derive(Serialize)]
    struct Response<'r> {
        jsonrpc: &'static str,
        id: &'r RawValue,
        error: Error,
    }
    #[derive(Serialize)]
    struct Error {
        code: i32,
        message: &'static str,
    }
    let error = Error { code: -32601, message: "method not found: a worker takes no requests" };
    line(&Response { jsonrpc: "2.0", id, error }).expect("what was JSON is JSON")
}

fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    serde_json::to_writer(&mut line, message)?;
    on_one_line(&mut line);
    line.push(b'\n');
    Ok(line)
}

/// Bodies are passed on as they were given, line breaks and all. Raw ones are white space in JSON.
fn on_one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_however_its_parts_were_laid_out() {
        let id = RawValue::from_string("[\r\n 1,\n \"a\\nb\"]".to_owned()).unwrap();
        let line = String::from_utf8(no_such_method(&id)).unwrap();
        assert_eq!(line.find(['\n', '\r']), Some(line.len() - 1));
        assert!(line.contains(r#""id":[   1,  "a\nb"]"#), "{line}");
    }

    #[test]
    fn a_cancel_is_a_notification() {
        let line = r#"{"jsonrpc":"2.0","method":"cancel","params":{"id":7}}"#;
        assert_eq!(String::from_utf8(cancel_line(7)).unwrap().trim_end(), line);
    }
}
