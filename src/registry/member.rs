//! What a registry needs of a bulkhead of any kind, and of its builder.

use std::{any::Any, future::Future, hash::Hash, pin::Pin};

use super::config::BulkheadConfig;
use crate::{
    bulkhead::{
        builder::{BulkheadBuilder, WeightedBulkheadBuilder},
        error::{ConfigError, ResizeError},
        partitioned::{PartitionedBulkhead, PartitionedBulkheadBuilder},
        plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    observe::{registry::RegistryStatus, status::BulkheadStatus},
};

/// A builder of any kind of bulkhead.
pub trait BuildBulkhead {
    /// The kind of bulkhead it builds.
    type Bulkhead: Registrable;

    /// Builds the bulkhead.
    #[doc(hidden)]
    fn build_bulkhead(self) -> Result<Self::Bulkhead, ConfigError>;
}

/// A bulkhead that can be registered.
pub trait Registrable: Clone + Send + Sync + 'static + Member {
    /// Returns the name of its type.
    #[doc(hidden)]
    fn type_name() -> String;
}

/// A registered bulkhead of any kind.
#[doc(hidden)]
pub trait Member: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn kind(&self) -> String;

    fn label(&self) -> &str;

    fn status(&self) -> RegistryStatus;

    /// Returns the statuses of the busiest partitions, without their keys.
    fn busiest(&self, _n: usize) -> Vec<BulkheadStatus> {
        Vec::new()
    }

    fn set_paused(&self, paused: bool);

    fn drain(&self);

    fn close(&self);

    fn is_closed(&self) -> bool;

    fn is_closing(&self) -> bool;

    /// Returns the present settings.
    fn config(&self) -> BulkheadConfig;

    /// Returns the error of changing all settings to these, if it were done now. They are of the same kind.
    fn check(&self, to: &BulkheadConfig) -> Result<(), ResizeError>;

    /// Changes all settings to these, which are of the same kind.
    fn reconfigure(&self, to: &BulkheadConfig) -> Result<(), ResizeError>;

    fn wait_closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Implements the registry traits for one kind of bulkhead. Kinds differ in their bounds, name and status only.
macro_rules! registrable {
    ($kind:ident $(<$key:ident>)?, $builder:ident, $status:ident, $change:ident, { $($own:tt)* }) => {
        impl $(<$key: Hash + Eq + Clone + Send + Sync + 'static>)? BuildBulkhead for $builder $(<$key>)? {
            type Bulkhead = $kind $(<$key>)?;

            fn build_bulkhead(self) -> Result<Self::Bulkhead, ConfigError> {
                self.build()
            }
        }

        impl $(<$key: Hash + Eq + Clone + Send + Sync + 'static>)? Registrable for $kind $(<$key>)? {
            fn type_name() -> String {
                let key: &[&str] = &[$(std::any::type_name::<$key>())?];
                match key {
                    [key] => format!("{}<{key}>", stringify!($kind)),
                    _ => stringify!($kind).into(),
                }
            }
        }

        impl $(<$key: Hash + Eq + Clone + Send + Sync + 'static>)? Member for $kind $(<$key>)? {
            fn as_any(&self) -> &dyn Any {
                self
            }

            fn kind(&self) -> String {
                Self::type_name()
            }

            fn label(&self) -> &str {
                self.label()
            }

            fn status(&self) -> RegistryStatus {
                RegistryStatus::$status(self.status())
            }

            fn set_paused(&self, paused: bool) {
                if paused { self.pause() } else { self.resume() }
            }

            fn drain(&self) {
                self.drain();
            }

            fn close(&self) {
                self.close();
            }

            fn is_closed(&self) -> bool {
                self.is_closed()
            }

            fn is_closing(&self) -> bool {
                self.is_closing()
            }

            fn check(&self, to: &BulkheadConfig) -> Result<(), ResizeError> {
                self.check(&to.$change())
            }

            fn reconfigure(&self, to: &BulkheadConfig) -> Result<(), ResizeError> {
                self.reconfigure(to.$change())
            }

            fn wait_closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                Box::pin(self.wait_closed())
            }

            $($own)*
        }
    };
}

registrable!(Bulkhead, BulkheadBuilder, Bulkhead, change, {
    fn config(&self) -> BulkheadConfig {
        BulkheadConfig::plain(self.parallelism()).with_wait(self.waiting_room(), self.wait_limit())
    }
});
registrable!(WeightedBulkhead, WeightedBulkheadBuilder, Bulkhead, weighted_change, {
    fn config(&self) -> BulkheadConfig {
        BulkheadConfig::weighted(self.capacity()).with_wait(self.waiting_room(), self.wait_limit())
    }
});
registrable!(
    PartitionedBulkhead<K>,
    PartitionedBulkheadBuilder,
    Partitioned,
    partitioned_change,
    {
        fn config(&self) -> BulkheadConfig {
            BulkheadConfig::partitioned(self.parallelism(), self.max_partitions())
                .with_totals(self.total_parallelism(), self.total_waiting_room())
                .idle_timeout(self.idle_timeout())
                .with_wait(self.waiting_room(), self.wait_limit())
        }

        fn busiest(&self, n: usize) -> Vec<BulkheadStatus> {
            self.busiest(n).into_iter().map(|(_, status)| status).collect()
        }
    }
);
