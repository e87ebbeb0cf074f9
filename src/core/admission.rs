//! The life of one operation at a gate: arriving, waiting, holding its units, giving them back.
//!
//! It owns the futures and guards, generic over what keeps the gate alive: a reference where an
//! operation runs in place, a counted handle where it may outlive its caller. At every point of that
//! life a drop undoes exactly what has been done.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    MAX_UNITS,
    gate::{Arrival, Arrived, Expiry, Gate, Patience},
    line::Ticket,
    reason::RejectionReason,
};

/// What an operation holds on to its gate by, and what its rejection is called there.
pub(crate) trait Home {
    /// A reason together with whose it is.
    type Rejection;

    fn gate(&self) -> &Gate;

    fn reject(&self, reason: RejectionReason) -> Self::Rejection;
}

/// On which terms an operation asks to be admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) cost: usize,
    /// Whether it waits if it must.
    pub(crate) waits: bool,
    pub(crate) wait_limit: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

impl Terms {
    /// Which limit has passed already.
    #[inline]
    pub(crate) fn expired(&self) -> Option<Expiry> {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            Some(Expiry::Deadline)
        } else if self.wait_limit == Some(Duration::ZERO) {
            Some(Expiry::WaitLimit)
        } else {
            None
        }
    }

    /// When a wait that began at `since` ends, and by which limit: the one that comes first.
    fn end(&self, since: Instant) -> Option<(Instant, Expiry)> {
        // A limit too far away to be an instant is none.
        let limit = self.wait_limit.and_then(|limit| since.checked_add(limit));
        let limit = limit.map(|at| (at, Expiry::WaitLimit));
        let deadline = self.deadline.map(|at| (at, Expiry::Deadline));
        [limit, deadline].into_iter().flatten().min_by_key(|&(at, _)| at)
    }
}

/// Units in use; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Permit<H: Home> {
    home: H,
    stake: Stake,
}

/// A cost, and in its top bit, which no cost has, whether the work has begun. Two fields in one, because
/// a permit of two words travels in registers, and one of three through memory.
#[derive(Clone, Copy, Debug)]
struct Stake(u32);

impl Stake {
    const STARTED: u32 = MAX_UNITS + 1;

    #[inline]
    fn cost(self) -> u32 {
        self.0 & MAX_UNITS
    }

    #[inline]
    fn has_started(self) -> bool {
        self.0 & Self::STARTED != 0
    }
}

impl<H: Home> Permit<H> {
    /// Units that a gate has just admitted.
    #[inline]
    fn new(home: H, cost: u32) -> Self {
        Self { home, stake: Stake(cost) }
    }

    /// The work begins: from now on the units count as released when they come back, not abandoned.
    #[inline]
    pub(crate) fn start(mut self) -> Self {
        self.stake.0 |= Stake::STARTED;
        self
    }

    pub(crate) fn home(&self) -> &H {
        &self.home
    }

    pub(crate) fn cost(&self) -> u32 {
        self.stake.cost()
    }
}

impl<H: Home> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.stake.has_started() {
            self.home.gate().release(self.stake.cost());
        } else {
            self.home.gate().abandon(self.stake.cost());
        }
    }
}

/// Where an operation stands after its arrival.
#[derive(Debug)]
pub(crate) enum Entry<H: Home> {
    Admitted(Permit<H>),
    Joined(Joined<H>),
}

/// Admits now or rejects.
#[inline]
pub(crate) fn admit_now<H: Home>(home: H, terms: &Terms) -> Result<Permit<H>, H::Rejection> {
    debug_assert!(!terms.waits);
    admit_fast(home, terms).or_else(|undecided| undecided.admit_now(terms))
}

/// Admits an operation if that takes no lock.
///
/// Apart from the rest of an arrival, because what that may come to is large: a permit that shared its
/// memory would be copied with it.
#[inline]
pub(crate) fn admit_fast<H: Home>(home: H, terms: &Terms) -> Result<Permit<H>, Undecided<H>> {
    let expired = terms.expired();
    let cost = u32::try_from(terms.cost).unwrap_or(u32::MAX);
    if expired.is_none() && home.gate().admit_fast(cost) {
        return Ok(Permit::new(home, cost));
    }
    Err(Undecided { home, expired })
}

/// An operation that the fast path did not admit, which says nothing yet.
#[derive(Debug)]
pub(crate) struct Undecided<H> {
    home: H,
    expired: Option<Expiry>,
}

impl<H: Home> Undecided<H> {
    /// Arrives at the gate. A waiter is woken through `waker`.
    #[cold]
    pub(crate) fn arrive(self, terms: &Terms, waker: &Waker) -> Result<Entry<H>, H::Rejection> {
        let Self { home, expired } = self;
        let cost = terms.cost as u32;
        let gate = home.gate();
        // Where it looks as if there were something to wait for, and somewhere to wait.
        let mut prepare = terms.waits && gate.room() > 0 && !gate.seems_free(terms.cost);
        loop {
            let patience = match (terms.waits, prepare) {
                (false, _) => Patience::None,
                (true, false) => Patience::Unprepared,
                (true, true) => Patience::Prepared(Some(waker.clone())),
            };
            match home.gate().arrive(Arrival { cost: terms.cost, expired, patience }) {
                Arrived::Admitted => return Ok(Entry::Admitted(Permit::new(home, cost))),
                Arrived::Refused(reason) => return Err(home.reject(reason)),
                Arrived::MustPrepare => prepare = true,
                Arrived::Waits(ticket, since) => {
                    let place = Place { home: Some(home), ticket };
                    return Ok(Entry::Joined(Joined { place, end: terms.end(since) }));
                }
            }
        }
    }

    #[cold]
    fn admit_now(self, terms: &Terms) -> Result<Permit<H>, H::Rejection> {
        let Self { home, expired } = self;
        let arrival = Arrival { cost: terms.cost, expired, patience: Patience::None };
        match home.gate().arrive(arrival) {
            Arrived::Admitted => Ok(Permit::new(home, terms.cost as u32)),
            Arrived::Refused(reason) => Err(home.reject(reason)),
            Arrived::MustPrepare | Arrived::Waits(..) => {
                unreachable!("an operation that does not wait was queued")
            }
        }
    }
}

/// A place in the line; dropping it leaves the line, or gives back what it was admitted to.
#[derive(Debug)]
struct Place<H: Home> {
    /// Taken once the place has been given up.
    home: Option<H>,
    ticket: Ticket,
}

impl<H: Home> Place<H> {
    fn look(&mut self, waker: &Waker) -> Option<Result<Permit<H>, H::Rejection>> {
        let outcome = self.gate().look(self.ticket, waker)?;
        Some(self.settle(outcome))
    }

    fn expire(&mut self, expiry: Expiry) -> Result<Permit<H>, H::Rejection> {
        let outcome = self.gate().expire(self.ticket, expiry);
        self.settle(outcome)
    }

    fn gate(&self) -> &Gate {
        self.home.as_ref().expect("a place is polled until it has an outcome").gate()
    }

    fn settle(&mut self, outcome: Result<(), RejectionReason>) -> Result<Permit<H>, H::Rejection> {
        let home = self.home.take().expect("a place has one outcome");
        match outcome {
            Ok(()) => Ok(Permit::new(home, self.ticket.cost)),
            Err(reason) => Err(home.reject(reason)),
        }
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
    place: Place<H>,
    end: Option<(Instant, Expiry)>,
}

pin_project! {
    /// An operation in line.
    #[derive(Debug)]
    pub(crate) struct Queued<H: Home> {
        place: Place<H>,
        end: Option<(Instant, Expiry)>,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<H: Home> From<Joined<H>> for Queued<H> {
    #[inline]
    fn from(Joined { place, end }: Joined<H>) -> Self {
        Self { place, end, timer: None }
    }
}

impl<H: Home> Queued<H> {
    /// The first poll, made by whoever has just joined: the waker is in place, the timer is not.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, if the wait has a limit.
    pub(crate) fn poll_joined(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, H::Rejection>> {
        let mut this = self.project();
        let Some((at, expiry)) = *this.end else { return Poll::Pending };
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(at)));
        }
        match this.timer.as_pin_mut() {
            Some(timer) => {
                ready!(timer.poll(cx));
                Poll::Ready(this.place.expire(expiry))
            }
            None => Poll::Pending,
        }
    }
}

impl<H: Home> Future for Queued<H> {
    type Output = Result<Permit<H>, H::Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.as_mut().project().place.look(cx.waker()) {
            Some(outcome) => Poll::Ready(outcome),
            None => self.poll_joined(cx),
        }
    }
}

pin_project! {
    /// An operation from before its arrival to its admission or rejection. It arrives when it is
    /// first polled.
    #[derive(Debug)]
    #[project = WaitStage]
    pub(crate) enum Wait<H: Home> {
        Before { home: Option<H>, terms: Terms },
        Queued { #[pin] queued: Queued<H> },
    }
}

impl<H: Home> Wait<H> {
    #[inline]
    pub(crate) fn new(home: H, terms: Terms) -> Self {
        Self::Before { home: Some(home), terms }
    }

    #[cold]
    fn arrive(
        mut self: Pin<&mut Self>,
        undecided: Undecided<H>,
        terms: &Terms,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, H::Rejection>> {
        match undecided.arrive(terms, cx.waker()) {
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

impl<H: Home> Future for Wait<H> {
    type Output = Result<Permit<H>, H::Rejection>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (home, terms) = match self.as_mut().project() {
            WaitStage::Queued { queued } => return queued.poll(cx),
            WaitStage::Before { home, terms } => (home, terms),
        };
        let home = home.take().expect("`Admission` polled after completion");
        match admit_fast(home, terms) {
            Ok(permit) => Poll::Ready(Ok(permit)),
            Err(undecided) => {
                let terms = *terms;
                self.arrive(undecided, &terms, cx)
            }
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

impl<H: Home, F> Run<H, F> {
    #[inline]
    pub(crate) fn new(home: H, terms: Terms, work: F) -> Self {
        Self { work: Some(work), stage: RunStage::Waiting { wait: Wait::new(home, terms) } }
    }

    /// Where the run stands, in a word.
    pub(crate) fn stage(&self) -> &'static str {
        match &self.stage {
            RunStage::Waiting { wait } => wait.stage(),
            RunStage::Running { .. } => "running",
            RunStage::Done => "done",
        }
    }
}

impl<H: Home, F: Future> Future for Run<H, F> {
    type Output = Result<F::Output, H::Rejection>;

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

/// Waits until the gate is closed and nothing runs.
#[derive(Debug)]
pub(crate) struct Drain<H: Home> {
    home: H,
    ticket: Option<Ticket>,
}

impl<H: Home> Drain<H> {
    pub(crate) fn new(home: H) -> Self {
        Self { home, ticket: None }
    }
}

impl<H: Home + Unpin> Future for Drain<H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let gate = this.home.gate();
        let is_drained = match this.ticket {
            Some(ticket) => gate.look_for_drain(ticket, cx.waker()),
            None => {
                this.ticket = gate.await_drain(cx.waker().clone());
                this.ticket.is_none()
            }
        };
        if is_drained {
            this.ticket = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<H: Home> Drop for Drain<H> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.home.gate().leave_drain(ticket);
        }
    }
}
