//! A configuration file that is read again on SIGHUP: the plan is printed before it is applied, and a file that is wrong
//! changes nothing. The example writes its file and sends the signals itself.
//!
//! ```text
//! cargo run --example reload --features serde
//! ```
//!
//! In Kubernetes, a ConfigMap that is mounted as a folder takes the place of the signal: watch the folder, for example with
//! the `notify` crate, and not the file, which is a link that is replaced. Wherever the file is from, write a new one beside
//! it and rename it: what is half written may happen to be valid.

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main().await
}

#[cfg(not(unix))]
fn main() {
    println!("there is no SIGHUP here");
}

#[cfg(unix)]
mod unix {
    use std::{
        error::Error,
        fs,
        path::{Path, PathBuf},
        process::Command,
    };

    use bulklink::{
        Bulkhead, BulkheadRegistry, PartitionLimits, PartitionedBulkhead, RegistryConfig,
    };
    use tokio::{
        signal::unix::{SignalKind, signal},
        sync::mpsc,
    };

    const FIRST: &str = r#"
        [bulkheads.payments]
        kind = "plain"
        parallelism = 10
        waiting_room = 50
        wait_limit = "2s"

        [bulkheads.customers]
        kind = "partitioned"
        parallelism = 3
        max_partitions = 1000
    "#;

    pub(super) async fn main() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bulkheads.toml");
        replace(&file, FIRST)?;

        let registry = BulkheadRegistry::configure(read(&file)?)
            // What a key is, and who is a gold customer, only code can say.
            .partitioned::<u64>("customers", |builder| {
                builder.limits_for(|id| PartitionLimits::new(if *id < 100 { 20 } else { 3 }))
            })
            .build()?;
        let payments = registry.get::<Bulkhead>("payments")?;
        let (done, mut reloaded) = mpsc::channel(1);
        tokio::spawn(reload_on_hangup(registry.clone(), file.clone(), done));
        reloaded.recv().await;

        replace(&file, &FIRST.replace("= 10\n", "= 20\n").replace("1000", "500"))?;
        hang_up()?;
        reloaded.recv().await;
        assert_eq!(payments.parallelism(), 20);
        let customers = registry.get::<PartitionedBulkhead<u64>>("customers")?;
        assert_eq!(customers.max_partitions(), 500);

        for wrong in ["\"2s\"", "10\n"] {
            replace(&file, &FIRST.replace(wrong, "\"two\"\n"))?;
            hang_up()?;
            reloaded.recv().await;
        }
        assert_eq!(payments.parallelism(), 20, "a wrong file changes nothing");
        assert_eq!(registry.snapshot().config_generation, 2);
        Ok(())
    }

    /// Reads the file again whenever the process is told to.
    async fn reload_on_hangup(registry: BulkheadRegistry, file: PathBuf, done: mpsc::Sender<()>) {
        let mut hangups = signal(SignalKind::hangup()).expect("inside a tokio runtime");
        loop {
            if done.send(()).await.is_err() || hangups.recv().await.is_none() {
                return;
            }
            if let Err(error) = reload(&registry, &file) {
                eprintln!("{} was not applied: {error}", file.display());
            }
        }
    }

    fn reload(registry: &BulkheadRegistry, file: &Path) -> Result<(), Box<dyn Error>> {
        let plan = registry.plan(&read(file)?)?;
        print!("{plan}");
        registry.apply(plan)?;
        println!("applied as generation {}", registry.snapshot().config_generation);
        Ok(())
    }

    fn read(file: &Path) -> Result<RegistryConfig, Box<dyn Error>> {
        Ok(toml::from_str(&fs::read_to_string(file)?)?)
    }

    /// Replaces the file at once, so that nobody reads half of it.
    fn replace(file: &Path, text: &str) -> std::io::Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(new, file)
    }

    /// What an operator does: `kill -HUP`.
    fn hang_up() -> std::io::Result<()> {
        let pid = std::process::id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().map(drop)
    }
}
