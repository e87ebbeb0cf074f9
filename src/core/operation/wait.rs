//! The futures of an operation: waiting in line, waiting from before its arrival, and running when the
//! wait is over. A drop at any point undoes exactly what has been done.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::core::{
    gate::arrival::{Expiry, Keeping, Looked},
    limits::alarm::Alarm,
    line::Ticket,
    operation::{
        arrive::{Entry, Permit, Undecided, take_fast},
        handle::{Ask, Home, Visit},
    },
    rejection::Rejection,
};

const FINISHED: &str = "`Admission` polled after completion";

/// A place in the line; dropping it leaves the line, or gives back what it was admitted to.
#[derive(Debug)]
pub(in crate::core) struct Place<H: Home> {
    /// Taken once the place has been given up.
    home: Option<H>,
    ticket: Ticket,
}

impl<H: Home> Place<H> {
    pub(in crate::core) fn new(home: H, ticket: Ticket) -> Self {
        Self { home: Some(home), ticket }
    }

    fn look(&mut self, waker: &Waker) -> Looked<Result<Permit<H>, Rejection>> {
        let home = self.home();
        match home.gate().look(self.ticket, waker, home.clerk()) {
            Looked::Called(outcome) => Looked::Called(self.settle(outcome)),
            Looked::Waits(keeping) => Looked::Waits(keeping),
        }
    }

    fn expire(&mut self, expiry: Expiry) -> Result<Permit<H>, Rejection> {
        let home = self.home();
        let outcome = home.gate().expire(self.ticket, expiry, home.clerk());
        self.settle(outcome)
    }

    fn home(&self) -> &H {
        self.home.as_ref().expect("a place is polled until it has an outcome")
    }

    fn settle(&mut self, outcome: Result<(), Rejection>) -> Result<Permit<H>, Rejection> {
        let home = self.home.take().expect("a place has one outcome");
        outcome.map(|()| Permit::new(home, self.ticket.cost()))
    }
}

impl<H: Home> Drop for Place<H> {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.gate().cancel(self.ticket);
        }
    }
}

/// An operation that has just joined the line, before it is pinned somewhere to wait. The timer that it
/// may need is large, so it is made only there.
#[derive(Debug)]
pub(crate) struct Joined<H: Home> {
    pub(in crate::core) place: Place<H>,
    pub(in crate::core) since: Instant,
    pub(in crate::core) end: Option<(Instant, Expiry)>,
    pub(in crate::core) keeping: Keeping,
}

pin_project! {
    /// An operation in line.
    #[derive(Debug)]
    #[repr(C)]
    pub(crate) struct Queued<H: Home> {
        place: Place<H>,
        since: Instant,
        end: Option<(Instant, Expiry)>,
        keeping: Keeping,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<H: Home> From<Joined<H>> for Queued<H> {
    #[inline]
    fn from(Joined { place, since, end, keeping }: Joined<H>) -> Self {
        Self { place, since, end, keeping, timer: None }
    }
}

impl<H: Home> Queued<H> {
    /// When it joined the line.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// What is decided already, without waiting for more.
    pub(crate) fn look(self: Pin<&mut Self>) -> Option<Result<Permit<H>, Rejection>> {
        let this = self.project();
        match (this.place.look(Waker::noop()), *this.end) {
            (Looked::Called(outcome), _) => Some(outcome),
            (Looked::Waits(_), Some((at, expiry))) if at <= Instant::now() => {
                Some(this.place.expire(expiry))
            }
            (Looked::Waits(_), _) => None,
        }
    }

    /// The first poll, made by whoever has just joined: the waker is in place, the limit may not be kept
    /// yet.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, if the wait has a limit.
    #[inline]
    pub(crate) fn poll_joined(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        match (self.end, self.keeping) {
            (None, _) | (_, Keeping::Alarm) => Poll::Pending,
            (Some(end), _) => self.poll_limit(end, cx),
        }
    }

    /// Keeps the limit of this wait, which nobody else does.
    #[cold]
    fn poll_limit(
        self: Pin<&mut Self>,
        (at, expiry): (Instant, Expiry),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        let mut this = self.project();
        if this.timer.is_none() {
            // An alarm may have rung for this, or a first poll have come late.
            if at <= Instant::now() {
                return Poll::Ready(this.place.expire(expiry));
            }
            if let (Keeping::NewAlarm, Some(home)) = (*this.keeping, &this.place.home) {
                let alarm = Alarm::new(at.duration_since(*this.since), home.bell());
                *this.keeping = home.gate().adopt(this.place.ticket, alarm);
                if let Keeping::Alarm = this.keeping {
                    return Poll::Pending;
                }
            }
            this.timer.set(Some(sleep_until(at)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(this.place.expire(expiry))
    }
}

impl<H: Home> Future for Queued<H> {
    type Output = Result<Permit<H>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        match this.place.look(cx.waker()) {
            Looked::Called(outcome) => Poll::Ready(outcome),
            Looked::Waits(keeping) => {
                // What was to be done about its limit still is, unless an alarm keeps it now.
                if *this.keeping != Keeping::NewAlarm || keeping == Keeping::Alarm {
                    *this.keeping = keeping;
                }
                self.poll_joined(cx)
            }
        }
    }
}

pin_project! {
    /// An operation from before its arrival to its admission or rejection. It arrives when it is
    /// first polled.
    #[derive(Debug)]
    #[project = WaitStage]
    pub(crate) enum Wait<H: Home> {
        Before { home: Option<H>, cost: usize, ask: Ask },
        Queued { #[pin] queued: Queued<H> },
    }
}

impl<H: Visit<Stay = H>> Wait<H> {
    #[inline]
    pub(crate) fn new(home: H, cost: usize, ask: Ask) -> Self {
        Self::Before { home: Some(home), cost, ask }
    }

    #[cold]
    fn arrive(
        mut self: Pin<&mut Self>,
        expired: Option<Expiry>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        let WaitStage::Before { home, cost, ask } = self.as_mut().project() else {
            unreachable!("an operation arrives once");
        };
        let (visit, cost) = (home.take().expect(FINISHED), *cost);
        match (Undecided { visit, cost, ask, expired }).arrive(cx.waker()) {
            Ok(Entry::Admitted(permit)) => Poll::Ready(Ok(permit)),
            Err(rejection) => Poll::Ready(Err(rejection)),
            Ok(Entry::Joined(joined)) => {
                self.set(Self::Queued { queued: joined.into() });
                match self.project() {
                    WaitStage::Queued { queued } => queued.poll_joined(cx),
                    WaitStage::Before { .. } => unreachable!("the wait was queued"),
                }
            }
        }
    }
}

impl<H: Home> Wait<H> {
    /// Where the wait stands, in a word.
    pub(crate) fn stage(&self) -> &'static str {
        match self {
            Self::Before { home: Some(_), .. } => "not arrived",
            Self::Before { home: None, .. } => "done",
            Self::Queued { queued } if queued.place.home.is_some() => "queued",
            Self::Queued { .. } => "done",
        }
    }
}

impl<H: Visit<Stay = H>> Future for Wait<H> {
    type Output = Result<Permit<H>, Rejection>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (home, cost, ask) = match self.as_mut().project() {
            WaitStage::Queued { queued } => return queued.poll(cx),
            WaitStage::Before { home, cost, ask } => (home, *cost, ask),
        };
        match take_fast(home.as_ref().expect(FINISHED), cost, ask) {
            Ok(units) => Poll::Ready(Ok(Permit::new(home.take().expect(FINISHED), units))),
            Err(expired) => self.arrive(expired, cx),
        }
    }
}

pin_project! {
    /// Work that is polled only once it is admitted, and holds its units until it is done.
    #[derive(Debug)]
    pub(crate) struct Run<H: Home, F> {
        // Dropped before the units are given back, and never moved once it runs.
        #[pin]
        work: Option<F>,
        #[pin]
        stage: RunStage<H>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = RunStageProj]
    enum RunStage<H: Home> {
        Waiting { #[pin] wait: Wait<H> },
        Running { permit: Permit<H> },
        Done,
    }
}

impl<H: Visit<Stay = H>, F> Run<H, F> {
    #[inline]
    pub(crate) fn new(home: H, cost: usize, ask: Ask, work: F) -> Self {
        Self { work: Some(work), stage: RunStage::Waiting { wait: Wait::new(home, cost, ask) } }
    }
}

impl<H: Home, F> Run<H, F> {
    /// Where the run stands, in a word.
    pub(crate) fn stage(&self) -> &'static str {
        match &self.stage {
            RunStage::Waiting { wait } => wait.stage(),
            RunStage::Running { .. } => "running",
            RunStage::Done => "done",
        }
    }
}

impl<H: Visit<Stay = H>, F: Future> Future for Run<H, F> {
    type Output = Result<F::Output, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let RunStageProj::Waiting { wait } = this.stage.as_mut().project() {
            match ready!(wait.poll(cx)) {
                Ok(permit) => this.stage.set(RunStage::Running { permit: permit.start() }),
                Err(rejection) => {
                    // The work goes too, so that a poll too many finds none to run without a slot.
                    this.work.set(None);
                    this.stage.set(RunStage::Done);
                    return Poll::Ready(Err(rejection));
                }
            }
        }
        let work = this.work.as_mut().as_pin_mut();
        let output = ready!(work.expect("polled after completion").poll(cx));
        this.work.set(None);
        this.stage.set(RunStage::Done);
        Poll::Ready(Ok(output))
    }
}
