//! Polls and drops the response futures of the service driver, and compares them with the reference.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http_body::Body as _;

use super::{
    reference::bulkhead::{Outcome, WorkEnd},
    reference::observed::Reason,
    service_driver::{HeldSlot, ServiceDriver, Stage},
    service_handles::{Answer, Body, END, FAIL, Failed, PANIC, poll_caught},
};

type Polled = Result<Poll<Result<Answer, Failed>>, ()>;

impl ServiceDriver {
    pub(super) fn poll(&mut self, at: usize) {
        let (token, waker) = self.waker();
        let future = &mut self.calls[at].future;
        let polled = poll_caught(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Stage::Waiting(id) = self.calls[at].stage {
            match self.reference.poll_waiter(id) {
                Outcome::Waits => {
                    self.wakers.insert(id, token);
                    assert!(matches!(polled, Ok(Poll::Pending)));
                    return;
                }
                Outcome::Admitted => self.calls[at].stage = Stage::Admitted(Some(id)),
                Outcome::Rejected(reason) => self.calls[at].stage = Stage::Rejected(reason),
            }
        }
        if let Stage::Admitted(id) = self.calls[at].stage {
            match self.inner_command {
                END => self.calls[at].stage = Stage::Running(id),
                _ => return self.check_inner_not_ready(at, polled),
            }
        }
        match self.calls[at].stage {
            Stage::Rejected(reason) => self.check_rejection(at, polled, reason),
            _ => self.check_running(at, polled),
        }
    }

    /// Checks the poll of an admitted call while the inner service is not ready.
    fn check_inner_not_ready(&mut self, at: usize, polled: Polled) {
        match self.inner_command {
            FAIL => assert!(matches!(polled, Ok(Poll::Ready(Err(Failed))))),
            PANIC => assert!(polled.is_err()),
            _ => {
                assert!(matches!(polled, Ok(Poll::Pending)));
                return;
            }
        }
        self.drop_call(at);
    }

    fn check_rejection(&mut self, at: usize, polled: Polled, reason: Reason) {
        let Ok(Poll::Ready(Ok(Answer { rejection, .. }))) = polled else { panic!("no response") };
        let rejection = rejection.expect("no rejection in the response");
        assert_eq!(Reason::from(rejection.reason()), reason);
        self.drop_call(at);
    }

    /// Checks the poll of a call that has reached the inner service.
    fn check_running(&mut self, at: usize, polled: Polled) {
        let Stage::Running(id) = self.calls[at].stage else { unreachable!("not running") };
        match self.calls[at].command.get() {
            END => {
                let Ok(Poll::Ready(Ok(answer))) = polled else { panic!("not ended") };
                assert!(answer.rejection.is_none());
                match (id, self.shape.holds_body) {
                    (Some(id), true) => {
                        let to_head = self.calls.remove(at).to_head;
                        self.bodies.push(HeldSlot { body: answer.body, id, to_head });
                    }
                    _ => self.complete_call(at),
                }
            }
            FAIL => {
                assert!(matches!(polled, Ok(Poll::Ready(Err(Failed)))));
                // An error is an answer too.
                self.complete_call(at);
            }
            PANIC => {
                assert!(polled.is_err());
                self.drop_call(at);
            }
            _ => assert!(matches!(polled, Ok(Poll::Pending))),
        }
    }

    /// Ends a body, with its last frame or by dropping it.
    pub(super) fn end_body(&mut self, at: usize, by_frame: bool) {
        let HeldSlot { mut body, id, to_head } = self.bodies.remove(at);
        if !by_frame && !to_head {
            self.reference.end_body_early(id);
        }
        self.reference.release(id, WorkEnd::Completed);
        match &mut body {
            Body::Held(body) if by_frame => {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut *body).poll_frame(&mut cx).is_ready());
                // It has released its slot, but is dropped later.
                self.ended.push(std::mem::take(body));
            }
            _ => drop(body),
        }
    }

    /// Drops a call that has a response or an error.
    fn complete_call(&mut self, at: usize) {
        let call = self.calls.remove(at);
        drop(call.future);
        let Stage::Running(id) = call.stage else { unreachable!("not running") };
        if let Some(id) = id {
            self.reference.release(id, WorkEnd::Completed);
        }
    }

    /// Drops a call that has no outcome, has panicked, or was rejected.
    pub(super) fn drop_call(&mut self, at: usize) {
        let call = self.calls.remove(at);
        drop(call.future);
        match call.stage {
            Stage::Waiting(id) | Stage::Admitted(Some(id)) => self.reference.leave(id),
            Stage::Running(Some(id)) => self.reference.release(id, WorkEnd::CutShort),
            _ => {}
        }
    }
}
