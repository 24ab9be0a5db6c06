//! `healthchain`: a member's work at the command line. It talks to the gateway of the member's organisation and to nothing else.

mod arguments;
mod calls;
mod client;
mod error;
mod output;
mod profile;
mod transfer;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match verbs::run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            output::failure(&error, json);
            ExitCode::from(error.exit_code())
        }
    }
}
