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
    alarm::{Alarm, current_runtime},
    gate::{Arrival, Arrived, Expiry, Gate, Keeping, Looked, Patience},
    line::Ticket,
    reason::RejectionReason,
};

/// What an operation holds on to its gate by, and what its rejection is called there.
pub(crate) trait Home {
    /// A reason together with whose it is.
    type Rejection;

    fn gate(&self) -> &Gate;

    /// How long an operation may wait that does not say otherwise.
    fn wait_limit(&self) -> Option<Duration>;

    /// Rings the gate when it is woken, for as long as there is one.
    fn bell(&self) -> Waker;

    fn reject(&self, reason: RejectionReason) -> Self::Rejection;
}

/// A home to ask from, of which one to keep is made once there is something to keep it for.
pub(crate) trait Visit: Home {
    /// The one to keep.
    type Stay: Home;

    fn stay(self) -> Self::Stay;
}

/// The ways to ask for units.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// For as long as the wait limit allows.
    Patiently,
    /// Without a wait.
    Now,
    /// Without a wait, if it is not too late already.
    NowBefore(Instant),
    /// For so long at most.
    Within(Duration),
    /// Until then at most.
    Before(Instant),
}

impl Ask {
    fn waits(self) -> bool {
        !matches!(self, Self::Now | Self::NowBefore(_))
    }

    /// Which limit has passed already.
    #[inline]
    pub(crate) fn expired(self) -> Option<Expiry> {
        match self {
            Self::Patiently | Self::Now => None,
            Self::NowBefore(deadline) | Self::Before(deadline) => {
                (deadline <= Instant::now()).then_some(Expiry::Deadline)
            }
            Self::Within(limit) => limit.is_zero().then_some(Expiry::WaitLimit),
        }
    }

    /// When a wait that began at `since` ends, and by which limit: the one that comes first.
    fn end(self, since: Instant, wait_limit: Option<Duration>) -> Option<(Instant, Expiry)> {
        let (own, deadline) = match self {
            Self::Within(limit) => (Some(limit), None),
            Self::Before(deadline) => (None, Some((deadline, Expiry::Deadline))),
            Self::Patiently | Self::Now | Self::NowBefore(_) => (None, None),
        };
        // A limit too far away to be an instant is none.
        let limits = [own, wait_limit].into_iter().flatten();
        let limit = limits.min().and_then(|limit| since.checked_add(limit));
        let limit = limit.map(|at| (at, Expiry::WaitLimit));
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
pub(crate) fn admit_now<V: Visit>(
    visit: V,
    cost: usize,
    ask: Ask,
) -> Result<Permit<V::Stay>, V::Rejection> {
    admit_fast(visit, cost, ask).or_else(Undecided::admit_now)
}

/// Admits an operation if that takes no lock.
///
/// Apart from the rest of an arrival, because what that may come to is large: a permit that shared its
/// memory would be copied with it.
#[inline]
pub(crate) fn admit_fast<V: Visit>(
    visit: V,
    cost: usize,
    ask: Ask,
) -> Result<Permit<V::Stay>, Undecided<V>> {
    let expired = ask.expired();
    let units = u32::try_from(cost).unwrap_or(u32::MAX);
    if expired.is_none() && visit.gate().admit_fast(units) {
        return Ok(Permit::new(visit.stay(), units));
    }
    Err(Undecided { visit, cost, ask, expired })
}

/// An operation that the fast path did not admit, which says nothing yet.
#[derive(Debug)]
pub(crate) struct Undecided<V> {
    visit: V,
    cost: usize,
    ask: Ask,
    expired: Option<Expiry>,
}

impl<V: Visit> Undecided<V> {
    /// Arrives at the gate. A waiter is woken through `waker`.
    #[cold]
    pub(crate) fn arrive(self, waker: &Waker) -> Result<Entry<V::Stay>, V::Rejection> {
        let Self { visit, cost, ask, expired } = self;
        if !ask.waits() {
            return Self { visit, cost, ask, expired }.admit_now().map(Entry::Admitted);
        }
        let gate = visit.gate();
        // Where it looks as if there were something to wait for, and somewhere to wait.
        let mut prepare = gate.room() > 0 && !gate.seems_free(cost);
        loop {
            let patience = if prepare {
                // Whose limit is the gate's own need not keep it.
                let limit = match ask {
                    Ask::Patiently => visit.wait_limit().and_then(|_| current_runtime()),
                    _ => None,
                };
                Patience::Prepared(Some(waker.clone()), limit)
            } else {
                Patience::Unprepared
            };
            match visit.gate().arrive(Arrival { cost, expired, patience }) {
                Arrived::Admitted => {
                    return Ok(Entry::Admitted(Permit::new(visit.stay(), cost as u32)));
                }
                Arrived::Refused(reason) => return Err(visit.reject(reason)),
                Arrived::MustPrepare => prepare = true,
                Arrived::Waits { ticket, since, keeping } => {
                    let end = ask.end(since, visit.wait_limit());
                    let place = Place { home: Some(visit.stay()), ticket };
                    return Ok(Entry::Joined(Joined { place, since, end, keeping }));
                }
            }
        }
    }

    #[cold]
    fn admit_now(self) -> Result<Permit<V::Stay>, V::Rejection> {
        let Self { visit, cost, expired, .. } = self;
        match visit.gate().arrive(Arrival { cost, expired, patience: Patience::None }) {
            Arrived::Admitted => Ok(Permit::new(visit.stay(), cost as u32)),
            Arrived::Refused(reason) => Err(visit.reject(reason)),
            Arrived::MustPrepare | Arrived::Waits { .. } => {
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
    fn look(&mut self, waker: &Waker) -> Looked<Result<Permit<H>, H::Rejection>> {
        match self.gate().look(self.ticket, waker) {
            Looked::Called(outcome) => Looked::Called(self.settle(outcome)),
            Looked::Waits(keeping) => Looked::Waits(keeping),
        }
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
    since: Instant,
    end: Option<(Instant, Expiry)>,
    keeping: Keeping,
}

pin_project! {
    /// An operation in line.
    #[derive(Debug)]
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
    ) -> Poll<Result<Permit<H>, H::Rejection>> {
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
    ) -> Poll<Result<Permit<H>, H::Rejection>> {
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
    type Output = Result<Permit<H>, H::Rejection>;

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
        undecided: Undecided<H>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, H::Rejection>> {
        match undecided.arrive(cx.waker()) {
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
    type Output = Result<Permit<H>, H::Rejection>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (home, cost, ask) = match self.as_mut().project() {
            WaitStage::Queued { queued } => return queued.poll(cx),
            WaitStage::Before { home, cost, ask } => (home, *cost, *ask),
        };
        let home = home.take().expect("`Admission` polled after completion");
        match admit_fast(home, cost, ask) {
            Ok(permit) => Poll::Ready(Ok(permit)),
            Err(undecided) => self.arrive(undecided, cx),
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
pub(crate) struct Drain<'a> {
    gate: &'a Gate,
    ticket: Option<Ticket>,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(gate: &'a Gate) -> Self {
        Self { gate, ticket: None }
    }
}

impl Future for Drain<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let gate = this.gate;
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

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.gate.leave_drain(ticket);
        }
    }
}
