//! Shop and users against each other, in one process.

use std::time::Duration;

use demo_app::users::{Args as Users, Summary};
use demo_app::{server, users};

/// Small enough for a build without optimisation.
const SHOP: server::Args = server::Args { port: 0, workers: 2, products: 400 };
const PATHS: [&str; 4] = ["/", "/search?q=copper+kettle", "/product/42", "/report"];

fn users(url: &str) -> Users {
    Users {
        url: url.parse().expect("a URL"),
        paths: PATHS.iter().map(|path| path.parse().expect("a path")).collect(),
        rate: "50".parse().expect("a rate"),
        duration: Duration::from_secs(3),
        start_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        label: "loopback".to_owned(),
        each: false,
    }
}

async fn visited() -> (Summary, String) {
    let shop = SHOP.bind().await.expect("a free port");
    let users = users(&format!("http://127.0.0.1:{}", shop.address().expect("an address").port()));
    let (closing, closed) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(shop.serve_until(async { drop(closed.await) }));
    let summary = users.visit().await.expect("the shop is open");
    drop(closing);
    (summary, serving.await.expect("the shop closes").to_string())
}

#[tokio::test]
async fn the_first_user_of_a_cold_shop_waits_much_longer_than_the_median() {
    let (summary, curve) = visited().await;
    assert_eq!((summary.all.requests, summary.all.failed), (150, 0));
    let (first, median) = (summary.all.first_request_ms.unwrap(), summary.all.p50_ms.unwrap());
    assert!(first >= 5.0 * median, "first {first} ms, median {median} ms\n{curve}");
    assert!(curve.starts_with("150 requests served, 0 refused; below: 0 warm-up, 150 of users\n"), "{curve}");
}

#[tokio::test]
async fn users_of_a_shop_that_never_opens_say_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let users = Users { start_timeout: Duration::from_millis(50), ..users(&format!("http://{free}")) };
    let users::UsersError::NeverOpened { source, .. } = users.visit().await.unwrap_err();
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}
