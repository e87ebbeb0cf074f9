//! `RegistryPlan`: what a configuration would change in a registry that is in use, and the change itself.
//!
//! It owns that a plan is applied as a whole or not at all, and only to what it was made for.

use std::{collections::HashMap, fmt};

use super::{BulkheadConfig, BulkheadKind, RegistryConfig, build::built};
use crate::{
    bulkhead::error::ResizeError,
    registry::{BulkheadRegistry, error::RegistryError, member::Member, wrong_kind},
    sync::Arc,
};

/// What a configuration would change in a registry: made by [`BulkheadRegistry::plan`], carried out by
/// [`BulkheadRegistry::apply`].
///
/// Its `Display` is one sentence a line.
#[derive(Clone, Debug)]
#[must_use = "a plan changes nothing until it is applied"]
pub struct RegistryPlan {
    registry: BulkheadRegistry,
    /// The version of the registry that it was made for.
    version: u64,
    changes: Vec<PlannedChange>,
    missing: Vec<Arc<str>>,
}

/// One change of a [`RegistryPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlannedChange {
    /// A bulkhead is created.
    Create {
        /// Its label.
        label: Arc<str>,
        /// Its settings.
        config: BulkheadConfig,
    },
    /// Settings of a bulkhead change.
    Change {
        /// Its label.
        label: Arc<str>,
        /// Its present settings.
        from: BulkheadConfig,
        /// Its new settings.
        to: BulkheadConfig,
    },
    /// A bulkhead is drained and removed.
    Remove {
        /// Its label.
        label: Arc<str>,
    },
}

impl RegistryPlan {
    /// Returns the changes, in alphabetical order of the labels.
    #[must_use]
    pub fn changes(&self) -> &[PlannedChange] {
        &self.changes
    }

    /// Returns the labels of the bulkheads that are registered, but not configured. They are left alone, unless
    /// [`remove_missing`](Self::remove_missing) is asked for.
    #[must_use]
    pub fn missing(&self) -> &[Arc<str>] {
        &self.missing
    }

    /// Returns `true` if nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Drains and removes the bulkheads that are registered, but not configured, too.
    pub fn remove_missing(mut self) -> Self {
        let remove = |label| PlannedChange::Remove { label };
        self.changes.extend(self.missing.drain(..).map(remove));
        self
    }
}

impl fmt::Display for RegistryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "nothing changes")?;
        }
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))?;
        self.missing.iter().try_for_each(|label| {
            writeln!(f, "bulkhead \"{label}\" is not configured, and is left alone")
        })
    }
}

impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { label, config } => write!(f, "bulkhead \"{label}\" is new: {config}"),
            Self::Remove { label } => write!(f, "bulkhead \"{label}\" is drained and removed"),
            Self::Change { label, from, to } => {
                write!(f, "bulkhead \"{label}\"")?;
                let changed = from.settings().zip(to.settings()).filter(|(from, to)| from != to);
                changed.enumerate().try_for_each(|(number, ((setting, from), (_, to)))| {
                    let separator = if number == 0 { ":" } else { "," };
                    write!(f, "{separator} {setting} {from} to {to}")
                })
            }
        }
    }
}

impl BulkheadRegistry {
    /// Returns what applying a configuration would change. Changes nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if a setting is invalid, a bulkhead is of another kind than configured, draining or
    /// closed, a partitioned one is new, or the largest cost in the line of a weighted one exceeds its new capacity.
    pub fn plan(&self, config: &RegistryConfig) -> Result<RegistryPlan, RegistryError> {
        let (version, members) = self.version_and_members();
        let registered = by_label(&members);
        let mut changes = Vec::new();
        for (label, to) in &config.bulkheads {
            to.check(label)?;
            changes.extend(match registered.get(&**label) {
                Some(member) => planned_change(&***member, to)?,
                None if to.kind == BulkheadKind::Partitioned => {
                    return Err(RegistryError::Unclaimed { label: label.clone() });
                }
                None => Some(PlannedChange::Create { label: label.clone(), config: to.clone() }),
            });
        }
        let labels = members.iter().map(|member| member.label());
        let missing = labels.filter(|label| config.get(label).is_none()).map(Arc::from).collect();
        Ok(RegistryPlan { registry: self.clone(), version, changes, missing })
    }

    /// Makes all changes of a plan, or none of them.
    ///
    /// Each bulkhead changes at one instant, and one after the other. A change that is made directly at the same time may be
    /// overwritten.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`], and changes nothing, if the plan was made for another registry, bulkheads were
    /// registered or removed or settings changed since it was made, or one of its changes is not possible any more, which
    /// [`plan`](Self::plan) would say as well.
    pub fn apply(&self, plan: RegistryPlan) -> Result<(), RegistryError> {
        if !self.is_same(&plan.registry) {
            return Err(RegistryError::StalePlan);
        }
        let created = plan.changes.iter().filter_map(|change| match change {
            PlannedChange::Create { label, config } => Some(built(label, config)),
            _ => None,
        });
        let created = created.collect::<Result<Vec<_>, _>>()?;
        // From here on every other plan that was made for this version is stale.
        let members = self.begin_applying(plan.version)?;
        let registered = by_label(&members);
        let mut reconfigured = Vec::new();
        for change in &plan.changes {
            let PlannedChange::Change { label, from, to } = change else { continue };
            let member = *registered.get(&**label).ok_or(RegistryError::StalePlan)?;
            if planned_change(&**member, to)?.as_ref() != Some(change) {
                return Err(RegistryError::StalePlan);
            }
            reconfigured.push((&**member, from, to));
        }
        // The only change that may be refused although it has just been checked is a smaller capacity of a weighted bulkhead
        // whose line has grown meanwhile. Those come first, so that what has to be undone is a growth, which is never refused.
        reconfigured.sort_by_key(|(_, from, to)| {
            !(to.kind == BulkheadKind::Weighted && to.capacity < from.capacity)
        });
        let mut done = Undo(Vec::new());
        for (member, from, to) in reconfigured {
            member.reconfigure(to)?;
            done.0.push((member, from));
        }
        self.add_all(created)?;
        done.0.clear();
        drop(done);
        for change in &plan.changes {
            let PlannedChange::Remove { label } = change else { continue };
            // Not another one that has taken its label meanwhile.
            if let Some(member) = registered.get(&**label) {
                self.remove_this_drained(member);
            }
        }
        self.configured();
        Ok(())
    }
}

fn by_label(members: &[Arc<dyn Member>]) -> HashMap<&str, &Arc<dyn Member>> {
    members.iter().map(|member| (member.label(), member)).collect()
}

/// Undoes changes when it is dropped, the last one first.
struct Undo<'a>(Vec<(&'a dyn Member, &'a BulkheadConfig)>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        for (member, from) in self.0.drain(..).rev() {
            // A bulkhead that was closed meanwhile admits nobody, whatever its settings.
            let _ = member.reconfigure(from);
        }
    }
}

/// Returns the change of a bulkhead to these settings, if it has others.
fn planned_change(
    member: &dyn Member,
    to: &BulkheadConfig,
) -> Result<Option<PlannedChange>, RegistryError> {
    let (label, from): (Arc<str>, _) = (member.label().into(), member.config());
    if from.kind != to.kind {
        return Err(wrong_kind(&label, from.kind, to.kind));
    }
    if member.is_closing() {
        return Err(RegistryError::Change(ResizeError::Closed { label }));
    }
    let to = &to.normalized();
    if from == *to {
        return Ok(None);
    }
    member.check(to).map_err(RegistryError::Change)?;
    Ok(Some(PlannedChange::Change { label, from, to: to.clone() }))
}
