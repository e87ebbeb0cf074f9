//! The response futures of the service driver, compared with the reference.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http_body::Body as _;

use super::{
    reference::bulkhead::Outcome,
    reference::observed::Reason,
    service_driver::{ServiceDriver, Stage},
    service_handles::{Answer, Body, END, FAIL, Failed, PANIC, poll_caught},
};

type Seen = Result<Poll<Result<Answer, Failed>>, ()>;

impl ServiceDriver {
    pub(super) fn poll(&mut self, at: usize) {
        let (token, waker) = self.waker();
        let future = &mut self.calls[at].future;
        let seen = poll_caught(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Stage::Waiting(id) = self.calls[at].stage {
            match self.reference.look(id) {
                Outcome::Waits => {
                    self.wakers.insert(id, token);
                    assert!(matches!(seen, Ok(Poll::Pending)));
                    return;
                }
                Outcome::Admitted => self.calls[at].stage = Stage::Admitted(Some(id)),
                Outcome::Rejected(reason) => self.calls[at].stage = Stage::Answered(reason),
            }
        }
        if let Stage::Admitted(id) = self.calls[at].stage {
            match self.told {
                END => self.calls[at].stage = Stage::Running(id),
                _ => return self.not_ready(at, seen),
            }
        }
        match self.calls[at].stage {
            Stage::Answered(reason) => self.answered(at, seen, reason),
            _ => self.ran(at, seen),
        }
    }

    /// Admitted, and the inner service is not ready.
    fn not_ready(&mut self, at: usize, seen: Seen) {
        match self.told {
            FAIL => assert!(matches!(seen, Ok(Poll::Ready(Err(Failed))))),
            PANIC => assert!(seen.is_err()),
            _ => {
                assert!(matches!(seen, Ok(Poll::Pending)));
                return;
            }
        }
        self.drop_call(at);
    }

    fn answered(&mut self, at: usize, seen: Seen, reason: Reason) {
        let Ok(Poll::Ready(Ok(Answer { rejection, .. }))) = seen else { panic!("no answer") };
        let rejection = rejection.expect("a rejection in the response");
        assert_eq!(Reason::from(rejection.reason()), reason);
        self.drop_call(at);
    }

    /// The inner service was called.
    fn ran(&mut self, at: usize, seen: Seen) {
        let Stage::Running(id) = self.calls[at].stage else { unreachable!("it runs") };
        match self.calls[at].order.given() {
            END => {
                let Ok(Poll::Ready(Ok(answer))) = seen else { panic!("it has ended") };
                assert!(answer.rejection.is_none());
                match (id, self.shape.holds_body) {
                    (Some(id), true) => {
                        self.calls.remove(at);
                        self.bodies.push((answer.body, id));
                    }
                    _ => self.drop_call(at),
                }
            }
            FAIL => {
                assert!(matches!(seen, Ok(Poll::Ready(Err(Failed)))));
                self.drop_call(at);
            }
            PANIC => {
                assert!(seen.is_err());
                self.drop_call(at);
            }
            _ => assert!(matches!(seen, Ok(Poll::Pending))),
        }
    }

    /// A body ends with its last frame, or by being dropped.
    pub(super) fn drop_body(&mut self, at: usize, by_frame: bool) {
        let (mut body, id) = self.bodies.remove(at);
        self.reference.release(id);
        match &mut body {
            Body::Held(body) if by_frame => {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut *body).poll_frame(&mut cx).is_ready());
                // It has given its slot back, and stays for a while.
                self.ended.push(std::mem::take(body));
            }
            _ => drop(body),
        }
    }

    pub(super) fn drop_call(&mut self, at: usize) {
        let call = self.calls.remove(at);
        drop(call.future);
        match call.stage {
            Stage::Waiting(id) | Stage::Admitted(Some(id)) => self.reference.leave(id),
            Stage::Running(Some(id)) => self.reference.release(id),
            _ => {}
        }
    }
}
