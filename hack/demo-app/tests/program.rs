//! The program as a container runs it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-booster-demo"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The server and its address, once it listens.
fn serve() -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child =
        program(&["serve", "--port", "0", "--products", "500"]).spawn().expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it prints text");
    let port = line.trim().rsplit(':').next().unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}");
    (child, stdout, url)
}

fn visit(args: &[&str]) -> Output {
    program(&[&["users"], args].concat()).output().expect("the program runs")
}

#[test]
fn sigterm_ends_the_server_with_success_and_its_curve() {
    let (mut server, mut stdout, url) = serve();
    let users = visit(&["--url", &url, "--rate", "100", "--duration", "600ms", "--label", "warm"]);
    assert!(users.status.success());
    assert!(String::from_utf8(users.stdout).unwrap().starts_with(r#"{"label":"warm","startedAt":""#));

    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", server.id())]).status();
    assert!(kill.unwrap().success());
    assert!(server.wait().unwrap().success());
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).unwrap();
    assert!(printed.contains("50 requests served") && printed.contains("60 requests served"), "{printed}");
}

#[test]
fn bad_input_is_refused_with_the_flag_and_the_reason() {
    for (args, reason) in [
        (&["--url", "https://shop"][..], "http:// and a host"),
        (&["--url", "http://shop", "--rate", "0"], "a rate is a number above 0"),
        (&["--url", "http://shop", "--paths", "/,search"], "a path begins with /"),
        (&["--url", "http://shop", "--duration", "10"], "--duration"),
    ] {
        let refused = visit(args);
        let error = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}
