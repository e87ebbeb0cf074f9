//! The command line.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::{Arg, Error, Parser};

pub(crate) const USAGE: &str =
    "usage: storefront [--seconds N] [--chart PATH] | --serve ADDR [--load] | --help";

const DEFAULT_PHASE: Duration = Duration::from_secs(6);

#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Compare(Comparison),
    Serve { address: SocketAddr, load: bool },
    Help,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) phase: Duration,
    pub(crate) chart: Option<PathBuf>,
}

pub(crate) fn parse(mut args: Parser) -> Result<Command, Error> {
    let (mut phase, mut chart, mut serve, mut load) = (None, None, None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seconds") => phase = Some(phase_length(&args.value()?)?),
            Arg::Long("chart") => chart = Some(args.value()?.into()),
            Arg::Long("serve") => serve = Some(address(&args.value()?)?),
            Arg::Long("load") => load = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            _ => return Err(arg.unexpected()),
        }
    }
    match serve {
        None if load => Err("--load goes with --serve".into()),
        None => {
            let phase = phase.unwrap_or(DEFAULT_PHASE);
            Ok(Command::Compare(Comparison { phase, chart }))
        }
        Some(address) if phase.is_none() && chart.is_none() => Ok(Command::Serve { address, load }),
        Some(_) => Err("--serve cannot be combined with --seconds and --chart".into()),
    }
}

pub(crate) fn help(default_chart: &Path) -> String {
    format!(
        "\
Shows what bulkheads are for: floods the same shop twice, first without bulkheads and then with.

{USAGE}

  --seconds N    length of each phase in whole seconds, 1 to 20 (default {})
  --chart PATH   where to write the chart (default storefront.svg in cargo's target folder:
                 {})
  --serve ADDR   serve the shop with bulkheads, for example on 127.0.0.1:3000, until ctrl-c; a page at / shows the
                 bulkheads live
  --load         with --serve: also be the customers, with a flood of reports every other 20 seconds
  --help         print this text",
        DEFAULT_PHASE.as_secs(),
        default_chart.display(),
    )
}

fn phase_length(value: &OsStr) -> Result<Duration, Error> {
    match value.to_str().map(str::parse) {
        Some(Ok(seconds @ 1..=20)) => Ok(Duration::from_secs(seconds)),
        _ => Err(invalid("--seconds", value, "a phase takes 1 to 20 whole seconds")),
    }
}

fn address(value: &OsStr) -> Result<SocketAddr, Error> {
    match value.to_str().map(str::parse) {
        Some(Ok(address)) => Ok(address),
        _ => Err(invalid("--serve", value, "not an address such as 127.0.0.1:3000")),
    }
}

fn invalid(option: &str, value: &OsStr, why: &str) -> Error {
    format!("{option} {}: {why}", value.to_string_lossy()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(args)).map_err(|error| error.to_string())
    }

    fn error(args: &[&str]) -> String {
        parsed(args).unwrap_err()
    }

    #[test]
    fn without_options_the_runs_are_compared() {
        let compare = Comparison { phase: Duration::from_secs(6), chart: None };
        assert_eq!(parsed(&[]), Ok(Command::Compare(compare)));
    }

    #[test]
    fn options_are_read() {
        let compare = Comparison { phase: Duration::from_secs(20), chart: Some("a.svg".into()) };
        let args = ["--seconds=20", "--chart", "a.svg"];
        assert_eq!(parsed(&args), Ok(Command::Compare(compare)));
        let address = ([127, 0, 0, 1], 3000).into();
        for (args, load) in [
            (&["--serve", "127.0.0.1:3000"][..], false),
            (&["--load", "--serve", "127.0.0.1:3000"], true),
        ] {
            assert_eq!(parsed(args), Ok(Command::Serve { address, load }));
        }
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
    }

    #[test]
    fn a_phase_that_is_not_1_to_20_whole_seconds_is_named() {
        for value in ["0", "21", "99", "1.5", "-1", "six", ""] {
            let expected = format!("--seconds {value}: a phase takes 1 to 20 whole seconds");
            assert_eq!(error(&[&format!("--seconds={value}")]), expected);
        }
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        for value in ["nonsense", "3000", "127.0.0.1", "127.0.0.1:66000"] {
            let expected = format!("--serve {value}: not an address such as 127.0.0.1:3000");
            assert_eq!(error(&["--serve", value]), expected);
        }
    }

    #[test]
    fn a_missing_value_is_named() {
        for option in ["--seconds", "--chart", "--serve"] {
            assert_eq!(error(&[option]), format!("missing argument for option '{option}'"));
        }
    }

    #[test]
    fn unknown_arguments_are_named() {
        assert_eq!(error(&["--second", "3"]), "invalid option '--second'");
        assert_eq!(error(&["3"]), "unexpected argument \"3\"");
    }

    #[test]
    fn serving_takes_no_options_of_the_comparison() {
        let expected = "--serve cannot be combined with --seconds and --chart";
        assert_eq!(error(&["--serve", "127.0.0.1:3000", "--seconds", "3"]), expected);
        assert_eq!(error(&["--chart", "a.svg", "--serve", "127.0.0.1:3000"]), expected);
    }

    #[test]
    fn load_goes_with_serving() {
        assert_eq!(error(&["--load"]), "--load goes with --serve");
    }

    #[test]
    fn the_help_names_the_default_chart() {
        assert!(help(Path::new("/build/storefront.svg")).contains("/build/storefront.svg"));
    }
}
