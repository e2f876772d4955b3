//! Service: passes commands from the control socket to `Line`. The service is optional: no verdict depends on it.

use super::messages::{LineQueue, ToLine};
use super::service::{Role, Service};
use super::shared::Shared;
use crate::control::{Answer, BundleAnswer, BundleRequest, MAX_ANSWER_TIME, Request, Server, Who};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// The service of the control socket.
pub(super) struct Control {
    pub(super) server: Server,
    pub(super) line: LineQueue,
    pub(super) shared: Arc<Shared>,
}

impl Service for Control {
    fn name(&self) -> &'static str {
        "control"
    }

    fn role(&self) -> Role {
        Role::Optional
    }

    fn run(self) {
        let Self { server, line, shared } = self;
        server.run(|Request::Bundle(request), who| ask(&line, request, who, MAX_ANSWER_TIME), || shared.is_shut_down());
    }
}

/// Passes the command to `Line` and waits for the answer, at most `most`. If the port ends, which happens before services are shut
/// down, the wait ends too.
fn ask(line: &LineQueue, request: BundleRequest, who: Who, most: Duration) -> Answer {
    let (answer, answers) = sync_channel(1);
    if !line.try_send(ToLine::Bundle { request, who, answer }) {
        let why = "the appliance is overloaded or ending; try again".to_owned();
        return BundleAnswer::Refused { why }.into();
    }
    let cause = match answers.recv_timeout(most) {
        Ok(answer) => return answer.into(),
        Err(RecvTimeoutError::Timeout) => format!("the appliance had no result within {} s", most.as_secs()),
        Err(RecvTimeoutError::Disconnected) => "the appliance ended before it had a result".to_owned(),
    };
    let why = format!(
        "{cause}; whether the command was carried out is unknown: see `cellgate-edge bundle status`, and \
         `cellgate-edge journal list --events`"
    );
    Answer::Unknown { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who { uid: 1, pid: 2, name: "anna".to_owned() }
    }

    /// A wait that no test reaches.
    const LONG: Duration = Duration::from_secs(60);

    /// The answer after a wait of `most`, if `line` takes the place of `Line`.
    fn answer(most: Duration, line: impl FnOnce(ToLine) + Send) -> Answer {
        let (queue, mut messages) = LineQueue::new();
        std::thread::scope(|scope| {
            scope.spawn(move || line(messages.blocking_recv().unwrap()));
            ask(&queue, BundleRequest::End, who(), most)
        })
    }

    #[test]
    fn the_answer_of_line_is_the_answer_to_the_client() {
        let refused = answer(LONG, |message| {
            let ToLine::Bundle { request: BundleRequest::End, who: from, answer } = message else {
                panic!("{message:?}")
            };
            assert_eq!(from, who());
            answer.try_send(BundleAnswer::Refused { why: "no bundle is running".to_owned() }).unwrap();
        });
        assert_eq!(refused, Answer::Refused { why: "no bundle is running".to_owned() });
    }

    #[test]
    fn without_an_answer_of_line_the_outcome_is_unknown() {
        let late = answer(Duration::from_millis(1), |message| {
            std::thread::sleep(Duration::from_millis(200));
            drop(message);
        });
        let ended = answer(LONG, drop);
        let texts = [late, ended].map(|answer| match answer {
            Answer::Unknown { why } => why,
            answer => panic!("{answer:?}"),
        });
        insta::assert_snapshot!("unknown_outcomes", texts.join("\n"));
    }

    /// The queue is for judge and journal first: a command waits neither for space nor for a port that has ended.
    #[test]
    fn with_a_full_queue_or_without_the_port_the_command_is_refused_at_once() {
        let (queue, messages) = LineQueue::new();
        let ask = || ask(&queue, BundleRequest::Status, who(), Duration::ZERO);
        let mut answers = std::iter::repeat_with(ask);
        let refused = answers.find(|answer| matches!(answer, Answer::Refused { .. }));
        assert!(refused.is_some());
        drop(messages);
        assert!(matches!(answers.next(), Some(Answer::Refused { .. })));
    }
}
