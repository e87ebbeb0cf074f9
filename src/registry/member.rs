//! What a registry needs of a bulkhead of any kind, and of its builder.

use std::{any::Any, future::Future, hash::Hash, pin::Pin};

use crate::{
    bulkhead::{
        builder::{BulkheadBuilder, WeightedBulkheadBuilder},
        error::ConfigError,
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

    fn wait_closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Implements the registry traits for one kind of bulkhead. Kinds differ in their bounds, name and status only.
macro_rules! registrable {
    ($kind:ident $(<$key:ident>)?, $builder:ident, $status:ident $(, { $($own:tt)* })?) => {
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

            fn wait_closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                Box::pin(self.wait_closed())
            }

            $($($own)*)?
        }
    };
}

registrable!(Bulkhead, BulkheadBuilder, Bulkhead);
registrable!(WeightedBulkhead, WeightedBulkheadBuilder, Bulkhead);
registrable!(PartitionedBulkhead<K>, PartitionedBulkheadBuilder, Partitioned, {
    fn busiest(&self, n: usize) -> Vec<BulkheadStatus> {
        self.busiest(n).into_iter().map(|(_, status)| status).collect()
    }
});
