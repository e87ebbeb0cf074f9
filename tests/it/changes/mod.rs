//! Changes of a bulkhead that is in use: new settings.

mod reconfigure;
