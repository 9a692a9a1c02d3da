//! `kube-booster-demo serve` and `kube-booster-demo users`.

use clap::Parser;
use demo_app::{server, shutdown, users};

/// A shop that is cold at its start, and users who notice.
#[derive(Parser)]
#[command(name = "kube-booster-demo", version)]
enum Command {
    /// Serve the shop until SIGTERM
    Serve(server::Args),
    /// Wait until the shop accepts connections, then visit it at a fixed rate and print what the users saw
    Users(users::Args),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let command = Command::parse();
    let stop = shutdown::requested()?;
    match command {
        Command::Serve(args) => serve(&args, stop).await,
        Command::Users(args) => visit(&args, stop).await,
    }
}

async fn serve(args: &server::Args, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let server = args.bind().await?;
    println!("listening on {}", server.address()?);
    let curve = server.serve_until(stop).await;
    print!("{curve}");
    Ok(())
}

async fn visit(args: &users::Args, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let summary = tokio::select! {
        summary = args.visit() => summary?,
        () = stop => anyhow::bail!("stopped by a signal before the last user was served"),
    };
    eprint!("{summary}");
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}
