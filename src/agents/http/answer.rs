//! What an answer over HTTP means for the turn: by its status, and by its body where that says more. Pure.

use std::time::Duration;

use hyper::{StatusCode, Uri, header::LOCATION};

use super::{
    exchange::{Exchange, Response},
    retry_after,
    target::{Origin, Target},
};
use crate::{
    agents::{
        protocol::{Answer, Refusal},
        redaction::Redaction,
    },
    model::Millis,
    runtime::AgentError,
};

/// Who answered: for what is said of it.
#[derive(Debug)]
pub(super) struct Speaker<'s> {
    pub(super) target: &'s Target,
    pub(super) redaction: &'s Redaction,
}

impl Speaker<'_> {
    /// How much of a body is quoted.
    const EXCERPT: usize = 200;
    /// How much of a message that is meant for people.
    const MESSAGE: usize = 1_000;

    /// What the turn comes to by `response`, which was read at `now`.
    pub(super) fn outcome(&self, response: &Response, now: Millis) -> Result<Answer, AgentError> {
        match response.status {
            StatusCode::NO_CONTENT => Ok(Answer::default()),
            status if status.is_success() => self.answer(response),
            status if status.is_redirection() => Err(self.redirected(response)),
            _ => Err(self.failed(response, now)),
        }
    }

    fn answer(&self, response: &Response) -> Result<Answer, AgentError> {
        if !response.whole {
            let line = format!("the answer is larger than {} MiB", Exchange::MOST_READ >> 20);
            return Err(AgentError::permanent(self.said(response, &line)));
        }
        if response.body.trim_ascii().is_empty() {
            return Ok(Answer::default());
        }
        // Perhaps a proxy's page, or another version on its way: worth another try.
        Answer::read(&response.body).map_err(|why| {
            let (why, excerpt) = (self.clean(&why, Self::EXCERPT), self.excerpt(&response.body));
            AgentError::new(self.said(response, &format!("not a turn's result ({why}): {excerpt}")))
        })
    }

    fn redirected(&self, response: &Response) -> AgentError {
        let to = response.headers.get(LOCATION).and_then(|to| Uri::try_from(to.as_bytes()).ok());
        let to = to.filter(|to| to.host().is_some());
        let to = to.map_or_else(
            || "another path of its own".to_owned(),
            |to| self.clean(&Origin(&to).to_string(), Self::EXCERPT),
        );
        let line =
            format!("it redirects to {to}, and no redirect is followed: set `url` to where the agent is");
        AgentError::permanent(self.said(response, &line))
    }

    /// The status tells whether another try could help, unless the body does.
    fn failed(&self, response: &Response, now: Millis) -> AgentError {
        let (message, retry) = Refusal::read(&response.body).unwrap_or_default().into_parts();
        let line = match message {
            Some(message) => self.clean(&message, Self::MESSAGE),
            None => self.excerpt(&response.body),
        };
        let line = self.said(response, &line);
        if !retry.unwrap_or_else(|| may_pass(response.status)) {
            return AgentError::permanent(line);
        }
        let wait = retry_after::wait(&response.headers, now).unwrap_or(Duration::ZERO);
        AgentError::new(line).retry_after(wait)
    }

    fn said(&self, response: &Response, what: &str) -> String {
        let (target, status) = (self.target, response.status.as_u16());
        if what.is_empty() {
            format!("{target}: http {status}")
        } else {
            format!("{target}: http {status}: {what}")
        }
    }

    fn excerpt(&self, body: &[u8]) -> String {
        self.clean(&String::from_utf8_lossy(body), Self::EXCERPT)
    }

    /// `text` without secrets, on one line, and at most so many characters of it.
    fn clean(&self, text: &str, most: usize) -> String {
        let text = self.redaction.apply(text);
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Statuses that tell of the moment, not of the request.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Reads any answer; for fuzzing. What is said of it holds nothing of the URL's query.
#[cfg(feature = "fuzzing")]
pub(crate) fn any_response(status: u16, headers: &[(Vec<u8>, Vec<u8>)], body: Vec<u8>) {
    const SECRET: &str = "s3cret-of-the-query";
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let mut response = Response { status, headers: Default::default(), body, whole: true };
    for (name, value) in headers {
        let name = hyper::header::HeaderName::from_bytes(name);
        let value = hyper::header::HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers.append(name, value);
        }
    }
    let target: Target = format!("http://agents.example/turn?{SECRET}").parse().expect("a good url");
    let redaction = Redaction::of_words([SECRET]);
    let outcome = Speaker { target: &target, redaction: &redaction }.outcome(&response, Millis(1));
    if let Err(err) = outcome {
        assert!(!format!("{err:?}").contains(SECRET), "{err:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_767_225_600_000);

    fn outcome(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Answer, AgentError> {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<hyper::header::HeaderName>().unwrap(), value.parse().unwrap())
        });
        let response = Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            whole: true,
        };
        let target = "http://agent.example:8080/turn?key=s3cret-key".parse().unwrap();
        let redaction = Redaction::of_words(["s3cret-key"]);
        Speaker { target: &target, redaction: &redaction }.outcome(&response, NOW)
    }

    fn error(status: u16, headers: &[(&str, &str)], body: &str) -> AgentError {
        outcome(status, headers, body).unwrap_err()
    }

    #[test]
    fn an_empty_answer_is_a_turn_without_a_reply_and_a_result_is_taken() {
        for (status, body) in
            [(204, ""), (200, ""), (202, " \n"), (200, "{}"), (200, "null"), (200, r#"{"reply":{"a":1}}"#)]
        {
            outcome(status, &[], body).unwrap_or_else(|err| panic!("{status} {body}: {err:?}"));
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_given_up_on() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let text = format!("http://agent.example:8080: http {status}: no luck");
            assert_eq!(error(status, &[], "no\r\n luck\0\n"), AgentError::new(text));
        }
        for status in [400, 401, 404, 410, 413, 422] {
            let text = format!("http://agent.example:8080: http {status}");
            assert_eq!(error(status, &[], ""), AgentError::permanent(text));
        }
    }

    #[test]
    fn an_error_object_says_why_and_may_say_whether_to_try_again() {
        let body = |retry: &str| format!(r#"{{"message":"out of stock"{retry}}}"#);
        let text = |status| format!("http://agent.example:8080: http {status}: out of stock");
        assert_eq!(error(422, &[], &body("")), AgentError::permanent(text(422)));
        assert_eq!(error(422, &[], &body(r#","data":{"retry":true}"#)), AgentError::new(text(422)));
        assert_eq!(error(503, &[], &body("")), AgentError::new(text(503)));
        assert_eq!(error(503, &[], &body(r#","data":{"retry":false}"#)), AgentError::permanent(text(503)));
    }

    #[test]
    fn retry_after_puts_off_the_next_try_where_there_is_one() {
        let wait = Duration::from_secs(7);
        let text = |status| format!("http://agent.example:8080: http {status}");
        assert_eq!(error(429, &[("retry-after", "7")], ""), AgentError::new(text(429)).retry_after(wait));
        assert_eq!(error(404, &[("retry-after", "7")], ""), AgentError::permanent(text(404)));
    }

    #[test]
    fn a_redirect_is_refused_and_names_only_the_host_it_points_to() {
        let said = format!(
            "{:?}",
            error(302, &[("location", "https://ann:pw@other.example/login?token=t0ken")], "")
        );
        assert!(said.contains("http 302") && said.contains("https://other.example,"), "{said}");
        assert!(said.contains("retry: false") && !said.contains("t0ken") && !said.contains("ann"), "{said}");
        assert!(
            format!("{:?}", error(307, &[("location", "/login")], ""))
                .contains("redirects to another path of its own")
        );
    }

    #[test]
    fn a_secret_that_a_redirect_quotes_as_a_host_is_not_shown() {
        let said = format!("{:?}", error(302, &[("location", "http://s3cret-key.example/")], ""));
        assert!(said.contains("http://[secret].example,") && !said.contains("s3cret"), "{said}");
    }

    #[test]
    fn only_an_object_is_a_result() {
        for body in ["[]", r#"[{"text":"hello"}]"#, r#""hello""#, r#"{"reply":"hello"}"#, "{"] {
            let said = format!("{:?}", error(200, &[], body));
            assert!(said.contains("not a turn's result") && said.contains("retry: true"), "{said}");
        }
    }

    #[test]
    fn garbage_is_tried_again_with_a_short_excerpt_that_quotes_no_secret() {
        let page = format!("<html>{} s3cret-key</html>", "x".repeat(150));
        let said = format!("{:?}", error(200, &[], &page.repeat(2)));
        assert!(said.contains("retry: true") && said.contains("not a turn's result"), "{said}");
        assert!(said.contains("[secret]") && !said.contains("s3cret"), "{said}");
        let kind = r#"{"append":[{"kind":"s3cret-key","body":{}}]}"#;
        let said = format!("{:?}", error(200, &[], kind));
        assert!(said.contains("unknown variant") && !said.contains("s3cret"), "{said}");
        assert!(said.chars().count() < 400, "{said}");
    }
}
