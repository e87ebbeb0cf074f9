//! Where operations ask to be admitted, and how.

use std::{task::Waker, time::Duration};

use tokio::time::Instant;

use crate::{
    core::{gate::Gate, limits::Expiry, rejection::cache::RejectionCache},
    sync::Mutex,
};

/// What an operation holds on to its gate by.
pub(crate) trait GateHandle {
    fn gate(&self) -> &Gate;

    /// Who writes its rejections, where that is not the gate.
    fn rejections(&self) -> Option<&Mutex<RejectionCache>>;

    /// How long an operation may wait that does not say otherwise.
    fn wait_limit(&self) -> Option<Duration>;

    /// Rings the gate when it is woken, for as long as there is one.
    fn alarm_waker(&self) -> Waker;
}

/// A home to ask from, of which one to keep is made once there is something to keep it for.
pub(crate) trait IntoOwnedHandle: GateHandle {
    /// The one to keep.
    type Owned: GateHandle;

    fn into_owned(self) -> Self::Owned;
}

/// The ways to ask for units.
#[derive(Clone, Copy, Debug)]
pub enum WaitPolicy {
    /// For as long as the wait limit allows.
    UpToLimit,
    /// Without a wait.
    NoWait,
    /// Without a wait, if it is not too late already.
    NoWaitBefore(Instant),
    /// For so long at most.
    Within(Duration),
    /// Until then at most.
    Before(Instant),
}

impl WaitPolicy {
    pub(in crate::core) fn waits(&self) -> bool {
        !matches!(self, Self::NoWait | Self::NoWaitBefore(_))
    }

    /// Which limit has passed already.
    #[inline]
    pub(crate) fn expired(&self) -> Option<Expiry> {
        match *self {
            Self::UpToLimit | Self::NoWait => None,
            Self::NoWaitBefore(deadline) | Self::Before(deadline) => {
                (deadline <= Instant::now()).then_some(Expiry::Deadline)
            }
            Self::Within(limit) => limit.is_zero().then_some(Expiry::WaitLimit),
        }
    }

    /// When a wait that began at `since` ends, and by which limit: the one that comes first.
    #[inline]
    pub(in crate::core) fn end(
        &self,
        since: Instant,
        wait_limit: Option<Duration>,
    ) -> Option<(Instant, Expiry)> {
        let (own, deadline) = match *self {
            Self::Within(limit) => (Some(limit), None),
            Self::Before(deadline) => (None, Some((deadline, Expiry::Deadline))),
            Self::UpToLimit | Self::NoWait | Self::NoWaitBefore(_) => (None, None),
        };
        // A limit too far away to be an instant is none.
        let limits = [own, wait_limit].into_iter().flatten();
        let limit = limits.min().and_then(|limit| since.checked_add(limit));
        let limit = limit.map(|at| (at, Expiry::WaitLimit));
        [limit, deadline].into_iter().flatten().min_by_key(|&(at, _)| at)
    }
}
