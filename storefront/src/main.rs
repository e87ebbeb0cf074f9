//! A shop under flood: what bulkheads change, measured over real HTTP.
//!
//! The shop is an axum server over SQLite with a pool of 8 connections. It takes payments, which
//! are quick and must not wait, and computes reports, which are slow and may. Both need a
//! connection from the same pool, so a flood of reports makes the payments wait. This program runs
//! the shop twice, first as it is and then with a bulkhead on each of the two routes, and floods it
//! both times.
//!
//! ```text
//! cargo run --release -p storefront              # the comparison, less than a minute
//! cargo run --release -p storefront -- --help
//! ```
//!
//! Start with `server.rs`, which creates the bulkheads and puts them on the routes. `store.rs` is
//! the database behind them. `client.rs` and `load.rs` are the customers. `shop.rs`, `run.rs` and
//! `progress.rs` carry out one run. `tally.rs`, `table.rs`, `chart.rs` and `verdict.rs` report the
//! results.

mod args;
#[cfg(test)]
mod browser;
mod chart;
mod client;
mod load;
mod progress;
#[cfg(test)]
mod reload;
mod run;
mod server;
mod shop;
mod store;
mod table;
mod tally;
mod verdict;

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::BoxError;
use lexopt::Parser;

use args::{Command, Comparison};
use client::Client;
use run::{FLOODING_CLIENTS, PAYMENTS_PER_SECOND, Run};
use server::{Bulkheads, Server};
use store::Store;

/// Every unanswered payment holds two sockets, the client's and the server's, and without bulkheads
/// there are many.
const OPEN_FILES: u64 = 8_192;

#[tokio::main]
async fn main() -> ExitCode {
    let command = match args::parse(Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("storefront: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Compare(comparison) => compare(comparison).await,
        Command::Serve { address, load } => serve(address, load).await,
        Command::Help => {
            println!("{}", args::help(&chart::default_path()));
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("storefront: {error}");
        ExitCode::FAILURE
    })
}

async fn compare(comparison: Comparison) -> Result<ExitCode, BoxError> {
    let Comparison { phase, chart } = comparison;
    let chart = chart.unwrap_or_else(chart::default_path);
    chart::check(&chart)?;
    rlimit::increase_nofile_limit(OPEN_FILES)?;
    let seconds = phase.as_secs();
    println!(
        "each run: {seconds} s of {PAYMENTS_PER_SECOND} payments a second, then {seconds} s of the \
         same while {FLOODING_CLIENTS} clients flood the reports"
    );

    let without = Run::without_bulkheads(phase).await?;
    let with = Run::with_bulkheads(phase).await?;

    println!();
    table::print([&without, &with]);
    println!();
    table::print_bulkheads(&with.bulkheads);
    println!();
    verdict::print_meaning(&without, &with);
    chart::write(&chart, &without, &with)?;
    println!("\nchart: {}", chart.display());
    Ok(if verdict::judge(&without, &with) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(address: SocketAddr, load: bool) -> Result<ExitCode, BoxError> {
    let listener = server::listen(address).await?;
    let store = Store::open().await?;
    let bulkheads = Bulkheads::new()?;
    let routes = server::routes(store, Some(&bulkheads));
    let server = Server::start(listener, server::with_page(routes, &bulkheads))?;
    print_things_to_try(server.address);
    let customers = load.then(|| tokio::spawn(load::in_waves(Client::new(server.address))));
    tokio::signal::ctrl_c().await?;
    println!("\nfinishing the requests in flight");
    if let Some(customers) = customers {
        customers.abort();
    }
    server.stop().await?;
    table::print_bulkheads(&bulkheads.statuses());
    Ok(ExitCode::SUCCESS)
}

fn print_things_to_try(address: SocketAddr) {
    println!(
        "\
serving on http://{address} until ctrl-c

every bulkhead, live: http://{address}/

to try:

  curl -i http://{address}/healthz
  curl -i http://{address}/payments -H 'content-type: application/json' -d '{{\"order\": 4711, \"cents\": 100}}'
  curl -i http://{address}/reports

20 reports at once: one runs, four wait, the others are rejected with 503:

  seq 20 | xargs -P 20 -I{{}} curl -s -o /dev/null -w '%{{http_code}} after %{{time_total}} s\\n' http://{address}/reports
"
    );
}
