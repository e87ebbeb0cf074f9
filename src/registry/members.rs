//! The bulkheads of a registry: by label, in the order of registration, and those that were removed and are not drained yet.
//!
//! It owns the list. It calls no bulkhead but to ask whether it is drained.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use super::{error::RegistryError, member::Member};
use crate::{core::gate::lifecycle::Phase, sync::Arc};

pub(super) struct Members {
    /// [`Phase::Draining`] after `drain_all`, [`Phase::Closed`] after `close_all`.
    pub(super) phase: Phase,
    numbers: HashMap<Arc<str>, u64>,
    /// By numbers that rise with every registration.
    in_order: BTreeMap<u64, Arc<dyn Member>>,
    next: u64,
    /// Rises whenever bulkheads are registered or removed, or a plan is applied.
    version: u64,
    /// How many configurations were applied, and when the last one was.
    applied: (u64, Option<SystemTime>),
    /// Removed, and possibly not drained yet.
    removed: Vec<Arc<dyn Member>>,
}

impl Default for Members {
    fn default() -> Self {
        let (numbers, in_order, removed) = (HashMap::new(), BTreeMap::new(), Vec::new());
        let (next, version, applied) = (0, 0, (0, None));
        Self { phase: Phase::Open, numbers, in_order, next, version, applied, removed }
    }
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.in_order.len()
    }

    pub(super) fn in_order(&self) -> Vec<Arc<dyn Member>> {
        self.in_order.values().cloned().collect()
    }

    /// Returns those that are registered and then those that were removed and are not drained.
    pub(super) fn all(&self) -> Vec<Arc<dyn Member>> {
        self.in_order.values().chain(&self.removed).cloned().collect()
    }

    pub(super) fn find(&self, label: &str) -> Option<&Arc<dyn Member>> {
        self.in_order.get(self.numbers.get(label.trim())?)
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Returns how many configurations were applied, and when the last one was.
    pub(super) fn applied(&self) -> (u64, Option<SystemTime>) {
        self.applied
    }

    pub(super) fn configured(&mut self) {
        self.applied = (self.applied.0 + 1, Some(SystemTime::now()));
    }

    /// Makes every other plan for this version stale, and this one if there is another version by now.
    pub(super) fn begin_applying(&mut self, version: u64) -> Result<(), RegistryError> {
        if self.version != version || self.phase != Phase::Open {
            return Err(RegistryError::StalePlan);
        }
        self.version += 1;
        Ok(())
    }

    /// Adds all of these, which have different labels, or none.
    pub(super) fn add_all(&mut self, added: &[Arc<dyn Member>]) -> Result<(), RegistryError> {
        for member in added {
            let label = || member.label().into();
            if self.phase != Phase::Open {
                return Err(RegistryError::Closed { label: label() });
            }
            if self.numbers.contains_key(member.label()) {
                return Err(RegistryError::LabelTaken { label: label() });
            }
        }
        for member in added {
            self.numbers.insert(member.label().into(), self.next);
            self.in_order.insert(self.next, member.clone());
            self.next += 1;
        }
        self.version += u64::from(!added.is_empty());
        Ok(())
    }

    /// Frees a label, and returns the bulkhead that had it.
    pub(super) fn remove(&mut self, label: &str) -> Option<Arc<dyn Member>> {
        let number = self.numbers.remove(label.trim())?;
        self.version += 1;
        let member = self.in_order.remove(&number)?;
        self.removed.push(member.clone());
        Some(member)
    }

    /// Frees the label of this bulkhead, if it is registered. Returns whether it was.
    pub(super) fn remove_this(&mut self, member: &Arc<dyn Member>) -> bool {
        let label = member.label();
        let is_registered = self.find(label).is_some_and(|found| Arc::ptr_eq(found, member));
        is_registered && self.remove(label).is_some()
    }

    /// Returns those that were removed and have not been forgotten.
    pub(super) fn removed(&self) -> Vec<Arc<dyn Member>> {
        self.removed.clone()
    }

    /// Forgets those of these that were removed. The caller drops them, under no lock.
    pub(super) fn forget(&mut self, drained: &[Arc<dyn Member>]) -> Vec<Arc<dyn Member>> {
        let is_drained =
            |member: &Arc<dyn Member>| drained.iter().any(|one| Arc::ptr_eq(one, member));
        let (forgotten, kept) = std::mem::take(&mut self.removed).into_iter().partition(is_drained);
        self.removed = kept;
        forgotten
    }
}
