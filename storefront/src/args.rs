//! The command line: what was asked for, or what was wrong with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const USAGE: &str =
    "usage: storefront [--seconds N] [--chart PATH] | --serve ADDR | --help";

pub(crate) const HELP: &str = "\
Shows what bulkheads are for: the same shop is flooded twice, once without bulkheads and once with.

usage: storefront [OPTIONS]

  --seconds N    length of each phase in whole seconds, 1 to 20 (default 6)
  --chart PATH   where to write the chart (default target/storefront.svg)
  --serve ADDR   keep serving with bulkheads, for example on 127.0.0.1:3000, until ctrl-c
  --help         print this text";

#[derive(Debug)]
pub(crate) enum Command {
    Compare(Comparison),
    Serve(SocketAddr),
    Help,
}

#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) phase: Duration,
    pub(crate) chart: Option<PathBuf>,
}

pub(crate) fn parse(mut args: Parser) -> Result<Command, lexopt::Error> {
    let mut comparison = Comparison { phase: Duration::from_secs(6), chart: None };
    let mut serve = None;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seconds") => comparison.phase = args.value()?.parse_with(phase_length)?,
            Arg::Long("chart") => comparison.chart = Some(args.value()?.into()),
            Arg::Long("serve") => serve = Some(args.value()?.parse()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(serve.map_or(Command::Compare(comparison), Command::Serve))
}

fn phase_length(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..=20) => Ok(Duration::from_secs(seconds)),
        _ => Err("a phase takes 1 to 20 whole seconds"),
    }
}
