//! Where operations ask to be admitted, and how.

use std::{task::Waker, time::Duration};

use tokio::time::Instant;

use crate::{
    core::{
        gate::{Gate, arrival::Expiry},
        rejection::Clerk,
    },
    sync::Mutex,
};

/// What an operation holds on to its gate by.
pub(crate) trait Home {
    fn gate(&self) -> &Gate;

    /// Who writes its rejections, where that is not the gate.
    fn clerk(&self) -> Option<&Mutex<Clerk>>;

    /// How long an operation may wait that does not say otherwise.
    fn wait_limit(&self) -> Option<Duration>;

    /// Rings the gate when it is woken, for as long as there is one.
    fn bell(&self) -> Waker;
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
    pub(in crate::core) fn waits(&self) -> bool {
        !matches!(self, Self::Now | Self::NowBefore(_))
    }

    /// Which limit has passed already.
    #[inline]
    pub(crate) fn expired(&self) -> Option<Expiry> {
        match *self {
            Self::Patiently | Self::Now => None,
            Self::NowBefore(deadline) | Self::Before(deadline) => {
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
            Self::Patiently | Self::Now | Self::NowBefore(_) => (None, None),
        };
        // A limit too far away to be an instant is none.
        let limits = [own, wait_limit].into_iter().flatten();
        let limit = limits.min().and_then(|limit| since.checked_add(limit));
        let limit = limit.map(|at| (at, Expiry::WaitLimit));
        [limit, deadline].into_iter().flatten().min_by_key(|&(at, _)| at)
    }
}
